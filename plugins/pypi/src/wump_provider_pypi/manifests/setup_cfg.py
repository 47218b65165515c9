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
_REFERENCE = re.compile(r"%\(([^)]+)\)s")
_MAX_DEPTH = 3
_MAX_REFERRED = 20_000
_OPTION = re.compile(r"(?P<name>[^=:]*)[=:](?P<value>.*)")


class Value(NamedTuple):
    """One line of an option's value; `start` is the line of the option."""

    section: str
    option: str
    start: int
    line: int
    text: str


Options = dict[tuple[str, str], dict[int, list[Value]]]
"""The lines of each value of each option. An option may be written several times: all of its values count."""


def parse_setup_cfg(path: str, content: bytes, siblings: Mapping[str, bytes]) -> ManifestRecord:
    """Read one setup.cfg.

    Raises:
        InvalidManifest: It is no UTF-8.
    """
    findings = Findings()
    options: Options = {}
    for value in read_values(decode_text(content), findings):
        options.setdefault((value.section, value.option), {}).setdefault(value.start, []).append(value)
    project = make_project(*(_first(options, ("metadata", key)) for key in ("name", "version")))
    own_name = canonicalize_name(project.name) if project and project.name else None
    included = Included(path, siblings, findings)
    budget = [_MAX_REFERRED]
    for (section, option), written in options.items():
        scope = _SCOPES.get((section, option.replace("-", "_")))
        field = shorten(make_storable(f"{section}.{option}"), MAX_SHORT)
        if scope:
            _add(findings, included, _entries(options, written, budget), Place(field=field, scope=scope), own_name)
        elif section == _EXTRAS:
            extra = canonicalize_name(option)
            place = Place(field=field, scope="optional", groups=(extra,) if extra else (), optional=True)
            _add(findings, included, _entries(options, written, budget), place, own_name)
    if budget[0] < 0:
        findings.note(f"references tell more than {_MAX_REFERRED:,} lines: the rest is not read", field=_EXTRAS)
    return findings.finish(path, FORMAT, project=project, needs=included.needs)


def read_values(text: str, findings: Findings) -> Iterator[Value]:
    """The lines of all values, as configparser joins them: what is indented more than its option continues it."""
    section, option, indent, start = "", "", 0, 0
    for number, raw in enumerate(io.StringIO(text, newline=None), 1):
        line = raw.strip()
        if not line or line[0] in "#;":
            continue
        depth = len(raw) - len(raw.lstrip())
        if option and depth > indent:
            yield Value(section, option, start, number, line)
        elif header := _SECTION.match(line):
            section, option = header["name"], ""
        elif match := _OPTION.match(line):
            option, indent, start = match["name"].strip().lower(), depth, number
            yield Value(section, option, start, number, match["value"].strip())
        else:
            option = ""
            findings.note("expected a section or an option", line=number)
            if findings.stop(line=number):
                return


def _first(options: Options, key: tuple[str, str]) -> str | None:
    texts = [value.text for values in options.get(key, {}).values() for value in values if value.text]
    return texts[0] if len(texts) == 1 and not texts[0].startswith(("attr:", "file:")) else None


def _add(
    findings: Findings, included: Included, entries: Iterator[tuple[int, str]], place: Place, own_name: str | None
) -> None:
    for line, text in entries:
        if findings.stop(field=place.field, line=line):
            return
        if text.startswith("file:"):
            for name in text.removeprefix("file:").split(","):
                included.add(Line(line, "include", name.strip()))
                read_strangers(findings, included, place)
            continue
        dependency, problem = parse_requirement(text, place._replace(line=line))
        if problem:
            findings.note(problem, field=place.field, line=line)
        if dependency and canonicalize_name(dependency["name"]) != own_name:
            findings.add(dependency)


def _entries(
    options: Options, written: Mapping[int, list[Value]], budget: list[int], depth: int = 0
) -> Iterator[tuple[int, str]]:
    """The entries of a list: one to a line, or parted by semicolons. `%(name)s` is what another option lists.

    Args:
        budget: How many lines may still be told for other options, in the whole file.
    """
    for values in written.values():
        if depth:
            budget[0] -= len(values)
            if budget[0] < 0:
                return
        given = [(value.line, re.split(r"(?:^|\s)#", value.text, maxsplit=1)[0].strip()) for value in values]
        given = [(line, text) for line, text in given if text]
        if len(given) == 1 and given[0][0] == values[0].start:
            given = list(_part(*given[0]))
        for line, text in given:
            if reference := _REFERENCE.fullmatch(text):
                referred = options.get((values[0].section, reference[1].lower()), {})
                if depth < _MAX_DEPTH:
                    yield from _entries(options, referred, budget, depth + 1)
            else:
                yield line, text


def _part(line: int, text: str) -> Iterator[tuple[int, str]]:
    """The entries of a single line; a semicolon may also start a marker."""
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
