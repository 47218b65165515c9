"""The DataProvider hooks: the whole plugin API on one page.

A plugin is a module with a handful of plain functions marked `@hookimpl`. What it implements is what it can
do; no hook but `describe_provider` is required. A hookimpl may take any subset of a hook's arguments. Only
hooks that get a `context` do input or output, through `context.http` alone, and one call is one page.

Distributions announce their module in the entry-point group `wump.providers.v1`; the name of the entry point
is the provider's name. A new major of this API is a new group.

Plugins rarely raise: the caller translates httpx errors, JSON errors and invalid records into the errors of
`wump_core.errors`. Retries, rate limits, caching and the database are not a plugin's business.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import httpx
import pluggy
from pydantic import Field, StringConstraints

from wump_core.limits import CredentialPlacement, RateLimits
from wump_core.purl import Purl
from wump_core.records import (
    DependencyRecord,
    DependentRecord,
    DumpInfo,
    InventoryRecord,
    ManifestRecord,
    OrganizationRecord,
    PackageRecord,
    Page,
    ProviderHealth,
    ProviderType,
    PurlText,
    RateLimitStatus,
    Record,
    RepositoryQuery,
    RepositoryRecord,
    Short,
    SponsorshipRecord,
    Text,
    TreeRecord,
)
from wump_core.settings import ProviderSettings

PROJECT_NAME = "wump"
ENTRY_POINT_GROUP = "wump.providers.v1"

hookspec = pluggy.HookspecMarker(PROJECT_NAME)
hookimpl = pluggy.HookimplMarker(PROJECT_NAME)

Ecosystem = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9.+-]{0,39}$")]


class ProviderInfo(Record):
    """What a provider says of itself."""

    title: Short = Field(description="Its name for people.")
    provider_type: ProviderType
    ecosystems: tuple[Ecosystem, ...] = Field(max_length=50, description="The purl types it knows.")
    manifests: tuple[Short, ...] = Field(default=(), max_length=100, description="Globs of the file names it parses.")
    settings_class: type[ProviderSettings] = ProviderSettings
    needs: Mapping[str, Short] = Field(
        default={}, max_length=50, description="Hooks that work only with a setting: hook to the setting's name."
    )
    rate_limit: Short | None = Field(default=None, description="The upstream's published limit, in words.")
    limits: RateLimits | None = Field(default=None, description="The same in numbers: what the transport keeps to.")
    credential: CredentialPlacement = Field(default="bearer", description="Where on a request a token goes.")
    licence: Text = Field(description="The licence of the upstream's data.")
    attribution: Text = Field(description="How the upstream wants to be named.")
    terms: Text | None = Field(default=None, description="Where or what the upstream's terms are.")


@dataclass(frozen=True, slots=True)
class Context:
    """What a hook that does I/O gets.

    `http` asks only the hosts that the settings name, identifies wump, bounds time and size, and decompresses;
    `settings.base_url` is never null here. `log` is a structlog logger that carries the provider's name.
    """

    http: httpx.AsyncClient
    settings: ProviderSettings
    log: Any


class DataProvider:
    """The hooks. Each docstring is the contract."""

    @hookspec(firstresult=True)
    def describe_provider(self) -> ProviderInfo:
        """Say what this provider is. Required; synchronous and pure: no I/O, the same answer each time."""

    @hookspec(firstresult=True)
    async def fetch_package(self, context: Context, purl: Purl) -> PackageRecord:
        """Fetch one package with the dependencies of its latest version.

        `dependencies` is null, with `dependencies_unknown`, where the upstream does not tell them; an empty
        tuple says that there are none. Entries that can't be read become diagnostics, never a silent drop.

        Raises: `NotFound` where the upstream knows no such package or has withdrawn it.
        """

    @hookspec(firstresult=True)
    async def search_packages(self, context: Context, query: str, cursor: str | None) -> Page[PackageRecord]:
        """Search packages by words, the best match first. `dependencies` may be null, as nobody asked for them."""

    @hookspec(firstresult=True)
    async def fetch_dependents(self, context: Context, purl: Purl, cursor: str | None) -> Page[DependentRecord]:
        """Fetch what depends on a package, as far as the upstream knows.

        A code search for manifests that name the package is one of these, with `certain` false.

        Raises: `Unavailable` where the upstream has switched this off: unknown is not none.
        """

    @hookspec(firstresult=True)
    async def fetch_changes(self, context: Context, cursor: str | None) -> Page[PurlText]:
        """Fetch which packages changed upstream since the cursor; without one, say only where it begins: now.

        `next_cursor` is never null here: it is where the next call goes on, after a page that may be empty.
        """

    @hookspec(firstresult=True)
    async def search_repositories(
        self, context: Context, query: RepositoryQuery, cursor: str | None
    ) -> Page[RepositoryRecord]:
        """Search repositories, all that there are: an upstream's cap on results is worked around."""

    @hookspec(firstresult=True)
    async def fetch_repository(self, context: Context, url: str) -> RepositoryRecord:
        """Fetch one repository, named by its web address `https://host/path`; a renamed one under its new name.

        Raises: `NotFound` where there is none, it is private, or the host may not show it.
        """

    @hookspec(firstresult=True)
    async def fetch_tree(self, context: Context, url: str, revision: str | None) -> TreeRecord:
        """Fetch the paths of all files at a revision (branch, tag or commit; null: the default branch's head)."""

    @hookspec(firstresult=True)
    async def fetch_file(self, context: Context, url: str, revision: str, path: str) -> bytes:
        """Fetch one file's bytes at a revision.

        Raises: `NotFound` where there is no such file, or it is no file.
        """

    @hookspec(firstresult=True)
    async def fetch_dependency_graph(self, context: Context, url: str, cursor: str | None) -> Page[DependencyRecord]:
        """Fetch what the host itself computed that a repository depends on.

        A host that needs time for it answers with an empty page whose cursor asks for the result.
        """

    @hookspec(firstresult=True)
    async def fetch_organization(self, context: Context, host: str, login: str) -> OrganizationRecord:
        """Fetch one account of a code host, an organization's or a person's, with where it can be funded."""

    @hookspec(firstresult=True)
    async def fetch_sponsorships(
        self, context: Context, host: str, login: str, cursor: str | None
    ) -> Page[SponsorshipRecord]:
        """Fetch the public sponsorships that an account gives, then those that it gets."""

    @hookspec(firstresult=True)
    def parse_manifest(self, path: str, content: bytes, siblings: Mapping[str, bytes]) -> ManifestRecord:
        """Read one file that states dependencies. Synchronous and pure.

        `path` is relative to the root of its tree, with `/`; `siblings` maps such paths to the contents of
        other files. What the format wants beside it is returned as `needs`, so that a caller may fetch those
        files and call again.

        Raises: `InvalidManifest` where nothing of it can be read.
        """

    @hookspec(firstresult=True)
    def read_dump(self, path: Path) -> Iterator[DumpInfo | PackageRecord | InventoryRecord]:
        """Read a dump, a file or a folder, one record after another: each thing once, always in the same order.

        Synchronous; memory stays the same however large the dump is. It opens nothing but the dump, and temporary
        files that are gone with it. A `DumpInfo` comes first, where the dump says of itself when it was made.

        Raises: `InvalidDump` where it can't be read on, naming file, row and column; what came before is right.
        """

    @hookspec(firstresult=True)
    async def health_check(self, context: Context) -> ProviderHealth:
        """Ask the upstream for as little as shows that it answers."""

    @hookspec(firstresult=True)
    async def rate_limit_status(self, context: Context) -> RateLimitStatus:
        """Ask the upstream what is left of its limits, where asking costs nothing."""


REQUIRED_HOOKS = frozenset({"describe_provider"})
CAPABILITIES = tuple(name for name in vars(DataProvider) if not name.startswith("_") and name not in REQUIRED_HOOKS)
"""Names of the hooks that a provider may leave out."""
