"""Single values of upstream text: given or not, fit to be stored, fit to be quoted.

The bounds are those of wump's records; cutting here keeps one long value from sinking a whole record.
"""

import re

MAX_TEXT = 2_000
MAX_SHORT = 255
MAX_NAME = 214

_NOT_GIVEN = ("", "UNKNOWN")
_UNSTORABLE = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\ud800-\udfff]")
# The first part is bounded, so that a long word without an @ costs linear time.
_EMAIL = re.compile(r"[\w.+-]{1,64}@[\w-]+\.[\w.-]+")


def given(value: object) -> str | None:
    """The text without blanks around it; null, "" and "UNKNOWN" all mean that an uploader gave none."""
    if not isinstance(value, str):
        return None
    text = value.strip()
    return None if text in _NOT_GIVEN else text


def is_storable(text: str) -> bool:
    """Whether Postgres and a reader can take every character of it."""
    return text.isprintable() or not _UNSTORABLE.search(text)


def make_storable(text: str) -> str:
    """The text with U+FFFD in place of what can't be stored."""
    return text if text.isprintable() else _UNSTORABLE.sub("\ufffd", text)


def shorten(text: str, limit: int) -> str:
    """The text, cut with an ellipsis where it is longer than the limit."""
    return text if len(text) <= limit else text[: limit - 1] + "…"


def without_emails(text: str) -> str:
    """The text without mail addresses: wump stores none."""
    return _EMAIL.sub("[e-mail]", text)


def quote(value: object) -> str:
    """A short form of an upstream's value for a message."""
    text = value if isinstance(value, str) else type(value).__name__
    return repr(without_emails(make_storable(shorten(text, 100)))) if isinstance(value, str) else f"a {text}"
