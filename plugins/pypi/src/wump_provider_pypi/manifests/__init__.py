"""Manifests of the Python ecosystem: which file name means which format."""

from collections.abc import Mapping
from fnmatch import fnmatchcase

from wump_core import InvalidManifest, ManifestRecord

from wump_provider_pypi.fields import quote
from wump_provider_pypi.manifests.pyproject import parse_pyproject
from wump_provider_pypi.manifests.requirements_txt import parse_requirements_txt

PYPROJECT = "pyproject.toml"
REQUIREMENTS = (
    *("requirements*.txt", "requirements*.in", "*requirements.txt", "*requirements.in"),
    *("requirements/*.txt", "requirements/*.in"),
)
GLOBS = (PYPROJECT, *REQUIREMENTS)


def parse_manifest(path: str, content: bytes, siblings: Mapping[str, bytes]) -> ManifestRecord:
    """Read one file, by its name.

    Raises:
        InvalidManifest: The name is none of `GLOBS`, or nothing of the file can be read.
    """
    folder, _, name = path.rpartition("/")
    if name == PYPROJECT:
        return parse_pyproject(path, content)
    in_folder = f"{folder.rpartition('/')[2]}/{name}"
    if any(fnmatchcase(in_folder if "/" in glob else name, glob) for glob in REQUIREMENTS):
        return parse_requirements_txt(path, content, siblings)
    raise InvalidManifest(f"{quote(path)} is no file this provider reads: {', '.join(GLOBS)}")
