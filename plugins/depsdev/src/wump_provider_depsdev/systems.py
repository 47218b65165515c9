"""deps.dev's words for ecosystems, and the addresses of what it knows.

Source: the documentation of the deps.dev API. Every part of a path is percent-encoded, its slashes too.
"""

from urllib.parse import quote

from wump_core import Context, NotFound, Purl

SYSTEMS = {"npm": "npm", "pypi": "pypi", "maven": "maven", "cargo": "cargo"}
"""Its name of a system by purl type."""


def make_package_address(context: Context, purl: Purl, part: str = "v3") -> str:
    """The address of a package, in the stable or the experimental part."""
    name = purl.name.replace("/", ":") if purl.ecosystem == "maven" else purl.name
    return f"{context.settings.base_url}/{part}/systems/{SYSTEMS[purl.ecosystem]}/packages/{quote_segment(name)}"


def quote_segment(text: str) -> str:
    """One segment of an address.

    Raises:
        NotFound: It is empty or a dot segment, and would lead elsewhere.
    """
    if text in ("", ".", ".."):
        raise NotFound(f"nothing has the name {text!r}")
    return quote(text, safe="")
