"""Where the registries are: the user's own npm and pip configuration, else packageurl-python's tables.

wump names no registry's host itself. A registry that the user configured is taken as a mirror of the public
one, as npm and pip take it; one that needs credentials may show private data and is refused.

Source: npm's `npmrc` documentation and pip's configuration documentation (files, precedence, variables).
"""

import os
import re
import sys
from collections.abc import Callable, Iterator
from configparser import Error as ConfigParserError
from configparser import RawConfigParser
from pathlib import Path
from typing import NamedTuple
from urllib.parse import urlsplit

from packageurl.contrib import purl2url

from wump_core.errors import ConfigurationError
from wump_core.settings import check_base_url

MAX_CONFIGURATION_BYTES = 1_000_000
TABLES = "packageurl-python's tables"
"""Where a base URL was found that neither the operator nor the user's configuration names."""


class BaseUrl(NamedTuple):
    """A registry's base address without a trailing slash, and where it was found."""

    url: str
    origin: str


def find_base_url(ecosystem: str, *, setting: str) -> BaseUrl | None:
    """The registry of an ecosystem, or null where neither configuration nor tables know one.

    Args:
        setting: Name of the variable that an operator can set instead, for the error.

    Raises:
        ConfigurationError: The user's configuration names a registry that wump can't ask.
    """
    if ecosystem not in _FINDERS:
        return None
    configured, fallback = _FINDERS[ecosystem]
    for value, origin in configured():
        try:
            return BaseUrl(check_base_url(value), origin)
        except ValueError as error:
            raise ConfigurationError(
                f"the registry in {origin} {error}; set {setting} to one that wump may ask"
            ) from None
    return fallback()


def _npm_configuration() -> Iterator[tuple[str, str]]:
    for name, value in os.environ.items():
        if name.lower() == "npm_config_registry" and value:
            yield value, f"the variable {name}"
    for path in (
        Path(os.environ.get("NPM_CONFIG_USERCONFIG") or Path.home() / ".npmrc"),
        Path(os.environ.get("NPM_CONFIG_GLOBALCONFIG") or "/usr/local/etc/npmrc"),
        Path("/usr/etc/npmrc"),
    ):
        for line in _read(path).splitlines():
            key, equals, value = line.partition("=")
            if equals and key.strip() == "registry" and value.strip():
                yield _expand_variables(value.strip().strip("\"'")), str(path)


def _expand_variables(value: str) -> str:
    """npm replaces `${NAME}` by the variable and leaves unknown ones as they are."""
    return re.sub(r"\$\{(\w+)\}", lambda match: os.environ.get(match[1], match[0]), value)


def _npm_default() -> BaseUrl | None:
    return _origin_of(purl2url.get_download_url("pkg:npm/x@1"))


def _pip_configuration() -> Iterator[tuple[str, str]]:
    if value := os.environ.get("PIP_INDEX_URL"):
        yield _without_simple(value), "the variable PIP_INDEX_URL"
    home = Path.home()
    config_home = Path(os.environ.get("XDG_CONFIG_HOME") or home / ".config")
    config_dirs = (os.environ.get("XDG_CONFIG_DIRS") or "/etc/xdg").split(":")
    paths = [Path(os.environ["PIP_CONFIG_FILE"])] if os.environ.get("PIP_CONFIG_FILE") else []
    paths += [Path(sys.prefix) / "pip.conf", config_home / "pip" / "pip.conf"]
    paths += [
        home / "Library/Application Support/pip/pip.conf",
        home / ".pip" / "pip.conf",
        Path("/etc/pip.conf"),
    ]
    paths += [Path(directory) / "pip" / "pip.conf" for directory in config_dirs if directory]
    for path in paths:
        parser = RawConfigParser(strict=False)
        try:
            parser.read_string(_read(path))
        except ConfigParserError:
            continue  # pip itself will have told the user
        for section in ("install", "global"):
            if value := parser.get(section, "index-url", fallback=""):
                yield _without_simple(value), str(path)


def _without_simple(index_url: str) -> str:
    """A pip index address ends in `/simple`; the JSON API stands beside it."""
    return index_url.rstrip("/").removesuffix("/simple")


def _pypi_default() -> BaseUrl | None:
    return _origin_of(purl2url.get_repo_url("pkg:pypi/x"))


def _maven_configuration() -> Iterator[tuple[str, str]]:
    """Nothing: the mirrors of a Maven configuration hold for some repositories each, often private ones."""
    yield from ()


def _maven_default() -> BaseUrl | None:
    url = purl2url.get_download_url("pkg:maven/group/artifact@1") or ""
    base, found, _ = url.partition("/group/artifact/1/")
    return BaseUrl(base, TABLES) if found else None


def _cargo_configuration() -> Iterator[tuple[str, str]]:
    """Nothing: what replaces crates.io in a Cargo configuration is an index, which has no API beside it."""
    yield from ()


def _cargo_default() -> BaseUrl | None:
    return _origin_of(purl2url.get_repo_url("pkg:cargo/x"))


def _origin_of(url: str | None) -> BaseUrl | None:
    if not url:
        return None
    parts = urlsplit(url)
    return BaseUrl(f"{parts.scheme}://{parts.netloc}", TABLES)


def _read(path: Path) -> str:
    try:
        with path.open("rb") as file:
            return file.read(MAX_CONFIGURATION_BYTES).decode("utf-8", "replace")
    except OSError:
        return ""


_Finder = tuple[Callable[[], Iterator[tuple[str, str]]], Callable[[], BaseUrl | None]]
_FINDERS: dict[str, _Finder] = {
    "npm": (_npm_configuration, _npm_default),
    "pypi": (_pip_configuration, _pypi_default),
    "maven": (_maven_configuration, _maven_default),
    "cargo": (_cargo_configuration, _cargo_default),
}
