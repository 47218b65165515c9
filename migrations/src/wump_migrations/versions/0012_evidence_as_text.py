"""The evidence of an answer is only shown: as text it is smaller, and nobody takes it apart on the way.

Revision: 0012, after 0011
"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0012"
down_revision = "0011"
branch_labels = None
depends_on = None

_OLD, _NEW = (
    "The strongest statement of the strongest repository.",
    "The strongest statement of the strongest repository, as JSON.",
)


def upgrade() -> None:
    op.alter_column(
        "package_organizations",
        "evidence",
        existing_type=postgresql.JSONB(),
        type_=sa.Text(),
        existing_comment=_OLD,
        comment=_NEW,
        postgresql_using="evidence::text",
    )


def downgrade() -> None:
    op.alter_column(
        "package_organizations",
        "evidence",
        existing_type=sa.Text(),
        type_=postgresql.JSONB(),
        existing_comment=_NEW,
        comment=_OLD,
        postgresql_using="evidence::jsonb",
    )
