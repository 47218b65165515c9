"""The tables of the foundation.

Revision: 0001, the first
"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "job_executions",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=True), nullable=False),
        sa.Column("public_id", sa.Uuid(), server_default=sa.text("uuidv7()"), nullable=False),
        sa.Column("job", sa.Text(), nullable=False),
        sa.Column("subject", sa.Text(), nullable=False, comment="What it is about, such as a purl."),
        sa.Column("arguments", postgresql.JSONB(astext_type=sa.Text()), server_default=sa.text("'{}'"), nullable=False),
        sa.Column("queue", sa.Text(), nullable=False),
        sa.Column("state", sa.Text(), server_default="pending", nullable=False),
        sa.Column("due_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("sent_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("lease_until", sa.DateTime(timezone=True), nullable=True),
        sa.Column("token", sa.Uuid(), nullable=True),
        sa.Column(
            "attempts", sa.SmallInteger(), server_default=sa.text("0"), nullable=False, comment="Job faults so far."
        ),
        sa.Column("lost_leases", sa.SmallInteger(), server_default=sa.text("0"), nullable=False),
        sa.Column("rerun_requested", sa.Boolean(), server_default=sa.text("false"), nullable=False),
        sa.Column("records_processed", sa.Integer(), nullable=True),
        sa.Column(
            "outcome",
            postgresql.JSONB(astext_type=sa.Text()),
            nullable=True,
            comment="What it came to, or the last error: {code, message}.",
        ),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("started_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("finished_at", sa.DateTime(timezone=True), nullable=True),
        sa.CheckConstraint("queue IN ('high', 'normal', 'low')", name=op.f("ck_job_executions_queue")),
        sa.CheckConstraint(
            "state IN ('pending', 'running', 'completed', 'failed', 'dead')", name=op.f("ck_job_executions_state")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_job_executions")),
        sa.UniqueConstraint("public_id", name=op.f("uq_job_executions_public_id")),
    )
    op.create_index(
        "ix_job_executions_due_at",
        "job_executions",
        ["due_at"],
        unique=False,
        postgresql_where=sa.text("state IN ('pending', 'running', 'failed')"),
    )
    op.create_index("ix_job_executions_subject", "job_executions", ["subject", "job"], unique=False)
    op.create_index(
        "uq_job_executions_open",
        "job_executions",
        ["job", "subject"],
        unique=True,
        postgresql_where=sa.text("state IN ('pending', 'running', 'failed')"),
    )
    op.create_table(
        "organizations",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=True), nullable=False),
        sa.Column("public_id", sa.Uuid(), server_default=sa.text("uuidv7()"), nullable=False),
        sa.Column("host", sa.Text(), nullable=False, comment="Host of the account it is known by."),
        sa.Column(
            "login", sa.Text(), nullable=False, comment="Case-folded login or nested group path of that account."
        ),
        sa.Column("kind", sa.Text(), server_default="unknown", nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.CheckConstraint("kind IN ('organization', 'user', 'unknown')", name=op.f("ck_organizations_kind")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_organizations")),
        sa.UniqueConstraint("host", "login", name=op.f("uq_organizations_host_login")),
        sa.UniqueConstraint("public_id", name=op.f("uq_organizations_public_id")),
    )
    op.create_table(
        "provider_subjects",
        sa.Column("provider", sa.Text(), nullable=False),
        sa.Column("capability", sa.Text(), nullable=False, comment="The hook that was called."),
        sa.Column("subject", sa.Text(), nullable=False, comment="What it was asked about, such as a purl."),
        sa.Column("last_attempt_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("last_ok_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("error", sa.Text(), nullable=True, comment="Why the last attempt failed; null: it did not."),
        sa.PrimaryKeyConstraint("subject", "capability", "provider", name=op.f("pk_provider_subjects")),
    )
    op.create_table(
        "providers",
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("distribution", sa.Text(), nullable=True),
        sa.Column("version", sa.Text(), nullable=True),
        sa.Column("state", sa.Text(), nullable=False, comment="active, or broken with its reason."),
        sa.Column("reason", sa.Text(), nullable=True),
        sa.Column("title", sa.Text(), nullable=True),
        sa.Column("provider_type", sa.Text(), nullable=True),
        sa.Column("ecosystems", sa.ARRAY(sa.Text()), nullable=False),
        sa.Column("capabilities", sa.ARRAY(sa.Text()), nullable=False),
        sa.Column("rate_limit", sa.Text(), nullable=True),
        sa.Column("licence", sa.Text(), nullable=True),
        sa.Column("attribution", sa.Text(), nullable=True),
        sa.Column("terms", sa.Text(), nullable=True),
        sa.Column("seen_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_providers")),
    )
    op.create_table(
        "accounts",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=True), nullable=False),
        sa.Column("public_id", sa.Uuid(), server_default=sa.text("uuidv7()"), nullable=False),
        sa.Column("host", sa.Text(), nullable=False),
        sa.Column("login", sa.Text(), nullable=False, comment="Case-folded login, or nested group path."),
        sa.Column("organization_id", sa.BigInteger(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.ForeignKeyConstraint(["organization_id"], ["organizations.id"], name=op.f("fk_accounts_organization_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_accounts")),
        sa.UniqueConstraint("host", "login", name=op.f("uq_accounts_host_login")),
        sa.UniqueConstraint("public_id", name=op.f("uq_accounts_public_id")),
    )
    op.create_index("ix_accounts_organization_id", "accounts", ["organization_id"], unique=False)
    op.create_table(
        "repositories",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=True), nullable=False),
        sa.Column("public_id", sa.Uuid(), server_default=sa.text("uuidv7()"), nullable=False),
        sa.Column("host", sa.Text(), nullable=False),
        sa.Column(
            "path", sa.Text(), nullable=False, comment="Path on the host, case-folded where the host ignores case."
        ),
        sa.Column("account_id", sa.BigInteger(), nullable=True, comment="Null: the owner is unknown."),
        sa.Column("stars", sa.BigInteger(), nullable=True, comment="Null: unknown."),
        sa.Column("pushed_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.ForeignKeyConstraint(["account_id"], ["accounts.id"], name=op.f("fk_repositories_account_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_repositories")),
        sa.UniqueConstraint("host", "path", name=op.f("uq_repositories_host_path")),
        sa.UniqueConstraint("public_id", name=op.f("uq_repositories_public_id")),
    )
    op.create_index("ix_repositories_account_id", "repositories", ["account_id"], unique=False)
    op.create_table(
        "packages",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=True), nullable=False),
        sa.Column("public_id", sa.Uuid(), server_default=sa.text("uuidv7()"), nullable=False),
        sa.Column("purl", sa.Text(), nullable=False, comment="Canonical, without a version."),
        sa.Column("ecosystem", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False, comment="Canonical full name."),
        sa.Column(
            "tracked",
            sa.Boolean(),
            server_default=sa.text("false"),
            nullable=False,
            comment="False: a stub, or followed.",
        ),
        sa.Column(
            "provider", sa.Text(), nullable=True, comment="Who told the facts below; null: nobody was asked yet."
        ),
        sa.Column("latest_version", sa.Text(), nullable=True),
        sa.Column("description", sa.Text(), nullable=True),
        sa.Column("homepage", sa.Text(), nullable=True),
        sa.Column("licences", sa.ARRAY(sa.Text()), nullable=True),
        sa.Column("funding", postgresql.JSONB(astext_type=sa.Text()), nullable=True),
        sa.Column("deprecated", sa.Boolean(), nullable=True),
        sa.Column("repository_id", sa.BigInteger(), nullable=True),
        sa.Column("repository_directory", sa.Text(), nullable=True),
        sa.Column("repository_verified", sa.Boolean(), server_default=sa.text("false"), nullable=False),
        sa.Column("organization_id", sa.BigInteger(), nullable=True, comment="Owner of its repository."),
        sa.Column(
            "dependencies_unknown",
            sa.Text(),
            nullable=True,
            comment="Why its dependencies are not known; null: they are.",
        ),
        sa.Column("missing", sa.Text(), nullable=True, comment="Why the registry has it no more; null: it has."),
        sa.Column("fetched_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.ForeignKeyConstraint(["organization_id"], ["organizations.id"], name=op.f("fk_packages_organization_id")),
        sa.ForeignKeyConstraint(["repository_id"], ["repositories.id"], name=op.f("fk_packages_repository_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_packages")),
        sa.UniqueConstraint("ecosystem", "name", name=op.f("uq_packages_ecosystem_name")),
        sa.UniqueConstraint("public_id", name=op.f("uq_packages_public_id")),
        sa.UniqueConstraint("purl", name=op.f("uq_packages_purl")),
    )
    op.create_index("ix_packages_name", "packages", ["name"], unique=False)
    op.create_index("ix_packages_organization_id", "packages", ["organization_id"], unique=False)
    op.create_index("ix_packages_repository_id", "packages", ["repository_id"], unique=False)
    op.create_table(
        "package_deltas",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=True), nullable=False),
        sa.Column("package_id", sa.BigInteger(), nullable=False),
        sa.Column("organizations", sa.Integer(), nullable=False),
        sa.Column("repositories", sa.Integer(), nullable=False),
        sa.Column("own_organization", sa.Integer(), nullable=False),
        sa.Column("no_owner", sa.Integer(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.ForeignKeyConstraint(["package_id"], ["packages.id"], name=op.f("fk_package_deltas_package_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_package_deltas")),
    )
    op.create_index("ix_package_deltas_package_id", "package_deltas", ["package_id"], unique=False)
    op.create_table(
        "package_organizations",
        sa.Column("package_id", sa.BigInteger(), nullable=False),
        sa.Column("organization_id", sa.BigInteger(), nullable=False),
        sa.Column("organization_public_id", sa.Uuid(), nullable=False),
        sa.Column("host", sa.Text(), nullable=False),
        sa.Column("login", sa.Text(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column(
            "repositories", sa.Integer(), server_default=sa.text("0"), nullable=False, comment="0: it depended once."
        ),
        sa.Column("runtime_repositories", sa.Integer(), server_default=sa.text("0"), nullable=False),
        sa.Column("development_repositories", sa.Integer(), server_default=sa.text("0"), nullable=False),
        sa.Column("test_repositories", sa.Integer(), server_default=sa.text("0"), nullable=False),
        sa.Column("build_repositories", sa.Integer(), server_default=sa.text("0"), nullable=False),
        sa.Column("peer_repositories", sa.Integer(), server_default=sa.text("0"), nullable=False),
        sa.Column("optional_repositories", sa.Integer(), server_default=sa.text("0"), nullable=False),
        sa.Column("unknown_repositories", sa.Integer(), server_default=sa.text("0"), nullable=False),
        sa.Column("stars", sa.BigInteger(), nullable=True, comment="Of the dependent repositories; null: unknown."),
        sa.Column("last_activity_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("first_seen_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("providers", sa.ARRAY(sa.Text()), server_default=sa.text("'{}'"), nullable=False),
        sa.Column(
            "evidence",
            postgresql.JSONB(astext_type=sa.Text()),
            nullable=True,
            comment="The strongest statement of the strongest repository.",
        ),
        sa.ForeignKeyConstraint(
            ["organization_id"], ["organizations.id"], name=op.f("fk_package_organizations_organization_id")
        ),
        sa.ForeignKeyConstraint(["package_id"], ["packages.id"], name=op.f("fk_package_organizations_package_id")),
        sa.PrimaryKeyConstraint("package_id", "organization_id", name=op.f("pk_package_organizations")),
    )
    op.create_index(
        "ix_package_organizations_build",
        "package_organizations",
        ["package_id", "repositories", "organization_id"],
        unique=False,
        postgresql_where=sa.text("build_repositories > 0"),
    )
    op.create_index(
        "ix_package_organizations_by_last_activity",
        "package_organizations",
        ["package_id", sa.literal_column("coalesce(last_activity_at, '-infinity'::timestamptz)"), "organization_id"],
        unique=False,
        postgresql_include=[
            "organization_public_id",
            "host",
            "login",
            "kind",
            "repositories",
            "runtime_repositories",
            "development_repositories",
            "test_repositories",
            "build_repositories",
            "peer_repositories",
            "optional_repositories",
            "unknown_repositories",
            "stars",
            "last_activity_at",
            "first_seen_at",
            "providers",
            "evidence",
        ],
        postgresql_where=sa.text("repositories > 0"),
    )
    op.create_index(
        "ix_package_organizations_by_repositories",
        "package_organizations",
        ["package_id", "repositories", "organization_id"],
        unique=False,
        postgresql_include=[
            "organization_public_id",
            "host",
            "login",
            "kind",
            "runtime_repositories",
            "development_repositories",
            "test_repositories",
            "build_repositories",
            "peer_repositories",
            "optional_repositories",
            "unknown_repositories",
            "stars",
            "last_activity_at",
            "first_seen_at",
            "providers",
            "evidence",
        ],
        postgresql_where=sa.text("repositories > 0"),
    )
    op.create_index(
        "ix_package_organizations_by_stars",
        "package_organizations",
        ["package_id", sa.literal_column("coalesce(stars, '-1'::bigint)"), "organization_id"],
        unique=False,
        postgresql_include=[
            "organization_public_id",
            "host",
            "login",
            "kind",
            "repositories",
            "runtime_repositories",
            "development_repositories",
            "test_repositories",
            "build_repositories",
            "peer_repositories",
            "optional_repositories",
            "unknown_repositories",
            "stars",
            "last_activity_at",
            "first_seen_at",
            "providers",
            "evidence",
        ],
        postgresql_where=sa.text("repositories > 0"),
    )
    op.create_index(
        "ix_package_organizations_development",
        "package_organizations",
        ["package_id", "repositories", "organization_id"],
        unique=False,
        postgresql_where=sa.text("development_repositories > 0"),
    )
    op.create_index(
        "ix_package_organizations_optional",
        "package_organizations",
        ["package_id", "repositories", "organization_id"],
        unique=False,
        postgresql_where=sa.text("optional_repositories > 0"),
    )
    op.create_index(
        "ix_package_organizations_peer",
        "package_organizations",
        ["package_id", "repositories", "organization_id"],
        unique=False,
        postgresql_where=sa.text("peer_repositories > 0"),
    )
    op.create_index(
        "ix_package_organizations_runtime",
        "package_organizations",
        ["package_id", "repositories", "organization_id"],
        unique=False,
        postgresql_where=sa.text("runtime_repositories > 0"),
    )
    op.create_index(
        "ix_package_organizations_test",
        "package_organizations",
        ["package_id", "repositories", "organization_id"],
        unique=False,
        postgresql_where=sa.text("test_repositories > 0"),
    )
    op.create_index(
        "ix_package_organizations_unknown",
        "package_organizations",
        ["package_id", "repositories", "organization_id"],
        unique=False,
        postgresql_where=sa.text("unknown_repositories > 0"),
    )
    op.create_table(
        "package_totals",
        sa.Column("package_id", sa.BigInteger(), nullable=False),
        sa.Column("organizations", sa.Integer(), nullable=False),
        sa.Column("repositories", sa.Integer(), nullable=False),
        sa.Column("own_organization", sa.Integer(), nullable=False),
        sa.Column("no_owner", sa.Integer(), nullable=False),
        sa.Column("as_of", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["package_id"], ["packages.id"], name=op.f("fk_package_totals_package_id")),
        sa.PrimaryKeyConstraint("package_id", name=op.f("pk_package_totals")),
    )
    op.create_table(
        "sources",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=True), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("provider", sa.Text(), nullable=False, comment="Name of the provider that told it."),
        sa.Column("package_id", sa.BigInteger(), nullable=True, comment="The publishing package."),
        sa.Column("repository_id", sa.BigInteger(), nullable=True, comment="Null: it names none."),
        sa.Column("repository_verified", sa.Boolean(), server_default=sa.text("false"), nullable=False),
        sa.Column("revision", sa.Text(), nullable=True, comment="The version of the package."),
        sa.Column(
            "diagnostics", postgresql.JSONB(astext_type=sa.Text()), server_default=sa.text("'[]'"), nullable=False
        ),
        sa.Column("checked_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.CheckConstraint("kind IN ('registry_version')", name=op.f("ck_sources_kind")),
        sa.ForeignKeyConstraint(["package_id"], ["packages.id"], name=op.f("fk_sources_package_id")),
        sa.ForeignKeyConstraint(["repository_id"], ["repositories.id"], name=op.f("fk_sources_repository_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_sources")),
        sa.UniqueConstraint("package_id", "provider", "kind", name=op.f("uq_sources_package_id_provider_kind")),
    )
    op.create_index("ix_sources_repository_id", "sources", ["repository_id"], unique=False)
    op.create_table(
        "statements",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=True), nullable=False),
        sa.Column("package_id", sa.BigInteger(), nullable=False, comment="What is needed."),
        sa.Column("source_id", sa.BigInteger(), nullable=False, comment="Who says so."),
        sa.Column(
            "scope",
            sa.SmallInteger(),
            nullable=False,
            comment="One bit of runtime, development, test, build, peer, optional, unknown",
        ),
        sa.Column("optional", sa.Boolean(), nullable=False),
        sa.Column("direct", sa.Boolean(), nullable=False),
        sa.Column("requirement", sa.Text(), nullable=True, comment="The range as written."),
        sa.Column("resolved_version", sa.Text(), nullable=True),
        sa.Column("alias", sa.Text(), nullable=True),
        sa.Column("groups", sa.ARRAY(sa.Text()), nullable=False),
        sa.Column("marker", sa.Text(), nullable=True),
        sa.Column("field", sa.Text(), nullable=True, comment="The key of the document it stands under."),
        sa.Column("line", sa.Integer(), nullable=True),
        sa.Column(
            "fingerprint",
            sa.Uuid(),
            nullable=False,
            comment="Hash of all that makes it this statement, but for its line.",
        ),
        sa.Column("first_seen_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("removed_at", sa.DateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(["package_id"], ["packages.id"], name=op.f("fk_statements_package_id")),
        sa.ForeignKeyConstraint(["source_id"], ["sources.id"], name=op.f("fk_statements_source_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_statements")),
    )
    op.create_index(
        "ix_statements_package_id",
        "statements",
        ["package_id"],
        unique=False,
        postgresql_where=sa.text("removed_at IS NULL"),
    )
    op.create_index(
        "uq_statements_current",
        "statements",
        ["source_id", "package_id", "fingerprint"],
        unique=True,
        postgresql_where=sa.text("removed_at IS NULL"),
    )
    op.create_table(
        "dependencies",
        sa.Column("package_id", sa.BigInteger(), nullable=False),
        sa.Column("repository_id", sa.BigInteger(), nullable=False),
        sa.Column("organization_id", sa.BigInteger(), nullable=True, comment="Null: the owner is unknown."),
        sa.Column(
            "scopes",
            sa.SmallInteger(),
            server_default=sa.text("0"),
            nullable=False,
            comment="Union of scope bits; 0: no more.",
        ),
        sa.Column("direct", sa.Boolean(), server_default=sa.text("false"), nullable=False),
        sa.Column(
            "claimed",
            sa.Boolean(),
            server_default=sa.text("true"),
            nullable=False,
            comment="Only the package says it is its.",
        ),
        sa.Column("exclusion", sa.Text(), nullable=True, comment="Why the pair is not counted; null: it is."),
        sa.Column("statement_id", sa.BigInteger(), nullable=True, comment="The strongest evidence."),
        sa.Column("providers", sa.ARRAY(sa.Text()), server_default=sa.text("'{}'"), nullable=False),
        sa.Column("first_seen_at", sa.DateTime(timezone=True), nullable=True),
        sa.CheckConstraint("exclusion IN ('own_organization', 'no_owner')", name=op.f("ck_dependencies_exclusion")),
        sa.ForeignKeyConstraint(
            ["organization_id"], ["organizations.id"], name=op.f("fk_dependencies_organization_id")
        ),
        sa.ForeignKeyConstraint(["package_id"], ["packages.id"], name=op.f("fk_dependencies_package_id")),
        sa.ForeignKeyConstraint(["repository_id"], ["repositories.id"], name=op.f("fk_dependencies_repository_id")),
        sa.ForeignKeyConstraint(["statement_id"], ["statements.id"], name=op.f("fk_dependencies_statement_id")),
        sa.PrimaryKeyConstraint("package_id", "repository_id", name=op.f("pk_dependencies")),
    )
    op.create_index(
        "ix_dependencies_counted",
        "dependencies",
        ["package_id", "repository_id"],
        unique=False,
        postgresql_where=sa.text("exclusion IS NULL AND scopes <> 0"),
    )
    op.create_index(
        "ix_dependencies_package_id_organization_id", "dependencies", ["package_id", "organization_id"], unique=False
    )
    op.create_index("ix_dependencies_repository_id", "dependencies", ["repository_id"], unique=False)
    op.create_index("ix_dependencies_statement_id", "dependencies", ["statement_id"], unique=False)
    # An index alone answers a page only where the visibility map is fresh, so vacuum comes early here.
    op.execute(
        "ALTER TABLE package_organizations SET (autovacuum_vacuum_scale_factor = 0.02,"
        " autovacuum_vacuum_insert_scale_factor = 0.02)"
    )
    # Rows live for a second; what is left of them must not be read for long.
    op.execute(
        "ALTER TABLE package_deltas SET (autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 1000)"
    )


def downgrade() -> None:
    for table in (
        "dependencies",
        "statements",
        "sources",
        "package_totals",
        "package_organizations",
        "package_deltas",
        "packages",
        "repositories",
        "accounts",
        "providers",
        "provider_subjects",
        "organizations",
        "job_executions",
    ):
        op.drop_table(table)
