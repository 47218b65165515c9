"""How commands ask the API: over the wire with an address, else in this process. The answers are the same."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from typing import Any, TypeVar
from urllib.parse import quote

import httpx
from starlette.types import ASGIApp, Message, Scope
from wump_core.errors import ConfigurationError, ServerUnavailable, WumpError
from wump_core.purl import Purl
from wump_core.servers import open_servers
from wump_core.settings import CoreSettings, load_settings

from wump_api.gate import IN_PROCESS
from wump_api.main import make_app
from wump_api.settings import load_api_settings

Result = TypeVar("Result")
Document = dict[str, Any]
PAGE_ROWS = 100
_TIMEOUT_SECONDS = 30.0
_CHUNK_SECONDS = 60.0
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

    async def delete(self, path: str, **parameters: object) -> Document:
        """DELETE something. Raises like `get`."""
        wanted = {name: value for name, value in parameters.items() if value is not None}
        return self._read(await self._send("DELETE", path, params=wanted))

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

    async def collect(self, path: str, limit: int, parameters: Document) -> tuple[list[Document], Document]:
        """So many rows of a list (0: all), and the meta of its first page."""
        rows: list[Document] = []
        meta: Document = {}
        async for page in self.pages(path, **parameters):
            rows += page["data"]
            meta = meta or page["meta"]
            if limit and len(rows) >= limit:
                return rows[:limit], meta
        return rows, meta

    async def stream(self, path: str, media_type: str, **parameters: object) -> AsyncGenerator[bytes]:
        """The bytes of an answer as they come. Raises like `get`; also where the answer breaks off."""
        wanted: Any = {name: value for name, value in parameters.items() if value is not None}
        timeout = httpx.Timeout(_TIMEOUT_SECONDS, read=_CHUNK_SECONDS)
        begun = False
        try:
            async with self._http.stream("GET", path, params=wanted, timeout=timeout) as response:
                found = response.headers.get("content-type", "").partition(";")[0]
                if not response.is_success or found != media_type:
                    await response.aread()
                    self._read(response)
                    raise ServerUnavailable(f"{self._http.base_url} can't export: its wump is too old")
                async for chunk in response.aiter_bytes():
                    begun = True
                    yield chunk
        except httpx.RequestError as error:
            said = "broke off: what came is not all" if begun else "does not answer"
            raise ServerUnavailable(f"{self._http.base_url} {said} ({type(error).__name__})") from None

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


def ask(url: str | None, use: Use[Result], *, key: str | None = None) -> Result:
    """Run something with a client of the API at `url`, or of one in this process, which needs no key."""
    if url is not None:
        return asyncio.run(_ask_remote(url, use, key))
    settings = load_settings()
    with open_servers(settings) as ready:
        return asyncio.run(ask_in_process(ready, lambda client: use(client, settings)))


async def ask_in_process(ready: CoreSettings, use: Callable[[Client], Awaitable[Result]]) -> Result:
    """Run something with a client of an API that lives in this process, on these servers."""
    async with _in_process(ready) as client:
        return await use(client)


async def _ask_remote(url: str, use: Use[Result], key: str | None) -> Result:
    try:
        address = httpx.URL(url)
    except httpx.InvalidURL:
        address = httpx.URL()
    if address.scheme not in ("http", "https") or not address.host:
        raise ConfigurationError(f"--url: {url[:100]!r} is no http or https address")
    if key is not None and not (key.isascii() and key.isprintable()):
        raise ConfigurationError("--key: this is no key of wump")
    headers = {"X-API-Key": key} if key else None
    async with httpx.AsyncClient(base_url=address, timeout=_TIMEOUT_SECONDS, headers=headers) as http:
        return await use(Client(http), None)


@asynccontextmanager
async def _in_process(ready: CoreSettings) -> AsyncGenerator[Client]:
    # What a command asks is asked once: it gets what there is now, and leaves nothing behind.
    app = make_app(ready, load_api_settings().model_copy(update={"cache": False}))
    transport = _AppTransport(app)
    async with (
        app.router.lifespan_context(app),
        httpx.AsyncClient(transport=transport, base_url="http://localhost", timeout=_TIMEOUT_SECONDS) as http,
    ):
        yield Client(http)


class _AppTransport(httpx.AsyncBaseTransport):
    """Asks an app of this process and passes its answer on as it comes; httpx's own keeps all of it first."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        scope = {
            "type": "http",
            "asgi": {"version": "3.0"},
            "http_version": "1.1",
            "method": request.method,
            "scheme": request.url.scheme,
            "path": request.url.path,
            "raw_path": request.url.raw_path.partition(b"?")[0],
            "query_string": request.url.query,
            "root_path": "",
            "headers": [(name.lower(), value) for name, value in request.headers.raw],
            "server": (request.url.host, request.url.port),
            "client": ("127.0.0.1", 0),
            IN_PROCESS: True,
        }
        answer = _Answer(self._app, scope, await request.aread())
        try:
            start = await answer.next()
        except BaseException:
            await answer.aclose()
            raise
        return httpx.Response(start["status"], headers=start["headers"], stream=answer)


class _Answer(httpx.AsyncByteStream):
    """The body of an app's answer. The app waits until a part was taken before it makes the next one."""

    def __init__(self, app: ASGIApp, scope: Scope, body: bytes) -> None:
        self._asked: list[bytes] = [body]
        self._messages: asyncio.Queue[Message] = asyncio.Queue(maxsize=1)
        self._complete = False
        self._ended = asyncio.Event()
        self._running = asyncio.create_task(self._run(app, scope))

    async def _run(self, app: ASGIApp, scope: Scope) -> None:
        await app(scope, self._receive, self._messages.put)

    async def _receive(self) -> Message:
        if self._asked:
            return {"type": "http.request", "body": self._asked.pop(), "more_body": False}
        await self._ended.wait()
        return {"type": "http.disconnect"}

    async def next(self) -> Message:
        """What the app says next. Raises where it ends without having said all."""
        getting = asyncio.create_task(self._messages.get())
        try:
            await asyncio.wait((getting, self._running), return_when=asyncio.FIRST_COMPLETED)
            if not getting.done() and self._messages.empty():
                raise httpx.RemoteProtocolError("the answer broke off")
            return await getting
        finally:
            getting.cancel()

    async def __aiter__(self) -> AsyncIterator[bytes]:
        while not self._complete:
            message = await self.next()
            self._complete = not message.get("more_body", False)
            if message.get("body"):
                yield message["body"]

    async def aclose(self) -> None:
        self._ended.set()
        if not self._complete:
            self._running.cancel()
        # The app has logged what went wrong in it.
        with suppress(Exception, asyncio.CancelledError):
            await self._running
