"""Scripts that a Gradle script applies: `apply from: "x.gradle"`, and the ways to write that path.

Source: Gradle's documentation of script plugins, `Project.file`, `Project.rootDir`; Java's of `File`.
"""

from collections.abc import Sequence

from wump_core import resolve_path

from wump_provider_maven.manifests.expressions import Evaluator
from wump_provider_maven.manifests.scripts import Group, Item, Statement, split

MAX_LENGTH = 500
_ROOTS = frozenset(("rootDir", "rootProject.projectDir", "project.rootDir", "rootProject.rootDir"))
_FOLDERS = frozenset(("projectDir", "project.projectDir", "buildscript.sourceFile.parentFile"))


def find_applied(statement: Statement) -> list[Item] | None:
    """What stands behind `from` in `apply from: …` and `apply(from = …)`."""
    items = list(statement[1:])
    if items and isinstance(items[0], Group) and items[0].opening == "(":
        items = items[0].items
    for part in split(items, ","):
        if len(part) > 2 and part[0].text == "from" and part[1].is_sign(":", "="):
            return part[2:]
    return None


def find_place(items: Sequence[Item], evaluator: Evaluator, origin: str) -> str | None:
    """The path of an applied script in the tree; null where it can't be told, or lies elsewhere."""
    is_root, parts = _take_apart(items)
    texts = [_read_path(part, evaluator) for part in parts]
    if not texts or any(not text or len(text) > MAX_LENGTH for text in texts):
        return None
    script = "/".join(str(text) for text in texts)
    return resolve_path(origin, _from_root(f"${{rootDir}}/{script}" if is_root else script, origin))


def _take_apart(items: Sequence[Item]) -> tuple[bool, list[list[Item]]]:
    """Whether the root's folder is meant, and the parts of the path, of `file(…)`, `File(…)`, or a path itself."""
    last = items[-1]
    called = items[-2].text if len(items) > 1 else ""
    if not isinstance(last, Group) or last.opening != "(" or called not in ("file", "File", "uri"):
        return False, [list(items)]
    return any(item.text == "rootProject" for item in items), split(last.items, ",")[:3]


def _read_path(items: Sequence[Item], evaluator: Evaluator) -> str | None:
    """A path, or a part of one, with the folder of the build as `${rootDir}`."""
    value = evaluator.evaluate(items)
    if isinstance(value, str):
        return value
    name = "".join(item.text for item in items)
    return "${rootDir}" if name in _ROOTS else "." if name in _FOLDERS else None


def _from_root(script: str, path: str) -> str:
    """`$rootDir/x.gradle` and the like as a path relative to the script, which lies below the root of the tree."""
    holder, found, rest = script.removeprefix("${").partition("}/")
    if not script.startswith("${") or not found:
        return script
    return "../" * path.count("/") + rest if holder in _ROOTS else rest if holder in _FOLDERS else script
