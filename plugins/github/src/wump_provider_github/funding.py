"""Funding: FUNDING.yml of a repository, and the same links as GitHub's own API tells them.

Source: GitHub's documentation, "Displaying a sponsor button in your repository".
"""

import json
import re
from collections.abc import Callable, Iterator
from collections.abc import Mapping as MappingOf
from typing import Any
from urllib.parse import quote

from wump_core import (
    Diagnostic,
    FundingLink,
    InvalidManifest,
    ManifestRecord,
    decode_text,
    make_manifest,
    read_address,
    read_items,
    read_mapping,
    read_text,
)

from wump_provider_github.documents import Mapping, Node, Scalar, Sequence, load_document

Files = MappingOf[str, bytes]
MAX_BYTES = 100_000
MAX_LINKS = 100
_MAX_DIAGNOSTICS = 100
_NAME = re.compile(r"[\w.@~+-]+(?:/[\w.@~+-]+)*", re.ASCII)

PLATFORMS: dict[str, str] = {
    "github": "https://github.com/sponsors/{}",
    "patreon": "https://www.patreon.com/{}",
    "open_collective": "https://opencollective.com/{}",
    "ko_fi": "https://ko-fi.com/{}",
    "tidelift": "https://tidelift.com/funding/github/{}",
    "community_bridge": "https://funding.communitybridge.org/projects/{}",
    "liberapay": "https://liberapay.com/{}",
    "issuehunt": "https://issuehunt.io/r/{}",
    "lfx_crowdfunding": "https://crowdfunding.lfx.linuxfoundation.org/projects/{}",
    "polar": "https://polar.sh/{}",
    "buy_me_a_coffee": "https://buymeacoffee.com/{}",
    "thanks_dev": "https://thanks.dev/{}",
    "otechie": "https://otechie.com/{}",
}
"""The key of a platform, and the page of a name there."""


def parse_funding_file(content: bytes) -> tuple[tuple[FundingLink, ...], tuple[Diagnostic, ...]]:
    """Read a FUNDING.yml: its links, each once and in order, and what of it could not be read.

    A key may hold null, as in GitHub's template, one name or several; `custom` holds addresses. `type` of a link is
    its key. Never raises: a file that is no YAML has no links and one diagnostic.
    """
    try:
        root = _load(content)
    except InvalidManifest as error:
        return (), (Diagnostic(message=str(error)[:2_000]),)
    links: dict[str, FundingLink] = {}
    diagnostics: list[Diagnostic] = []
    for key, value in root.items.items():
        make = _custom_link if key == "custom" else _platform_link(key)
        for item in _list_values(value):
            problem = "unknown platform" if make is None else None
            link = make(item.text.strip()) if make and isinstance(item, Scalar) else None
            if link is not None:
                links.setdefault(link.url, link)
            else:
                problem = problem or ("not an address" if key == "custom" else "not a name on that platform")
                diagnostics.append(Diagnostic(field=read_text(key, 255), message=problem, line=item.line))
    if len(links) > MAX_LINKS:
        diagnostics.insert(0, Diagnostic(message=f"only the first {MAX_LINKS} links were kept"))
    return tuple(links.values())[:MAX_LINKS], tuple(diagnostics[:_MAX_DIAGNOSTICS])


def parse_funding_manifest(path: str, content: bytes, siblings: Files) -> ManifestRecord:
    """Read a FUNDING.yml as a file of its repository.

    Raises:
        InvalidManifest: It is no mapping in YAML.
    """
    del siblings
    _load(content)
    links, diagnostics = parse_funding_file(content)
    return make_manifest(
        path, format="FUNDING.yml", ecosystem="github", kind="manifest", funding=links, diagnostics=diagnostics
    )


def parse_funding_json(path: str, content: bytes, siblings: Files) -> ManifestRecord:
    """Read a funding.json: the channels with a web address. Bank accounts and the like are no links.

    Source: "funding.json, the FLOSS/fund manifest", version 1.

    Raises:
        InvalidManifest: It is no JSON object, or has no `funding` object.
    """
    del siblings
    try:
        root = json.loads(decode_text(content))
    except (ValueError, RecursionError):
        raise InvalidManifest("must be JSON") from None
    stated = read_mapping(root).get("funding")
    if not isinstance(stated, dict):
        raise InvalidManifest("must be an object with an object `funding`: this is no funding.json of FLOSS/fund")
    links: dict[str, FundingLink] = {}
    diagnostics: list[Diagnostic] = []
    for position, raw in enumerate(read_items(stated.get("channels"))):
        channel = read_mapping(raw)
        address = channel.get("address")
        url = (
            read_address(address) if isinstance(address, str) and address.startswith(("http://", "https://")) else None
        )
        kind = read_text(channel.get("type"), 255)
        if url is not None:
            links.setdefault(url, FundingLink(url=url, type=kind))
        elif not isinstance(raw, dict):
            diagnostics.append(Diagnostic(field=f"funding.channels.{position}", message="not an object"))
    return make_manifest(
        path,
        format="funding.json",
        ecosystem="github",
        kind="manifest",
        funding=links.values(),
        diagnostics=diagnostics[:_MAX_DIAGNOSTICS],
    )


def _load(content: bytes) -> Mapping:
    if len(content) > MAX_BYTES:
        raise InvalidManifest(f"larger than {MAX_BYTES:,} bytes, the most that is read of a FUNDING.yml")
    root = load_document(decode_text(content))
    if root is None or (isinstance(root, Scalar) and root.is_null):
        return Mapping(1)
    if not isinstance(root, Mapping):
        raise InvalidManifest("must be a mapping of platforms to names")
    return root


def _list_values(value: Node) -> Iterator[Node]:
    """The values of a key that aren't null; an empty text is as good as null."""
    for item in value.items if isinstance(value, Sequence) else [value]:
        if not (isinstance(item, Scalar) and (item.is_null or not item.text.strip())):
            yield item


def _platform_link(key: str) -> Callable[[str], FundingLink | None] | None:
    page = PLATFORMS.get(key)
    return None if page is None else lambda text: _make_link(key, page, text)


def _make_link(key: str, page: str, text: str) -> FundingLink | None:
    """The page of a name; some write the whole address instead."""
    if text.startswith(("http://", "https://")):
        return _link(read_address(text), key)
    name = text.removeprefix("@")
    if not _NAME.fullmatch(name) or len(name) > 200:
        return None
    return _link(page.format(quote(name, safe="/@~+")), key)


def _custom_link(text: str) -> FundingLink | None:
    return _link(read_address(text) if "." in text and " " not in text else None, "custom")


def _link(url: str | None, kind: str) -> FundingLink | None:
    return None if url is None else FundingLink(url=url, type=kind)


def parse_funding_links(raw_links: Any) -> tuple[FundingLink, ...]:
    """Read GraphQL's `fundingLinks`: the platform in small letters is the type, which is the key of the file too."""
    links: dict[str, FundingLink] = {}
    for raw in read_items(raw_links):
        url, platform = read_address(read_mapping(raw).get("url")), read_text(read_mapping(raw).get("platform"), 255)
        if url is not None:
            links.setdefault(url, FundingLink(url=url, type=platform and platform.lower()))
    return tuple(links.values())[:MAX_LINKS]
