"""The guard between a provider and the network: allowed origins, bounded answers, one decompression.

httpx alone decompresses without a bound, so a few KiB can become GiBs; here a body is counted while it is
read and while it is decompressed. Each redirect passes the guard like a request of its own.
"""

import zlib
from collections.abc import AsyncIterator
from typing import NamedTuple, cast

import httpx
from wump_core.errors import InvalidResponse


class Origin(NamedTuple):
    """Scheme, host and port of an address that may be asked."""

    scheme: str
    host: str
    port: int


def origin_of(url: httpx.URL) -> Origin:
    """The origin of an address, with the scheme's own port where none is written."""
    return Origin(url.scheme, url.host, url.port or (443 if url.scheme == "https" else 80))


def _written(url: httpx.URL) -> str:
    """The origin as a person writes it: what else stands in the address may be a secret."""
    return f"{url.scheme}://{url.host}" + (f":{url.port}" if url.port else "")


class GuardedTransport(httpx.AsyncBaseTransport):
    """Wraps a transport; answers come out whole and decompressed."""

    def __init__(
        self, inner: httpx.AsyncBaseTransport, provider: str, allowed: frozenset[Origin], max_body_bytes: int
    ) -> None:
        self._inner = inner
        self._provider = provider
        self._allowed = allowed
        self._max_body_bytes = max_body_bytes

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Send the request if its origin is allowed.

        Raises:
            InvalidResponse: The origin is not allowed, the body is too large, or its encoding can't be undone.
        """
        if origin_of(request.url) not in self._allowed:
            setting = f"WUMP_PROVIDER_{self._provider.upper().replace('-', '_')}_HOSTS"
            raise InvalidResponse(
                f"{self._provider} was sent to {_written(request.url)}, which is none of its hosts;"
                f" allow it in {setting} if it is right"
            )
        response = await self._inner.handle_async_request(request)
        try:
            body = await self._read(response)
        finally:
            await response.aclose()
        headers = httpx.Headers(
            [
                (name, value)
                for name, value in response.headers.multi_items()
                if name.lower() not in ("content-encoding", "content-length", "transfer-encoding")
            ]
        )
        return httpx.Response(response.status_code, headers=headers, content=body, extensions=response.extensions)

    async def _read(self, response: httpx.Response) -> bytes:
        encoding = response.headers.get("content-encoding", "identity").strip().lower()
        if encoding not in ("identity", "gzip", "x-gzip", ""):
            raise InvalidResponse(f"{self._provider} sent the encoding {encoding[:40]!r}, which was not asked for")
        declared = response.headers.get("content-length", "")
        if declared.isdigit() and int(declared) > self._max_body_bytes:
            raise self._too_large()
        inflate = zlib.decompressobj(wbits=31) if "gzip" in encoding else None
        parts: list[bytes] = []
        room = wire_room = self._max_body_bytes
        async for chunk in cast(AsyncIterator[bytes], response.stream):
            wire_room -= len(chunk)  # compressed nothings can go on for ever
            part = self._inflated(inflate, chunk, room) if inflate else chunk
            room -= len(part)
            if room < 0 or wire_room < 0:
                raise self._too_large()
            parts.append(part)
        if inflate is not None and parts and not inflate.eof:
            raise InvalidResponse(f"{self._provider} sent a body that ends in the middle of its compression")
        return b"".join(parts)

    def _inflated(self, inflate: "zlib._Decompress", chunk: bytes, room: int) -> bytes:
        ended = inflate.eof
        try:
            part = b"" if ended else inflate.decompress(chunk, room + 1)
        except zlib.error as error:
            raise InvalidResponse(f"{self._provider} sent a body that can't be decompressed: {error}") from None
        if inflate.unconsumed_tail:
            raise self._too_large()
        if inflate.unused_data or (ended and chunk):
            raise InvalidResponse(f"{self._provider} sent a body that goes on after the end of its compression")
        return part

    def _too_large(self) -> InvalidResponse:
        return InvalidResponse(
            f"{self._provider} sent a body of more than {self._max_body_bytes} bytes;"
            " raise WUMP_WORKER_MAX_BODY_BYTES if it is wanted"
        )

    async def aclose(self) -> None:
        """Close the wrapped transport."""
        await self._inner.aclose()
