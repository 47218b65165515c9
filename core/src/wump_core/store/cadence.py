"""What should be looked at again, and how often: the seldomer, the longer ago it changed.

A subject is due after a tenth of the time since it last changed, between bounds; packages with many dependents after
half of that. Where a run is dead, the operator has the word, and no other is planned.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from wump_core.store.executions import OPEN

SELDOM_DAYS = 60
"""How often archived and vanished things are looked at."""
POPULAR_ORGANIZATIONS = 1_000


@dataclass(frozen=True, slots=True)
class Bounds:
    """Least and most time between two looks at the same thing, and how many things are taken at once."""

    min_hours: float
    max_days: float
    limit: int


async def list_due_packages(connection: AsyncConnection, job: str, bounds: Bounds) -> list[str]:
    """Purls of tracked packages that should be fetched again, the longest overdue first."""
    return list((await connection.execute(_DUE_PACKAGES, _values(job, bounds))).scalars())


async def list_due_repositories(
    connection: AsyncConnection, job: str, hosts: Collection[str], bounds: Bounds
) -> list[str]:
    """Addresses of repositories at these hosts that were read before and should be read again."""
    values = _values(job, bounds) | {"hosts": sorted(hosts)}
    return list((await connection.execute(_DUE_REPOSITORIES, values)).scalars())


async def list_due_walks(
    connection: AsyncConnection, job: str, capability: str, ecosystems: Collection[str], *, limit: int
) -> list[str]:
    """Purls of tracked packages whose list of this capability was not walked for a week, or is in the middle."""
    values = {"job": job, "capability": capability, "ecosystems": sorted(ecosystems), "limit": limit}
    return list((await connection.execute(_DUE_WALKS, values)).scalars())


async def list_tracked_ecosystems(connection: AsyncConnection) -> list[str]:
    """The ecosystems of the tracked packages."""
    rows = await connection.execute(text("SELECT DISTINCT ecosystem FROM packages WHERE tracked ORDER BY 1"))
    return list(rows.scalars())


async def list_fetched_packages(connection: AsyncConnection, purls: Collection[str]) -> dict[str, bool]:
    """Those of these packages that were fetched before or are tracked; the value says whether they are tracked."""
    rows = await connection.execute(
        text(
            "SELECT purl, tracked FROM packages WHERE purl = ANY(CAST(:purls AS text[]))"
            " AND (tracked OR fetched_at IS NOT NULL)"
        ),
        {"purls": list(purls)},
    )
    return {row.purl: row.tracked for row in rows}


async def list_unread_repositories(
    connection: AsyncConnection, host: str, paths: Collection[str], *, days: float
) -> list[str]:
    """Those of these paths whose files were not read within so many days; one that is not known was never read."""
    rows = await connection.execute(
        text(
            "SELECT path FROM unnest(CAST(:paths AS text[])) AS given(path) WHERE NOT EXISTS"
            " (SELECT FROM repositories r JOIN repositories home ON home.id = coalesce(r.renamed_to, r.id)"
            "   WHERE r.host = :host AND r.path = given.path"
            "   AND greatest(home.files_at, home.missing_since) > now() - make_interval(secs => :seconds))"
            " ORDER BY path"
        ),
        {"host": host, "paths": sorted(set(paths)), "seconds": days * 86_400},
    )
    return list(rows.scalars())


async def add_missing_executions(connection: AsyncConnection, job: str, subjects: Sequence[str], *, queue: str) -> int:
    """Add due runs for these subjects but those that are open already; returns how many were added."""
    result = await connection.execute(
        text(
            "INSERT INTO job_executions (job, subject, queue) SELECT :job, subject, :queue"
            " FROM unnest(CAST(:subjects AS text[])) WITH ORDINALITY AS given(subject, position)"
            f" ORDER BY subject ON CONFLICT (job, subject) WHERE {OPEN} DO NOTHING"
        ),
        {"job": job, "subjects": list(dict.fromkeys(subjects)), "queue": queue},
    )
    return result.rowcount


async def list_marked_organizations(connection: AsyncConnection) -> list[str]:
    """`host/login` of organizations whose rows of the answer show an older kind for a while now."""
    rows = await connection.execute(
        text(
            "SELECT host || '/' || login FROM organizations WHERE restamp_at < now() - interval '5 minutes' ORDER BY 1"
        )
    )
    return list(rows.scalars())


def _values(job: str, bounds: Bounds) -> dict[str, object]:
    return {
        "job": job,
        "min": bounds.min_hours * 3_600,
        "max": bounds.max_days * 86_400,
        "seldom": SELDOM_DAYS * 86_400,
        "limit": bounds.limit,
    }


def _not_planned(subject: str) -> str:
    lately = "e.created_at > now() - make_interval(secs => least(CAST(:min AS float8), 86400))"
    return (
        f"NOT EXISTS (SELECT FROM job_executions e WHERE e.job = :job AND e.subject = {subject}"
        f" AND ({OPEN.replace('state', 'e.state')} OR e.state = 'dead' OR {lately}))"
    )


_ADDRESS = "'https://' || r.host || '/' || r.path"
_DUE_PACKAGES = text(
    "SELECT purl FROM (SELECT p.purl, coalesce(CASE WHEN p.missing IS NULL THEN p.fetched_at ELSE"
    "     (SELECT max(s.last_attempt_at) FROM provider_subjects s WHERE s.subject = p.purl"
    "       AND s.capability = 'fetch_package') END, '-infinity') + make_interval(secs =>"
    "     CASE WHEN p.missing IS NOT NULL THEN CAST(:seldom AS float8) ELSE"
    "     least(greatest(extract(epoch FROM p.fetched_at - coalesce(p.changed_at, p.fetched_at)) / 10, :min), :max)"
    f"     / CASE WHEN t.organizations >= {POPULAR_ORGANIZATIONS} THEN 2 ELSE 1 END END) AS due_at"
    "   FROM packages p LEFT JOIN package_totals t ON t.package_id = p.id WHERE p.tracked"
    f"   AND {_not_planned('p.purl')}) due WHERE due_at <= now() ORDER BY due_at, purl LIMIT :limit"
)
_DUE_REPOSITORIES = text(
    "SELECT 'https://' || host || '/' || path FROM (SELECT r.host, r.path, r.fetched_at + make_interval(secs =>"
    "     CASE WHEN r.missing IS NOT NULL OR r.archived THEN CAST(:seldom AS float8) ELSE"
    "     least(greatest(extract(epoch FROM r.fetched_at - r.pushed_at) / 10, 86400), :max) END) AS due_at"
    "   FROM repositories r WHERE r.fetched_at < now() - make_interval(secs => least(CAST(:max AS float8), 86400))"
    "   AND r.files_at IS NOT NULL AND r.renamed_to IS NULL AND r.host = ANY(CAST(:hosts AS text[]))"
    f"   AND {_not_planned(_ADDRESS)}) due"
    " WHERE due_at <= now() ORDER BY due_at, host, path LIMIT :limit"
)
_DUE_WALKS = text(
    "SELECT p.purl FROM packages p LEFT JOIN LATERAL (SELECT max(s.last_attempt_at) AS tried_at,"
    "   min(s.walked_at) AS walked_at, bool_or(s.cursor IS NOT NULL) AS unfinished FROM provider_subjects s"
    "   WHERE s.subject = p.purl AND s.capability = :capability) s ON true"
    " WHERE p.tracked AND p.missing IS NULL AND p.ecosystem = ANY(CAST(:ecosystems AS text[]))"
    " AND (s.tried_at IS NULL OR s.tried_at < now() - CASE WHEN s.unfinished THEN interval '1 day'"
    "   ELSE interval '7 days' END)"
    " AND NOT EXISTS (SELECT FROM job_executions e WHERE e.job = :job AND e.subject = p.purl"
    f"   AND ({OPEN.replace('state', 'e.state')} OR e.state = 'dead' OR e.created_at > now() - interval '1 day'))"
    " ORDER BY s.tried_at NULLS FIRST, p.purl LIMIT :limit"
)
