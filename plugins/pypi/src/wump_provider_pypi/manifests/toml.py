"""TOML that strangers wrote, read within bounds.

Source: TOML 1.0 and 1.1. `rtoml` is compiled, bounds nesting and the parts of a key, and is linear. The standard
library's reader isn't: one long dotted key costs it seconds and gigabytes (python/cpython#149231).
"""

import re
from typing import Any

import rtoml
from wump_core import InvalidManifest

MAX_VALUES = 300_000
"""In one file. A value can be two characters of text and cost two hundred bytes of memory."""

MAX_DOTS = 150_000
"""Outside of texts. Each part of a dotted key is a table."""

_TEXT = re.compile(r'"[^"\n]*"|\'[^\'\n]*\'')


def load_toml(text: str) -> dict[str, Any]:
    """Read a document.

    Raises:
        InvalidManifest: It is no TOML, is nested too deeply, or holds too many values.
    """
    if sum(map(text.count, "=,[{")) > MAX_VALUES:
        raise InvalidManifest(f"no TOML that is read: more than {MAX_VALUES:,} values")
    if text.count(".") > MAX_DOTS and _TEXT.sub("", text).count(".") > MAX_DOTS:
        raise InvalidManifest(f"no TOML that is read: more than {MAX_DOTS:,} dots outside of texts")
    try:
        return rtoml.loads(text)
    except RecursionError:
        raise InvalidManifest("no valid TOML: nested too deeply") from None
    except ValueError as error:
        raise InvalidManifest(f"no valid TOML: {str(error)[:200]}") from None
