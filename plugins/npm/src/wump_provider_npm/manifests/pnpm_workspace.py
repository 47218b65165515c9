"""pnpm-workspace.yaml: the catalogs in it, and the plugins of pnpm itself.

Source: pnpm's manual, pnpm-workspace.yaml, Catalogs and Config Dependencies. What a catalog holds is a range for
whoever asks for it: which packages do, with which scope, their package.json files say, so scope is unknown here. The
catalog's name is the group. `configDependencies` are installed before all others, to configure pnpm: each names one
version with its hash, `1.0.0+sha512-…`, alone or as `integrity`. `overrides`, `packageExtensions` and the like only
change the versions of dependencies, and are none.
"""

from collections.abc import Iterator, Mapping
from typing import Any

from wump_core import ManifestRecord

from wump_provider_npm.manifests.catalogs import DEFAULT
from wump_provider_npm.manifests.findings import Dependency, Findings
from wump_provider_npm.manifests.yaml_text import YamlMap, parse_yaml
from wump_provider_npm.specs import UnreadableSpec, parse_spec

_CONFIG = "configDependencies"


def parse_pnpm_workspace(path: str, content: bytes, siblings: Mapping[str, bytes]) -> ManifestRecord:
    """Read a pnpm-workspace.yaml.

    Raises:
        InvalidManifest: It is no such YAML.
    """
    findings = Findings()
    for document in parse_yaml(content):
        _add(findings, document, "catalog", "catalog", DEFAULT)
        catalogs = document.get("catalogs")
        if isinstance(catalogs, YamlMap):
            for name in catalogs:
                _add(findings, catalogs, name, f"catalogs.{name}", name)
        _add(findings, document, _CONFIG, _CONFIG, None)
    return findings.finish(path, "pnpm-workspace.yaml", "manifest")


def _add(findings: Findings, holder: YamlMap, key: str, field: str, catalog: str | None) -> None:
    entries = holder.get(key)
    if isinstance(entries, YamlMap):
        findings.add(_list_entries(findings, entries, field[:255], catalog))
    elif entries is not None:
        findings.note(field[:255], "must be a mapping of names and ranges", holder.lines.get(key))


def _list_entries(findings: Findings, entries: YamlMap, field: str, catalog: str | None) -> Iterator[Dependency]:
    for name, written in entries.items():
        line = entries.lines.get(name)
        try:
            spec = parse_spec(name, _as_text(written.get("integrity") if isinstance(written, YamlMap) else written))
        except UnreadableSpec as error:
            findings.note(f"{field}.{name}"[:255], str(error), line)
            continue
        yield Dependency(
            name=spec.name,
            requirement=spec.requirement,
            scope="build" if catalog is None else "unknown",
            alias=name if name != spec.name else None,
            source=spec.source,
            groups=() if catalog is None else (catalog,),
            field=field,
            line=line,
        )


def _as_text(written: Any) -> str:
    if not isinstance(written, str):
        raise UnreadableSpec("the range must be a text")
    return written
