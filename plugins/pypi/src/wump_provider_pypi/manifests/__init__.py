"""Manifests of the Python ecosystem: which file name means which format."""

from collections.abc import Mapping

from wump_core import Format, ManifestRecord, list_globs, parse_with

from wump_provider_pypi.manifests import (
    conda,
    core_metadata,
    includes,
    pdm_lock,
    pipfile,
    pixi,
    poetry_lock,
    pylock,
    pyproject,
    requirements_txt,
    script,
    setup_cfg,
    setup_py,
    uv_lock,
)
from wump_provider_pypi.manifests.globs import REQUIREMENTS_GLOBS
from wump_provider_pypi.manifests.locked import MAX_LOCK_BYTES

FORMATS: tuple[Format, ...] = (
    Format(
        name=pyproject.FORMAT,
        globs=("pyproject.toml",),
        kind="manifest",
        max_bytes=1_000_000,
        yields="Dependencies, extras, dependency groups with their includes, build requirements, and the tables of "
        "Poetry, PDM, uv, Hatch, Flit, Rye and Pixi; a member of a uv workspace has the sources of its root. What a "
        "build back end computes is a diagnostic.",
        parse=pyproject.parse_pyproject,
    ),
    Format(
        name=requirements_txt.FORMAT,
        globs=REQUIREMENTS_GLOBS,
        kind="manifest",
        max_bytes=includes.MAX_BYTES,
        yields="Requirements, URLs, paths and editable installs; the scope by the file's name. Files that pip-compile "
        "or uv wrote are lockfiles, with direct and transitive told apart. Constraints are no dependencies.",
        parse=requirements_txt.parse_requirements_txt,
    ),
    Format(
        name=pipfile.PIPFILE,
        globs=("Pipfile",),
        kind="manifest",
        max_bytes=1_000_000,
        yields="The packages of every category, with their markers.",
        parse=pipfile.parse_pipfile,
    ),
    Format(
        name=pipfile.PIPFILE_LOCK,
        globs=("Pipfile.lock",),
        kind="lockfile",
        max_bytes=MAX_LOCK_BYTES,
        yields="The locked packages of every category; ranges, and what is direct, by the Pipfile beside it.",
        parse=pipfile.parse_pipfile_lock,
    ),
    Format(
        name=pixi.FORMAT,
        globs=("pixi.toml",),
        kind="manifest",
        max_bytes=1_000_000,
        yields="What comes from the Python index, of all features and platforms. Packages of conda are not read.",
        parse=pixi.parse_pixi,
    ),
    Format(
        name=poetry_lock.FORMAT,
        globs=("poetry.lock",),
        kind="lockfile",
        max_bytes=MAX_LOCK_BYTES,
        yields="The locked packages with their groups and extras; ranges, what is direct, and the scopes that Poetry "
        "1.5 to 1.8 don't write, by the pyproject.toml beside it.",
        parse=poetry_lock.parse_poetry_lock,
    ),
    Format(
        name=pdm_lock.FORMAT,
        globs=("pdm.lock",),
        kind="lockfile",
        max_bytes=MAX_LOCK_BYTES,
        yields="The locked packages with their groups; ranges, what is direct, and which groups are extras, by the "
        "pyproject.toml beside it.",
        parse=pdm_lock.parse_pdm_lock,
    ),
    Format(
        name=uv_lock.FORMAT,
        globs=("uv.lock", "*.py.lock"),
        kind="lockfile",
        max_bytes=MAX_LOCK_BYTES,
        yields="The locked packages; scope, groups, ranges and what is direct by the projects that it holds itself.",
        parse=uv_lock.parse_uv_lock,
    ),
    Format(
        name=pylock.FORMAT,
        globs=("pylock.toml", "pylock.*.toml"),
        kind="lockfile",
        max_bytes=MAX_LOCK_BYTES,
        yields="The locked packages, with extras and groups by their markers; ranges, and what is direct, by the "
        "pyproject.toml beside it.",
        parse=pylock.parse_pylock,
    ),
    Format(
        name=setup_cfg.FORMAT,
        globs=("setup.cfg",),
        kind="manifest",
        max_bytes=1_000_000,
        yields="install_requires, setup_requires, tests_require and extras_require; files named by `file:` in `needs`.",
        parse=setup_cfg.parse_setup_cfg,
    ),
    Format(
        name=setup_py.FORMAT,
        globs=("setup.py",),
        kind="manifest",
        max_bytes=setup_py.MAX_BYTES,
        yields="The same keywords of setup(), as far as they can be told without running the file: literals, names, "
        "sums, and what is appended. What is computed is a diagnostic.",
        parse=setup_py.parse_setup_py,
    ),
    Format(
        name=core_metadata.METADATA,
        globs=("METADATA", "PKG-INFO"),
        kind="manifest",
        max_bytes=4_000_000,
        yields="Requires-Dist, with extras by the markers.",
        parse=core_metadata.parse_core_metadata,
        marker=b"Metadata-Version:",
    ),
    Format(
        name=core_metadata.REQUIRES_TXT,
        globs=("*.egg-info/requires.txt", "EGG-INFO/requires.txt"),
        kind="manifest",
        max_bytes=includes.MAX_BYTES,
        yields="The requirements of an egg, with extras and markers by the sections.",
        parse=core_metadata.parse_requires_txt,
    ),
    Format(
        name=conda.ENVIRONMENT,
        globs=conda.ENVIRONMENT_GLOBS,
        kind="manifest",
        max_bytes=1_000_000,
        yields="The pip part. Packages of conda are of another ecosystem and not read.",
        parse=conda.parse_environment,
        marker=b"dependencies",
    ),
    Format(
        name=conda.CONDA_LOCK,
        globs=("conda-lock.yml", "*.conda-lock.yml"),
        kind="lockfile",
        max_bytes=conda.MAX_LOCK_BYTES,
        yields="The locked packages whose manager is pip; ranges, and what is direct, by the environment files that it "
        "names.",
        parse=conda.parse_conda_lock,
    ),
    Format(
        name=script.FORMAT,
        globs=("*.py",),
        kind="manifest",
        max_bytes=1_000_000,
        yields="The dependencies of a script with inline metadata, and uv's tables in it.",
        parse=script.parse_script,
        marker=script.MARKER,
    ),
)
GLOBS = list_globs(FORMATS)


def parse_manifest(path: str, content: bytes, siblings: Mapping[str, bytes]) -> ManifestRecord:
    """Read one file, by its name.

    Raises:
        InvalidManifest: The name is none of `GLOBS`, or nothing of the file can be read.
    """
    return parse_with(FORMATS, path, content, siblings)
