"""setup.cfg.

Source: setuptools' manual (declarative configuration) and the syntax of Python's configparser, whose reader does not
tell lines.
"""

import io
import re
from collections.abc import Iterator, Mapping
from typing import NamedTuple

from packaging.utils import canonicalize_name
from wump_core import ManifestRecord, Scope, decode_text

from wump_provider_pypi.fields import MAX_SHORT, make_storable, shorten
from wump_provider_pypi.findings import Findings, make_project
from wump_provider_pypi.manifests.includes import Included
from wump_provider_pypi.manifests.requirements_lines import Line
from wump_provider_pypi.manifests.requirements_txt import read_strangers
from wump_provider_pypi.requirements import Place, is_marker, parse_requirement

FORMAT = "setup.cfg"

_SCOPES: dict[tuple[str, str], Scope] = {
    ("options", "install_requires"): "runtime",
    ("options", "setup_requires"): "build",
    ("options", "tests_require"): "test",
    ("metadata", "requires_dist"): "runtime",
}
_EXTRAS = "options.extras_require"
_SECTION = re.compile(r"\[(?P<name>.+)\]")
_OPTION = re.compile(r"(?P<name>[^=:]*)[=:](?P<value>.*)")


class Value(NamedTuple):
    """One line of an option's value."""

    section: str
    option: str
    line: int
    text: str


def parse_setup_cfg(path: str, content: bytes, siblings: Mapping[str, bytes]) -> ManifestRecord:
    """Read one setup.cfg.

    Raises:
        InvalidManifest: It is no UTF-8.
    """
    findings = Findings()
    options: dict[tuple[str, str], list[Value]] = {}
    for value in read_values(decode_text(content), findings):
        options.setdefault((value.section, value.option), []).append(value)
    project = make_project(*(_first(options, ("metadata", key)) for key in ("name", "version")))
    own_name = canonicalize_name(project.name) if project and project.name else None
    included = Included(path, siblings, findings)
    for (section, option), values in options.items():
        scope = _SCOPES.get((section, option.replace("-", "_")))
        field = shorten(make_storable(f"{section}.{option}"), MAX_SHORT)
        if scope:
            _add(findings, included, values, Place(field=field, scope=scope), own_name)
        elif section == _EXTRAS:
            extra = canonicalize_name(option)
            place = Place(field=field, scope="optional", groups=(extra,) if extra else (), optional=True)
            _add(findings, included, values, place, own_name)
    return findings.finish(path, FORMAT, project=project, needs=included.needs)


def read_values(text: str, findings: Findings) -> Iterator[Value]:
    """The lines of all values, as configparser joins them: what is indented more than its option continues it."""
    section, option, indent = "", "", 0
    for number, raw in enumerate(io.StringIO(text, newline=None), 1):
        line = raw.strip()
        if not line or line[0] in "#;":
            continue
        depth = len(raw) - len(raw.lstrip())
        if option and depth > indent:
            yield Value(section, option, number, line)
        elif header := _SECTION.match(line):
            section, option = header["name"], ""
        elif match := _OPTION.match(line):
            option, indent = match["name"].strip().lower(), depth
            yield Value(section, option, number, match["value"].strip())
        else:
            option = ""
            findings.note("expected a section or an option", line=number)
            if findings.stop(line=number):
                return


def _first(options: Mapping[tuple[str, str], list[Value]], key: tuple[str, str]) -> str | None:
    texts = [value.text for value in options.get(key, ()) if value.text]
    return texts[0] if len(texts) == 1 and not texts[0].startswith(("attr:", "file:")) else None


def _add(findings: Findings, included: Included, values: list[Value], place: Place, own_name: str | None) -> None:
    for line, text in _entries(values):
        if findings.stop(field=place.field, line=line):
            return
        if text.startswith("file:"):
            for name in text.removeprefix("file:").split(","):
                included.add(Line(line, "include", name.strip()))
                read_strangers(findings, included, place)
            continue
        at = Place(place.field, line, place.scope, place.groups, place.optional)
        dependency, problem = parse_requirement(text, at)
        if problem:
            findings.note(problem, field=place.field, line=line)
        if dependency and canonicalize_name(dependency.name) != own_name:
            findings.add(dependency)


def _entries(values: list[Value]) -> Iterator[tuple[int, str]]:
    """A list has one entry to a line; on a single line, semicolons part the entries. Markers start with one too."""
    given = [(value.line, re.split(r"(?:^|\s)#", value.text, maxsplit=1)[0].strip()) for value in values]
    given = [(line, text) for line, text in given if text]
    if len(given) != 1 or given[0][0] != values[0].line:
        yield from given
        return
    line, text = given[0]
    entry = ""
    for part in map(str.strip, text.split(";")):
        if entry and is_marker(part):
            entry = f"{entry}; {part}"
        else:
            if entry:
                yield line, entry
            entry = part
    if entry:
        yield line, entry
