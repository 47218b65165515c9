"""The versions that constraints files fix.

Source: pip's manual (constraints files). They say which version is taken, not that anything is: their entries are no
dependencies.
"""

import re
from collections.abc import Mapping

from packaging.utils import canonicalize_name
from wump_core import InvalidManifest, resolve_path

from wump_provider_pypi.manifests.requirements_lines import decode_requirements, logical_lines, parse_line
from wump_provider_pypi.requirements import MAX_PLAIN_LENGTH, PLAIN

_REFERENCE = re.compile(r"^[ \t]*(?:-c|--constraint)", re.MULTILINE)
PIN = re.compile(r"={2,3}\s*([^\s,*;]+)")


def find_pins(path: str, text: str, siblings: Mapping[str, bytes]) -> dict[str, str]:
    """Version by canonical name, from the constraints files at hand that the text names."""
    pins: dict[str, str] = {}
    if not siblings or not _REFERENCE.search(text):
        return pins
    for number, raw in logical_lines(text):
        line = parse_line(number, raw) if raw.lstrip().startswith("-") else None
        target = resolve_path(path, line.text) if line and line.kind == "constraint" else None
        content = siblings.get(target) if target else None
        if content is not None:
            pins = _read_pins(content) | pins
    return pins


def _read_pins(content: bytes) -> dict[str, str]:
    try:
        text = decode_requirements(content)
    except InvalidManifest:
        return {}  # it is told where the file itself is read
    pins = {}
    for _, raw in logical_lines(text):
        plain = PLAIN.fullmatch(raw.strip()) if len(raw) <= MAX_PLAIN_LENGTH else None
        if plain and not plain["marker"] and (pin := PIN.fullmatch(plain["requirement"] or "")):
            pins[canonicalize_name(plain["name"])] = pin[1]
    return pins
