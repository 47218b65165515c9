"""Package names in paths, however they are written.

Names hold `/`, `@` and `:`; clients write them raw or percent-encoded. Before routing, a path below
`/api/v1/packages/` is rewritten so that the name is exactly one segment. A known ecosystem as first segment
always wins over the short form without one; reserved last segments win over raw names; `%2F` is always exact.
"""

import re
from urllib.parse import quote, unquote

from starlette.types import ASGIApp, Receive, Scope, Send
from wump_core.purl import ECOSYSTEMS

PREFIX = "/api/v1/packages/"
ANY_ECOSYSTEM = "-"
"""Stands for the ecosystem in a rewritten path of the short form."""
LOOKUP = f"{PREFIX}lookup"
"""A path that names no package where something is posted to it."""
_RESERVED: tuple[tuple[str, ...], ...] = (
    ("dependents", "repositories"),
    ("dependents", "packages"),
    ("dependents", "facets"),
    ("dependents", "evidence"),
    ("dependents",),
    ("dependencies",),
    ("badge.svg",),
    ("badge.json",),
)
_POSTED: tuple[tuple[str, ...], ...] = (("refresh",),)
PLAIN = re.compile(
    rf"{PREFIX}(?:{'|'.join(ECOSYSTEMS)})/[A-Za-z0-9._~-]+(?:/dependents(?:/repositories|/packages|/facets|/evidence)?"
    r"|/dependencies|/badge\.svg|/badge\.json)?"
)
"""Paths that are as they would be rewritten, which are most."""


class PackagePaths:
    """ASGI wrapper that rewrites the paths of packages."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and scope["path"].startswith(PREFIX):
            path = find_path(scope, scope["method"])
            if path != scope["path"]:
                scope = dict(scope, path=path)
        await self._app(scope, receive, send)


def find_path(scope: Scope, method: str) -> str:
    """The path by which the router knows what is asked for by this method."""
    if not scope["path"].startswith(PREFIX):
        return scope["path"]
    raw = scope.get("raw_path") or quote(scope["path"]).encode()
    path = raw.decode("ascii", "replace").partition("?")[0]
    return path if PLAIN.fullmatch(path) else rewrite_package_path(path, posted=method == "POST")


def rewrite_package_path(raw_path: str, *, posted: bool = False) -> str:
    """`/api/v1/packages/npm/@scope/name/dependents` → `/api/v1/packages/npm/%40scope%2Fname/dependents`."""
    if posted and raw_path == LOOKUP:
        return raw_path
    segments = raw_path.removeprefix(PREFIX).rstrip("/").split("/")
    ecosystem = ANY_ECOSYSTEM
    if len(segments) > 1 and unquote(segments[0]) in ECOSYSTEMS:
        ecosystem, segments = unquote(segments[0]), segments[1:]
    reserved = _POSTED if posted else _RESERVED
    tail: tuple[str, ...] = next(
        (words for words in reserved if len(segments) > len(words) and tuple(segments[-len(words) :]) == words), ()
    )
    name = segments[: len(segments) - len(tail)]
    if ecosystem == ANY_ECOSYSTEM and len(name) > 1 and not name[0].startswith(("@", "%40")):
        # Two raw segments are an ecosystem that wump doesn't know and a name.
        ecosystem, name = unquote(name[0]), name[1:]
    exact_name = "/".join(unquote(segment) for segment in name)
    return PREFIX + "/".join([quote(ecosystem, safe=""), quote(exact_name, safe=""), *tail])
