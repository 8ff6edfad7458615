"""States that a stream's events add up to, kept so that its history need not be replayed whole."""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

SEQUENCE_NUMBER = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    """Make the table."""
    op.create_table(
        "snapshots",
        sa.Column("stream", sa.Text(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("carried", sa.Integer(), nullable=False),
        sa.Column("content", sa.LargeBinary(), nullable=False),
        sa.Column("hash", sa.Text(), nullable=False),
        sa.Column("event_seq", SEQUENCE_NUMBER, nullable=False),
        sa.PrimaryKeyConstraint("stream", name="pk_snapshots"),
        sa.ForeignKeyConstraint(["event_seq"], ["events.seq"], name="fk_snapshots_event_seq"),
    )


def downgrade() -> None:
    """Refuse: a book is never taken back to an older version; restore a backup instead."""
    raise NotImplementedError("a book is never downgraded; restore a backup")
