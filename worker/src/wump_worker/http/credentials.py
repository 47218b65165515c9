"""Tokens: which one a request goes with, and where on it the token stands.

Two layers. The upper one chooses, and knows what the answers say of each token; the lower one, just above the
network, puts the chosen one on a copy of the request and takes it out of the answer, so that nothing in between
can tell a secret. Only the origin of the base URL gets a token, so a redirect elsewhere carries none.
"""

import hashlib
import math
import re
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

import httpx
import structlog
from pydantic import SecretStr
from wump_core.errors import CredentialsRejected, RateLimited
from wump_core.settings import ProviderSettings

from wump_worker.http.calls import Call, call_of, with_call, with_headers, with_url
from wump_worker.http.guard import Origin, origin_of
from wump_worker.http.limiter import Limiter
from wump_worker.http.shared import SharedState, make_key

REJECTED_SECONDS = 900
"""How long a rejected token is set aside before it is tried again."""
_FULL = 5_000
_NOTE_REJECTED = "redis.call('SET', KEYS[1], '1', 'EX', ARGV[1]) return {'ok'}"
_LIST_REJECTED = """
local found = {}
for at, key in ipairs(KEYS) do if redis.call('EXISTS', key) == 1 then found[#found + 1] = ARGV[at] end end
return found
"""
log = structlog.get_logger("wump.http")


@dataclass(frozen=True, slots=True)
class Token:
    """A secret and the id by which all but the last layer know it."""

    id: str
    secret: SecretStr


def list_tokens(provider: str, settings: ProviderSettings) -> tuple[Token, ...]:
    """The tokens that the operator set; none where the provider's settings have no `token`."""
    value = getattr(settings, "token", None) or ()
    secrets = (value,) if isinstance(value, SecretStr) else tuple(value)
    return tuple(Token(_identify(provider, secret), secret) for secret in secrets if secret.get_secret_value())


def _identify(provider: str, secret: SecretStr) -> str:
    """A name for the secret that does not tell it."""
    text = f"{provider}\0{secret.get_secret_value()}".encode()
    return hashlib.blake2b(text, digest_size=8, person=b"wump-credential").hexdigest()


class RotatingTransport(httpx.AsyncBaseTransport):
    """Chooses a token for each request, sets aside those that are spent or rejected, and tries the next."""

    def __init__(
        self,
        inner: httpx.AsyncBaseTransport,
        provider: str,
        tokens: Sequence[Token],
        origin: Origin,
        limiter: Limiter,
        shared: SharedState,
        *,
        patience_seconds: float,
    ) -> None:
        self._inner = inner
        self._provider = provider
        self._tokens = tokens
        self._origin = origin
        self._limiter = limiter
        self._shared = shared
        self._patience_seconds = patience_seconds
        self._set_aside: dict[str, float] = {}

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Send the request with the token that suits it best.

        Raises:
            CredentialsRejected: The upstream rejects all tokens.
            RateLimited: All tokens that are left are spent; `retry_at` is the earliest of theirs.
        """
        call = call_of(request)
        if not self._tokens or not call.wants_credential or origin_of(request.url) != self._origin:
            return await self._inner.handle_async_request(request)
        usable = self._rank(request, call, await self._list_rejected())
        spent: list[tuple[float, RateLimited, Token]] = []
        for token in usable:
            response, limited = await self._try(request, token, None if len(usable) == 1 else 0.0)
            if response is not None:
                return response
            if limited is not None:
                spent.append((_seconds_until(limited), limited, token))
        if spent:
            seconds, limited, token = min(spent, key=lambda item: item[0])
            if len(usable) > 1 and seconds <= self._patience_seconds:  # nobody has room at once: wait for the first
                response, again = await self._try(request, token, None)
                if response is not None:
                    return response
                raise again or limited
            raise limited
        setting = f"WUMP_PROVIDER_{self._provider.upper().replace('-', '_')}_TOKEN"
        raise CredentialsRejected(f"{self._provider} rejects every token in {setting} ({len(self._tokens)})")

    async def _try(
        self, request: httpx.Request, token: Token, patience: float | None
    ) -> tuple[httpx.Response | None, RateLimited | None]:
        """The answer with this token; neither where the token is rejected."""
        try:
            response = await self._inner.handle_async_request(
                with_call(request, credential=token.id, patience=patience)
            )
        except RateLimited as error:
            return None, error
        if response.status_code != 401:
            return response, None
        log.warning("provider.token_rejected", provider=self._provider, credential=token.id, seconds=REJECTED_SECONDS)
        self._set_aside[token.id] = time.monotonic() + REJECTED_SECONDS
        await self._shared.run(_NOTE_REJECTED, [make_key(self._provider, "rejected", token.id)], [REJECTED_SECONDS])
        return None, None

    async def _list_rejected(self) -> set[str]:
        ids = [token.id for token in self._tokens]
        answer = await self._shared.run(_LIST_REJECTED, [make_key(self._provider, "rejected", id_) for id_ in ids], ids)
        now = time.monotonic()
        return {part.decode() for part in answer or ()} | {id_ for id_ in ids if self._set_aside.get(id_, 0.0) > now}

    def _rank(self, request: httpx.Request, call: Call, rejected: set[str]) -> list[Token]:
        """Usable tokens, best first: the same one for the same address, so that it can revalidate what it got.

        Among many addresses each token gets as much as it has left (weighted rendezvous hashing).
        """
        subject = f"{request.method} {request.url}".encode()

        def weigh(token: Token) -> float:
            left = self._limiter.count_left(token.id, call.resource)
            digest = hashlib.blake2b(subject, digest_size=8, key=token.id.encode()).digest()
            chance = (int.from_bytes(digest) + 1) / (2**64 + 1)
            return (_FULL if left is None else left) / -math.log(chance)

        return sorted((token for token in self._tokens if token.id not in rejected), key=weigh, reverse=True)

    async def aclose(self) -> None:
        """Close the wrapped transport."""
        await self._inner.aclose()


def _seconds_until(error: RateLimited) -> float:
    return (error.retry_at - datetime.now(UTC)).total_seconds() if error.retry_at else math.inf


class SigningTransport(httpx.AsyncBaseTransport):
    """Puts the chosen token on the request, and takes it out of what comes back, which must have been read."""

    def __init__(self, inner: httpx.AsyncBaseTransport, tokens: Sequence[Token], placement: str) -> None:
        self._inner = inner
        self._secrets: Mapping[str, SecretStr] = {token.id: token.secret for token in tokens}
        self._placement = placement

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Send a copy that carries the token; the answer is one that doesn't."""
        credential = call_of(request).credential
        if not credential:
            return await self._inner.handle_async_request(request)
        secret = self._secrets[credential].get_secret_value()
        kind, _, name = self._placement.partition(":")
        if kind == "query":
            signed = with_url(request, request.url.copy_set_param(name, secret))
        elif kind == "header":
            signed = with_headers(request, {name: secret})
        else:
            signed = with_headers(request, {"Authorization": f"Bearer {secret}"})
        response = await self._inner.handle_async_request(signed)
        headers = [(key, _without_secret(value, secret, name)) for key, value in response.headers.multi_items()]
        content = response.content.replace(secret.encode(), b"[redacted]") if len(secret) > 7 else response.content
        return httpx.Response(response.status_code, headers=headers, content=content, extensions=response.extensions)

    async def aclose(self) -> None:
        """Close the wrapped transport."""
        await self._inner.aclose()


def _without_secret(value: str, secret: str, parameter: str) -> str:
    """A header without the token: an upstream repeats the addresses that it was asked at, as in `Link`."""
    if parameter:
        value = re.sub(rf"([?&]){re.escape(parameter)}=[^&>\s\"]*&?", r"\1", value)
    return value.replace(secret, "[redacted]")
