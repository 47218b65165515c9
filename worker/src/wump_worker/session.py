"""A worker's session: a connection to the database that is open for as long as the process lives.

When the process dies, however it does, its system closes the connection, and the schedulers see at once what they
would else know only when the leases end. Without one, as behind a pooler that keeps connections open, the leases tell.
"""

import asyncio
import secrets
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager, suppress

import structlog
from sqlalchemy import text
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncEngine
from wump_core.store import runs

CHECK_EVERY_SECONDS = 3.0
RETRY_SECONDS = 1.0
log = structlog.get_logger("wump.worker")


@asynccontextmanager
async def holding_session(engine: AsyncEngine) -> AsyncGenerator[int]:
    """Hold a session while open, on one of the engine's connections; gives its number, which names this worker."""
    session = secrets.randbelow(2**31 - 1) + 1
    keeper = asyncio.create_task(_keep(engine, session))
    try:
        yield session
    finally:
        keeper.cancel()
        with suppress(asyncio.CancelledError):
            await keeper


async def _keep(engine: AsyncEngine, session: int) -> None:
    """Hold it until cancelled. One that was lost is taken again; meanwhile, renewed leases tell that we live."""
    while True:
        try:
            async with engine.connect() as connection:
                autocommit = await connection.execution_options(isolation_level="AUTOCOMMIT")
                await runs.hold_session(autocommit, session)
                while True:
                    await asyncio.sleep(CHECK_EVERY_SECONDS)
                    await autocommit.execute(text("SELECT 1"))
        except (OSError, TimeoutError, SQLAlchemyError) as error:
            log.warning("session.lost", error=f"{type(error).__name__}: {error}"[:300])
            await asyncio.sleep(RETRY_SECONDS)
