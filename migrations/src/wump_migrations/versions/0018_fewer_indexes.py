"""Two indexes less that every row paid for; one of few rows more, for those that depend on a package no more.

And what a key may do, where that is not what its tier may.

Revision: 0018, after 0017
"""

import sqlalchemy as sa
from alembic import op

revision = "0018"
down_revision = "0017"
branch_labels = None
depends_on = None

_ANSWER = "package_organizations"
_COMMENT = "What it may do, instead of the tier's; null: the tier's."


def upgrade() -> None:
    op.add_column("api_keys", sa.Column("areas", sa.ARRAY(sa.Text()), comment=_COMMENT))
    # First what takes its time, and lets others read meanwhile; to drop an index keeps them out until the end.
    _create_index("past", ["package_id", "repositories", "organization_id"], "repositories = 0")
    op.drop_index("ix_dependencies_counted", "dependencies")
    op.drop_index("ix_package_organizations_by_kind", _ANSWER)


def downgrade() -> None:
    """A key may do again what its tier may: look at those that have areas of their own before."""
    op.drop_column("api_keys", "areas")
    op.drop_index("ix_package_organizations_past", _ANSWER)
    _create_index("by_kind", ["package_id", "kind", "repositories", "organization_id"], "repositories <> 0")
    op.create_index(
        "ix_dependencies_counted",
        "dependencies",
        ["package_id", "repository_id"],
        postgresql_where=sa.text("exclusion IS NULL AND scopes <> 0"),
    )


def _create_index(name: str, columns: list[str], where: str) -> None:
    op.create_index(f"ix_{_ANSWER}_{name}", _ANSWER, columns, postgresql_where=sa.text(where))
