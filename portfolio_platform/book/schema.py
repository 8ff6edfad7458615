"""The tables of the book, as SQLAlchemy Core metadata, and the version of the schema that this code knows.

The migrations make these tables; a test holds that both say the same. Instants and days are ISO text (see
`instants`), content is the very bytes that were hashed.
"""

from sqlalchemy import (
    BigInteger,
    Column,
    ForeignKey,
    Integer,
    LargeBinary,
    MetaData,
    Table,
    Text,
    UniqueConstraint,
    column,
    table,
)

VERSION = "0001"
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
