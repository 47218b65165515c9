"""Files that many owners have word by word are copies.

Revision: 0011, after 0010
"""

import sqlalchemy as sa
from alembic import op

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column(
        "sources",
        sa.Column("content", sa.Text(), comment="The host's id of a file's content: the same content, the same id."),
    )
    op.add_column(
        "sources",
        sa.Column(
            "copied",
            sa.Boolean(),
            server_default=sa.text("false"),
            nullable=False,
            comment="Many owners have a file of this content, so it says nothing about any.",
        ),
    )
    op.create_index("ix_sources_content", "sources", ["content"], postgresql_where=sa.text("content IS NOT NULL"))


def downgrade() -> None:
    op.drop_index("ix_sources_content", "sources")
    op.drop_column("sources", "copied")
    op.drop_column("sources", "content")
