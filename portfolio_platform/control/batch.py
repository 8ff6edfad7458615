"""One transaction's work on a portfolio: commands become events, each applied at once, and at the end symbols are told. Pure."""

from collections.abc import Collection, Iterable, Mapping
from typing import NamedTuple

from portfolio_platform.book.events import NewEvent
from portfolio_platform.control import findings
from portfolio_platform.control.envelopes import due, free_places
from portfolio_platform.control.events import (
    ENVELOPE_ISSUED,
    AllocationDecided,
    EnvelopesIssued,
    Event,
    FactsStated,
    FillRecorded,
    Noticed,
    OrderEnded,
    ReservationEnded,
    encode_envelope,
    stream_of,
)
from portfolio_platform.control.log import new_event
from portfolio_platform.control.model import AllocationDecision, Answer, Envelope, PortfolioIntent
from portfolio_platform.control.reduce import apply, remaining
from portfolio_platform.control.rules import decide
from portfolio_platform.control.state import ControlState, Fill, Key
from portfolio_platform.control.terms import Limits
from portfolio_platform.errors import WrongUse

DAY = 86_400_000_000_000
CLOCK = "rule:clock"
"""Who ends what is over."""


class Known(NamedTuple):
    """What the log has already under the keys of a batch: decisions by intent id, fills by execution id."""

    decided: Mapping[str, AllocationDecided]
    filled: Mapping[str, Fill]


class Batch:
    """The events that one transaction adds to a portfolio's stream and to those of its symbols.

    Attributes:
        state: as it is after all that was put.
        now: nanoseconds UTC, never before the state's time.
        pending: what is to be written, in its order.
    """

    def __init__(self, state: ControlState, now: int) -> None:
        """Begin at a state, and end on the clock what is over."""
        self.before = state
        self.state = state
        self.now = max(now, state.now)
        self.pending: list[NewEvent] = []
        self._stream = stream_of(state.portfolio)
        self._touched: set[Key] = set()
        self._decided: dict[str, AllocationDecided] = {}
        self._conflicts: dict[str, AllocationDecided] = {}
        self._filled: dict[str, Fill] = {}
        self._stated: set[str] = set()
        self._expire()

    def put(self, event: Event, key: str = "") -> None:
        """Apply an event and have it written; without a key, its place in the stream is its identity."""
        name = key or f"{stream_of(self.state.portfolio)}#{self.state.version + 1}"
        before = self.state
        self.state = apply(before, event)
        self.pending.append(new_event(before.portfolio, event, name, remaining(before, self.state, event)))

    def decide(self, intent: PortfolioIntent, known: Known) -> tuple[AllocationDecision, bool]:
        """Answer an intent; one that was answered before gets that answer, and the same id with other content is refused."""
        earlier = self._decided.get(intent.intent_id) or known.decided.get(intent_key(self.state.portfolio, intent))
        if earlier is not None and earlier.intent == intent:
            return earlier.decision, True
        key = intent_key(self.state.portfolio, intent)
        if earlier is not None:
            key = conflict_key(self.state.portfolio, intent)
            again = self._conflicts.get(key) or known.decided.get(key)
            if again is not None:
                return again.decision, True
            intent = intent._replace(fault=f"intent_id: {intent.intent_id!r} was used for another intent; use a new id")
        decision = decide(self.state, intent, self.now)
        event = AllocationDecided(self.now, intent, decision)
        self.put(event, key)
        if earlier is None:
            self._decided[intent.intent_id] = event
        else:
            self._conflicts[key] = event
        if decision.approved_risk:
            self.touch(intent.strategy, intent.symbol)
        return decision, False

    def fill(self, fill: Fill, known: Known) -> bool:
        """Record a fill, once; say whether it was new. The same id with other content changes nothing and is noticed."""
        key = fill_key(self.state.portfolio, fill)
        earlier = self._filled.get(key) or known.filled.get(key)
        if earlier is not None:
            if _differs(earlier, fill):
                said = f"{fill.symbol} {fill.quantity} at {fill.at}"
                had = f"{earlier.symbol} {earlier.quantity} at {earlier.at}"
                event = Noticed(self.now, "fill_disputed", fill.strategy, fill.symbol, fill.execution_id, had, said)
                key = f"dispute/{key}/{fill.quantity}/{fill.at}"
                if key not in known.filled and key not in self._filled:
                    self.put(event, key)
                    self._filled[key] = fill
            return False
        self._filled[key] = fill
        recorded = FillRecorded(self.now, fill)
        noticed = findings.of_fill(self.state, recorded)
        self.put(recorded, key)
        for one in noticed:
            self.put(one)
        self.touch(fill.strategy, fill.symbol)
        return True

    def touch(self, strategy: str, symbol: str) -> None:
        """Note that what a strategy has in a symbol has changed, so that the symbol is looked at when symbols are told."""
        self._touched.add((strategy, symbol))

    def facts(self, event: FactsStated, key: str) -> None:
        """Take a session's facts over, and say where its quantities are not what the fills add up to."""
        noticed = findings.of_facts(self.state, event)
        self.put(event, key)
        for one in noticed:
            self.put(one)

    def stated(self, one: FactsStated, content: str, known: Collection[str]) -> bool:
        """Take a session's facts over unless they stand already; say whether they were new.

        Args:
            one: what is stated.
            content: the hash of it.
            known: the keys of facts that the log has. The newest session may return to what it was once before: that is news.
        """
        if one.facts.at > self.now + DAY:
            raise WrongUse(f"session {one.facts.day} lies ahead of the clock; put its day right, for no earlier one would count after it")
        now, key = self.state.terms.facts, facts_key(self.state.portfolio, one.facts.day, content)
        if (now.day, now.content) == (one.facts.day, content):
            return False
        if key in known or key in self._stated:
            if one.facts.at < now.at:
                return False
            key = f"{key}/{self.state.version + 1}"
        self._stated.add(key)
        self.facts(one._replace(at=self.now, facts=one.facts._replace(content=content)), key)
        return True

    def tell(self, *, everybody: bool = False, reason: str = "") -> list[Envelope]:
        """Issue the envelopes that are due: all symbols where something shared changed, those that were touched where not."""
        touched = sorted({symbol for _, symbol in self._touched})
        shared = (
            everybody
            or self.state.terms.version != self.before.terms.version
            or _shared(self.before, self.now, touched) != _shared(self.state, self.now, touched)
        )
        symbols = due(self.state, self.now, None if shared else [one for one in touched if self._is_active(one)])
        if not symbols:
            return []
        self.put(EnvelopesIssued(self.now, tuple(symbols), reason or ("terms" if shared else "activity")))
        told = [self.state.issued[symbol] for symbol in symbols]
        self.pending += [
            NewEvent(
                stream_of(self.state.portfolio, one.symbol),
                ENVELOPE_ISSUED,
                encode_envelope(one),
                f"{stream_of(self.state.portfolio, one.symbol)}@{one.version}",
            )
            for one in told
        ]
        return told

    def answer(self, decision: AllocationDecision, repeated: bool) -> Answer:
        """Return a decision with the envelope that is in force for its symbol."""
        issued = self.state.issued.get(decision.symbol)
        in_force = issued is not None and issued.terms_version == self.state.terms.version
        return Answer(decision, issued if in_force else None, repeated)

    def _is_active(self, symbol: str) -> bool:
        """Say whether a symbol is one of the active ones, most often without looking at all of them."""
        held = self.state.holders
        if symbol in self.state.enlisted or any(key in held for key in self._touched if key[1] == symbol):
            return True
        return any(key[1] == symbol for key in held)

    def _expire(self) -> None:
        """End the reservations and orders whose time is over, in the order of their ends."""
        state, now = self.state, self.now
        if state.next_expiry and state.next_expiry <= now:
            over = sorted((one.expires_at, name) for name, one in state.reservations.items() if one.expires_at <= now)
            for end, name in over:
                self.touch(state.reservations[name].strategy, state.reservations[name].symbol)
                self.put(ReservationEnded(now, name, True, CLOCK, f"its time was over at {end}"))
        if state.terms.next_end and state.terms.next_end <= now:
            ended = sorted((order.until, name) for name, order in state.terms.orders.items() if order.until <= now)
            for end, name in ended:
                self.put(OrderEnded(now, name, True, CLOCK, f"its time was over at {end}"))


def intent_key(portfolio: str, intent: PortfolioIntent) -> str:
    """Return the identity of an intent in the log."""
    return f"intent/{stream_of(portfolio, intent.intent_id)}"


def conflict_key(portfolio: str, intent: PortfolioIntent) -> str:
    """Return the identity of an intent that uses the id of another one."""
    import hashlib

    return f"{intent_key(portfolio, intent)}!{hashlib.sha256(repr(tuple(intent)).encode()).hexdigest()[:32]}"


def fill_key(portfolio: str, fill: Fill) -> str:
    """Return the identity of a fill in the log."""
    return f"fill/{stream_of(portfolio, fill.execution_id)}"


def facts_key(portfolio: str, day: str, content: str) -> str:
    """Return the identity of what was stated of a session."""
    return f"facts/{stream_of(portfolio)}/{day}/{content}"


def keys_of(portfolio: str, intents: Iterable[PortfolioIntent], fills: Iterable[Fill]) -> list[str]:
    """Return the keys to look up before a batch."""
    found = [key for intent in intents for key in (intent_key(portfolio, intent), conflict_key(portfolio, intent))]
    return found + [
        key for fill in fills for key in (fill_key(portfolio, fill), f"dispute/{fill_key(portfolio, fill)}/{fill.quantity}/{fill.at}")
    ]


def policy_changed(state: ControlState, limits: Limits) -> bool:
    """Say whether these limits are not the ones in force."""
    return state.terms.limits != limits


def _differs(earlier: Fill, now: Fill) -> bool:
    return (earlier.symbol, earlier.quantity, earlier.strategy) != (now.symbol, now.quantity, now.strategy)


def _shared(state: ControlState, at: int, symbols: Iterable[str]) -> tuple[object, ...]:
    """Return what the envelopes of other symbols depend on: which of the limits that these symbols share with them are used up."""
    terms = state.terms
    places, fresh = free_places(state, at)
    full = set()
    for key in {key for symbol in symbols for key in state.groups(symbol, "", "", "") if key[0] != "symbol"}:
        cap = terms.cap("risk", *key)
        if cap is not None and cap.amount - state.used.get(key, 0) < terms.minimum_ticket:
            full.add(("risk", *key))
        cap = terms.cap("exposure", *key) if terms.exposure else None
        if cap is not None and state.exposed.get(key, 0) >= cap.amount:
            full.add(("exposure", *key))
    return (places > 0, fresh > 0, full)
