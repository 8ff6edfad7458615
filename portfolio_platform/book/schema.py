"""The tables of the book, as SQLAlchemy Core metadata, and the version of the schema that this code knows.

The migrations make these tables; a test holds that both say the same. Instants and days are ISO text (see
`instants`), content is the very bytes that were hashed. The tables from `alerts` on are read models: each row is what the
events about it add up to (see `read_models`), but for the columns in `TRANSIENT`; `snapshots` saves replaying.
"""

from sqlalchemy import (
    BigInteger,
    Column,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    Table,
    Text,
    UniqueConstraint,
    column,
    table,
    text,
)

VERSION = "0004"
"""The newest migration: the version of a book that this code reads and writes. Versions order as text."""

VERSION_TABLE = "book_version"
"""Where Alembic keeps the version; its own name, so that a database may be shared with another application."""

metadata = MetaData(
    naming_convention={
        "pk": "pk_%(table_name)s",
        "fk": "fk_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
    }
)

SEQUENCE_NUMBER = BigInteger().with_variant(Integer(), "sqlite")
"""64 bits in both stores; in SQLite it is the row's own address."""

book_version = table(VERSION_TABLE, column("version_num", Text))

events = Table(
    "events",
    metadata,
    Column("seq", SEQUENCE_NUMBER, primary_key=True, autoincrement=False),
    Column("stream", Text, nullable=False),
    Column("version", Integer, nullable=False),
    Column("type", Text, nullable=False),
    Column("idempotency_key", Text, nullable=False),
    Column("recorded_at", Text, nullable=False),
    Column("content", LargeBinary, nullable=False),
    Column("previous_hash", Text, nullable=False),
    Column("hash", Text, nullable=False),
    UniqueConstraint("stream", "version"),
    UniqueConstraint("idempotency_key"),
)

reports = Table(
    "reports",
    metadata,
    Column("id", Text, primary_key=True),
    Column("portfolio", Text, nullable=False),
    Column("day", Text, nullable=False),
    Column("kind", Text, nullable=False),
    Column("revision", Integer, nullable=False),
    Column("content_hash", Text, nullable=False),
    Column("schema_version", Integer, nullable=False),
    Column("policy_hash", Text, nullable=False),
    Column("content", LargeBinary, nullable=False),
    Column("provenance", LargeBinary, nullable=False),
    Column("published_at", Text, nullable=False),
    Column("event_seq", SEQUENCE_NUMBER, ForeignKey("events.seq"), nullable=False),
    UniqueConstraint("portfolio", "kind", "day", "revision"),
)

policies = Table(
    "policies",
    metadata,
    Column("hash", Text, primary_key=True),
    Column("name", Text, nullable=False),
    Column("content", LargeBinary, nullable=False),
    Column("archived_at", Text, nullable=False),
)

alerts = Table(
    "alerts",
    metadata,
    Column("id", Text, primary_key=True),
    Column("portfolio", Text, nullable=False),
    Column("rule", Text, nullable=False),
    Column("scope", Text, nullable=False),
    Column("origin", Text, nullable=False),
    Column("severity", Text, nullable=False),
    Column("state", Text, nullable=False),
    Column("first_seen", Text, nullable=False),
    Column("last_seen", Text, nullable=False),
    Column("resolved_on", Text),
    Column("resolved_by", Text, nullable=False),
    Column("acknowledged_by", Text, nullable=False),
    Column("note", Text, nullable=False),
    Column("sessions", Integer, nullable=False),
    Column("told", Text, nullable=False),
    Column("told_most", Text, nullable=False),
    Column("told_first", Integer, nullable=False),
    Column("told_last", Integer, nullable=False),
    Column("told_on", Text, nullable=False),
    Column("told_then", Text, nullable=False),
    Column("revision", Integer, nullable=False),
    Column("content", LargeBinary, nullable=False),
    Column("event_seq", SEQUENCE_NUMBER, ForeignKey("events.seq"), nullable=False),
    Index(None, "portfolio", "state"),
)

notifications = Table(
    "notifications",
    metadata,
    Column("id", Text, primary_key=True),
    Column("idempotency_key", Text, nullable=False),
    Column("portfolio", Text, nullable=False),
    Column("kind", Text, nullable=False),
    Column("severity", Text, nullable=False),
    Column("alert_ids", Text, nullable=False),
    Column("title", Text, nullable=False),
    Column("body", LargeBinary, nullable=False),
    Column("created_at", Text, nullable=False),
    Column("due_at", Text, nullable=False),
    Column("attempts", Integer, nullable=False),
    Column("status", Text, nullable=False),
    Column("channels", LargeBinary, nullable=False),
    Column("last_error", Text, nullable=False),
    Column("leased_by", Text),
    Column("leased_until", Text),
    Column("event_seq", SEQUENCE_NUMBER, ForeignKey("events.seq"), nullable=False),
    UniqueConstraint("idempotency_key"),
    Index(None, "status", "due_at"),
)

silences = Table(
    "silences",
    metadata,
    Column("id", Text, primary_key=True),
    Column("portfolio", Text, nullable=False),
    Column("rule", Text, nullable=False),
    Column("scope", Text),
    Column("until", Text, nullable=False),
    Column("by", Text, nullable=False),
    Column("reason", Text, nullable=False),
    Column("created_at", Text, nullable=False),
    Column("ended_at", Text),
    Column("ended_by", Text, nullable=False),
    Column("event_seq", SEQUENCE_NUMBER, ForeignKey("events.seq"), nullable=False),
)

recommendations = Table(
    "recommendations",
    metadata,
    Column("id", Text, primary_key=True),
    Column("portfolio", Text, nullable=False),
    Column("issued", Text, nullable=False),
    Column("expires", Text, nullable=False),
    Column("mode", Text, nullable=False),
    Column("content", LargeBinary, nullable=False),
    Column("content_hash", Text, nullable=False),
    Column("state", Text, nullable=False),
    Column("decided_by", Text, nullable=False),
    Column("decided_at", Text),
    Column("reason", Text, nullable=False),
    Column("commands", Text),
    Column("event_seq", SEQUENCE_NUMBER, ForeignKey("events.seq"), nullable=False),
    Index(None, "portfolio", "issued"),
)

annotations = Table(
    "annotations",
    metadata,
    Column("id", Text, primary_key=True),
    Column("about", Text, nullable=False),
    Column("by", Text, nullable=False),
    Column("text", Text, nullable=False),
    Column("at", Text, nullable=False),
    Column("event_seq", SEQUENCE_NUMBER, ForeignKey("events.seq"), nullable=False),
    Index(None, "about"),
)

monitor_runs = Table(
    "monitor_runs",
    metadata,
    Column("id", Text, primary_key=True),
    Column("what", Text, nullable=False),
    Column("finished_at", Text, nullable=False),
    Column("event_seq", SEQUENCE_NUMBER, ForeignKey("events.seq"), nullable=False),
)

_IN_OFFICE = text("removed_at IS NULL")
_ACCEPTED = text("state = 'accepted'")

operators = Table(
    "operators",
    metadata,
    Column("id", Text, primary_key=True),
    Column("name", Text, nullable=False),
    Column("public_key", Text, nullable=False),
    Column("added_at", Text, nullable=False),
    Column("added_by", Text, nullable=False),
    Column("removed_at", Text),
    Column("removed_by", Text, nullable=False),
    Column("event_seq", SEQUENCE_NUMBER, ForeignKey("events.seq"), nullable=False),
    Index(None, "name", unique=True, sqlite_where=_IN_OFFICE, postgresql_where=_IN_OFFICE),
)

approvals = Table(
    "approvals",
    metadata,
    Column("id", Text, primary_key=True),
    Column("portfolio", Text, nullable=False),
    Column("subject", Text, nullable=False),
    Column("decision", Text, nullable=False),
    Column("operator", Text, nullable=False),
    Column("key_id", Text, nullable=False),
    Column("subject_hash", Text, nullable=False),
    Column("terms_version", Integer),
    Column("nonce", Text),
    Column("expires_at", Text),
    Column("content", LargeBinary, nullable=False),
    Column("signature", Text, nullable=False),
    Column("at", Text, nullable=False),
    Column("state", Text, nullable=False),
    Column("code", Text, nullable=False),
    Column("reason", Text, nullable=False),
    Column("event_seq", SEQUENCE_NUMBER, ForeignKey("events.seq"), nullable=False),
    Index(None, "subject"),
    Index(None, "nonce", unique=True, sqlite_where=_ACCEPTED, postgresql_where=_ACCEPTED),
)

checkpoints = Table(
    "checkpoints",
    metadata,
    Column("id", Text, primary_key=True),
    Column("seq", SEQUENCE_NUMBER, nullable=False),
    Column("hash", Text, nullable=False),
    Column("at", Text, nullable=False),
    Column("key_id", Text, nullable=False),
    Column("signature", Text, nullable=False),
    Column("event_seq", SEQUENCE_NUMBER, ForeignKey("events.seq"), nullable=False),
)

snapshots = Table(
    "snapshots",
    metadata,
    Column("stream", Text, primary_key=True),
    Column("version", Integer, nullable=False),
    Column("carried", Integer, nullable=False),
    Column("content", LargeBinary, nullable=False),
    Column("hash", Text, nullable=False),
    Column("event_seq", SEQUENCE_NUMBER, ForeignKey("events.seq"), nullable=False),
)
"""The newest state that was kept of a stream (see `snapshots`): no truth of its own, for its events add up to it."""

READ_MODELS: dict[str, Table] = {
    table.name: table
    for table in (alerts, notifications, silences, recommendations, annotations, monitor_runs, operators, approvals, checkpoints)
}
"""The tables that the events rebuild, by name."""

TRANSIENT = frozenset({"leased_by", "leased_until"})
"""Columns that no event tells of: who is at work on a row right now."""
