"""Files can say where their project asks for money.

Revision: 0009, after 0008
"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column(
        "sources",
        sa.Column("funding", postgresql.JSONB(astext_type=sa.Text()), comment="Where a file asks for money."),
    )


def downgrade() -> None:
    op.drop_column("sources", "funding")
