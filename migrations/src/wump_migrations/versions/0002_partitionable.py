"""Keys of the big tables hold the package, so that each can be partitioned by it.

The evidence of a dependency is no foreign key any more: it is derived with all its row, statements are marked and
not deleted, and `wump db verify` compares it.

Revision: 0002, after 0001
"""

import sqlalchemy as sa
from alembic import op
from wump_core.errors import ConfigurationError

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

_OLD_COMMENT, _NEW_COMMENT = "The strongest evidence.", "The strongest evidence, of the same package."


def upgrade() -> None:
    op.drop_constraint("fk_dependencies_statement_id", "dependencies", type_="foreignkey")
    op.drop_index("ix_dependencies_statement_id", "dependencies")
    op.drop_constraint("pk_statements", "statements", type_="primary")
    op.create_primary_key("pk_statements", "statements", ["package_id", "id"])
    # The new key finds what it found.
    op.drop_index("ix_statements_package_id", "statements")
    op.alter_column("dependencies", "statement_id", comment=_NEW_COMMENT, existing_comment=_OLD_COMMENT)


def downgrade() -> None:
    if op.get_bind().execute(sa.text("SELECT EXISTS (SELECT FROM pg_partitioned_table)")).scalar_one():
        raise ConfigurationError("older revisions know no partitions: run `wump db partition --partitions 0` before")
    op.alter_column("dependencies", "statement_id", comment=_OLD_COMMENT, existing_comment=_NEW_COMMENT)
    op.create_index(
        "ix_statements_package_id", "statements", ["package_id"], postgresql_where=sa.text("removed_at IS NULL")
    )
    op.drop_constraint("pk_statements", "statements", type_="primary")
    op.create_primary_key("pk_statements", "statements", ["id"])
    op.create_index("ix_dependencies_statement_id", "dependencies", ["statement_id"])
    op.create_foreign_key("fk_dependencies_statement_id", "dependencies", "statements", ["statement_id"], ["id"])
