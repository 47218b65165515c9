"""What the layers of the transport know of a request, beside the request itself.

A request goes down the layers without a credential on it: each layer knows the credential by its id, and the
one just above the network puts the secret on a copy. So no log line, span, error or stored answer can hold it.
"""

import asyncio
import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import httpx
from wump_core.errors import InvalidResponse
from wump_core.limits import DEFAULT_RESOURCE

_CALL = "wump_call"
_RESOURCE = re.compile(r"[a-z][a-z0-9_]{0,39}")
_SECRET_NAMES = re.compile(r"key|token|secret|signature|sig$|password|credential|auth|code$", re.IGNORECASE)
_SAFE_METHODS = frozenset({"GET", "HEAD"})


@dataclass(frozen=True, slots=True)
class Call:
    """One request of a plugin.

    `deadline` is a moment of the loop's clock, by which the whole answer must be there, redirects included;
    `credential` is the id of the one that was chosen, empty for none; `patience` the seconds that it may wait
    for a limit, null for as long as the settings say.
    """

    resource: str
    deadline: float
    on_demand: bool
    repeatable: bool
    wants_credential: bool
    credential: str = ""
    patience: float | None = None

    @property
    def is_late(self) -> bool:
        """Whether its deadline has passed, so that being cancelled means that the upstream was too slow."""
        return asyncio.get_running_loop().time() >= self.deadline


def begin_call(request: httpx.Request, *, deadline: float, on_demand: bool) -> httpx.Request:
    """The request as the layers get it, with what the plugin said in its extensions.

    Raises:
        InvalidResponse: An extension has a value that it can't have.
    """
    resource = request.extensions.get("wump_resource", DEFAULT_RESOURCE)
    if not isinstance(resource, str) or not _RESOURCE.fullmatch(resource):
        raise InvalidResponse("the extension wump_resource must be a short lower-case word, such as 'search'")
    call = Call(
        resource=resource,
        deadline=deadline,
        on_demand=on_demand,
        repeatable=request.method in _SAFE_METHODS or request.extensions.get("wump_idempotent") is True,
        wants_credential=request.extensions.get("wump_credential", True) is not False,
    )
    return _copy(request, request.url, {}, call)


def call_of(request: httpx.Request) -> Call:
    """What is known of a request that came through `begin_call`."""
    return request.extensions[_CALL]


def with_call(request: httpx.Request, **changes: Any) -> httpx.Request:
    """A copy of the request with these fields of its call changed."""
    return _copy(request, request.url, {}, replace(call_of(request), **changes))


def with_headers(request: httpx.Request, headers: Mapping[str, str]) -> httpx.Request:
    """A copy of the request with these headers set."""
    return _copy(request, request.url, headers, call_of(request))


def with_url(request: httpx.Request, url: httpx.URL) -> httpx.Request:
    """A copy of the request to another address."""
    return _copy(request, url, {}, call_of(request))


def _copy(request: httpx.Request, url: httpx.URL, headers: Mapping[str, str], call: Call) -> httpx.Request:
    changed = httpx.Headers(request.headers)
    changed.update(headers)
    return httpx.Request(
        request.method,
        url,
        headers=changed,
        stream=request.stream,
        extensions={**request.extensions, _CALL: call},
    )


def show_url(url: httpx.URL) -> str:
    """The address for a log or a span: no credentials, no value of a parameter whose name sounds secret."""
    query = "&".join(
        f"{name}=REDACTED" if _SECRET_NAMES.search(name) else f"{name}={value}"[:200]
        for name, value in url.params.multi_items()
    )
    shown = f"{url.scheme}://{url.host}" + (f":{url.port}" if url.port else "") + url.path[:500]
    return f"{shown}?{query[:500]}" if query else shown
