"""Operators and their keys, approvals, checkpoints of the log; which commands an applied recommendation became."""

from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

SEQUENCE_NUMBER = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def _make(name: str, texts: str, *others: sa.Column[Any], optional: str = "") -> None:
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
    )


def _unique_where(name: str, table: str, column: str, condition: str) -> None:
    where = sa.text(condition)
    op.create_index(name, table, [column], unique=True, sqlite_where=where, postgresql_where=where)


def upgrade() -> None:
    """Make the tables, and the new column of recommendations."""
    op.add_column("recommendations", sa.Column("commands", sa.Text(), nullable=True))
    _make("operators", "name public_key added_at added_by removed_by", optional="removed_at")
    _unique_where("ix_operators_name", "operators", "name", "removed_at IS NULL")
    _make(
        "approvals",
        "portfolio subject decision operator key_id subject_hash signature at state code reason",
        sa.Column("terms_version", sa.Integer(), nullable=True),
        sa.Column("content", sa.LargeBinary(), nullable=False),
        optional="nonce expires_at",
    )
    op.create_index("ix_approvals_subject", "approvals", ["subject"])
    _unique_where("ix_approvals_nonce", "approvals", "nonce", "state = 'accepted'")
    _make("checkpoints", "hash at key_id signature", sa.Column("seq", SEQUENCE_NUMBER, nullable=False))


def downgrade() -> None:
    """Refuse: a book is never taken back to an older version; restore a backup instead."""
    raise NotImplementedError("a book is never downgraded; restore a backup")
