"""Indexes of the answer by stars and by activity hold what is known; the commonest scope has none of its own.

Revision: 0021, after 0020
"""

import sqlalchemy as sa
from alembic import op

revision = "0021"
down_revision = "0020"
branch_labels = None
depends_on = None

_ANSWER = "package_organizations"
_RANKS = (("by_stars", "stars", "'-1'::bigint"), ("by_last_activity", "last_activity_at", "'-infinity'::timestamptz"))


def upgrade() -> None:
    for name, column, _ in _RANKS:
        # To drop an index keeps readers out until the end, so the new one is made first.
        _create_index(f"{name}_known", [column], f"repositories <> 0 AND {column} IS NOT NULL")
    for name, _, _ in _RANKS:
        op.drop_index(f"ix_{_ANSWER}_{name}", _ANSWER)
        op.execute(f"ALTER INDEX ix_{_ANSWER}_{name}_known RENAME TO ix_{_ANSWER}_{name}")
    op.drop_index(f"ix_{_ANSWER}_runtime", _ANSWER)


def downgrade() -> None:
    _create_index("runtime", ["repositories"], "runtime_repositories > 0")
    for name, column, least in _RANKS:
        _create_index(f"{name}_any", [sa.text(f"coalesce({column}, {least})")], "repositories <> 0")
    for name, _, _ in _RANKS:
        op.drop_index(f"ix_{_ANSWER}_{name}", _ANSWER)
        op.execute(f"ALTER INDEX ix_{_ANSWER}_{name}_any RENAME TO ix_{_ANSWER}_{name}")


def _create_index(name: str, ranks: list[str | sa.TextClause], where: str) -> None:
    columns = ["package_id", *ranks, "organization_id"]
    op.create_index(f"ix_{_ANSWER}_{name}", _ANSWER, columns, postgresql_where=sa.text(where))
