"""Only the index of the default sort holds the page: two more copies of all rows cost more than they gave.

Revision: 0005, after 0004
"""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None

_TABLE = "package_organizations"
_RANKS = {
    "stars": "coalesce(stars, '-1'::bigint)",
    "last_activity": "coalesce(last_activity_at, '-infinity'::timestamptz)",
}
_SHOWN = (
    *("organization_public_id", "host", "login", "kind", "repositories", "runtime_repositories"),
    *("development_repositories", "test_repositories", "build_repositories", "peer_repositories"),
    *("optional_repositories", "unknown_repositories", "stars", "last_activity_at", "first_seen_at", "providers"),
    "evidence",
)


def upgrade() -> None:
    # Another condition than the default sort's index has, see `page_statement`.
    _replace_indexes((), "repositories <> 0")


def downgrade() -> None:
    _replace_indexes(_SHOWN, "repositories > 0")


def _replace_indexes(include: tuple[str, ...], where: str) -> None:
    for name, rank in _RANKS.items():
        index = f"ix_package_organizations_by_{name}"
        op.drop_index(index, _TABLE)
        op.create_index(
            index,
            _TABLE,
            ["package_id", sa.literal_column(rank), "organization_id"],
            postgresql_include=include,
            postgresql_where=sa.text(where),
        )
