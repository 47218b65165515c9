"""Records: what crosses the boundary between a provider and wump.

All are frozen, forbid unknown fields, bound every size, and hold only text that Postgres can store. Whatever
a plugin returns is validated here once; behind this line nobody checks again. A value that an upstream did
not tell is null, with a reason beside it where that matters: an empty tuple means "asked, and none".
"""

from typing import Annotated, Literal
from urllib.parse import urlsplit

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, StringConstraints

from wump_core.hosts import MAX_PATH_LENGTH
from wump_core.purl import MAX_PURL_LENGTH, parse_purl

MAX_DEPENDENCIES = 20_000
MAX_DIAGNOSTICS = 500


def _storable(text: str) -> str:
    """Postgres stores neither NUL nor half a surrogate pair; other control characters only confuse readers."""
    if any(ord(character) < 32 and character not in "\t\n\r" for character in text):
        raise ValueError("must not hold control characters")
    if any(0xD800 <= ord(character) <= 0xDFFF for character in text):
        raise ValueError("must not hold lone surrogates")
    return text


def _web_address(text: str) -> str:
    try:
        parts = urlsplit(text)
    except ValueError:
        raise ValueError("must be a web address") from None
    if parts.scheme not in ("http", "https") or not parts.hostname or not text.isprintable() or " " in text:
        raise ValueError("must be an http or https address with a host")
    if parts.username or parts.password:
        raise ValueError("must not hold credentials")
    return text


def _canonical_purl(text: str) -> str:
    canonical = str(parse_purl(text))
    if canonical != text:
        raise ValueError(f"must be canonical: {canonical}")
    return text


Name = Annotated[str, StringConstraints(min_length=1, max_length=214), AfterValidator(_storable)]
Short = Annotated[str, StringConstraints(max_length=255), AfterValidator(_storable)]
Text = Annotated[str, StringConstraints(max_length=2_000), AfterValidator(_storable)]
WebAddress = Annotated[
    str, StringConstraints(max_length=2_000), AfterValidator(_storable), AfterValidator(_web_address)
]
PurlText = Annotated[str, StringConstraints(max_length=MAX_PURL_LENGTH), AfterValidator(_canonical_purl)]

HostPath = Annotated[
    str,
    StringConstraints(min_length=1, max_length=MAX_PATH_LENGTH, pattern=r"^[A-Za-z0-9_.~+-]+(/[A-Za-z0-9_.~+-]+)*$"),
]
"""A path on a code host, without what would have to be quoted in an address."""

Scope = Literal["runtime", "development", "test", "build", "peer", "optional", "unknown"]
DependencySource = Literal["registry", "git", "url", "path", "workspace"]
ProviderType = Literal["repository", "registry", "aggregator"]


class Record(BaseModel):
    """Base of all records."""

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)


class Diagnostic(Record):
    """Something that could not be read and was left out: which part, and why."""

    field: Short | None = Field(default=None, description="The key or entry it stands under.")
    message: Text
    line: int | None = Field(default=None, ge=1, le=2**31 - 1, description="Line in the file, from 1.")


class FundingLink(Record):
    """Where a package asks for money. `type` is the upstream's word: github, opencollective, …"""

    url: WebAddress
    type: Short | None = None


class RepositoryClaim(Record):
    """The repository that a package names as its own.

    A claim: forks and templates republish another's address. `verified` is true only where the upstream
    itself checked it, as a registry does for a version with build provenance.
    """

    host: Annotated[str, StringConstraints(min_length=3, max_length=255, pattern=r"^[a-z0-9.-]+$")]
    path: HostPath
    owner: HostPath | None = None
    directory: Short | None = Field(default=None, description="Where in the repository the package stands.")
    verified: bool = False


class DependencyRecord(Record):
    """One statement of a package or manifest: this needs that.

    `purl` is the real package (aliases resolved) and null for what is no registry package: git, url, path
    and workspace dependencies, which are kept as such and not counted.
    """

    purl: PurlText | None
    name: Name = Field(description="The dependency's real name as written.")
    alias: Name | None = Field(default=None, description="The name it is installed under, where that is another one.")
    requirement: Text | None = Field(default=None, description="The range as written; null where none is written.")
    resolved_version: Short | None = None
    scope: Scope
    optional: bool = Field(default=False, description="Whether the dependent works without it.")
    direct: bool = True
    groups: tuple[Name, ...] = Field(
        default=(), max_length=100, description="Extras, groups or features it belongs to."
    )
    marker: Text | None = Field(default=None, description="The environment marker as written.")
    source: DependencySource = "registry"
    field: Short | None = Field(default=None, description="The key of the document it stands under.")
    line: int | None = Field(
        default=None, ge=1, le=2**31 - 1, description="Line in the file, from 1; null when unsure."
    )


class PackageRecord(Record):
    """A package as its registry or an aggregator describes it. Dependencies are those of the latest version."""

    purl: PurlText
    latest_version: Short | None = None
    description: Text | None = None
    homepage: WebAddress | None = None
    licences: tuple[Text, ...] | None = Field(
        default=None, max_length=50, description="SPDX where the upstream has it."
    )
    deprecated: bool | None = Field(default=None, description="Null: the upstream does not tell.")
    repository: RepositoryClaim | None = None
    funding: tuple[FundingLink, ...] | None = Field(default=None, max_length=100)
    dependencies: tuple[DependencyRecord, ...] | None = Field(default=None, max_length=MAX_DEPENDENCIES)
    dependencies_unknown: Text | None = Field(default=None, description="Why `dependencies` is null.")
    diagnostics: tuple[Diagnostic, ...] = Field(default=(), max_length=MAX_DIAGNOSTICS)


class Project(Record):
    """What a manifest says of itself."""

    name: Name | None = None
    version: Short | None = None


class ManifestRecord(Record):
    """One file that states dependencies.

    `ok`: all of it was read. `partial`: entries were left out, see `diagnostics`. A file that can't be read
    at all is an `InvalidManifest` error instead.
    """

    path: Text
    format: Short = Field(description="Name of the file format, such as `package.json`.")
    ecosystem: Short
    kind: Literal["manifest", "lockfile"]
    status: Literal["ok", "partial"]
    project: Project | None = None
    dependencies: tuple[DependencyRecord, ...] = Field(max_length=MAX_DEPENDENCIES)
    needs: tuple[Text, ...] = Field(default=(), max_length=100, description="Paths of sibling files it wants to read.")
    diagnostics: tuple[Diagnostic, ...] = Field(default=(), max_length=MAX_DIAGNOSTICS)


class ProviderHealth(Record):
    """Whether the upstream answers."""

    ok: bool
    detail: Text | None = None
