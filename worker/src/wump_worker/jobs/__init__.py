"""The jobs: plain async functions of (resources, execution), one file per noun, and the registry of them all.

A job fetches with no transaction open, then saves facts, brings the answer up to date, plans what follows and
finishes its execution in one short transaction. Running it again is harmless.

To add one: write the function in the file of its noun, and a line in `JOBS`. That is all: the actor finds it here,
the scheduler makes a schedule of each `cron`, and `wump jobs run` plans it by hand.
"""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass

from pydantic import BaseModel, ConfigDict, Field
from wump_core.errors import ConfigurationError
from wump_core.hosts import parse_repository_url
from wump_core.purl import parse_purl
from wump_core.schedule import DISCOVER_DEPENDENTS, READ_REPOSITORY, REFRESH_PACKAGE
from wump_core.store.executions import Execution

from wump_worker.jobs.changes import FOLLOW_CHANGES, FOLLOW_FEED, follow_changes, follow_feed
from wump_worker.jobs.cleanup import CLEAN_UP, clean_up
from wump_worker.jobs.dependents import discover_dependents
from wump_worker.jobs.discovery import (
    DISCOVER_REPOSITORIES,
    SEARCH_REPOSITORIES,
    discover_repositories,
    read_search,
    search_repositories,
)
from wump_worker.jobs.organizations import ENRICH_ORGANIZATIONS, enrich_organizations
from wump_worker.jobs.owners import RESTAMP_ORGANIZATION, restamp_organization
from wump_worker.jobs.packages import refresh_package
from wump_worker.jobs.refreshes import PLAN_REFRESHES, plan_refreshes
from wump_worker.jobs.repositories import read_repository
from wump_worker.jobs.statistics import REFRESH_STATISTICS, refresh_statistics
from wump_worker.jobs.takedowns import APPLY_TAKEDOWN, apply_takedown
from wump_worker.resources import Resources

EVERYTHING = "all"
"""The subject of a job that is about no single thing."""


class Arguments(BaseModel):
    """Base of a job's arguments, read from its row: an argument that isn't known is a fault of the row."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class PackageArguments(Arguments):
    """Of `refresh_package`."""

    depth: int = Field(default=0, ge=0, le=10, description="How many levels of its dependencies are fetched after it.")


def _no_subject(given: str) -> str:
    if given not in ("", EVERYTHING):
        raise ConfigurationError(f"{given!r}: this job is about no single thing, leave the subject out")
    return EVERYTHING


def _package(given: str) -> str:
    return str(parse_purl(given))


def _repository(given: str) -> str:
    url = parse_repository_url(given)
    if url is None:
        raise ConfigurationError(f"{given!r} names no repository: expected https://host/owner/name")
    return url.url


def _provider(given: str) -> str:
    if not given:
        raise ConfigurationError("name the provider whose feed is followed, such as `npm`")
    return given


def _account(given: str) -> str:
    host, separator, login = given.partition("/")
    if not separator or "." not in host or not login:
        raise ConfigurationError(f"{given!r} names no account: expected host/login")
    return given.lower()


@dataclass(frozen=True, slots=True)
class Job:
    """One kind of work.

    `run` finds in `execution.arguments` what the row holds, checked by `arguments` and with its defaults filled in;
    the actor refuses rows that don't fit. Raise `version` when what a row holds changes its meaning: rows of an older
    version are then dead with an error that says so. `subject` brings a subject given by hand into the form of the
    ledger, or raises a `WumpError` that says what was expected.
    """

    run: Callable[[Resources, Execution], Awaitable[None]]
    summary: str
    subject: Callable[[str], str] = _no_subject
    arguments: type[Arguments] = Arguments
    version: int = 1
    queue: str = "low"
    cron: str | None = None
    """When it runs by itself, in UTC, with the subject `all`; an operator may change it. Null: only when planned."""
    deadline_seconds: float | None = None
    """For one run; null: as WUMP_WORKER_JOB_DEADLINE_SECONDS says."""


JOBS: Mapping[str, Job] = {
    REFRESH_PACKAGE: Job(
        refresh_package,
        "Fetch a package from its registry and save what it says.",
        subject=_package,
        arguments=PackageArguments,
    ),
    READ_REPOSITORY: Job(
        read_repository, "Read the files of dependencies in a repository, at one commit.", subject=_repository
    ),
    PLAN_REFRESHES: Job(
        plan_refreshes, "Make due what was not looked at for as long as it deserves.", cron="*/15 * * * *"
    ),
    FOLLOW_CHANGES: Job(follow_changes, "Make following each provider's feed of changes due.", cron="*/5 * * * *"),
    FOLLOW_FEED: Job(
        follow_feed, "Make due what changed upstream, as a feed says.", subject=_provider, deadline_seconds=600
    ),
    DISCOVER_DEPENDENTS: Job(
        discover_dependents,
        "Ask aggregators and code searches who depends on a package.",
        subject=_package,
        deadline_seconds=1_800,
    ),
    DISCOVER_REPOSITORIES: Job(
        discover_repositories, "Make each search for popular repositories due.", cron="0 2 * * *"
    ),
    SEARCH_REPOSITORIES: Job(
        search_repositories,
        "Walk over one search for repositories, and make due what should be read.",
        subject=read_search,
        deadline_seconds=3_600,
    ),
    ENRICH_ORGANIZATIONS: Job(
        enrich_organizations,
        "Ask hosts about the organizations that depend on tracked packages.",
        cron="0 3 * * 0",
        deadline_seconds=3_600,
    ),
    RESTAMP_ORGANIZATION: Job(
        restamp_organization,
        "Write the rows of the answer again that show an older kind of an organization.",
        subject=_account,
        deadline_seconds=1_800,
    ),
    REFRESH_STATISTICS: Job(
        refresh_statistics,
        "Count what there is, and bring the names for searches up to date.",
        cron="*/15 * * * *",
        deadline_seconds=1_800,
    ),
    APPLY_TAKEDOWN: Job(
        apply_takedown,
        "Take an account out of all lists, or back into them.",
        subject=_account,
        deadline_seconds=3_600,
    ),
    CLEAN_UP: Job(
        clean_up, "Mark what is of the past, remove what is past its time.", cron="0 4 1 * *", deadline_seconds=3_600
    ),
}
"""Each job by the name that its rows carry."""
