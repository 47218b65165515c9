"""Manifests and lockfiles of npm's ecosystem: which file name means which format."""

from collections.abc import Mapping

from wump_core import Format, ManifestRecord, list_globs, parse_with

from wump_provider_npm.manifests.bower_json import parse_bower_json
from wump_provider_npm.manifests.bun_lock import parse_bun_lock
from wump_provider_npm.manifests.deno_json import parse_deno_json
from wump_provider_npm.manifests.deno_lock import parse_deno_lock
from wump_provider_npm.manifests.package_json import parse_package_json
from wump_provider_npm.manifests.package_lock import parse_package_lock, parse_shrinkwrap
from wump_provider_npm.manifests.pnpm_lock import parse_pnpm_lock
from wump_provider_npm.manifests.pnpm_workspace import parse_pnpm_workspace
from wump_provider_npm.manifests.yarn_lock import parse_yarn_lock

_MB = 1_000_000

FORMATS: tuple[Format, ...] = (
    Format(
        "package.json",
        ("package.json",),
        "manifest",
        4 * _MB,
        "Runtime, optional, peer and development dependencies; `catalog:` and workspaces from the files around it.",
        parse_package_json,
    ),
    Format(
        "package-lock.json",
        ("package-lock.json",),
        "lockfile",
        32 * _MB,
        "Versions 1 to 3: installed versions, direct or transitive, scope by the flags; 1 needs package.json.",
        parse_package_lock,
    ),
    Format(
        "npm-shrinkwrap.json",
        ("npm-shrinkwrap.json",),
        "lockfile",
        32 * _MB,
        "As package-lock.json, and what npm 2 to 4 wrote.",
        parse_shrinkwrap,
    ),
    Format(
        "yarn.lock",
        ("yarn.lock",),
        "lockfile",
        16 * _MB,
        "Yarn Classic and Berry: installed versions; scopes, and with Classic direct or transitive, need package.json.",
        parse_yarn_lock,
    ),
    Format(
        "pnpm-lock.yaml",
        ("pnpm-lock.yaml", "shrinkwrap.yaml"),
        "lockfile",
        16 * _MB,
        "Versions 5, 6 and 9, and the older shrinkwrap.yaml: installed versions, direct or transitive, scope, links.",
        parse_pnpm_lock,
    ),
    Format(
        "pnpm-workspace.yaml",
        ("pnpm-workspace.yaml",),
        "manifest",
        _MB,
        "The catalogs; which package asks for what in them its package.json says, so scope is unknown. And "
        "`configDependencies`, as build.",
        parse_pnpm_workspace,
    ),
    Format(
        "bun.lock",
        ("bun.lock",),
        "lockfile",
        8 * _MB,
        "Installed versions, direct or transitive, scope from what the workspaces reach. Not the binary bun.lockb.",
        parse_bun_lock,
    ),
    Format(
        "deno.json",
        ("deno.json", "deno.jsonc", "import_map.json"),
        "manifest",
        _MB,
        "`npm:`, `jsr:` and web addresses of `imports` and `scopes`, also of an import map of that name, and of types, "
        "JSX and plugins of the linter; JSR's packages have no purl.",
        parse_deno_json,
    ),
    Format(
        "deno.lock",
        ("deno.lock",),
        "lockfile",
        8 * _MB,
        "Versions 2 to 5: packages of npm and JSR, direct or transitive; not the hashes of single modules.",
        parse_deno_lock,
    ),
    Format(
        "bower.json",
        ("bower.json",),
        "manifest",
        _MB,
        "Runtime and development dependencies, without a purl: Bower's registry is another one.",
        parse_bower_json,
    ),
)
"""The formats, with the largest size of each."""

GLOBS = list_globs(FORMATS)


def parse_manifest(path: str, content: bytes, siblings: Mapping[str, bytes]) -> ManifestRecord:
    """Read one file, by its name.

    Raises:
        InvalidManifest: No format has this name, the file is too large, or nothing of it can be read.
    """
    return parse_with(FORMATS, path, content, siblings)
