"""What the workers see of the providers' upstreams.

Revision: 0010, after 0009
"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None


def upgrade() -> None:
    for column in _columns():
        op.add_column("providers", column)


def downgrade() -> None:
    for column in reversed(_columns()):
        op.drop_column("providers", column.name)


def _columns() -> list[sa.Column]:
    return [
        sa.Column("healthy", sa.Boolean(), comment="Whether the workers ask its upstream; null: not reported yet."),
        sa.Column("health", sa.Text(), comment="Why they don't."),
        sa.Column(
            "limits",
            postgresql.JSONB(astext_type=sa.Text()),
            comment="What its upstream says is left: a list of {resource, limit, remaining, reset_at}.",
        ),
        sa.Column("last_ok_at", sa.DateTime(timezone=True)),
        sa.Column("last_error_at", sa.DateTime(timezone=True)),
        sa.Column("last_error", sa.Text()),
    ]
