"""Which revision a database is at, and which is the newest: what each command asks at its start.

Without Alembic, which takes longer to import than most commands take for all they do.
"""

from importlib.resources import files

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine


def head_revision() -> str:
    """The newest revision. Its file's name begins with it: a number of four digits."""
    names = (file.name for file in files("wump_migrations").joinpath("versions").iterdir())
    return max(name[:4] for name in names if name.endswith(".py") and name[:4].isdecimal())


async def current_revision(engine: AsyncEngine) -> str | None:
    """The database's revision, where Alembic keeps it; null where it was never migrated."""
    async with engine.connect() as connection:
        if (await connection.execute(text("SELECT to_regclass('alembic_version')"))).scalar_one() is None:
            return None
        found: str | None = (await connection.execute(text("SELECT version_num FROM alembic_version"))).scalar()
        return found
