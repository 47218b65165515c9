"""A small load generator, for a process of its own: keep-alive HTTP/1.1 on asyncio streams, one request at a time
on each connection.

Its limits: it doesn't decode bodies, and waits for an answer before it asks again, so it measures what a server does
and not how it queues. It shares the machine's cores with what it measures.
"""

import asyncio
import json
import sys
import time

import uvloop

_END_OF_HEAD = b"\r\n\r\n"


async def ask(port: int, path: str, key: str, end: float, latencies: list[float]) -> int:
    """Ask on one connection until the end; returns the bytes of the last body.

    Raises:
        RuntimeError: An answer is no 200.
    """
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    own = f"x-api-key: {key}\r\n" if key else ""
    request = f"GET {path} HTTP/1.1\r\nhost: 127.0.0.1:{port}\r\n{own}\r\n".encode()
    length = 0
    while (started := time.perf_counter()) < end:
        writer.write(request)
        head = (await reader.readuntil(_END_OF_HEAD)).lower()
        if not head.startswith(b"http/1.1 200 "):
            raise RuntimeError(head.decode("latin-1"))
        length = await read_body(reader, head)
        latencies.append(time.perf_counter() - started)
    writer.close()
    return length


async def read_body(reader: asyncio.StreamReader, head: bytes) -> int:
    """Read to the end of a body; returns its bytes."""
    _, found, rest = head.partition(b"content-length:")
    if found:
        length = int(rest.partition(b"\r\n")[0])
        await reader.readexactly(length)
        return length
    length = 0
    while size := int(await reader.readline(), 16):
        await reader.readexactly(size + 2)
        length += size
    await reader.readline()
    return length


async def load(port: int, path: str, connections: int, seconds: float, key: str = "") -> dict[str, float]:
    """Ask on several connections at once."""
    latencies: list[float] = []
    started, used = time.perf_counter(), time.process_time()
    lengths = await asyncio.gather(*(ask(port, path, key, started + seconds, latencies) for _ in range(connections)))
    took = time.perf_counter() - started
    latencies.sort()
    return {
        "rate": len(latencies) / took,
        "p50_ms": latencies[len(latencies) // 2] * 1000,
        "p99_ms": latencies[int(len(latencies) * 0.99)] * 1000,
        "bytes": max(lengths),
        "client_cores": (time.process_time() - used) / took,
    }


if __name__ == "__main__":
    print(
        json.dumps(uvloop.run(load(int(sys.argv[1]), sys.argv[2], int(sys.argv[3]), float(sys.argv[4]), *sys.argv[5:])))
    )
