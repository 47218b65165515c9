"""A child process that feeds junk to `parse_manifest`: `python -m wump_core.testing.junk`.

Each piece of junk has its time and memory; who needs more is killed by the kernel, wherever it loops. The name of a
piece is printed before it is tried, so that the parent knows which one it was.
"""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from wump_core.errors import InvalidManifest
from wump_core.testing.cases import load_provider
from wump_core.testing.hostile import list_junk

CPU_SECONDS = 20
MEMORY_BYTES = 2 * 1024**3
WALL_SECONDS = 240


def run(task: Mapping[str, Any]) -> list[str]:
    """Let a child feed the junk, and say what was wrong with how the provider took it.

    Args:
        task: `provider`, `settings`, `root` (the folder of manifests), `path` (below it), `siblings` (paths), and
            `seconds` of processor time for each piece, where it isn't to be 20.
    """
    environment = dict(os.environ) | {"PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    command = [sys.executable, "-m", "wump_core.testing.junk"]
    try:
        child = subprocess.run(  # noqa: S603 - this very module
            command, env=environment, input=json.dumps(task), capture_output=True, text=True, timeout=WALL_SECONDS,
            check=False,
        )  # fmt: skip
    except subprocess.TimeoutExpired as error:
        lines = (error.stdout or b"").decode().splitlines()
        return [f"{_last(lines)}: not done after {WALL_SECONDS} seconds"]
    lines = child.stdout.splitlines()
    faults = [json.loads(line.removeprefix("bad ")) for line in lines if line.startswith("bad ")]
    if "done" not in lines:
        killed = child.returncode == -getattr(signal, "SIGVTALRM", 0)
        reason = (
            f"took more than {task.get('seconds', CPU_SECONDS)} seconds"
            if killed
            else f"ended the process ({child.returncode})"
        )
        faults.append(f"{_last(lines)}: {reason}{'' if killed else ': ' + child.stderr.strip()[-500:]}")
    return faults


def _last(lines: list[str]) -> str:
    return next((line.removeprefix("try ") for line in reversed(lines) if line.startswith("try ")), "the start")


def main() -> None:
    """Read the task from standard input, print one line per piece of junk; a JSON text is a finding."""
    task = json.load(sys.stdin)
    provider = load_provider(task["provider"], task["settings"])
    path, content = task["path"], Path(task["root"], task["path"]).read_bytes()
    siblings = {name: Path(task["root"], name).read_bytes() for name in task["siblings"]}
    _bound_memory()
    events = _watch()
    for name, junk in list_junk(content):
        pieces = {name: (junk, siblings)}
        if siblings:
            pieces[f"{name} beside it"] = (content, dict.fromkeys(siblings, junk))
        for piece, files in pieces.items():
            print(f"try {piece}", flush=True)  # noqa: T201
            _bound_time(task.get("seconds", CPU_SECONDS))
            del events[:]
            _try(provider, piece, path, *files)
            seen = next(iter(events), None)
            _bound_time(0)
            if seen is not None:
                _report(f"{piece}: a parser is pure, and this one does {seen}")
    print("done", flush=True)  # noqa: T201 - it is what the parent reads


def _try(provider: Any, name: str, path: str, content: bytes, siblings: dict[str, bytes]) -> None:
    try:
        provider.parse_manifest(path, content, siblings)
    except InvalidManifest:
        pass
    except BaseException as error:
        _report(f"{name}: {error}")


def _report(fault: str) -> None:
    print(f"bad {json.dumps(fault[:500])}", flush=True)  # noqa: T201


def _watch() -> list[str]:
    """A list that grows with what is opened, connected or started; modules that are imported late don't count."""
    events: list[str] = []
    places = tuple(os.path.realpath(place) for place in (*sys.path, sys.prefix, sys.base_prefix) if place)

    def watch(event: str, arguments: tuple[Any, ...]) -> None:
        if event.startswith(("socket.connect", "socket.getaddrinfo", "subprocess.", "os.system", "os.posix_spawn")):
            events.append(event)
        elif event == "open" and isinstance(arguments[0], str | bytes):
            path = os.path.realpath(os.fsdecode(arguments[0]))
            if not path.startswith(places):
                events.append(f"open {path}")

    sys.addaudithook(watch)
    return events


def _bound_time(seconds: int) -> None:
    # Nobody handles this signal, so it ends the process even inside C code, which a handler would not see.
    if hasattr(signal, "setitimer"):
        signal.setitimer(signal.ITIMER_VIRTUAL, seconds)


def _bound_memory() -> None:
    try:
        import resource

        resource.setrlimit(resource.RLIMIT_AS, (MEMORY_BYTES, MEMORY_BYTES))
    except (ImportError, ValueError, OSError):  # there is no such limit here
        return


if __name__ == "__main__":
    main()
