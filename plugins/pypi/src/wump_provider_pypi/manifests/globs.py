"""The file names of requirements files, which other parsers ask for too."""

import posixpath
from fnmatch import fnmatchcase

REQUIREMENTS_GLOBS = (
    *("*requirements*.txt", "*requirements*.in", "*requirements*.pip", "requirements.frozen"),
    *("requirements/*.txt", "requirements/*.in", "requirements/*.pip", "*constraints*.txt", "*constraints*.in"),
)


def fits(globs: tuple[str, ...], path: str) -> bool:
    """Whether the last segments of the path fit one of the globs."""
    folder, name = posixpath.split(path)
    in_folder = f"{posixpath.basename(folder)}/{name}"
    return any(fnmatchcase(in_folder if "/" in glob else name, glob) for glob in globs)
