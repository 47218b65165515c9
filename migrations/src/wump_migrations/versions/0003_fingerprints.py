"""Packages keep a hash of the record that their facts are from, so that the same again costs next to nothing.

Revision: 0003, after 0002
"""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

_COMMENT = "Hash of the record that the facts are from; null: none, or not seen so far."


def upgrade() -> None:
    op.add_column("packages", sa.Column("fingerprint", sa.Uuid(), nullable=True, comment=_COMMENT))


def downgrade() -> None:
    op.drop_column("packages", "fingerprint")
