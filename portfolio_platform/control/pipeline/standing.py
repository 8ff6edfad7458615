"""What stood at the end of past days as the log has it: reservations and orders."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from sqlalchemy import Connection, func, select

from portfolio_platform.book import schema
from portfolio_platform.book.control import ENDED, FILLED
from portfolio_platform.control.events import DECIDED, NAMES, OrderEnded, OrderGiven, stream_of
from portfolio_platform.control.log import events_after
from portfolio_platform.control.reduce import apply
from portfolio_platform.control.state import ControlState, Reservation
from portfolio_platform.control.terms import Order
from portfolio_platform.days import day_number

WATCHED = (DECIDED, FILLED, ENDED, NAMES[OrderGiven], NAMES[OrderEnded])
"""The types of the events that change what stands."""
_BEGINNING = (DECIDED, NAMES[OrderGiven])
_LOG = schema.events.c


@dataclass(frozen=True)
class Standing:
    """What stood at the end of a day.

    Attributes:
        reservations: what was granted by then, and not given up or over, by intent id.
        orders: those that were in force, by id.
        waiting: how many of the day's grants open a position and have nothing filled yet.
    """

    reservations: Mapping[str, Reservation] = field(default_factory=dict)
    orders: Mapping[str, Order] = field(default_factory=dict)
    waiting: int = 0


def standing(connection: Connection, portfolio: str, ends: Sequence[int], until_seq: int) -> list[Standing]:
    """Return what stood at some times; the log is replayed only where something was decided or ordered by then.

    Args:
        connection: any transaction.
        portfolio: whose.
        ends: ends of days, nanoseconds UTC, ascending.
        until_seq: events of the log after this one do not count.
    """
    query = select(func.min(_LOG.version)).where(_LOG.stream == stream_of(portfolio), _LOG.type.in_(_BEGINNING), _LOG.seq <= until_seq)
    if not len(ends) or connection.execute(query).scalar_one() is None:
        return [Standing()] * len(ends)
    events = (one for one in events_after(connection, portfolio, brief=True))
    state, found = ControlState(portfolio), []
    waiting = next(events, None)
    for end in ends:
        while waiting is not None and waiting.seq <= until_seq and waiting.event.at <= end:
            state = apply(state, waiting.event)
            waiting = next(events, None)
        found.append(_at(state, end))
    return found


def _at(state: ControlState, end: int) -> Standing:
    """Return what a state has that is not over at a time: an end on the clock is known before the event that notes it."""
    reservations = {name: one for name, one in state.reservations.items() if one.expires_at > end}
    orders = {name: order for name, order in state.terms.orders.items() if order.until > end}
    today = day_number(end)
    waiting = sum(one.opens and one.day == today and one.remaining == one.granted for one in reservations.values())
    return Standing(reservations, orders, waiting)
