"""Texts that are read line by line, within bounds that no lockfile reaches."""

from wump_core import InvalidManifest, decode_text

MAX_PIECES = 250_000
"""Lines, and values beside others on one line; several times what the largest lockfiles in use hold."""

MAX_QUOTES = 1_000_000


def read_text(content: bytes) -> str:
    """UTF-8 as text, without a byte order mark and with plain line feeds.

    Raises:
        InvalidManifest: It is no UTF-8, or has more lines or values than can be read in time.
    """
    text = decode_text(content)
    if "\r" in text:
        text = text.replace("\r\n", "\n").replace("\r", "\n")
    if sum(map(text.count, "\n,[{")) > MAX_PIECES or sum(map(text.count, "\"'")) > MAX_QUOTES:
        raise InvalidManifest(f"more than {MAX_PIECES:,} lines and values, or {MAX_QUOTES:,} quotes")
    return text
