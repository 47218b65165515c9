"""Routes that only read: described by FastAPI, answered without it, and from the cache where they say so.

To solve the dependencies of one request takes FastAPI longer than all else that a page needs. So the parameters are
one model, what the path names is found by one function, and the route's own function gets both. Register such a route
on the app itself, in front.
"""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from functools import cached_property, lru_cache, partial
from typing import Any, ClassVar, TypeVar, get_type_hints
from urllib.parse import unquote
from uuid import UUID

from fastapi import Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.routing import APIRoute
from pydantic import BaseModel, ConfigDict, ValidationError
from starlette.datastructures import QueryParams
from starlette.types import Receive, Scope, Send
from wump_core.caching import organization_subject, package_subject

from wump_api.cache import Cache, FinishedResponse, Place
from wump_api.inject import (
    WAIT_SECONDS,
    acquire_reader,
    canonical_purl,
    find_nothing,
    find_organization,
    find_package,
)
from wump_api.paths import ANY_ECOSYSTEM

QUARTER = 900
HOUR = 3_600
Endpoint = TypeVar("Endpoint", bound=Callable[..., Any])


@dataclass(frozen=True, slots=True)
class _Kept:
    view: str
    seconds: int


def kept(view: str, *, seconds: int) -> Callable[[Endpoint], Endpoint]:
    """Mark a route's function: its answers are cached under this name for so long."""

    def mark(endpoint: Endpoint) -> Endpoint:
        endpoint.__dict__["kept"] = _Kept(view, seconds)
        return endpoint

    return mark


class Parameters(BaseModel):
    """The query parameters of a route that reads; several requests may share them."""

    model_config = ConfigDict(frozen=True)

    repeated: ClassVar[tuple[str, ...]] = ()
    """Names that may be given several times; of all others, the last one counts."""

    @property
    def cacheable(self) -> bool:
        """Whether the answer to these is one that is kept."""
        return True

    @cached_property
    def text(self) -> str:
        """What tells them from others."""
        return repr([getattr(self, name) for name in type(self).model_fields])


class ReadRoute(APIRoute):
    """A route whose function takes `asked` and, where there are parameters, `wanted`."""

    def __init__(self, path: str, endpoint: Callable[..., Any], **options: Any) -> None:
        super().__init__(path, endpoint, **options)
        self.operation_id = self.name
        self._wanted: type[Parameters] | None = get_type_hints(endpoint).get("wanted")
        self._kept: _Kept | None = getattr(endpoint, "kept", None)
        self.app = self._serve

    async def find(self, request: Request, connection: Any) -> Any:
        """What the path names."""
        return await find_nothing(request, connection)

    def subject(self, path: Mapping[str, Any]) -> str | None:
        """Of what is cached; null: the path alone doesn't tell."""
        return f"{self.path.rpartition('/')[2]}:all"

    async def _serve(self, scope: Scope, receive: Receive, send: Send) -> None:
        request = Request(scope, receive)
        given = self._read_parameters(scope["query_string"])
        make = partial(self._make, request, given)
        place = self._place(scope, given)
        if place is None:
            response: Any = await make()
        else:
            state = scope["app"].state
            cache: Cache = state.cache
            response = FinishedResponse(await cache.answer(place, make), state.cache_control)
        await response(scope, receive, send)

    def _place(self, scope: Scope, given: Parameters | None) -> Place | None:
        """Where the answer is kept; null: nowhere."""
        if self._kept is None or scope["app"].state.cache is None or (given is not None and not given.cacheable):
            return None
        subject = self.subject(scope["path_params"])
        if subject is None:
            return None
        return Place(subject, self._kept.view, "" if given is None else given.text, self._kept.seconds)

    def _read_parameters(self, query: bytes) -> Parameters | None:
        if self._wanted is None:
            return None
        read = _recall_parameters if len(query) <= _SHORT_QUERY else _read_parameters
        return read(self._wanted, query)

    async def _make(self, request: Request, given: Parameters | None) -> Response:
        pool, connection = await acquire_reader(request)
        try:
            asked = await self.find(request, connection)
            endpoint: Callable[..., Awaitable[Response]] = self.endpoint
            return await (endpoint(asked) if given is None else endpoint(asked, given))
        finally:
            await pool.release(connection, timeout=WAIT_SECONDS)


class PackageRoute(ReadRoute):
    """A route about a package."""

    async def find(self, request: Request, connection: Any) -> Any:
        """The package. Raises like `find_package`."""
        return await find_package(request, connection, **request.path_params)

    def subject(self, path: Mapping[str, Any]) -> str | None:
        """Null for the short form, whose ecosystem only the database can tell."""
        if path["ecosystem"] == ANY_ECOSYSTEM:
            return None
        return package_subject(canonical_purl(path["ecosystem"], unquote(path["name"])))


class OrganizationRoute(ReadRoute):
    """A route about an organization."""

    async def find(self, request: Request, connection: Any) -> Any:
        """The organization. Raises like `find_organization`."""
        return await find_organization(request, connection, **request.path_params)

    def subject(self, path: Mapping[str, Any]) -> str | None:
        """Null for a login, which may come to name another one."""
        try:
            return organization_subject(str(UUID(path["id"])))
        except ValueError:
            return None


def _read_parameters(kind: type[Parameters], query: bytes) -> Parameters:
    """Raises `RequestValidationError`, as FastAPI does for its own routes."""
    given = QueryParams(query)
    values: dict[str, Any] = dict(given)
    for name in kind.repeated:
        if name in values:
            values[name] = given.getlist(name)
    try:
        return kind.model_validate(values)
    except ValidationError as error:
        found = error.errors(include_url=False)
        raise RequestValidationError([item | {"loc": ("query", *item["loc"])} for item in found]) from None


_recall_parameters = lru_cache(1_000)(_read_parameters)
"""Most requests ask for what others ask for too: the first page, or the next one."""
_SHORT_QUERY = 300
"""Bytes of a query that is remembered."""
