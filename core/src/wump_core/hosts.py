"""Code hosts: which repository a URL means, and who owns it.

Registries and manifests write one repository in a dozen ways; all of them become one (host, path). Hosts
that ignore the case of their paths have it folded here, so that two spellings are one repository.

Source: npm's `repository` documentation (shorthands, `git+` URLs), git's URL grammar (scp style), and the
path layouts of the hosts named below.
"""

import re
from dataclasses import dataclass
from urllib.parse import quote, unquote, urlsplit

MAX_URL_LENGTH = 2_000
MAX_PATH_LENGTH = 255

_SHORTHAND_HOSTS = {"github": "github.com", "gitlab": "gitlab.com", "bitbucket": "bitbucket.org"}
_OWNER_SLASH_NAME_HOSTS = {"github.com", "bitbucket.org", "codeberg.org", "gitee.com", "git.sr.ht"}
_CASE_FOLDING_HOSTS = {"github.com", "gitlab.com", "bitbucket.org", "codeberg.org", "gitee.com"}
_GITHUB_PAGES_OF_ITS_OWN = frozenset(
    (
        "about apps collections contact customer-stories enterprise events explore features login marketplace new"
        " notifications organizations orgs pricing readme search security settings site sponsors team topics trending"
        " users"
    ).split(" ")
)
_PAGES_OF_A_REPOSITORY = frozenset(
    "- blob blame commit commits issues merge_requests pulls raw releases src tags tree wiki wikis".split(" ")
)
_SEGMENT = re.compile(r"[\w.~+-]+", re.ASCII)
_SCP_STYLE = re.compile(r"(?:[\w.-]+@)?(?P<host>[\w-]+(?:\.[\w-]+)+):(?!//)(?P<path>[^\s\\]+)", re.ASCII)
_PLAIN = re.compile(r"https://(?!www\.)([a-z]+(?:\.[a-z]+)+)/([\w.~+-]+)/([\w.~+-]+)/?", re.ASCII)
"""As most are written; read as all others are, in a third of the time."""
_SCHEMES = ("git+ssh", "git+https", "git+http", "git+file", "git", "ssh", "https", "http")


@dataclass(frozen=True, slots=True)
class RepositoryUrl:
    """What a repository URL says.

    `host` is lower-case; `path` has no leading slash and no `.git`; `owner` is the account's login or nested
    group path, null where the host's layout isn't known; `directory` is a path inside the repository.
    """

    host: str
    path: str
    owner: str | None
    directory: str | None = None

    @property
    def url(self) -> str:
        """The address a person can open."""
        return f"https://{self.host}/{self.path}"


def is_code_host(host: str) -> bool:
    """Whether the layout of this host's paths is known, so that an owner can be read off a URL."""
    return host in _OWNER_SLASH_NAME_HOSTS or host == "gitlab.com" or host.startswith("gitlab.")


_BLOBS = {"bitbucket.org": "src", "codeberg.org": "src/commit", "gitee.com": "blob"}


def make_permalink(host: str, path: str, revision: str, file: str) -> str:
    """Where a person can read a file of a repository as it was at a commit; a line is `#L` and its number behind it.

    Source: the addresses that the hosts' own pages use.
    """
    between = "-/blob" if host.startswith("gitlab.") else _BLOBS.get(host, "blob")
    return f"https://{host}/{path}/{between}/{quote(revision)}/{quote(file)}"


def parse_repository_url(text: str, *, shorthands: bool = False) -> RepositoryUrl | None:
    """Read a repository URL in any of the ways it is written; null if it names no repository.

    Args:
        text: `https://host/owner/name`, `git+ssh://git@host/owner/name.git#ref`, `git@host:owner/name.git`, …
        shorthands: Also read npm's `owner/name`, `github:owner/name` and `gist:id`.
    """
    text = text.strip()
    if not text or len(text) > MAX_URL_LENGTH or not text.isprintable():
        return None
    if plain := _PLAIN.fullmatch(text):
        host, *segments = plain.groups()
    elif split := _split((shorthands and _expand_shorthand(text)) or text):
        host, segments = split
    else:
        return None
    return _of_known_host(host, segments) if is_code_host(host) else _of_unknown_host(host, segments)


def _expand_shorthand(text: str) -> str | None:
    text = text.partition("#")[0]
    prefix, colon, rest = text.partition(":")
    if colon and prefix == "gist" and _SEGMENT.fullmatch(rest.rpartition("/")[2]):
        return f"https://gist.github.com/{rest}"
    if colon and prefix in _SHORTHAND_HOSTS:
        return f"https://{_SHORTHAND_HOSTS[prefix]}/{rest}"
    parts = text.split("/")
    if len(parts) == 2 and all(_SEGMENT.fullmatch(part) for part in parts) and not text.startswith((".", "~")):
        return f"https://github.com/{text}"
    return None


def _split(text: str) -> tuple[str, list[str]] | None:
    """Host and path segments of a URL, an scp-style address, or a known host without a scheme."""
    scheme, separator, rest = text.partition("://")
    if not separator and (scp := _SCP_STYLE.fullmatch(text)):
        host, path = scp["host"], scp["path"]
    elif separator and scheme.lower() in _SCHEMES:
        # `git://github.com:owner/name` is malformed, and frequent in old packages: its "port" is an owner.
        rest = re.sub(r"^([^/:]+):(?!\d+(?:/|$))", r"\1/", _without_user(rest))
        try:
            parts = urlsplit(f"https://{rest}")
            host, path = parts.hostname or "", parts.path
        except ValueError:
            return None
    elif not separator and is_code_host(text.partition("/")[0].lower().removeprefix("www.")):
        host, _, path = text.partition("/")
    else:
        return None
    host = host.lower().removeprefix("www.").rstrip(".")
    path = path.partition("#")[0].partition("?")[0]
    segments = [segment for segment in unquote(path).split("/") if segment]
    if "." not in host or not all(_SEGMENT.fullmatch(segment) for segment in segments[:2]):
        return None
    return host, segments


def _without_user(rest: str) -> str:
    """What stands behind the scheme, less user and password."""
    authority, slash, path = rest.partition("/")
    return authority.rpartition("@")[2] + slash + path


def _of_known_host(host: str, segments: list[str]) -> RepositoryUrl | None:
    if host == "github.com" and segments and segments[0].lower() in _GITHUB_PAGES_OF_ITS_OWN:
        return None
    if host in _OWNER_SLASH_NAME_HOSTS:
        project, inside = segments[:2], segments[2:]
    else:
        end = next((i for i, part in enumerate(segments) if i >= 2 and part in _PAGES_OF_A_REPOSITORY), len(segments))
        project, inside = segments[:end], [part for part in segments[end:] if part != "-"]
    return _repository(host, project, inside, known=True)


def _of_unknown_host(host: str, segments: list[str]) -> RepositoryUrl | None:
    if len(segments) < 2 and not (segments and segments[0].endswith(".git")) and host != "gist.github.com":
        return None  # rather a home page than a repository
    return _repository(host, segments, [], known=False)


def _repository(host: str, project: list[str], inside: list[str], *, known: bool) -> RepositoryUrl | None:
    if not project or (known and len(project) < 2):
        return None
    project = [*project[:-1], project[-1].removesuffix(".git")]
    path = "/".join(project)
    if host in _CASE_FOLDING_HOSTS:
        path = path.lower()
    if not all(_SEGMENT.fullmatch(part) and part not in (".", "..") for part in project) or len(path) > MAX_PATH_LENGTH:
        return None
    directory = None
    if len(inside) > 2 and inside[0] in ("tree", "blob", "src") and all(part.isprintable() for part in inside):
        directory = "/".join(inside[2:])[:MAX_PATH_LENGTH]
    return RepositoryUrl(host, path, path.rpartition("/")[0] if known else None, directory)
