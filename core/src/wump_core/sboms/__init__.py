"""Software bills of materials: SPDX and CycloneDX as JSON, of any ecosystem that wump knows.

A bill is no format of one ecosystem, so the core reads it: as the provider `sbom`, which only parses, and for
providers whose `fetch_dependency_graph` brings one.
"""

import json
import re
from collections import Counter
from collections.abc import Mapping
from contextlib import suppress
from typing import Any

from wump_core.errors import InvalidManifest
from wump_core.hookspecs import ProviderInfo, hookimpl
from wump_core.manifests import Format, NoManifest, decode_text, list_globs, make_manifest, parse_with
from wump_core.records import ManifestRecord
from wump_core.sboms.bills import MAX_PACKAGES, Sbom
from wump_core.sboms.cyclonedx import read_cyclonedx
from wump_core.sboms.spdx import read_spdx
from wump_core.values import read_mapping

__all__ = ["FORMATS", "MAX_PACKAGES", "Sbom", "describe_provider", "parse_manifest", "read_cyclonedx", "read_spdx"]

MAX_BYTES = 10_000_000
MAX_VALUES = 500_000
MAX_ESCAPES = 100_000
"""Backslashes in a file whose lines are told: each package URL with one is decoded by itself."""

_LOCATOR = re.compile(rb'"(?:purl|referenceLocator)"\s*:\s*"(pkg:[^"\\\n]*(?:\\.[^"\\\n]*)*)"')


def _parse_spdx(path: str, content: bytes, siblings: Mapping[str, bytes]) -> ManifestRecord:
    document = _decode(content)
    return _make_record(path, "SPDX", read_spdx(read_mapping(document.get("sbom")) or document), content)


def _parse_cyclonedx(path: str, content: bytes, siblings: Mapping[str, bytes]) -> ManifestRecord:
    document = _decode(content)
    found = read_cyclonedx(document)
    if "bomFormat" not in document and not found.locators:
        raise NoManifest("no CycloneDX: it has neither `bomFormat` nor a component with a package URL")
    return _make_record(path, "CycloneDX", found, content)


def _decode(content: bytes) -> Mapping[str, Any]:
    """The document, if what it holds is bounded: a value takes up to a hundred times of its text in memory."""
    values = content.count(b",") + content.count(b"[") + content.count(b"{")
    if values > MAX_VALUES:
        raise InvalidManifest(f"has {values:,} values: at most {MAX_VALUES:,} are read")
    try:
        document = json.loads(decode_text(content))
    except ValueError as error:
        raise InvalidManifest(f"not JSON: {error}"[:500]) from None
    if not isinstance(document, dict):
        raise InvalidManifest("the document is no JSON object")
    return document


def _make_record(path: str, format: str, found: Sbom, content: bytes) -> ManifestRecord:  # noqa: A002
    lines, times = _find_lines(content), Counter(found.locators)
    for row, locator in zip(found.rows, found.locators, strict=True):
        where = lines.get(locator, ())
        if where and len(where) == times[locator]:  # else it stands elsewhere, too, and no line is certain
            times[locator] -= 1
            row["line"] = where.pop()
    return make_manifest(
        path,
        format=format,
        ecosystem="sbom",
        kind="lockfile",
        project=found.project,
        dependencies=found.rows,
        diagnostics=found.diagnostics,
    )


def _find_lines(content: bytes) -> dict[str, list[int]]:
    """The lines on which each package URL stands, the last one first."""
    lines: dict[str, list[int]] = {}
    if content.count(b"\\") > MAX_ESCAPES:
        return lines
    line, at = 1, 0
    for found in _LOCATOR.finditer(content):
        line += content.count(b"\n", at, found.start(1))
        at = found.start(1)
        with suppress(ValueError):
            text = found[1].decode()
            locator = json.loads(f'"{text}"') if "\\" in text else text
            lines.setdefault(locator, []).append(line)
    for found_lines in lines.values():
        found_lines.reverse()
    return lines


FORMATS = (
    Format(
        name="SPDX",
        globs=("*.spdx.json", "spdx.json", "sbom.json"),
        kind="lockfile",
        max_bytes=MAX_BYTES,
        yields="packages with a package URL, at most 50,000; direct by the relationships of the described package;"
        " scope by `…_DEPENDENCY_OF`. JSON of SPDX 2 only.",
        parse=_parse_spdx,
        marker=b'"spdxVersion"',
    ),
    Format(
        name="CycloneDX",
        globs=("bom.json", "*.cdx.json", "cyclonedx.json", "sbom.json"),
        kind="lockfile",
        max_bytes=MAX_BYTES,
        yields="components with a package URL, nested ones too, at most 50,000; direct by the graph of the described"
        " component; scope, and development by property. JSON only.",
        parse=_parse_cyclonedx,
    ),
)


@hookimpl
def describe_provider() -> ProviderInfo:
    """Say what this provider is: a part of the core, which asks nobody."""
    return ProviderInfo(
        title="Bills of materials",
        provider_type="aggregator",
        ecosystems=(),
        manifests=list_globs(FORMATS),
        licence="None of its own: a bill has its author's.",
        attribution="The files themselves",
    )


@hookimpl
def parse_manifest(path: str, content: bytes, siblings: Mapping[str, bytes]) -> ManifestRecord:
    """Read an SPDX or CycloneDX document."""
    return parse_with(FORMATS, path, content, siblings)
