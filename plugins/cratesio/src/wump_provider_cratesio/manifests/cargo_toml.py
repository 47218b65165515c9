"""Cargo.toml.

Source: The Cargo Book, "The Manifest Format" and "Specifying Dependencies".
"""

from collections.abc import Iterable, Mapping
from typing import Any

from wump_core import InvalidPurl, ManifestRecord, Project, make_manifest, make_purl_text

from wump_provider_cratesio.manifests.declared import Declared, Manifest

FORMAT = "Cargo.toml"
MAX_BYTES = 1_000_000


def parse_cargo_toml(path: str, content: bytes, siblings: Mapping[str, bytes]) -> ManifestRecord:
    """Read one Cargo.toml, of a package or of a workspace.

    Raises:
        InvalidManifest: It is no UTF-8, or no TOML.
    """
    manifest = Manifest(path, content)
    rows = [make_row(item, manifest) for item in (*manifest.declared(siblings, {}), *manifest.shared())]
    return make_manifest(
        path,
        format=FORMAT,
        ecosystem="cargo",
        kind="manifest",
        project=find_project(manifest),
        dependencies=rows,
        needs=manifest.needs,
        diagnostics=manifest.notes,
    )


def make_row(item: Declared, manifest: Manifest) -> dict[str, Any]:
    """The fields of a dependency."""
    return {
        "purl": find_purl(item.crate) if item.source == "registry" and not item.foreign else None,
        "name": item.crate,
        "alias": None if item.key == item.crate else item.key,
        "requirement": item.requirement,
        "scope": item.scope,
        "optional": item.optional,
        "groups": item.groups,
        "marker": item.marker,
        "source": item.source,
        "field": item.field[:255],
        "line": manifest.line(item.path),
    }


def find_purl(crate: str) -> str | None:
    """The crate's purl. What can't be a name there has none, and is kept by its name."""
    try:
        return make_purl_text("cargo", crate)
    except InvalidPurl:
        return None


def find_project(manifest: Manifest) -> Project | None:
    """What it calls itself; a version that is inherited is not looked up."""
    name, version = (
        value if isinstance(value, str) and 0 < len(value) <= 200 and value.isprintable() else None
        for value in (manifest.package.get("name"), manifest.package.get("version"))
    )
    if isinstance(manifest.package.get("version"), dict) and manifest.workspace is not None:
        shared = manifest.workspace.get("package")
        told = shared.get("version") if isinstance(shared, dict) else None
        version = told if isinstance(told, str) and told.isprintable() and len(told) <= 200 else None
    return Project(name=name, version=version) if name or version else None


def list_members(manifest: Manifest) -> Iterable[str]:
    """The globs of a workspace's members, as its root writes them."""
    members = (manifest.workspace or {}).get("members")
    return [item for item in members if isinstance(item, str)] if isinstance(members, list) else []
