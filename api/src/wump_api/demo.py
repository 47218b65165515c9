"""`wump demo`: the whole way once, with a handful of real packages that depend on one another.

Live from the registries where they can be reached; else from a small recorded sample, which goes through the
same providers, worker and database, into a database of its own that is thrown away.
"""

import asyncio
import json
import tempfile
import threading
from collections.abc import Callable, Generator, Iterable
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from importlib.resources import files
from pathlib import Path
from typing import Any, cast

from wump_core.embedded import stop_embedded
from wump_core.errors import Unavailable
from wump_core.purl import Purl, parse_purl
from wump_core.servers import open_servers
from wump_core.settings import CoreSettings, load_settings

from wump_api.client import Client, Document, ask_in_process, package_path
from wump_api.settings import load_api_settings
from wump_api.tracking import Tracked, describe_outcome, somebody_working, track, wait

PACKAGES = tuple(
    "npm:express npm:body-parser npm:finalhandler npm:send npm:serve-static npm:router npm:debug npm:http-errors"
    " npm:qs npm:accepts pypi:flask pypi:werkzeug pypi:jinja2 pypi:click pypi:httpx pypi:httpcore pypi:anyio"
    " pypi:starlette pypi:uvicorn pypi:fastapi".split()
)
SAMPLE = files("wump_api") / "sample.json"
# Its packages come from their registries: others would be asked for what those don't have, and that takes its time.
_PROVIDERS = {"WUMP_PROVIDERS": "npm,pypi"}
# Also what a captive portal, or a name server that leads elsewhere, makes of an attempt.
_NOBODY = ("unavailable", "credentials_rejected", "invalid_response")
_WAIT_SECONDS = 120.0


def run(notify: Callable[[str], None]) -> Document:
    """Fetch, join and answer. The result says whether it is `live`, and holds every edge.

    Raises:
        Unavailable: Not even the sample could be fetched.
    """
    settings = load_settings()
    with open_servers(settings, notify=notify) as ready:
        result = asyncio.run(ask_in_process(ready, lambda client: _demonstrate(client, settings, live=True)))
    if result is not None:
        return result
    with tempfile.TemporaryDirectory(prefix="wump-sample-") as folder, _sample_registry() as environment:
        sample = CoreSettings(database_url=None, read_database_url=None, valkey_url=None, data_dir=Path(folder))
        try:
            with open_servers(sample, notify=notify) as ready:
                result = asyncio.run(
                    ask_in_process(
                        ready, lambda client: _demonstrate(client, sample, live=False, environment=environment)
                    )
                )
        finally:
            # As root, Postgres may keep its data elsewhere, where it would outlive the folder.
            stop_embedded(sample.data_dir, purge=True)
    if result is None:
        raise Unavailable("the registries can't be reached, and the recorded sample could not be read")
    return result


def describe(result: Document) -> str:
    """What a person should know about the result, and what to do next."""
    lines = [
        f"wump: {len(result['packages'])} packages, {len(result['edges'])} dependencies,"
        f" {len(result['organizations'])} rows of the answer."
    ]
    for reason, count in result["excluded"].items():
        if count:
            lines.append(f"wump: left out: {count} of {reason.replace('_', ' ')}.")
    lines += [f"wump: not fetched: {item['package']} ({item['reason']})" for item in result["not_fetched"]]
    if result["live"]:
        lines.append(f"wump: run `wump up`, then open {result['api']}")
        lines.append("wump: or go on with `wump orgs npm:debug` and `wump track npm:YOUR-PACKAGE --wait`")
    return "\n".join(lines)


async def _demonstrate(
    client: Client, settings: CoreSettings, *, live: bool, environment: dict[str, str] | None = None
) -> Document | None:
    purls = [parse_purl(text) for text in PACKAGES]
    async with somebody_working(client, settings, _PROVIDERS | (environment or {})):
        tracked = await track(client, purls)
        await wait(client, tracked, seconds=_WAIT_SECONDS, give_up=_nobody_answers)
    if not tracked.saved:
        return None
    return await _collect(client, purls, tracked, live=live)


def _nobody_answers(tracked: Tracked) -> bool:
    """Whether nothing was fetched, and of each registry an attempt found it out of reach.

    One of each is enough: the transport has tried three times by then, and a wait for half of them would be a
    minute where a firewall swallows what is sent.
    """
    tried = [item for item in tracked.executions.values() if item["outcome"]]
    unreachable = all(item["outcome"].get("code") in _NOBODY for item in tried)
    return unreachable and _ecosystems(tried) == _ecosystems(tracked.executions.values())


def _ecosystems(executions: Iterable[Document]) -> set[str]:
    return {parse_purl(item["subject"]).ecosystem for item in executions}


async def _collect(client: Client, purls: list[Purl], tracked: Tracked, *, live: bool) -> Document:
    saved = {item["subject"] for item in tracked.saved}
    packages, edges, organizations = [], [], []
    excluded: dict[str, int] = {}
    for purl in purls:
        path = package_path(purl)
        package = await client.get(path)
        if str(purl) in saved:
            packages.append(package)
            edges += [row async for row in client.rows(f"{path}/dependencies")]
        for reason, count in package["dependents"]["excluded"].items():
            excluded[reason] = excluded.get(reason, 0) + count
        async for row in client.rows(f"{path}/dependents"):
            organizations.append({"package": str(purl)} | row)
    address = load_api_settings()
    return {
        "live": live,
        "packages": packages,
        "edges": edges,
        "organizations": organizations,
        "excluded": excluded,
        "not_fetched": [
            {"package": item["subject"], "reason": describe_outcome(item)}
            for item in tracked.executions.values()
            if item["subject"] not in saved
        ],
        "api": f"http://{address.host}:{address.port}/api/v1/packages/npm/debug/dependents",
    }


@contextmanager
def _sample_registry() -> Generator[dict[str, str]]:
    """Serve the recorded answers on the loopback address; yields the settings that point providers there."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), _SampleHandler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    address = f"http://127.0.0.1:{server.server_address[1]}"
    try:
        yield {"WUMP_PROVIDER_NPM_BASE_URL": f"{address}/npm", "WUMP_PROVIDER_PYPI_BASE_URL": f"{address}/pypi"}
    finally:
        server.shutdown()
        server.server_close()


class _SampleHandler(BaseHTTPRequestHandler):
    """Answers with what was recorded under that path, else with 404."""

    answers = cast(dict[str, Any], json.loads(SAMPLE.read_text("utf-8")))["answers"]

    def do_GET(self) -> None:
        answer = self.answers.get(self.path)
        body = json.dumps({} if answer is None else answer).encode()
        self.send_response(404 if answer is None else 200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base class's name
        """Say nothing."""
