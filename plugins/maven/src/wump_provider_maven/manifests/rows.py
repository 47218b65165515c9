"""What a reading of any format gathers: rows of dependencies and diagnostics, made a record at the end."""

from collections.abc import Iterable, Mapping
from typing import Any, Literal

from wump_core import Diagnostic, ManifestRecord, NoManifest, Project, Scope, make_manifest, make_printable

from wump_provider_maven.coordinates import MAX_NAME, find_purl, make_name

MAX_ROWS = 50_000
MAX_NOTES = 2_000
MAX_TEXT = 2_000
MAX_SHORT = 255


class Findings:
    """Rows and diagnostics of one file."""

    def __init__(self) -> None:
        self.rows: list[dict[str, Any]] = []
        self._notes: dict[tuple[str | None, str, int | None], Diagnostic] = {}
        self._left_out = 0

    def add(
        self, group: str, artifact: str, requirement: str | None, scope: Scope, *, line: int | None, **fields: Any
    ) -> None:
        """Take one dependency; `fields` are further ones of a `DependencyRecord`.

        Without a `purl` among them it is made of the names. Where these are none, as with a part that isn't known,
        the entry is left out with a diagnostic.
        """
        name = make_name(group, artifact)
        if "purl" not in fields:
            fields["purl"] = purl = find_purl(group, artifact)
            if purl is None:
                self.note(f"{make_printable(name, 200)!r} is no name of a package", fields.get("field"), line)
                return
        if len(self.rows) >= MAX_ROWS:
            self._left_out += 1
            return
        if requirement is not None:
            fields["requirement"] = requirement
        fields["name"], fields["scope"], fields["line"] = name, scope, line
        self.rows.append(fields)

    def add_local(self, name: str, scope: Scope, *, line: int | None, **fields: Any) -> None:
        """Take what is no package of a repository: a project of the same build, files."""
        if len(self.rows) < MAX_ROWS and name.strip():
            self.rows.append(fields | {"purl": None, "name": name[:MAX_NAME], "scope": scope, "line": line})

    def require_something(self) -> None:
        """Refuse a file whose name alone says little, and that holds nothing.

        Raises:
            NoManifest: There was no dependency in it, and nothing that can't be read.
        """
        if not self.rows and not self._notes:
            raise NoManifest("no manifest: it names no dependency")

    def note(self, message: str, field: str | None = None, line: int | None = None) -> None:
        """Take one diagnostic; the same of the same place is told once."""
        key = (field, message, line)
        if len(self._notes) < MAX_NOTES and key not in self._notes:
            field = None if field is None else make_printable(field, MAX_SHORT)
            self._notes[key] = Diagnostic(field=field, message=make_printable(message, MAX_TEXT), line=line)

    def finish(
        self,
        path: str,
        format_name: str,
        kind: Literal["manifest", "lockfile"],
        *,
        project: Project | None = None,
        needs: Iterable[str] = (),
    ) -> ManifestRecord:
        """The record of the file."""
        if self._left_out:
            self.note(f"{self._left_out:,} more dependencies were left out")
        return make_manifest(
            path,
            format=format_name,
            ecosystem="maven",
            kind=kind,
            project=project,
            dependencies=self.rows,
            needs=needs,
            diagnostics=self._notes.values(),
        )


def make_project(group: str | None, artifact: str | None, version: str | None) -> Project | None:
    """What a file says of itself, as far as it is known and can be stored."""
    name = make_name(group, artifact) if group and artifact else artifact
    fields: Mapping[str, tuple[str | None, int]] = {"name": (name, MAX_NAME), "version": (version, MAX_SHORT)}
    known = {
        key: text
        for key, (text, most) in fields.items()
        if text and len(text) <= most and text.isprintable() and "${" not in text
    }
    return Project(**known) if known else None
