"""What workers see of the upstreams reaches the table of providers."""

import asyncio
import json
from typing import Any

import pytest
from e2e.processes import environment_of, run_wump
from local_registry import LocalRegistry
from worker.conftest import Ledger
from wump_core.errors import CredentialsRejected, Unavailable
from wump_core.purl import parse_purl
from wump_core.settings import CoreSettings
from wump_worker.reporting import report
from wump_worker.resources import Resources, open_resources
from wump_worker.settings import WorkerSettings


async def see(ledger: Ledger, name: str = "npm") -> dict[str, Any]:
    (row,) = await ledger.rows("SELECT * FROM providers WHERE name = :name", name=name)
    return row


async def ask(resources: Resources, package: str) -> None:
    (npm,) = [item for item in resources.providers.active if item.name == "npm"]
    await npm.fetch_package(resources.context(npm), parse_purl(package))


async def test_answers_failures_and_what_is_left_are_reported(
    resources: Resources, settings: CoreSettings, registry: LocalRegistry, ledger: Ledger
) -> None:
    await report(resources)
    fresh = await see(ledger)
    assert (fresh["healthy"], fresh["limits"], fresh["last_ok_at"], fresh["last_error"]) == (True, [], None, None)
    registry.add_npm("good")
    await ask(resources, "npm:good")
    await report(resources)
    answered = await see(ledger)
    assert answered["last_ok_at"] is not None
    # Another worker that has seen less takes nothing back; one that has seen a failure says so.
    async with open_resources(settings, WorkerSettings()) as other:
        await report(other)
        assert (await see(ledger))["last_ok_at"] == answered["last_ok_at"]
        registry.answers["/npm/bad"] = (403, {}, b"")
        with pytest.raises(CredentialsRejected, match="403"):
            await ask(other, "npm:bad")
        await report(other)
    failed = await see(ledger)
    assert (failed["last_ok_at"], failed["last_error"]) == (answered["last_ok_at"], "HTTP 403")
    assert failed["last_error_at"] is not None


async def test_an_open_breaker_is_reported_with_its_reason(
    resources: Resources, registry: LocalRegistry, ledger: Ledger
) -> None:
    registry.answers["/npm/down"] = (503, {}, b"")
    for _ in range(20):
        with pytest.raises(Unavailable):
            await ask(resources, "npm:down")
    await report(resources)
    row = await see(ledger)
    assert row["healthy"] is False
    assert row["health"]


def test_the_command_shows_what_workers_saw(settings: CoreSettings, registry: LocalRegistry) -> None:
    environment = environment_of(settings, WUMP_PROVIDERS="npm")
    before = run_wump("providers", "--seen", environment=environment)
    assert (before.returncode, "no worker has reported" in before.stdout) == (0, True), before.stderr

    async def work() -> None:
        registry.add_npm("good")
        registry.answers["/npm/bad"] = (403, {}, b"")
        async with open_resources(settings, WorkerSettings()) as opened:
            await ask(opened, "npm:good")
            with pytest.raises(CredentialsRejected):
                await ask(opened, "npm:bad")
            await report(opened)

    asyncio.run(work())
    (row,) = json.loads(run_wump("providers", "--seen", "--format", "json", environment=environment).stdout)
    assert (row["seen"]["healthy"], row["seen"]["last_error"]) == (True, "HTTP 403")
    assert row["seen"]["last_ok_at"]
    shown = run_wump("providers", "--seen", environment=environment).stdout
    assert "403" in shown
