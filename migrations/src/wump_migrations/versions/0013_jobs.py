"""The ledger's dead and paused work, schedules and alerts.

Revision: 0013, after 0012
"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0013"
down_revision = "0012"
branch_labels = None
depends_on = None


def upgrade() -> None:
    for column in _columns():
        op.add_column("job_executions", column)
    op.alter_column(
        "job_executions", "lost_leases", comment="Workers that died of it.", existing_type=sa.SmallInteger()
    )
    op.create_index(
        "ix_job_executions_finished_at",
        "job_executions",
        ["finished_at"],
        postgresql_where=sa.text("finished_at IS NOT NULL"),
    )
    op.create_index("ix_job_executions_dead", "job_executions", ["job"], postgresql_where=sa.text("state = 'dead'"))
    op.create_index(
        "uq_job_executions_schedule_fire_at",
        "job_executions",
        ["schedule", "fire_at"],
        unique=True,
        postgresql_where=sa.text("schedule IS NOT NULL"),
    )
    _create_schedules()
    op.create_table(
        "pauses",
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False, comment="Of the job or the provider."),
        sa.Column("reason", sa.Text(), comment="The operator's words."),
        sa.Column("paused_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.PrimaryKeyConstraint("kind", "name", name=op.f("pk_pauses")),
        sa.CheckConstraint("kind IN ('job', 'provider')", name=op.f("ck_pauses_kind")),
    )
    op.create_table(
        "alerts",
        sa.Column("name", sa.Text(), nullable=False, comment="Such as dead_jobs, or budget_low:github."),
        sa.Column("severity", sa.Text(), nullable=False),
        sa.Column("message", sa.Text(), nullable=False),
        sa.Column("since", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("seen_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("told_at", sa.DateTime(timezone=True), comment="When it was last handed out for telling."),
        sa.Column("delivered_at", sa.DateTime(timezone=True), comment="When the webhook last took it."),
        sa.Column("ended_at", sa.DateTime(timezone=True), comment="When it was over; null: it is not."),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_alerts")),
        sa.CheckConstraint("severity IN ('P1', 'P2', 'P3', 'P4')", name=op.f("ck_alerts_severity")),
    )


def downgrade() -> None:
    for table in ("alerts", "pauses", "schedules"):
        op.drop_table(table)
    for index in ("uq_job_executions_schedule_fire_at", "ix_job_executions_dead", "ix_job_executions_finished_at"):
        op.drop_index(index, table_name="job_executions")
    op.alter_column("job_executions", "lost_leases", comment=None, existing_type=sa.SmallInteger())
    for column in reversed(_columns()):
        op.drop_column("job_executions", column.name)


def _columns() -> list[sa.Column]:
    json = postgresql.JSONB(astext_type=sa.Text())
    return [
        sa.Column("arguments_version", sa.SmallInteger(), server_default=sa.text("1"), nullable=False),
        sa.Column(
            "outage_since",
            sa.DateTime(timezone=True),
            comment="Since when something else than the job keeps it from being done.",
        ),
        sa.Column(
            "schedule", sa.Text(), comment="The schedule that it was due by; null: somebody or something planned it."
        ),
        sa.Column("fire_at", sa.DateTime(timezone=True), comment="Which moment of its schedule it stands for."),
        sa.Column(
            "metadata", json, server_default=sa.text("'{}'"), nullable=False, comment="Such as {worker, skipped}."
        ),
        sa.Column("trace_context", json, comment="W3C traceparent, tracestate and baggage of what planned it."),
    ]


def _create_schedules() -> None:
    op.create_table(
        "schedules",
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("job", sa.Text(), nullable=False),
        sa.Column("subject", sa.Text(), nullable=False),
        sa.Column("arguments", postgresql.JSONB(astext_type=sa.Text()), server_default=sa.text("'{}'"), nullable=False),
        sa.Column("arguments_version", sa.SmallInteger(), server_default=sa.text("1"), nullable=False),
        sa.Column("queue", sa.Text(), server_default="low", nullable=False),
        sa.Column("cron", sa.Text(), nullable=False, comment="Minute, hour, day of month, month, day of week; in UTC."),
        sa.Column(
            "custom", sa.Boolean(), server_default=sa.text("false"), nullable=False, comment="An operator has set cron."
        ),
        sa.Column("next_at", sa.DateTime(timezone=True), comment="Null: to be worked out, or it can't be, see error."),
        sa.Column("last_fire_at", sa.DateTime(timezone=True), comment="The moment that its last run stands for."),
        sa.Column(
            "skipped",
            sa.Integer(),
            server_default=sa.text("0"),
            nullable=False,
            comment="Moments without a run before that.",
        ),
        sa.Column("paused_at", sa.DateTime(timezone=True)),
        sa.Column("error", sa.Text(), comment="Why it is never due; null: it is."),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_schedules")),
        sa.CheckConstraint("queue IN ('high', 'normal', 'low')", name=op.f("ck_schedules_queue")),
    )
