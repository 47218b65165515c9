"""The shapes of the answers, as OpenAPI shows them. Routes answer with finished bytes; tests hold these to them."""

import re
from datetime import datetime
from typing import Annotated, Any, Generic, Literal, TypeVar
from uuid import UUID

from pydantic import AwareDatetime, BaseModel, BeforeValidator, ConfigDict, Field
from wump_core.records import PurlText, Scope

Item = TypeVar("Item")


def _check_moment(value: Any) -> Any:
    """Raises `ValueError` for a number, also as text, which would else count as seconds since 1970."""
    if value is not None and not isinstance(value, datetime) and not re.match(r"\d{4}-\d\d-\d\d.", str(value)):
        raise ValueError("write a moment as 2027-12-31T23:59:59Z")
    return value


Moment = Annotated[AwareDatetime, BeforeValidator(_check_moment)]
"""A moment that a client gives, as RFC 3339 writes it."""


class Model(BaseModel):
    """Base of all answers."""

    model_config = ConfigDict(extra="forbid")


class Organization(Model):
    """Who owns repositories. `kind` is unknown until a code host was asked."""

    id: UUID
    host: str = Field(examples=["github.com"])
    login: str = Field(examples=["expressjs"], description="Case-folded; a nested group path on GitLab.")
    kind: Literal["organization", "user", "unknown"]
    profile_url: str = Field(examples=["https://github.com/expressjs"])


class Repository(Model):
    """The repository that a package names as its own."""

    url: str = Field(examples=["https://github.com/expressjs/express"])
    host: str
    path: str
    directory: str | None = Field(description="Where in the repository the package stands.")
    verified: bool = Field(description="False: only the package says so.")


class Funding(Model):
    """Where a package asks for money."""

    url: str
    type: str | None


class Excluded(Model):
    """Pairs of the package and a repository that are left out of the list, by reason; one reason a pair."""

    suppressed: int = Field(description="The owner asked to be named nowhere.")
    own_organization: int = Field(description="The repository belongs to the package's own organization.")
    refuted: int = Field(description="Only packages say so whose claim on the repository its own files refute.")
    fork: int = Field(description="The repository is a fork.")
    archived: int = Field(description="The repository is archived.")
    template: int = Field(description="The repository is a template.")
    vendored: int = Field(description="Only copies of others' code say so.")
    example: int = Field(description="Only examples, tests' data or documentation say so.")
    no_owner: int = Field(description="No owner is known; dependent packages without a repository count here.")


ExclusionReason = Literal[
    "own_organization", "refuted", "fork", "archived", "template", "vendored", "example", "no_owner"
]
SourceKind = Literal["registry_version", "manifest", "lockfile", "aggregator"]


class Counts(Model):
    """How many depend on a package. listed repositories + excluded pairs = all pairs."""

    organizations: int
    repositories: int
    excluded: Excluded


class Package(Model):
    """A package, and what its registry says of it."""

    id: UUID
    purl: PurlText = Field(examples=["pkg:npm/express"])
    ecosystem: str = Field(examples=["npm"])
    name: str = Field(examples=["express"])
    url: str = Field(examples=["/api/v1/packages/npm/express"], description="Permalink.")
    tracked: bool
    provider: str | None = Field(description="Who told the facts; null: nobody was asked yet.")
    fetched_at: datetime | None
    missing: str | None = Field(description="Why the registry has it no more; null: it has, or was not asked.")
    latest_version: str | None
    description: str | None
    homepage: str | None
    licences: list[str] | None
    deprecated: bool | None
    funding: list[Funding] | None = Field(description="Empty: it asks for none. Null: unknown.")
    repository: Repository | None
    organization: Organization | None
    dependencies_unknown: str | None = Field(description="Why its dependencies are not known; null: they are.")
    dependents: Counts


class Evidence(Model):
    """The strongest statement that shows the dependency."""

    repository: str = Field(examples=["https://github.com/expressjs/express"])
    claimed: bool = Field(description="True: that the package stands in this repository is only its own word.")
    source: SourceKind
    provider: str
    package: PurlText | None = Field(description="The dependent package that states it; null: a file does.")
    version: str | None = Field(description="Of the package, or the commit of the file.")
    path: str | None = Field(description="The file that states it, from the repository's root.")
    url: str | None = Field(description="Where the line can be read, at its commit.")
    field: str | None = Field(description="The key of the document it stands under.", examples=["dependencies"])
    scope: Scope
    requirement: str | None = Field(examples=["^4.18.0"])
    line: int | None


class DependentOrganization(Model):
    """One row of the answer: an organization that depends on the package."""

    id: UUID = Field(description="The organization's id.")
    host: str = Field(examples=["github.com"])
    login: str = Field(examples=["expressjs"], description="Case-folded; a nested group path on GitLab.")
    kind: Literal["organization", "user", "unknown"]
    profile_url: str = Field(examples=["https://github.com/expressjs"])
    url: str = Field(
        examples=["/api/v1/packages/npm/debug/dependents/evidence?organization=01890a5d-ac96-774b-bcce-b302099a8057"],
        description="Permalink: all evidence for this row.",
    )
    repositories: int = Field(description="How many of its repositories depend on the package.")
    usage: dict[Scope, int] = Field(
        examples=[{"runtime": 3, "development": 1}],
        description="Repositories by scope; a repository may count in several.",
    )
    stars: int | None = Field(description="Of those repositories; null: unknown.")
    last_activity_at: datetime | None = Field(description="Null: unknown.")
    first_seen_at: datetime | None
    providers: list[str]
    evidence: Evidence | None = Field(description="Null: it depends on the package no more.")


class DependentRepository(Model):
    """A repository that depends on the package."""

    id: UUID
    url: str
    host: str
    path: str
    organization: Organization | None
    scopes: list[Scope]
    direct: bool
    claimed: bool
    excluded: ExclusionReason | None
    stars: int | None
    last_activity_at: datetime | None
    first_seen_at: datetime | None
    providers: list[str]


class Statement(Model):
    """One statement: this package's version needs that package."""

    id: UUID = Field(description="The same for as long as the source says the same.")
    permalink: str = Field(description="The list with this statement alone.")
    package: PurlText | None = Field(description="The package that says so; null: a file does.")
    version: str | None = Field(description="Of the package, or the commit of the file.")
    dependency: PurlText = Field(description="What is needed.")
    scope: Scope
    optional: bool
    direct: bool
    requirement: str | None = Field(description="The range as written.")
    resolved_version: str | None
    alias: str | None
    groups: list[str]
    marker: str | None
    path: str | None = Field(description="The file that says so, from the repository's root.")
    url: str | None = Field(description="Where the line can be read, at its commit.")
    mark: Literal["vendored", "example"] | None = Field(description="Why what the file says does not count.")
    refuted: bool = Field(description="The repository's own files refute that the package is its.")
    field: str | None
    line: int | None
    provider: str
    source: SourceKind
    first_seen_at: datetime
    checked_at: datetime


class EvidenceStatement(Statement):
    """A statement, and the repository it speaks for."""

    repository: str
    claimed: bool
    excluded: ExclusionReason | None


class DataSource(Model):
    """Where facts come from, and under which licence."""

    provider: str
    title: str
    licence: str
    attribution: str
    terms: str | None


class Completeness(Model):
    """Whether a provider was asked, when, and with which success."""

    provider: str
    capability: str = Field(examples=["fetch_package", "fetch_dependents"])
    state: Literal["complete", "failed", "not_asked", "not_supported"]
    last_ok_at: datetime | None
    last_attempt_at: datetime | None
    reason: str | None


class Meta(Model):
    """What is to be known about a list as a whole."""

    package: PurlText | None = Field(description="Whose list it is; null: it is of no single package.")
    as_of: datetime | None = Field(description="When the answer last changed or the package was last fetched.")
    total: int | None = Field(description="Exact for the unfiltered list; null where a filter is on.")
    excluded: Excluded | None = Field(
        description="Of the package's list of dependents, whatever is listed and filtered here; null without a package."
    )
    completeness: list[Completeness]
    sources: list[DataSource]
    hint: str | None = Field(description="What to do where the list is empty.")


class Page(Model, Generic[Item]):
    """A page of a list. `next_cursor` is null on the last one."""

    data: list[Item]
    next_cursor: str | None
    meta: Meta


class FacetCounts(Model):
    """Organizations by what they are; of hosts and providers the fifty most frequent."""

    kind: dict[str, int] = Field(examples=[{"organization": 12, "user": 3}])
    scope: dict[str, int] = Field(examples=[{"runtime": 11, "development": 7}], description="One may count in several.")
    host: dict[str, int] = Field(examples=[{"github.com": 15}])
    provider: dict[str, int] = Field(examples=[{"npm": 15}], description="One may count in several.")


class Facets(Model):
    """The organizations that depend on a package, counted by what they are."""

    package: PurlText
    url: str
    organizations: int | None = Field(description="Those that were counted; null: not counted so far.")
    facets: FacetCounts | None
    as_of: datetime | None = Field(description="When they were counted; null: not so far.")


class TrackRequest(Model):
    """Which package to track."""

    purl: str = Field(
        min_length=1, max_length=1_000, examples=["pkg:npm/express"], description="Or the short form npm:express."
    )


class Execution(Model):
    """One run of a job."""

    id: UUID
    url: str = Field(
        examples=["/api/v1/executions/01890a5d-ac96-774b-bcce-b302099a8057"], description="Where to look again."
    )
    job: str = Field(examples=["refresh_package"])
    subject: str = Field(examples=["pkg:npm/express"], description="What it is about.")
    queue: Literal["high", "normal", "low"]
    state: Literal["pending", "running", "completed", "failed", "dead"] = Field(
        description="failed: a retry is due at `due_at`; dead: given up."
    )
    attempts: int
    lost_leases: int
    records_processed: int | None
    outcome: dict[str, Any] | None = Field(
        examples=[{"code": "saved", "provider": "npm", "version": "5.3.0"}],
        description="What it came to: a `code`, a `message` where there is something to say, and more by code.",
    )
    created_at: datetime
    due_at: datetime
    started_at: datetime | None
    finished_at: datetime | None


class Limit(Model):
    """What is left of one of an upstream's limits."""

    resource: str = Field(description="The upstream's word for what is limited.", examples=["core"])
    limit: int | None
    remaining: int | None
    reset_at: datetime | None


class Provider(Model):
    """A provider as the workers loaded and saw it last."""

    id: str = Field(description="Its name.", examples=["npm"])
    url: str = Field(examples=["/api/v1/providers/npm"], description="Permalink.")
    name: str
    distribution: str | None
    version: str | None
    state: Literal["active", "broken"]
    reason: str | None
    title: str | None
    provider_type: Literal["repository", "registry", "aggregator"] | None
    ecosystems: list[str]
    capabilities: list[str]
    rate_limit: str | None
    licence: str | None
    attribution: str | None
    terms: str | None
    healthy: bool | None = Field(description="Whether the workers ask its upstream; null: not reported yet.")
    health: str | None = Field(description="Why they don't.")
    limits: list[Limit] | None = Field(description="What its upstream says is left; null: not reported yet.")
    last_ok_at: datetime | None = Field(description="When its upstream last answered.")
    last_error_at: datetime | None
    last_error: str | None
    seen_at: datetime


class Health(Model):
    """Whether a part works."""

    status: Literal["ok", "unavailable"]
    detail: str | None = None


class JobsHealth(Health):
    """Whether background work goes on."""

    scheduler_alive: bool | None = Field(description="Null: Valkey is away, so nobody can tell.")
    worker_alive: bool | None
    progressing: bool | None = Field(description="Whether what is due gets done; null: nothing is due.")
    waiting: int = Field(description="Not started, due now or later.")
    due: int = Field(description="Of these, those that are due, without those of paused jobs.")
    running: int
    dead: int = Field(description="Given up, kept for the operator.")
    oldest_due_seconds: float = Field(description="How long the oldest of those that are due has waited.")
    idle_seconds: float | None = Field(description="Since a run last started or ended; null: not within the last day.")
    last_finished_at: datetime | None = Field(description="Within the last day; null: nothing finished.")
