"""Read models: rows that are what the events about them add up to, written in one transaction with those events.

An event of a read model names the table, and for each row that it touches the columns it sets. Applying the events in
their order gives every row again, to the last byte; `rebuild` does so. Content is bytes in a row and text in an event.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, fields
from datetime import datetime
from typing import Any, ClassVar, Protocol, TypeVar

from sqlalchemy import ColumnElement, Connection, LargeBinary, Select, Table, insert, select, update

from portfolio_platform.book import schema
from portfolio_platform.book.engine import take_log_lock
from portfolio_platform.book.events import CHUNK, Json, NewEvent, StoredEvent, append, stream_version
from portfolio_platform.errors import StoreProblem, WrongUse

Value = str | int | bytes | None
Row = dict[str, Value]


class Stored(Protocol):
    """A row as a frozen dataclass whose fields are the columns; `event_seq` is the last event that touched it."""

    __dataclass_fields__: ClassVar[dict[str, Any]]

    @property
    def id(self) -> str:
        """Return the row's id."""
        ...

    @property
    def event_seq(self) -> int:
        """Return the number of the last event about it."""
        ...


R = TypeVar("R", bound=Stored)


@dataclass(frozen=True)
class Change:
    """Something that happened to rows of one table.

    Attributes:
        table: the read model.
        stream: the stream of its event.
        type: what happened.
        rows: each row as it was (None where it is new) and as it is now.
        said: what else the event tells: who, why.
        key: the event's idempotency key; where empty, the place in the stream is taken.
    """

    table: Table
    stream: str
    type: str
    rows: Sequence[tuple[Stored | None, Stored]]
    said: Mapping[str, object] = field(default_factory=dict)
    key: str = ""


def write(connection: Connection, changes: Sequence[Change], *, at: datetime) -> list[StoredEvent]:
    """Append an event for each change and bring the rows to it; a change that changes nothing writes nothing.

    Args:
        connection: a writer's transaction; the rows must have been read in it, after `take_log_lock`.
        changes: what happened, in order.
        at: the time, with a time zone.
    """
    real = [(change, told) for change in changes if (told := _told(change))]
    if not real:
        return []
    take_log_lock(connection)
    versions = {stream: stream_version(connection, stream) for stream in {change.stream for change, _ in real}}
    events = []
    for change, told in real:
        versions[change.stream] += 1
        key = change.key or f"{change.stream}#{versions[change.stream]}"
        events.append(NewEvent(change.stream, change.type, {"table": change.table.name, "rows": told, **change.said}, key))
    stored = append(connection, events, recorded_at=at)
    for event in stored:
        _apply(connection, event)
    return stored


def applied(row: Mapping[str, Value] | None, table: Table, identity: str, told: Mapping[str, Json], seq: int) -> Row:
    """Return a row after an event that sets some of its columns; what may be null and was never set is null."""
    new: Row = dict(row) if row is not None else {**dict.fromkeys(_optional(table)), "id": identity}
    for name, value in told.items():
        if name not in table.c:
            raise StoreProblem(f"event {seq} sets {table.name}.{name}, which there is not; verify the log")
        new[name] = _from_event(table, name, value)
    return new | {"event_seq": seq}


def touched(event: StoredEvent) -> tuple[Table, dict[str, dict[str, Json]]] | None:
    """Return the read model that an event is about, and the columns it sets by row; None where it is about none."""
    data = event.data
    name, rows = data.get("table"), data.get("rows")
    if not isinstance(name, str) or not isinstance(rows, dict) or name not in schema.READ_MODELS:
        return None
    return schema.READ_MODELS[name], {identity: told for identity, told in rows.items() if isinstance(told, dict)}


def load(connection: Connection, kind: type[R], query: Select[tuple[object, ...]]) -> list[R]:
    """Return the rows of a query on a whole read model."""
    names = {item.name for item in fields(kind)}
    return [kind(**{name: value for name, value in row._mapping.items() if name in names}) for row in connection.execute(query)]


def load_by_id(connection: Connection, kind: type[R], table: Table, identities: Iterable[str]) -> dict[str, R]:
    """Return the rows with these ids."""
    wanted = sorted(set(identities))
    found: dict[str, R] = {}
    for start in range(0, len(wanted), CHUNK):
        query = select(table).where(table.c.id.in_(wanted[start : start + CHUNK]))
        found.update((row.id, row) for row in load(connection, kind, query))
    return found


def require_name(by: str, what: str = "by") -> str:
    """Return who does something, which has to be a name. Raises `WrongUse`."""
    name = by.strip()
    if not name or not name.isprintable():
        raise WrongUse(f"{what} is {by!r}; give the name of the person who does this")
    return name


def all_of(conditions: Iterable[ColumnElement[bool] | None]) -> list[ColumnElement[bool]]:
    """Return the conditions that there are."""
    return [condition for condition in conditions if condition is not None]


def _optional(table: Table) -> list[str]:
    """Return the columns that an event of an older version may not know."""
    return [column.name for column in table.c if column.nullable and column.name not in schema.TRANSIENT]


def _told(change: Change) -> dict[str, Row]:
    told: dict[str, Row] = {}
    for before, after in change.rows:
        old = _columns(before) if before is not None else None
        new = {name: value for name, value in _columns(after).items() if old is None or old[name] != value}
        if new or old is None:
            told[after.id] = {name: _to_event(value) for name, value in new.items()}
    return told


def _columns(row: Stored) -> Row:
    names = (item.name for item in fields(row))
    return {name: getattr(row, name) for name in names if name not in ("id", "event_seq") and name not in schema.TRANSIENT}


def _to_event(value: Value) -> Value:
    return value.decode() if isinstance(value, bytes) else value


def _from_event(table: Table, name: str, value: Json) -> Value:
    if isinstance(value, str) and isinstance(table.c[name].type, LargeBinary):
        return value.encode()
    if value is not None and not isinstance(value, (str, int)):
        raise StoreProblem(f"an event holds {value!r} for {table.name}.{name}; verify the log")
    return value


def _apply(connection: Connection, event: StoredEvent) -> None:
    about = touched(event)
    assert about is not None
    table, rows = about
    old: set[str] = set()
    for start in range(0, len(rows), CHUNK):
        chunk = list(rows)[start : start + CHUNK]
        old.update(connection.execute(select(table.c.id).where(table.c.id.in_(chunk))).scalars())
    new = [applied(None, table, identity, told, event.seq) for identity, told in rows.items() if identity not in old]
    if new:
        connection.execute(insert(table), new)
    for identity in sorted(old):
        values = applied({}, table, identity, rows[identity], event.seq)  # what the event does not set stays as it is
        connection.execute(update(table).where(table.c.id == identity).values(values))
