"""The statements that every append runs: one form of each, whatever the number of names it is asked about.

A list of names goes to the store as one JSON text. On SQLite the text of a statement is compiled once for the process and
handed to the driver as it is: the statement costs less than building it would. Rows are in the order of the columns of
`schema.events`.
"""

from collections.abc import Iterable, Sequence
from functools import cache
from typing import Any, TypeAlias

import orjson
from sqlalchemy import JSON, Connection, Select, Text, bindparam, cast, column, func, insert, select
from sqlalchemy.dialects import sqlite

from portfolio_platform.book import schema

EventRow: TypeAlias = tuple[int, str, int, str, str, str, bytes, str, str]
"""An event as plain values: seq, stream, version, type, key, time, content, previous hash, hash."""

_log = schema.events.c


def last_event(connection: Connection) -> tuple[int, str] | None:
    """Return number and hash of the last event; None where the log is empty."""
    row = _run(connection, "last").first()
    return None if row is None else (row[0], row[1])


def versions(connection: Connection, streams: Sequence[str]) -> dict[str, int]:
    """Return the version of the last event of each stream that has one. A look into the index for each, however long it is."""
    return {stream: version for stream, version in _run(connection, "versions", streams) if version is not None}


def events_with_keys(connection: Connection, keys: Sequence[str]) -> Iterable[EventRow]:
    """Return the events that have one of these keys."""
    found: Iterable[EventRow] = _run(connection, "keys", keys)
    return found


def insert_events(connection: Connection, rows: Sequence[EventRow]) -> None:
    """Insert events."""
    if connection.dialect.name == "sqlite":
        connection.exec_driver_sql(_text("insert"), list(rows))
    else:
        names = schema.events.c.keys()
        connection.execute(insert(schema.events), [dict(zip(names, row, strict=True)) for row in rows])


def book_version(connection: Connection) -> str | None:
    """Return the version that the book says it has."""
    found = [str(one) for one in _run(connection, "book_version").scalars()]
    return " and ".join(found) or None


def _run(connection: Connection, name: str, names: Sequence[str] | None = None) -> Any:
    told = None if names is None else orjson.dumps(names).decode()
    if connection.dialect.name == "sqlite":
        return connection.exec_driver_sql(_text(name), None if told is None else (told,))
    return connection.execute(_statement(name, "postgresql"), None if told is None else {"names": told})


@cache
def _text(name: str) -> str:
    """Return the text of a statement for SQLite."""
    if name == "insert":
        return str(insert(schema.events).compile(dialect=sqlite.dialect()))
    return str(_statement(name, "sqlite").compile(dialect=sqlite.dialect()))


@cache
def _statement(name: str, dialect: str) -> Select[Any]:
    if name == "last":
        return select(_log.seq, _log.hash).where(_log.seq == select(func.max(_log.seq)).scalar_subquery())
    if name == "book_version":
        return select(schema.book_version.c.version_num)
    told = bindparam("names", type_=Text)
    if dialect == "sqlite":
        given = func.json_each(told).table_valued(column("value", Text), name="given")
    else:
        given = func.json_array_elements_text(cast(told, JSON)).table_valued(column("value", Text), name="given")
    if name == "versions":
        # not GROUP BY: the store would walk through every event of the streams to find the last ones
        last = select(func.max(_log.version)).where(_log.stream == given.c.value).scalar_subquery()
        return select(given.c.value, last)
    assert name == "keys"
    return select(schema.events).where(_log.idempotency_key.in_(select(given.c.value)))
