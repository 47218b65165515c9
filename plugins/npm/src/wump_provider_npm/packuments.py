"""Packuments: the registry's document about one package, opened no further than needed.

A packument may have 50 MB and tens of thousands of versions, of which one is read. So the document is split
into raw pieces of JSON, and only the pieces that are asked for are decoded.

Source: npm/registry `docs/responses/package-metadata.md`.
"""

import re
from typing import Any

import msgspec
from wump_core import InvalidResponse

_RAW_OBJECT = msgspec.json.Decoder(dict[str, msgspec.Raw])
_ESCAPE = re.compile(
    rb"\\(?:u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2}|(u[dD][89a-fA-F][0-9a-fA-F]{2})|.)",
    re.DOTALL,
)


class Packument:
    """A packument whose fields and versions are decoded on demand."""

    def __init__(self, content: bytes) -> None:
        """Split the document.

        Raises:
            InvalidResponse: It is no JSON object in UTF-8, or it is nested too deeply.
        """
        self._fields = _split(content, "the document")
        versions = self._fields.get("versions")
        if versions is None or memoryview(versions) == b"null":  # compared in place: it may have 50 MB
            self._versions: dict[str, msgspec.Raw] = {}
        else:
            self._versions = _split(versions, "`versions`")

    def __contains__(self, field: str) -> bool:
        return field in self._fields

    @property
    def versions(self) -> tuple[str, ...]:
        """The versions that are published, in the document's order."""
        return tuple(self._versions)

    def get(self, field: str) -> Any:
        """The value of a field of the document; null if it is absent."""
        return _decode(self._fields[field], f"`{field}`") if field in self._fields else None

    def get_manifest(self, version: str) -> dict[str, Any]:
        """The manifest of one of the versions.

        Raises:
            InvalidResponse: It is no object.
        """
        manifest = _decode(self._versions[version], "the manifest of the latest version")
        if not isinstance(manifest, dict):
            raise InvalidResponse("the manifest of the latest version must be an object")
        return manifest


def _split(content: bytes | msgspec.Raw, what: str) -> dict[str, msgspec.Raw]:
    try:
        try:
            return _RAW_OBJECT.decode(content)
        except msgspec.ValidationError:
            raise
        except msgspec.DecodeError:
            # A README that was cut between the halves of a surrogate pair must not hide the package.
            return _RAW_OBJECT.decode(_spoil_lone_surrogates(bytes(content)))
    except msgspec.ValidationError:
        raise InvalidResponse(f"{what} must be a JSON object") from None
    except (ValueError, RecursionError) as error:
        raise InvalidResponse(f"{what} can't be read as JSON: {_describe(error)}") from None


def _decode(raw: msgspec.Raw, what: str) -> Any:
    try:
        return msgspec.json.decode(raw)
    except (ValueError, RecursionError) as error:
        raise InvalidResponse(f"{what} can't be read as JSON: {_describe(error)}") from None


def _describe(error: Exception) -> str:
    """The reason without the content, which `UnicodeDecodeError` would quote."""
    if isinstance(error, RecursionError):
        return "it is nested too deeply"
    return "it is not UTF-8" if isinstance(error, UnicodeDecodeError) else str(error)[:200]


def _spoil_lone_surrogates(content: bytes) -> bytes:
    """Replace escapes of lone surrogates by those of NUL.

    The decoder refuses the whole document for one of them. NUL can't be stored either, so that a field that
    holds one is still dropped with a diagnostic, and no text is silently changed.
    """
    return _ESCAPE.sub(lambda match: rb"\u0000" if match[1] else match[0], content)
