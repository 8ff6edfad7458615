"""Workflows in the book: one stream for each portfolio and symbol, their newest states, and what of their commands was carried out.

An event is written under its own identity, so that one that comes twice is written once. The state follows from the events; it is kept
every so many of them, so that a history never has to be replayed whole. Commands follow from the events too: nothing but the version up to
which they were carried out has to be remembered (the outbox), and after a crash `unfinished` says which ones are left.

For the command line, pages and sensors: `get_instrument_state`, `symbols_of`, `history`, `InstrumentLog.advance`, `verify_snapshots`.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, NamedTuple
from urllib.parse import quote, unquote

import orjson
from sqlalchemy import Connection, select

from portfolio_platform.book import schema, snapshots, statements
from portfolio_platform.book.engine import take_log_lock
from portfolio_platform.book.events import NewEvent, StoredEvent, append, by_keys
from portfolio_platform.book.snapshots import Snapshot
from portfolio_platform.book.store import Book
from portfolio_platform.canonical import canonical_bytes
from portfolio_platform.errors import StoreProblem, WrongUse
from portfolio_platform.instruments.state import InstrumentState, InstrumentView, WorkflowTerms

PREFIX = "instruments/"
TYPE = "instrument_"
"""How the types of a workflow's events begin in the log: the control plane has an ``allocation_decided`` of its own."""
EVERY = 200
"""How many events of a stream lie between two of its kept states."""
ROWS_AT_ONCE = 2_000
_LOG = schema.events.c


def stream_of(portfolio: str, symbol: str = "") -> str:
    """Return the name of a workflow's stream; without a symbol, how those of the portfolio begin."""
    return f"{PREFIX}{quote(portfolio, safe='')}/{quote(symbol, safe='')}"


def symbol_of(stream: str) -> str:
    """Return the symbol of a workflow's stream."""
    return unquote(stream.rpartition("/")[2])


@dataclass(frozen=True)
class Machine:
    """What is stored: how it steps, and the forms of its events and states.

    Attributes:
        initial: the state before the first event.
        step: state and event to state and commands; pure.
        encode: an event as its type in the log and the canonical bytes of its data.
        decode: the inverse, from the type and the data as JSON.
        key: the identity of an event in its stream.
        pack: canonical bytes of a state.
        unpack: the inverse.
    """

    initial: Any
    step: Callable[[Any, Any], tuple[Any, tuple[Any, ...]]]
    encode: Callable[[Any], tuple[str, bytes]]
    decode: Callable[[str, Any], Any]
    key: Callable[[Any], str]
    pack: Callable[[Any], bytes]
    unpack: Callable[[bytes], Any]


def workflow_machine(terms: WorkflowTerms | None = None) -> Machine:
    """Return the workflow of an instrument under some terms, as it is stored."""
    from portfolio_platform.instruments import encoding
    from portfolio_platform.instruments.workflow import step

    used = terms or WorkflowTerms()

    def encoded(event: Any) -> tuple[str, bytes]:
        name, data = encoding.encode_event(event)
        return TYPE + name, canonical_bytes(data, floats=False, plain=True)

    return Machine(
        initial=InstrumentState(),
        step=lambda state, event: step(used, state, event),
        encode=encoded,
        decode=lambda name, data: encoding.decode_event(name.removeprefix(TYPE), data),
        key=encoding.identity_of,
        pack=encoding.state_bytes,
        unpack=encoding.state_of,
    )


class Placed(NamedTuple):
    """A workflow's state at a version of its stream.

    Attributes:
        state: as it is.
        version: how many events it has seen.
        kept: version of the kept state; -1 where none is.
        carried: up to which version its commands were carried out.
    """

    state: Any
    version: int = 0
    kept: int = -1
    carried: int = 0


class InstrumentBatch:
    """The events of one transaction: each is applied at once, all are written together.

    Attributes:
        placed: the workflows as they are after what was taken, by symbol.
        pending: what is to be written, in its order.
    """

    def __init__(self, machine: Machine, portfolio: str, placed: Mapping[str, Placed]) -> None:
        """Begin at some states; a symbol that is not among them begins with its first event."""
        self._machine, self._portfolio = machine, portfolio
        self.placed = dict(placed)
        self.pending: list[NewEvent] = []
        self._symbols: list[str] = []

    def take(self, symbol: str, event: Any) -> tuple[Any, ...]:
        """Apply an event and have it written; return the commands that follow from it."""
        stream, now = stream_of(self._portfolio, symbol), self.placed.get(symbol) or Placed(self._machine.initial)
        state, commands = self._machine.step(now.state, event)
        name, encoded = self._machine.encode(event)
        self.pending.append(NewEvent(stream, name, {}, f"{stream}/{self._machine.key(event)}", encoded))
        self._symbols.append(symbol)
        self.placed[symbol] = now._replace(state=state, version=now.version + 1)
        return commands

    def settle(self, connection: Connection, stored: Sequence[StoredEvent], *, carried: bool, every: int = EVERY) -> None:
        """Keep the states that are due, once the events are written; the same transaction.

        Args:
            connection: the writer's transaction in which ``pending`` was appended.
            stored: what appending returned for ``pending``.
            carried: whether the commands are carried out in this transaction too.
            every: events between two kept states.

        Raises:
            StoreProblem: somebody else wrote to one of the streams meanwhile.
        """
        last = dict(zip(self._symbols, stored, strict=True))
        first = dict(zip(reversed(self._symbols), reversed(stored), strict=True))
        due: list[Snapshot] = []
        further: list[tuple[str, int]] = []
        for symbol, event in sorted(last.items()):
            now = self.placed[symbol]
            if event.version != now.version:
                raise StoreProblem(
                    f"{event.stream} is at version {event.version}, not {now.version}: somebody else writes to it; try again"
                )
            if carried and (now.kept < 0 or now.version - now.kept >= every):
                due.append(Snapshot.of(event.stream, now.version, now.version, self._machine.pack(now.state), event.seq))
                self.placed[symbol] = now._replace(kept=now.version, carried=now.version)
            elif carried:
                further.append((event.stream, now.version))
                self.placed[symbol] = now._replace(carried=now.version)
            elif now.kept < 0:
                due.append(Snapshot.of(event.stream, 0, 0, self._machine.pack(self._machine.initial), first[symbol].seq))
                self.placed[symbol] = now._replace(kept=0)
        snapshots.keep(connection, due)
        snapshots.carried_on(connection, further)


class InstrumentLog:
    """The workflows of a book, durably. A process keeps their states between calls, so that a call reads what others wrote since."""

    def __init__(self, book: Book, machine: Machine | None = None, *, every: int = EVERY) -> None:
        """Use a book; ``every`` says how many events lie between two kept states."""
        self._book, self._machine, self._every = book, machine or workflow_machine(), every
        self._placed: dict[str, Placed] = {}

    def load(self, connection: Connection, portfolio: str, symbols: Sequence[str]) -> dict[str, Placed]:
        """Return workflows as the book has them: the newest kept state of each and the events after it; none without events."""
        streams = {symbol: stream_of(portfolio, symbol) for symbol in symbols}
        versions = statements.versions(connection, list(streams.values()))
        behind = [stream for stream in streams.values() if versions.get(stream, 0) != self._held(stream).version]
        self._placed.update({stream: self._begun(one) for stream, one in snapshots.kept(connection, behind).items()})
        for stream in behind:
            now = self._held(stream)
            if now.version > versions.get(stream, 0):
                now = Placed(self._machine.initial)  # the book is another one than it was
            for event in self._events(connection, stream, now.version):
                now = now._replace(state=self._machine.step(now.state, event)[0], version=now.version + 1)
            self._placed[stream] = now
        return {symbol: self._held(stream) for symbol, stream in streams.items() if versions.get(stream, 0)}

    def advance(self, portfolio: str, events: Mapping[str, Sequence[Any]], *, at: datetime) -> dict[str, tuple[Any, ...]]:
        """Take events of many symbols in one transaction; return the commands that follow, by symbol, to be carried out.

        Events that the log has already are left out, wherever they stand. The commands stay unfinished until `carried_out` says so.

        Args:
            portfolio: whose workflows.
            events: by symbol, in the order of time.
            at: the time of recording.
        """
        with self._book.writing() as connection:
            take_log_lock(connection)
            placed = self.load(connection, portfolio, sorted(events))
            known = by_keys(connection, [self._key(portfolio, symbol, one) for symbol, listed in events.items() for one in listed])
            self._keep_due(connection, {symbol: placed[symbol] for symbol in placed if events.get(symbol)}, portfolio)
            batch = InstrumentBatch(self._machine, portfolio, {symbol: self._held(stream_of(portfolio, symbol)) for symbol in placed})
            found: dict[str, list[Any]] = {symbol: [] for symbol in events}
            for symbol in sorted(events):
                for event in self._unknown(portfolio, symbol, events[symbol], known):
                    found[symbol] += batch.take(symbol, event)
            batch.settle(connection, append(connection, batch.pending, recorded_at=at), carried=False)
        self._placed.update({stream_of(portfolio, symbol): one for symbol, one in batch.placed.items()})
        return {symbol: tuple(commands) for symbol, commands in found.items()}

    def carried_out(self, connection: Connection, portfolio: str, symbols: Sequence[str]) -> None:
        """Note that all commands of these workflows were carried out, up to the last event that this log has seen."""
        held = [(stream_of(portfolio, symbol), self._held(stream_of(portfolio, symbol))) for symbol in symbols]
        snapshots.carried_on(connection, [(stream, one.version) for stream, one in held])
        self._placed.update({stream: one._replace(carried=one.version) for stream, one in held})

    def unfinished(self, connection: Connection, portfolio: str, symbol: str) -> tuple[Any, ...]:
        """Return the commands of a workflow that were not carried out yet, as its events say; each is harmless to repeat."""
        stream = stream_of(portfolio, symbol)
        begun = snapshots.kept(connection, [stream]).get(stream)
        now = Placed(self._machine.initial) if begun is None else self._begun(begun)
        left: list[Any] = []
        for event in self._events(connection, stream, now.version):
            state, commands = self._machine.step(now.state, event)
            now = now._replace(state=state, version=now.version + 1)
            left += commands if now.version > now.carried else ()
        return tuple(left)

    def _keep_due(self, connection: Connection, placed: Mapping[str, Placed], portfolio: str) -> None:
        """Keep the states whose turn it is, as they are before anything new: what follows from them was carried out."""
        due = [(stream_of(portfolio, symbol), one) for symbol, one in placed.items() if one.version - max(one.kept, 0) >= self._every]
        due = [(stream, one) for stream, one in due if one.carried == one.version]
        if not due:
            return
        query = select(_LOG.stream, _LOG.version, _LOG.seq)
        for stream, one in due:
            seq = connection.execute(query.where(_LOG.stream == stream, _LOG.version == one.version)).one().seq
            snapshots.keep(connection, [Snapshot.of(stream, one.version, one.carried, self._machine.pack(one.state), seq)])
            self._placed[stream] = one._replace(kept=one.version)

    def _held(self, stream: str) -> Placed:
        return self._placed.get(stream) or Placed(self._machine.initial)

    def _begun(self, kept: Snapshot) -> Placed:
        """Return where a kept state begins; where its bytes are damaged, or of another version's layout, at the beginning of everything."""
        unknown = Placed(self._machine.initial, 0, kept.version, kept.carried)
        if not kept.is_sound:
            return unknown
        try:
            return Placed(self._machine.unpack(kept.content), kept.version, kept.version, kept.carried)
        except (KeyError, IndexError, TypeError, ValueError):  # what a typed form says of another layout; the events say it all again
            return unknown

    def _events(self, connection: Connection, stream: str, after: int) -> Iterator[Any]:
        return (event for _, event in _read(connection, self._machine, stream, after))

    def _unknown(self, portfolio: str, symbol: str, events: Sequence[Any], known: Mapping[str, StoredEvent]) -> Iterator[Any]:
        """Yield the events that the log does not have, each once."""
        seen: set[str] = set()
        for event in events:
            name = self._key(portfolio, symbol, event)
            if name not in known and name not in seen:
                seen.add(name)
                yield event

    def _key(self, portfolio: str, symbol: str, event: Any) -> str:
        return f"{stream_of(portfolio, symbol)}/{self._machine.key(event)}"


def _read(connection: Connection, machine: Machine, stream: str, after: int = 0, until: int | None = None) -> Iterator[tuple[int, Any]]:
    query = select(_LOG.version, _LOG.type, _LOG.content).where(_LOG.stream == stream, _LOG.version > after).order_by(_LOG.version)
    if until is not None:
        query = query.where(_LOG.version <= until)
    with connection.execute(query.execution_options(yield_per=ROWS_AT_ONCE)) as rows:
        for version, name, content in rows:
            yield version, machine.decode(name, orjson.loads(content)["data"])


def history(connection: Connection, portfolio: str, symbol: str, *, machine: Machine | None = None) -> Iterator[tuple[int, Any]]:
    """Yield the events of a workflow in their order, each with its version; rows are fetched as needed."""
    return _read(connection, machine or workflow_machine(), stream_of(portfolio, symbol))


def symbols_of(connection: Connection, portfolio: str) -> list[str]:
    """Return the symbols that ever had a workflow in a portfolio, sorted."""
    query = select(_LOG.stream).where(_LOG.stream.startswith(stream_of(portfolio), autoescape=True), _LOG.version == 1)
    return sorted(symbol_of(stream) for (stream,) in connection.execute(query))


def portfolios_of(connection: Connection) -> list[str]:
    """Return the portfolios that ever had a workflow, sorted."""
    query = select(_LOG.stream).where(_LOG.stream.startswith(PREFIX, autoescape=True), _LOG.version == 1)
    return sorted({unquote(stream.split("/")[1]) for (stream,) in connection.execute(query)})


def get_instrument_state(book: Book, portfolio: str, symbol: str, *, terms: WorkflowTerms | None = None) -> InstrumentView:
    """Return what a workflow is doing: phase, plan, template, position, orders, what it asked for and what it got.

    Raises:
        WrongUse: there is no workflow of this symbol in this portfolio.
        StoreProblem: the book cannot be read.
    """
    from portfolio_platform.instruments.workflow import query

    with book.reading() as connection:
        found = InstrumentLog(book, workflow_machine(terms)).load(connection, portfolio, [symbol])
        if symbol not in found:
            names = ", ".join(symbols_of(connection, portfolio)) or "none"
            raise WrongUse(f"{portfolio} has no workflow of {symbol!r}; it has: {names}")
    view: InstrumentView = query(found[symbol].state)
    return view


@dataclass(frozen=True)
class SnapshotFault:
    """A kept state that is not what its stream's events add up to."""

    stream: str
    version: int
    reason: str


def verify_snapshots(connection: Connection, *, terms: WorkflowTerms | None = None, machine: Machine | None = None) -> list[SnapshotFault]:
    """Replay every workflow from its first event and compare it with the state that was kept of it; nothing where all agree.

    Args:
        connection: any transaction.
        terms: those that the workflows ran under.
        machine: what steps; the workflow where None.
    """
    used = machine or workflow_machine(terms)
    faults = []
    for one in snapshots.under(connection, PREFIX):
        if not one.is_sound:
            faults.append(SnapshotFault(one.stream, one.version, "its bytes do not have the hash that was recorded"))
            continue
        state, version = used.initial, 0
        for place, event in _read(connection, used, one.stream, until=one.version):
            version = place
            state = used.step(state, event)[0]
        if version != one.version:
            faults.append(SnapshotFault(one.stream, one.version, f"its stream ends at version {version}"))
        elif used.pack(state) != one.content:
            faults.append(SnapshotFault(one.stream, one.version, "the events add up to another state"))
        elif one.carried < one.version:
            faults.append(SnapshotFault(one.stream, one.version, f"its commands were carried out up to {one.carried} only"))
    return faults
