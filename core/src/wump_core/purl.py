"""Package URLs: how wump names a package everywhere.

A thin, typed skin over packageurl-python. It adds what that library leaves to its callers, the canonical
name per ecosystem, and undoes what it does too eagerly: npm names keep their case (`JSONStream` and
`jsonstream` are two packages), and Python names are folded by PEP 503, dots included.

Source: the purl specification (ECMA-427) and its type definitions; the npm registry's name rules; PEP 503; the
checks that Maven's model validator makes of ids; crates.io's rules for names.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from urllib.parse import unquote

from packageurl import PackageURL
from packaging.utils import canonicalize_name

from wump_core.errors import InvalidPurl

MAX_NAME_LENGTH = 214
MAX_PURL_LENGTH = 1_000

PLAIN_PURL_LENGTH = 200
PLAIN_PURL = (
    r"pkg:(?:npm/(?:%40[A-Za-z0-9~-][A-Za-z0-9_.~-]*/)?[A-Za-z0-9~-][A-Za-z0-9_.~-]*|pypi/[a-z0-9]+(?:-[a-z0-9]+)*"
    r"|maven/[A-Za-z0-9_-]+(?:\.[A-Za-z0-9_-]+)*/[A-Za-z0-9_-][A-Za-z0-9_.-]*|cargo/[A-Za-z][A-Za-z0-9_-]{0,63})"
)
"""A pattern of purls, of at most `PLAIN_PURL_LENGTH` characters, that are canonical for certain: nearly all."""

_PLAIN_PURL = re.compile(PLAIN_PURL)
_PLAIN_NAME = re.compile(r"@?[A-Za-z0-9~-][A-Za-z0-9_.~-]*(?:/[A-Za-z0-9~-][A-Za-z0-9_.~-]*)?")
_NPM_NAME = re.compile(r"@[\w\-.!~*'()]+/[\w\-.!~*'()]+|(?![._])[\w\-.!~*'()]+", re.ASCII)
_PYPI_NAME = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9._-]*[A-Za-z0-9])?", re.ASCII)
_MAVEN_NAME = re.compile(r"[A-Za-z0-9_-]+(?:\.[A-Za-z0-9_-]+)*[/:](?!\.\.?$)[A-Za-z0-9_.-]+", re.ASCII)
_CARGO_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_-]{0,63}", re.ASCII)
_ACTION_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]*/(?!\.\.?$)[A-Za-z0-9._-]+", re.ASCII)


def _canonical_npm_name(name: str) -> str:
    if not _NPM_NAME.fullmatch(name):
        raise InvalidPurl(f"{name[:80]!r} is not an npm package name: expected `name` or `@scope/name`")
    return name


def _canonical_pypi_name(name: str) -> str:
    if not _PYPI_NAME.fullmatch(name):
        raise InvalidPurl(
            f"{name[:80]!r} is not a Python package name: expected ASCII letters, digits, `-`, `_` and `.`"
        )
    return canonicalize_name(name)


def _canonical_maven_name(name: str) -> str:
    """Both parts keep their case; purls write `/` where Maven writes `:`."""
    if not _MAVEN_NAME.fullmatch(name):
        raise InvalidPurl(f"{name[:80]!r} is not a Maven package name: expected `group:artifact` or `group/artifact`")
    return name.replace(":", "/")


def _canonical_cargo_name(name: str) -> str:
    """As it was published: crates.io allows no second name that differs only in case, `-` and `_`, yet Cargo asks
    for the very spelling.
    """
    if not _CARGO_NAME.fullmatch(name):
        raise InvalidPurl(
            f"{name[:80]!r} is not a crate's name: expected a letter, then up to 63 letters, digits, `-` and `_`"
        )
    return name


def _canonical_action_name(name: str) -> str:
    """An action is known by its repository, whose host ignores case."""
    if not _ACTION_NAME.fullmatch(name):
        raise InvalidPurl(f"{name[:80]!r} names no GitHub Action: expected `owner/repository`")
    return name.lower()


_CANONICAL_NAME: dict[str, Callable[[str], str]] = {
    "npm": _canonical_npm_name,
    "pypi": _canonical_pypi_name,
    "maven": _canonical_maven_name,
    "cargo": _canonical_cargo_name,
    "githubactions": _canonical_action_name,
}

ECOSYSTEMS: tuple[str, ...] = tuple(_CANONICAL_NAME)
"""The purl types whose names wump can canonicalise, and so the ecosystems it knows."""


@dataclass(frozen=True, slots=True, order=True)
class Purl:
    """One package, without a version: `ecosystem` is the purl type, `name` the canonical full name.

    The name of a scoped npm package holds its scope (`@scope/name`), that of a Maven package its group
    (`group/artifact`).
    """

    ecosystem: str
    name: str

    def __str__(self) -> str:
        if _PLAIN_NAME.fullmatch(self.name):  # the usual case, a tenth of the time
            return f"pkg:{self.ecosystem}/{_encode_scope(self.name)}"
        namespace, _, name = self.name.rpartition("/")
        # The neutral type keeps packageurl-python from folding the case of the name.
        neutral = PackageURL(type="generic", namespace=namespace or None, name=name).to_string()
        return f"pkg:{self.ecosystem}/{neutral.removeprefix('pkg:generic/')}"


def make_purl(ecosystem: str, name: str) -> Purl:
    """Canonicalise a name of an ecosystem.

    Raises:
        InvalidPurl: The ecosystem is unknown, or the name can't be one of its names.
    """
    canonical_name = _CANONICAL_NAME.get(ecosystem)
    if canonical_name is None:
        raise InvalidPurl(f"unknown ecosystem {ecosystem[:40]!r}: wump knows {', '.join(ECOSYSTEMS)}")
    if not name or len(name) > MAX_NAME_LENGTH:
        raise InvalidPurl(f"the package name must have 1 to {MAX_NAME_LENGTH} characters, this one has {len(name)}")
    return Purl(ecosystem, canonical_name(name))


@lru_cache(maxsize=20_000)
def make_purl_text(ecosystem: str, name: str) -> str:
    """What `str(make_purl(ecosystem, name))` gives, in a tenth of the time for nearly all names.

    Raises:
        InvalidPurl: As `make_purl` does.
    """
    text = f"pkg:{ecosystem}/{_encode_scope(name)}"
    if len(text) <= PLAIN_PURL_LENGTH and "%" not in name and _PLAIN_PURL.fullmatch(text):
        return text
    return str(make_purl(ecosystem, name))


def parse_purl(text: str) -> Purl:
    """Read `pkg:npm/%40scope/name@1.0`, or the short form `npm:@scope/name`; a version is dropped.

    Raises:
        InvalidPurl: The text is neither; the message says which part is wrong and what was expected.
    """
    if len(text) > MAX_PURL_LENGTH:
        raise InvalidPurl(f"a package URL has at most {MAX_PURL_LENGTH} characters, this one has {len(text)}")
    text = text.strip()
    if len(text) <= PLAIN_PURL_LENGTH and _PLAIN_PURL.fullmatch(text):  # the usual case, a twentieth of the time
        ecosystem, _, name = text.removeprefix("pkg:").partition("/")
        return Purl(ecosystem, name.replace("%40", "@"))
    if not text.startswith("pkg:"):
        return _parse_short_form(text)
    ecosystem, slash, rest = text.removeprefix("pkg:").lstrip("/").partition("/")
    if not slash:
        raise InvalidPurl(f"{text[:80]!r} names no package: expected pkg:ecosystem/name, such as pkg:npm/express")
    try:
        parts = PackageURL.from_string(f"pkg:generic/{_encode_scope(rest)}")
    except ValueError as error:
        reason = str(error).replace("pkg:generic/", f"pkg:{ecosystem}/")
        raise InvalidPurl(f"{text[:80]!r} is not a package URL: {reason[:200]}") from None
    if parts.qualifiers or parts.subpath:
        raise InvalidPurl(
            f"{text[:80]!r} has qualifiers or a subpath: wump names whole packages, such as pkg:npm/express"
        )
    name = f"{parts.namespace}/{parts.name}" if parts.namespace else parts.name
    return make_purl(ecosystem.lower(), name)


def _encode_scope(rest: str) -> str:
    """A raw `@` before a scope would be read as the start of a version."""
    return "%40" + rest[1:] if rest.startswith("@") else rest


def _parse_short_form(text: str) -> Purl:
    ecosystem, colon, name = text.partition(":")
    if not colon:
        raise InvalidPurl(
            f"{text[:80]!r} names no ecosystem: write npm:{text[:40]} or pypi:{text[:40]}, or a package URL"
        )
    name = unquote(name)
    head, at, _version = name.rpartition("@")
    return make_purl(ecosystem.lower(), head if at and head else name)
