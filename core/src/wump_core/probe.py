"""Whether plugins can be imported at all, found out in a child process.

A plugin that hangs, blocks signals, or ends its process while it is imported would take its host with it. The child
imports one after another and says so, line by line; who does not let it say so in time is to blame.
"""

import contextlib
import importlib.metadata
import os
import queue
import subprocess
import sys
import threading
from collections.abc import Iterable, Sequence

from wump_core.hookspecs import ENTRY_POINT_GROUP

IMPORT_DEADLINE_SECONDS = 10.0


def probe_imports(names: Sequence[str], deadline_seconds: float = IMPORT_DEADLINE_SECONDS) -> dict[str, str]:
    """Import these providers' plugins in a child process; returns why some must not be imported here.

    An ordinary exception is no reason: whoever imports the plugin meets and reports it.

    Args:
        deadline_seconds: For each of them.
    """
    reasons: dict[str, str] = {}
    waiting = list(names)
    while waiting:
        done, ending = _import_in_child(waiting, deadline_seconds)
        waiting = waiting[len(done) :]
        if waiting:
            reasons[waiting.pop(0)] = ending
    return reasons


def _import_in_child(names: Sequence[str], deadline_seconds: float) -> tuple[list[str], str]:
    """Those that were imported, and how the next one was not."""
    child = subprocess.Popen(  # noqa: S603 - names of entry points, to our own module
        [sys.executable, "-m", "wump_core.probe", *names],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
    )
    lines: queue.Queue[str | None] = queue.Queue()
    threading.Thread(target=_read_lines, args=(child, lines), daemon=True).start()
    done: list[str] = []
    ending = f"took longer than {deadline_seconds:g} s to be imported"
    try:
        # Starting Python and importing what is wump's own is not the plugin's time.
        while (line := lines.get(timeout=deadline_seconds * (2 if not done else 1))) is not None:
            done.append(line)
        code = child.wait(timeout=deadline_seconds)
        ending = f"ended its process while it was imported ({_describe_code(code)})"
    except (queue.Empty, subprocess.TimeoutExpired):
        pass
    finally:
        child.kill()
        child.wait()
    return done, ending


def _read_lines(child: subprocess.Popen[bytes], lines: "queue.Queue[str | None]") -> None:
    for line in child.stdout or ():
        lines.put(line.decode(errors="replace").strip())
    lines.put(None)


def _describe_code(code: int) -> str:
    return f"signal {-code}" if code < 0 else f"exit code {code}"


def main(names: Iterable[str]) -> None:
    """Import each and say its name; the plugins' own output goes nowhere."""
    said = os.dup(1)
    os.dup2(2, 1)
    entries = {entry.name: entry for entry in importlib.metadata.entry_points(group=ENTRY_POINT_GROUP)}
    for name in names:
        with contextlib.suppress(BaseException):  # whoever imports it next reports it
            entries[name].load()
        os.write(said, f"{name}\n".encode())


if __name__ == "__main__":
    main(sys.argv[1:])
