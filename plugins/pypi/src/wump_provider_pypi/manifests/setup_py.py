"""setup.py, which is read and never run.

Source: setuptools' manual (keywords; dependency management) and Python's own grammar. What only a run could tell is
noted.
"""

import ast
import re
import warnings
from collections.abc import Iterator, Mapping
from typing import Any

from packaging.utils import canonicalize_name
from wump_core import InvalidManifest, ManifestRecord, Scope

from wump_provider_pypi.fields import MAX_SHORT, make_storable, shorten
from wump_provider_pypi.findings import Findings, make_project
from wump_provider_pypi.manifests import static_python
from wump_provider_pypi.manifests.located import locate
from wump_provider_pypi.manifests.requirements_lines import decode_requirements
from wump_provider_pypi.manifests.static_python import Gap
from wump_provider_pypi.requirements import Place, parse_requirement

FORMAT = "setup.py"
MAX_BYTES = 100_000
"""Python's own parser needs a thousand bytes of memory for two of text."""

_SCOPES: dict[str, Scope] = {"install_requires": "runtime", "setup_requires": "build", "tests_require": "test"}
_EXTRAS = "extras_require"


def parse_setup_py(path: str, content: bytes, siblings: Mapping[str, bytes]) -> ManifestRecord:
    """Read the calls of `setup` in one setup.py; of several the outermost, then the first, counts for each keyword.

    Raises:
        InvalidManifest: It is no Python, or not in its encoding.
    """
    findings = Findings()
    tree = _parse(decode_requirements(content), findings)
    scope = static_python.Scope(tree)
    keywords: dict[str, Any] = {}
    for call in static_python.find_calls(tree, "setup"):
        for keyword in call.keywords:
            value = scope.evaluate(keyword.value)
            if keyword.arg:
                keywords.setdefault(keyword.arg, value)
            elif isinstance(value, dict):
                keywords = value | keywords
            else:
                findings.note("keywords of setup() are computed: not read", line=keyword.value.lineno)
    project = make_project(keywords.get("name"), keywords.get("version"))
    own_name = canonicalize_name(project.name) if project and project.name else None
    for key, kind in _SCOPES.items():
        _add(findings, keywords.get(key), Place(field=key, scope=kind), own_name)
    extras = keywords.get(_EXTRAS)
    if isinstance(extras, Gap):
        findings.note("computed: not read", field=_EXTRAS, line=extras.line)
    for extra, entries in extras.items() if isinstance(extras, dict) else ():
        _add_extra(findings, extra, entries, own_name)
    return findings.finish(path, FORMAT, project=project)


def _parse(text: str, findings: Findings) -> ast.Module:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return ast.parse(text)
    except SyntaxError as error:
        tree = _parse_parts(text)
        if tree is None:
            raise InvalidManifest(f"no valid Python: {error.msg} in line {error.lineno}") from None
        findings.note(
            "no valid Python 3: only the call of setup() and plain lists were read", line=error.lineno or None
        )
        return tree
    except (ValueError, RecursionError, MemoryError) as error:
        raise InvalidManifest(f"no valid Python: {type(error).__name__}") from None


_PART = re.compile(r"^(?:\w+[ \t]*=[ \t]*(?=[\[{(\"'])|[ \t]*(?:\w+\.)?setup[ \t]*(?=\())", re.MULTILINE)
_TOKEN = re.compile(
    r"\"{3}(?:[^\"\\]|\\.|\"(?!\"\"))*\"{3}|'{3}(?:[^'\\]|\\.|'(?!''))*'{3}"
    r"|\"(?:[^\"\\\n]|\\.)*\"|'(?:[^'\\\n]|\\.)*'|\#[^\n]*|[\[({]|[\])}]|\n|[^\[\](){}\"'#\n]+|.",
    re.DOTALL,
)
_MAX_PARTS = 50
_MAX_PART_LENGTH = 20_000


def _parse_parts(text: str) -> ast.Module | None:
    """The call of setup and the assignments of a file of Python 2, whose other statements are not looked at."""
    body: list[ast.stmt] = []
    for part in list(_PART.finditer(text))[:_MAX_PARTS]:
        source = text[part.start() : _end_of_statement(text, part.end())].strip()
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                statements = ast.parse(source).body
        except (ValueError, SyntaxError, RecursionError, MemoryError):
            continue
        before = text.count("\n", 0, part.start())
        for statement in statements:
            ast.increment_lineno(statement, before)
            body.append(statement)
    return ast.Module(body=body, type_ignores=[]) if body else None


def _end_of_statement(text: str, start: int) -> int:
    depth = 0
    for token in _TOKEN.finditer(text, start, start + _MAX_PART_LENGTH):
        sign = token[0]
        if sign in "[({":
            depth += 1
        elif sign in "])}":
            depth -= 1
        elif sign == "\n" and depth <= 0:
            return token.start()
        if depth < 0:
            return token.start()
    return len(text)


def _add_extra(findings: Findings, extra: Any, entries: Any, own_name: str | None) -> None:
    """An extra's name may carry a marker: `name:marker`, or only `:marker`."""
    name, _, marker = str(extra).partition(":")
    group = canonicalize_name(name.strip("\0 ")) if not isinstance(entries, Gap) else ""
    field = shorten(make_storable(f"{_EXTRAS}.{name}" if name and "\0" not in name else _EXTRAS), MAX_SHORT)
    place = Place(field=field)
    if group:
        place = Place(field=field, scope="optional", groups=(group,), optional=True)
    _add(findings, entries, place, own_name, marker.strip())


def _add(findings: Findings, value: Any, place: Place, own_name: str | None, marker: str = "") -> None:
    for entry in _entries(value):
        if findings.stop(field=place.field):
            return
        if isinstance(entry, Gap):
            findings.note("computed: not read", field=place.field, line=entry.line)
            continue
        text = f"{entry} ; {marker}" if marker and ";" not in entry else str(entry)
        at = Place(place.field, entry.line, place.scope, place.groups, place.optional)
        dependency, problem = parse_requirement(text, at)
        if problem:
            findings.note(problem, field=place.field, line=entry.line)
        if dependency and canonicalize_name(dependency["name"]) != own_name:
            findings.add(dependency)


def _entries(value: Any) -> Iterator[Any]:
    """The requirements of a list, or of a text with one to a line; comments are cut."""
    for item in value if isinstance(value, list) else [value]:
        if isinstance(item, list):
            yield from _entries(item)
        elif isinstance(item, Gap):
            yield item
        elif isinstance(item, str):
            line = getattr(item, "line", 1)
            for number, raw in enumerate(item.splitlines()):
                text = re.split(r"(?:^|\s)#", raw, maxsplit=1)[0].strip()
                if text:
                    yield locate(text, line + number)
