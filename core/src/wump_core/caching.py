"""Names in Valkey by which the API's cache and whoever changes a package agree on what is outdated."""

PREFIX = "wump:cache:"
"""Of all keys of the cache."""
GENERATION_SECONDS = 7 * 24 * 3600
"""How long a generation stands by itself; longer than any answer is kept."""


def package_subject(purl: str) -> str:
    """`pkg:npm/express` → `package:npm:express`."""
    ecosystem, _, name = purl.removeprefix("pkg:").partition("/")
    return f"package:{ecosystem}:{name}"


def organization_subject(public_id: str) -> str:
    """The subject of an organization of that public id."""
    return f"org:{public_id}"


def generation_key(subject: str) -> str:
    """The key of a subject's generation. Deleting it outdates every answer about the subject."""
    return f"{PREFIX}{subject}:generation"
