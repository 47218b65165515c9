"""Submodules: `.gitmodules` has the syntax of git's configuration files.

Source: git's documentation, `gitmodules` and `git-config` ("Syntax").
"""

import re
from collections.abc import Mapping
from typing import Any

from wump_core import Diagnostic, ManifestRecord, decode_text, make_manifest

ECOSYSTEM = "github"
"""The purl type of what a submodule mostly is."""

_SECTION = re.compile(r'\[\s*submodule\s+"((?:[^"\\]|\\.)*)"\s*\]\s*(.*)', re.IGNORECASE)
_OTHER_SECTION = re.compile(r"\[[^\]]*\]\s*(.*)")
_VARIABLE = re.compile(r"([A-Za-z][A-Za-z0-9-]*)\s*=\s*(.*)")
_PASSWORD = re.compile(r"(?<=://)[^/@\s]+@")


def parse_gitmodules(path: str, content: bytes, siblings: Mapping[str, bytes]) -> ManifestRecord:
    """Read the submodules: each is a repository, kept by its address and never counted as a package.

    Raises:
        InvalidManifest: It is no UTF-8.
    """
    rows: list[dict[str, Any]] = []
    problems: list[Diagnostic] = []
    current: dict[str, Any] | None = None
    for line, row in enumerate(decode_text(content).split("\n"), 1):
        text = row.strip()
        if section := _SECTION.match(text):
            current = {"name": re.sub(r"\\(.)", r"\1", section[1]), "line": line, "url": None}
            rows.append(current)
            text = section[2]
        elif section := _OTHER_SECTION.match(text):
            current, text = None, section[1]
        if not text or text[0] in "#;":
            continue
        variable = _VARIABLE.match(text)
        if current is None or variable is None:
            problems.append(Diagnostic(message="no setting of a submodule", line=line))
        elif variable[1].lower() == "url":
            current["url"], current["line"] = _read_value(variable[2]), line
    problems += [
        Diagnostic(
            field=row["name"][:255] if row["name"].isprintable() else None, message="has no url", line=row["line"]
        )
        for row in rows
        if not row["url"]
    ]
    return make_manifest(
        path,
        format=".gitmodules",
        ecosystem=ECOSYSTEM,
        kind="manifest",
        dependencies=[_make_row(row) for row in rows if row["url"]],
        diagnostics=problems,
    )


def _make_row(found: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "purl": None,
        "name": found["name"],
        "requirement": _PASSWORD.sub(_hide_password, found["url"]),
        "scope": "runtime",
        "source": "git",
        "field": "submodule",
        "line": found["line"],
    }


def _hide_password(found: re.Match[str]) -> str:
    """A user's name may stay, as `git@`; a password or token may not."""
    return "****@" if ":" in found[0] or len(found[0]) > 20 else found[0]


def _read_value(text: str) -> str:
    """A value without quotes and without the comment behind it."""
    value = re.sub(r'"((?:[^"\\]|\\.)*)"', r"\1", re.split(r"\s+[#;]", text)[0])
    return re.sub(r'\\(["\\])', r"\1", value).strip()
