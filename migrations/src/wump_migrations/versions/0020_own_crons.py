"""The expression of a schedule's job, so that an operator can go back to it where only the database is known.

Revision: 0020, after 0019
"""

import sqlalchemy as sa
from alembic import op

revision = "0020"
down_revision = "0019"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Schedulers fill the column when they start."""
    op.add_column(
        "schedules",
        sa.Column("own_cron", sa.Text(), comment="What the job's code says; null: no scheduler has so far."),
    )


def downgrade() -> None:
    op.drop_column("schedules", "own_cron")
