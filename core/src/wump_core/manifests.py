"""Manifests: what the plugins that read files of dependencies share, and whoever hands them files.

A plugin lists its formats and hands each file to the first that fits (`parse_with`): name, size and depth are
checked once, here. Its parsers collect rows, plain dictionaries with the fields of a `DependencyRecord`, and make the
record at the end (`make_manifest`), which checks all rows at once. Everything is pure: nothing is opened, a path is
only a name.
"""

import codecs
import posixpath
import re
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import chain, islice
from typing import Annotated, Any, Literal

from pydantic import FailFast, TypeAdapter, ValidationError

from wump_core.errors import InvalidManifest
from wump_core.records import (
    MAX_DIAGNOSTICS,
    MAX_FUNDING_LINKS,
    MAX_MANIFEST_DEPENDENCIES,
    MAX_NEEDS,
    DependencyRecord,
    Diagnostic,
    FundingLink,
    ManifestRecord,
    Project,
)

MAX_PATH_LENGTH = 2_000
MAX_GLOB_SEGMENTS = 4
_DEPENDENCIES = TypeAdapter(list[DependencyRecord]).validator
_ALL_DEPENDENCIES = TypeAdapter(Annotated[list[DependencyRecord], FailFast()]).validator
_MANIFEST = TypeAdapter(ManifestRecord).validator
_PORTION = 1_000
_UNPRINTABLE = re.compile(r"[\x00-\x1f\x7f\ud800-\udfff]")
_WILDCARD = re.compile(r"[*?]")
_ELSEWHERE = re.compile(r"/|[A-Za-z][A-Za-z0-9+.-]*:")
"""An absolute path, a URL, or a Windows drive."""


class NoManifest(InvalidManifest):
    """The name fits a format and the content is something else: there is nothing to record.

    A Python script without inline metadata, say. Who walks over many files passes on without a word.
    """

    code = "no_manifest"


@dataclass(frozen=True, slots=True, eq=False)
class Format:
    """A file format that a plugin reads.

    Attributes:
        name: What `ManifestRecord.format` says, such as `package-lock.json`.
        globs: File names. `*` and `?` stay inside a segment; a glob with `/` is matched against as many of the
            path's last segments, four at most, without `**`. One of only an ending, such as `*.py`, names files
            that may hold a manifest: these are looked into where they are at hand and never fetched for it.
        kind: Whether it states dependencies or fixes their versions.
        max_bytes: Larger files are refused.
        yields: One sentence for the table of formats: what is read, and what can't be.
        parse: `(path, content, siblings)` to a record; see `parse_manifest` in `wump_core.hookspecs`.
        marker: What a file must hold somewhere to be of this format, where the name doesn't tell.
    """

    name: str
    globs: tuple[str, ...]
    kind: Literal["manifest", "lockfile"]
    max_bytes: int
    yields: str
    parse: Callable[[str, bytes, Mapping[str, bytes]], ManifestRecord]
    marker: bytes = b""

    def __post_init__(self) -> None:
        """Raises ValueError: a glob looks at more of a path than its last segments."""
        for glob in self.globs:
            if "**" in glob or glob.count("/") >= MAX_GLOB_SEGMENTS:
                raise ValueError(f"the glob {glob!r} has `**` or more than {MAX_GLOB_SEGMENTS} segments")


def choose_format(formats: Iterable[Format], path: str) -> Format | None:
    """The first format whose globs fit the path, whatever the file holds."""
    return next(iter(_list_fitting(tuple(formats), path)), None)


def parse_with(formats: Sequence[Format], path: str, content: bytes, siblings: Mapping[str, bytes]) -> ManifestRecord:
    """Read a file with the first of the formats that fits its path and content.

    Siblings that are larger than their own format allows are left out, as if they weren't there.

    Raises:
        InvalidManifest: The path can't be stored, no format fits it, the file is larger than its format allows,
            is nested too deeply, or the parser itself refuses it.
        NoManifest: Formats fit the path, but none of their markers is in the file.
    """
    if len(path) > MAX_PATH_LENGTH or (not path.isprintable() and _UNPRINTABLE.search(path)):
        raise InvalidManifest(f"its path is longer than {MAX_PATH_LENGTH:,} characters or can't be printed: rename it")
    fitting = _list_fitting(tuple(formats), path)
    if not fitting:
        raise InvalidManifest(f"no known format has this name: expected {', '.join(list_globs(formats))}"[:500])
    for chosen in fitting:
        if chosen.marker in content:
            break
    else:
        raise NoManifest(f"no {fitting[0].name}: it does not hold {fitting[0].marker.decode()!r}")
    if len(content) > chosen.max_bytes:
        raise InvalidManifest(f"larger than {chosen.max_bytes:,} bytes, the most that is read of a {chosen.name}")
    if siblings:
        siblings = {
            name: text
            for name, text in siblings.items()
            if len(text) <= (choose_format(formats, name) or chosen).max_bytes
        }
    try:
        return chosen.parse(path, content, siblings)
    except RecursionError:
        raise InvalidManifest("nested too deeply") from None
    except MemoryError:
        raise InvalidManifest("needs more memory than there is") from None


def _list_fitting(formats: tuple[Format, ...], path: str) -> tuple[Format, ...]:
    """The formats whose globs fit the path; nearly always its last segment tells."""
    found = _list_by_name(formats, path[path.rfind("/") + 1 :])
    if found is not None:
        return found
    if path.count("/") >= MAX_GLOB_SEGMENTS:
        path = "/".join(path.rsplit("/", MAX_GLOB_SEGMENTS)[-MAX_GLOB_SEGMENTS:])
    return _list_fitting_end(formats, path)


@lru_cache(maxsize=1_024)
def _list_by_name(formats: tuple[Format, ...], name: str) -> tuple[Format, ...] | None:
    """The formats of all files of that name; null where it depends on their folders. Few names are most files'."""
    found: list[Format] = []
    for item in formats:
        if fits((glob for glob in item.globs if "/" not in glob), name):
            found.append(item)
        elif fits((glob.rpartition("/")[2] for glob in item.globs if "/" in glob), name):
            return None
    return tuple(found)


@lru_cache(maxsize=1_024)
def _list_fitting_end(formats: tuple[Format, ...], end: str) -> tuple[Format, ...]:
    """The formats whose globs fit the end of a path, all that they look at."""
    return tuple(item for item in formats if fits(item.globs, end))


def make_manifest(
    path: str,
    *,
    format: str,  # noqa: A002
    ecosystem: str,
    kind: Literal["manifest", "lockfile"],
    project: Project | None = None,
    dependencies: Sequence[Mapping[str, Any]] = (),
    funding: Collection[FundingLink] = (),
    needs: Iterable[str] = (),
    diagnostics: Iterable[Diagnostic] = (),
) -> ManifestRecord:
    """Make the record of a file out of rows, about three microseconds each.

    A row that no `DependencyRecord` can hold is left out, with a diagnostic at its line that names the field; what
    goes beyond a bound of the record is left out, and counted in a diagnostic. With a diagnostic the status is
    `partial`, else `ok`.
    """
    wanted, noted = [*needs], [*diagnostics]
    if not (dependencies or project or funding or wanted or noted):
        return _make_empty(path, format, ecosystem, kind)
    counts: list[Diagnostic] = []  # they come first, so that they are never among those that are too many
    if (more := len(dependencies) - MAX_MANIFEST_DEPENDENCIES) > 0:
        counts.append(Diagnostic(message=f"{more:,} more dependencies were left out"))
        dependencies = dependencies[:MAX_MANIFEST_DEPENDENCIES]
    fields: dict[str, Any] = {"path": path, "format": format, "ecosystem": ecosystem, "kind": kind}
    if project:
        fields["project"] = project
    if wanted:
        fields["needs"] = wanted = tuple(dict.fromkeys(wanted))
        if (more := len(wanted) - MAX_NEEDS) > 0:
            counts.append(Diagnostic(message=f"{more:,} more files that it names were left out"))
            fields["needs"] = wanted[:MAX_NEEDS]
    if funding:
        fields["funding"] = tuple(islice(funding, MAX_FUNDING_LINKS))
    try:  # nearly always all rows are good: then they are checked in one go with the file
        return _make_record(fields, dependencies, counts + noted if counts else noted)
    except ValidationError:
        records, refused = make_dependencies(dependencies)
        return _make_record(fields, records, counts + refused + noted)


def _make_record(fields: dict[str, Any], dependencies: Sequence[Any], found: list[Diagnostic]) -> ManifestRecord:
    """The record; what isn't given keeps its default, which costs nothing to check."""
    if found:
        if (more := len(found) - MAX_DIAGNOSTICS) > 0:
            last = Diagnostic(message=f"{more + 1:,} more diagnostics were left out")
            found = [*found[: MAX_DIAGNOSTICS - 1], last]
        fields["diagnostics"] = found
    fields["status"] = "partial" if found else "ok"
    fields["dependencies"] = dependencies
    return _MANIFEST.validate_python(fields)


@lru_cache(maxsize=1_024)
def _make_empty(path: str, format_name: str, ecosystem: str, kind: str) -> ManifestRecord:
    """The record of a file that states nothing, frozen as all are: the same for all files of one path."""
    return _make_record({"path": path, "format": format_name, "ecosystem": ecosystem, "kind": kind}, (), [])


def make_dependencies(rows: Sequence[Mapping[str, Any]]) -> tuple[list[DependencyRecord], list[Diagnostic]]:
    """Records out of rows, and a diagnostic for each row that no record can hold.

    All rows are checked at once; where that fails in portions, until more are bad than diagnostics can tell of.
    """
    try:
        return _ALL_DEPENDENCIES.validate_python(rows), []
    except ValidationError:
        pass
    records: list[DependencyRecord] = []
    refused: list[Diagnostic] = []
    for start in range(0, len(rows), _PORTION):
        if len(refused) >= MAX_DIAGNOSTICS:
            refused.insert(0, Diagnostic(message=f"after too many bad entries, {len(rows) - start:,} were not read"))
            break
        portion = rows[start : start + _PORTION]
        reasons = _list_reasons(portion)
        records += _DEPENDENCIES.validate_python([row for at, row in enumerate(portion) if at not in reasons])
        refused += [_describe_refusal(portion[at], reason) for at, reason in reasons.items()]
    return records, refused


def _list_reasons(rows: Sequence[Mapping[str, Any]]) -> dict[int, str]:
    """Why rows can't be records, by their position."""
    try:
        _DEPENDENCIES.validate_python(rows)
    except ValidationError as error:
        mistakes = error.errors(include_url=False, include_input=False, include_context=False)
        return {int(item["loc"][0]): f"{'.'.join(map(str, item['loc'][1:]))}: {item['msg']}" for item in mistakes}
    return {}


def _describe_refusal(row: Mapping[str, Any], reason: str) -> Diagnostic:
    field, line = row.get("field"), row.get("line")
    return Diagnostic(
        field=make_printable(field, 255) if isinstance(field, str) else None,
        message=make_printable(f"an entry was left out: {reason}", 2_000),
        line=line if isinstance(line, int) and 0 < line < 2**31 else None,
    )


def make_printable(text: str, limit: int) -> str:
    """The text with everything that can't be shown or stored escaped, cut to the limit."""
    if text.isprintable():
        return text[:limit]
    return "".join(char if char.isprintable() else f"\\u{ord(char):04x}" for char in text[:limit])[:limit]


def decode_text(content: bytes) -> str:
    """UTF-8 as text, without a byte order mark.

    Raises:
        InvalidManifest: It is no UTF-8; the text says from which byte on.
    """
    plain = content.removeprefix(codecs.BOM_UTF8)
    try:
        return plain.decode()
    except UnicodeDecodeError as error:
        raise InvalidManifest(f"not UTF-8 at byte {error.start + len(content) - len(plain)}") from None


def resolve_path(origin: str, target: str) -> str | None:
    """The path that a file names as `target`, relative to the root of its tree, for `needs`.

    Null where it is no path inside the tree: absolute, a URL, a variable, or climbing out. `target` may hold
    `*`, `?` and `**`, as `needs` may.
    """
    target = target.strip().replace("\\", "/")
    if not target or _ELSEWHERE.match(target) or "$" in target or _UNPRINTABLE.search(target):
        return None
    path = posixpath.normpath(posixpath.join(posixpath.dirname(origin), target))
    outside = path in (".", "..") or path.startswith(("../", "/"))
    return None if outside or len(path) > MAX_PATH_LENGTH else path


def fits(globs: Iterable[str], path: str) -> bool:
    """Whether one of the globs fits the last segments of the path."""
    return _pattern(tuple(globs)).fullmatch(path) is not None


def choose_siblings(needs: Iterable[str], paths: Iterable[str], *, most: int) -> list[str]:
    """The paths that `needs` of a record names, its globs filled in from the paths of the tree, up to so many.

    A path without a wildcard is named whether it is in the tree or not.
    """
    plain = dict.fromkeys(need for need in needs if not _WILDCARD.search(need))
    globs = tuple(need for need in needs if need not in plain)
    wanted = _compile(globs) if globs else None
    found = (path for path in paths if wanted is not None and wanted.fullmatch(path))
    return list(islice(chain(plain, (path for path in found if path not in plain)), most))


def list_globs(formats: Iterable[Format]) -> tuple[str, ...]:
    """The globs of all formats, each once: what `ProviderInfo.manifests` says."""
    return tuple(dict.fromkeys(glob for item in formats for glob in item.globs))


def is_ending(glob: str) -> bool:
    """Whether a glob names nothing but an ending, as `*.py` does: such files seldom hold a manifest."""
    return re.fullmatch(r"\*\.\w+", glob) is not None


@lru_cache(maxsize=512)
def _pattern(globs: tuple[str, ...]) -> re.Pattern[str]:
    return _compile(globs, before="(?:.*/)?")


def _compile(globs: tuple[str, ...], *, before: str = "") -> re.Pattern[str]:
    anything = "|".join(map(_translate, globs)) if globs else "(?!)"
    return re.compile(f"{before}(?:{anything})", re.DOTALL)


def _translate(glob: str) -> str:
    """A glob as a pattern that never looks back far: what stands between two wildcards is taken where it fits first."""
    parts: list[list[str]] = [[]]
    for segment in glob.split("/"):
        if segment == "**":
            parts.append([])
        else:
            parts[-1].append(_translate_segment(segment))
    patterns = ["/".join(part) for part in parts]
    if len(parts) > 1 and not parts[-1]:
        patterns[-1] = "[^/]+"  # `**` at the end: any file below
    first = f"{patterns[0]}/" if parts[0] and len(parts) > 1 else patterns[0]
    return first + _join([f"{pattern}/" for pattern in patterns[1:-1] if pattern] + patterns[1:][-1:], "(?:[^/]+/)*?")


def _translate_segment(segment: str) -> str:
    fixed = [re.escape(part).replace(r"\?", "[^/]") for part in re.split(r"\*+", segment)]
    return fixed[0] + _join(fixed[1:], "[^/]*?")


def _join(parts: Sequence[str], between: str) -> str:
    """Each part after anything; all but the last as soon as it fits, which is always right."""
    return "".join(f"(?>{between}{part})" for part in parts[:-1]) + "".join(f"{between}{part}" for part in parts[-1:])
