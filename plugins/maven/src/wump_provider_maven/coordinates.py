"""Names of packages: `group:artifact`, as Maven, Gradle, Ivy and sbt write them."""

from wump_core import InvalidPurl, make_purl_text

MAX_NAME = 214
"""Characters of a name, as many as a record holds."""


def make_name(group: str, artifact: str) -> str:
    """The name as people write it, cut to what a record holds."""
    return f"{group}:{artifact}"[:MAX_NAME]


def find_purl(group: str, artifact: str) -> str | None:
    """The canonical purl; null where these can't be ids, as those with an unknown `${…}` in them."""
    try:
        return make_purl_text("maven", f"{group}/{artifact}")
    except InvalidPurl:
        return None
