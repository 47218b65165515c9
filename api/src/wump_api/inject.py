"""What routes are given: the database, and the package that a path means."""

from collections.abc import AsyncIterator
from ipaddress import ip_address
from typing import Annotated, Any
from urllib.parse import unquote, urlsplit

from fastapi import Depends, Path, Request
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine
from wump_core.errors import InvalidPurl
from wump_core.purl import ECOSYSTEMS, Purl, make_purl
from wump_core.store import answers

from wump_api.paths import ANY_ECOSYSTEM
from wump_api.problems import Problem


def get_engine(request: Request) -> AsyncEngine:
    """The process's engine that may write."""
    engine: AsyncEngine = request.app.state.engine
    return engine


async def reading_connection(request: Request) -> AsyncIterator[AsyncConnection]:
    """A connection that only reads, of the replica where there is one."""
    engine: AsyncEngine = request.app.state.read_engine
    async with engine.connect() as connection:
        yield connection


async def primary_connection(engine: Annotated[AsyncEngine, Depends(get_engine)]) -> AsyncIterator[AsyncConnection]:
    """A connection that only reads, where a write is seen at once: a replica lags behind."""
    async with engine.connect() as connection:
        yield connection


Reading = Annotated[AsyncConnection, Depends(reading_connection, scope="function")]
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


async def find_package(connection: Reading, ecosystem: EcosystemPath, name: NamePath) -> dict[str, Any]:
    """The package that a path names.

    Raises:
        Problem: wump doesn't know it, or the short form fits several ecosystems.
        InvalidPurl: The ecosystem is unknown, or the name can't be one of its names.
    """
    name = unquote(name)
    purl = await _resolve_short_form(connection, name) if ecosystem == ANY_ECOSYSTEM else make_purl(ecosystem, name)
    package = await answers.get_package(connection, str(purl))
    if package is None:
        raise Problem("unknown-package", f"{purl} is not known to wump", package=str(purl))
    return dict(package)


async def _resolve_short_form(connection: AsyncConnection, name: str) -> Purl:
    candidates: dict[str, Purl] = {}
    for ecosystem in ECOSYSTEMS:
        try:
            purl = make_purl(ecosystem, name)
        except InvalidPurl:
            continue
        candidates[str(purl)] = purl
    known = await answers.list_purls_named(connection, list(candidates))
    if not known:
        raise Problem(
            "unknown-package", f"no package named {name[:100]!r} is known to wump", ecosystems=list(ECOSYSTEMS)
        )
    if len(known) > 1:
        choices = [candidates[purl].ecosystem for purl in known]
        raise Problem(
            "ambiguous-package",
            f"{name!r} is a package of {' and of '.join(choices)}: ask for /api/v1/packages/{choices[0]}/{name}",
            ecosystems=choices,
            packages=known,
        )
    return candidates[known[0]]


Package = Annotated[dict[str, Any], Depends(find_package, scope="function")]


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
