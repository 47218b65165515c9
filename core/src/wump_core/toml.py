"""TOML that strangers wrote, read within bounds.

Source: TOML 1.0 and 1.1. `rtoml` is compiled, bounds nesting and the parts of a key, and is linear. The standard
library's reader isn't: one long dotted key costs it seconds and gigabytes (python/cpython#149231).
"""

import re
from typing import Any

import rtoml

from wump_core.errors import InvalidManifest

MAX_MEMORY = 120_000_000
"""Of one file's data, in bytes. A value can be two characters of text."""

_MEMORY = {"=": 300, ",": 200, "[": 350, "{": 650, "\n": 50}
"""What a sign may stand for: a key with its value, an element, a table or an array, an inline table, a line. Measured
with `rtoml` 0.14, from texts that hold nothing else; where several stand for one thing, it is too much."""

_SURELY_FITS = MAX_MEMORY // max(_MEMORY.values())
"""Characters that fit, whatever they are."""

MAX_DOTS = 50_000
"""Outside of texts. Each part of a dotted key is a table."""

_TEXT = re.compile(r'"[^"\n]*"|\'[^\'\n]*\'')


def load_toml(text: str) -> dict[str, Any]:
    """Read a document.

    Raises:
        InvalidManifest: It is no TOML, is nested too deeply, or holds too much.
    """
    if len(text) > _SURELY_FITS and sum(text.count(sign) * size for sign, size in _MEMORY.items()) > MAX_MEMORY:
        raise InvalidManifest(f"no TOML that is read: it may take more than {MAX_MEMORY:,} bytes of memory")
    if len(text) > MAX_DOTS and text.count(".") > MAX_DOTS and _TEXT.sub("", text).count(".") > MAX_DOTS:
        raise InvalidManifest(f"no TOML that is read: more than {MAX_DOTS:,} dots outside of texts")
    try:
        return rtoml.loads(text)
    except RecursionError:
        raise InvalidManifest("no valid TOML: nested too deeply") from None
    except ValueError as error:
        raise InvalidManifest(f"no valid TOML: {str(error)[:200]}") from None
