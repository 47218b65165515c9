"""Alembic's environment: runs migrations on the connection that `runner` hands over."""

from alembic import context
from wump_core.store import metadata

connection = context.config.attributes["connection"]
context.configure(connection=connection, target_metadata=metadata, compare_type=True, compare_server_default=True)
with context.begin_transaction():
    context.run_migrations()
