"""Repositories: which one a package names as its own.

Source: npm's `package.json` documentation, sections `repository`, `bugs` and `homepage`. Any package may name
any repository; the registry checks the claim only of versions that were published with provenance.
"""

from collections.abc import Mapping
from typing import Any

from pydantic import ValidationError
from wump_core import RepositoryClaim, is_code_host, parse_repository_url

from wump_provider_npm.diagnostics import Diagnostics


def parse_repository(manifest: Mapping[str, Any], diagnostics: Diagnostics, *, checked: bool) -> RepositoryClaim | None:
    """Read `repository`, else an address in `bugs` or `homepage` that lies on a known code host.

    Args:
        manifest: A version's manifest.
        diagnostics: Where a `repository` goes that can't be read.
        checked: Whether the registry verified this manifest's `repository`.
    """
    declared = manifest.get("repository")
    for item in declared if isinstance(declared, list) else [declared]:
        if claim := _parse_declared(item, diagnostics, checked=checked):
            return claim
    if not _is_blank(declared):
        diagnostics.add("repository", "names no repository")
    bugs = manifest.get("bugs")
    for address in (bugs.get("url") if isinstance(bugs, dict) else bugs, manifest.get("homepage")):
        if claim := _parse_fallback(address):
            return claim
    return None


def _parse_declared(item: object, diagnostics: Diagnostics, *, checked: bool) -> RepositoryClaim | None:
    address = item.get("url") if isinstance(item, dict) else item
    directory = item.get("directory") if isinstance(item, dict) else None
    if directory is not None and not isinstance(directory, str):
        diagnostics.add("repository.directory", "must be a text")
        directory = None
    found = parse_repository_url(address, shorthands=True) if isinstance(address, str) else None
    if found is None:
        return None
    for inside in (*filter(None, (directory, found.directory)), None):
        try:
            return RepositoryClaim(
                host=found.host, path=found.path, owner=found.owner, directory=inside, verified=checked
            )
        except ValidationError as error:
            mistake = error.errors(include_url=False, include_input=False)[0]
            if mistake["loc"] == ("directory",):
                diagnostics.add("repository.directory", mistake["msg"])
    return None


def _parse_fallback(address: object) -> RepositoryClaim | None:
    found = parse_repository_url(address) if isinstance(address, str) else None
    if found is None or not is_code_host(found.host):
        return None
    for inside in (found.directory, None):
        try:
            return RepositoryClaim(host=found.host, path=found.path, owner=found.owner, directory=inside)
        except ValidationError:
            continue
    return None


def _is_blank(declared: object) -> bool:
    """Whether the field is there and says nothing, as templates leave it."""
    if isinstance(declared, list):
        return all(_is_blank(item) for item in declared)
    if isinstance(declared, dict):
        return not declared.get("url")
    return declared is None or (isinstance(declared, str) and not declared.strip())
