"""What hosts say of accounts, and what of it the answer shows.

The answer's rows copy an organization's name and kind. Where few rows do, they are written again at once; where many
do, the organization is marked (`restamp_at`), and `restamp_answers` goes through them in steps.
"""

import json
from collections.abc import Collection, Iterable
from dataclasses import dataclass

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from wump_core.records import AccountKind, OrganizationRecord, RepositoryRecord
from wump_core.store.accounts import AccountName, add_accounts
from wump_core.store.derived import refresh_derived
from wump_core.store.organizations import (
    lock_belongings,
    lock_organizations,
    merge_organizations,
    separate_account,
)

RESTAMPED_AT_ONCE = 1_000


@dataclass(frozen=True, slots=True)
class Owner:
    """An account as a host names it beside something that it owns."""

    host: str
    login: str
    host_id: str | None
    kind: AccountKind

    @property
    def name(self) -> AccountName:
        """Its natural key."""
        return self.host, self.login.lower()


def list_owners(records: Iterable[RepositoryRecord]) -> list[Owner]:
    """The owners of these repositories, each once."""
    owners = {
        (record.host, record.owner.lower()): Owner(record.host, record.owner, record.owner_id, record.owner_kind)
        for record in records
        if record.owner is not None
    }
    return [owners[name] for name in sorted(owners)]


async def list_changed_owners(connection: AsyncConnection, owners: Collection[Owner]) -> list[Owner]:
    """Those that are new, or of whom the host says something else now than what is known: mostly none."""
    ordered = sorted(owners, key=lambda owner: owner.name)
    values = {
        "hosts": [owner.host for owner in ordered],
        "logins": [owner.login.lower() for owner in ordered],
        "host_ids": [owner.host_id for owner in ordered],
        "kinds": [owner.kind for owner in ordered],
    }
    changed = {(row.host, row.login) for row in await connection.execute(_LIST_CHANGED, values)}
    return [owner for owner in ordered if owner.name in changed]


async def save_owner(engine: AsyncEngine, owner: Owner) -> frozenset[int]:
    """Save who has this name now; returns organizations left to be restamped.

    A rename is only believed with the host's id: another name with the same id is the same account, so their
    organizations are merged. The same name with another id is somebody else, who gets an organization of its own.

    Several short transactions, as each may move one account only: what is locked together is locked in one order.
    The id comes last, so that what was cut off in between is found to be news again.

    Raises:
        ServerUnavailable: Repositories of it came meanwhile: try again.
    """
    async with engine.begin() as connection:
        account_id = (await add_accounts(connection, [owner.name]))[owner.name].id
    unfinished = True
    while unfinished:
        async with engine.begin() as connection:
            unfinished = await _take_name_over(connection, account_id, owner)
    unfinished = owner.host_id is not None
    while unfinished:
        async with engine.begin() as connection:
            unfinished = await _join_namesake(connection, account_id, owner)
    async with engine.begin() as connection:
        await lock_organizations(connection)
        await connection.execute(_SAVE_HOST_ID, {"id": account_id, "host_id": owner.host_id})
        return await save_kind(connection, account_id, owner.kind)


async def _take_name_over(connection: AsyncConnection, account_id: int, owner: Owner) -> bool:
    """Part from whoever had the name before; true: from others too, in transactions of their own."""
    await lock_organizations(connection)
    host_id = (await connection.execute(_GET_HOST_ID, {"id": account_id})).scalar_one()
    if owner.host_id is None or host_id in (None, owner.host_id):
        return False
    reason = f"{owner.login} on {owner.host} is {owner.host_id} now and was {host_id}"
    if await separate_account(connection, account_id, because=reason):
        return True
    await connection.execute(_FORGET_PROFILE, {"id": account_id})
    return False


async def _join_namesake(connection: AsyncConnection, account_id: int, owner: Owner) -> bool:
    """Merge with what the same account was before, by the host's id; true: there may be another one."""
    await lock_organizations(connection)
    values = {"id": account_id, "host": owner.host, "host_id": owner.host_id}
    for old in (await connection.execute(_LIST_SAME_ID, values)).all():
        detail = f"{owner.host} gives {old.login} and {owner.login.lower()} the same id {owner.host_id}"
        # It is shown by the name of today; one that is known by an account elsewhere keeps that name.
        ids = (old.organization_id, old.current_id) if old.known_by_it else (old.current_id, old.organization_id)
        if await merge_organizations(connection, *ids, "host_id", detail):
            return True
    return False


async def save_kind(connection: AsyncConnection, account_id: int, kind: AccountKind) -> frozenset[int]:
    """Save an account's kind, and that of the organization known by it; returns organizations left to be restamped.

    The caller holds the lock on organizations. What is known does not become unknown again.
    """
    row = (await connection.execute(_GET_KIND, {"id": account_id})).one()
    if kind in ("unknown", row.kind) and row.organization_kind in (None, row.kind):
        return frozenset()
    wanted = row.kind if kind == "unknown" else kind
    await connection.execute(_SAVE_KIND, {"id": account_id, "kind": wanted})
    if row.organization_kind in (None, wanted):
        return frozenset()
    owned = await connection.execute(_LIST_ACCOUNTS, {"id": row.organization_id})
    await lock_belongings(connection, list(owned.scalars()))
    await connection.execute(_SAVE_ORGANIZATION_KIND, {"id": row.organization_id, "kind": wanted})
    answers = await _list_stale(connection, row.organization_id, limit=RESTAMPED_AT_ONCE + 1)
    if len(answers) > RESTAMPED_AT_ONCE:
        await connection.execute(_MARK_STALE, {"id": row.organization_id})
        return frozenset([row.organization_id])
    await refresh_derived(connection, (), [(package_id, row.organization_id) for package_id in answers])
    return frozenset()


async def restamp_answers(connection: AsyncConnection, organization_id: int) -> int:
    """Write some rows of the answer again that show an older name or kind of an organization; returns how many.

    0: there are none left, and the mark is gone.
    """
    answers = await _list_stale(connection, organization_id, limit=RESTAMPED_AT_ONCE)
    if answers:
        await refresh_derived(connection, (), [(package_id, organization_id) for package_id in answers])
        return len(answers)
    await lock_organizations(connection)
    if await _list_stale(connection, organization_id, limit=1):
        return 1
    await connection.execute(_CLEAR_MARK, {"id": organization_id})
    return 0


async def save_profile(connection: AsyncConnection, account_id: int, record: OrganizationRecord) -> frozenset[int]:
    """Save what a host says of an account that it was asked about; returns organizations left to be restamped."""
    await lock_organizations(connection)
    values = record.model_dump(
        include={"name", "description", "website", "verified_domain", "location", "public_repositories", "followers"}
        | {"sponsorable", "sponsors", "sponsoring", "archived_at"}
    )
    funding = None if record.funding is None else json.dumps([link.model_dump() for link in record.funding])
    await connection.execute(_SAVE_PROFILE, values | {"id": account_id, "funding": funding})
    return await save_kind(connection, account_id, record.kind)


@dataclass(frozen=True, slots=True)
class WantedAccount:
    """An account that its host should be asked about."""

    id: int
    host: str
    login: str


async def list_wanted_accounts(
    connection: AsyncConnection, hosts: Collection[str], *, days: int, limit: int
) -> list[WantedAccount]:
    """Accounts at these hosts that were not asked about for so many days, the most wanted first.

    Wanted are those of organizations that depend on a tracked package, or own one: first who depends on most of them,
    then who is longest not looked at.
    """
    values = {"hosts": sorted(hosts), "days": days, "limit": limit}
    rows = await connection.execute(_LIST_WANTED, values)
    return [WantedAccount(row.id, row.host, row.login) for row in rows]


async def list_same_domain(connection: AsyncConnection, account_id: int) -> list[tuple[int, int, str]]:
    """Organizations that another host checked the same domain of: (absorbed, into, the evidence in words)."""
    rows = await connection.execute(_LIST_SAME_DOMAIN, {"id": account_id})
    return [(row.absorbed_id, row.into_id, row.detail) for row in rows]


async def date_account(connection: AsyncConnection, account_id: int) -> None:
    """Note that its host was asked, and said nothing that can be used."""
    await connection.execute(text("UPDATE accounts SET fetched_at = now() WHERE id = :id"), {"id": account_id})


async def save_missing_account(connection: AsyncConnection, account_id: int, reason: str) -> None:
    """Note that the host does not show it (any more). What is known of it stays, dated."""
    await connection.execute(_SAVE_MISSING, {"id": account_id, "reason": reason})


async def save_organization_counts(connection: AsyncConnection, account_id: int) -> None:
    """Add up stars and repositories of the organization that an account belongs to, and date that it was looked at."""
    await connection.execute(_SAVE_COUNTS, {"id": account_id})


async def _list_stale(connection: AsyncConnection, organization_id: int, *, limit: int) -> list[int]:
    found = await connection.execute(_LIST_STALE, {"id": organization_id, "limit": limit})
    return list(found.scalars())


_LIST_CHANGED = text(
    "SELECT given.host, given.login FROM unnest(CAST(:hosts AS text[]), CAST(:logins AS text[]),"
    " CAST(:host_ids AS text[]), CAST(:kinds AS text[])) AS given(host, login, host_id, kind)"
    " LEFT JOIN accounts a ON a.host = given.host AND a.login = given.login"
    " WHERE a.id IS NULL OR (given.host_id IS NOT NULL AND given.host_id IS DISTINCT FROM a.host_id)"
    " OR (given.kind <> 'unknown' AND given.kind <> a.kind)"
)
_GET_HOST_ID = text("SELECT host_id FROM accounts WHERE id = :id")
_FORGET_PROFILE = text(
    "UPDATE accounts SET host_id = NULL, name = NULL, description = NULL, website = NULL, verified_domain = NULL,"
    " location = NULL, public_repositories = NULL, followers = NULL, sponsorable = NULL, sponsors = NULL,"
    " sponsoring = NULL, funding = NULL, archived_at = NULL, fetched_at = NULL WHERE id = :id"
)
_SAVE_HOST_ID = text(
    "UPDATE accounts SET host_id = coalesce(CAST(:host_id AS text), host_id), missing = NULL WHERE id = :id"
)
_LIST_SAME_ID = text(
    "SELECT old.login, old.organization_id, current.organization_id AS current_id,"
    " (o.host, o.login) = (old.host, old.login) AS known_by_it FROM accounts current"
    " JOIN accounts old ON old.host = :host AND old.host_id = :host_id AND old.id <> current.id"
    " AND old.organization_id <> current.organization_id"
    " JOIN organizations o ON o.id = old.organization_id WHERE current.id = :id ORDER BY old.id"
)
_GET_KIND = text(
    "SELECT a.kind, a.organization_id,"
    " CASE WHEN (o.host, o.login) = (a.host, a.login) THEN o.kind END AS organization_kind"
    " FROM accounts a JOIN organizations o ON o.id = a.organization_id WHERE a.id = :id"
)
_SAVE_KIND = text("UPDATE accounts SET kind = :kind WHERE id = :id")
_LIST_ACCOUNTS = text("SELECT id FROM accounts WHERE organization_id = :id")
_SAVE_ORGANIZATION_KIND = text("UPDATE organizations SET kind = :kind WHERE id = :id")
_MARK_STALE = text("UPDATE organizations SET restamp_at = now() WHERE id = :id")
_CLEAR_MARK = text("UPDATE organizations SET restamp_at = NULL WHERE id = :id")
_LIST_STALE = text(
    "SELECT a.package_id FROM organizations o JOIN package_organizations a ON a.organization_id = o.id"
    " WHERE o.id = :id AND (a.host, a.login, a.kind) <> (o.host, o.login, o.kind) ORDER BY a.package_id LIMIT :limit"
)
_SAVE_PROFILE = text(
    "UPDATE accounts SET name = :name, description = :description, website = :website,"
    " verified_domain = lower(CAST(:verified_domain AS text)), location = :location,"
    " public_repositories = :public_repositories, followers = :followers, sponsorable = :sponsorable,"
    " sponsors = :sponsors, sponsoring = :sponsoring, funding = CAST(:funding AS jsonb),"
    " archived_at = :archived_at, missing = NULL, fetched_at = now() WHERE id = :id"
)
_SAVE_MISSING = text("UPDATE accounts SET missing = :reason, fetched_at = now() WHERE id = :id")
_SAVE_COUNTS = text(
    "UPDATE organizations o SET enriched_at = now(), stars = counted.stars, repositories = counted.repositories"
    " FROM (SELECT given.id, (SELECT sum(r.stars) FROM accounts a JOIN repositories r ON r.account_id = a.id"
    "     WHERE a.organization_id = given.id AND r.renamed_to IS NULL AND r.fork IS NOT TRUE)::bigint AS stars,"
    "   (SELECT sum(a.public_repositories) FROM accounts a WHERE a.organization_id = given.id)::bigint AS repositories"
    "   FROM (SELECT organization_id AS id FROM accounts WHERE id = :id) given) counted WHERE o.id = counted.id"
)
_LIST_WANTED = text(
    "WITH answering AS (SELECT po.organization_id, count(*) AS packages, max(po.repositories) AS repositories"
    "   FROM packages p JOIN package_organizations po ON po.package_id = p.id AND po.repositories > 0"
    "   WHERE p.tracked GROUP BY po.organization_id),"
    " wanted AS (SELECT * FROM answering UNION ALL SELECT organization_id, 0, 0 FROM packages"
    "   WHERE tracked AND organization_id IS NOT NULL"
    "   AND organization_id NOT IN (SELECT organization_id FROM answering))"
    " SELECT a.id, a.host, a.login FROM accounts a"
    " JOIN (SELECT organization_id, max(packages) AS packages, max(repositories) AS repositories FROM wanted"
    "   GROUP BY organization_id) w ON w.organization_id = a.organization_id"
    " WHERE a.host = ANY(CAST(:hosts AS text[])) AND (a.fetched_at IS NULL OR a.fetched_at < now()"
    "   - CASE WHEN a.missing IS NULL THEN make_interval(days => :days) ELSE interval '60 days' END)"
    " ORDER BY w.packages DESC, w.repositories DESC, a.fetched_at NULLS FIRST, a.id LIMIT :limit"
)
# What has more repositories stays; a person's domain says nothing about a company.
_LIST_SAME_DOMAIN = text(
    "SELECT CASE WHEN mine.larger THEN other.organization_id ELSE a.organization_id END AS absorbed_id,"
    " CASE WHEN mine.larger THEN a.organization_id ELSE other.organization_id END AS into_id,"
    " a.host || '/' || a.login || ' and ' || other.host || '/' || other.login || ' both have the checked domain '"
    "   || a.verified_domain AS detail"
    " FROM accounts a JOIN accounts other ON other.verified_domain = a.verified_domain AND other.host <> a.host"
    "   AND other.organization_id <> a.organization_id AND other.kind = 'organization' AND other.missing IS NULL"
    " CROSS JOIN LATERAL (SELECT (SELECT count(*) FROM repositories r WHERE r.account_id = a.id)"
    "   >= (SELECT count(*) FROM repositories r WHERE r.account_id = other.id) AS larger) mine"
    " WHERE a.id = :id AND a.kind = 'organization' ORDER BY other.id"
)
