"""Search, statistics and takedowns; facets, and what an organization uses.

Revision: 0016, after 0015
"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0016"
down_revision = "0015"
branch_labels = None
depends_on = None

_OLD_EXCLUSIONS = (*("own_organization", "refuted", "fork", "archived", "template", "vendored", "example", "no_owner"),)
_COUNTS = (
    ("packages", "That are known, tracked or not."),
    ("tracked", None),
    ("depended_on", "Packages that some organization uses."),
    ("uses", "Listed pairs of a package and an organization."),
    ("dependencies", "Listed pairs of a package and a repository."),
)
_NOW = sa.text("now()")
_NAMES = (("packages", "name"), ("organizations", "login"))


def upgrade() -> None:
    # Trusted: whoever may create in the database may make it.
    op.execute("CREATE EXTENSION IF NOT EXISTS pg_trgm")
    for table, column in _NAMES:
        op.create_index(f"ix_{table}_{column}_prefix", table, [sa.text(f"lower({column}) text_pattern_ops")])
    op.create_index(
        "ix_organizations_login_trigrams",
        "organizations",
        ["login"],
        postgresql_using="gin",
        postgresql_ops={"login": "gin_trgm_ops"},
    )
    op.create_index("ix_packages_tracked", "packages", ["ecosystem", "name"], postgresql_where=sa.text("tracked"))
    op.create_index("ix_package_totals_organizations", "package_totals", ["organizations"])
    _replace_index("package_organizations", "organization_id", "repositories", "package_id")
    _replace_index("repositories", "account_id", "id")
    op.create_index(
        "ix_package_organizations_by_kind",
        "package_organizations",
        ["package_id", "kind", "repositories", "organization_id"],
        postgresql_where=sa.text("repositories <> 0"),
    )
    _replace_exclusions(("suppressed", *_OLD_EXCLUSIONS))
    for table in ("package_totals", "package_deltas"):
        op.add_column(table, sa.Column("suppressed", sa.Integer(), server_default=sa.text("0"), nullable=False))
    _create_takedowns()
    _create_touches()
    _create_statistics()
    _create_search_names()


def downgrade() -> None:
    """Who was taken down is listed again by the next `wump db rebuild`."""
    for table in ("search_names", "statistics", "package_facets", "package_touches", "takedowns"):
        op.drop_table(table)
    for table in ("package_totals", "package_deltas"):
        op.drop_column(table, "suppressed")
    op.execute("UPDATE dependencies SET exclusion = NULL WHERE exclusion = 'suppressed'")
    _replace_exclusions(_OLD_EXCLUSIONS)
    op.drop_index("ix_package_organizations_by_kind", "package_organizations")
    _replace_index("repositories", "account_id")
    _replace_index("package_organizations", "organization_id")
    op.drop_index("ix_package_totals_organizations", "package_totals")
    op.drop_index("ix_packages_tracked", "packages")
    op.drop_index("ix_organizations_login_trigrams", "organizations")
    for table, column in _NAMES:
        op.drop_index(f"ix_{table}_{column}_prefix", table)
    op.execute("DROP EXTENSION IF EXISTS pg_trgm")


def _replace_index(table: str, column: str, *more: str) -> None:
    """That of a column, so that it holds these in their order too."""
    op.drop_index(f"ix_{table}_{column}", table)
    op.create_index(f"ix_{table}_{column}", table, [column, *more])


def _replace_exclusions(reasons: tuple[str, ...]) -> None:
    op.drop_constraint("ck_dependencies_exclusion", "dependencies")
    op.create_check_constraint("exclusion", "dependencies", f"exclusion IN {reasons}")


def _create_takedowns() -> None:
    op.create_table(
        "takedowns",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=True), nullable=False),
        sa.Column("public_id", sa.Uuid(), server_default=sa.text("uuidv7()"), nullable=False),
        sa.Column("host", sa.Text(), nullable=False),
        sa.Column("login", sa.Text(), nullable=False, comment="Case-folded login, or nested group path."),
        sa.Column("reason", sa.Text(), comment="For the operator's own record; never shown to others."),
        sa.Column(
            "created_by", sa.Text(), comment="The key that asked for it; null: the command line on the machine itself."
        ),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=_NOW, nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_takedowns")),
        sa.UniqueConstraint("public_id", name=op.f("uq_takedowns_public_id")),
        sa.UniqueConstraint("host", "login", name=op.f("uq_takedowns_host_login")),
    )


def _create_touches() -> None:
    op.create_table(
        "package_touches",
        sa.Column("package_id", sa.BigInteger(), nullable=False),
        sa.Column(
            "pending",
            sa.Boolean(),
            server_default=sa.text("true"),
            nullable=False,
            comment="It changed since it was taken.",
        ),
        sa.Column("taken_at", sa.DateTime(timezone=True), comment="When that was last acted on; null: not so far."),
        sa.PrimaryKeyConstraint("package_id", name=op.f("pk_package_touches")),
    )
    op.create_index(
        "ix_package_touches_pending",
        "package_touches",
        [sa.text("taken_at NULLS FIRST")],
        postgresql_where=sa.text("pending"),
    )
    op.create_table(
        "package_facets",
        sa.Column("package_id", sa.BigInteger(), nullable=False),
        sa.Column("organizations", sa.BigInteger(), nullable=False, comment="Listed ones that were counted."),
        sa.Column("users", sa.BigInteger(), nullable=False, comment="Those of them that are user accounts."),
        sa.Column("user_repositories", sa.BigInteger(), nullable=False, comment="Dependent repositories of those."),
        sa.Column(
            "facets",
            sa.Text(),
            nullable=False,
            comment="Organizations by kind, scope, host and provider, as JSON.",
        ),
        sa.Column("as_of", sa.DateTime(timezone=True), server_default=_NOW, nullable=False),
        sa.PrimaryKeyConstraint("package_id", name=op.f("pk_package_facets")),
    )


def _create_statistics() -> None:
    only_overall = "Null but in the row of everything."
    op.create_table(
        "statistics",
        sa.Column("ecosystem", sa.Text(), nullable=False, comment="Empty: all of them."),
        *(sa.Column(name, sa.BigInteger(), nullable=False, comment=comment) for name, comment in _COUNTS),
        sa.Column("organizations", sa.BigInteger(), comment=only_overall),
        sa.Column("repositories", sa.BigInteger(), comment=only_overall),
        sa.Column("as_of", sa.DateTime(timezone=True), server_default=_NOW, nullable=False),
        sa.PrimaryKeyConstraint("ecosystem", name=op.f("pk_statistics")),
    )


def _create_search_names() -> None:
    op.create_table(
        "search_names",
        sa.Column("package_id", sa.BigInteger(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("words", postgresql.TSVECTOR(), comment="Of the description; null: it has none."),
        sa.PrimaryKeyConstraint("package_id", name=op.f("pk_search_names")),
    )
    op.create_index(
        "ix_search_names_trigrams",
        "search_names",
        [sa.text("name gist_trgm_ops(siglen=64)")],
        postgresql_using="gist",
    )
    op.create_index("ix_search_names_words", "search_names", ["words"], postgresql_using="gin")
