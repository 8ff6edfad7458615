"""`ControlPlane`: the durable shell around the pure rules. What it returns is in the book; what is not in the book was never said.

One transaction of the book holds the sole right to write: the state is brought up to the stream's end, the commands are
applied, their events are appended and committed, and only then an answer leaves. A process keeps the state between calls, so
that a call reads just what others wrote since.
"""

import hashlib
import threading
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from typing import Any

from sqlalchemy import Connection

from portfolio_platform.book.engine import take_log_lock
from portfolio_platform.book.events import append, by_keys
from portfolio_platform.book.store import Book
from portfolio_platform.canonical import canonical_bytes
from portfolio_platform.clock import Clock
from portfolio_platform.control import log
from portfolio_platform.control.batch import DAY, Batch, Known, facts_key, keys_of, policy_changed
from portfolio_platform.control.events import (
    AllocationDecided,
    FactsStated,
    FillRecorded,
    InstrumentsStated,
    OrderEnded,
    OrderGiven,
    PolicyAdopted,
    PortfolioOpened,
    ReservationEnded,
    RiskOffReleased,
    SymbolEnlisted,
    encode,
    stream_of,
)
from portfolio_platform.control.intents import read_fill, read_intent
from portfolio_platform.control.model import Answer, Envelope, PortfolioIntent
from portfolio_platform.control.money import digits_of
from portfolio_platform.control.reduce import apply
from portfolio_platform.control.state import ControlState, Fill, Instrument
from portfolio_platform.control.terms import Limits, Order, fault_of
from portfolio_platform.days import nanoseconds
from portfolio_platform.errors import WrongUse

NOTHING_KNOWN = Known({}, {})


class ControlPlane:
    """The authority for shared limits of every portfolio in one book. Threads may share it; a process that forks makes a new one."""

    def __init__(self, book: Book, clock: Clock) -> None:
        """Use a book and a clock; nothing is read before the first call."""
        self._book = book
        self._clock = clock
        self._states: dict[str, ControlState] = {}
        self._hashes: dict[str, str] = {}  # of the last event of each state
        self._turn = threading.RLock()

    def open_portfolio(
        self, portfolio: str, policy: Limits, *, currency: str = "USD", live: bool = False, since: int | None = None
    ) -> None:
        """Take charge of a portfolio; a second time only another policy, or going from paper to live, is recorded.

        Args:
            portfolio: its name.
            policy: its limits.
            currency: its base currency, which says what a minor unit is.
            live: whether real money is behind it.
            since: fills before it are history, nanoseconds UTC; the clock's time where None.
        """
        with self._working(portfolio) as (batch, _):
            if not batch.state.terms.limits.policy_hash:  # somebody may have asked before, and is on record as refused
                begun = batch.now if since is None else since
                batch.put(PortfolioOpened(batch.now, begun, currency, digits_of(currency), live))
            elif batch.state.live != live:
                batch.put(PortfolioOpened(batch.now, batch.state.since, currency, batch.state.digits, live))
            if policy_changed(batch.state, policy):
                batch.put(PolicyAdopted(batch.now, policy))
            batch.tell()

    def request_allocation(self, intent: PortfolioIntent | Mapping[str, Any], portfolio: str = "") -> Answer:
        """Answer one intent. The same intent again gets the same answer; nothing about an intent raises.

        Args:
            intent: what is asked; see `intents.read_intent` for what a mapping may hold.
            portfolio: whose limits it is held against, where the intent does not say so.

        Raises:
            StoreProblem: the book is missing, locked, full, read-only or damaged: nothing was decided.
        """
        return self.request_allocations([intent], portfolio)[0]

    def request_allocations(self, intents: Sequence[PortfolioIntent | Mapping[str, Any]], portfolio: str = "") -> list[Answer]:
        """Answer intents of one portfolio in their order, in one transaction: all of the answers are kept, or none.

        Raises:
            WrongUse: they are of several portfolios, or of none.
            StoreProblem: as for one.
        """
        if not intents:
            return []
        names = sorted({_portfolio_of(one) or portfolio for one in intents})
        if len(names) != 1 or not names[0]:
            raise WrongUse(f"a batch is of one portfolio, not of {names}; name it, or send one batch for each")
        with self._working(names[0]) as (batch, connection):
            asked = [read_intent(one, names[0], batch.state.digits) for one in intents]
            known = _known(connection, names[0], asked, ())
            decided = [batch.decide(one, known) for one in asked]
            batch.tell()
            return [batch.answer(decision, repeated) for decision, repeated in decided]

    def on_fill(self, fill: Fill | Mapping[str, Any], portfolio: str) -> bool:
        """Record a fill: commit its reservation, or take it into active risk; say whether it was new.

        Raises:
            WrongUse: a field is missing or wrong.
        """
        return self.on_fills([fill], portfolio) == 1

    def on_fills(self, fills: Sequence[Fill | Mapping[str, Any]], portfolio: str) -> int:
        """Record fills in their order, in one transaction; return how many were new."""
        with self._working(portfolio) as (batch, connection):
            read = [read_fill(one, batch.state.digits, batch.now + DAY) for one in fills]
            known = _known(connection, portfolio, (), read)
            new = sum(batch.fill(one, known) for one in read)
            batch.tell()
            return new

    def state_facts(self, portfolio: str, sessions: Iterable[FactsStated]) -> int:
        """Take sessions' facts over, in their order; return how many were new. The same session with other facts is new.

        An older session than the newest is recorded and changes nothing.
        """
        return self.take_in(portfolio, list(sessions))[1]

    def take_in(self, portfolio: str, entries: Sequence[Fill | FactsStated], *, tell: bool = True) -> tuple[int, int]:
        """Record fills and sessions' facts in their order, in one transaction; return how many of each were new.

        Args:
            portfolio: whose.
            entries: what happened, in the order of time.
            tell: whether symbols are told at the end; a long history tells them once, after its last batch.
        """
        with self._working(portfolio) as (batch, connection):
            hashed = {place: content_of(one) for place, one in enumerate(entries) if isinstance(one, FactsStated)}
            known = _known(connection, portfolio, (), [one for one in entries if isinstance(one, Fill)])
            days = {place: one.facts.day for place, one in enumerate(entries) if isinstance(one, FactsStated)}
            said = by_keys(connection, [facts_key(portfolio, days[place], content) for place, content in hashed.items()])
            fills = sessions = 0
            for place, one in enumerate(entries):
                if isinstance(one, FactsStated):
                    sessions += batch.stated(one, hashed[place], said)
                else:
                    fills += batch.fill(one, known)
            if tell:
                batch.tell()
            return fills, sessions

    def working(self, portfolio: str) -> AbstractContextManager[tuple[Batch, Connection]]:
        """Hand out a batch and its transaction, for work whose own rows belong into it; committed at the end, or not at all."""
        return self._working(portfolio)

    def state_instruments(self, portfolio: str, instruments: Mapping[str, Instrument]) -> bool:
        """Make symbols and their groups known; say whether anything changed."""
        with self._working(portfolio) as (batch, _):
            new = tuple(sorted((name, one) for name, one in instruments.items() if batch.state.instruments.get(name) != one))
            if new:
                batch.put(InstrumentsStated(batch.now, new))
                batch.tell(everybody=True)
            return bool(new)

    def cancel(self, portfolio: str, intent_id: str, *, by: str, reason: str) -> bool:
        """Give up what is left of a reservation; say whether there was one.

        Raises:
            WrongUse: nobody says that it is, or why.
        """
        if not by or not reason:
            raise WrongUse("giving a reservation up wants a name and a reason")
        with self._working(portfolio) as (batch, _):
            reservation = batch.state.reservations.get(intent_id)
            if reservation is None:
                return False
            batch.put(ReservationEnded(batch.now, intent_id, False, by, reason))
            batch.touch(reservation.strategy, reservation.symbol)
            batch.tell()
            return True

    def give_order(self, portfolio: str, orders: Sequence[Order]) -> list[Envelope]:
        """Change the terms until an end; return the envelopes that follow. An order whose id is known is given once.

        Raises:
            WrongUse: an order has no name, no reason or no end ahead, would change nothing, or has the id of another one.
        """
        with self._working(portfolio) as (batch, connection):
            keys = [f"order/{stream_of(portfolio, order.order_id)}" for order in orders]
            known = {key: log.stored_event(one) for key, one in by_keys(connection, keys).items()}
            for order, key in zip(orders, keys, strict=True):
                earlier = known.get(key)
                if earlier is None:
                    fault = fault_of(order, batch.now)
                    if fault:
                        raise WrongUse(f"order {order.order_id}: {fault}")
                    known[key] = OrderGiven(batch.now, order)
                    batch.put(known[key], key)
                elif not isinstance(earlier, OrderGiven) or earlier.order != order:
                    raise WrongUse(f"order {order.order_id}: this id is another order's; give it a new one")
            return batch.tell()

    def end_order(self, portfolio: str, order_id: str, *, by: str, reason: str) -> bool:
        """End an order before its time; say whether there was one."""
        with self._working(portfolio) as (batch, _):
            if order_id not in batch.state.terms.orders:
                return False
            batch.put(OrderEnded(batch.now, order_id, False, by, reason))
            batch.tell()
            return True

    def release_risk_off(self, portfolio: str, *, by: str, reason: str) -> None:
        """Record that a person lets a live portfolio out of risk-off; the drawdown diagnostic goes on from it."""
        if not by or not reason:
            raise WrongUse("a release wants a name and a reason")
        with self._working(portfolio) as (batch, _):
            batch.put(RiskOffReleased(batch.now, by, reason))

    def enlist(self, portfolio: str, symbols: Sequence[str], *, active: bool = True) -> list[Envelope]:
        """Let symbols have envelopes from now on, or no more; return those that were issued."""
        with self._working(portfolio) as (batch, _):
            for symbol in symbols:
                if (symbol in batch.state.enlisted) != active:
                    batch.put(SymbolEnlisted(batch.now, symbol, active))
            return batch.tell(everybody=True)

    def broadcast_constraints(self, portfolio: str, reason: str = "cycle") -> list[Envelope]:
        """Run one policy cycle: end what is over on the clock, and issue every envelope that is due."""
        with self._working(portfolio) as (batch, _):
            return batch.tell(everybody=True, reason=reason)

    def get_portfolio_state(self, portfolio: str) -> ControlState:
        """Return the state as the book has it; nothing is written, so what is over on the clock is still in it."""
        with self._turn, self._book.reading() as connection:
            return self._caught_up(connection, portfolio)

    @property
    def versions(self) -> dict[str, int]:
        """Return up to which version of its stream this process knows each portfolio."""
        return {name: state.version for name, state in self._states.items()}

    @contextmanager
    def _working(self, portfolio: str) -> Iterator[tuple[Batch, Connection]]:
        """Hand out a batch on the newest state; commit what was put, and only then take the new state over."""
        with self._turn:
            with self._book.writing() as connection:
                take_log_lock(connection)
                state = self._caught_up(connection, portfolio)
                batch = Batch(state, nanoseconds(self._clock.now()))
                yield batch, connection
                stored = append(connection, batch.pending, recorded_at=self._clock.now())
            self._states[portfolio] = batch.state
            for one in stored:
                if one.stream == stream_of(portfolio):
                    self._hashes[portfolio] = one.hash

    def _caught_up(self, connection: Connection, portfolio: str) -> ControlState:
        state = before = self._states.get(portfolio) or ControlState(portfolio)
        if state.version and log.hash_of(connection, portfolio, state.version) != self._hashes.get(portfolio):
            state = ControlState(portfolio)  # the book is another one than it was: restored, or made anew
        for one in log.events_after(connection, portfolio, state.version, brief=True):
            state = apply(state, one.event)
        if state is not before:
            self._hashes[portfolio] = log.hash_of(connection, portfolio, state.version)
            self._states[portfolio] = state
        return state


def _portfolio_of(intent: PortfolioIntent | Mapping[str, Any]) -> str:
    named = intent.portfolio if isinstance(intent, PortfolioIntent) else intent.get("portfolio")
    return named if isinstance(named, str) else ""


def content_of(one: FactsStated) -> str:
    """Return the hash of what is stated of a session; when it is stated is no part of it."""
    said = canonical_bytes(encode(one._replace(at=0, facts=one.facts._replace(content=""))), floats=False)
    return hashlib.sha256(said).hexdigest()[:32]


def _known(connection: Connection, portfolio: str, intents: Sequence[PortfolioIntent], fills: Sequence[Fill]) -> Known:
    found = by_keys(connection, keys_of(portfolio, intents, fills))
    events = {key: log.stored_event(stored) for key, stored in found.items()}
    return Known(
        {key: one for key, one in events.items() if isinstance(one, AllocationDecided)},
        {
            key: one.fill if isinstance(one, FillRecorded) else Fill(key, 0, "", "", 0, 0, 0)
            for key, one in events.items()
            if not isinstance(one, AllocationDecided)
        },
    )
