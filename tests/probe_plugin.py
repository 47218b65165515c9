"""A small plugin that holds the kit's rules, in pieces that a test can spoil."""

import json
from pathlib import Path
from typing import Any

from wump_core import NotFound
from wump_core.testing import Case

MODULE = "wump_provider_probe"

SOURCE = '''"""A provider for tests."""

import json

from pydantic import Field, SecretStr
from wump_core import (
    DependencyRecord, InvalidDump, InvalidManifest, InvalidResponse, ManifestRecord, PackageRecord, Page,
    ProviderHealth, ProviderInfo, ProviderSettings, collect_items, hookimpl, make_purl,
)


class Settings(ProviderSettings):
    base_url: str | None = "https://probe.example"
    key: SecretStr | None = Field(default=None, description="Opens what is closed.")


@hookimpl
def describe_provider():
    return ProviderInfo(
        title="Probe", provider_type="aggregator", ecosystems=("npm",), manifests=("probe.json",),
        settings_class=Settings, licence="CC0-1.0", attribution="probe",
    )


def read(document, name):
    if not isinstance(document, dict) or not isinstance(document.get("name"), str):
        raise ValueError("the answer has no name")
    return PackageRecord(
        purl=str(make_purl("npm", name)), description=document.get("about"), dependencies=(),
    )


@hookimpl
async def fetch_package(context, purl):
    response = await context.http.get(f"{context.settings.base_url}/p/{purl.name}")
    response.raise_for_status()
    return read(response.json(), purl.name)


@hookimpl
async def search_packages(context, query, cursor):
    page = int(cursor or 1)
    response = await context.http.get(f"{context.settings.base_url}/search", params={"q": query, "page": page})
    response.raise_for_status()
    document = response.json()
    if not isinstance(document, dict) or not isinstance(document.get("found"), list):
        raise InvalidResponse("the answer has no list of what was found")
    items, diagnostics = collect_items(document["found"], lambda item: read(item, item["name"]))
    following = str(page + 1) if document.get("more") else None
    return Page(items=items, next_cursor=following, diagnostics=diagnostics)


@hookimpl
def parse_manifest(path, content, siblings):
    try:
        document = json.loads(content)
        needed = [make_purl("npm", name) for name in document["needs"]]
    except (ValueError, KeyError, TypeError, RecursionError):
        raise InvalidManifest("no probe.json") from None
    return ManifestRecord(
        path=path, format="probe.json", ecosystem="npm", kind="manifest", status="ok",
        dependencies=tuple(DependencyRecord(purl=str(p), name=p.name, scope="runtime") for p in needed[:100]),
    )


@hookimpl
def read_dump(path):
    try:
        for line in path.read_text().splitlines():
            document = json.loads(line)
            yield read(document, document["name"])
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        raise InvalidDump("no dump of probe") from None


@hookimpl
async def health_check(context):
    response = await context.http.get(f"{context.settings.base_url}/")
    return ProviderHealth(ok=response.status_code < 500)
'''

TEST = '''"""The kit."""

from pathlib import Path

import pytest
from wump_core import NotFound
from wump_core.testing import Case, ProviderConformance


class TestProbe(ProviderConformance):
    provider = "probe"
    recordings = Path(__file__).parent / "recordings"
    cases = [
        Case("fetch_package", purl="npm:left"),
        Case("fetch_package", purl="npm:gone", raises=NotFound),
        Case("search_packages", query="pad"),
        Case("parse_manifest", path="probe.json"),
        Case("read_dump", path="probe.jsonl"),
        Case("health_check"),
    ]
    settings = {"key": "a-very-secret-key"}
'''

CASES = [
    Case("fetch_package", purl="npm:left"),
    Case("fetch_package", purl="npm:gone", raises=NotFound),
    Case("search_packages", query="pad"),
    Case("parse_manifest", path="probe.json"),
    Case("read_dump", path="probe.jsonl"),
    Case("health_check"),
]

METADATA = """Metadata-Version: 2.4
Name: wump-provider-probe
Version: 1.0
License-Expression: Apache-2.0
Requires-Python: >=3.11
Requires-Dist: wump-core>=0.1
"""

BASE = "https://probe.example"
RECORDINGS: dict[str, Any] = {
    "fetch_package-npm-left": [("/p/left", 200, {"name": "left", "about": "pads"})],
    "fetch_package-npm-gone": [("/p/gone", 404, {"message": "no such package"})],
    "search_packages-pad": [
        ("/search?q=pad&page=1", 200, {"found": [{"name": "left"}, {"name": "right"}], "more": True}),
        ("/search?q=pad&page=2", 200, {"found": [{"name": "centre"}, {"name": 7}], "more": False}),
    ],
    "health_check": [("/", 200, {"ok": True})],
}


KEPT: dict[str, Any] = {
    "fetch_package-npm-left": {"purl": "pkg:npm/left", "description": "pads", "dependencies": []},
    "health_check": {"ok": True},
    "parse_manifest-probe.json": {
        "path": "probe.json",
        "format": "probe.json",
        "ecosystem": "npm",
        "kind": "manifest",
        "status": "ok",
        "dependencies": [
            {"purl": "pkg:npm/left", "name": "left", "scope": "runtime"},
            {"purl": "pkg:npm/right", "name": "right", "scope": "runtime"},
        ],
    },
    "read_dump-probe.jsonl": [{}, {"purl": "pkg:npm/left", "description": "pads", "dependencies": []}],
    "search_packages-pad": [
        {
            "items": [{"purl": "pkg:npm/left", "dependencies": []}, {"purl": "pkg:npm/right", "dependencies": []}],
            "next_cursor": "2",
        },
        {
            "items": [{"purl": "pkg:npm/centre", "dependencies": []}],
            "diagnostics": [{"field": "items.1", "message": "ValueError: the answer has no name"}],
        },
    ],
}


def dump(exchanges: list[tuple[str, int, Any]]) -> str:
    """A recording as JSON."""
    return json.dumps(
        [
            {
                "request": {"method": "GET", "url": BASE + path},
                "response": {"status": status, "headers": {"content-type": "application/json"}, "body": body},
            }
            for path, status, body in exchanges
        ]
    )


def write(
    folder: Path, *, source: str = SOURCE, test: str = TEST, metadata: str = METADATA, recordings: Any = None
) -> None:
    """Write the plugin, its distribution's metadata, its test and its recordings."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / f"{MODULE}.py").write_text(source)
    about = folder / f"{MODULE}-1.0.dist-info"
    about.mkdir()
    (about / "METADATA").write_text(metadata)
    (about / "entry_points.txt").write_text(f"[wump.providers.v1]\nprobe = {MODULE}\n")
    kept = folder / "tests" / "recordings"
    (kept / "manifests").mkdir(parents=True)
    (kept / "dumps").mkdir()
    (folder / "tests" / "test_probe.py").write_text(test)
    (kept / "dumps" / "probe.jsonl").write_text('{"name": "left", "about": "pads"}\n')
    (kept / "manifests" / "probe.json").write_text('{"needs": ["left", "right"]}')
    for name, exchanges in (RECORDINGS if recordings is None else recordings).items():
        (kept / f"{name}.json").write_text(dump(exchanges))
    for name, record in KEPT.items():
        (kept / f"{name}.record.json").write_text(json.dumps(record, indent=1, sort_keys=True) + "\n")
