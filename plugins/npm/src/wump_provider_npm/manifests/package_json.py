"""package.json.

Source: npm's `package.json` documentation. npm itself strips a byte order mark and reads strict JSON.
"""

import json
from collections.abc import Mapping
from typing import Any, NoReturn

from wump_core import InvalidManifest, ManifestRecord, decode_text

from wump_provider_npm.dependencies import SCOPE_BY_FIELD, parse_dependencies
from wump_provider_npm.lines import find_lines
from wump_provider_npm.manifests.catalogs import fill_in_catalogs
from wump_provider_npm.manifests.findings import Findings, parse_project
from wump_provider_npm.manifests.workspaces import mark_members

_LOCATED_FIELDS = frozenset(SCOPE_BY_FIELD)


def parse_package_json(path: str, content: bytes, siblings: Mapping[str, bytes]) -> ManifestRecord:
    """Read a `package.json`.

    `catalog:` is looked up in the files that may hold one, and a dependency on another workspace of the same
    tree told from one on the registry; what these need is named in `needs`.

    Raises:
        InvalidManifest: It is no JSON object in UTF-8, nested too deeply, or a lockfile.
    """
    text = decode_text(content)
    manifest = load_strict(text)
    if "lockfileVersion" in manifest:
        raise InvalidManifest("a lockfile under a manifest's name")
    lines = find_lines(text, _LOCATED_FIELDS)
    findings = Findings()
    project = parse_project(manifest.get("name"), manifest.get("version"), findings, lines)
    # Its own name is as good as any other here: a repository may use an older release of itself.
    records = parse_dependencies(manifest, None, findings.diagnostics, lines)
    records, catalog_needs = fill_in_catalogs(path, manifest, records, siblings, findings)
    records, member_needs = mark_members(path, manifest, records, siblings)
    findings.keep(records)
    return findings.finish(path, "package.json", "manifest", project, [*catalog_needs, *member_needs])


def load_strict(text: str) -> dict[str, Any]:
    """Read strict JSON.

    Raises:
        InvalidManifest: It is none, no object, or nested too deeply.
    """
    try:
        manifest = json.loads(text, parse_constant=_refuse_constant)
    except json.JSONDecodeError as error:
        raise InvalidManifest(f"not JSON: {error.msg} in line {error.lineno}") from None
    except ValueError as error:
        raise InvalidManifest(f"not JSON: {str(error)[:200]}") from None
    except RecursionError:
        raise InvalidManifest("nested too deeply") from None
    if not isinstance(manifest, dict):
        raise InvalidManifest("must be a JSON object")
    return manifest


def _refuse_constant(name: str) -> NoReturn:
    """Python would read `NaN` and `Infinity`, which JSON does not have."""
    raise ValueError(f"{name} is not allowed")
