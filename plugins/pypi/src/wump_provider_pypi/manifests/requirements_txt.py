"""pip's requirements files.

Source: pip's manual (requirements file format) and the order of its own reader: lines are joined, comments
cut, options split off. Files that a line includes are not merged: each file is a source of its own, so that
they are only named as `needs`. Constraints are no dependencies.
"""

import codecs
import posixpath
import re
from collections.abc import Iterator, Mapping
from urllib.parse import unquote

from wump_core import InvalidManifest, ManifestRecord

from wump_provider_pypi.fields import MAX_TEXT, is_storable, make_storable, quote, shorten
from wump_provider_pypi.findings import Findings
from wump_provider_pypi.manifests.scopes import scope_of_path
from wump_provider_pypi.requirements import Place, Reading, classify_url, make_dependency, parse_requirement

FORMAT = "requirements.txt"
MAX_REQUIREMENTS_BYTES = 4_000_000
MAX_NEEDS = 100

_BYTE_ORDER_MARKS = (
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF32_LE, "utf-32-le"),  # before UTF-16, whose mark it starts with
    (codecs.BOM_UTF32_BE, "utf-32-be"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)
_LINE_END = re.compile(r"\r\n|\r|\n")
_COMMENT = re.compile(r"(?:^|(?<=\s))#")
_OPTION_IN_LINE = re.compile(r"\s-")
_OPTION = re.compile(r"(?:-(?P<short>[re])\s*|--(?P<long>requirement|editable)(?:\s+|=\s*|\Z))(?P<value>.*)", re.DOTALL)
_DIRECT_REFERENCE = re.compile(r"[\w.-]+\s*(?:\[[^\]]*\])?\s*@", re.ASCII)
_SCHEME = re.compile(r"(?:[A-Za-z][A-Za-z0-9+.-]*://|file:|git@)")
_EXTRAS_AT_END = re.compile(r"\[[^\[\]]*\]\Z")
_ARCHIVES = (".whl", ".zip", ".tar.gz", ".tgz", ".tar.bz2", ".tar.xz", ".tar")


def parse_requirements_txt(path: str, content: bytes, siblings: Mapping[str, bytes]) -> ManifestRecord:
    """Read one requirements file; `siblings` only serves to name what its included files include.

    Raises:
        InvalidManifest: It is too large, or its bytes are not in its encoding.
    """
    findings = Findings()
    includes: list[tuple[str, int]] = []
    place_scope = scope_of_path(path)
    states_dependencies = "constraint" not in posixpath.basename(path).lower()
    for line, text in _logical_lines(_decode(content)):
        if findings.stop(line=line):
            break
        option, value = _option(text)
        if option == "requirement":
            includes.append((value, line))
        elif states_dependencies and option != "ignored":
            reading = _parse_entry(value, Place(line=line, scope=place_scope), editable=option == "editable")
            _take(reading, findings, line)
    needs = _needs(path, includes, siblings, findings)
    diagnostics = findings.diagnostics
    return ManifestRecord(
        path=shorten(make_storable(path), MAX_TEXT),
        format=FORMAT,
        ecosystem="pypi",
        kind="manifest",
        status="partial" if diagnostics else "ok",
        dependencies=findings.dependencies,
        needs=needs,
        diagnostics=diagnostics,
    )


def parse_location(text: str, place: Place) -> Reading:
    """Read a URL or a path: an editable install, an archive, a repository. The project itself is nothing."""
    # A marker stands after a blank, since a URL may hold semicolons.
    location, _, marker = text.partition(" ;" if " ;" in text else "; ")
    location, fragment = location.strip().strip("\"'").partition("#")[::2]
    location = location if _SCHEME.match(location) else _EXTRAS_AT_END.sub("", location)
    name = _egg_name(fragment) or _name_of_location(location)
    if not name:
        return Reading(None)
    requirement = make_storable(f"{location}#{fragment}" if fragment else location)
    source = classify_url(requirement)
    return make_dependency(
        make_storable(name), place, requirement=requirement, marker=make_storable(marker.strip()), source=source
    )


def _decode(content: bytes) -> str:
    if len(content) > MAX_REQUIREMENTS_BYTES:
        raise InvalidManifest(f"larger than {MAX_REQUIREMENTS_BYTES:,} bytes")
    marks = (pair for pair in _BYTE_ORDER_MARKS if content.startswith(pair[0]))
    mark, encoding = next(marks, (b"", "utf-8"))
    try:
        return content[len(mark) :].decode(encoding)
    except UnicodeDecodeError as error:
        raise InvalidManifest(f"no valid {encoding.upper()} at byte {error.start}") from None


def _logical_lines(text: str) -> Iterator[tuple[int, str]]:
    """Lines with continuations joined and comments cut, each with the number of its first line."""
    parts: list[str] = []
    first = 1
    for number, line in enumerate(_LINE_END.split(text), 1):
        if not parts:
            first = number
        comment = _COMMENT.search(line)
        if line.endswith("\\") and not (comment and not line[: comment.start()].strip()):
            parts.append(line[:-1])
            continue
        # pip: a comment ends the continued line, even where no blank stands before it.
        parts.append(f" {line}" if comment else line)
        if joined := _without_comment("".join(parts)):
            yield first, joined
        parts = []
    if joined := _without_comment("".join(parts)):
        yield first, joined


def _without_comment(line: str) -> str:
    comment = _COMMENT.search(line)
    return (line[: comment.start()] if comment else line).strip()


def _option(text: str) -> tuple[str, str]:
    """What a line is: `requirement` (an include), `editable`, `ignored`, or `` for an entry; and its value."""
    if not text.startswith("-"):
        return "", _without_options(text)
    match = _OPTION.match(text)
    if match is None:
        return "ignored", ""
    is_include = match["short"] == "r" or match["long"] == "requirement"
    return "requirement" if is_include else "editable", _without_options(match["value"])


def _without_options(text: str) -> str:
    """What stands before the first option of the line, such as `--hash`."""
    option = _OPTION_IN_LINE.search(text)
    return (text[: option.start()] if option else text).strip()


def _parse_entry(text: str, place: Place, *, editable: bool) -> Reading:
    if _DIRECT_REFERENCE.match(text):
        return parse_requirement(text, place)
    before_marker = text.partition(";")[0].strip()
    is_location = (
        editable
        or _SCHEME.match(text)
        or before_marker.startswith(".")
        or "/" in before_marker
        or "\\" in before_marker
        or _EXTRAS_AT_END.sub("", before_marker).lower().endswith(_ARCHIVES)
    )
    return parse_location(text, place) if is_location else parse_requirement(text, place)


def _take(reading: Reading, findings: Findings, line: int) -> None:
    if reading.problem:
        findings.note(reading.problem, line=line)
    if reading.dependency:
        findings.add(reading.dependency)


def _egg_name(fragment: str) -> str:
    for part in fragment.split("&"):
        key, _, value = part.partition("=")
        if key == "egg":
            return unquote(value).partition("[")[0].strip()
    return ""


def _name_of_location(location: str) -> str:
    """The project's name as far as the last part of an address says it; empty for the project itself."""
    path = location.replace("\\", "/").partition("?")[0]
    if scheme := _SCHEME.match(path):
        path = path[scheme.end() :]
    last = posixpath.normpath(path).rpartition("/")[2] if path else ""
    if last in ("", ".", ".."):
        return ""
    stem = last.partition("@")[0] or last
    for ending in (*_ARCHIVES, ".git"):
        if stem.lower().endswith(ending):
            stem = stem[: -len(ending)]
            # `name-1.0-py3-none-any.whl`, `name-1.0.tar.gz`: the version starts with the first digit after a dash.
            return re.split(r"-(?=\d)", stem, maxsplit=1)[0] if ending != ".git" else stem
    return stem


def _needs(
    path: str, includes: list[tuple[str, int]], siblings: Mapping[str, bytes], findings: Findings
) -> tuple[str, ...]:
    """Paths of all included files, those that the siblings among them include, and so on."""
    needs: dict[str, None] = {}
    budget = MAX_REQUIREMENTS_BYTES  # for all siblings together
    waiting: list[tuple[str, str, int]] = [(path, target, line) for target, line in reversed(includes)]
    while waiting:
        origin, target, line = waiting.pop()
        resolved = _resolve(origin, target)
        if resolved is None or not is_storable(resolved) or len(resolved) > MAX_TEXT:
            findings.note(f"{quote(target)} is no path inside the tree: not read", line=line)
        elif resolved == path:
            findings.note(f"{quote(origin)} includes this file again", line=line)
        elif resolved not in needs:
            if len(needs) >= MAX_NEEDS:
                findings.note(f"more than {MAX_NEEDS} included files: the rest is not read", line=line)
                break
            needs[resolved] = None
            content = siblings.get(resolved, b"")
            budget -= len(content)
            nested = _includes_of(content) if budget > 0 else []
            waiting.extend((resolved, further, line) for further in reversed(nested))
    return tuple(needs)


def _includes_of(content: bytes) -> list[str]:
    try:
        lines = _logical_lines(_decode(content))
        return [value for option, value in (_option(text) for _, text in lines) if option == "requirement"]
    except InvalidManifest:
        return []  # it is told where that file itself is read


def _resolve(origin: str, target: str) -> str | None:
    target = target.strip("\"'").replace("\\", "/")
    if not target or target.startswith(("/", "file:")) or "://" in target or "$" in target:
        return None
    resolved = posixpath.normpath(posixpath.join(posixpath.dirname(origin), target))
    return None if resolved.startswith("..") or resolved == "." else resolved
