"""Files: small ones come inside JSON, large ones as they are.

Source: GitHub's REST API documentation, "Repository contents" and "Git blobs".
"""

import base64
import binascii
from collections.abc import Mapping
from typing import Any
from urllib.parse import quote

from wump_core import Context, InvalidResponse, NotFound, read_mapping

from wump_provider_github.upstream import check_status, fetch, fetch_object, find_path, read_json

_RAW = "application/vnd.github.raw+json"


async def fetch_file(context: Context, url: str, revision: str, path: str) -> bytes:
    """Fetch one file's bytes.

    Raises:
        NotFound: There is no such file, or it is a folder, a link or a submodule.
    """
    if not path or any(part in ("", ".", "..") for part in path.split("/")):
        raise NotFound("no path of a file: expected one from the repository's root, such as docs/index.md")
    repository = find_path(context, url)
    place = f"/repos/{repository}/contents/{quote(path)}"
    response = await fetch(context, place, params={"ref": revision})
    check_status(response)
    payload = check_file(read_json(response))
    if payload.get("encoding") != "none" and (payload.get("content") or payload.get("size") == 0):
        return decode_content(payload)
    return await _fetch_large(context, repository, place, revision, payload)


async def _fetch_large(
    context: Context, repository: str, place: str, revision: str, payload: Mapping[str, Any]
) -> bytes:
    """Above 1 MB the JSON has no content: the file itself, else its blob, both up to 100 MB."""
    response = await fetch(context, place, params={"ref": revision}, accept=_RAW)
    if response.status_code == 200 and "raw" in response.headers.get("content-type", ""):
        return response.content
    blob = quote(str(payload.get("sha")), safe="")
    return decode_content(await fetch_object(context, f"/repos/{repository}/git/blobs/{blob}"))


def check_file(payload: Any) -> dict[str, Any]:
    """The object of a file.

    Raises:
        NotFound: It is that of something else.
        InvalidResponse: It is no object.
    """
    if isinstance(payload, list) and all("name" in read_mapping(item) for item in payload):
        raise NotFound("a folder, not a file")
    if not isinstance(payload, dict):
        raise InvalidResponse("answered with something that is no file")
    if payload.get("submodule_git_url") or payload.get("type") == "submodule":
        raise NotFound("a submodule, not a file")
    if payload.get("type") != "file":
        raise NotFound(f"a {str(payload.get('type'))[:40]}, not a file")
    return payload


def decode_content(payload: Mapping[str, Any]) -> bytes:
    """The bytes of a file's or blob's object; Base64 with line ends.

    Raises:
        InvalidResponse: It has no content that can be decoded.
    """
    content, encoding = payload.get("content"), payload.get("encoding", "base64")
    if not isinstance(content, str):
        raise InvalidResponse("the file has no content")
    if encoding == "utf-8":
        return content.encode()
    try:
        return base64.b64decode("".join(content.split()), validate=True)
    except (binascii.Error, ValueError):
        raise InvalidResponse(f"the file's content can't be decoded from {str(encoding)[:40]}") from None
