"""METADATA and PKG-INFO, and the requires.txt of egg-info.

Source: the core metadata specification, and setuptools' manual (the internal structure of Python eggs). The headers end
at the first empty line. `Requires` of metadata 1.1 names modules and not projects, and is not read.
"""

import io
import re
from collections.abc import Iterator, Mapping

from packaging.utils import canonicalize_name
from wump_core import InvalidManifest, ManifestRecord

from wump_provider_pypi.findings import Findings, make_project
from wump_provider_pypi.manifests.requirements_lines import logical_lines, parse_line
from wump_provider_pypi.requirements import Place, parse_requirement

METADATA = "METADATA"
MAX_HEADER_LINES = 100_000
REQUIRES_TXT = "requires.txt"

_HEADER = re.compile(r"(?P<key>[A-Za-z0-9-]+):[ \t]*(?P<value>.*)")
_SECTION = re.compile(r"\[(?P<extra>[^:\]]*)(?::(?P<marker>[^\]]*))?\]")


def parse_core_metadata(path: str, content: bytes, siblings: Mapping[str, bytes]) -> ManifestRecord:
    """Read one METADATA or PKG-INFO. Old ones are in any encoding; what is read of them is ASCII.

    Raises:
        InvalidManifest: Its headers have no end.
    """
    findings = Findings()
    single: dict[str, str] = {}
    requirements: list[tuple[int, str]] = []
    for number, key, value in _headers(content.decode("utf-8-sig", "replace")):
        if key == "requires-dist":
            requirements.append((number, value))
        elif key == "dynamic" and value.strip().lower() == "requires-dist":
            findings.note("the requirements are dynamic: a build may change them", field="Dynamic", line=number)
        else:
            single.setdefault(key, value)
    project = make_project(single.get("name"), single.get("version"))
    own_name = canonicalize_name(project.name) if project and project.name else None
    for number, text in requirements:
        if findings.stop(line=number):
            break
        dependency, problem = parse_requirement(text, Place(field="Requires-Dist", line=number), lenient=True)
        if problem:
            findings.note(problem, field="Requires-Dist", line=number)
        # `package[all]` that needs `package[a]` is how extras are put together, not a dependency.
        if dependency and canonicalize_name(dependency["name"]) != own_name:
            findings.add(dependency)
    return findings.finish(path, METADATA, project=project)


def parse_requires_txt(path: str, content: bytes, siblings: Mapping[str, bytes]) -> ManifestRecord:
    """Read one requires.txt: requirements, below a header of their extra, their marker, or both."""
    findings = Findings()
    place, marker = Place(), ""
    for number, raw in logical_lines(content.decode("utf-8-sig", "replace")):
        if findings.stop(line=number):
            break
        line = parse_line(number, raw)
        if line is None or line.kind != "entry":
            continue
        if section := _SECTION.fullmatch(line.text):
            extra, marker = canonicalize_name(section["extra"].strip()), (section["marker"] or "").strip()
            place = Place(scope="optional", groups=(extra,), optional=True) if extra else Place()
            continue
        text = f"{line.text} ; {marker}" if marker else line.text
        inside = Place(None, number, place.scope, place.groups, place.optional)
        dependency, problem = parse_requirement(text, inside)
        if problem:
            findings.note(problem, line=number)
        if dependency:
            findings.add(dependency)
    return findings.finish(path, REQUIRES_TXT)


def _headers(text: str) -> Iterator[tuple[int, str, str]]:
    """Line, key in lower case and value of every header; a line that starts with a blank continues the value."""
    number, key, parts = 0, "", [""]
    for at, ended in enumerate(io.StringIO(text, newline=None), 1):
        line = ended.rstrip("\n")
        if not line:
            break
        if at > MAX_HEADER_LINES:
            raise InvalidManifest(f"more than {MAX_HEADER_LINES:,} lines of headers")
        if line[0] in " \t":
            parts.append(line)
            continue
        if key:
            yield number, key, "\n".join(parts)
        match = _HEADER.match(line)
        number, key, parts = at, match["key"].lower() if match else "", [match["value"] if match else ""]
    if key:
        yield number, key, "\n".join(parts)
