"""pip's requirements files.

Source: pip's manual (requirements file format, constraints files).
"""

import re
from collections.abc import Mapping, Set
from functools import lru_cache

from packaging.utils import canonicalize_name
from wump_core import ManifestRecord

from wump_provider_pypi.fields import MAX_SHORT, make_storable, shorten
from wump_provider_pypi.findings import Findings
from wump_provider_pypi.manifests.compiled import find_transitive, is_compiled
from wump_provider_pypi.manifests.constraints import PIN, find_pins
from wump_provider_pypi.manifests.includes import Included
from wump_provider_pypi.manifests.locations import is_direct_reference, is_location, parse_location
from wump_provider_pypi.manifests.requirements_lines import (
    MAX_LINES,
    decode_requirements,
    has_entries,
    logical_lines,
    parse_line,
)
from wump_provider_pypi.manifests.scopes import scope_of_path
from wump_provider_pypi.requirements import (
    MAX_PLAIN_LENGTH,
    PLAIN,
    PLAIN_REFERENCE,
    Place,
    Reading,
    is_marker,
    make_dependency,
    parse_reference,
    parse_requirement,
)

FORMAT = "requirements.txt"

_NO_ENTRY = ("", "#")
_PLAIN_LINE = re.compile(rf"[ \t]*{PLAIN.pattern}[ \t]*(?:[ \t]#.*)?", re.ASCII)
_REFERENCE_LINE = re.compile(rf"[ \t]*(?!git@){PLAIN_REFERENCE.pattern}[ \t]*(?:[ \t]#.*)?", re.ASCII)


def parse_requirements_txt(path: str, content: bytes, siblings: Mapping[str, bytes]) -> ManifestRecord:
    """Read one requirements file.

    Raises:
        InvalidManifest: Its bytes are not in its encoding.
    """
    text = decode_requirements(content)
    findings = Findings()
    compiled = is_compiled(text)
    kind = "lockfile" if compiled else "manifest"
    if not has_entries(text):
        return findings.finish(path, FORMAT, kind)
    included = Included(path, siblings, findings)
    place = _place_of(path)
    if "constraint" in path[path.rfind("/") + 1 :].lower():
        _read_references(text, included)
    else:
        transitive = find_transitive(text) if compiled else frozenset()
        pins = find_pins(path, text, siblings)
        Reader(findings, included, place, pins, compiled=compiled, transitive=transitive).read(text)
        read_strangers(findings, included, place)
    return findings.finish(path, FORMAT, kind, needs=included.needs)


@lru_cache(maxsize=1_024)  # few paths make up nearly all files
def _place_of(path: str) -> Place:
    return Place(scope=scope_of_path(path))


def read_strangers(findings: Findings, included: Included, place: Place) -> None:
    """Read the included files that nobody reads for themselves, as parts of the file that includes them."""
    for path, text in included.take_strangers():
        field = shorten(make_storable(f"{place.field or '-r'} {path}"), MAX_SHORT)
        inside = Place(field=field, scope=place.scope, groups=place.groups, optional=place.optional)
        Reader(findings, included, inside).read(text)


def parse_entry(text: str, place: Place, *, editable: bool = False) -> Reading:
    """Read what stands on one line, without comment and options: a requirement, a URL or a path."""
    if is_direct_reference(text) or not (editable or is_location(text)):
        return parse_requirement(text, place)
    return parse_location(text, place)


class Reader:
    """Reads the lines of one file. A place with a field says that it is read as a part of another one."""

    __slots__ = ("_compiled", "_findings", "_included", "_pins", "_place", "_transitive")

    def __init__(
        self,
        findings: Findings,
        included: Included,
        place: Place,
        pins: Mapping[str, str] | None = None,
        *,
        compiled: bool = False,
        transitive: Set[int] = frozenset(),
    ) -> None:
        self._findings = findings
        self._included = included
        self._place = place
        self._pins = pins or {}
        self._compiled = compiled
        self._transitive = transitive

    def read(self, text: str) -> None:
        """Read to the end, or to a bound."""
        findings, transitive, base = self._findings, self._transitive, self._place
        for number, raw in logical_lines(text):
            if number <= MAX_LINES and raw.lstrip()[:1] in _NO_ENTRY:
                continue
            line = None if base.field else number
            if findings.stop(line=line):
                return
            if number > MAX_LINES:
                findings.note(f"more than {MAX_LINES:,} lines: the rest is not read", field=base.field, line=line)
                return
            row, problem = self._read_line(number, raw)
            if problem:
                findings.note(problem, field=base.field, line=line)
            if row:
                row["line"] = line
                if number in transitive:
                    row["direct"] = False
                findings.add(row)

    def _read_line(self, number: int, raw: str) -> Reading:
        if "@" in raw and (reference := parse_reference(raw, self._place, _REFERENCE_LINE)):
            return reference
        plain = _PLAIN_LINE.fullmatch(raw) if len(raw) <= MAX_PLAIN_LENGTH else None
        if plain:
            name, requirement, marker = plain.group("name", "requirement", "marker")
            # A bare name with a dot may be that of an archive.
            if (requirement or "." not in name or not is_location(name)) and (not marker or is_marker(marker)):
                version = self._version_of(name, requirement) if self._pins or self._compiled else None
                return make_dependency(
                    name, self._place, requirement=requirement, resolved_version=version, marker=marker
                )
        line = parse_line(number, raw)
        if line is None or line.kind == "option":
            return None, None
        if line.kind in ("include", "constraint"):
            if self._place.field is None:
                self._included.add(line)
            return None, None
        row, problem = parse_entry(line.text, self._place, editable=line.kind == "editable")
        if row and row["purl"] and (self._compiled or self._pins):
            row["resolved_version"] = self._version_of(row["name"], row.get("requirement"))
        return row, problem

    def _version_of(self, name: str, requirement: str | None) -> str | None:
        """The version that a resolver or a constraints file has fixed."""
        pin = PIN.fullmatch(requirement or "") if self._compiled else None
        version = pin[1] if pin else self._pins.get(canonicalize_name(name)) if self._pins else None
        return version if version and len(version) <= MAX_SHORT else None


def _read_references(text: str, included: Included) -> None:
    """What a constraints file includes; its entries are no dependencies."""
    for number, raw in logical_lines(text):
        line = parse_line(number, raw) if raw.lstrip().startswith("-") else None
        if line and line.kind in ("include", "constraint"):
            included.add(line)
