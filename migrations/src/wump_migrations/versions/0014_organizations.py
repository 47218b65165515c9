"""What the jobs keep of organizations, repositories and upstream changes.

Revision: 0014, after 0013
"""

from datetime import datetime

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0014"
down_revision = "0013"
branch_labels = None
depends_on = None

_KINDS = ("organization", "user", "unknown")
_SOURCE_KINDS = ("registry_version", "manifest", "lockfile")


def upgrade() -> None:
    for table, columns in _columns().items():
        for column in columns:
            op.add_column(table, column)
    op.alter_column("organizations", "kind", existing_type=sa.Text(), comment="That of the account it is known by.")
    op.alter_column(
        "repositories",
        "current_path",
        existing_type=sa.Text(),
        existing_comment="What the host calls it now.",
        comment="What the host calls it now, as it writes it.",
    )
    op.create_foreign_key("fk_organizations_merged_into", "organizations", "organizations", ["merged_into"], ["id"])
    op.create_foreign_key("fk_repositories_renamed_to", "repositories", "repositories", ["renamed_to"], ["id"])
    op.create_check_constraint("kind", "accounts", f"kind IN {_KINDS}")
    _replace_source_kinds((*_SOURCE_KINDS, "aggregator"))
    for name, table, parts, where in _indexes():
        op.create_index(name, table, parts, postgresql_where=sa.text(where) if where else None)
    _create_sponsorships()
    _create_merges()
    _create_archive()


def downgrade() -> None:
    """What aggregators said is lost: the tables before could not hold it."""
    for table in ("archived_executions", "organization_merges", "sponsorships"):
        op.drop_table(table)
    for name, table, _, _ in reversed(_indexes()):
        op.drop_index(name, table)
    said = "SELECT id FROM sources WHERE kind = 'aggregator'"
    op.execute(f"DELETE FROM statements WHERE source_id IN ({said})")
    op.execute("DELETE FROM sources WHERE kind = 'aggregator'")
    _replace_source_kinds(_SOURCE_KINDS)
    op.drop_constraint("ck_accounts_kind", "accounts")
    op.alter_column("organizations", "kind", existing_type=sa.Text(), comment=None)
    op.alter_column(
        "repositories",
        "current_path",
        existing_type=sa.Text(),
        existing_comment="What the host calls it now, as it writes it.",
        comment="What the host calls it now.",
    )
    for table, columns in _columns().items():
        for column in reversed(columns):
            op.drop_column(table, column.name)


def _replace_source_kinds(kinds: tuple[str, ...]) -> None:
    op.drop_constraint("ck_sources_kind", "sources")
    op.create_check_constraint("kind", "sources", f"kind IN {kinds}")


def _text(name: str, comment: str | None = None) -> sa.Column[str]:
    return sa.Column(name, sa.Text(), comment=comment)


def _count(name: str, comment: str | None = None) -> sa.Column[int]:
    return sa.Column(name, sa.BigInteger(), comment=comment)


def _time(name: str, comment: str | None = None) -> sa.Column[datetime]:
    return sa.Column(name, sa.DateTime(timezone=True), comment=comment)


def _now(name: str) -> sa.Column[datetime]:
    return sa.Column(name, sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False)


def _columns() -> dict[str, list[sa.Column]]:
    lower_bound = "A lower bound: private ones are not told."
    return {
        "organizations": [
            _count("stars", "Of all its repositories that are known; null: not added up so far."),
            _count("repositories", "Public ones, as its hosts count them; null: unknown."),
            _count("merged_into", "Null: it stands for itself."),
            _time("restamp_at", "Since when rows of the answer may show an older kind; null: none does."),
            _time("enriched_at", "When its hosts were asked about it last."),
        ],
        "accounts": [
            _text("host_id", "The host's own id of who has this name, which outlives renames."),
            sa.Column("kind", sa.Text(), server_default="unknown", nullable=False),
            _text("name"),
            _text("description"),
            _text("website"),
            _text("verified_domain", "The website's domain, where the host checked that it is the account's."),
            _text("location"),
            _count("public_repositories"),
            _count("followers"),
            sa.Column("sponsorable", sa.Boolean(), comment="Whether it can be sponsored at its host; null: unknown."),
            _count("sponsors", lower_bound),
            _count("sponsoring", lower_bound),
            sa.Column("funding", postgresql.JSONB(), comment="Where it asks for money; null: not asked yet."),
            _text("missing", "Why the host does not show it (any more); null: it does, or was not asked."),
            _time("archived_at"),
            _time("fetched_at", "When its host was asked about it last."),
        ],
        "repositories": [
            _count("renamed_to", "Who has taken over its facts; null: itself."),
            _time("missing_since", "When the host did not show it first; null: it does."),
        ],
        "packages": [
            _time("changed_at", "When what its provider says of it was last another than before."),
            _time("missing_since", "When the registry did not have it first; null: it has."),
        ],
        "provider_subjects": [
            _text("cursor", "Where a list goes on that takes more than one call; null: at its beginning."),
            sa.Column(
                "complete",
                sa.Boolean(),
                comment="Whether the upstream left out nothing of what was walked over; null: it is no list.",
            ),
            _count("upstream_count", "How many there are, as the upstream counts; null: it does not."),
            _time("walked_at", "When its end was reached last."),
        ],
    }


def _indexes() -> list[tuple[str, str, list[str | sa.TextClause], str | None]]:
    return [
        ("ix_organizations_enriched_at", "organizations", [sa.text("enriched_at NULLS FIRST")], None),
        ("ix_organizations_merged_into", "organizations", ["merged_into"], "merged_into IS NOT NULL"),
        ("ix_accounts_host_id", "accounts", ["host", "host_id"], "host_id IS NOT NULL"),
        ("ix_accounts_verified_domain", "accounts", ["verified_domain"], "verified_domain IS NOT NULL"),
        ("ix_repositories_host_id", "repositories", ["host", "host_id"], "host_id IS NOT NULL"),
        ("ix_repositories_renamed_to", "repositories", ["renamed_to"], "renamed_to IS NOT NULL"),
        ("ix_repositories_fetched_at", "repositories", ["fetched_at"], "fetched_at IS NOT NULL"),
        ("ix_packages_refreshed", "packages", ["fetched_at"], "tracked"),
        ("ix_statements_removed_at", "statements", ["removed_at", "id"], "removed_at IS NOT NULL"),
        ("ix_statements_removed_source", "statements", ["source_id", "removed_at"], "removed_at IS NOT NULL"),
        ("ix_package_organizations_organization_id", "package_organizations", ["organization_id"], None),
    ]


def _create_sponsorships() -> None:
    op.create_table(
        "sponsorships",
        sa.Column("sponsor_id", sa.BigInteger(), sa.ForeignKey("accounts.id"), nullable=False),
        sa.Column("maintainer_id", sa.BigInteger(), sa.ForeignKey("accounts.id"), nullable=False),
        sa.Column("provider", sa.Text(), nullable=False),
        sa.Column("active", sa.Boolean(), comment="Null: the upstream does not tell."),
        sa.Column("one_time", sa.Boolean(), comment="Null: the upstream does not tell."),
        _time("started_at"),
        _now("first_seen_at"),
        _now("checked_at"),
        sa.PrimaryKeyConstraint("sponsor_id", "maintainer_id", "provider", name="pk_sponsorships"),
    )
    op.create_index("ix_sponsorships_maintainer_id", "sponsorships", ["maintainer_id"])


def _create_merges() -> None:
    op.create_table(
        "organization_merges",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=True), primary_key=True),
        sa.Column("public_id", sa.Uuid(), server_default=sa.text("uuidv7()"), nullable=False, unique=True),
        sa.Column("absorbed_id", sa.BigInteger(), sa.ForeignKey("organizations.id"), nullable=False),
        sa.Column("into_id", sa.BigInteger(), sa.ForeignKey("organizations.id"), nullable=False),
        sa.Column(
            "account_ids", postgresql.ARRAY(sa.BigInteger()), nullable=False, comment="The accounts that moved with it."
        ),
        sa.Column("evidence", sa.Text(), nullable=False, comment="What shows that both are one."),
        sa.Column("detail", sa.Text(), nullable=False, comment="The evidence in words."),
        _now("merged_at"),
        _time("undone_at", "Null: it holds."),
        _text("undone_because"),
        sa.CheckConstraint("evidence IN ('host_id', 'verified_domain', 'operator')", name="evidence"),
    )
    op.create_index("ix_organization_merges_absorbed_id", "organization_merges", ["absorbed_id"])
    op.create_index("ix_organization_merges_into_id", "organization_merges", ["into_id"])


def _create_archive() -> None:
    op.create_table(
        "archived_executions",
        sa.Column("id", sa.BigInteger(), primary_key=True, autoincrement=False),
        sa.Column("public_id", sa.Uuid(), nullable=False, unique=True),
        sa.Column("job", sa.Text(), nullable=False),
        sa.Column("subject", sa.Text(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("finished_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("execution", postgresql.JSONB(), nullable=False, comment="All of its row in the ledger."),
        _now("archived_at"),
    )
    op.create_index("ix_archived_executions_subject", "archived_executions", ["subject", "job"])
    op.create_index("ix_archived_executions_finished_at", "archived_executions", ["finished_at"])
