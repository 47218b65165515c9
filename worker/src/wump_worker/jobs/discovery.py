"""Popular repositories that nobody named: found by the operator's policy, and read."""

from collections.abc import Mapping
from urllib.parse import parse_qsl, urlencode

from pydantic import ValidationError
from wump_core import schedule
from wump_core.errors import ConfigurationError, InvalidResponse, NotFound, ProviderError
from wump_core.hosts import parse_repository_url
from wump_core.providers import Provider
from wump_core.records import Page, RepositoryQuery, RepositoryRecord
from wump_core.schedule import READ_REPOSITORY
from wump_core.store.cadence import add_missing_executions, list_tracked_ecosystems
from wump_core.store.descriptions import add_described_owners, save_descriptions
from wump_core.store.executions import Execution
from wump_core.store.providers import begin_anew, get_walk, save_attempt, save_page

from wump_worker.jobs.owners import save_owners
from wump_worker.resources import Resources

DISCOVER_REPOSITORIES = "discover_repositories"
SEARCH_REPOSITORIES = "search_repositories"
LANGUAGES: Mapping[str, tuple[str, ...]] = {
    "cargo": ("Rust",),
    "composer": ("PHP",),
    "gem": ("Ruby",),
    "golang": ("Go",),
    "hex": ("Elixir",),
    "maven": ("Java", "Kotlin"),
    "npm": ("JavaScript", "TypeScript"),
    "nuget": ("C#",),
    "pub": ("Dart",),
    "pypi": ("Python", "Jupyter Notebook"),
}
"""By ecosystem, the languages of repositories that use its packages."""


async def discover_repositories(resources: Resources, execution: Execution) -> None:
    """Make each search of the operator's policy due, at every code host that can be searched and has a token."""
    async with resources.engine.begin() as connection:
        ecosystems = await list_tracked_ecosystems(connection)
    hosts = resources.hosts_with_token(SEARCH_REPOSITORIES)
    subjects = [
        describe_search(provider.name, query)
        for provider in resources.providers.active
        if SEARCH_REPOSITORIES in provider.capabilities and provider.settings.code_host in hosts
        for query in list_queries(resources, provider.settings.code_host or "", ecosystems)
    ]
    async with resources.engine.begin() as connection:
        await add_missing_executions(connection, SEARCH_REPOSITORIES, subjects, queue="low")
        outcome: dict[str, object] = {"code": "saved", "searches": len(subjects)}
        if not hosts:
            outcome["message"] = "no code host that can be searched has a token: set WUMP_PROVIDER_GITHUB_TOKEN"
        await schedule.finish(connection, execution, records_processed=len(subjects), outcome=outcome)


def list_queries(resources: Resources, host: str, ecosystems: list[str]) -> list[RepositoryQuery]:
    """The searches that the operator's settings ask for at one host."""
    settings = resources.settings
    languages = _list_words(settings.discover_languages)
    if "tracked" in languages:
        tracked = [language for name in ecosystems for language in LANGUAGES.get(name, ())]
        languages = [*(language for language in languages if language != "tracked"), *tracked]
    owners = [word.removeprefix(f"{host}/") for word in _list_words(settings.discover_owners)]
    return [
        *(
            RepositoryQuery(language=language, min_stars=settings.discover_min_stars)
            for language in dict.fromkeys(languages)
            if language != "none"
        ),
        # `host/login` of another host has a dot before its slash; a nested group has not.
        *(RepositoryQuery(owner=owner) for owner in dict.fromkeys(owners) if "." not in owner.partition("/")[0]),
    ]


def _list_words(setting: str) -> list[str]:
    return [word.strip() for word in setting.split(",") if word.strip()]


def describe_search(provider: str, query: RepositoryQuery) -> str:
    """A search as the subject of its run: `github?language=Python&min_stars=500`."""
    return f"{provider}?{urlencode(query.model_dump(mode='json', exclude_none=True))}"


def parse_search(subject: str) -> tuple[str, RepositoryQuery]:
    """The provider and the query of a search's subject.

    Raises:
        ConfigurationError: It is none; the text says what was expected.
    """
    provider, separator, query = subject.partition("?")
    try:
        fields = RepositoryQuery.model_validate(dict(parse_qsl(query, strict_parsing=True)))
    except (ValidationError, ValueError):
        fields = RepositoryQuery()
    if not provider or not separator or fields == RepositoryQuery():
        names = ", ".join(RepositoryQuery.model_fields)
        raise ConfigurationError(f"{subject!r} is no search: expected provider?name=value&…, with {names}")
    return provider, fields


def read_search(given: str) -> str:
    """A search given by hand, in the form of the ledger."""
    return describe_search(*parse_search(given))


async def search_repositories(resources: Resources, execution: Execution) -> None:
    """Walk over one search, page by page, save what it brings, and make due what should be read.

    The place in the walk is saved with each page: a run that is cut off, or that ends at its bound, goes on there.
    """
    name, query = parse_search(execution.subject)
    provider = resources.find_provider(name, SEARCH_REPOSITORIES)
    async with resources.engine.begin() as connection:
        cursor = (await get_walk(connection, name, SEARCH_REPOSITORIES, execution.subject)).cursor
    found = planned = 0
    for remaining in reversed(range(resources.settings.discover_pages)):
        page = await _fetch_page(resources, provider, query, cursor, execution)
        records = name_records(page, provider.settings.code_host or "")
        await save_owners(resources, list(records.values()))
        async with resources.engine.begin() as connection:
            await add_described_owners(connection, list(records.values()))
        async with resources.engine.begin() as connection:
            saved = await save_descriptions(connection, provider.settings.code_host or "", records)
            urls = [f"https://{provider.settings.code_host}/{path}" for path in saved.to_read]
            planned += await add_missing_executions(connection, READ_REPOSITORY, urls, queue="low")
            found += len(records)
            cursor = page.next_cursor
            await save_page(
                connection,
                name,
                SEARCH_REPOSITORIES,
                execution.subject,
                cursor=cursor,
                at_end=cursor is None,
                complete=page.complete,
                upstream_count=page.total,
            )
            if cursor is not None and remaining:
                await schedule.hold(connection, execution)
                continue
            outcome = {"code": "saved", "found": found, "to_read": planned, "complete": cursor is None}
            await schedule.finish(connection, execution, records_processed=found, outcome=outcome)
            return


def name_records(page: Page[RepositoryRecord], host: str) -> dict[str, RepositoryRecord]:
    """The public repositories of a page at that host, by their paths as the tables have them."""
    records = {}
    for record in page.items:
        url = parse_repository_url(f"https://{record.host}/{record.path}")
        if url is not None and url.host == host and record.visibility != "private":
            records[url.path] = record
    return records


async def _fetch_page(
    resources: Resources, provider: Provider, query: RepositoryQuery, cursor: str | None, execution: Execution
) -> Page[RepositoryRecord]:
    context = resources.context(provider, on_demand=execution.queue == "high")
    try:
        return await provider.search_repositories(context, query, cursor)
    except NotFound:
        return Page[RepositoryRecord](items=())
    except ProviderError as error:
        asked = (provider.name, SEARCH_REPOSITORIES, execution.subject)
        async with resources.engine.begin() as connection:
            await save_attempt(connection, *asked, error=str(error))
            if cursor is not None and isinstance(error, InvalidResponse):
                await begin_anew(connection, *asked)
        raise
