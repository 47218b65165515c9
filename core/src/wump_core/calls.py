"""Calls by name: a hook's arguments from what people write, for the command line and the conformance kit.

`wump providers call npm fetch_package npm:express` and a kit's `Case("fetch_package", purl="npm:express")` become
the same typed call.
"""

import inspect
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Any, get_args, get_origin, get_type_hints

from pydantic import TypeAdapter, ValidationError

from wump_core.errors import ConfigurationError
from wump_core.hookspecs import CAPABILITIES, Context, DataProvider
from wump_core.providers import Provider
from wump_core.purl import Purl, parse_purl
from wump_core.records import ManifestRecord, RepositoryQuery

PAGED_HOOKS = frozenset(
    name for name in CAPABILITIES if "cursor" in inspect.signature(vars(DataProvider)[name]).parameters
)
"""Hooks that return a page and take the cursor of the next one."""

MAX_SIBLING_BYTES = 8 * 1024 * 1024
MAX_SIBLINGS = 1_000


def list_arguments(hook: str) -> tuple[str, ...]:
    """The names of a hook's arguments in their order, without its context.

    Raises:
        ConfigurationError: There is no such hook; the text names those that there are.
    """
    if hook not in CAPABILITIES:
        raise ConfigurationError(f"there is no hook {hook!r}: expected one of {', '.join(CAPABILITIES)}")
    names = inspect.signature(vars(DataProvider)[hook]).parameters
    return tuple(name for name in names if name not in ("self", "context"))


@cache
def describe_result(hook: str) -> TypeAdapter[Any]:
    """What a hook must return, to validate it with: items of a page are checked, too. Of a dump, each record."""
    returned = get_type_hints(vars(DataProvider)[hook], include_extras=True)["return"]
    return TypeAdapter(get_args(returned)[0] if get_origin(returned) is Iterator else returned)


def parse_arguments(hook: str, given: Mapping[str, Any]) -> dict[str, Any]:
    """The arguments of a call, each of its type; a revision or cursor that isn't given is null.

    A purl may be a text in either form; a query for repositories a text, or its fields.

    Raises:
        ConfigurationError: One is missing, unknown or of the wrong type; the text names it.
    """
    names = list_arguments(hook)
    if unknown := sorted(set(given) - set(names)):
        raise ConfigurationError(f"{hook} has no argument {', '.join(unknown)}: expected {', '.join(names) or 'none'}")
    hints = get_type_hints(vars(DataProvider)[hook], include_extras=True)
    return {name: _parse_argument(hints[name], given.get(name), f"{hook}: {name}") for name in names}


def _parse_argument(hint: Any, value: Any, place: str) -> Any:
    if hint is Purl and isinstance(value, str):
        return parse_purl(value)
    if hint is RepositoryQuery and isinstance(value, str):
        value = {"text": value}
    try:
        return TypeAdapter(hint).validate_python(value)
    except ValidationError as error:
        mistake = error.errors(include_url=False, include_input=False)[0]
        inside = ".".join(str(part) for part in mistake["loc"])
        what = "is missing" if value is None else mistake["msg"]
        raise ConfigurationError(f"{place}{'.' + inside if inside else ''}: {what}") from None


async def call_hook(provider: Provider, context: Context, hook: str, arguments: Mapping[str, Any]) -> Any:
    """Call a hook that gets a context, with arguments from `parse_arguments`.

    Raises:
        ProviderError: As the hook's method of `Provider` does.
    """
    return await getattr(provider, hook)(context, **arguments)


def parse_file(provider: Provider, root: Path, path: str) -> ManifestRecord:
    """Read a manifest of a folder as a job would: what it needs beside it is added until nothing new is named.

    Args:
        provider: Who reads.
        root: The tree's root.
        path: The manifest's path from there, with `/`.

    Raises:
        InvalidManifest, ProviderFailed: As `Provider.parse_manifest` does.
        OSError: The manifest itself can't be opened.
    """
    content = (root / path).read_bytes()
    siblings: dict[str, bytes] = {}
    while True:
        record = provider.parse_manifest(path, content, siblings)
        found = _read_siblings(root, record.needs)
        if found.keys() <= siblings.keys():
            return record
        siblings |= found


def _read_siblings(root: Path, needs: tuple[str, ...]) -> dict[str, bytes]:
    inside = root.resolve()
    siblings = {}
    for need in needs:
        for path in sorted(inside.glob(need)):
            allowed = path.is_file() and path.resolve().is_relative_to(inside)
            if allowed and len(siblings) < MAX_SIBLINGS and path.stat().st_size <= MAX_SIBLING_BYTES:
                siblings[path.relative_to(inside).as_posix()] = path.read_bytes()
    return siblings


def dump_result(result: Any, *, defaults: bool = True) -> Any:
    """A hook's result as JSON has it; bytes as text where they are UTF-8, else their length."""
    if isinstance(result, bytes):
        try:
            return result.decode()
        except UnicodeDecodeError:
            return f"{len(result)} bytes"
    # Whoever wants to know whether it is a record validates it; a warning would only be about the same.
    return result.model_dump(mode="json", exclude_defaults=not defaults, warnings=False)
