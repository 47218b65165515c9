"""Bounds on one answer: its size on the wire, and its size after decompression.

httpx alone decompresses without a bound, so that 4 KiB become 2 GiB. Here only gzip is asked for, an answer in
any other encoding or in several is refused unread, and a body is counted while it is read and while it grows.
"""

import zlib
from collections.abc import AsyncIterator
from io import BytesIO
from typing import cast

import httpx
from wump_core.errors import InvalidResponse

WHOLE = "wump_whole"
"""Extension of an answer: whether its body is known to be all of it."""
_STEP = 256 * 1024
# No honest answer is packed tighter; a bomb is packed a thousand to one, and ends here before it is large.
_MAX_RATIO = 200
_RATIO_COUNTS_FROM = 8 * 1024 * 1024
# What described the wire is gone with it; nobody here keeps cookies.
_DROPPED_HEADERS = frozenset({"content-encoding", "content-length", "transfer-encoding", "set-cookie"})


class BoundedTransport(httpx.AsyncBaseTransport):
    """Answers come out whole, decompressed, and no larger than allowed."""

    def __init__(self, inner: httpx.AsyncBaseTransport, provider: str, max_body_bytes: int) -> None:
        self._inner = inner
        self._provider = provider
        self._max_body_bytes = max_body_bytes

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Send the request and read all of the answer.

        Raises:
            InvalidResponse: The body is too large, or its encoding can't be undone.
        """
        response = await self._inner.handle_async_request(request)
        try:
            body, is_whole = await self._read(request, response)
        finally:
            await response.aclose()
        headers = [
            (name, value) for name, value in response.headers.multi_items() if name.lower() not in _DROPPED_HEADERS
        ]
        extensions = {**response.extensions, WHOLE: is_whole}
        return httpx.Response(response.status_code, headers=headers, content=body, extensions=extensions)

    async def _read(self, request: httpx.Request, response: httpx.Response) -> tuple[bytes, bool]:
        """The body, and whether anything tells that it is all of it: a connection that closes may have broken."""
        encoding = response.headers.get("content-encoding", "identity").strip().lower()
        if encoding not in ("identity", "gzip", "x-gzip", ""):
            raise InvalidResponse(f"{self._provider} sent the encoding {encoding[:40]!r}, which was not asked for")
        declared = response.headers.get("content-length", "")
        if declared.isdigit() and int(declared[:20]) > self._max_body_bytes and request.method != "HEAD":
            raise self._too_large()
        inflate = zlib.decompressobj(wbits=31) if "gzip" in encoding else None
        body = BytesIO()  # unlike a list of parts, it becomes the bytes without a second copy
        read = 0
        async for chunk in cast(AsyncIterator[bytes], response.stream):
            read += len(chunk)  # compressed nothings can go on for ever
            if inflate is None:
                body.write(chunk)
            else:
                self._inflate(inflate, chunk, body, read)
            if max(read, body.tell()) > self._max_body_bytes:
                raise self._too_large()
        if inflate is not None and read and not inflate.eof:
            raise InvalidResponse(f"{self._provider} sent a body that ends in the middle of its compression")
        is_whole = inflate is not None or bool({"content-length", "transfer-encoding"} & response.headers.keys())
        return body.getvalue(), is_whole

    def _inflate(self, inflate: "zlib._Decompress", chunk: bytes, body: BytesIO, read: int) -> None:
        room = max(_RATIO_COUNTS_FROM, read * _MAX_RATIO)
        part = b""
        while chunk or len(part) == _STEP:  # a full step may hold back more, though all of its input was taken
            if inflate.eof:
                raise InvalidResponse(f"{self._provider} sent a body that goes on after the end of its compression")
            try:
                part = inflate.decompress(chunk, _STEP)
            except zlib.error as error:
                raise InvalidResponse(f"{self._provider} sent a body that can't be decompressed: {error}") from None
            body.write(part)
            if body.tell() > self._max_body_bytes:
                raise self._too_large()
            if body.tell() > room:
                raise InvalidResponse(f"{self._provider} sent a body that grows more than {_MAX_RATIO} times: a bomb")
            chunk = inflate.unconsumed_tail or inflate.unused_data

    def _too_large(self) -> InvalidResponse:
        return InvalidResponse(
            f"{self._provider} sent a body of more than {self._max_body_bytes} bytes;"
            " raise WUMP_WORKER_MAX_BODY_BYTES if it is wanted"
        )

    async def aclose(self) -> None:
        """Close the wrapped transport."""
        await self._inner.aclose()
