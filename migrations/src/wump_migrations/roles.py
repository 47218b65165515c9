"""Roles of the database with no more rights than their part of wump needs: to migrate, to write, to answer.

Made again and again without harm: after an upgrade, new tables get their rights by it, or by the defaults that it set.
"""

import base64
import hashlib
import hmac
import secrets
from collections.abc import Mapping

from sqlalchemy import text
from sqlalchemy.engine import URL
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine
from wump_core.errors import ConfigurationError
from wump_core.store import metadata

ROLES: Mapping[str, str] = {
    "wump_migrator": "owns the tables: `wump db`",
    "wump_writer": "reads and writes rows: worker, scheduler, and commands that work",
    "wump_api": "reads, and writes what the API writes: tracking, keys, takedowns, jobs",
}
API_WRITES: Mapping[str, str] = {
    "packages": "INSERT, UPDATE",
    "job_executions": "INSERT, UPDATE, DELETE",
    "takedowns": "INSERT, UPDATE, DELETE",
    "pauses": "INSERT, DELETE",
    "schedules": "UPDATE",
    "api_keys": "INSERT, UPDATE",
    "api_key_secrets": "INSERT, UPDATE",
    "idempotent_requests": "INSERT, UPDATE, DELETE",
}
"""All that the API's role may change."""
_HIDDEN_FROM_API = ("responses",)
"""What upstreams answered is the workers' alone."""
_ITERATIONS = 4096


async def make_roles(engine: AsyncEngine, *, renew: bool) -> dict[str, str | None]:
    """Make the roles that are missing, and give all of them their rights. Returns their new passwords, by name.

    Args:
        engine: Connects as a superuser, or as the database's owner who may create roles.
        renew: Give those that are there new passwords too; null is the password of one that is left alone.

    Raises:
        ConfigurationError: It connects as a role that may not do that.
    """
    passwords: dict[str, str | None] = {}
    try:
        async with engine.begin() as connection:
            for role in ROLES:
                passwords[role] = await _make_role(connection, role, renew=renew)
            await _hand_over(connection)
            await _grant(connection)
    except DBAPIError as error:
        if getattr(error.orig, "sqlstate", "") == "42501":
            raise ConfigurationError(
                "WUMP_DATABASE_URL: this role may not create roles: connect as a superuser for this command"
            ) from None
        raise
    return passwords


def role_url(url: URL, role: str, password: str | None) -> str:
    """The address of the same database for a role. A password that isn't known is left to be filled in."""
    shown = url.set(username=role, password=password or "PASSWORD")
    return shown.set(drivername="postgresql").render_as_string(hide_password=False)


async def _make_role(connection: AsyncConnection, role: str, *, renew: bool) -> str | None:
    there = await connection.execute(text("SELECT 1 FROM pg_roles WHERE rolname = :role"), {"role": role})
    exists = there.first() is not None
    if exists and not renew:
        return None
    password = secrets.token_urlsafe(32)
    verb = "ALTER" if exists else "CREATE"
    # Only what the server would make of it itself, so that no log has the password.
    await _run(connection, f"{verb} ROLE {role} LOGIN NOSUPERUSER NOCREATEDB PASSWORD '{_verifier(password)}'")
    return password


def _verifier(password: str) -> str:
    """The password as Postgres keeps it, by SCRAM-SHA-256 (RFC 5803)."""
    salt = secrets.token_bytes(16)
    salted = hashlib.pbkdf2_hmac("sha256", password.encode(), salt, _ITERATIONS)
    stored = hashlib.sha256(hmac.digest(salted, b"Client Key", "sha256")).digest()
    server = hmac.digest(salted, b"Server Key", "sha256")
    shown = [base64.b64encode(part).decode() for part in (salt, stored, server)]
    return f"SCRAM-SHA-256${_ITERATIONS}:{shown[0]}${shown[1]}:{shown[2]}"


async def _hand_over(connection: AsyncConnection) -> None:
    """Make the migrator the owner of all that migrations made."""
    database = (await connection.execute(text("SELECT quote_ident(current_database())"))).scalar_one()
    await _run(connection, "GRANT wump_migrator TO CURRENT_USER")
    await _run(connection, f"REVOKE ALL ON DATABASE {database} FROM PUBLIC")
    await _run(connection, f"GRANT CONNECT, TEMPORARY ON DATABASE {database} TO {', '.join(ROLES)}")
    # CREATE on the database is for trusted extensions.
    await _run(connection, f"GRANT CREATE ON DATABASE {database} TO wump_migrator")
    await _run(connection, "REVOKE ALL ON SCHEMA public FROM PUBLIC")
    await _run(connection, "GRANT ALL ON SCHEMA public TO wump_migrator")
    await _run(connection, "GRANT USAGE ON SCHEMA public TO wump_writer, wump_api")
    owned = await connection.execute(
        text(
            "SELECT format('ALTER %s %s OWNER TO wump_migrator', kind, name) FROM ("
            " SELECT 'TABLE' AS kind, c.oid::regclass::text AS name, c.oid, 'pg_class'::regclass AS class"
            "  FROM pg_class c WHERE c.relnamespace = 'public'::regnamespace AND c.relkind IN ('r', 'p', 'v', 'm')"
            " UNION ALL SELECT 'ROUTINE', p.oid::regprocedure::text, p.oid, 'pg_proc'::regclass"
            "  FROM pg_proc p WHERE p.pronamespace = 'public'::regnamespace) listed"
            # What an extension made belongs to it.
            " WHERE NOT EXISTS (SELECT FROM pg_depend d WHERE d.classid = class AND d.objid = listed.oid"
            "  AND d.deptype = 'e')"
        )
    )
    for statement in owned.scalars().all():
        await _run(connection, statement)


async def _grant(connection: AsyncConnection) -> None:
    for kind, rights in (("TABLES", "SELECT, INSERT, UPDATE, DELETE"), ("SEQUENCES", "USAGE, SELECT")):
        await _run(connection, f"GRANT {rights} ON ALL {kind} IN SCHEMA public TO wump_writer")
        await _run(
            connection,
            f"ALTER DEFAULT PRIVILEGES FOR ROLE wump_migrator IN SCHEMA public GRANT {rights} ON {kind} TO wump_writer",
        )
    await _run(connection, "REVOKE ALL ON ALL TABLES IN SCHEMA public FROM wump_api")
    await _run(connection, "GRANT SELECT ON ALL TABLES IN SCHEMA public TO wump_api")
    await _run(
        connection,
        "ALTER DEFAULT PRIVILEGES FOR ROLE wump_migrator IN SCHEMA public GRANT SELECT ON TABLES TO wump_api",
    )
    for table in _HIDDEN_FROM_API:
        await _run(connection, f"REVOKE ALL ON {table} FROM wump_api")
    for table, rights in API_WRITES.items():
        if table not in metadata.tables:
            raise LookupError(f"there is no table {table}")
        await _run(connection, f"GRANT {rights} ON {table} TO wump_api")


async def _run(connection: AsyncConnection, statement: str) -> None:
    await connection.exec_driver_sql(statement)
