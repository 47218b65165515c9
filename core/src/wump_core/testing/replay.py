"""Recordings: what an upstream answered, kept as JSON and played back to the hooks with every socket closed.

A recording is a list of exchanges, in the order in which they happened:

    [{"request": {"method": "GET", "url": "https://registry.example/left-pad"},
      "response": {"status": 200, "headers": {"content-type": "application/json"}, "body": {"name": "left-pad"}}}]

`body` is the JSON itself, or a text where the answer is none; `base64` stands in its place for what is no text.
A request has a `body` too, where it had one.
"""

import base64
import json
import socket
from collections.abc import Callable, Collection, Generator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx

from wump_core.errors import InvalidResponse
from wump_core.settings import ProviderSettings

MAX_REDIRECTS = 5


class UnrecordedRequest(Exception):
    """A hook asked for something that its recording doesn't hold."""


@dataclass(frozen=True, slots=True)
class Exchange:
    """One request and its answer."""

    method: str
    url: str
    sent: bytes
    status: int
    headers: tuple[tuple[str, str], ...]
    body: bytes

    def answers(self, request: httpx.Request) -> bool:
        """Whether this was the answer to such a request; two spellings of one JSON document are equal."""
        same_address = self.method == request.method and httpx.URL(self.url) == request.url
        return same_address and _comparable(self.sent) == _comparable(request.content)

    def respond(self) -> httpx.Response:
        """The answer once more."""
        return httpx.Response(self.status, headers=list(self.headers), content=self.body)


def _comparable(body: bytes) -> Any:
    try:
        return json.loads(body) if body else b""
    except ValueError:
        return body


def load_exchanges(path: Path) -> list[Exchange]:
    """Read a recording.

    Raises:
        ValueError: It isn't one; the text names the file, the exchange and the key.
    """
    try:
        document = json.loads(path.read_text("utf-8"))
    except ValueError as error:
        raise ValueError(f"{path.name} is no JSON: {error}") from None
    if not isinstance(document, list):
        raise ValueError(f"{path.name} must be a list of exchanges")
    exchanges = []
    for number, item in enumerate(document):
        try:
            request, response = item["request"], item["response"]
            headers = tuple((str(name), str(value)) for name, value in response.get("headers", {}).items())
            exchanges.append(
                Exchange(
                    request.get("method", "GET"),
                    request["url"],
                    _load_body(request),
                    int(response["status"]),
                    headers,
                    _load_body(response),
                )
            )
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise ValueError(f"{path.name}: exchange {number} can't be read: {type(error).__name__}: {error}") from None
    return exchanges


def _load_body(side: dict[str, Any]) -> bytes:
    if "base64" in side:
        return base64.b64decode(side["base64"], validate=True)
    body = side.get("body")
    if body is None:
        return b""
    return body.encode() if isinstance(body, str) else json.dumps(body, ensure_ascii=False).encode()


def dump_exchanges(exchanges: Sequence[Exchange]) -> str:
    """The text of a recording; `load_exchanges` reads it back."""
    document = [
        {
            "request": {"method": item.method, "url": item.url} | _dump_body(item.sent),
            "response": {"status": item.status, "headers": dict(item.headers)} | _dump_body(item.body),
        }
        for item in exchanges
    ]
    return json.dumps(document, indent=1, ensure_ascii=False) + "\n"


def _dump_body(body: bytes) -> dict[str, Any]:
    if not body:
        return {}
    try:
        text = body.decode()
    except UnicodeDecodeError:
        return {"base64": base64.b64encode(body).decode()}
    try:
        document = json.loads(text)
    except ValueError:
        document = text
    # A JSON text would be read back as the bare text.
    return {"body": document if isinstance(document, dict | list) else text}


class ReplayTransport(httpx.AsyncBaseTransport):
    """Answers from a recording, and from nothing else.

    The same request once more gets its next recorded answer, and at the end the last one again. From request number
    `fault_from` on, `fault` answers instead.

    Attributes:
        asked: Each request as `GET https://…`.
        unrecorded: Those that the recording doesn't hold.
        undeclared: Those that went to a host which the settings don't name.
    """

    def __init__(
        self,
        exchanges: Sequence[Exchange],
        settings: ProviderSettings,
        *,
        fault: Callable[[httpx.Request, httpx.Response | None], httpx.Response] | None = None,
        fault_from: int = 0,
    ) -> None:
        self._exchanges = exchanges
        self._given: dict[str, int] = {}
        self._allowed = list_origins(settings)
        self._fault = fault
        self._fault_from = fault_from
        self.asked: list[str] = []
        self.unrecorded: list[str] = []
        self.undeclared: list[str] = []

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Answer, or raise what the worker's own transport would.

        Raises:
            InvalidResponse: The host is not declared.
            UnrecordedRequest: There is no such exchange.
        """
        await request.aread()
        line = f"{request.method} {request.url}"
        self.asked.append(line)
        if origin_of(request.url) not in self._allowed:
            self.undeclared.append(line)
            raise InvalidResponse(f"{request.url.host} is none of the hosts that the settings name")
        response = self._find(line, request)
        if self._fault is not None and len(self.asked) > self._fault_from:
            return self._fault(request, response)
        if response is None:
            self.unrecorded.append(line + (f" with the body {request.content[:500]!r}" if request.content else ""))
            raise UnrecordedRequest(line)
        return response

    def _find(self, line: str, request: httpx.Request) -> httpx.Response | None:
        answers = [item for item in self._exchanges if item.answers(request)]
        if not answers:
            return None
        key = f"{line} {request.content!r}"
        position = self._given.get(key, 0)
        self._given[key] = position + 1
        return answers[min(position, len(answers) - 1)].respond()


def make_replay_client(transport: httpx.AsyncBaseTransport) -> httpx.AsyncClient:
    """A client as a hook gets it, but for what the transport does."""
    return httpx.AsyncClient(
        transport=transport, follow_redirects=True, max_redirects=MAX_REDIRECTS, trust_env=False, timeout=30
    )


def list_origins(settings: ProviderSettings) -> frozenset[tuple[str, str, int]]:
    """Scheme, host and port of all that these settings allow to ask."""
    addresses = [settings.base_url or "", *settings.hosts]
    return frozenset(origin_of(httpx.URL(item if "://" in item else f"https://{item}")) for item in addresses if item)


def origin_of(url: httpx.URL) -> tuple[str, str, int]:
    """Scheme, host and port of an address."""
    return url.scheme, url.host, url.port or (443 if url.scheme == "https" else 80)


@contextmanager
def closed_sockets() -> Generator[Collection[str]]:
    """No socket connects meanwhile; gives the attempts, since a plugin may swallow the error."""
    attempts: list[str] = []

    def refuse(*arguments: Any, **_: Any) -> Any:
        attempts.append(str(arguments[-1])[:200])
        raise OSError("the conformance kit has closed all sockets: only context.http may ask")

    places = ((socket.socket, "connect"), (socket.socket, "connect_ex"), (socket, "getaddrinfo"))
    kept = [getattr(owner, name) for owner, name in places]
    for owner, name in places:
        setattr(owner, name, refuse)
    try:
        yield attempts
    finally:
        for (owner, name), original in zip(places, kept, strict=True):
            setattr(owner, name, original)
