"""Streams: an answer of any length, in constant memory, from one snapshot of the database.

A stream holds a connection and a snapshot for as long as it runs, so how many there are, how long one takes and
how long it waits for its reader are bounded. Whatever goes wrong before the first byte is a problem document;
after it, the connection is cut, so that no reader takes a part for the whole.
"""

import asyncio
import time
from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from contextlib import aclosing, asynccontextmanager
from functools import partial
from typing import Any, Literal

import asyncpg
import msgspec
from asyncpg import Connection
from starlette.responses import StreamingResponse
from starlette.types import Receive, Scope, Send

from wump_api.documents import DEPENDENT_COLUMNS, Dependent, Document, csv_lines, dependent_documents, package_url
from wump_api.manners import WITHOUT_BODY
from wump_api.problems import Problem, StreamCut

FETCH_TIMEOUT_MS = 30_000
"""Longest wait of a stream for its next chunk from the database."""
READER_SECONDS = 60.0
"""Longest wait for a reader to take a chunk."""

StreamFormat = Literal["ndjson", "csv"]
Rows = Sequence[Mapping[str, Any]]
MEDIA_TYPES: Mapping[StreamFormat, str] = {"ndjson": "application/x-ndjson", "csv": "text/csv; charset=utf-8"}


class Streams:
    """The streams of this process: how many may run, and the connections that they run on."""

    def __init__(self, pool: asyncpg.Pool, *, at_once: int, seconds: float) -> None:
        self._pool = pool
        self._free = asyncio.Semaphore(at_once)
        self._seconds = seconds

    @asynccontextmanager
    async def open(self) -> AsyncGenerator[Connection]:
        """A connection for one stream.

        Raises:
            Problem: As many run as may; a stream can last too long to wait for.
            TimeoutError: The stream took too long.
        """
        if self._free.locked():
            raise Problem("busy", "no further export can start in this process now")
        async with self._free, asyncio.timeout(self._seconds), self._pool.acquire() as connection:
            yield connection


class RowStream(StreamingResponse):
    """An answer that is sent while it is made.

    The first chunk is made before the answer begins. Where the reader leaves, the making ends too.
    """

    def __init__(self, chunks: AsyncGenerator[bytes], media_type: str, headers: Mapping[str, str]) -> None:
        super().__init__(chunks, headers=headers, media_type=media_type)
        self._chunks = chunks

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        sending = asyncio.create_task(self._send(send, without_body=WITHOUT_BODY in scope))
        leaving = asyncio.create_task(_wait_for_the_end(receive))
        try:
            await asyncio.wait((sending, leaving), return_when=asyncio.FIRST_COMPLETED)
            if sending.done():
                sending.result()
        finally:
            sending.cancel()
            leaving.cancel()
            await asyncio.gather(sending, leaving, return_exceptions=True)

    async def _send(self, send: Send, *, without_body: bool) -> None:
        # Closing the chunks frees the connection, however this ends.
        async with aclosing(self._chunks) as chunks:
            chunk = await anext(chunks, b"")
            await send({"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers})
            try:
                while chunk and not without_body:
                    async with asyncio.timeout(READER_SECONDS):
                        await send({"type": "http.response.body", "body": chunk, "more_body": True})
                    chunk = await anext(chunks, b"")
            except Exception as error:
                raise StreamCut(f"{type(error).__name__}: {error}"[:300]) from error
        await send({"type": "http.response.body", "body": b"", "more_body": False})


async def _wait_for_the_end(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


def stream_dependents(
    streams: Streams,
    package: Mapping[str, Any],
    output: StreamFormat,
    read: Callable[[Connection], AsyncGenerator[Rows]],
    fields: Sequence[str] = (),
) -> RowStream:
    """The answer that streams what `read` finds about a package; of each row these fields, or all."""
    encode = partial(_encode_csv if output == "csv" else _encode_ndjson, fields=fields)

    async def make_chunks() -> AsyncGenerator[bytes]:
        first = True
        async with streams.open() as connection, aclosing(read(connection)) as chunks:
            async for rows in chunks:
                began = time.perf_counter()
                chunk = encode(dependent_documents(rows, package), heading=first)
                busy = time.perf_counter() - began
                yield chunk
                first = False
                # Nobody else is served while a chunk is made, so as much time is left to pages.
                await asyncio.sleep(busy)
        if first and (nothing := encode([], heading=True)):
            yield nothing

    headers = {
        "Content-Disposition": f'attachment; filename="dependents.{output}"',
        # What is to be known about the list as a whole, such as the licences of the data.
        "Link": f'<{package_url(package)}/dependents?limit=1>; rel="describedby"; type="application/json"',
    }
    return RowStream(make_chunks(), MEDIA_TYPES[output], headers)


def _encode_ndjson(documents: Sequence[Dependent], *, heading: bool, fields: Sequence[str]) -> bytes:
    rows = [{name: getattr(row, name) for name in fields} for row in documents] if fields else documents
    return msgspec.json.Encoder().encode_lines(rows)


def _encode_csv(documents: Sequence[Dependent], *, heading: bool, fields: Sequence[str]) -> bytes:
    # By way of JSON, so that a cell is written as every other answer writes it.
    shown: list[Document] = msgspec.json.decode(msgspec.json.encode(documents))
    columns = [name for name in DEPENDENT_COLUMNS if not fields or name.partition(".")[0] in fields]
    return csv_lines(columns, shown, heading=heading).encode()
