"""Specs: what the value of a dependency entry asks for.

The order of the questions is that of npm's own reader (npm/npm-package-arg `lib/npa.js`), the rules for the
known git hosts that of npm/hosted-git-info; `link:`, `portal:`, `patch:`, `workspace:`, `catalog:` and `jsr:`
are from the documentation of yarn and pnpm.
"""

import re
from typing import NamedTuple
from urllib.parse import urlsplit

from wump_core import DependencySource, InvalidPurl, make_purl

_SOURCE_BY_PROTOCOL: dict[str, DependencySource] = {
    **dict.fromkeys(("file", "patch"), "path"),
    **dict.fromkeys(("link", "portal"), "link"),
    **dict.fromkeys(("workspace", "catalog"), "workspace"),
    **dict.fromkeys(("github", "gitlab", "bitbucket", "gist", "sourcehut"), "git"),
    **dict.fromkeys(("git", "ssh", "git+ssh", "git+https", "git+http", "git+file", "git+rsync"), "git"),
    "jsr": "url",  # another registry, whose packages have no npm name
}
_PATH_START = re.compile(r"[./]|~/|[A-Za-z]:")
_PROTOCOL = re.compile(r"([A-Za-z][A-Za-z0-9+]*):")
_SCP_STYLE = re.compile(r"(?:[^@\s/:]+@)?[\w-]+(?:\.[\w-]+)+:.")
_GITHUB_SHORTHAND = re.compile(r"[^@:\s/#.][^@:\s/#]*/[^@:\s/#]+(?:#.*)?", re.DOTALL)
_TARBALL_NAME = re.compile(r".*\.(?:tgz|tar\.gz|tar)", re.DOTALL | re.IGNORECASE)
_RANGE = re.compile(r"[\^~<>=*|].*|[xX]|v?\d+(?:\.(?:\d+|[xX*]))*|v?\d+\.\d+\.\d+[-+ |].*", re.DOTALL)


MAX_SPEC_LENGTH = 10_000


class Spec(NamedTuple):
    """What an entry asks for. `name` is the real name, behind an alias; `requirement` is as written."""

    source: DependencySource
    name: str
    requirement: str


class UnreadableSpec(ValueError):
    """A spec that npm itself would refuse. The text is fit for a diagnostic."""


def parse_spec(key: str, written: str) -> Spec:
    """Read the value of one entry; `key` is the name that the entry stands under.

    Raises:
        UnreadableSpec: It is an alias of no valid name, or has a protocol that nobody documents.
    """
    if len(written) > MAX_SPEC_LENGTH:
        raise UnreadableSpec("too long to be a range")
    text = written.strip()
    if _PATH_START.match(text):
        return Spec("path", key, written)
    protocol = _PROTOCOL.match(text)
    if protocol and protocol[1].lower() == "npm":
        return _parse_alias(key, text[len("npm:") :])
    if protocol:
        return Spec(_choose_source(protocol[1].lower(), text), key, written)
    if _SCP_STYLE.match(text) or _GITHUB_SHORTHAND.fullmatch(text):
        return Spec("git", key, written)
    if "/" in text or _TARBALL_NAME.fullmatch(text):
        return Spec("path", key, written)
    return Spec("registry", key, written)


def _parse_alias(key: str, target: str) -> Spec:
    """Read what stands behind `npm:`, which is `name`, `name@range`, or yarn's bare `range` of the key itself."""
    name, at, requirement = target.partition("@")
    if not name and at:  # the first `@` starts a scope
        name, _, requirement = requirement.partition("@")
        name = f"@{name}"
    elif not at and _RANGE.fullmatch(target):
        return Spec("registry", key, target)
    try:
        make_purl("npm", name)
    except InvalidPurl:
        raise UnreadableSpec("the alias points to no npm package name") from None
    return Spec("registry", name, requirement)


def _choose_source(protocol: str, text: str) -> DependencySource:
    if protocol in ("http", "https"):
        return "git" if _is_hosted_repository(text) else "url"
    if source := _SOURCE_BY_PROTOCOL.get(protocol):
        return source
    if text[len(protocol) :].startswith("://"):
        return "url"
    raise UnreadableSpec("the protocol is not known")


def _is_hosted_repository(url: str) -> bool:
    """Whether npm would clone this web address rather than download a tarball from it."""
    try:
        parts = urlsplit(url)
        host = (parts.hostname or "").removeprefix("www.")
    except ValueError:
        return False
    segments = [segment for segment in parts.path.split("/") if segment]
    inside = segments[2:]
    match host:
        case "github.com":
            return len(segments) >= 2 and inside[:1] in ([], ["tree"])
        case "gitlab.com":
            return len(segments) >= 2 and "-" not in inside and "archive.tar.gz" not in inside
        case "bitbucket.org":
            return len(segments) >= 2 and inside[:1] != ["get"]
        case "git.sr.ht":
            return len(segments) >= 2 and inside[:1] != ["archive"]
        case "gist.github.com":
            return len(segments) >= 1 and inside[:1] != ["raw"]
    return False
