"""What importing a plugin does: seen in a fresh interpreter, and read in its source."""

import ast
import importlib.util
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import wump_core

HEAVY_MODULES = (
    *("sqlalchemy", "asyncpg", "dramatiq", "fastapi", "starlette", "redis", "valkey", "alembic", "uvicorn"),
    *("django", "flask", "numpy", "pandas", "pytest"),
    *("wump_api", "wump_worker", "wump_migrations", "wump_core.store", "wump_core.providers", "wump_core.testing"),
)
FORBIDDEN_PACKAGES = ("wump_api", "wump_worker", "wump_migrations")
IMPORT_SECONDS = 60

_CHILD = """
import json, os, sys, threading
import wump_core
known = set(sys.modules)
places = tuple(os.path.realpath(place) for place in (*sys.path, sys.prefix, sys.base_prefix) if place)
seen = []

def watch(event, arguments):
    if event.startswith(("socket.connect", "socket.getaddrinfo", "socket.bind", "subprocess.", "os.system", "os.exec",
                         "os.fork", "os.posix_spawn", "os.remove", "os.rename", "os.mkdir", "urllib.Request")):
        seen.append(event)
    elif event == "open" and isinstance(arguments[0], (str, bytes)):
        path, mode, flags = arguments
        path = os.fsdecode(path)
        writes = bool((flags or 0) & (os.O_WRONLY | os.O_RDWR | os.O_CREAT)) or any(c in (mode or "") for c in "wax+")
        inside = os.path.realpath(path).startswith(places)
        if writes or not (inside or path.startswith(("/proc/", "/sys/", "/dev/"))):
            seen.append(f"{'writing' if writes else 'reading'} {path}")

sys.addaudithook(watch)
__import__(sys.argv[1])
print(json.dumps({
    "modules": sorted(set(sys.modules) - known), "seen": seen, "threads": threading.active_count() - 1,
}))
"""


def list_import_faults(module: str) -> list[str]:
    """What a plugin must not do while it is imported, each with the name of what it did."""
    environment = dict(os.environ) | {"PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    try:
        child = subprocess.run(  # noqa: S603 - the interpreter itself, with the name of an entry point
            [sys.executable, "-B", "-c", _CHILD, module],
            env=environment,
            capture_output=True,
            text=True,
            timeout=IMPORT_SECONDS,
            check=False,
        )
    except subprocess.TimeoutExpired:
        return [f"it was not done within {IMPORT_SECONDS} seconds"]
    if child.returncode != 0:
        return [f"it failed: {child.stderr.strip().splitlines()[-1] if child.stderr.strip() else child.returncode}"]
    *printed, line = child.stdout.splitlines()
    report = json.loads(line)
    heavy = sorted(set(HEAVY_MODULES) & set(report["modules"]))
    return [
        *(f"it imports {name}, which is heavy or none of its business" for name in heavy),
        *(f"input or output: {event}" for event in dict.fromkeys(report["seen"])),
        *(["it prints"] if printed or child.stderr else []),
        *(["it starts a thread"] if report["threads"] else []),
    ]


def list_forbidden_imports(module: str) -> list[str]:
    """Imports in a plugin's source of what is not public: all but `wump_core` itself and `wump_core.testing`."""
    return [f"{path.name}, line {line}: {what}" for path in _sources(module) for line, what in _forbidden(path, module)]


def _sources(module: str) -> list[Path]:
    spec = importlib.util.find_spec(module)
    if spec is None or spec.origin is None:
        return []
    return sorted(Path(spec.origin).parent.rglob("*.py")) if spec.submodule_search_locations else [Path(spec.origin)]


def _forbidden(path: Path, module: str) -> Iterator[tuple[int, str]]:
    for node in ast.walk(ast.parse(path.read_bytes())):
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.level == 0 and node.module == "wump_core":
            # `from wump_core import providers` would be a module of its inside.
            names = [f"wump_core.{alias.name}" for alias in node.names if alias.name not in wump_core.__all__]
        elif isinstance(node, ast.ImportFrom) and node.level == 0:
            names = [node.module or ""]
        else:
            continue
        yield from ((node.lineno, name) for name in names if not _is_public(name, module))


def _is_public(name: str, module: str) -> bool:
    package = name.partition(".")[0]
    if package == "wump_core":
        return name == "wump_core" or name.startswith("wump_core.testing")
    other_plugin = package.startswith("wump_provider_") and package != module.partition(".")[0]
    return package not in FORBIDDEN_PACKAGES and not other_plugin
