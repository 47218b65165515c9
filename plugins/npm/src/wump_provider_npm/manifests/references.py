"""References: what lockfiles write to say where a package comes from, and which version it is.

Source: the lockfiles themselves; npm/npm-package-arg and npm/hosted-git-info for the kinds of addresses.
"""

import re
from urllib.parse import urlsplit

from wump_core import DependencySource, is_code_host

from wump_provider_npm.specs import UnreadableSpec, parse_spec

_GIT = re.compile(r"git[+:@]|ssh:|(?:github|gitlab|bitbucket|gist):|[^/]*@[^/]*:", re.IGNORECASE)
_PATH = re.compile(r"file:|\.{0,2}/|[A-Za-z]:\\", re.IGNORECASE)
_LINK = re.compile(r"(?:link|portal):", re.IGNORECASE)
_DOWNLOAD_HOSTS = frozenset({"codeload.github.com"})
_GIT_ENDINGS = (".git",)


def find_source(reference: str, name: str = "", version: str | None = None) -> DependencySource:
    """Where an address in a lockfile leads. Without one, and with a registry's, it is a registry."""
    if not reference:
        return "registry"
    if reference.startswith("http"):
        if "/-/" in reference and "/-/archive/" not in reference:
            return "registry"
        return _find_source_of_web_address(reference, name, version)
    if reference.startswith("workspace:"):
        return "workspace"
    if _LINK.match(reference):
        return "link"
    if _PATH.match(reference):
        return "path"
    return "git" if _GIT.match(reference) else "registry"


def _find_source_of_web_address(address: str, name: str, version: str | None) -> DependencySource:
    try:
        parts = urlsplit(address)
        host, path = parts.hostname or "", parts.path
    except ValueError:
        return "url"
    if host in _DOWNLOAD_HOSTS or path.endswith(_GIT_ENDINGS) or "commit=" in parts.fragment:
        return "git"
    if is_code_host(host):
        return "url"
    # Mirrors lay their files out in ways of their own, but name them as the registry does.
    is_named_alike = bool(version) and f"{name.rpartition('/')[2]}-{version}" in address
    # An address that ends with a slash names no file: some mirrors tell only their own.
    is_registry = "/download/" in path or is_named_alike or (bool(version) and path.endswith("/"))
    return "registry" if is_registry else "url"


def split_descriptor(text: str) -> tuple[str, str]:
    """`name@rest` in two, where the name may be scoped. The rest is empty where there is none."""
    at = text.find("@", 1)
    return (text, "") if at < 0 else (text[:at], text[at + 1 :])


def find_requirement(key: str, written: str) -> tuple[str, DependencySource]:
    """A declared range without the alias in front of it, and where it asks for the package."""
    try:
        spec = parse_spec(key, written)
    except UnreadableSpec:
        return written, "registry"
    return spec.requirement, spec.source


def find_tarball_version(address: str, name: str) -> str | None:
    """The version in the name of a registry's tarball, `name-version.tgz`."""
    file_name = address.rpartition("/")[2].partition("?")[0].partition("#")[0]
    prefix = f"{name.rpartition('/')[2]}-"
    is_named_alike = file_name.startswith(prefix) and file_name.endswith(".tgz")
    return file_name[len(prefix) : -len(".tgz")] if is_named_alike else None


def find_commit(reference: str) -> str | None:
    """What stands behind the `#` of a git address: mostly the commit."""
    return reference.partition("#")[2].removeprefix("commit=").partition("&")[0][:255] or None
