"""The event log: append-only, in one order, each event bound to all before it by its hash.

An event's content is the canonical bytes of its stream, version, type, key, time and data; its hash is SHA-256 over
the previous event's hash and these bytes. `chain` verifies it.
"""

import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from types import NoneType
from typing import TypeAlias

import orjson
from sqlalchemy import Connection, select

from portfolio_platform.book import schema, statements
from portfolio_platform.book.engine import take_log_lock
from portfolio_platform.book.instants import instant_text
from portfolio_platform.canonical import canonical_bytes
from portfolio_platform.errors import DataProblem, WrongUse

GENESIS_HASH = "0" * 64
"""What stands as the previous hash of the first event."""

CHUNK = 500
"""How many values one IN-list holds."""

ROWS_AT_ONCE = 1_000
"""How many rows a streaming read fetches at a time."""

Json: TypeAlias = "bool | int | str | list[Json] | dict[str, Json] | None"
"""What an event may hold: JSON without floats."""


class IdempotencyConflict(DataProblem):
    """A key that the log knows came with other content."""


class ConcurrencyConflict(DataProblem):
    """A stream has moved on since the caller read it."""


@dataclass(frozen=True)
class NewEvent:
    """An event to append.

    Attributes:
        stream: what it is about, such as `reports/<portfolio>`.
        type: what happened, such as `report_published`.
        data: what there is to say, without floats; money in minor units, decimals as text.
        idempotency_key: the event's identity in the whole log; appended again, it is written once.
        encoded: the canonical bytes of the data, where the caller has them already and vouches for them (`is_canonical`
            says whether they are); `data` is then not looked at.
    """

    stream: str
    type: str
    data: Mapping[str, object]
    idempotency_key: str
    encoded: bytes | None = None


@dataclass(frozen=True)
class StoredEvent:
    """An event as the log holds it; `content` is the very bytes that were hashed."""

    seq: int
    stream: str
    version: int
    type: str
    idempotency_key: str
    recorded_at: str
    content: bytes
    previous_hash: str
    hash: str

    @property
    def data(self) -> dict[str, Json]:
        """The data of the event, read from its content."""
        data: dict[str, Json] = json.loads(self.content)["data"]
        return data


@dataclass(frozen=True)
class ChainHead:
    """The end of the log: the last event's number and hash; of an empty log, 0 and the genesis hash."""

    seq: int
    hash: str


def chain_hash(previous_hash: str, content: bytes) -> str:
    """Return the hash of an event: SHA-256 of the previous hash (its hexadecimal text) followed by the content."""
    return hashlib.sha256(previous_hash.encode("ascii") + content).hexdigest()


def chain_head(connection: Connection) -> ChainHead:
    """Return the end of the log."""
    last = statements.last_event(connection)
    return ChainHead(0, GENESIS_HASH) if last is None else ChainHead(*last)


def stream_version(connection: Connection, stream: str) -> int:
    """Return the version of the last event of a stream; 0 where it has none."""
    return statements.versions(connection, [stream]).get(stream, 0)


def append(
    connection: Connection,
    events: Sequence[NewEvent],
    *,
    recorded_at: datetime,
    expected_version: int | None = None,
) -> list[StoredEvent]:
    """Append events in one batch, in their order; those that the log has already are returned and not written again.

    Args:
        connection: a writer's transaction.
        events: what to append, of any streams.
        recorded_at: the time of the append, with a time zone.
        expected_version: the version that the one stream of the batch had when the caller read it; looked at only
            where something is written, so that a command sent twice succeeds twice.

    Returns:
        The stored events, one for each given, in the same order.

    Raises:
        IdempotencyConflict: a key is known with another stream, type or data.
        ConcurrencyConflict: the stream is not at `expected_version`.
        DataProblem: an event holds a float or something else without a canonical form.
        WrongUse: a name is empty or not printable, or `expected_version` is given for several streams.
    """
    if not events:
        return []
    at = instant_text(recorded_at)
    _check_names(events, expected_version)
    take_log_lock(connection)
    known = by_keys(connection, (event.idempotency_key for event in events))
    versions = statements.versions(connection, list({event.stream for event in events}))
    head = chain_head(connection)
    stored: list[StoredEvent] = []
    written: list[StoredEvent] = []
    for event in events:
        earlier = known.get(event.idempotency_key)
        if earlier is not None:
            _require_same(event, earlier)
            stored.append(earlier)
            continue
        version = versions.get(event.stream, 0)
        if not written and expected_version is not None and version != expected_version:
            raise ConcurrencyConflict(f"stream {event.stream!r} is at version {version}, not {expected_version}; read it again")
        link = _link(event, at, version + 1, head)
        versions[event.stream] = link.version
        known[event.idempotency_key] = link
        head = ChainHead(link.seq, link.hash)
        written.append(link)
        stored.append(link)
    if written:
        statements.insert_events(connection, [tuple(vars(link).values()) for link in written])
    return stored


def read(connection: Connection, stream: str | None = None, after_seq: int = 0, limit: int | None = None) -> Iterator[StoredEvent]:
    """Yield the events after `after_seq` in the log's order, of one stream or of all; rows are fetched as needed."""
    for row in read_rows(connection, stream, after_seq, limit):
        yield StoredEvent(*row)


def read_rows(
    connection: Connection, stream: str | None = None, after_seq: int = 0, limit: int | None = None
) -> Iterator[statements.EventRow]:
    """Yield events as `read` does, each as the plain values of a `StoredEvent`, in the order of its fields."""
    log = schema.events.c
    query = select(schema.events).where(log.seq > after_seq)
    # within a stream the order of the log is that of the versions, which have an index
    query = query.order_by(log.seq) if stream is None else query.where(log.stream == stream).order_by(log.version)
    if limit is not None:
        query = query.limit(limit)
    with connection.execute(query.execution_options(yield_per=ROWS_AT_ONCE)) as result:
        for rows in result.partitions():
            yield from rows


def by_keys(connection: Connection, keys: Iterable[str]) -> dict[str, StoredEvent]:
    """Return the events that have one of these idempotency keys, by key."""
    rows = statements.events_with_keys(connection, list(set(keys)))
    return {event.idempotency_key: event for event in (StoredEvent(*row) for row in rows)}


def is_canonical(encoded: bytes) -> bool:
    """Say whether bytes are the canonical form of an event's data: an object, its keys sorted, without floats."""
    try:
        data = json.loads(encoded, parse_float=_refuse, parse_constant=_refuse)
        return isinstance(data, dict) and canonical_bytes(data, floats=False) == encoded
    except (TypeError, ValueError):
        return False


def _refuse(number: str) -> None:
    raise TypeError(f"{number} has no place in an event")


def _link(event: NewEvent, at: str, version: int, head: ChainHead) -> StoredEvent:
    content = _content(event, at, version)
    return StoredEvent(
        head.seq + 1,
        event.stream,
        version,
        event.type,
        event.idempotency_key,
        at,
        content,
        head.hash,
        chain_hash(head.hash, content),
    )


def _content(event: NewEvent, at: str, version: int) -> bytes:
    """Return the canonical bytes of an event: its members in the order of their names, as `canonical_bytes` would write them."""
    encoded = event.encoded if event.encoded is not None else _encoded(event)
    return b'{"data":%b,"key":%b,"recorded_at":"%b","stream":%b,"type":%b,"version":%d}' % (
        encoded,
        orjson.dumps(event.idempotency_key),
        at.encode(),
        orjson.dumps(event.stream),
        orjson.dumps(event.type),
        version,
    )


def _encoded(event: NewEvent) -> bytes:
    try:
        return canonical_bytes(event.data, floats=False, plain=_is_plain(event.data))
    except (TypeError, ValueError) as error:
        raise DataProblem(f"event {event.idempotency_key!r} of type {event.type!r} cannot be recorded: {error}") from error


_LEAVES = frozenset({str, int, bool, NoneType})


def _is_plain(value: object) -> bool:
    """Say whether a value is JSON without floats as it stands, so that nothing in it has to be brought to a plain form."""
    waiting = [value]
    while waiting:
        one = waiting.pop()
        if type(one) is dict:
            if not all(type(key) is str for key in one):
                return False
            waiting += [item for item in one.values() if type(item) not in _LEAVES]
        elif type(one) is list or type(one) is tuple:
            waiting += [item for item in one if type(item) not in _LEAVES]
        elif type(one) not in _LEAVES:
            return False
    return True


def _require_same(event: NewEvent, earlier: StoredEvent) -> None:
    same_place = event.stream == earlier.stream and event.type == earlier.type
    if not same_place or _content(event, earlier.recorded_at, earlier.version) != earlier.content:
        raise IdempotencyConflict(
            f"key {event.idempotency_key!r} was recorded as event {earlier.seq} ({earlier.type} in {earlier.stream!r}) "
            "with other content; use another key, or find out who used this one"
        )


def _check_names(events: Sequence[NewEvent], expected_version: int | None) -> None:
    for event in events:
        for what, name in (("stream", event.stream), ("type", event.type), ("key", event.idempotency_key)):
            if not name or not name.isprintable():
                raise WrongUse(f"an event's {what} is {name!r}; it must be printable text and not empty")
    if expected_version is not None and len({event.stream for event in events}) > 1:
        raise WrongUse("expected_version speaks of one stream, and the batch has several; append them one by one")
