"""Logins that searches find nearly so: the best known, instead of an index of all.

Revision: 0019, after 0018
"""

import sqlalchemy as sa
from alembic import op

revision = "0019"
down_revision = "0018"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """The table is filled by the next statistics, a quarter of an hour later at the most."""
    op.create_table(
        "search_logins",
        sa.Column("organization_id", sa.BigInteger(), nullable=False),
        sa.Column("login", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("organization_id", name=op.f("pk_search_logins")),
    )
    op.create_index(
        "ix_search_logins_trigrams",
        "search_logins",
        [sa.text("login gist_trgm_ops(siglen=64)")],
        postgresql_using="gist",
    )
    op.drop_index("ix_organizations_login_trigrams", "organizations")


def downgrade() -> None:
    op.create_index(
        "ix_organizations_login_trigrams",
        "organizations",
        ["login"],
        postgresql_using="gin",
        postgresql_ops={"login": "gin_trgm_ops"},
    )
    op.drop_table("search_logins")
