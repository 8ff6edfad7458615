"""Alerts and their outbox, silences, recommendations, annotations, and the runs of the monitor."""

from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

SEQUENCE_NUMBER = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def _make(name: str, texts: str, *others: sa.Column[Any], optional: str = "", last: tuple[sa.Constraint, ...] = ()) -> None:
    """Make a read model: its id, texts that are never null, texts that may be, other columns, and the event it rests on."""
    op.create_table(
        name,
        sa.Column("id", sa.Text(), nullable=False),
        *(sa.Column(column, sa.Text(), nullable=False) for column in texts.split()),
        *(sa.Column(column, sa.Text(), nullable=True) for column in optional.split()),
        *others,
        sa.Column("event_seq", SEQUENCE_NUMBER, nullable=False),
        sa.PrimaryKeyConstraint("id", name=f"pk_{name}"),
        sa.ForeignKeyConstraint(["event_seq"], ["events.seq"], name=f"fk_{name}_event_seq"),
        *last,
    )


def _whole(*names: str) -> tuple[sa.Column[Any], ...]:
    return tuple(sa.Column(name, sa.Integer(), nullable=False) for name in names)


def _bytes(*names: str) -> tuple[sa.Column[Any], ...]:
    return tuple(sa.Column(name, sa.LargeBinary(), nullable=False) for name in names)


def upgrade() -> None:
    """Make the tables."""
    _make(
        "alerts",
        "portfolio rule scope origin severity state first_seen last_seen resolved_by acknowledged_by note told told_most told_on told_then",
        *_whole("sessions", "told_first", "told_last", "revision"),
        *_bytes("content"),
        optional="resolved_on",
    )
    op.create_index("ix_alerts_portfolio_state", "alerts", ["portfolio", "state"])
    _make(
        "notifications",
        "idempotency_key portfolio kind severity alert_ids title created_at due_at status last_error",
        *_whole("attempts"),
        *_bytes("body", "channels"),
        optional="leased_by leased_until",
        last=(sa.UniqueConstraint("idempotency_key", name="uq_notifications_idempotency_key"),),
    )
    op.create_index("ix_notifications_status_due_at", "notifications", ["status", "due_at"])
    _make("silences", "portfolio rule until by reason created_at ended_by", optional="scope ended_at")
    _make(
        "recommendations",
        "portfolio issued expires mode content_hash state decided_by reason",
        *_bytes("content"),
        optional="decided_at",
    )
    op.create_index("ix_recommendations_portfolio_issued", "recommendations", ["portfolio", "issued"])
    _make("annotations", "about by text at")
    op.create_index("ix_annotations_about", "annotations", ["about"])
    _make("monitor_runs", "what finished_at")


def downgrade() -> None:
    """Refuse: a book is never taken back to an older version; restore a backup instead."""
    raise NotImplementedError("a book is never downgraded; restore a backup")
