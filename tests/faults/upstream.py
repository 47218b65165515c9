"""An upstream for long runs: packages and repositories, a tenth of whose calls fail, and that counts who asks when."""

import base64
import hashlib
import json
import random
import threading
import time
from collections.abc import Iterable
from typing import Any

from local_registry import LocalRegistry

FAIL_EVERY = 10
LIMITS = {"npm": (120, 1.0), "github": (80, 1.0)}
"""Requests in any stretch of so many seconds, for each provider. GitHub's search counts apart, with the same one."""


def limit_settings() -> dict[str, str]:
    """Settings that state these limits."""
    return {
        f"WUMP_PROVIDER_{name.upper()}_LIMITS": json.dumps(
            {"resources": {"core": [{"requests": requests, "seconds": seconds}]}, "concurrency": 16}
        )
        for name, (requests, seconds) in LIMITS.items()
    }


class FailingAnswers(dict[str, Any]):
    """Answers that take their time; every tenth call gets an error of the server's instead. Counts arrivals.

    Who asks for what is `held` waits until it is no more.
    """

    def __init__(self, answers: dict[str, Any], seconds: float) -> None:
        super().__init__(answers)
        self.seconds = seconds
        self.arrivals: dict[str, list[float]] = {"npm": [], "github": [], "search": []}
        self.failed = 0
        self.held = ""
        self._lock = threading.Lock()

    def get(self, key: str, default: Any = None, /) -> Any:  # ty: ignore[incompatible-method-override]
        with self._lock:
            kind = "npm" if key.startswith("/npm/") else "search" if key.startswith("/gh/search") else "github"
            self.arrivals[kind].append(time.monotonic())
            fails = sum(map(len, self.arrivals.values())) % FAIL_EVERY == 0
            self.failed += fails
        time.sleep(self.seconds)
        while key == self.held:
            time.sleep(0.05)
        return (503, {}, b"") if fails else super().get(key, default)

    def list_excesses(self) -> list[str]:
        """Where more arrived than a limit allows."""
        found = []
        for name, arrivals in self.arrivals.items():
            most, seconds = LIMITS.get(name, LIMITS["github"])
            times = sorted(arrivals)
            for first, last in zip(times, times[most:], strict=False):
                if last - first < seconds:
                    found.append(f"{name}: {most + 1} requests within {last - first:.3f} s")
        return found


def add_repository(registry: LocalRegistry, path: str, number: int, needs: Iterable[str]) -> str:
    """Serve a repository as GitHub would, with one manifest that states these packages; returns its address."""
    content = json.dumps({"name": path.partition("/")[2], "dependencies": dict.fromkeys(needs, "^1.0.0")}).encode()
    blob, commit = hashlib.sha1(content, usedforsecurity=False).hexdigest(), f"{number:040x}"
    owner, _, name = path.partition("/")
    base = f"/gh/repos/{path}"
    registry.answers[base] = {
        "id": number + 1,
        "full_name": path,
        "name": name,
        "private": False,
        "default_branch": "main",
        "fork": number % 17 == 0,
        "archived": number % 23 == 0,
        "is_template": False,
        "stargazers_count": number,
        "owner": {"login": owner, "id": 1_000 + int(owner.removeprefix("org")), "type": "Organization"},
        "pushed_at": "2026-11-01T00:00:00Z",
    }
    tree = {"path": "package.json", "mode": "100644", "type": "blob", "sha": blob, "size": len(content)}
    registry.answers[f"{base}/git/trees/main?recursive=1"] = {"sha": commit, "tree": [tree], "truncated": False}
    registry.answers[f"{base}/contents/package.json?ref={commit}"] = {
        "type": "file",
        "encoding": "base64",
        "size": len(content),
        "name": "package.json",
        "path": "package.json",
        "sha": blob,
        "content": base64.b64encode(content).decode(),
    }
    return f"https://github.com/{path}"


def fill(registry: LocalRegistry, rng: random.Random, packages: int, repositories: int) -> tuple[list[str], list[str]]:
    """Packages that share dependencies, owners and repositories, some unknown; and repositories that need them."""
    names = [f"p{number}" for number in range(packages)]
    # Half of all dependencies are on a few popular packages, where all workers meet.
    pool = [*names[:5]] * 20 + names + [f"stub{n}" for n in range(20)]
    for number, name in enumerate(names):
        needs = sorted({rng.choice(pool) for _ in range(rng.randint(0, 10))} - {name})
        fields = [rng.choice(["dependencies", "devDependencies", "peerDependencies"]) for _ in needs]
        manifest: dict[str, Any] = {
            field: {need: f"^{len(need)}" for need, chosen in zip(needs, fields, strict=True) if chosen == field}
            for field in set(fields)
        }
        if rng.random() < 0.85:
            manifest["repository"] = f"owner{rng.randrange(packages // 6)}/repo{rng.randrange(3)}"
        if rng.random() < 0.97:
            registry.add_npm(name, f"1.0.{number}", description=f"This is {name}", license="MIT", **manifest)
    urls = [
        add_repository(registry, f"org{number % 40}/app{number}", number, {rng.choice(pool) for _ in range(6)})
        for number in range(repositories)
    ]
    return names, urls
