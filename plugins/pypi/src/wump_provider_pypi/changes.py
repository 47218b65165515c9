"""The index's change log: which projects changed since a serial number.

Source: Warehouse's XML-RPC documentation, `changelog_last_serial` and `changelog_since_serial`: the only way that
the index offers to learn of changes without reading the list of all its projects.
"""

import asyncio
import xmlrpc.client
from datetime import UTC, datetime, timedelta
from typing import Any
from xml.parsers.expat import ExpatError

import httpx
from wump_core import Context, InvalidResponse, Page, RateLimited, Unavailable, collect_items, make_purl

MAX_PROJECTS = 10_000
"""As many as a page holds. The index itself tells up to 50,000 rows at once, with many for a project."""

_PATIENCE = timedelta(minutes=5)


async def fetch_page(context: Context, cursor: str | None) -> Page[str]:
    """Fetch what changed since a serial; without one, the present serial.

    Raises:
        Unavailable: This index has no change log, as most proxies.
        RateLimited: The index asks for patience, which it does in a fault of its own.
        InvalidResponse: The answer is none of the change log.
    """
    if cursor is None:
        return Page(items=(), next_cursor=str(_check_serial(await _call(context, "changelog_last_serial"))))
    rows = await _call(context, "changelog_since_serial", int(cursor))
    return parse_rows(rows, int(cursor))


def parse_rows(rows: object, since: int) -> Page[str]:
    """Read rows of `name, version, time, action, serial`; a project that changed twice is named once.

    Raises:
        InvalidResponse: They are none, or don't rise.
    """
    if not isinstance(rows, list) or not all(isinstance(row, list) and len(row) == 5 for row in rows):
        raise InvalidResponse("the change log must be a list of rows of five")
    names: dict[object, None] = {}
    serial = since
    for row in rows:
        if str(row[0]) not in names and len(names) == MAX_PROJECTS:
            break
        names[str(row[0])] = None
        serial = max(serial, _check_serial(row[4]))
    if rows and serial == since:
        raise InvalidResponse("the change log answers with what was known before")
    purls, diagnostics = collect_items(names, lambda name: str(make_purl("pypi", name)))
    return Page(items=tuple(dict.fromkeys(purls)), next_cursor=str(serial), diagnostics=diagnostics)


async def _call(context: Context, method: str, *arguments: int) -> Any:
    response = await context.http.post(
        f"{context.settings.base_url}/pypi",
        content=xmlrpc.client.dumps(arguments, method),
        headers={"Content-Type": "text/xml", "Accept": "text/xml"},
        extensions={"wump_resource": "xmlrpc", "wump_idempotent": True},
    )
    if response.status_code in (httpx.codes.NOT_FOUND, httpx.codes.METHOD_NOT_ALLOWED, httpx.codes.NOT_IMPLEMENTED):
        raise Unavailable("this index has no change log")
    response.raise_for_status()
    # 50,000 rows take seconds, and the event loop is everybody's.
    return await asyncio.to_thread(_parse_answer, response.content)


def _parse_answer(content: bytes) -> Any:
    if b"<!" in content:  # entities could make gigabytes of it
        raise InvalidResponse("the change log's answer has declarations, which XML-RPC has not")
    try:
        values, _ = xmlrpc.client.loads(content, use_builtin_types=True)
    except xmlrpc.client.Fault as fault:
        if "TooManyRequests" in fault.faultString:
            raise RateLimited("the index asks for patience", datetime.now(UTC) + _PATIENCE) from None
        raise InvalidResponse(f"the change log answered fault {fault.faultCode}") from None
    except (ExpatError, xmlrpc.client.Error, ValueError, TypeError, LookupError, RecursionError):
        raise InvalidResponse("the change log's answer can't be read as XML-RPC") from None
    if len(values) != 1:
        raise InvalidResponse("the change log must answer one value")
    return values[0]


def _check_serial(value: object) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value < 2**63:
        raise InvalidResponse("the change log has a serial that is none")
    return value
