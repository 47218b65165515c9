"""What all workers know together, in Valkey: budgets, open breakers, rejected credentials.

Valkey is disposable. While it is away every script answers null at once, and its caller goes by local rules.
"""

import time
from collections.abc import Sequence
from typing import Any

import structlog
from pydantic import SecretStr
from valkey.asyncio import BlockingConnectionPool, Valkey
from valkey.commands.core import AsyncScript
from valkey.exceptions import ValkeyError

_FIRST_AWAY_SECONDS = 2.0
_LONGEST_AWAY_SECONDS = 30.0
_TIMEOUT_SECONDS = 2.0
_CONNECTIONS = 8
log = structlog.get_logger("wump.http")


def make_key(provider: str, *parts: str) -> str:
    """A key in Valkey. All keys of a provider lie on one node of a cluster, so that one script may touch them."""
    return f"wump:http:{{{provider}}}:{':'.join(parts)}"


class SharedState:
    """Runs scripts on Valkey, on the event loop that first uses it."""

    def __init__(self, valkey_url: SecretStr | None = None) -> None:
        """Without a URL nothing is shared, and local rules hold always."""
        self._client: Valkey | None = None
        if valkey_url is not None:
            pool = BlockingConnectionPool.from_url(
                valkey_url.get_secret_value(),
                max_connections=_CONNECTIONS,
                timeout=_TIMEOUT_SECONDS,
                socket_timeout=_TIMEOUT_SECONDS,
                socket_connect_timeout=_TIMEOUT_SECONDS,
            )
            self._client = Valkey.from_pool(pool)
        self._scripts: dict[str, AsyncScript] = {}
        self._away_until = 0.0
        self._away_for = _FIRST_AWAY_SECONDS

    @property
    def is_alone(self) -> bool:
        """Whether nothing is shared on purpose, as in a command: this process needn't leave room for others."""
        return self._client is None

    async def run(self, script: str, keys: Sequence[str], args: Sequence[Any]) -> list[bytes] | None:
        """The script's answer, or null while Valkey is away."""
        if self._client is None or time.monotonic() < self._away_until:
            return None
        if script not in self._scripts:
            self._scripts[script] = self._client.register_script(script)
        try:
            answer = await self._scripts[script](keys=keys, args=args)
        except (ValkeyError, OSError) as error:
            if time.monotonic() >= self._away_until:  # else another call has noticed it already
                self._away_until = time.monotonic() + self._away_for
                self._away_for = min(self._away_for * 2, _LONGEST_AWAY_SECONDS)
                log.warning("valkey.outage", error=type(error).__name__, effect="local rules hold")
            return None
        self._away_for = _FIRST_AWAY_SECONDS
        return answer

    async def aclose(self) -> None:
        """Close the connections."""
        if self._client is not None:
            await self._client.aclose()
