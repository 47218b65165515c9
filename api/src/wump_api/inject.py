"""What routes are given: the database, and the package that a path means."""

import asyncio
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from functools import lru_cache
from ipaddress import ip_address
from typing import Annotated, Any, ClassVar, get_type_hints
from urllib.parse import unquote, urlsplit

import asyncpg
from asyncpg import Connection
from fastapi import Depends, Path, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.routing import APIRoute
from pydantic import BaseModel, ValidationError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine
from starlette.datastructures import QueryParams
from starlette.types import Receive, Scope, Send
from wump_core.errors import InvalidPurl
from wump_core.purl import ECOSYSTEMS, make_purl
from wump_core.store import answers
from wump_core.store.answers import Row

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
    pool, connection = await _acquire(request)
    try:
        yield connection
    finally:
        await pool.release(connection, timeout=WAIT_SECONDS)


async def _acquire(request: Request) -> tuple[asyncpg.Pool, Connection]:
    pool: asyncpg.Pool = request.app.state.reading
    # The pool's own timeout would cost a task for each connection.
    async with asyncio.timeout(WAIT_SECONDS):
        return pool, await pool.acquire()


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
    if ecosystem == ANY_ECOSYSTEM:
        purl = await _resolve_short_form(connection, unquote(name))
    else:
        purl = _canonical(ecosystem, unquote(name))
    package = await answers.get_package(connection, purl)
    if package is None:
        raise Problem("unknown-package", f"{purl} is not known to wump", package=purl)
    return Asked(request, connection, package)


@lru_cache(10_000)
def _canonical(ecosystem: str, name: str) -> str:
    """Remembered for names that are asked again: making a purl costs as much as checking all other parameters."""
    return str(make_purl(ecosystem, name))


async def _resolve_short_form(connection: Connection, name: str) -> str:
    candidates: dict[str, str] = {}
    for ecosystem in ECOSYSTEMS:
        try:
            candidates[_canonical(ecosystem, name)] = ecosystem
        except InvalidPurl:
            continue
    known = await answers.list_purls_named(connection, list(candidates))
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


class Parameters(BaseModel):
    """The query parameters of a route about a package."""

    repeated: ClassVar[tuple[str, ...]] = ()
    """Names that may be given several times; of all others, the last one counts."""


class PackageRoute(APIRoute):
    """A route about a package, whose function takes `asked` and, where there are parameters, `wanted`.

    FastAPI describes it as any other from the function's signature, but isn't asked to answer: to solve the
    dependencies of one request takes it longer than all else that a page needs. Register it on the app itself.
    """

    def __init__(self, path: str, endpoint: Callable[..., Any], **options: Any) -> None:
        super().__init__(path, endpoint, **options)
        self.operation_id = self.name
        self._wanted: type[Parameters] | None = get_type_hints(endpoint).get("wanted")
        self.app = self._serve

    async def _serve(self, scope: Scope, receive: Receive, send: Send) -> None:
        request = Request(scope, receive)
        response = await self._answer(request)
        await response(scope, receive, send)

    async def _answer(self, request: Request) -> Response:
        given = (_read_parameters(self._wanted, request.query_params),) if self._wanted else ()
        pool, connection = await _acquire(request)
        try:
            asked = await find_package(request, connection, **request.path_params)
            response: Response = await self.endpoint(asked, *given)
        finally:
            await pool.release(connection, timeout=WAIT_SECONDS)
        return response


def _read_parameters(kind: type[Parameters], query: QueryParams) -> Parameters:
    """Raises `RequestValidationError`, as FastAPI does for its own routes."""
    values: dict[str, Any] = dict(query)
    for name in kind.repeated:
        if name in values:
            values[name] = query.getlist(name)
    try:
        return kind.model_validate(values)
    except ValidationError as error:
        found = error.errors(include_url=False)
        raise RequestValidationError([item | {"loc": ("query", *item["loc"])} for item in found]) from None


def require_loopback(request: Request) -> None:
    """Refuse to write for anyone but this machine, until there are keys.

    The Host header is checked too: a web page elsewhere can point a name of its own at 127.0.0.1. It is read
    here, since `request.url` quietly names the server itself where it can't read the header. A request that a
    proxy says it passed on comes from somewhere else, whatever its peer address says.
    """
    peer = request.client.host if request.client else ""
    proxied = any(name in _PROXY_HEADERS or name.startswith("x-forwarded-") for name in request.headers)
    if proxied or not (_is_loopback(peer) and _is_loopback(_host_name(request.headers.get("host", "")))):
        raise Problem("writing-needs-loopback", "this request does not come from the machine that the API runs on")


_PROXY_HEADERS = ("forwarded", "via", "x-real-ip")


def _host_name(header: str) -> str:
    try:
        return urlsplit(f"//{header}").hostname or ""
    except ValueError:
        return ""


def _is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False
