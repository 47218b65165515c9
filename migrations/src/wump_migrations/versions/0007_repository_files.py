"""What repositories' own files say: they are sources too, can deny a claim, and can be left out for more reasons.

Revision: 0007, after 0006
"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None

_REASONS = ("refuted", "fork", "archived", "template", "vendored", "example")
_OLD_EXCLUSIONS = ("own_organization", "no_owner")
_EXCLUSIONS = ("own_organization", *_REASONS, "no_owner")


def upgrade() -> None:
    for column in _repository_columns():
        op.add_column("repositories", column)
    for column in _source_columns():
        op.add_column("sources", column)
    op.alter_column(
        "sources",
        "revision",
        existing_comment="The version of the package.",
        comment="The version of the package, or the commit.",
    )
    op.alter_column("sources", "repository_verified", comment="It is the repository's.")
    _replace_check("sources", "kind", "kind IN ('registry_version', 'manifest', 'lockfile')")
    op.create_check_constraint("mark", "sources", "mark IN ('vendored', 'example')")
    op.create_index(
        "uq_sources_file",
        "sources",
        ["repository_id", "path", "provider"],
        unique=True,
        postgresql_where=sa.text("package_id IS NULL"),
    )
    _replace_check("dependencies", "exclusion", f"exclusion IN {_EXCLUSIONS}")
    for table in ("package_totals", "package_deltas"):
        for name in _REASONS:
            op.add_column(table, sa.Column(name, sa.Integer(), server_default=sa.text("0"), nullable=False))
        for name in ("organizations", "repositories", *_OLD_EXCLUSIONS):
            op.alter_column(table, name, server_default=sa.text("0"))


def downgrade() -> None:
    """What files said is lost: the tables before could not hold it."""
    op.execute("DELETE FROM statements WHERE source_id IN (SELECT id FROM sources WHERE package_id IS NULL)")
    op.execute("DELETE FROM sources WHERE package_id IS NULL")
    for table in ("package_totals", "package_deltas"):
        for name in _REASONS:
            op.drop_column(table, name)
        for name in ("organizations", "repositories", *_OLD_EXCLUSIONS):
            op.alter_column(table, name, server_default=None)
    op.execute(f"UPDATE dependencies SET exclusion = NULL WHERE NOT exclusion IN {_OLD_EXCLUSIONS}")
    _replace_check("dependencies", "exclusion", f"exclusion IN {_OLD_EXCLUSIONS}")
    op.drop_index("uq_sources_file", "sources")
    op.drop_constraint("ck_sources_mark", "sources")
    _replace_check("sources", "kind", "kind IN ('registry_version')")
    op.alter_column("sources", "repository_verified", comment=None, existing_comment="It is the repository's.")
    op.alter_column(
        "sources",
        "revision",
        comment="The version of the package.",
        existing_comment="The version of the package, or the commit.",
    )
    for column in reversed(_source_columns()):
        op.drop_column("sources", column.name)
    for column in reversed(_repository_columns()):
        op.drop_column("repositories", column.name)


def _replace_check(table: str, name: str, condition: str) -> None:
    op.drop_constraint(f"ck_{table}_{name}", table)
    op.create_check_constraint(name, table, condition)


def _repository_columns() -> list[sa.Column]:
    unknown = "Null: unknown."
    return [
        sa.Column("host_id", sa.Text(), comment="The host's own id, which outlives renames."),
        sa.Column("current_path", sa.Text(), comment="What the host calls it now."),
        sa.Column("description", sa.Text()),
        sa.Column("default_branch", sa.Text()),
        sa.Column("fork", sa.Boolean(), comment=unknown),
        sa.Column("archived", sa.Boolean(), comment=unknown),
        sa.Column("template", sa.Boolean(), comment=unknown),
        sa.Column(
            "funding",
            postgresql.JSONB(astext_type=sa.Text()),
            comment="What its own files and its host say; null: not asked yet.",
        ),
        sa.Column("revision", sa.Text(), comment="The commit whose files were read last."),
        sa.Column("files_incomplete", sa.Text(), comment="Why not all files that count were read; null: they were."),
        sa.Column("missing", sa.Text(), comment="Why the host does not show it (any more); null: it does."),
        sa.Column("fetched_at", sa.DateTime(timezone=True)),
        sa.Column("files_at", sa.DateTime(timezone=True), comment="When its files were read last."),
    ]


def _source_columns() -> list[sa.Column]:
    return [
        sa.Column(
            "refuted",
            sa.Boolean(),
            server_default=sa.text("false"),
            nullable=False,
            comment="The repository's files deny it.",
        ),
        sa.Column("path", sa.Text(), comment="Of a file, from its repository's root."),
        sa.Column("url", sa.Text(), comment="Where a file can be read at that commit."),
        sa.Column("project", sa.Text(), comment="The purl that a file calls itself."),
        sa.Column("mark", sa.Text(), comment="Why a file does not count: vendored or example; null: it counts."),
        sa.Column("parse_key", sa.Uuid(), comment="Hash of all that reading a file depends on; null: it must be read."),
        sa.Column("reads", postgresql.ARRAY(sa.Text()), comment="Files beside it that were read with a file."),
        sa.Column(
            "error", sa.Text(), comment="Why a file could not be read; its statements are those of the time before."
        ),
        sa.Column("gone_at", sa.DateTime(timezone=True), comment="When a file was missing first."),
    ]
