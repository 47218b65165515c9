"""TOML that strangers wrote, read within bounds.

Source: TOML 1.0. `rtoml` is compiled, bounds nesting and the parts of a key, and is linear.
"""

from typing import Any

import rtoml
from wump_core import InvalidManifest

MAX_VALUES = 100_000
"""In one file. A value can be two characters of text and cost two hundred bytes of memory."""


def load_toml(text: str) -> dict[str, Any]:
    """Read a document.

    Raises:
        InvalidManifest: It is no TOML, is nested too deeply, or holds too many values.
    """
    if sum(map(text.count, "=,[{")) > MAX_VALUES or text.count(".") > MAX_VALUES:
        raise InvalidManifest(f"no TOML that is read: more than {MAX_VALUES:,} values")
    try:
        return rtoml.loads(text)
    except RecursionError:
        raise InvalidManifest("no valid TOML: nested too deeply") from None
    except ValueError as error:
        raise InvalidManifest(f"no valid TOML: {str(error)[:200]}") from None
