"""Providers: chosen by what is asked, and called one at a time.

Who is asked is one policy: of all that can do it, a package's registry first, since its own word counts, then the
others in the operator's order (`WUMP_PROVIDERS`); the next one only where the one before is out of reach. Whatever a
plugin's code raises leaves here as one of the errors of `wump_core.errors`.
"""

import asyncio
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence, Sized
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import urlsplit

import structlog
from annotated_types import MaxLen
from pydantic import BaseModel

from wump_core.errors import (
    ConfigurationError,
    InvalidDump,
    InvalidManifest,
    InvalidResponse,
    NotFound,
    ProviderError,
    ProviderFailed,
    RateLimited,
    Unavailable,
)
from wump_core.failures import storable, translate_error
from wump_core.hookspecs import CAPABILITIES, Context, ProviderInfo
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
    RateLimitStatus,
    RepositoryQuery,
    RepositoryRecord,
    SponsorshipRecord,
    TreeRecord,
)
from wump_core.settings import ProviderSettings

CALL_DEADLINE_SECONDS = 45.0

Result = TypeVar("Result")
Item = TypeVar("Item")
log = structlog.get_logger("wump.providers")


@dataclass(frozen=True, slots=True)
class Provider:
    """A loaded provider.

    `capabilities` are the hooks that it implements and that can be called; `lacking` names the setting without
    which one of the others can't.
    """

    name: str
    distribution: str
    version: str
    info: ProviderInfo
    settings: ProviderSettings
    base_url_origin: str
    capabilities: frozenset[str]
    hooks: Any
    module: str
    lacking: Mapping[str, str] = field(default_factory=dict)

    async def fetch_package(self, context: Context, purl: Purl) -> PackageRecord:
        """Call the hook; see `hookspecs`. Raises a `ProviderError`, never anything else. So do all others here."""
        record = await self._call(PackageRecord, self.hooks.fetch_package, context=context, purl=purl)
        if record.purl != str(purl):
            raise InvalidResponse(f"{self.name} was asked for {purl} and answered with {record.purl}")
        return record

    async def search_packages(self, context: Context, query: str, cursor: str | None) -> Page[PackageRecord]:
        """Call the hook."""
        return await self._call_page(
            PackageRecord, self.hooks.search_packages, context=context, query=query, cursor=cursor
        )

    async def fetch_dependents(self, context: Context, purl: Purl, cursor: str | None) -> Page[DependentRecord]:
        """Call the hook."""
        return await self._call_page(
            DependentRecord, self.hooks.fetch_dependents, context=context, purl=purl, cursor=cursor
        )

    async def fetch_changes(self, context: Context, cursor: str | None) -> Page[str]:
        """Call the hook."""
        page = await self._call_page(str, self.hooks.fetch_changes, context=context, cursor=cursor)
        if page.next_cursor is None:
            raise InvalidResponse(f"{self.name} does not say from where its changes go on")
        return page

    async def search_repositories(
        self, context: Context, query: RepositoryQuery, cursor: str | None
    ) -> Page[RepositoryRecord]:
        """Call the hook."""
        return await self._call_page(
            RepositoryRecord, self.hooks.search_repositories, context=context, query=query, cursor=cursor
        )

    async def fetch_repository(self, context: Context, url: str) -> RepositoryRecord:
        """Call the hook."""
        self._require_host(urlsplit(url).hostname)
        return await self._call(RepositoryRecord, self.hooks.fetch_repository, context=context, url=url)

    async def fetch_tree(self, context: Context, url: str, revision: str | None) -> TreeRecord:
        """Call the hook."""
        self._require_host(urlsplit(url).hostname)
        return await self._call(TreeRecord, self.hooks.fetch_tree, context=context, url=url, revision=revision)

    async def fetch_file(self, context: Context, url: str, revision: str, path: str) -> bytes:
        """Call the hook."""
        self._require_host(urlsplit(url).hostname)
        return await self._call(bytes, self.hooks.fetch_file, context=context, url=url, revision=revision, path=path)

    async def fetch_dependency_graph(self, context: Context, url: str, cursor: str | None) -> Page[DependencyRecord]:
        """Call the hook."""
        return await self._call_page(
            DependencyRecord, self.hooks.fetch_dependency_graph, context=context, url=url, cursor=cursor
        )

    async def fetch_organization(self, context: Context, host: str, login: str) -> OrganizationRecord:
        """Call the hook."""
        self._require_host(host)
        return await self._call(
            OrganizationRecord, self.hooks.fetch_organization, context=context, host=host, login=login
        )

    async def fetch_sponsorships(
        self, context: Context, host: str, login: str, cursor: str | None
    ) -> Page[SponsorshipRecord]:
        """Call the hook."""
        return await self._call_page(
            SponsorshipRecord, self.hooks.fetch_sponsorships, context=context, host=host, login=login, cursor=cursor
        )

    async def rate_limit_status(self, context: Context) -> RateLimitStatus:
        """Call the hook."""
        return await self._call(RateLimitStatus, self.hooks.rate_limit_status, context=context)

    async def health_check(self, context: Context) -> ProviderHealth:
        """Call the hook; a failure is an unhealthy answer, not an error."""
        if "health_check" not in self.capabilities:
            return ProviderHealth(ok=True, detail="the provider has no check of its own")
        try:
            return await self._call(ProviderHealth, self.hooks.health_check, context=context)
        except ProviderError as error:
            return ProviderHealth(ok=False, detail=str(error)[:2_000])

    def parse_manifest(self, path: str, content: bytes, siblings: Mapping[str, bytes]) -> ManifestRecord:
        """Call the hook. Raises `InvalidManifest`, or `ProviderFailed` where the plugin itself is at fault."""
        try:
            record = self.hooks.parse_manifest(path=path, content=content, siblings=siblings)
        except InvalidManifest:
            raise
        except Exception as error:
            raise ProviderFailed(f"{self.name} failed on {path}: {type(error).__name__}: {error}"[:500]) from error
        return self._checked(ManifestRecord, record)

    def read_dump(self, path: Path) -> Iterator[DumpInfo | PackageRecord | InventoryRecord]:
        """Call the hook; a `DumpInfo` comes first, be it an empty one, and then packages and repositories.

        Raises `InvalidDump`, or `ProviderFailed` where the plugin itself is at fault.
        """
        begun = False
        try:
            for record in self.hooks.read_dump(path=path):
                if not begun and not isinstance(record, DumpInfo):
                    yield DumpInfo()
                is_info = not begun and isinstance(record, DumpInfo)
                other = InventoryRecord if isinstance(record, InventoryRecord) else PackageRecord
                yield self._checked(DumpInfo if is_info else other, record)
                begun = True
        except ProviderError as error:
            error.args = (storable(str(error)),)
            raise
        except OSError as error:
            raise InvalidDump(storable(f"{path} can't be read: {error.strerror or error}")) from error
        except Exception as error:
            raise ProviderFailed(storable(f"{self.name} failed on {path}: {type(error).__name__}: {error}")) from error
        if not begun:
            yield DumpInfo()

    async def _call(self, result_type: type[Result], hook: Callable[..., Awaitable[Any]], **arguments: Any) -> Result:
        try:
            async with asyncio.timeout(CALL_DEADLINE_SECONDS):
                result = await hook(**arguments)
        except ProviderError as error:
            error.args = (storable(str(error)),)
            raise
        except (Exception, SystemExit) as error:
            raise translate_error(self.name, error) from error
        return self._checked(result_type, result)

    def _require_host(self, host: str | None) -> None:
        if host != self.settings.code_host:
            raise NotFound(f"{self.name} knows only {self.settings.code_host or 'no code host'}, not {host}"[:500])

    async def _call_page(
        self, item_type: type[Item], hook: Callable[..., Awaitable[Any]], **arguments: Any
    ) -> Page[Item]:
        page = await self._call(Page, hook, **arguments)
        for item in page.items:
            self._checked(item_type, item)
        return page

    def _checked(self, result_type: type[Result], result: object) -> Result:
        if not isinstance(result, result_type):
            raise ProviderFailed(f"{self.name} returned {type(result).__name__} instead of {result_type.__name__}")
        if isinstance(result, BaseModel):
            self._check_sizes(result)
        return result

    def _check_sizes(self, record: BaseModel) -> None:
        """A plugin may make records without validating them; what holds far too much is not even looked at."""
        for name, most in _list_limits(type(record)):
            value = getattr(record, name, None)
            if isinstance(value, Sized) and len(value) > most:
                raise ProviderFailed(f"{self.name} returned {len(value):,} {name}, at most {most:,} are taken")


@cache
def _list_limits(record_type: type[BaseModel]) -> tuple[tuple[str, int], ...]:
    """The fields of a kind of record that may hold so many."""
    return tuple(
        (name, limit.max_length)
        for name, information in record_type.model_fields.items()
        for limit in information.metadata
        if isinstance(limit, MaxLen)
    )


@dataclass(frozen=True, slots=True)
class BrokenProvider:
    """A plugin that was found and can't be used, and why."""

    name: str
    distribution: str
    version: str
    reason: str


@dataclass(frozen=True, slots=True)
class Providers:
    """All providers that were found. `active` is in order of preference."""

    active: Sequence[Provider]
    broken: Sequence[BrokenProvider]

    def without(self, reasons: Mapping[str, str]) -> "Providers":
        """The same, but these, by name, are broken for that reason."""
        broken = [
            BrokenProvider(provider.name, provider.distribution, provider.version, reasons[provider.name])
            for provider in self.active
            if provider.name in reasons
        ]
        return Providers(
            [provider for provider in self.active if provider.name not in reasons], [*self.broken, *broken]
        )

    def choose(self, capability: str, ecosystem: str) -> list[Provider]:
        """Who can do this for that ecosystem: its registry of record first, then in the operator's order."""
        able = [
            provider
            for provider in self.active
            if capability in provider.capabilities and ecosystem in provider.info.ecosystems
        ]
        return sorted(able, key=lambda provider: provider.info.provider_type != "registry")

    def choose_for_host(self, capability: str, host: str) -> list[Provider]:
        """Who can do this for that code host: the host itself first, then in the operator's order."""
        able = [
            provider
            for provider in self.active
            if capability in provider.capabilities and provider.settings.code_host == host
        ]
        return sorted(able, key=lambda provider: provider.info.provider_type != "repository")

    async def fetch_with_fallback(
        self, capability: str, ecosystem: str, call: Callable[[Provider], Awaitable[Result]]
    ) -> tuple[Provider, Result]:
        """Ask the first able provider, and the next where one is out of reach; says which one answered.

        Raises:
            ConfigurationError: No provider can do this for the ecosystem; the text says which are broken.
            ProviderError: The last one's error. Any but those of being out of reach is an answer, and ends the search.
        """
        able = self.choose(capability, ecosystem)
        if not able:
            reasons = [f"{item.name} is broken: {item.reason}" for item in self.broken]
            reasons += [
                f"{item.name} needs the setting {item.lacking[capability]}"
                for item in self.active
                if capability in item.lacking and ecosystem in item.info.ecosystems
            ]
            hint = f". {'; '.join(reasons)}" if reasons else ""
            raise ConfigurationError(
                f"no provider can {capability} for {ecosystem}: install wump-provider-{ecosystem}"
                f" or name it in WUMP_PROVIDERS{hint}"
            )
        return await _ask_in_turn(able, capability, call)

    async def fetch_from_host(
        self, capability: str, host: str, call: Callable[[Provider], Awaitable[Result]]
    ) -> tuple[Provider, Result]:
        """The same for a code host: ask the first provider that knows it, and the next where one is out of reach.

        Raises:
            ConfigurationError: No provider can do this for the host.
            ProviderError: The last one's error.
        """
        able = self.choose_for_host(capability, host)
        if not able:
            raise ConfigurationError(
                f"no provider can {capability} for {host}: install one, or name the host in WUMP_PROVIDER_…_CODE_HOST"
            )
        return await _ask_in_turn(able, capability, call)

    def describe(self) -> list[dict[str, Any]]:
        """One row per provider, as the table `providers` keeps them."""
        rows: list[dict[str, Any]] = []
        for provider in self.active:
            info = provider.info
            rows.append(
                {
                    "name": provider.name,
                    "distribution": provider.distribution,
                    "version": provider.version,
                    "state": "active",
                    "reason": "; ".join(f"{hook} needs the setting {name}" for hook, name in provider.lacking.items())
                    or None,
                    "title": info.title,
                    "provider_type": info.provider_type,
                    "ecosystems": list(info.ecosystems),
                    "capabilities": [name for name in CAPABILITIES if name in provider.capabilities],
                    "rate_limit": info.rate_limit,
                    "licence": info.licence,
                    "attribution": info.attribution,
                    "terms": info.terms,
                }
            )
        for broken in self.broken:
            rows.append(
                dict.fromkeys(("title", "provider_type", "rate_limit", "licence", "attribution", "terms"))
                | {
                    "name": broken.name,
                    "distribution": broken.distribution,
                    "version": broken.version,
                    "state": "broken",
                    "reason": broken.reason,
                    "ecosystems": [],
                    "capabilities": [],
                }
            )
        return rows


async def _ask_in_turn(
    able: Sequence[Provider], capability: str, call: Callable[[Provider], Awaitable[Result]]
) -> tuple[Provider, Result]:
    last: ProviderError = Unavailable("nobody was asked")
    for provider in able:
        try:
            return provider, await call(provider)
        except (Unavailable, RateLimited) as error:
            log.warning("provider.unavailable", provider=provider.name, capability=capability, error=str(error))
            last = error
    raise last
