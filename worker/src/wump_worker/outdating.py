"""What follows a changed answer: its facets are counted anew, and what the API has cached of it is outdated.

At most once a minute for each package. Any number of schedulers may do it at once.
"""

import asyncio

import structlog
from pydantic import SecretStr
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncEngine
from valkey.asyncio import Valkey
from valkey.exceptions import ValkeyError
from wump_core.caching import generation_key, package_subject
from wump_core.store import touches

EVERY_SECONDS = 1.0
AT_ONCE = 500
_TIMEOUT_SECONDS = 2.0
log = structlog.get_logger("wump.scheduler")


async def outdate_forever(engine: AsyncEngine, valkey_url: SecretStr) -> None:
    """Follow up on what changes until cancelled. An outage of a server is logged and waited out."""
    valkey = Valkey.from_url(
        valkey_url.get_secret_value(), socket_timeout=_TIMEOUT_SECONDS, socket_connect_timeout=_TIMEOUT_SECONDS
    )
    try:
        while True:
            try:
                count = await outdate_touched(engine, valkey)
            except (OSError, TimeoutError, SQLAlchemyError, ValkeyError) as error:
                log.warning("outdating.outage", error=f"{type(error).__name__}: {error}"[:300])
                count = 0
            await asyncio.sleep(0 if count == AT_ONCE else EVERY_SECONDS)
    finally:
        await valkey.aclose()


async def outdate_touched(engine: AsyncEngine, valkey: Valkey) -> int:
    """Follow up on some packages whose answers changed; returns how many."""
    async with engine.connect() as connection:
        package_ids = await touches.list_touched(connection, limit=AT_ONCE)
    if not package_ids:
        return 0
    async with engine.begin() as connection:
        await touches.refresh_facets(connection, package_ids)
    async with engine.begin() as connection:
        purls = await touches.take_touched(connection, package_ids)
        if purls:
            # Before the commit: where Valkey is away, they stay due. All that changed is committed long since.
            await valkey.unlink(*(generation_key(package_subject(purl)) for purl in purls))
    return len(package_ids)
