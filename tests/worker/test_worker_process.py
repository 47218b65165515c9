"""`wump worker` as a process: it stops in time whatever is away, and says what is wrong."""

import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from e2e.processes import environment_of, run_wump, running
from faults.stage import SHORT_TIMES
from local_registry import LocalRegistry
from worker.conftest import Ledger, SlowAnswers
from wump_core.settings import CoreSettings

STOP_SECONDS = 24
SHORT_STOP_SECONDS = 25 - 15
"""With `SHORT_TIMES`, by which what runs has 2 seconds to end instead of 17."""


@pytest.fixture
def black_hole() -> Iterator[int]:
    """A port that takes connections and never answers."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen(100)
        yield listener.getsockname()[1]


@pytest.mark.parametrize("valkey", ["away", "frozen"])
def test_it_stops_in_time_though_valkey_does_not_answer(
    settings: CoreSettings, tmp_path: Path, black_hole: int, valkey: str
) -> None:
    port = black_hole if valkey == "frozen" else 1
    (tmp_path / "sitecustomize.py").write_text(SHORT_TIMES)
    variables = {"WUMP_VALKEY_URL": f"valkey://127.0.0.1:{port}/0", "PYTHONPATH": str(tmp_path)}
    environment = environment_of(settings, **variables)
    with running("worker", environment=environment, log=tmp_path / "log") as worker:
        worker.wait_for("Valkey is away")
        assert worker.stop(signal.SIGTERM, SHORT_STOP_SECONDS) == 0, worker.output
    assert "see WUMP_VALKEY_URL" in worker.output
    assert "Exception in thread" not in worker.output


async def test_it_ends_what_it_began_before_it_stops(
    settings: CoreSettings, tmp_path: Path, registry: LocalRegistry, ledger: Ledger
) -> None:
    registry.add_npm("slow", dependencies={"debug": "1"})
    registry.answers = SlowAnswers(registry.answers, 1.5)
    # The exporter `console` tells at the end what the process has done.
    environment = environment_of(settings, WUMP_TELEMETRY="console")
    key = await ledger.plan("npm:slow")
    with (
        running("scheduler", environment=environment, log=tmp_path / "scheduler") as scheduler,
        running("worker", environment=environment, log=tmp_path / "worker") as worker,
    ):
        worker.wait_for("worker.started")
        deadline = time.monotonic() + 20
        while (await ledger.get(key))["state"] != "running":
            assert time.monotonic() < deadline
        assert worker.stop(signal.SIGTERM) == 0, worker.output
        row = await ledger.get(key)
        assert (row["state"], row["lost_leases"]) == ("completed", 0), worker.output
        # Both processes take both signals, by the same function.
        assert scheduler.stop(signal.SIGINT) == 0, scheduler.output
    assert "Traceback" not in worker.output + scheduler.output
    assert '"name": "run refresh_package"' in worker.output
    assert '"name": "job.execution.duration"' in worker.output
    assert '"service.name": "wump-scheduler"' in scheduler.output


def test_what_is_wrong_at_the_start_is_said_with_its_exit_code(settings: CoreSettings) -> None:
    wrong = {
        2: [{"WUMP_WORKER_THREADS": "0"}, {"WUMP_VALKEY_URL": "valkey://127.0.0.1:port/0"}],
        3: [{"WUMP_DATABASE_URL": "postgresql://a:geheim@127.0.0.1:1/x"}],
    }
    for code, environments in wrong.items():
        for variables in environments:
            result = run_wump("worker", environment=environment_of(settings, **variables), timeout=30)
            assert result.returncode == code, result.stderr
            assert sorted(variables)[-1] in result.stderr
            assert "Traceback" not in result.stderr
            assert "geheim" not in result.stderr


def test_a_sigterm_before_it_is_ready_is_no_error(settings: CoreSettings) -> None:
    process = subprocess.Popen(
        [sys.executable, "-m", "wump_core", "worker"], env=environment_of(settings), stderr=subprocess.PIPE
    )
    time.sleep(1.2)
    process.terminate()
    _, errors = process.communicate(timeout=STOP_SECONDS)
    assert process.returncode in (0, -signal.SIGTERM), errors
    assert b"Traceback" not in errors
