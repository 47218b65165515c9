"""Pipenv's Pipfile and Pipfile.lock.

Source: pipenv's manual (Pipfile and Pipfile.lock; categories; specifiers) and the Pipfile specification. Both hold one
table per category; `packages` is `default` in the lockfile, `dev-packages` is `develop`.
"""

from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any

import msgspec
from packaging.utils import canonicalize_name
from wump_core import InvalidManifest, ManifestRecord, decode_text

from wump_provider_pypi.fields import MAX_SHORT, quote
from wump_provider_pypi.findings import Findings
from wump_provider_pypi.manifests.document import Document
from wump_provider_pypi.manifests.lock_lines import find_object_lines
from wump_provider_pypi.manifests.locked import Beside, add_locked, read_beside
from wump_provider_pypi.manifests.poetry import location_of, parse_constraint
from wump_provider_pypi.manifests.scopes import scope_of_group
from wump_provider_pypi.requirements import Place

PIPFILE = "Pipfile"
PIPFILE_LOCK = "Pipfile.lock"

MAX_VALUES = 400_000
"""In one file. A value can be three characters of text and cost a hundred bytes of memory."""

_decode = msgspec.json.Decoder().decode
_NO_CATEGORY = frozenset({"source", "requires", "scripts", "pipenv", "_meta"})
_MARKER_KEYS = (
    *("os_name", "sys_platform", "platform_machine", "platform_python_implementation", "platform_release"),
    *("platform_system", "platform_version", "python_version", "python_full_version", "implementation_name"),
)


def parse_pipfile(path: str, content: bytes, siblings: Mapping[str, bytes]) -> ManifestRecord:
    """Read one Pipfile.

    Raises:
        InvalidManifest: It is no UTF-8, or no TOML.
    """
    document = Document(content)
    for category, table in document.data.items():
        if category in _NO_CATEGORY or not isinstance(table, dict):
            continue
        place = _place_of(category)
        for name, value in table.items():
            if document.findings.stop(field=category):
                break
            # Pipenv puts the key before the version and hands both to pip: extras may stand in the key too.
            plain_name = name.partition("[")[0] if name.endswith("]") else name
            document.add((category, name), parse_constraint(plain_name, _with_markers(value), place))
    return document.findings.finish(path, PIPFILE)


def parse_pipfile_lock(path: str, content: bytes, siblings: Mapping[str, bytes]) -> ManifestRecord:
    """Read one Pipfile.lock.

    Raises:
        InvalidManifest: It is no JSON object in UTF-8.
    """
    text = decode_text(content)
    document = load_json(text)
    findings = Findings()
    if next(iter(document), None) == "_meta":
        del document["_meta"]
    lines = find_object_lines(text, document)
    beside = read_beside(path, siblings, findings, PIPFILE, parse_pipfile)
    passed = 0
    for category, packages in document.items():
        if isinstance(packages, dict) and packages:
            if category not in _NO_CATEGORY:
                _add_category(findings, category, packages, beside, lines[passed:])
            passed += len(packages)
    return findings.finish(path, PIPFILE_LOCK, "lockfile", needs=beside.needs)


def _add_category(
    findings: Findings,
    category: str,
    packages: dict[str, Any],
    beside: Beside,
    lines: Sequence[int | None],
) -> None:
    """Keep the packages of a category; `lines` are theirs, and those of what follows."""
    declared, place = beside.declared, _place_of(category)
    # Pipenv writes an `index` only behind what the Pipfile names.
    marked = {name for name, package in packages.items() if isinstance(package, dict) and "index" in package}
    for (name, package), line in zip(packages.items(), lines, strict=False):
        if findings.stop(field=category):
            return
        if not isinstance(package, dict):
            findings.note(f"{quote(name)}: expected an object", field=category, line=line)
            continue
        location = location_of(package)
        version, marker = package.get("version"), package.get("markers")
        version = version.strip() if isinstance(version, str) else None
        asked = beside.asks_for(name) if declared is not None else not marked or name in marked
        requirement = beside.requirement_of(name) if declared else None
        add_locked(
            findings,
            name,
            place,
            line=line,
            direct=asked or location is not None,
            version=version.removeprefix("==").lstrip() if version else None,
            requirement=requirement or (None if location else version),
            marker=marker if isinstance(marker, str) else None,
            location=location,
        )


def load_json(text: str) -> dict[str, Any]:
    """Read a JSON object.

    Raises:
        InvalidManifest: It is something else, is nested too deeply, or holds too many values.
    """
    if len(text) > 2 * MAX_VALUES and sum(map(text.count, ",[{")) > MAX_VALUES:  # no value without a second sign
        raise InvalidManifest(f"no JSON that is read: more than {MAX_VALUES:,} values")
    try:
        document = _decode(text)
    except RecursionError:
        raise InvalidManifest("no valid JSON: nested too deeply") from None
    except msgspec.DecodeError as error:
        raise InvalidManifest(f"no valid JSON: {str(error)[:200]}") from None
    if not isinstance(document, dict):
        raise InvalidManifest("must be a JSON object")
    return document


@lru_cache(maxsize=256)  # few names make up nearly all
def _place_of(category: str) -> Place:
    """What a category of either file says of its packages."""
    field = category[:MAX_SHORT]
    if category in ("packages", "default"):
        return Place(field)
    if category in ("dev-packages", "develop"):
        return Place(field, scope="development")
    name = canonicalize_name(category)
    return Place(field, scope=scope_of_group(name), groups=(name,) if name else ())


def _with_markers(value: Any) -> Any:
    """An entry may write each part of its marker as a key of its own: `os_name = "== 'nt'"`."""
    if not isinstance(value, dict):
        return value
    parts = [f"{key} {value[key]}" for key in _MARKER_KEYS if isinstance(value.get(key), str)]
    written = value.get("markers")
    if isinstance(written, str) and written.strip():
        parts.insert(0, f"({written})" if parts else written)
    return value | {"markers": " and ".join(parts)} if parts else value
