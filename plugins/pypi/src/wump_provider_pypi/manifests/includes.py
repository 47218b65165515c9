"""The files that a requirements file, a setup.cfg or a pyproject.toml includes.

Source: pip's manual (`-r`, `-c`) and setuptools' (`file:`). Each file is a source of its own: included ones are only
named in `needs`, or they would be counted twice. One whose name is none of `REQUIREMENTS_GLOBS` would be read by
nobody: that is a stranger, and is read as a part of the file that includes it.
"""

from collections.abc import Mapping

from wump_core import InvalidManifest, resolve_path

from wump_provider_pypi.fields import quote
from wump_provider_pypi.findings import Findings
from wump_provider_pypi.manifests.globs import REQUIREMENTS_GLOBS, fits
from wump_provider_pypi.manifests.requirements_lines import Line, decode_requirements, logical_lines, parse_line

MAX_BYTES = 2_000_000
"""Of one requirements file, and of all that it includes."""

MAX_NEEDS = 100


class Included:
    """The files that one file includes, and those that they include. `needs` are their paths."""

    __slots__ = ("_budget", "_findings", "_needs", "_path", "_siblings", "_strangers")

    def __init__(self, path: str, siblings: Mapping[str, bytes], findings: Findings) -> None:
        self._path = path
        self._siblings = siblings
        self._findings = findings
        self._needs: dict[str, str] = {}
        self._strangers: list[tuple[str, str]] = []
        self._budget = MAX_BYTES  # for all siblings together

    @property
    def needs(self) -> tuple[str, ...]:
        """In the order in which they are named."""
        return tuple(self._needs)

    def take_strangers(self) -> list[tuple[str, str]]:
        """Path and text of the included files that nobody reads for themselves, each told once."""
        strangers, self._strangers = self._strangers, []
        return strangers

    def add(self, line: Line) -> None:
        """Follow one include to its end; circles stop."""
        waiting = [(self._path, line)]
        while waiting:
            origin, reference = waiting.pop()
            path = resolve_path(origin, reference.text)
            if path is None:
                self._findings.note(f"{quote(reference.text)} is no path inside the tree: not read", line=line.number)
            elif path == self._path:
                self._findings.note(f"{quote(origin)} includes this file again", line=line.number)
            elif path not in self._needs:
                if len(self._needs) >= MAX_NEEDS:
                    message = f"more than {MAX_NEEDS} included files: the rest is not read"
                    self._findings.note(message, line=line.number)
                    return
                self._needs[path] = reference.kind
                further = self._look_into(path, reference, line.number)
                waiting.extend((path, found) for found in reversed(further))

    def _look_into(self, path: str, reference: Line, line: int) -> list[Line]:
        content = self._siblings.get(path)
        if content is None:
            self._findings.note(f"{quote(path)} is not at hand: not read", line=line)
            return []
        self._budget -= len(content)
        if self._budget < 0:
            self._findings.note(
                f"{quote(path)}: included files hold more than {MAX_BYTES:,} bytes: not read", line=line
            )
            return []
        try:
            text = decode_requirements(content)
        except InvalidManifest as error:
            self._findings.note(f"{quote(path)} can't be read: {error}", line=line)
            return []
        if reference.kind == "include" and not fits(REQUIREMENTS_GLOBS, path):
            self._strangers.append((path, text))
        lines = (parse_line(number, raw) for number, raw in logical_lines(text) if raw.lstrip().startswith("-"))
        return [found for found in lines if found and found.kind == "include"]
