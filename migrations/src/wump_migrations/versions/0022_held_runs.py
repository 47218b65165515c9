"""The few runs that a worker holds, or once held, are found without reading all that wait.

Revision: 0022, after 0021
"""

import sqlalchemy as sa
from alembic import op

revision = "0022"
down_revision = "0021"
branch_labels = None
depends_on = None

_HELD = "state = 'running' OR lost_leases > 0"


def upgrade() -> None:
    op.create_index("ix_job_executions_held", "job_executions", ["id"], postgresql_where=sa.text(_HELD))


def downgrade() -> None:
    op.drop_index("ix_job_executions_held", "job_executions")
