"""The newest state that was kept of a stream: its bytes, their hash, and up to which version what follows from it was done.

A snapshot saves replaying and says nothing that the events do not: where it is missing or damaged, the stream is replayed whole.
"""

import hashlib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from sqlalchemy import Connection, delete, insert, select

from portfolio_platform.book import schema
from portfolio_platform.book.events import CHUNK

_TABLE = schema.snapshots
ROWS_AT_ONCE = 100


@dataclass(frozen=True)
class Snapshot:
    """A stream's state at one of its versions.

    Attributes:
        stream: of which stream.
        version: of the last event that it has seen.
        carried: up to which version the commands that follow from the events were carried out; not before ``version``.
        content: canonical bytes of the state.
        hash: SHA-256 of them, hexadecimal.
        event_seq: number of the event at ``version`` in the log.
    """

    stream: str
    version: int
    carried: int
    content: bytes
    hash: str
    event_seq: int

    @classmethod
    def of(cls, stream: str, version: int, carried: int, content: bytes, event_seq: int) -> "Snapshot":
        """Return the snapshot with these bytes."""
        return cls(stream, version, carried, content, hashlib.sha256(content).hexdigest(), event_seq)

    @property
    def is_sound(self) -> bool:
        """Say whether the bytes have the hash that was recorded."""
        return hashlib.sha256(self.content).hexdigest() == self.hash


def keep(connection: Connection, snapshots: Sequence[Snapshot]) -> None:
    """Keep snapshots, each in the place of the one before it of its stream."""
    if not snapshots:
        return
    _forget(connection, [one.stream for one in snapshots])
    connection.execute(insert(_TABLE), [vars(one) for one in snapshots])


def carried_on(connection: Connection, until: Iterable[tuple[str, int]]) -> None:
    """Note up to which version the commands of streams were carried out, where the kept state stays as it is."""
    from sqlalchemy import bindparam, update

    rows = [{"name": stream, "upto": version} for stream, version in until]
    if rows:
        connection.execute(update(_TABLE).where(_TABLE.c.stream == bindparam("name")).values(carried=bindparam("upto")), rows)


def kept(connection: Connection, streams: Sequence[str]) -> dict[str, Snapshot]:
    """Return the snapshots of streams that have one."""
    found = {}
    for begin in range(0, len(streams), CHUNK):
        query = select(_TABLE).where(_TABLE.c.stream.in_(streams[begin : begin + CHUNK]))
        found.update({row.stream: Snapshot(**row._mapping) for row in connection.execute(query)})
    return found


def under(connection: Connection, prefix: str) -> Iterator[Snapshot]:
    """Yield the snapshots of the streams whose name begins with a text, by name; rows are fetched as needed."""
    query = select(_TABLE).where(_TABLE.c.stream.startswith(prefix, autoescape=True)).order_by(_TABLE.c.stream)
    with connection.execute(query.execution_options(yield_per=ROWS_AT_ONCE)) as rows:
        for row in rows:
            yield Snapshot(**row._mapping)


def _forget(connection: Connection, streams: Sequence[str]) -> None:
    for begin in range(0, len(streams), CHUNK):
        connection.execute(delete(_TABLE).where(_TABLE.c.stream.in_(streams[begin : begin + CHUNK])))
