"""Cursors: opaque, versioned, and bound to the query that gave them."""

import base64
import binascii
import hashlib
from collections.abc import Sequence

import msgspec

from wump_api.problems import Problem

_VERSION = 2
"""Of a cursor's form and of what its values mean; raise it with either, so that old cursors are refused."""
MAX_CURSOR_LENGTH = 500


class _Cursor(msgspec.Struct, array_like=True, forbid_unknown_fields=True):
    version: int
    query: str
    values: list[str | int]


def make_cursor(query: Sequence[object], values: Sequence[str | int]) -> str:
    """A cursor that goes on after these values of that query."""
    encoded = msgspec.json.encode(_Cursor(_VERSION, _fingerprint(query), list(values)))
    return base64.urlsafe_b64encode(encoded).rstrip(b"=").decode()


def read_cursor(query: Sequence[object], text: str, kinds: Sequence[type]) -> list[str | int]:
    """The values that a cursor of this query holds.

    Raises:
        Problem: It is no cursor, or one of another query or version.
    """
    try:
        raw = base64.b64decode(text.encode() + b"=" * (-len(text) % 4), altchars=b"-_", validate=True)
        cursor = msgspec.json.decode(raw, type=_Cursor)
    except (binascii.Error, UnicodeEncodeError, msgspec.MsgspecError):
        raise Problem("invalid-cursor", "cursor: this is not a cursor of wump") from None
    if cursor.version != _VERSION:
        raise Problem(
            "invalid-cursor", f"cursor: it has version {cursor.version}, and this wump goes on from {_VERSION}"
        )
    if cursor.query != _fingerprint(query):
        raise Problem("invalid-cursor", "cursor: it was given by another query")
    sound = len(cursor.values) == len(kinds) and all(
        isinstance(value, kind) and (kind is not int or abs(int(value)) < 2**63)
        for value, kind in zip(cursor.values, kinds, strict=True)
    )
    if not sound:
        raise Problem("invalid-cursor", "cursor: it was altered")
    return cursor.values


def _fingerprint(query: Sequence[object]) -> str:
    return hashlib.blake2b(repr(tuple(query)).encode(), digest_size=9).hexdigest()
