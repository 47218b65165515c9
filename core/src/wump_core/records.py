"""Records: what crosses the boundary between a provider and wump.

All are frozen, forbid unknown fields, bound every size, and hold only text that Postgres can store. Whatever
a plugin returns is validated here once; behind this line nobody checks again. A value that an upstream did
not tell is null, with a reason beside it where that matters: an empty tuple means "asked, and none".
"""

from collections.abc import Callable, Iterable
from typing import Annotated, Any, Generic, Literal, Self, TypeVar

from pydantic import (
    AwareDatetime,
    BaseModel,
    ConfigDict,
    FailFast,
    Field,
    StringConstraints,
    ValidationError,
    model_validator,
)

from wump_core.errors import InvalidResponse
from wump_core.texts import HostPath, Name, PurlText, Short, Storable, Text, WebAddress

MAX_DEPENDENCIES = 20_000
MAX_MANIFEST_DEPENDENCIES = 200_000
MAX_INVENTORY_MANIFESTS = 1_000
MAX_DIAGNOSTICS = 500
MAX_NEEDS = 100
MAX_FUNDING_LINKS = 100
MAX_TREE_ENTRIES = 200_000
MAX_PAGE_ITEMS = 10_000


Scope = Literal["runtime", "development", "test", "build", "peer", "optional", "unknown"]
DependencySource = Literal["registry", "git", "url", "path", "link", "workspace"]
"""Where a dependency comes from.

`registry` alone is counted, also through a mirror or an alias. `git`, `url` (an archive) and `path` (a copy of a
local file or directory, editable or not) say where the thing itself is. `link` is a directory that is only linked to
(`link:` and `portal:`). `workspace` is a member of the same project: `workspace:`, `workspace = true`, a member's
name that a lockfile resolves to the member's directory.
"""
ProviderType = Literal["repository", "registry", "aggregator"]
Count = Annotated[int, Field(ge=0, le=2**53)]


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

    `purl` is the real package (aliases resolved) and null for what is no registry package: git, url, path, link
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
    """One file that states dependencies, or where its project asks for money.

    `ok`: all of it was read. `partial`: entries were left out, see `diagnostics`. A file that can't be read
    at all is an `InvalidManifest` error instead.
    """

    path: Text
    format: Short = Field(description="Name of the file format, such as `package.json`.")
    ecosystem: Short
    kind: Literal["manifest", "lockfile"]
    status: Literal["ok", "partial"]
    project: Project | None = None
    # The first bad one ends the check: to tell of all would cost a hostile file more than it may take.
    dependencies: Annotated[tuple[DependencyRecord, ...], FailFast()] = Field(max_length=MAX_MANIFEST_DEPENDENCIES)
    funding: tuple[FundingLink, ...] = Field(
        default=(), max_length=MAX_FUNDING_LINKS, description="Where the project asks for money, as the file says."
    )
    needs: tuple[Text, ...] = Field(
        default=(),
        max_length=MAX_NEEDS,
        description="Paths of files it wants to read beside it, from the root of the tree; `*`, `?` and `**` are "
        "globs. The caller adds those that are there to `siblings` and calls again, until nothing new is named.",
    )
    diagnostics: tuple[Diagnostic, ...] = Field(default=(), max_length=MAX_DIAGNOSTICS)


class DumpInfo(Record):
    """What a dump says of itself, before its first record."""

    made_at: AwareDatetime | None = Field(default=None, description="When the upstream made it.")
    packages: Count | None = Field(default=None, description="How many packages it holds.")
    repositories: Count | None = Field(default=None, description="How many repositories it holds.")


class ProviderHealth(Record):
    """Whether the upstream answers."""

    ok: bool
    detail: Text | None = None


Host = Annotated[str, StringConstraints(min_length=3, max_length=255, pattern=r"^[a-z0-9.-]+$")]
"""A code host's name, in lower case."""
AccountKind = Literal["organization", "user", "unknown"]
Visibility = Literal["public", "private"]


class RepositoryRecord(Record):
    """A repository as its host describes it. Null is what the host did not tell."""

    host: Host
    path: HostPath = Field(description="As the host writes it now: after a rename, the new one.")
    host_id: Short | None = Field(default=None, description="The host's own id, which outlives renames.")
    owner: HostPath | None = Field(default=None, description="Login or group path of the account that owns it.")
    owner_id: Short | None = Field(default=None, description="The host's id of that account.")
    owner_kind: AccountKind = "unknown"
    visibility: Visibility | None = None
    description: Text | None = None
    homepage: WebAddress | None = None
    language: Short | None = None
    licence: Short | None = Field(default=None, description="SPDX where the host recognised it.")
    topics: tuple[Short, ...] | None = Field(default=None, max_length=100)
    stars: Count | None = None
    forks: Count | None = None
    fork: bool | None = None
    parent: HostPath | None = Field(default=None, description="Path of the repository that it is a fork of.")
    archived: bool | None = None
    template: bool | None = None
    mirror: bool | None = None
    empty: bool | None = Field(default=None, description="It has no commit.")
    default_branch: Short | None = None
    created_at: AwareDatetime | None = None
    pushed_at: AwareDatetime | None = None
    funding: tuple[FundingLink, ...] | None = Field(default=None, max_length=100)


class InventoryRecord(Record):
    """A repository and its files that state dependencies, as an aggregator has read them.

    Manifests are null where the aggregator does not tell them; an empty tuple: it knows of none.
    """

    repository: RepositoryRecord
    revision: Short | None = Field(default=None, description="The commit, or else the branch, that they were read at.")
    manifests: tuple[ManifestRecord, ...] | None = Field(default=None, max_length=MAX_INVENTORY_MANIFESTS)


class RepositoryQuery(Record):
    """Which repositories to search for; all that is given must hold. The most starred come first."""

    text: Short | None = None
    language: Short | None = None
    owner: HostPath | None = None
    topic: Short | None = None
    min_stars: Count | None = None
    max_stars: Count | None = None
    pushed_after: AwareDatetime | None = None


class TreeEntry(Record):
    """One file of a tree. `blob` names its content: the same content, the same id."""

    path: Annotated[str, Storable(4_096, min_length=1)]
    blob: Short
    size: Count | None = Field(default=None, description="Bytes.")
    kind: Literal["file", "symlink", "submodule"] = "file"


class TreeRecord(Record):
    """All files of a repository at one revision. An empty repository has no revision and no entries."""

    revision: Short | None = Field(description="The commit.")
    entries: tuple[TreeEntry, ...] = Field(max_length=MAX_TREE_ENTRIES)
    complete: bool = Field(default=True, description="False: there are more files than these.")
    diagnostics: tuple[Diagnostic, ...] = Field(default=(), max_length=MAX_DIAGNOSTICS)


class OrganizationRecord(Record):
    """An account on a code host. Null is what the host did not tell; no address of a person is kept."""

    host: Host
    login: HostPath = Field(description="As the host writes it; a nested group's is its path.")
    host_id: Short | None = Field(default=None, description="The host's own id, which outlives renames.")
    kind: AccountKind
    name: Short | None = None
    description: Text | None = None
    website: WebAddress | None = None
    verified_domain: Short | None = Field(
        default=None, description="The domain of `website`, where the host checked it."
    )
    location: Short | None = None
    public_repositories: Count | None = None
    followers: Count | None = None
    sponsorable: bool | None = Field(default=None, description="Whether it can be sponsored at the host.")
    sponsors: Count | None = Field(default=None, description="Who sponsors it, as far as that is public.")
    sponsoring: Count | None = Field(default=None, description="Whom it sponsors, as far as that is public.")
    funding: tuple[FundingLink, ...] | None = Field(default=None, max_length=100)
    created_at: AwareDatetime | None = None
    archived_at: AwareDatetime | None = None


class SponsorshipRecord(Record):
    """One account pays another, publicly. What is private is not told, so counts of these are lower bounds."""

    host: Host
    sponsor: HostPath
    sponsor_kind: AccountKind = "unknown"
    maintainer: HostPath
    maintainer_kind: AccountKind = "unknown"
    active: bool | None = None
    one_time: bool | None = None
    created_at: AwareDatetime | None = None


class DependentRecord(Record):
    """Something that depends on a package: a package, a repository, or both, and what shows it.

    `certain` is false where the upstream only shows that the name stands there, as a code search does: such a
    repository is worth reading, and counts for nothing until it was read.
    """

    purl: PurlText | None = Field(default=None, description="The dependent package.")
    repository: RepositoryClaim | None = Field(default=None, description="The dependent repository.")
    requirement: Text | None = None
    scope: Scope = "unknown"
    direct: bool | None = None
    certain: bool = True
    path: Text | None = Field(default=None, description="The file that shows it, from the repository's root.")
    line: int | None = Field(default=None, ge=1, le=2**31 - 1)
    revision: Short | None = Field(default=None, description="The commit or version that shows it.")

    @model_validator(mode="after")
    def _names_something(self) -> Self:
        if self.purl is None and self.repository is None:
            raise ValueError("must name a package (`purl`) or a `repository`")
        return self


class RateLimit(Record):
    """What is left of one of an upstream's limits."""

    resource: Short = Field(description="The upstream's word for what is limited, such as `core` or `search`.")
    limit: Count | None = None
    remaining: Count | None = None
    reset_at: AwareDatetime | None = None


class RateLimitStatus(Record):
    """What is left of all of an upstream's limits, for the credential that asked."""

    limits: tuple[RateLimit, ...] = Field(max_length=100)


Item = TypeVar("Item")


class Page(Record, Generic[Item]):
    """Part of a list, as one call brings it.

    `next_cursor` is null at the end, else what to call with for the next page, which never comes again. A page may
    be empty and still have a next one, where the upstream needs time. `complete` is false where the upstream itself
    says that it left something out. Items that can't be read are left out and named in `diagnostics`.
    """

    items: tuple[Item, ...] = Field(max_length=MAX_PAGE_ITEMS)
    next_cursor: Annotated[str, StringConstraints(min_length=1, max_length=2_000)] | None = None
    total: Count | None = Field(default=None, description="How many there are in all, where the upstream tells.")
    complete: bool = True
    diagnostics: tuple[Diagnostic, ...] = Field(default=(), max_length=MAX_DIAGNOSTICS)


def collect_items(
    raw_items: Iterable[Any], parse: Callable[[Any], Item]
) -> tuple[tuple[Item, ...], tuple[Diagnostic, ...]]:
    """Parse each item of an answer, and set the bad ones aside with their reason instead of losing the page.

    Returns the items, and a diagnostic for each that `parse` refused with an InvalidResponse, ValueError, KeyError,
    AttributeError or TypeError; pydantic's ValidationError is a ValueError.
    """
    items: list[Item] = []
    diagnostics: list[Diagnostic] = []
    for position, raw in enumerate(raw_items):
        try:
            items.append(parse(raw))
        except (ValueError, KeyError, TypeError, AttributeError, InvalidResponse) as error:
            if len(diagnostics) < MAX_DIAGNOSTICS:
                diagnostics.append(Diagnostic(field=f"items.{position}", message=_reason(error)))
    return tuple(items), tuple(diagnostics)


def _reason(error: Exception) -> str:
    if isinstance(error, ValidationError):
        found = "; ".join(
            f"{'.'.join(map(str, item['loc']))}: {item['msg']}"
            for item in error.errors(include_url=False, include_input=False)[:5]
        )
    else:
        found = f"{type(error).__name__}: {error}"
    return "".join(character if character.isprintable() else " " for character in found)[:500]
