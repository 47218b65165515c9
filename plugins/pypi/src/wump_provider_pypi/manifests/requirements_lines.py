"""The lines of pip's requirements files: decoded, joined, and parted into entries, includes and options.

Source: pip's manual (requirements file format) and the order of its own reader: lines are joined, comments cut,
options split off.
"""

import codecs
import re
from collections.abc import Iterable, Iterator
from typing import Literal, NamedTuple

from wump_core import InvalidManifest

_BYTE_ORDER_MARKS = (
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF32_LE, "utf-32-le"),  # before UTF-16, whose mark it starts with
    (codecs.BOM_UTF32_BE, "utf-32-be"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)
_MARKS = tuple(mark for mark, _ in _BYTE_ORDER_MARKS)
# pip takes any codec that a comment in the first two lines names, like Python itself; these are the ones in use.
_CODING = re.compile(
    rb"(?:[^\n]*\n)?[ \t]*\#[^\n]*?coding[:=][ \t]*"
    rb"(?P<name>(?:latin|iso-?8859|cp|windows|ascii|utf-?8|big5|gb|euc|shift_?jis|koi8)[-_\w]{0,12})"
)
_COMMENT = re.compile(r"#(?<!\S#)")
"""A sign with nothing or a blank before it. That it begins with the sign lets the search leap there."""
_ENTRY = re.compile(r"[\r\n][^\S\r\n]*[^\s#]")
_OPTION_IN_LINE = re.compile(r"\s-")
_OPTION = re.compile(
    r"(?:-(?P<short>[rce])\s*|--(?P<long>requirement|constraint|editable)(?:\s+|=\s*|\Z))(?P<value>.*)", re.DOTALL
)
MAX_LINES = 100_000
"""What follows them is told as one line."""

LineKind = Literal["entry", "editable", "include", "constraint", "option"]

_KIND: dict[str, LineKind] = {"r": "include", "c": "constraint", "e": "editable"}


class Line(NamedTuple):
    """One logical line. `text` is what stands before its options, or the value of `-r`, `-c` or `-e`."""

    number: int
    kind: LineKind
    text: str


def decode_requirements(content: bytes) -> str:
    """The text, by its byte order mark, the encoding that it names, or UTF-8.

    Raises:
        InvalidManifest: It is not in that encoding.
    """
    mark, encoding = b"", "utf-8"
    if content.startswith(_MARKS):
        mark, encoding = next(pair for pair in _BYTE_ORDER_MARKS if content.startswith(pair[0]))
    elif content.find(b"coding", 0, 1_000) >= 0 and (coding := _CODING.match(content, 0, 1_000)):
        encoding = coding["name"].decode()
    try:
        return content[len(mark) :].decode(encoding)
    except UnicodeDecodeError as error:
        raise InvalidManifest(f"no valid {encoding.upper()} at byte {error.start}") from None
    except LookupError:
        raise InvalidManifest(f"unknown encoding {encoding!r}") from None


def has_entries(text: str) -> bool:
    """Whether it holds more than blanks and comments."""
    return _ENTRY.search(f"\n{text}") is not None


def logical_lines(text: str) -> Iterator[tuple[int, str]]:
    """Lines with continuations joined, each with the number of its first line. Comments may still be at their ends."""
    if "\r" in text:
        text = text.replace("\r\n", "\n").replace("\r", "\n")
    lines = enumerate(text.split("\n", MAX_LINES), 1)
    return _join_continued(lines) if "\\" in text else lines


def _join_continued(lines: Iterable[tuple[int, str]]) -> Iterator[tuple[int, str]]:
    parts: list[str] = []
    first = 1
    for number, line in lines:
        if not line.endswith("\\") and not parts:
            yield number, line
            continue
        if not parts:
            first = number
        comment = _COMMENT.search(line)
        if line.endswith("\\") and not (comment and not line[: comment.start()].strip()):
            parts.append(line[:-1])
            continue
        # pip: a comment ends the continued line, even where no blank stands before it.
        parts.append(f" {line}" if comment else line)
        yield first, "".join(parts)
        parts = []
    if parts:
        yield first, "".join(parts)


def parse_line(number: int, line: str) -> Line | None:
    """What a logical line says; null where it is empty or a comment."""
    comment = _COMMENT.search(line) if "#" in line else None
    text = (line[: comment.start()] if comment else line).strip()
    if not text:
        return None
    if not text.startswith("-"):
        return Line(number, "entry", _without_options(text))
    match = _OPTION.match(text)
    if match is None:
        return Line(number, "option", text)
    kind = _KIND[match["short"] or match["long"][0]]
    return Line(number, kind, _without_options(match["value"]).strip("\"'"))


def _without_options(text: str) -> str:
    """What stands before the first option of the line, such as `--hash`."""
    option = _OPTION_IN_LINE.search(text) if "-" in text else None
    return (text[: option.start()] if option else text).strip()
