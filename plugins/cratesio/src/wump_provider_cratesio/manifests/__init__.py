"""Manifests of Rust: which file name means which format."""

from collections.abc import Mapping

from wump_core import Format, ManifestRecord, list_globs, parse_with

from wump_provider_cratesio.manifests import cargo_lock, cargo_toml

FORMATS: tuple[Format, ...] = (
    Format(
        name=cargo_toml.FORMAT,
        globs=("Cargo.toml", "cargo.toml"),
        kind="manifest",
        max_bytes=cargo_toml.MAX_BYTES,
        yields="Runtime, development, build and optional dependencies, of all targets, by their real names; what is"
        " inherited from the root of the workspace, whose own list is told with unknown scope.",
        parse=cargo_toml.parse_cargo_toml,
    ),
    Format(
        name=cargo_lock.FORMAT,
        globs=("Cargo.lock", "cargo.lock"),
        kind="lockfile",
        max_bytes=cargo_lock.MAX_BYTES,
        yields="Versions 1 to 4: locked versions, direct or transitive; ranges and scopes by the Cargo.toml of the"
        " project and of its workspace.",
        parse=cargo_lock.parse_cargo_lock,
    ),
)
GLOBS = list_globs(FORMATS)


def parse_manifest(path: str, content: bytes, siblings: Mapping[str, bytes]) -> ManifestRecord:
    """Read one file of dependencies, by its name.

    Raises:
        InvalidManifest: Nothing of it can be read.
    """
    return parse_with(FORMATS, path, content, siblings)
