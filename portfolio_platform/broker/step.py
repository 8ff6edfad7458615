"""`step(terms, state, input) -> (state, events)`: the whole of a paper broker. Pure; the same inputs give the same bytes."""

from collections.abc import Iterable

from portfolio_platform.broker.filling import barred
from portfolio_platform.broker.model import BarClosed, Cancel, CashMoved, Event, Input, Place, Replace
from portfolio_platform.broker.placing import Answer, cancelled, moved_cash, placed, replaced
from portfolio_platform.broker.state import BrokerState
from portfolio_platform.broker.terms import BrokerTerms


def step(terms: BrokerTerms, state: BrokerState, given: Input) -> Answer:
    """Return the state after an input, and what happened.

    An order that is placed again, a bar that comes again, money that moved already: the state stays the very same, and nothing happens.
    """
    after, events = _answered(terms, state, given)
    if after is state:
        return state, events
    at = given.bar.ts if isinstance(given, BarClosed) else given.at
    return (after if at <= after.now else after._replace(now=at)), events


def run(terms: BrokerTerms, state: BrokerState, inputs: Iterable[Input]) -> tuple[BrokerState, list[Event]]:
    """Return the state after all inputs, and everything that happened."""
    happened: list[Event] = []
    for given in inputs:
        state, events = step(terms, state, given)
        happened += events
    return state, happened


def _answered(terms: BrokerTerms, state: BrokerState, given: Input) -> Answer:
    if isinstance(given, BarClosed):
        return barred(terms, state, given.bar)
    if isinstance(given, Place):
        return placed(terms, state, given)
    if isinstance(given, Cancel):
        return cancelled(state, given)
    if isinstance(given, Replace):
        return replaced(state, given)
    if isinstance(given, CashMoved):
        return moved_cash(state, given)
    raise TypeError(f"{type(given).__name__} is no input of a broker")
