"""Keys of derived rows begin with the repository or the organization: what a batch writes lies together.

Readers wait while the primary keys are built, at the end: some seconds for each million rows.

Revision: 0023, after 0022
"""

from alembic import op

revision = "0023"
down_revision = "0022"
branch_labels = None
depends_on = None

_PAIRS = "dependencies"
_ANSWER = "package_organizations"


def upgrade() -> None:
    _create_index("organization_id", "package_id")
    _create_index("package_id", "repository_id")
    op.drop_index(f"ix_{_PAIRS}_package_id_organization_id", _PAIRS)
    op.drop_index(f"ix_{_PAIRS}_repository_id", _PAIRS)
    _replace_key(_PAIRS, "repository_id", "package_id")
    _replace_key(_ANSWER, "organization_id", "package_id")


def downgrade() -> None:
    _create_index("package_id", "organization_id")
    _create_index("repository_id")
    op.drop_index(f"ix_{_PAIRS}_organization_id_package_id", _PAIRS)
    op.drop_index(f"ix_{_PAIRS}_package_id_repository_id", _PAIRS)
    _replace_key(_PAIRS, "package_id", "repository_id")
    _replace_key(_ANSWER, "package_id", "organization_id")


def _create_index(*columns: str) -> None:
    op.create_index(f"ix_{_PAIRS}_{'_'.join(columns)}", _PAIRS, list(columns))


def _replace_key(table: str, *columns: str) -> None:
    op.drop_constraint(f"pk_{table}", table, type_="primary")
    op.create_primary_key(f"pk_{table}", table, list(columns))
