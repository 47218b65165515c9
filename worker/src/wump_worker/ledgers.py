"""The ledger as its commands use it: that of the settings' database, or over the wire that of an API elsewhere."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Protocol
from urllib.parse import quote
from uuid import UUID

import httpx
from wump_core.errors import ConfigurationError, ServerUnavailable, WumpError
from wump_core.store import alerts, executions, operations, pauses, providers, schedules

from wump_worker.ledger import Row, run_on_ledger
from wump_worker.scheduler import add_schedules

_PAGE_ROWS = 100
_USED_WRONGLY = (404, 409, 422)
_TIMEOUT_SECONDS = 30.0
# What the commands show of each: whatever answers without it is no wump, or not of this version.
_RUN = frozenset("id job subject state queue attempts lost_leases outcome due_at started_at finished_at".split())
_PAUSE = frozenset(("kind", "name", "reason"))
_ALERT = frozenset(("severity", "name", "message", "since", "ended_at"))
_SCHEDULE = frozenset("name cron custom paused_at error next_at last_fire_at skipped last_state arguments".split())


class Ledger(Protocol):
    """What the commands do. All raise `WumpError`."""

    def list_runs(
        self,
        states: Sequence[str],
        limit: int,
        *,
        job: str | None = None,
        queue: str | None = None,
        subject: str | None = None,
    ) -> list[Row]:
        """Runs, the newest first."""

    def list_dead(self, job: str | None) -> list[UUID]:
        """The dead runs, of one job or of all."""

    def get_run(self, public_id: UUID) -> Row | None:
        """One run."""

    def retry(self, ids: Sequence[UUID]) -> list[UUID]:
        """Make them due now; returns those that were."""

    def discard(self, ids: Sequence[UUID]) -> list[Row]:
        """Remove them; returns those that were."""

    def list_pauses(self) -> list[Row]:
        """What is paused."""

    def add_pause(self, kind: str, name: str, reason: str | None) -> bool:
        """Pause it; false: it was paused already."""

    def remove_pause(self, kind: str, name: str) -> bool:
        """Resume it; false: it was not paused."""

    def add_run(self, job: str, subject: str, arguments: Mapping[str, Any], version: int) -> UUID:
        """Make a run due now; returns its id."""

    def list_alerts(self) -> list[Row]:
        """What is wrong, and what was."""

    def list_schedules(self) -> list[Row]:
        """The schedules, by name."""

    def change_schedule(self, name: str, changes: Mapping[str, Any]) -> Row | None:
        """Change `cron` (null: the job's own), `arguments`, `paused`; returns it as it is then, null: there is none."""


def open_ledger(url: str | None, key: str | None) -> Ledger:
    """The ledger at the address of an API, or that of the settings. Raises `ConfigurationError` for no address."""
    return LedgerElsewhere(url, key) if url else LedgerHere()


class LedgerHere:
    """The ledger of the settings' database. Each call is a transaction."""

    def list_runs(
        self,
        states: Sequence[str],
        limit: int,
        *,
        job: str | None = None,
        queue: str | None = None,
        subject: str | None = None,
    ) -> list[Row]:
        """See `Ledger`."""
        found = run_on_ledger(
            lambda connection: operations.list_executions(
                connection, states=states, limit=limit, job=job, queue=queue, subject=subject
            )
        )
        return list(found)

    def list_dead(self, job: str | None) -> list[UUID]:
        """See `Ledger`."""
        return run_on_ledger(lambda connection: operations.list_dead_ids(connection, job=job))

    def get_run(self, public_id: UUID) -> Row | None:
        """See `Ledger`."""
        return run_on_ledger(lambda connection: operations.get_execution_details(connection, public_id))

    def retry(self, ids: Sequence[UUID]) -> list[UUID]:
        """See `Ledger`."""
        return run_on_ledger(lambda connection: operations.retry_executions(connection, ids))

    def discard(self, ids: Sequence[UUID]) -> list[Row]:
        """See `Ledger`."""
        return list(run_on_ledger(lambda connection: operations.discard_executions(connection, ids)))

    def list_pauses(self) -> list[Row]:
        """See `Ledger`."""
        return list(run_on_ledger(pauses.list_pauses))

    def add_pause(self, kind: str, name: str, reason: str | None) -> bool:
        """See `Ledger`."""

        async def work(connection: Any) -> bool:
            if kind == "provider":
                known = [row["name"] for row in await providers.list_provider_reports(connection)]
                if known and name not in known:
                    raise ConfigurationError(f"there is no provider {name!r}: expected one of {', '.join(known)}")
            return await pauses.add_pause(connection, kind, name, reason=reason)

        return run_on_ledger(work)

    def remove_pause(self, kind: str, name: str) -> bool:
        """See `Ledger`."""
        return run_on_ledger(lambda connection: pauses.remove_pause(connection, kind, name))

    def add_run(self, job: str, subject: str, arguments: Mapping[str, Any], version: int) -> UUID:
        """See `Ledger`."""
        return run_on_ledger(
            lambda connection: executions.add_execution(
                connection, job, subject, queue="high", arguments=arguments, version=version
            )
        )

    def list_alerts(self) -> list[Row]:
        """See `Ledger`."""
        return list(run_on_ledger(alerts.list_alerts))

    def list_schedules(self) -> list[Row]:
        """See `Ledger`."""

        async def work(connection: Any) -> list[Row]:
            await add_schedules(connection)
            return await schedules.list_schedules(connection)

        return run_on_ledger(work)

    def change_schedule(self, name: str, changes: Mapping[str, Any]) -> Row | None:
        """See `Ledger`."""

        async def work(connection: Any) -> Row | None:
            await add_schedules(connection)
            return await schedules.change_schedule(connection, name, changes)

        return run_on_ledger(work)


class LedgerElsewhere:
    """The ledger behind the operators' routes of an API."""

    def __init__(self, url: str, key: str | None) -> None:
        """Raises `ConfigurationError` for no address."""
        if not url.startswith(("http://", "https://")):
            raise ConfigurationError("--url: must start with http:// or https://")
        self._http = httpx.Client(
            base_url=f"{url.rstrip('/')}/api/v1",
            headers={"X-API-Key": key} if key else {},
            timeout=_TIMEOUT_SECONDS,
        )

    def list_runs(
        self,
        states: Sequence[str],
        limit: int,
        *,
        job: str | None = None,
        queue: str | None = None,
        subject: str | None = None,
    ) -> list[Row]:
        """See `Ledger`."""
        rows: list[Row] = []
        given = {"job": job, "queue": queue, "subject": subject}
        wanted: dict[str, Any] = {name: value for name, value in given.items() if value is not None}
        while len(rows) < limit:
            asked = wanted | {"state": list(states), "limit": min(_PAGE_ROWS, limit - len(rows))}
            page = self._ask("GET", "/jobs", params=asked)
            rows += self._read_list(page, _RUN)
            wanted["cursor"] = page.get("next_cursor")
            if wanted["cursor"] is None:
                break
        return rows

    def list_dead(self, job: str | None) -> list[UUID]:
        """See `Ledger`."""
        return [self._read_id(row) for row in reversed(self.list_runs(["dead"], 10_000, job=job))]

    def get_run(self, public_id: UUID) -> Row | None:
        """See `Ledger`."""
        row = self._try("GET", f"/jobs/{public_id}")
        return row and self._read(row, _RUN)

    def retry(self, ids: Sequence[UUID]) -> list[UUID]:
        """See `Ledger`."""
        return [public_id for public_id in ids if self._try("POST", f"/jobs/{public_id}/retry")]

    def discard(self, ids: Sequence[UUID]) -> list[Row]:
        """See `Ledger`."""
        rows = [self._try("DELETE", f"/jobs/{public_id}") for public_id in ids]
        return [dict(row) | {"id": self._read_id(row)} for row in rows if row]

    def list_pauses(self) -> list[Row]:
        """See `Ledger`."""
        return self._read_list(self._ask("GET", "/pauses"), _PAUSE)

    def add_pause(self, kind: str, name: str, reason: str | None) -> bool:
        """See `Ledger`."""
        already = (kind, name) in {(row["kind"], row["name"]) for row in self.list_pauses()}
        self._ask("POST", "/pauses", json={"kind": kind, "name": name, "reason": reason})
        return not already

    def remove_pause(self, kind: str, name: str) -> bool:
        """See `Ledger`."""
        return self._try("DELETE", f"/pauses/{kind}/{quote(name, safe='')}") is not None

    def add_run(self, job: str, subject: str, arguments: Mapping[str, Any], version: int) -> UUID:
        """See `Ledger`."""
        body = {"job": job, "subject": subject, "arguments": arguments, "arguments_version": version}
        return self._read_id(self._ask("POST", "/jobs", json=body))

    def list_alerts(self) -> list[Row]:
        """See `Ledger`."""
        return self._read_list(self._ask("GET", "/alerts"), _ALERT)

    def list_schedules(self) -> list[Row]:
        """See `Ledger`."""
        return [self._read_schedule(row) for row in self._read_list(self._ask("GET", "/schedules"), _SCHEDULE)]

    def change_schedule(self, name: str, changes: Mapping[str, Any]) -> Row | None:
        """See `Ledger`."""
        row = self._try("PATCH", f"/schedules/{quote(name, safe='')}", missing=(404,), json=changes)
        return row and self._read_schedule(self._read(row, _SCHEDULE))

    def _read_list(self, document: Row, names: frozenset[str]) -> list[Row]:
        rows = document.get("data")
        if not isinstance(rows, list):
            raise self._is_no_wump("it answers without `data`")
        return [self._read(row, names) for row in rows]

    def _read(self, row: Any, names: frozenset[str]) -> Row:
        if not isinstance(row, dict):
            raise self._is_no_wump("it lists what is no row")
        if lacking := names - row.keys():
            raise self._is_no_wump(f"it answers without `{min(lacking)}`")
        return row

    def _read_id(self, row: Row) -> UUID:
        try:
            return UUID(row["id"])
        except (KeyError, ValueError, AttributeError, TypeError):
            raise self._is_no_wump("it answers without the `id` of a run") from None

    def _read_schedule(self, row: Row) -> Row:
        """A schedule as the ledger here has it."""
        try:
            moments = {name: datetime.fromisoformat(at) for name, at in row.items() if name.endswith("_at") and at}
        except (ValueError, TypeError):
            raise self._is_no_wump("it answers with a moment that is none") from None
        return {name: value for name, value in row.items() if name not in ("id", "url")} | moments

    def _is_no_wump(self, reason: str) -> ServerUnavailable:
        return ServerUnavailable(f"{self._http.base_url} is no wump API, or not of this version: {reason}")

    def _ask(self, method: str, path: str, **options: Any) -> dict[str, Any]:
        found = self._try(method, path, missing=(), **options)
        if found is None:
            raise self._is_no_wump("it answers with nothing")
        return found

    def _try(self, method: str, path: str, *, missing: Sequence[int] = (404, 409), **options: Any) -> Any:
        """The document that answers; null for these statuses."""
        try:
            response = self._http.request(method, path, **options)
        except httpx.HTTPError as error:
            raise ServerUnavailable(f"{self._http.base_url} does not answer ({type(error).__name__})") from None
        try:
            document = response.json()
        except ValueError:
            document = None
        if not isinstance(document, dict):
            raise self._is_no_wump(f"HTTP {response.status_code} without a document")
        if response.is_success:
            return document
        if response.status_code in missing:
            return None
        message = f"{document.get('detail', response.status_code)}. {document.get('fix', '')}".strip()
        if response.status_code == 503:
            raise ServerUnavailable(message)
        raise (ConfigurationError if response.status_code in _USED_WRONGLY else WumpError)(message)
