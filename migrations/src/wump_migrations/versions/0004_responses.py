"""Upstreams' answers are kept, so that asking again costs them little.

Revision: 0004, after 0003
"""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

_NOW = sa.text("now()")


def upgrade() -> None:
    op.create_table(
        "responses",
        sa.Column(
            "key",
            sa.LargeBinary(),
            nullable=False,
            comment="Hash of provider, credential, address and what was asked for.",
        ),
        sa.Column("provider", sa.Text(), nullable=False),
        sa.Column("headers", sa.Text(), nullable=False, comment="JSON: the answer's headers, and what it varied by."),
        sa.Column("body", sa.LargeBinary(), nullable=False, comment="Compressed by zlib."),
        sa.Column("body_bytes", sa.Integer(), nullable=False, comment="Uncompressed."),
        sa.Column("fresh_until", sa.DateTime(timezone=True), nullable=True),
        sa.Column("stored_at", sa.DateTime(timezone=True), server_default=_NOW, nullable=False),
        sa.Column("used_at", sa.DateTime(timezone=True), server_default=_NOW, nullable=False),
        sa.PrimaryKeyConstraint("key", name="pk_responses"),
        prefixes=["UNLOGGED"],
    )
    op.create_index("ix_responses_used_at", "responses", ["used_at"])
    # The body is compressed already: Postgres needn't try.
    op.execute("ALTER TABLE responses ALTER COLUMN body SET STORAGE EXTERNAL")


def downgrade() -> None:
    op.drop_table("responses")
