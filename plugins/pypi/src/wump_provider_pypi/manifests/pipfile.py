"""Pipenv's Pipfile and Pipfile.lock.

Source: pipenv's manual (Pipfile and Pipfile.lock; categories; specifiers) and the Pipfile specification. Both hold one
table per category; `packages` is `default` in the lockfile, `dev-packages` is `develop`.
"""

from collections import deque
from collections.abc import Iterable, Mapping
from typing import Any

import msgspec
from packaging.utils import canonicalize_name
from wump_core import InvalidManifest, ManifestRecord, Scope, decode_text

from wump_provider_pypi.fields import MAX_SHORT, quote
from wump_provider_pypi.findings import Findings
from wump_provider_pypi.manifests.document import Document
from wump_provider_pypi.manifests.lock_lines import find_object_lines
from wump_provider_pypi.manifests.locked import Beside, add_locked, read_beside, text_of
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
        scope, groups = _meaning(category)
        for name, value in table.items():
            if document.findings.stop(field=category):
                break
            place = Place(category[:255], document.line((category, name), name), scope, groups)
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
    for category, packages in document.items():
        if isinstance(packages, dict) and packages:
            located = zip(packages.items(), lines, strict=False)  # takes as many lines as there are packages
            if category not in _NO_CATEGORY:
                _add_category(findings, category, packages, beside, located)
            deque(located, maxlen=0)
    return findings.finish(path, PIPFILE_LOCK, "lockfile", needs=beside.needs)


def _add_category(
    findings: Findings,
    category: str,
    packages: dict[str, Any],
    beside: Beside,
    located: Iterable[tuple[tuple[str, Any], int | None]],
) -> None:
    declared, (scope, groups) = beside.declared, _meaning(category)
    # Pipenv writes an `index` only behind what the Pipfile names.
    marked = {name for name, package in packages.items() if isinstance(package, dict) and "index" in package}
    place = Place(category[:MAX_SHORT], None, scope, groups)
    for (name, package), line in located:
        if findings.stop(field=category):
            return
        if not isinstance(package, dict):
            findings.note(f"{quote(name)}: expected an object", field=category, line=line)
            continue
        location = location_of(package)
        version = package.get("version")
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
            marker=text_of(package["markers"]) if "markers" in package else None,
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


def _meaning(category: str) -> tuple[Scope, tuple[str, ...]]:
    """Scope and groups of a category of either file."""
    if category in ("packages", "default"):
        return "runtime", ()
    if category in ("dev-packages", "develop"):
        return "development", ()
    name = canonicalize_name(category)
    return scope_of_group(name), (name,) if name else ()


def _with_markers(value: Any) -> Any:
    """An entry may write each part of its marker as a key of its own: `os_name = "== 'nt'"`."""
    if not isinstance(value, dict):
        return value
    parts = [f"{key} {value[key]}" for key in _MARKER_KEYS if isinstance(value.get(key), str)]
    written = value.get("markers")
    if isinstance(written, str) and written.strip():
        parts.insert(0, f"({written})" if parts else written)
    return value | {"markers": " and ".join(parts)} if parts else value
