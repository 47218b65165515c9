"""How commands ask the API: over the wire with an address, else in this process. The answers are the same."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any, TypeVar
from urllib.parse import quote

import httpx
from wump_core.errors import ConfigurationError, ServerUnavailable, WumpError
from wump_core.purl import Purl
from wump_core.servers import open_servers
from wump_core.settings import CoreSettings, load_settings

from wump_api.main import make_app
from wump_api.settings import load_api_settings

Result = TypeVar("Result")
Document = dict[str, Any]
PAGE_ROWS = 100
_TIMEOUT_SECONDS = 30.0
_USED_WRONGLY = (409, 422)


class Client:
    """Asks for documents; a problem becomes an error of wump with its detail and its fix."""

    def __init__(self, http: httpx.AsyncClient) -> None:
        self._http = http

    async def get(self, path: str, **parameters: object) -> Document:
        """GET a document. Raises `WumpError`; `ServerUnavailable` where nobody answers."""
        wanted = {name: value for name, value in parameters.items() if value is not None}
        return self._read(await self._send("GET", path, params=wanted))

    async def post(self, path: str, body: Document) -> Document:
        """POST a document. Raises like `get`."""
        return self._read(await self._send("POST", path, json=body))

    async def health(self) -> Document:
        """`/health/jobs`, whatever its status."""
        document: Document = (await self._send("GET", "/health/jobs")).json()
        return document

    async def pages(self, path: str, **parameters: object) -> AsyncIterator[Document]:
        """All pages of a list, at least one."""
        cursor = None
        while True:
            page = await self.get(path, cursor=cursor, limit=PAGE_ROWS, **parameters)
            yield page
            cursor = page["next_cursor"]
            if cursor is None:
                return

    async def rows(self, path: str, **parameters: object) -> AsyncIterator[Document]:
        """All rows of a list, page by page."""
        async for page in self.pages(path, **parameters):
            for row in page["data"]:
                yield row

    async def _send(self, method: str, path: str, **options: Any) -> httpx.Response:
        try:
            return await self._http.request(method, path, **options)
        except httpx.RequestError as error:
            raise ServerUnavailable(f"{self._http.base_url} does not answer ({type(error).__name__})") from None

    def _read(self, response: httpx.Response) -> Document:
        try:
            document: Document = response.json()
        except ValueError:
            document = {}
        if not document or not isinstance(document, dict):
            raise ServerUnavailable(f"{self._http.base_url} is no wump API (HTTP {response.status_code})")
        if response.is_success:
            return document
        message = f"{document.get('detail', response.status_code)}. {document.get('fix', '')}".strip()
        if response.status_code == 503:
            raise ServerUnavailable(message)
        raise (ConfigurationError if response.status_code in _USED_WRONGLY else WumpError)(message)


Use = Callable[[Client, CoreSettings | None], Awaitable[Result]]
"""What is to be done with a client; the settings name the servers where the API is in this process."""


def package_path(purl: Purl) -> str:
    """Where a package is in the API."""
    return f"/api/v1/packages/{purl.ecosystem}/{quote(purl.name, safe='')}"


def ask(url: str | None, use: Use[Result]) -> Result:
    """Run something with a client of the API at `url`, or of one in this process."""
    if url is not None:
        return asyncio.run(_ask_remote(url, use))
    with open_servers(load_settings()) as ready:
        return asyncio.run(ask_in_process(ready, use))


async def ask_in_process(ready: CoreSettings, use: Use[Result]) -> Result:
    """Run something with a client of an API that lives in this process, on these servers."""
    async with _in_process(ready) as client:
        return await use(client, ready)


async def _ask_remote(url: str, use: Use[Result]) -> Result:
    try:
        address = httpx.URL(url)
    except httpx.InvalidURL:
        address = httpx.URL()
    if address.scheme not in ("http", "https") or not address.host:
        raise ConfigurationError(f"--url: {url[:100]!r} is no http or https address")
    async with httpx.AsyncClient(base_url=address, timeout=_TIMEOUT_SECONDS) as http:
        return await use(Client(http), None)


@asynccontextmanager
async def _in_process(ready: CoreSettings) -> AsyncGenerator[Client]:
    app = make_app(ready, load_api_settings())
    transport = httpx.ASGITransport(app=app, raise_app_exceptions=False)
    async with (
        app.router.lifespan_context(app),
        httpx.AsyncClient(transport=transport, base_url="http://localhost", timeout=_TIMEOUT_SECONDS) as http,
    ):
        yield Client(http)
