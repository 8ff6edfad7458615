"""Replaying a portfolio's stream: every decision is worked out again from the events before it, and every sum anew. Pure.

The hash chain shows that the log is as it was written (`book.chain`); this shows that what was written follows from itself.
"""

from collections.abc import Iterable, Mapping
from typing import NamedTuple

from portfolio_platform.control.envelopes import envelope
from portfolio_platform.control.events import AllocationDecided, EnvelopesIssued, Event
from portfolio_platform.control.model import AllocationDecision, Envelope
from portfolio_platform.control.reduce import apply, summed
from portfolio_platform.control.rules import decide
from portfolio_platform.control.state import ControlState


class Placed(NamedTuple):
    """An event and where it is: its number in the log and its version in the stream."""

    seq: int
    version: int
    event: Event


class Fault(NamedTuple):
    """The first event that does not follow from those before it: where, what is wrong, what was expected and what is there."""

    seq: int
    version: int
    what: str
    expected: str
    found: str


class Audited(NamedTuple):
    """What an audit found.

    Attributes:
        state: what the events add up to, up to the fault where there is one.
        events: how many were replayed.
        decisions: how many decisions were worked out again, and were equal.
        envelopes: how many envelopes were.
        fault: the first event that does not fit; None where all do.
    """

    state: ControlState
    events: int
    decisions: int
    envelopes: int
    fault: Fault | None


def audit(
    portfolio: str, events: Iterable[Placed], issued: Mapping[tuple[str, int], Envelope] | None = None, every: int = 1_000
) -> Audited:
    """Replay a stream from its start and stop at the first event that does not fit.

    Args:
        portfolio: whose stream it is.
        events: its events in their order, decisions with their headrooms.
        issued: what each symbol was told, by symbol and version, from the symbols' own streams; not compared where None.
        every: after how many events the sums are worked out anew; at the end they always are.
    """
    state = ControlState(portfolio)
    count = decisions = envelopes = 0
    for placed in events:
        event = placed.event
        if placed.version != state.version + 1:
            fault = Fault(placed.seq, placed.version, "version", str(state.version + 1), str(placed.version))
            return Audited(state, count, decisions, envelopes, fault)
        if isinstance(event, AllocationDecided):
            found = difference(event.decision, decide(state, event.intent, event.at))
            if found:
                return Audited(state, count, decisions, envelopes, Fault(placed.seq, placed.version, *found))
            decisions += 1
        elif isinstance(event, EnvelopesIssued) and issued is not None:
            told = _told(state, event, issued)
            if told:
                return Audited(state, count, decisions, envelopes, Fault(placed.seq, placed.version, *told))
            envelopes += len(event.symbols)
        state = apply(state, event)
        count += 1
        if count % every == 0 and (wrong := unreconciled(state)):
            return Audited(state, count, decisions, envelopes, Fault(placed.seq, placed.version, *wrong))
    wrong = unreconciled(state)
    return Audited(state, count, decisions, envelopes, Fault(0, state.version, *wrong) if wrong else None)


def difference(recorded: AllocationDecision, again: AllocationDecision) -> tuple[str, str, str] | None:
    """Return the first field in which two decisions differ, with what it should be and what was recorded; None where none does."""
    if recorded == again:
        return None
    for name, was, now in zip(AllocationDecision._fields, recorded, again, strict=True):
        if was != now:
            return f"decision.{name}", str(now), str(was)
    return None


def unreconciled(state: ControlState) -> tuple[str, str, str] | None:
    """Return the first sum that is not what positions and reservations add up to; None where all are."""
    anew = summed(state)
    for name in ("active_risk", "reserved_risk", "used", "exposed", "holders"):
        is_now, should = getattr(state, name), getattr(anew, name)
        if is_now != should:
            return name, str(should), str(is_now)
    negative = [name for name, one in state.reservations.items() if one.remaining < 0 or one.exposure < 0]
    return ("reservation", "at least 0", negative[0]) if negative else None


def _told(state: ControlState, event: EnvelopesIssued, issued: Mapping[tuple[str, int], Envelope]) -> tuple[str, str, str] | None:
    for symbol in event.symbols:
        should = envelope(state, symbol, event.at)
        found = issued.get((symbol, should.version))
        if found != should:
            return f"envelope of {symbol}", str(tuple(should)), "none" if found is None else str(tuple(found))
    return None
