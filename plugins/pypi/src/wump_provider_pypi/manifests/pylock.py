"""pylock.toml, and pylock.<name>.toml.

Source: the pylock.toml specification (PEP 751). It need not say who asked for a package: its markers name the extras
and dependency groups that do, and `dependencies` is optional.
"""

from collections.abc import Mapping
from typing import Any

from packaging.utils import canonicalize_name
from wump_core import DependencySource, ManifestRecord, Scope, decode_text

from wump_provider_pypi.findings import Findings
from wump_provider_pypi.manifests.lock_lines import find_table_lines
from wump_provider_pypi.manifests.locked import Locked, add_locked, packages_of, read_beside, text_of
from wump_provider_pypi.manifests.pyproject import parse_pyproject
from wump_provider_pypi.manifests.scopes import scope_of_groups
from wump_provider_pypi.manifests.toml import load_toml
from wump_provider_pypi.markers import parse_marker
from wump_provider_pypi.requirements import is_marker

FORMAT = "pylock.toml"


def parse_pylock(path: str, content: bytes, siblings: Mapping[str, bytes]) -> ManifestRecord:
    """Read one pylock.toml.

    Raises:
        InvalidManifest: It is no UTF-8, or no TOML.
    """
    text = decode_text(content)
    document = load_toml(text)
    findings = Findings()
    beside = read_beside(path, siblings, findings, "pyproject.toml", parse_pyproject)
    packages = packages_of(findings, document.get("packages"), "packages")
    required = {name for _, package in packages for name in _requires(package)}
    always = _default_groups(document)
    lines = find_table_lines(text, "packages", document.get("packages"))
    for number, package in packages:
        if findings.stop(field="packages"):
            break
        name = canonicalize_name(package["name"])
        source, location = _source(package)
        if location == "." or (beside.project and canonicalize_name(beside.project.name or "") == name):
            continue  # the project itself
        marker = text_of(package.get("marker"))
        scope, groups = _meaning(marker, always)
        locked = Locked(
            name=package["name"],
            version=text_of(package.get("version")),
            scope=scope,
            groups=groups,
            direct=beside.asks_for(name) if beside.declared is not None else name not in required,
            marker=marker,
            requirement=beside.requirement_of(name),
            source=source,
            location=location,
            line=lines[number],
        )
        add_locked(findings, locked)
    return findings.finish(path, FORMAT, "lockfile", project=beside.project, needs=beside.needs)


def _requires(package: dict[str, Any]) -> list[str]:
    dependencies = package.get("dependencies")
    tables = dependencies if isinstance(dependencies, list) else ()
    names = (text_of(table.get("name")) for table in tables if isinstance(table, dict))
    return [canonicalize_name(name) for name in names if name]


def _default_groups(document: dict[str, Any]) -> frozenset[str]:
    """Groups that are installed unasked: PDM calls the project's own dependencies so."""
    groups = document.get("default-groups")
    names = (text_of(group) for group in groups) if isinstance(groups, list) else ()
    return frozenset(canonicalize_name(name) for name in names if name)


def _meaning(marker: str | None, always: frozenset[str]) -> tuple[Scope, tuple[str, ...]]:
    """Scope and groups, by the dependency groups that the marker demands. Extras are read with every marker."""
    if not marker or not is_marker(marker):
        return "runtime", ()
    meaning = parse_marker(marker, ("dependency_groups",))
    groups = tuple(group for group in meaning.extras if group not in always and group != "default")
    chosen = meaning.needs_extra and len(groups) == len(meaning.extras)
    return (scope_of_groups(groups) if chosen else "runtime"), groups


def _source(package: dict[str, Any]) -> tuple[DependencySource, str | None]:
    kinds: tuple[tuple[str, DependencySource], ...] = (("vcs", "git"), ("directory", "path"), ("archive", "url"))
    for key, source in kinds:
        if isinstance(table := package.get(key), dict):
            url, path = text_of(table.get("url")), text_of(table.get("path"))
            return ("path" if path and not url and source == "url" else source), url or path
    return "registry", None
