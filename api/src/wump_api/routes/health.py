"""Health: whether the API, and what it needs, works. Each check waits a second at most."""

import asyncio
from collections.abc import Mapping
from typing import Any

import asyncpg
from fastapi import APIRouter, Request, Response
from pydantic import SecretStr
from sqlalchemy.exc import SQLAlchemyError
from valkey.asyncio import Valkey
from valkey.exceptions import ValkeyError
from wump_core.schedule import ALIVE_KEY
from wump_core.store import operations

from wump_api.documents import json_response
from wump_api.models import Health, JobsHealth

router = APIRouter(tags=["health"])

CHECK_SECONDS = 1.0
MAX_WAIT_SECONDS = 120.0
"""So long due work may wait while no run starts or ends, and so long a schedule may be late."""
AWAY = {503: {"model": Health, "description": "It does not answer."}}


@router.get("/health", responses={200: {"model": Health}})
async def health() -> Response:
    """The API process answers. Touches nothing else."""
    return json_response({"status": "ok", "detail": None})


@router.get("/health/db", responses={200: {"model": Health}, **AWAY})
async def health_db(request: Request) -> Response:
    """The database answers, and so does its replica for reading where one is set.

    On connections of their own, so that a busy pool does not look like an outage.
    """
    urls: dict[str, SecretStr] = request.app.state.database_urls
    errors = await asyncio.gather(*(_ask_database(url) for url in urls.values()))
    faults = [f"{name} does not answer: {error}" for name, error in zip(urls, errors, strict=True) if error]
    return _unavailable("; ".join(faults)) if faults else json_response({"status": "ok", "detail": None})


async def _ask_database(url: SecretStr) -> str | None:
    """Why it does not answer; null: it does."""
    try:
        async with asyncio.timeout(CHECK_SECONDS):
            connection = await asyncpg.connect(url.get_secret_value(), timeout=CHECK_SECONDS)
            try:
                await connection.fetchval("SELECT 1")
            finally:
                connection.terminate()
    except (OSError, TimeoutError, asyncpg.PostgresError, asyncpg.InterfaceError) as error:
        return type(error).__name__
    return None


@router.get("/health/valkey", responses={200: {"model": Health}, **AWAY})
@router.get("/health/redis", responses={200: {"model": Health}, **AWAY}, include_in_schema=False)
async def health_valkey(request: Request) -> Response:
    """Valkey answers, and so does the one for finished answers where there is one."""
    named = {"Valkey": _valkey(request), "the Valkey of WUMP_CACHE_URL": request.app.state.answers}
    for name, client in named.items():
        try:
            async with asyncio.timeout(CHECK_SECONDS):
                await client.ping()
        except (ValkeyError, OSError, TimeoutError) as error:
            return _unavailable(f"{name} does not answer: {type(error).__name__}")
    return json_response({"status": "ok", "detail": None})


@router.get(
    "/health/jobs",
    responses={
        200: {"model": JobsHealth},
        503: {
            "model": JobsHealth | Health,
            "description": "Work that is due makes no progress, or the database does not answer.",
        },
    },
)
async def health_jobs(request: Request) -> Response:
    """Background work makes progress: while anything is due, runs start and end. A long queue alone is no fault."""
    try:
        async with asyncio.timeout(CHECK_SECONDS), request.app.state.engine.connect() as connection:
            backlog = dict(await operations.describe_backlog(connection))
    except (OSError, TimeoutError, SQLAlchemyError, asyncpg.PostgresError) as error:
        return _unavailable(f"the database does not answer: {type(error).__name__}")
    scheduler, worker = await _list_alive(request, "scheduler", "worker")
    detail = _find_standstill(backlog, scheduler, worker)
    late = backlog.pop("schedule_late_seconds")
    document = backlog | {
        "status": "unavailable" if detail else "ok",
        "detail": detail,
        "progressing": detail is None if backlog["due"] or late else None,
        "scheduler_alive": scheduler,
        "worker_alive": worker,
    }
    return json_response(document, 503 if detail else 200)


def _find_standstill(backlog: Mapping[str, Any], scheduler: bool | None, worker: bool | None) -> str | None:
    """Why what is due is not done; null: it is, or nothing is due."""
    missing = "scheduler" if scheduler is False else "worker" if worker is False else None
    oldest, idle, late = (backlog[key] for key in ("oldest_due_seconds", "idle_seconds", "schedule_late_seconds"))
    if backlog["due"] and missing:
        return f"work is waiting and no {missing} is running: start `wump up`, or `wump {missing}`"
    if oldest > MAX_WAIT_SECONDS and (idle is None or idle > MAX_WAIT_SECONDS):
        since = "for a day" if idle is None else f"for {idle:.0f} s"
        return f"work has been due for {oldest:.0f} s, and no run has started or ended {since}"
    if late is not None and late > MAX_WAIT_SECONDS:
        return f"a schedule is {late:.0f} s late: is a scheduler running, and what does its log say?"
    return None


async def _list_alive(request: Request, *services: str) -> list[bool | None]:
    """Whether each service said lately that it runs; null where Valkey can't tell."""
    keys = [ALIVE_KEY.format(service=service) for service in services]
    try:
        async with asyncio.timeout(CHECK_SECONDS):
            return [value is not None for value in await _valkey(request).mget(keys)]
    except (ValkeyError, OSError, TimeoutError):
        return [None for _ in services]


def _valkey(request: Request) -> Valkey:
    client: Valkey = request.app.state.valkey
    return client


def _unavailable(detail: str) -> Response:
    document: dict[str, Any] = {"status": "unavailable", "detail": detail}
    return json_response(document, 503)
