"""Local folders as trees of files: what `wump parse` reads, and nothing outside of them."""

import os
import stat
from collections.abc import Callable, Collection, Iterator
from functools import cached_property
from itertools import islice
from pathlib import Path

from wump_core.errors import InvalidManifest
from wump_core.manifests import choose_siblings

MAX_ENTRIES = 2_000_000
MAX_FILE_BYTES = 32_000_000
"""As much as the largest format allows; what is larger is not even read."""

MAX_SIBLINGS = 500
MAX_SIBLINGS_BYTES = 32 * 1024 * 1024


class LocalTree:
    """A folder. Paths are relative to it, with `/`."""

    def __init__(self, root: Path) -> None:
        self.root = root.resolve()
        self.unreadable: list[tuple[str, str]] = []
        """Folders that could not be walked, and why."""
        self._folders: dict[str, str] = {}

    @cached_property
    def paths(self) -> list[str]:
        """All files, in order of their folders, without those of git itself. Links to folders aren't followed."""
        self.unreadable.clear()
        found = list(islice(self._walk(), MAX_ENTRIES + 1))
        if len(found) > MAX_ENTRIES:
            self.unreadable.append((".", f"more than {MAX_ENTRIES:,} files: the rest is not looked at"))
        return found[:MAX_ENTRIES]

    def _walk(self) -> Iterator[str]:
        def note(error: OSError) -> None:
            self.unreadable.append((self._relative(error.filename), error.strerror or "can't be read"))

        for folder, folders, files in os.walk(self.root, onerror=note):
            folders[:] = sorted(name for name in folders if name != ".git")
            prefix = self._relative(folder)
            for name in sorted(files):
                yield name if prefix == "." else f"{prefix}/{name}"

    def _relative(self, path: str) -> str:
        return os.path.relpath(path, self.root).replace(os.sep, "/")

    def read(self, path: str) -> bytes:
        """Read a file.

        Raises:
            InvalidManifest: It can't be read, is no file, is too large, or lies outside by way of a link.
        """
        try:
            return read_file(self._locate(path))
        except (OSError, ValueError) as error:
            raise InvalidManifest(f"can't be read: {getattr(error, 'strerror', None) or error}"[:200]) from None

    def _locate(self, path: str) -> str:
        """Where a file really is: inside, whatever links lead to it."""
        folder, _, name = path.rpartition("/")
        if folder not in self._folders:
            self._folders[folder] = self._inside(os.path.realpath(os.path.join(self.root, folder), strict=True))
        place = os.path.join(self._folders[folder], name)
        return self._inside(os.path.realpath(place, strict=True)) if os.path.islink(place) else place

    def _inside(self, real: str) -> str:
        if not Path(real).is_relative_to(self.root):
            raise InvalidManifest("a link that leads out of the folder: not followed")
        return real

    def read_siblings(self, needs: Collection[str], asked: set[str]) -> dict[str, bytes]:
        """Read what a manifest wants to see beside it; what can't be read is not there.

        Args:
            needs: Of its record.
            asked: What was looked for before, and is not looked for again; it grows.
        """
        globs = any(character in need for need in needs for character in "*?")
        found: dict[str, bytes] = {}
        room = MAX_SIBLINGS_BYTES
        for path in choose_siblings(needs, self.paths if globs else (), most=MAX_SIBLINGS):
            if path in asked:
                continue
            asked.add(path)
            try:
                content = self.read(path)
            except InvalidManifest:
                continue
            room -= len(content)
            if room < 0:
                break
            found[path] = content
        return found


def read_file(path: str) -> bytes:
    """Read a regular file, and nothing that may never end.

    Raises:
        InvalidManifest: It is something else, or too large.
        OSError: It can't be read.
    """
    with open(path, "rb", opener=_open_without_waiting) as file:
        about = os.fstat(file.fileno())
        if not stat.S_ISREG(about.st_mode):
            raise InvalidManifest("no regular file")
        if about.st_size > MAX_FILE_BYTES:
            raise InvalidManifest(f"larger than {MAX_FILE_BYTES:,} bytes, more than any format may have")
        return file.read(MAX_FILE_BYTES)


def _open_without_waiting(path: str, flags: int) -> int:
    """A pipe would wait for its writer."""
    return os.open(path, flags | getattr(os, "O_NONBLOCK", 0))


def find_root(given: Path, is_wanted: Callable[[str], bool]) -> tuple[Path, str]:
    """The folder that is the tree of a file that was given, and the file's path in it.

    That is the working tree of git that it lies in; else the current folder, if it lies in that; else its own folder,
    or the lowest one above it from where its path is that of a manifest, such as `.github/workflows/ci.yml`.
    """
    folder, here = given.parent.resolve(), Path.cwd()
    file = folder / given.name
    found = next((parent for parent in (folder, *folder.parents) if (parent / ".git").exists()), None)
    root = found or (here if folder.is_relative_to(here) else folder)
    above = (parent for parent in (root, *root.parents[:3]) if is_wanted(file.relative_to(parent).as_posix()))
    root = next(above, root)
    return root, file.relative_to(root).as_posix()
