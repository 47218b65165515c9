"""wump's database migrations: the Alembic environment and its versions, installable."""
