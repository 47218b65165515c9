"""The gate before all routes: who calls, whether they may, and whether they asked too often.

It stands between the error handlers and the router, so that no route can be forgotten: what is not named in
`tiers.OPERATIONS` counts as its method says.
"""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager, suppress
from functools import lru_cache

from fastapi import FastAPI
from starlette.exceptions import HTTPException
from starlette.responses import Response
from starlette.types import ASGIApp, Receive, Scope, Send
from wump_core.telemetry import note_authentication, note_limit_exceeded

from wump_api.auth import CHALLENGE, LOCAL, PROCESS, Caller, Keys, describe_address, invalid_key, is_from_this_machine
from wump_api.deadlines import Deadlines
from wump_api.idempotency import answer_once
from wump_api.limits import Limiter, Window
from wump_api.problems import Problem, list_methods
from wump_api.settings import ApiSettings
from wump_api.sharing import Away, Shared
from wump_api.tiers import BURST_SECONDS, HOUR_SECONDS, TIERS, Operation, describe_operation

IN_PROCESS = "wump.in_process"
"""Key of an ASGI scope that wump's own commands made; none that comes over a network has it."""
FAILURES = Window("failures", 30, 300)
"""Wrong keys from one address; more are not looked at."""
_PREFIX = "/api/v1"


def install_gate(app: FastAPI, settings: ApiSettings) -> None:
    """Put the gate before the app's router."""
    app.router.middleware_stack = Gate(app.router.middleware_stack, settings)


@asynccontextmanager
async def open_gate(app: FastAPI, settings: ApiSettings) -> AsyncGenerator[None]:
    """What the gate needs while the app serves; `app.state` has the engine and Valkey by then."""
    shared = app.state.shared = Shared(app.state.valkey)
    with suppress(Away):
        # The first request shall not pay for the connection.
        await shared.ask(lambda valkey: valkey.ping())
    app.state.limiter = Limiter(shared)
    keys = app.state.keys = Keys(app.state.engine, shared)
    deadlines = app.state.deadlines = Deadlines(settings.request_timeout_seconds)
    going_on = [asyncio.create_task(keys.keep_saving_uses()), asyncio.create_task(deadlines.keep_looking())]
    try:
        yield
    finally:
        for task in going_on:
            task.cancel()
        await asyncio.gather(*going_on, return_exceptions=True)
        keys.close()


class Gate:
    """ASGI wrapper of the router. Routes find the caller as `request.state.caller`."""

    def __init__(self, app: ASGIApp, settings: ApiSettings) -> None:
        self._app = app
        self._everyone = settings.anonymous == "everyone"
        self._local = settings.anonymous != "nobody"

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or not scope["path"].startswith(_PREFIX):
            await self._app(scope, receive, send)
            return
        if scope["method"] == "OPTIONS":
            await _describe_methods(scope)(scope, receive, send)
            return
        operation = describe_operation(scope["method"], scope["path"], scope["query_string"])
        caller = scope["state"]["caller"] = await self._identify(scope, operation)
        areas = TIERS[caller.tier].areas if caller.areas is None else caller.areas
        if operation.area not in areas:
            note_authentication("forbidden", caller.subject)
            whose = f"a key of the tier {caller.tier}" if caller.areas is None else "this key"
            raise Problem("tier-not-allowed", f"{whose} may not {operation.area}")
        await self._count(scope, caller, operation)
        if operation.area == "export":
            await self._app(scope, receive, send)
            return
        deadlines: Deadlines = scope["app"].state.deadlines
        with deadlines.limit():
            if scope["method"] == "POST" and operation.area != "read":
                await answer_once(self._app, scope, receive, send, caller.subject)
            else:
                await self._app(scope, receive, send)

    async def _identify(self, scope: Scope, operation: Operation) -> Caller:
        given = [value for name, value in scope["headers"] if name == b"x-api-key"]
        if given:
            return await self._read_key(scope, given)
        if IN_PROCESS in scope:
            return PROCESS
        if self._local and is_from_this_machine(scope):
            caller = LOCAL
        else:
            address = describe_address(scope)
            caller = Caller("anonymous", "anonymous", f"address:{address}")
            if not self._everyone:
                note_authentication("missing", caller.subject)
                raise _needs_key(operation, "reading without a key is not allowed from there")
        if operation.area not in TIERS[caller.tier].areas:
            note_authentication("missing", caller.subject)
            raise _needs_key(operation, f"without a key nobody may {operation.area} from there")
        return caller

    async def _read_key(self, scope: Scope, given: list[bytes]) -> Caller:
        keys: Keys = scope["app"].state.keys
        if caller := keys.recall(given[0]):
            note_authentication("accepted", caller.subject)
            return caller
        limiter: Limiter = scope["app"].state.limiter
        client = describe_address(scope)
        address = f"failures:{client}"
        if not keys.knows(given[0]) and not await limiter.has_room(address, FAILURES):
            note_authentication("blocked", client)
            raise Problem("too-many-wrong-keys", f"more than {FAILURES.amount} wrong keys came from this address")
        try:
            if len(given) > 1:
                raise invalid_key()
            caller = await keys.authenticate(given[0])
        except Problem:
            note_authentication("rejected", client)
            await limiter.hit(FAILURES, address, 1)
            raise
        note_authentication("accepted", caller.subject)
        return caller

    async def _count(self, scope: Scope, caller: Caller, operation: Operation) -> None:
        windows = _windows(caller.tier, caller.requests_per_hour, caller.requests_per_burst)
        if not windows:
            return
        limiter: Limiter = scope["app"].state.limiter
        verdict = await limiter.take(caller.subject, windows, operation.cost)
        scope["state"]["headers"] += verdict.headers()
        if verdict.refused_by:
            note_limit_exceeded(verdict.refused_by.window.name, caller.subject)
            raise verdict.refusal()


def _describe_methods(scope: Scope) -> Response:
    methods = list_methods(scope)
    if not methods:
        raise HTTPException(404)
    return Response(status_code=204, headers={"Allow": ", ".join(methods)})


def _needs_key(operation: Operation, detail: str) -> Problem:
    return Problem("key-required", f"X-API-Key: {detail}", headers=CHALLENGE)


@lru_cache(1_000)
def _windows(tier: str, per_hour: int | None, per_burst: int | None) -> tuple[Window, ...]:
    """The shortest first: what it refuses must not be taken from the longer one."""
    kind = TIERS[tier]
    hour, burst = per_hour or kind.per_hour, per_burst or kind.per_burst
    if hour is None or burst is None:
        return ()
    return Window("burst", min(burst, hour), BURST_SECONDS), Window("hour", hour, HOUR_SECONDS)
