"""An upstream on the loopback address that does to a request what its path names, and counts what arrives."""

import threading
import time
from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

Behaviour = Callable[[BaseHTTPRequestHandler], None]


@dataclass
class Arrival:
    """A request as it came in, by the server's own clock."""

    path: str
    at: float
    headers: dict[str, str]
    body: bytes


@dataclass
class HostileUpstream:
    """Answers by path, query left out."""

    address: str
    behaviours: dict[str, Behaviour] = field(default_factory=dict)
    arrivals: list[Arrival] = field(default_factory=list)
    bytes_sent: int = 0
    most_at_once: int = 0
    under_way: int = 0
    lock: threading.Lock = field(default_factory=threading.Lock)

    @property
    def asked(self) -> list[str]:
        """The paths that were asked for, in order."""
        return [arrival.path for arrival in self.arrivals]

    @property
    def seen_headers(self) -> dict[str, str]:
        """Of the last request, by their name in lower case."""
        return self.arrivals[-1].headers

    def count_most_within(self, seconds: float) -> int:
        """The most requests that arrived within any stretch of so many seconds."""
        times = sorted(arrival.at for arrival in self.arrivals)
        return max((sum(start <= at < start + seconds for at in times) for start in times), default=0)

    def answer(self, path: str, body: bytes = b"", status: int = 200, seconds: float = 0, **headers: str) -> str:
        """Answer so on this path, after so many seconds; returns its address."""

        def behave(request: BaseHTTPRequestHandler) -> None:
            time.sleep(seconds)
            send(request, body, status, **headers)

        self.behaviours[path] = behave
        return self.address + path

    def stream(self, path: str, chunks: Callable[[], Iterator[bytes]], **headers: str) -> str:
        """Send these, without saying how many there are, until nobody listens."""

        def behave(request: BaseHTTPRequestHandler) -> None:
            request.send_response(200)
            for name, value in headers.items():
                request.send_header(name.replace("_", "-"), value)
            request.send_header("Connection", "close")
            request.end_headers()
            for chunk in chunks():
                request.wfile.write(chunk)
                self.bytes_sent += len(chunk)

        self.behaviours[path] = behave
        return self.address + path


def send(request: BaseHTTPRequestHandler, body: bytes = b"", status: int = 200, **headers: str) -> None:
    """Send an answer; `_` in the name of a header is `-`."""
    request.send_response(status)
    for name, value in headers.items():
        request.send_header(name.replace("_", "-"), value)
    if "Content_Length" not in headers:
        request.send_header("Content-Length", str(len(body)))
    request.end_headers()
    request.wfile.write(body)


@contextmanager
def serve_hostile() -> Generator[HostileUpstream]:
    """Run one while open."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            path = self.path.partition("?")[0]
            body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            headers = {name.lower(): value for name, value in self.headers.items()}
            with upstream.lock:
                upstream.arrivals.append(Arrival(self.path, time.monotonic(), headers, body))
                upstream.under_way += 1
                upstream.most_at_once = max(upstream.most_at_once, upstream.under_way)
            try:
                upstream.behaviours[path](self)
            except OSError:
                self.close_connection = True
            finally:
                with upstream.lock:
                    upstream.under_way -= 1

        do_POST = do_HEAD = do_GET

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base class's name
            """Say nothing."""

    class Server(ThreadingHTTPServer):
        daemon_threads = True
        request_queue_size = 128

        def handle_error(self, request: object, client_address: object) -> None:
            """Say nothing: clients that leave are what the tests are about."""

    server = Server(("127.0.0.1", 0), Handler)
    upstream = HostileUpstream(f"http://127.0.0.1:{server.server_address[1]}")
    threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
    try:
        yield upstream
    finally:
        server.shutdown()
        server.server_close()
