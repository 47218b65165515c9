"""Derived tables have no foreign keys: what they name was just read, and checking it again row by row is dear.

Revision: 0008, after 0007
"""

from alembic import op

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None

_KEYS = (
    ("dependencies", "package_id", "packages"),
    ("dependencies", "repository_id", "repositories"),
    ("dependencies", "organization_id", "organizations"),
    ("package_organizations", "package_id", "packages"),
    ("package_organizations", "organization_id", "organizations"),
    ("package_totals", "package_id", "packages"),
    ("package_deltas", "package_id", "packages"),
)


def upgrade() -> None:
    for table, column, _ in _KEYS:
        op.drop_constraint(f"fk_{table}_{column}", table, type_="foreignkey")


def downgrade() -> None:
    for table, column, target in _KEYS:
        op.create_foreign_key(f"fk_{table}_{column}", table, target, [column], ["id"])
