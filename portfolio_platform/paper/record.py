"""The stream of a paper run in the book, ``paper/<portfolio>``: what it was asked for, each session, each run of the monitor, its end.

For the command line and pages: `read_record` returns all of it, `kept_of` the state of the newest session.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, TypeAlias
from urllib.parse import quote, unquote

import orjson
from sqlalchemy import Connection, select

from portfolio_platform.book import schema, snapshots
from portfolio_platform.book.events import NewEvent, StoredEvent
from portfolio_platform.book.snapshots import Snapshot
from portfolio_platform.broker.model import Filled
from portfolio_platform.canonical import canonical_bytes
from portfolio_platform.codec import decode, encode, from_bytes, to_bytes
from portfolio_platform.days import NANOSECONDS_PER_SECOND
from portfolio_platform.errors import StoreProblem
from portfolio_platform.paper.model import Finished, Kept, Monitored, Opened, SessionClosed, SignalSaid

PREFIX = "paper/"
PaperEvent: TypeAlias = Opened | SessionClosed | Monitored | Finished
NAMES: dict[str, type[Any]] = {
    "paper_opened": Opened,
    "paper_session": SessionClosed,
    "paper_monitored": Monitored,
    "paper_finished": Finished,
}
_TYPES = {kind: name for name, kind in NAMES.items()}
_LOG = schema.events.c
ROWS_AT_ONCE = 500


@dataclass(frozen=True)
class Record:
    """A run as its stream tells it.

    Attributes:
        version: of the stream.
        opened: what it was asked for; None where there was no run.
        sessions: in their order.
        monitored: runs of the monitor, in their order.
        finished: the newest end that was reached; None where none was.
    """

    version: int
    opened: Opened | None
    sessions: tuple[SessionClosed, ...]
    monitored: tuple[Monitored, ...]
    finished: Finished | None

    @property
    def fills(self) -> Iterator[Filled]:
        """Yield every execution, in the order of time."""
        return (fill for session in self.sessions for fill in session.fills)

    @property
    def signals(self) -> Iterator[tuple[int, SignalSaid]]:
        """Yield everything that was said of signals, each with the time of its session; the newest of an id counts."""
        return ((session.at, signal) for session in self.sessions for signal in session.signals)


def stream_of(portfolio: str) -> str:
    """Return the stream of a portfolio's paper run."""
    return f"{PREFIX}{quote(portfolio, safe='')}"


def new_event(portfolio: str, event: PaperEvent, key: str) -> NewEvent:
    """Return an event as the log takes it."""
    kind = type(event)
    encoded = canonical_bytes({"event": encode(event, kind)}, floats=False, plain=True)
    return NewEvent(stream_of(portfolio), _TYPES[kind], {}, f"{stream_of(portfolio)}/{key}", encoded)


def read_record(connection: Connection, portfolio: str, *, until: int | None = None) -> Record:
    """Return a run as the book has it, empty where there is none; rows are fetched as needed.

    Args:
        connection: any transaction.
        portfolio: whose.
        until: a version of the stream; all of it where None.
    """
    query = select(_LOG.version, _LOG.type, _LOG.content).where(_LOG.stream == stream_of(portfolio)).order_by(_LOG.version)
    if until is not None:
        query = query.where(_LOG.version <= until)
    opened: Opened | None = None
    finished: Finished | None = None
    sessions: list[SessionClosed] = []
    monitored: list[Monitored] = []
    version = 0
    with connection.execute(query.execution_options(yield_per=ROWS_AT_ONCE)) as rows:
        for place, name, content in rows:
            version = place
            event = decode(orjson.loads(content)["data"]["event"], NAMES[name])
            if isinstance(event, SessionClosed):
                sessions.append(event)
            elif isinstance(event, Monitored):
                monitored.append(event)
            elif isinstance(event, Finished):
                finished = event
            else:
                opened = event
    return Record(version, opened, tuple(sessions), tuple(monitored), finished)


def portfolios_of(connection: Connection) -> list[str]:
    """Return the portfolios that a paper run was ever begun for, sorted."""
    query = select(_LOG.stream).where(_LOG.stream.startswith(PREFIX, autoescape=True), _LOG.version == 1)
    return sorted(unquote(stream.removeprefix(PREFIX)) for (stream,) in connection.execute(query))


def kept_of(connection: Connection, portfolio: str) -> tuple[int, Kept] | None:
    """Return the loop's state at the end of its newest transaction, with the version of its stream; None where there is none.

    Raises:
        StoreProblem: its bytes are damaged, or of another version's layout. Unlike a workflow's, this state is not made again from its
            stream alone.
    """
    stream = stream_of(portfolio)
    found = snapshots.kept(connection, [stream]).get(stream)
    if found is None:
        return None
    if not found.is_sound:
        raise StoreProblem(f"the state of the paper run {portfolio!r} does not have the hash that was recorded; restore a backup")
    try:
        kept: Kept = from_bytes(found.content, Kept)
    except (KeyError, IndexError, TypeError, ValueError) as error:
        raise StoreProblem(
            f"the state of the paper run {portfolio!r} was kept by another version of the platform ({error}); finish it with that version, "
            "or begin a run under another name (--portfolio NAME)"
        ) from error
    return found.version, kept


def snapshot_of(portfolio: str, kept: Kept, stored: StoredEvent) -> Snapshot:
    """Return the loop's state as the book keeps it, beside the event that it rests on."""
    return Snapshot.of(stream_of(portfolio), stored.version, stored.version, to_bytes(kept, Kept), stored.seq)


def instant_of(ns: int) -> datetime:
    """Return a time as the clock says it."""
    return datetime.fromtimestamp(ns // NANOSECONDS_PER_SECOND, UTC)
