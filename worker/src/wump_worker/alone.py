"""Runs a job that lost its workers alone, in a child process: where it ends its process, it ends no worker.

The child gets the execution, its token too, on its standard input, and ends when that closes: with its worker.
"""

import asyncio
import dataclasses
import json
import signal
import sys
from collections.abc import Mapping
from typing import Any, cast
from uuid import UUID

from wump_core.errors import JobKilled, ServerUnavailable
from wump_core.store.executions import Execution

EXIT_OUTAGE = 75
"""Of the child: a server was away, before it could begin or when it should have noted what became of the job."""
START_SECONDS = 30.0


def dump_execution(execution: Execution) -> bytes:
    """One line for the child."""
    fields: dict[str, Any] = dataclasses.asdict(execution) | {
        "token": str(execution.token),
        "paused_providers": sorted(execution.paused_providers),
    }
    return json.dumps(fields).encode() + b"\n"


def parse_execution(line: bytes) -> Execution:
    """The execution of such a line."""
    fields = json.loads(line)
    return Execution(
        **fields | {"token": UUID(fields["token"]), "paused_providers": frozenset(fields["paused_providers"])}
    )


async def run_alone(environment: Mapping[str, str], execution: Execution, *, deadline_seconds: float) -> None:
    """Run an execution in a child, which notes on the row what became of it.

    Args:
        environment: The child's.
        execution: Started, and held by the caller.
        deadline_seconds: For the run; the child has some more to start.

    Raises:
        JobKilled: The child died, or did not end in time.
        ServerUnavailable: The child could not begin, or not note what became of the job.
    """
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        *("-m", "wump_worker.child"),
        stdin=asyncio.subprocess.PIPE,
        env=dict(environment),
        start_new_session=True,  # what ends a terminal's group is for the worker to hear, and to decide on
    )
    stdin = cast(asyncio.StreamWriter, process.stdin)  # as a pipe was asked for
    try:
        stdin.write(dump_execution(execution))
        async with asyncio.timeout(deadline_seconds + START_SECONDS):
            code = await process.wait()
    except TimeoutError:
        raise JobKilled(f"alone in a process of its own, it did not end within {deadline_seconds:g} s") from None
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
        stdin.close()
    if code == EXIT_OUTAGE:
        raise ServerUnavailable("a server was away while the job was to run in a process of its own")
    if code != 0:
        raise JobKilled(
            f"it ended the process that it ran in, alone, with {_name_exit(code)}, after it had lost"
            f" {execution.lost_leases} workers: see the worker's log; is it short of memory?"
        )


def _name_exit(code: int) -> str:
    try:
        return signal.Signals(-code).name if code < 0 else f"exit code {code}"
    except ValueError:
        return f"signal {-code}"
