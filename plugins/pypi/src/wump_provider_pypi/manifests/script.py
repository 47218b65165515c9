"""Inline script metadata: requirements in the comments of a Python file.

Source: the inline script metadata specification (PEP 723). The block is TOML behind `# `.
"""

from collections.abc import Mapping

from wump_core import InvalidManifest, ManifestRecord, decode_text

from wump_provider_pypi.manifests.document import Document
from wump_provider_pypi.manifests.tools import add_tools, uv_sources

FORMAT = "script metadata"
MARKER = b"# /// script"


def parse_script(path: str, content: bytes, siblings: Mapping[str, bytes]) -> ManifestRecord:
    """Read the metadata of one script.

    Raises:
        InvalidManifest: It is no UTF-8, holds no block or several, or the block is no TOML.
    """
    document = Document(_extract(decode_text(content)).encode())
    document.sources = uv_sources(document)
    document.add_requirements("dependencies")
    add_tools(document)
    return document.findings.finish(path, FORMAT)


def _extract(text: str) -> str:
    """The block, with an empty line for each line before it, so that lines stay where they are.

    A block ends at the last `# ///` of its comments; one without an end is none.
    """
    lines = [line.rstrip("\r") for line in text.split("\n")]
    found, at = "", 0
    while at < len(lines):
        if lines[at] != MARKER.decode():
            at += 1
            continue
        comments = _comments_after(lines, at)
        end = next((number for number in reversed(comments) if lines[number] == "# ///"), None)
        if end is not None:
            if found:
                raise InvalidManifest("it holds more than one block `# /// script`")
            block = (line.removeprefix("#").removeprefix(" ") for line in lines[at + 1 : end])
            found = "\n" * (at + 1) + "\n".join(block)
        at = comments.stop
    if not found:
        raise InvalidManifest("it holds no block `# /// script` that ends with `# ///`")
    return found


def _comments_after(lines: list[str], start: int) -> range:
    end = start + 1
    while end < len(lines) and (lines[end] == "#" or lines[end].startswith("# ")):
        end += 1
    return range(start + 1, end)
