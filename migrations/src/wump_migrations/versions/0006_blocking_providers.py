"""Providers that blocked a worker are remembered, so that the next worker leaves them out.

Revision: 0006, after 0005
"""

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None

_COMMENT = "When it last blocked a worker; such a version is left out for an hour."


def upgrade() -> None:
    op.add_column("providers", sa.Column("blocked_at", sa.DateTime(timezone=True), nullable=True, comment=_COMMENT))


def downgrade() -> None:
    op.drop_column("providers", "blocked_at")
