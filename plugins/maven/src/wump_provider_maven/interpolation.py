"""Values of `${…}`: a POM's properties and what it says of itself, filled in within bounds.

A value may hold others, in loops, or ones that double with each step: each name is worked out once, to a bounded
depth and length. What can't be filled in stays as it is written, so that `${` in a result means "unknown".

Source: Maven's model interpolation (maven-model-builder): `project.*` first, then the merged properties in which the
child's win, then the same names without a prefix, which is deprecated and found in old POMs.
"""

import re
from collections.abc import Mapping

MAX_DEPTH = 40
MAX_LENGTH = 1_000

_REFERENCE = re.compile(r"\$\{([^{}$\s]{1,200})\}")
_PREFIX = re.compile(r"(?:project|pom)\.")


class Values:
    """What `${…}` stands for in one POM."""

    def __init__(self, stated: Mapping[str, str], properties: Mapping[str, str]) -> None:
        """Take what the POM says of itself, by path as `parent.version`, and its merged properties."""
        self._stated = stated
        self._properties = properties
        self._filled: dict[str, str | None] = {}
        self._open: set[str] = set()

    def fill(self, text: str) -> str:
        """The text with everything filled in that is known."""
        if "${" not in text or len(text) > MAX_LENGTH:
            return text
        return _REFERENCE.sub(self._replace, text)

    def over(self, properties: Mapping[str, str]) -> "Values":
        """The same under further properties, which win."""
        return Values(self._stated, {**self._properties, **properties}) if properties else self

    def _replace(self, match: re.Match[str]) -> str:
        value = self._get(match[1])
        return match[0] if value is None else value

    def _get(self, name: str) -> str | None:
        if name in self._filled:
            return self._filled[name]
        raw = self._look_up(name)
        if raw is None or name in self._open or len(self._open) >= MAX_DEPTH:
            return None
        self._open.add(name)
        value = self.fill(raw)
        self._open.discard(name)
        self._filled[name] = value if len(value) <= MAX_LENGTH else None
        return self._filled[name]

    def _look_up(self, name: str) -> str | None:
        if prefix := _PREFIX.match(name):
            stated = self._stated.get(name[prefix.end() :])
            return self._properties.get(name) if stated is None else stated
        value = self._properties.get(name)
        return self._stated.get(name) if value is None else value


def is_known(text: str | None) -> bool:
    """Whether a text is there and everything in it was filled in, by Maven's ways and those of file templates."""
    return text is not None and "${" not in text and "{{" not in text


def describe_unknown(text: str) -> str:
    """The first name in a text that wasn't filled in, for people."""
    match = _REFERENCE.search(text)
    return match[0] if match else "${…}"
