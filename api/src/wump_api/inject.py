"""What routes are given: the database, and the package or organization that a path means."""

import asyncio
import time
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Annotated
from urllib.parse import unquote
from uuid import UUID

import asyncpg
from asyncpg import Connection
from fastapi import Depends, Path, Request
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine
from wump_core.errors import InvalidPurl
from wump_core.purl import ECOSYSTEMS, make_purl
from wump_core.store import lookups
from wump_core.store.answers import Row
from wump_core.telemetry import count_connection_timeout, note_connection_wait, note_lookup

from wump_api.paths import ANY_ECOSYSTEM
from wump_api.problems import Problem

WAIT_SECONDS = 2.0
"""Longest wait of a request for a connection, and for a statement to end that was given up."""


def get_engine(request: Request) -> AsyncEngine:
    """The process's engine, which may write."""
    engine: AsyncEngine = request.app.state.engine
    return engine


async def primary_connection(engine: Annotated[AsyncEngine, Depends(get_engine)]) -> AsyncIterator[AsyncConnection]:
    """A connection that only reads, where a write is seen at once: a replica lags behind."""
    async with engine.connect() as connection:
        yield connection


async def reading_connection(request: Request) -> AsyncIterator[Connection]:
    """A connection that only reads, of the replica where there is one.

    Raises:
        TimeoutError: There was none in time.
    """
    pool, connection = await acquire_reader(request)
    try:
        yield connection
    finally:
        await pool.release(connection, timeout=WAIT_SECONDS)


async def acquire_reader(request: Request) -> tuple[asyncpg.Pool, Connection]:
    """A connection for reading and the pool it goes back to. Raises `TimeoutError` where there was none in time."""
    pool: asyncpg.Pool = request.app.state.reading
    started = time.perf_counter()
    try:
        # The pool's own timeout would cost a task for each connection.
        async with asyncio.timeout(WAIT_SECONDS):
            connection = await pool.acquire()
    except TimeoutError:
        count_connection_timeout("read")
        raise
    note_connection_wait("read", time.perf_counter() - started)
    return pool, connection


Reading = Annotated[Connection, Depends(reading_connection, scope="function")]
ReadingPrimary = Annotated[AsyncConnection, Depends(primary_connection, scope="function")]
Engine = Annotated[AsyncEngine, Depends(get_engine)]
EcosystemPath = Annotated[
    str, Path(description="The purl type.", examples=["npm"], json_schema_extra={"enum": list(ECOSYSTEMS)})
]
NamePath = Annotated[
    str,
    Path(
        description="The package's name; `/` may be written raw or as `%2F`. Write `%2F` where the name ends in a"
        " word that has a meaning here, such as `dependents`.",
        examples=["express"],
    ),
]


@dataclass(frozen=True, slots=True)
class Asked:
    """What a question about a package is answered from."""

    request: Request
    connection: Connection
    package: Row


async def find_package(request: Request, connection: Reading, ecosystem: EcosystemPath, name: NamePath) -> Asked:
    """The package that a path names.

    Raises:
        Problem: wump doesn't know it, or the short form fits several ecosystems.
        InvalidPurl: The ecosystem is unknown, or the name can't be one of its names.
    """
    started, outcome = time.perf_counter(), "failed"
    try:
        if ecosystem == ANY_ECOSYSTEM:
            purl = await _resolve_short_form(connection, unquote(name))
        else:
            purl = canonical_purl(ecosystem, unquote(name))
        package = await lookups.get_package(connection, purl)
        if package is None:
            raise Problem("unknown-package", f"{purl} is not known to wump", package=purl)
        outcome = "found"
    except Problem as problem:
        outcome = "unknown" if problem.kind == "unknown-package" else outcome
        raise
    finally:
        # A client may write anything where an ecosystem belongs.
        known = ecosystem if ecosystem in ECOSYSTEMS else "any"
        note_lookup(known, outcome, time.perf_counter() - started)
    return Asked(request, connection, package)


@lru_cache(10_000)
def canonical_purl(ecosystem: str, name: str) -> str:
    """Remembered for names that are asked again: making a purl costs as much as checking all other parameters."""
    return str(make_purl(ecosystem, name))


async def _resolve_short_form(connection: Connection, name: str) -> str:
    candidates: dict[str, str] = {}
    for ecosystem in ECOSYSTEMS:
        try:
            candidates[canonical_purl(ecosystem, name)] = ecosystem
        except InvalidPurl:
            continue
    known = await lookups.list_purls_named(connection, list(candidates))
    if not known:
        raise Problem(
            "unknown-package", f"no package named {name[:100]!r} is known to wump", ecosystems=list(ECOSYSTEMS)
        )
    if len(known) > 1:
        choices = [candidates[purl] for purl in known]
        raise Problem(
            "ambiguous-package",
            f"{name!r} is a package of {' and of '.join(choices)}: ask for /api/v1/packages/{choices[0]}/{name}",
            ecosystems=choices,
            packages=known,
        )
    return known[0]


AboutPackage = Annotated[Asked, Depends(find_package, scope="function")]


OrganizationPath = Annotated[
    str,
    Path(
        description="The organization's id, or its login where only one host has it.",
        examples=["01890a5d-ac96-774b-bcce-b302099a8057"],
        max_length=300,
    ),
]


@dataclass(frozen=True, slots=True)
class AskedOrganization:
    """What a question about an organization is answered from."""

    request: Request
    connection: Connection
    organization: Row


async def find_organization(request: Request, connection: Reading, id: OrganizationPath) -> AskedOrganization:  # noqa: A002
    """The organization that a path names.

    Raises:
        Problem: wump doesn't know it, or several hosts have its login.
    """
    return AskedOrganization(request, connection, await get_named_organization(connection, id, "id"))


AboutOrganization = Annotated[AskedOrganization, Depends(find_organization, scope="function")]


async def get_named_organization(connection: Connection, text: str, parameter: str) -> Row:
    """The organization of an id, a login or host/login.

    Raises:
        Problem: wump doesn't know it, or several hosts have its login.
    """
    try:
        found = await lookups.get_organization_by_id(connection, UUID(text))
        candidates = [found] if found else []
    except ValueError:
        candidates = list(await _list_organizations_named(connection, text.lower()))
    if len(candidates) > 1:
        choices = [f"{item['host']}/{item['login']}" for item in candidates]
        raise Problem(
            "ambiguous-organization",
            f"{parameter}: {text[:100]!r} is on several hosts: name one of {', '.join(choices)}",
            organizations=choices,
            ids=[str(item["public_id"]) for item in candidates],
        )
    if not candidates:
        raise Problem("unknown-organization", f"{parameter}: {text[:100]!r} is not known to wump")
    return candidates[0]


async def _list_organizations_named(connection: Connection, text: str) -> Sequence[Row]:
    """Host and login are tried first: a nested group path has slashes too, and its first part may have dots."""
    if "\0" in text:
        return []
    host, _, login = text.partition("/")
    if login and (found := await lookups.list_organizations_by_login(connection, login, host)):
        return found
    return await lookups.list_organizations_by_login(connection, text, None)


@dataclass(frozen=True, slots=True)
class AskedAnything:
    """What a question about no single thing is answered from."""

    request: Request
    connection: Connection


async def find_nothing(request: Request, connection: Reading) -> AskedAnything:
    """Nothing has to be found first."""
    return AskedAnything(request, connection)


AboutAnything = Annotated[AskedAnything, Depends(find_nothing, scope="function")]
