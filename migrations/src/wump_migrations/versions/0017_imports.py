"""Imports of dumps, and how far each has come.

Revision: 0017, after 0016
"""

from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0017"
down_revision = "0016"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "imports",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=True), nullable=False),
        sa.Column("provider", sa.Text(), nullable=False),
        sa.Column("dump", sa.Text(), nullable=False, comment="What tells it from the provider's other dumps."),
        _time("made_at", comment="When the upstream made it; null: it does not say."),
        sa.Column("packages", sa.BigInteger(), comment="How many it holds; null: it does not say."),
        sa.Column(
            "deferred",
            sa.Boolean(),
            nullable=False,
            comment="What follows from its statements is derived at its end.",
        ),
        _count("position", "How many records are done."),
        _count("saved"),
        _count("unchanged", "Known as they are."),
        _count("kept", "Newer or better facts were kept."),
        sa.Column("error", sa.Text(), comment="Why it stopped; null: it did not."),
        _time("started_at", nullable=False, server_default=sa.text("now()")),
        _time("finished_at"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_imports")),
        sa.CheckConstraint("position = saved + unchanged + kept", name=op.f("ck_imports_position")),
    )
    op.create_index(
        "uq_imports_unfinished",
        "imports",
        ["provider", "dump"],
        unique=True,
        postgresql_where=sa.text("finished_at IS NULL"),
    )


def downgrade() -> None:
    """What an unfinished import has saved stays; it would begin anew."""
    op.drop_table("imports")


def _time(name: str, **options: Any) -> sa.Column:
    return sa.Column(name, sa.DateTime(timezone=True), **options)


def _count(name: str, comment: str | None = None) -> sa.Column:
    return sa.Column(name, sa.BigInteger(), server_default=sa.text("0"), nullable=False, comment=comment)
