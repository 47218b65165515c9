"""JSON as package managers write it, with or without comments, and where its keys stand."""

import re
from typing import Any

import msgspec
from wump_core import InvalidManifest, decode_text

MAX_COLLECTIONS = 300_000
MAX_COMMAS = 1_000_000
MAX_ESCAPES = 300_000
MAX_QUOTES = 1_000_000
MAX_DECODED_COLLECTIONS = 150_000
"""Far above what the largest lockfiles hold, and few enough to fit into memory whatever they are."""

MAX_MISSES = 20
MAX_KEY_LENGTH = 1_000

# A text comes first, so that nothing inside one is taken for a comment.
_COMMENT = re.compile(r'"[^"\\]*(?:\\.[^"\\]*)*"|//[^\n]*|/\*.*?\*/', re.DOTALL)
_TRAILING_COMMA = re.compile(r'"[^"\\]*(?:\\.[^"\\]*)*"|,(?=\s*[}\]])', re.DOTALL)
_NOT_A_LINE_FEED = re.compile(r"[^\n]")


def read_json(content: bytes) -> bytes:
    """The text in UTF-8, without a byte order mark and with plain line feeds.

    Raises:
        InvalidManifest: It is no UTF-8, or has more values than any manifest or lockfile.
    """
    decode_text(content)
    if content.count(b"{") + content.count(b"[") > MAX_COLLECTIONS or content.count(b",") > MAX_COMMAS:
        raise InvalidManifest(f"more than {MAX_COLLECTIONS:,} objects and arrays or {MAX_COMMAS:,} values")
    if content.count(b"\\") > MAX_ESCAPES:
        raise InvalidManifest(f"more than {MAX_ESCAPES:,} escapes")
    content = content.removeprefix(b"\xef\xbb\xbf")
    return content.replace(b"\r\n", b"\n").replace(b"\r", b"\n") if b"\r" in content else content


def read_jsonc(content: bytes) -> bytes:
    """The same for JSON with comments and trailing commas, which become blanks: every line stays where it is."""
    if content.count(b"{") + content.count(b"[") > MAX_DECODED_COLLECTIONS:
        raise InvalidManifest(f"more than {MAX_DECODED_COLLECTIONS:,} objects and arrays")
    if content.count(b'"') > MAX_QUOTES or content.count(b"//") + content.count(b"/*") > MAX_COLLECTIONS:
        raise InvalidManifest(f"more than {MAX_QUOTES:,} quotes or {MAX_COLLECTIONS:,} comments")
    text = read_json(content).decode()
    if "//" in text or "/*" in text:
        text = _COMMENT.sub(_blank, text)
    return _TRAILING_COMMA.sub(_blank, text).encode()


def decode_json(text: bytes, shape: Any = dict[str, Any]) -> Any:
    """Decode what `read_json` or `read_jsonc` gave.

    Raises:
        InvalidManifest: It is no JSON, of another shape, or nested too deeply.
    """
    try:
        return msgspec.json.decode(text, type=shape)
    except msgspec.ValidationError as error:
        raise InvalidManifest(f"not as expected: {str(error)[:200]}") from None
    except msgspec.DecodeError as error:
        raise InvalidManifest(f"not JSON: {str(error)[:200]}") from None
    except RecursionError:
        raise InvalidManifest("nested too deeply") from None


def _blank(found: re.Match[str]) -> str:
    return found[0] if found[0][0] == '"' else _NOT_A_LINE_FEED.sub(" ", found[0])


_FIRST_KEY = rb'"%s"\s*:\s*\{\s*"[^"\\]*(?:\\.[^"\\]*)*("\s*:\s*[{\[])'


class KeyFinder:
    """Finds the lines of the keys of an object, asked for in the order in which they stand in the text.

    It searches the text as bytes, forward only, for keys written as the first one is: fast enough for the
    largest lockfiles. A key that is written in another way is not found, which leaves its line open; after some of
    them it looks no further, since each costs a walk to the end.
    """

    def __init__(self, text: bytes, field: str) -> None:
        """`field` is the key of the outermost object under which the keys stand; their values are collections."""
        first = re.search(_FIRST_KEY % re.escape(field.encode()), text)
        self._text = text if first else b""
        self._at = first.start() if first else 0
        self._end = first[1] if first else b""  # from the quote behind a key on
        self._counted_to = 0
        self._misses = 0
        self._line = 1

    def find(self, key: str) -> int | None:
        """The line of the next such key, from 1; null if there is none."""
        if len(key) > MAX_KEY_LENGTH:
            return None
        written = b'"' + key.encode() + self._end
        place = self._text.find(written, self._at)
        if place < 0:
            self._misses += 1
            if self._misses >= MAX_MISSES:
                self._text = b""
            return None
        self._line += self._text.count(b"\n", self._counted_to, place)
        self._counted_to = place
        self._at = place + len(written)
        return self._line
