"""A registry on the loopback address: serves made packages as npm and PyPI would, and misbehaves on demand."""

import json
import threading
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import unquote


@dataclass
class LocalRegistry:
    """Answers by path. A value is a document, or (status, headers, body) for anything else."""

    answers: dict[str, Any] = field(default_factory=dict)
    requests: list[str] = field(default_factory=list)
    address: str = ""

    def add_npm(self, name: str, version: str = "1.0.0", **manifest: Any) -> None:
        """Serve an npm package whose latest version has this manifest."""
        self.answers[f"/npm/{name}"] = {
            "_id": name,
            "_rev": "1-x",
            "name": name,
            "dist-tags": {"latest": version},
            "versions": {version: {"name": name, "version": version, **manifest}},
            "time": {version: "2026-01-01T00:00:00.000Z"},
        }

    def add_pypi(self, name: str, version: str = "1.0.0", **info: Any) -> None:
        """Serve a Python package whose latest release has this info."""
        self.answers[f"/pypi/pypi/{name}/json"] = {
            "info": {"name": name, "version": version, **info},
            "last_serial": 1,
            "releases": {},
            "urls": [],
        }

    @property
    def environment(self) -> dict[str, str]:
        """Settings that point the providers here."""
        return {
            "WUMP_PROVIDER_NPM_BASE_URL": f"{self.address}/npm",
            "WUMP_PROVIDER_PYPI_BASE_URL": f"{self.address}/pypi",
        }


@contextmanager
def serve_registry() -> Generator[LocalRegistry]:
    """Run one while open."""
    registry = LocalRegistry()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            path = self.path if self.path in registry.answers else unquote(self.path)
            registry.requests.append(path)
            status, headers, body = _render(registry.answers.get(path))
            self.send_response(status)
            for name, value in headers.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def do_POST(self) -> None:
            self.rfile.read(int(self.headers.get("Content-Length", 0)))
            self.do_GET()

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base class's name
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    registry.address = f"http://127.0.0.1:{server.server_address[1]}"
    try:
        yield registry
    finally:
        server.shutdown()
        server.server_close()


def _render(answer: Any) -> tuple[int, Mapping[str, str], bytes]:
    if answer is None:
        return 404, {"Content-Type": "application/json"}, b'{"error":"Not found"}'
    if isinstance(answer, tuple):
        return answer
    return 200, {"Content-Type": "application/json"}, json.dumps(answer).encode()
