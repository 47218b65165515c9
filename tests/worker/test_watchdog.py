"""A plugin that blocks the event loop: found, named, marked, and left out by the next worker."""

import asyncio
import time
import types
from pathlib import Path

import pytest
from e2e.processes import environment_of, running
from worker.conftest import Ledger
from worker.test_providers_loading import GOOD, install
from wump_core.settings import CoreSettings
from wump_worker.watchdog import EXIT_STALLED, Watchdog

BLOCKING = {"busy": "pass", "asleep": "time.sleep(0.05)"}


def make_plugin(body: str) -> types.ModuleType:
    """A module with a function that blocks until a moment, or until something is found."""
    module = types.ModuleType("wump_provider_rude.fetching")
    exec(
        f"import time\ndef block(end, found):\n    while time.monotonic() < end and not found: {body}", module.__dict__
    )
    return module


@pytest.mark.parametrize("how", BLOCKING)
async def test_it_names_the_plugin_whose_code_blocks_the_loop(how: str) -> None:
    bitten: list[tuple[str, str]] = []
    modules = {"wump_provider_rude": "rude", "wump_provider_kind": "kind"}
    watchdog = Watchdog(asyncio.get_running_loop(), modules, lambda *found: bitten.append(found), stall_seconds=0.25)
    watchdog.start()
    await asyncio.sleep(1.5)
    assert not bitten
    make_plugin(BLOCKING[how]).block(time.monotonic() + 20, bitten)
    watchdog.stop()
    assert bitten
    assert bitten[0][0] == "rude"
    assert bitten[0][1].startswith("blocked the worker for ")
    assert bitten[0][1].endswith(" s in wump_provider_rude.fetching.block")


async def test_a_loop_that_somebody_else_blocks_bites_nobody() -> None:
    bitten: list[tuple[str, str]] = []
    modules = {"wump_provider_kind": "kind"}
    watchdog = Watchdog(asyncio.get_running_loop(), modules, lambda *found: bitten.append(found), stall_seconds=0.1)
    watchdog.start()
    make_plugin(BLOCKING["busy"]).block(time.monotonic() + 1, bitten)
    watchdog.stop()
    assert not bitten


async def test_the_worker_ends_and_the_next_one_leaves_the_plugin_out(
    settings: CoreSettings, tmp_path: Path, ledger: Ledger
) -> None:
    site = tmp_path / "site"
    site.mkdir()
    install(site, "rude", GOOD.replace("    return PackageRecord", "    while True: pass\n    return PackageRecord"))
    environment = environment_of(
        settings,
        PYTHONPATH=str(site),
        WUMP_PROVIDERS="rude",
        WUMP_PROVIDER_RUDE_BASE_URL="https://rude.example",
    )
    key = await ledger.plan("npm:left")
    with running("scheduler", environment=environment, log=tmp_path / "scheduler"):
        with running("worker", environment=environment, log=tmp_path / "worker") as worker:
            assert worker.process.wait(60) == EXIT_STALLED, worker.output
        assert "provider.blocks" in worker.output
        with running("worker", environment=environment, log=tmp_path / "next") as worker:
            deadline = time.monotonic() + 60
            while (row := await ledger.get(key))["outcome"] is None or row["outcome"]["code"] == "lease_lost":
                assert time.monotonic() < deadline, worker.output
                await asyncio.sleep(0.2)
    assert "rude is broken: blocked the worker for" in str(row["outcome"])
    assert "in wump_provider_rude.fetch_package" in str(row["outcome"])
