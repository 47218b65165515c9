"""Dependencies of a published version, as the index, the API and the dump tell them: each in its own words.

Source: Cargo's documentation of the index format and of features, crates.io's OpenAPI description.
"""

from collections.abc import Iterable, Mapping
from typing import Any

from wump_core import DependencyRecord, Scope, make_purl_text

SCOPES: Mapping[str, Scope] = {"normal": "runtime", "dev": "development", "build": "build"}
TABLES: Mapping[str, str] = {
    "normal": "dependencies",
    "dev": "dev-dependencies",
    "build": "build-dependencies",
}
MAX_GROUPS = 100
MAX_FEATURE_LENGTH = 214

Features = Mapping[str, Iterable[str]]


def choose_scope(kind: str, *, optional: bool) -> Scope:
    """The scope of a kind: an optional one is only built where a feature asks for it.

    Raises:
        ValueError: There is no such kind.
    """
    if kind not in SCOPES:
        raise ValueError(f"kind is {kind[:40]!r}: expected normal, dev or build")
    return "optional" if optional and kind == "normal" else SCOPES[kind]


def find_features(features: Features) -> dict[str, tuple[str, ...]]:
    """The features that turn on each optional dependency, by the name that it has in the manifest.

    `dep:name`, `name` and `name/feature` turn it on; `name?/feature` waits for another to do so.
    """
    found: dict[str, dict[str, None]] = {}
    for feature, parts in features.items():
        if not isinstance(parts, list | tuple) or not 0 < len(feature) <= MAX_FEATURE_LENGTH:
            continue
        for part in parts:
            name = part.removeprefix("dep:").partition("/")[0] if isinstance(part, str) else "?"
            if not name.endswith("?"):
                found.setdefault(name, {})[feature] = None
    return {name: tuple(named)[:MAX_GROUPS] for name, named in found.items()}


def make_dependency(**given: Any) -> DependencyRecord:
    """One dependency of a version: the record of `make_row`, with the same arguments.

    Raises:
        ValueError: A value is none; the text names it.
    """
    return DependencyRecord(**make_row(**given))


def make_row(
    *,
    crate: str,
    alias: str | None,
    requirement: str | None,
    kind: str,
    optional: bool,
    target: str | None,
    groups: tuple[str, ...] = (),
    foreign: bool = False,
) -> dict[str, Any]:
    """The fields of a dependency of a version.

    Args:
        crate: The real crate.
        alias: The name it has in the manifest, where that may be another one.
        requirement: The range as the manifest has it.
        kind: `normal`, `dev` or `build`.
        optional: Whether only a feature turns it on.
        target: The platform or `cfg(…)` that it is for.
        groups: The features that turn it on.
        foreign: It comes from another registry, so that it is no crate of this one.

    Raises:
        ValueError: A value is none; the text names it.
    """
    table = TABLES.get(kind, kind)
    return {
        "purl": None if foreign else make_purl_text("cargo", crate),
        "name": crate,
        "alias": None if alias == crate else alias,
        "requirement": requirement,
        "scope": choose_scope(kind, optional=optional),
        "optional": optional,
        "groups": groups if optional else (),
        "marker": target or None,
        "field": f"target.{target}.{table}"[:255] if target else table,
    }


def text_or_null(value: Any, what: str) -> str | None:
    """The text itself, or null.

    Raises:
        ValueError: It is something else.
    """
    if value is not None and not isinstance(value, str):
        raise ValueError(f"{what} must be a text")
    return value
