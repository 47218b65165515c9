"""Keys of the API, and answers that are given again to whoever repeats a request.

Revision: 0015, after 0014
"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB

revision = "0015"
down_revision = "0014"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "api_keys",
        sa.Column("id", sa.BigInteger, sa.Identity(always=True), primary_key=True),
        sa.Column("public_id", sa.Uuid, nullable=False, server_default=sa.text("uuidv7()"), unique=True),
        sa.Column("name", sa.Text, nullable=False, comment="Whose it is, or what for."),
        sa.Column("tier", sa.Text, nullable=False),
        sa.Column("requests_per_hour", sa.Integer, comment="Instead of the tier's; null: the tier's."),
        sa.Column("requests_per_burst", sa.Integer, comment="Instead of the tier's; null: the tier's."),
        sa.Column(
            "created_by", sa.Text, nullable=False, comment="`command line`, or the name of the key that made it."
        ),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False, server_default=sa.text("now()")),
        sa.Column("expires_at", sa.DateTime(timezone=True)),
        sa.Column("revoked_at", sa.DateTime(timezone=True)),
        sa.Column("last_used_at", sa.DateTime(timezone=True), comment="To the minute."),
        sa.CheckConstraint("tier IN ('free', 'standard', 'premium', 'operator')", name="tier"),
    )
    op.create_table(
        "api_key_secrets",
        sa.Column("prefix", sa.Text, primary_key=True, comment="Its public part."),
        sa.Column("key_id", sa.BigInteger, sa.ForeignKey("api_keys.id", ondelete="CASCADE"), nullable=False),
        sa.Column("precheck", sa.LargeBinary, nullable=False),
        sa.Column("hash", sa.Text, nullable=False, comment="bcrypt."),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False, server_default=sa.text("now()")),
        sa.Column("expires_at", sa.DateTime(timezone=True), comment="Set when another secret replaces it."),
    )
    op.create_index("ix_api_key_secrets_key_id", "api_key_secrets", ["key_id"])
    op.create_table(
        "idempotent_requests",
        sa.Column("caller", sa.Text, nullable=False, comment="Whose word it is: each caller has words of their own."),
        sa.Column("word", sa.Text, nullable=False, comment="The Idempotency-Key."),
        sa.Column("fingerprint", sa.LargeBinary, nullable=False, comment="Of method, path and body."),
        sa.Column("status", sa.Integer, comment="Null: not answered yet."),
        sa.Column("headers", JSONB, comment="Null: not answered yet, or an answer that is not kept."),
        sa.Column("body", sa.LargeBinary, comment="Null: as headers."),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False, server_default=sa.text("now()")),
        sa.PrimaryKeyConstraint("caller", "word"),
    )
    op.create_index("ix_idempotent_requests_created_at", "idempotent_requests", ["created_at"])


def downgrade() -> None:
    op.drop_table("idempotent_requests")
    op.drop_table("api_key_secrets")
    op.drop_table("api_keys")
