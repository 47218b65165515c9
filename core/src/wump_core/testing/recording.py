"""Recording: asking the upstream once, and keeping its answers without what must not be kept.

Taken out are secrets (the values of all secret settings, and what looks like a token), mail addresses, cookies and
all headers but a few, and the hosts of package registries, which become `registry.example`.
"""

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from importlib.metadata import version
from typing import Any, get_args
from urllib.parse import urlsplit
from urllib.request import getproxies, proxy_bypass

import httpx
from packageurl.contrib import purl2url
from pydantic import SecretStr

from wump_core.errors import InvalidResponse
from wump_core.settings import ProviderSettings
from wump_core.testing.replay import Exchange, list_origins, origin_of

REGISTRY = "registry.example"
MAIL = "someone@mail.example"
REDACTED = "REDACTED"

KEPT_HEADERS = re.compile(
    r"content-type|etag|last-modified|cache-control|link|location|retry-after|date"
    r"|(?:x-)?ratelimit-[a-z-]+|x-(?:next-|prev-|per-)?page|x-total(?:-pages)?|x-pypi-last-serial"
)
_MAIL = re.compile(r"(?<![\w.+:/@-])(?!git@)[\w.+-]{1,64}@(?:[\w-]{1,63}\.)+[a-z]{2,24}(?![\w@])", re.IGNORECASE)
_HARMLESS_MAIL = re.compile(r"@(?:[\w.-]*\.)?(?:example|invalid|test|localhost)$|^git@", re.IGNORECASE)
_SECRETS = re.compile(
    r"\b(?:gh[pousr]_\w{20,255}|github_pat_\w{20,255}|glpat-[\w.-]{16,255}|npm_\w{30,64}|pypi-\w{20,512}|xox[a-z]-[\w-]{10,})"
    r"|(?<=Bearer )[\w.~+/=-]{8,}|(?<=token )[\w.~+/=-]{20,}"
    r"|(?<=[?&])(?:private_token|access_token|api_key|apikey|token|secret|password)=[^&\s\"']+"
    r"|(?<=://)[^\s/@:\"']+:[^\s/@\"']+(?=@)"
)


def list_registry_hosts() -> frozenset[str]:
    """The hosts of the public registries, from packageurl-python's tables."""
    urls = (
        purl2url.get_download_url("pkg:npm/x@1"),
        purl2url.get_repo_url("pkg:npm/x"),
        purl2url.get_repo_url("pkg:pypi/x"),
    )
    hosts = {(urlsplit(url or "").hostname or "").removeprefix("www.") for url in urls}
    return frozenset(hosts - {""})


def list_secrets(settings: ProviderSettings) -> dict[str, tuple[str, ...]]:
    """The values of all secret settings, by the name of the setting."""
    found = {name: tuple(_secrets_in(getattr(settings, name))) for name in type(settings).model_fields}
    return {name: values for name, values in found.items() if values}


def _secrets_in(value: Any) -> Iterator[str]:
    if isinstance(value, SecretStr):
        yield value.get_secret_value()
    elif isinstance(value, Mapping):
        yield from (secret for item in value.values() for secret in _secrets_in(item))
    elif isinstance(value, Iterable) and not isinstance(value, str | bytes):
        yield from (secret for item in value for secret in _secrets_in(item))


def holds_secrets(annotation: Any) -> bool:
    """Whether a field's type is SecretStr, or holds it."""
    return annotation is SecretStr or any(holds_secrets(part) for part in get_args(annotation))


class Scrubber:
    """Takes out of a text what a recording must not hold."""

    def __init__(self, asked: ProviderSettings, replayed: ProviderSettings) -> None:
        """Every address that `asked` and `replayed` have under one name becomes that of `replayed`."""
        self._addresses = [
            (str(getattr(asked, name)), str(getattr(replayed, name)))
            for name in type(asked).model_fields
            if name.endswith("_url") and getattr(asked, name) and getattr(replayed, name)
        ]
        self._secrets = [secret for values in list_secrets(asked).values() for secret in values if secret]
        # Below a registry stand its other hosts, such as that of its files.
        hosts = "|".join(re.escape(host) for host in sorted(list_registry_hosts()))
        self._registries = re.compile(rf"(?<![\w-])(?:[\w-]{{1,63}}\.){{0,5}}(?:{hosts})(?![\w-])", re.IGNORECASE)

    def scrub(self, text: str) -> str:
        """The text without secrets, mail addresses and registries' hosts."""
        for secret in self._secrets:
            text = text.replace(secret, REDACTED)
        for asked, replayed in sorted(self._addresses, key=lambda pair: -len(pair[0])):
            text = text.replace(asked, replayed)
        text = _SECRETS.sub(REDACTED, text)
        return self._registries.sub(REGISTRY, _MAIL.sub(MAIL, text))

    def scrub_exchange(self, exchange: Exchange) -> Exchange:
        """The exchange as it may be kept. What is no text is kept as it is."""
        return replace(
            exchange,
            url=self.scrub(exchange.url),
            sent=self._scrub_body(exchange.sent),
            headers=tuple(
                (name.lower(), self.scrub(value))
                for name, value in exchange.headers
                if KEPT_HEADERS.fullmatch(name.lower())
            ),
            body=self._scrub_body(exchange.body),
        )

    def _scrub_body(self, body: bytes) -> bytes:
        try:
            return self.scrub(body.decode()).encode()
        except UnicodeDecodeError:
            return body


def list_leaks(text: str) -> list[str]:
    """What a recording or a record must not hold, each named without its value."""
    leaks = []
    if _SECRETS.search(text.replace(REDACTED, "")):
        leaks.append("something that looks like a token or password")
    if any(not _HARMLESS_MAIL.search(found[0]) for found in _MAIL.finditer(text)):
        leaks.append("a mail address")
    lower = text.lower()
    if any(re.search(rf"(?<![\w-]){re.escape(host)}(?![\w-])", lower) for host in list_registry_hosts()):
        leaks.append("the host of a package registry: write registry.example")
    return leaks


class RecordingTransport(httpx.AsyncBaseTransport):
    """Asks the real upstream, through the proxy that the environment names, and keeps what was asked and answered."""

    def __init__(self, settings: ProviderSettings, placement: str) -> None:
        """Record for a provider, with its first token, if it has one, where `ProviderInfo.credential` says."""
        base_url = httpx.URL(settings.base_url or "")
        proxy = None if proxy_bypass(base_url.host) else getproxies().get(base_url.scheme)
        self._inner = httpx.AsyncHTTPTransport(proxy=proxy)
        self._allowed = list_origins(settings)
        self._placement = placement
        self._token = next(iter(list_secrets(settings).get("token", ())), None)
        self.exchanges: list[Exchange] = []

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Ask, and keep the whole answer, decompressed.

        Raises:
            InvalidResponse: The host is none that the settings name.
        """
        if origin_of(request.url) not in self._allowed:
            raise InvalidResponse(f"{request.url.host} is none of the hosts that the settings name")
        await request.aread()
        url = str(request.url)
        request.headers["User-Agent"] = f"wump-core/{version('wump-core')} (recording for a test)"
        if self._token is not None:
            _place(request, self._placement, self._token)
        response = await self._inner.handle_async_request(request)
        response.request = request
        body = await response.aread()
        await response.aclose()
        headers = tuple(
            (name, value)
            for name, value in response.headers.multi_items()
            if name.lower() not in ("content-encoding", "content-length", "transfer-encoding")
        )
        exchange = Exchange(request.method, url, request.content, response.status_code, headers, body)
        self.exchanges.append(exchange)
        return exchange.respond()

    async def aclose(self) -> None:
        """Close the wrapped transport."""
        await self._inner.aclose()


def _place(request: httpx.Request, placement: str, token: str) -> None:
    kind, _, name = placement.partition(":")
    if kind == "query":
        request.url = request.url.copy_merge_params({name: token})
    elif kind == "header":
        request.headers[name] = token
    else:
        request.headers["Authorization"] = f"Bearer {token}"
