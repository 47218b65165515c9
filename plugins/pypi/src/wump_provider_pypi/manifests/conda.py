"""conda's environment.yml and conda-lock.yml: what they take from the Python index.

Source: conda's manual (managing environments) and conda-lock's (lock formats). Packages of conda are of another
ecosystem: they are not read, which is noted.
"""

import posixpath
from collections.abc import Iterator, Mapping
from typing import Any

from packaging.utils import canonicalize_name
from wump_core import InvalidManifest, ManifestRecord, decode_text, resolve_path

from wump_provider_pypi.fields import quote
from wump_provider_pypi.findings import Findings, make_project
from wump_provider_pypi.manifests.includes import Included
from wump_provider_pypi.manifests.located import Located
from wump_provider_pypi.manifests.locked import add_locked
from wump_provider_pypi.manifests.requirements_lines import parse_line
from wump_provider_pypi.manifests.requirements_txt import parse_entry, read_strangers
from wump_provider_pypi.manifests.scopes import scope_of_groups, scope_of_path
from wump_provider_pypi.manifests.yaml_nodes import load_yaml
from wump_provider_pypi.requirements import Place

ENVIRONMENT = "environment.yml"
CONDA_LOCK = "conda-lock.yml"
MAX_LOCK_BYTES = 8_000_000
"""Half of what other lockfiles may have, since YAML takes longer."""

ENVIRONMENT_GLOBS = tuple(
    f"{stem}.{ending}" for stem in ("environment*", "*environment", "conda") for ending in ("yml", "yaml")
)


def parse_environment(path: str, content: bytes, siblings: Mapping[str, bytes]) -> ManifestRecord:
    """Read the pip part of one environment.yml.

    Raises:
        InvalidManifest: It is no UTF-8, no YAML, or no mapping.
    """
    document = _load(content)
    findings = Findings()
    included = Included(path, siblings, findings)
    place = Place(field="dependencies.pip", scope=scope_of_path(posixpath.basename(path)))
    dependencies = document.get("dependencies") or []
    if not isinstance(dependencies, list):
        raise InvalidManifest("`dependencies` must be a list")
    conda = [entry for entry in dependencies if isinstance(entry, Located)]
    if conda:
        findings.note(f"{len(conda)} packages of conda: another ecosystem, not read", line=conda[0].line)
    for entry in _pip_entries(dependencies):
        if findings.stop(field=place.field):
            break
        _add_pip(findings, included, entry, place)
    read_strangers(findings, included, place)
    project = make_project(document.get("name"), None)
    return findings.finish(path, ENVIRONMENT, project=project, needs=included.needs)


def parse_conda_lock(path: str, content: bytes, siblings: Mapping[str, bytes]) -> ManifestRecord:
    """Read the pip packages of one conda-lock.yml. What stands there once per platform is told once.

    Raises:
        InvalidManifest: It is no UTF-8, no YAML, or no mapping.
    """
    document = _load(content)
    findings = Findings()
    packages = document.get("package") or []
    if not isinstance(packages, list):
        raise InvalidManifest("`package` must be a list")
    pip = [package for package in packages if isinstance(package, dict) and package.get("manager") == "pip"]
    if others := len(packages) - len(pip):
        findings.note(f"{others} packages of conda: another ecosystem, not read", field="package")
    required = {canonicalize_name(name) for package in packages for name in _requires(package)}
    asked = _read_environments(path, document, siblings, findings)
    seen: set[tuple[str, str, str]] = set()
    for package in pip:
        name, version, category = (package.get(key) or "" for key in ("name", "version", "category"))
        if findings.stop(field="package"):
            break
        if not isinstance(name, Located) or not isinstance(version, str) or not isinstance(category, str):
            findings.note("a package has no name", field="package")
        elif (identity := (canonicalize_name(name), version, category)) not in seen:
            seen.add(identity)
            requirement = asked.get(identity[0]) if asked is not None else None
            direct = identity[0] in asked if asked is not None else identity[0] not in required
            groups = (canonicalize_name(category),) if category not in ("", "main") else ()
            optional = package.get("optional") == "true"
            add_locked(
                findings,
                str(name),
                Place(None, None, scope_of_groups(groups), groups, optional),
                line=name.line,
                direct=direct,
                version=str(version) or None,
                requirement=requirement,
            )
    return findings.finish(path, CONDA_LOCK, "lockfile", needs=tuple(_sources(path, document)))


def _load(content: bytes) -> dict[str, Any]:
    document = load_yaml(decode_text(content))
    if not isinstance(document, dict):
        raise InvalidManifest("must be a YAML mapping")
    return document


def _pip_entries(dependencies: list[Any]) -> Iterator[Any]:
    for entry in dependencies:
        pip = entry.get("pip") if isinstance(entry, dict) else None
        yield from pip if isinstance(pip, list) else []


def _add_pip(findings: Findings, included: Included, entry: Any, place: Place) -> None:
    """An entry is a line of a requirements file."""
    if not isinstance(entry, Located):
        findings.note("expected a requirement", field=place.field)
        return
    line = parse_line(entry.line, entry)
    if line is None or line.kind == "option":
        return
    if line.kind in ("include", "constraint"):
        included.add(line)
        return
    at = Place(place.field, entry.line, place.scope)
    row, problem = parse_entry(line.text, at, editable=line.kind == "editable")
    if problem:
        findings.note(problem, field=place.field, line=entry.line)
    if row:
        findings.add(row)


def _requires(package: Any) -> list[str]:
    dependencies = package.get("dependencies") if isinstance(package, dict) else None
    return [name for name in dependencies if isinstance(name, str)] if isinstance(dependencies, dict) else []


def _sources(path: str, document: dict[str, Any]) -> Iterator[str]:
    """The files that were locked."""
    metadata = document.get("metadata")
    sources = metadata.get("sources") if isinstance(metadata, dict) else None
    for source in sources[:20] if isinstance(sources, list) else ():
        if isinstance(source, str) and (resolved := resolve_path(path, source)):
            yield resolved


def _read_environments(
    path: str, document: dict[str, Any], siblings: Mapping[str, bytes], findings: Findings
) -> dict[str, str | None] | None:
    """What the environment files at hand ask for; null where one of them is missing, or is no such file."""
    asked: dict[str, str | None] = {}
    sources = list(_sources(path, document))
    for source in sources:
        content = siblings.get(source)
        if content is None or not source.endswith((".yml", ".yaml")):
            findings.note(f"{quote(source)} is not at hand: what nothing else requires is taken for direct")
            return None
        try:
            record = parse_environment(source, content, {})
        except InvalidManifest as error:
            findings.note(f"{quote(source)} can't be read: {error}")
            return None
        asked |= {canonicalize_name(dependency.name): dependency.requirement for dependency in record.dependencies}
    return asked if sources else None
