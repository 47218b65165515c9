"""Findings: what one file states, collected within the bounds of the records.

The only place that builds dependency records of manifests and lockfiles.
"""

import re
from collections.abc import Iterable
from itertools import islice
from typing import Any, Literal

import msgspec
from pydantic import TypeAdapter, ValidationError
from wump_core import DependencyRecord, DependencySource, InvalidPurl, ManifestRecord, Project, Scope, make_purl

from wump_provider_npm.diagnostics import Diagnostics

_PLAIN_NAME = re.compile(r"(?:@[A-Za-z0-9][\w.-]*/)?[A-Za-z0-9][\w.-]*", re.ASCII)
_MAX_PLAIN_NAME = 214
_AT_ONCE = 1_000
_STRENGTH: tuple[Scope, ...] = ("runtime", "peer", "build", "optional", "development", "test", "unknown")
MAX_DEPENDENCIES = 70_000
"""More than the largest lockfiles fix; a record would hold more, and take longer than a file may."""

MAX_NEEDS = 100
"""As many as a record holds."""


class Dependency(msgspec.Struct, frozen=True, gc=False):
    """One dependency as a parser found it; the fields are those of `DependencyRecord`.

    It holds no other objects, so that the garbage collector need not look at it.
    """

    name: str
    requirement: str | None = None
    resolved_version: str | None = None
    scope: Scope = "runtime"
    optional: bool = False
    direct: bool = True
    alias: str | None = None
    source: DependencySource = "registry"
    groups: tuple[str, ...] = ()
    field: str | None = None
    line: int | None = None


class Findings:
    """The dependencies and diagnostics of one file."""

    def __init__(self) -> None:
        self.diagnostics = Diagnostics()
        self._records: list[DependencyRecord] = []

    def note(self, field: str, message: str, line: int | None = None) -> None:
        """A diagnostic for what could not be read."""
        self.diagnostics.add(field, message, line)

    def add(self, found: Iterable[Dependency]) -> None:
        """Keep dependencies.

        One whose name can't be a name is diagnosed and left out, of others a value that can't be stored.
        """
        rest = iter(found)
        while some := list(islice(rest, _AT_ONCE)):
            self._records += self.build_records(some)
            if len(self._records) > MAX_DEPENDENCIES:
                return

    def keep(self, records: Iterable[DependencyRecord]) -> None:
        """Keep dependencies that are records already."""
        self._records += records

    def finish(
        self,
        path: str,
        format_name: str,
        kind: Literal["manifest", "lockfile"],
        project: Project | None = None,
        needs: Iterable[str] = (),
    ) -> ManifestRecord:
        """The record of the file."""
        if len(self._records) > MAX_DEPENDENCIES:
            self.note("dependencies", f"only the first {MAX_DEPENDENCIES:,} dependencies were kept")
        diagnostics = self.diagnostics.finish()
        return ManifestRecord(
            path=path,
            format=format_name,
            ecosystem="npm",
            kind=kind,
            status="partial" if diagnostics else "ok",
            project=project,
            dependencies=tuple(self._records[:MAX_DEPENDENCIES]),
            needs=tuple(dict.fromkeys(needs))[:MAX_NEEDS],
            diagnostics=diagnostics,
        )

    def build_records(self, found: Iterable[Dependency]) -> tuple[DependencyRecord, ...]:
        """Records for a caller that keeps them itself: all at once, which costs half of what one by one does."""
        fields = [made for one in found if (made := self._make_fields(one))]
        try:
            return _RECORDS.validate_python(fields)
        except ValidationError as error:
            problems = error.errors(include_url=False, include_input=False)
        unnamed = set()
        for index, key in sorted({(int(problem["loc"][0]), str(problem["loc"][1])) for problem in problems}):
            one = fields[index]
            self.note(one.get("field") or "dependencies", f"{key}: can't be stored, and was left out", one.get("line"))
            unnamed.update({index} if key in ("name", "purl") else ())
            del one[key]
        return _RECORDS.validate_python([one for index, one in enumerate(fields) if index not in unnamed])

    def _make_fields(self, found: Dependency) -> dict[str, Any] | None:
        """The fields of the record, without what is seldom set."""
        try:
            purl = find_purl(found.name) if found.source == "registry" else None
        except InvalidPurl:
            self.note(found.field or found.name, "not an npm package name", found.line)
            return None
        fields: dict[str, Any] = {
            "purl": purl,
            "name": found.name,
            "resolved_version": found.resolved_version,
            "scope": found.scope,
            "direct": found.direct,
            "source": found.source,
            "field": found.field,
            "line": found.line,
        }
        if found.requirement is not None:
            fields["requirement"] = found.requirement
        if found.optional:
            fields["optional"] = True
        if found.alias is not None:
            fields["alias"] = found.alias
        if found.groups:
            fields["groups"] = found.groups
        return fields


_RECORDS = TypeAdapter(tuple[DependencyRecord, ...])


def find_purl(name: str) -> str:
    """The canonical purl of an npm name. Most names need no encoding but for the scope's `@`.

    Raises:
        InvalidPurl: It is no npm name.
    """
    if len(name) <= _MAX_PLAIN_NAME and _PLAIN_NAME.fullmatch(name):
        return "pkg:npm/" + name.replace("@", "%40")
    return str(make_purl("npm", name))


def stronger(one: Scope, other: Scope) -> Scope:
    """Of two scopes of one package the one that says more: what is needed at run time is not for development."""
    return min(one, other, key=_STRENGTH.index)


def parse_project(name: Any, version: Any, findings: Findings, lines: Any = None) -> Project:
    """A file's own name and version, either of which may be missing in what isn't published."""
    place = (lines or {}).get
    try:
        name = make_purl("npm", name if isinstance(name, str) else "").name if name else None
    except InvalidPurl:
        findings.note("name", "not an npm package name", place(("name",)))
        name = None
    try:
        return Project(name=name, version=version or None)
    except ValidationError:
        findings.note("version", "must be a text of at most 255 characters", place(("version",)))
        return Project(name=name)
