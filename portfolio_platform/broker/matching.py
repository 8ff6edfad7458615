"""At what price a bar fills an order, if it does. Pure; it sees one bar, and none after it."""

from typing import Literal, NamedTuple

from portfolio_platform.broker.model import Bar
from portfolio_platform.broker.state import Working


class Match(NamedTuple):
    """An order meets a bar: at which price, and whether at the bar's first price or inside its range."""

    price: int
    phase: Literal["open", "range"]


def eligible(working: Working, bar: Bar) -> bool:
    """Say whether a bar may fill an order: it opened at or after the decision, and before the order's end."""
    order = working.order
    in_time = not order.expires_at or bar.opens_at < order.expires_at
    return working.state in ("accepted", "partially_filled") and bar.opens_at >= order.decided_at and in_time


def match(working: Working, bar: Bar) -> Match | None:
    """Return the price at which a bar fills an eligible order, before slippage; None where it does not reach it.

    A market order, and a stop that was touched before, fills at the open. Where the bar opens beyond a stop, a limit or a target, it
    fills at the open: worse than a stop's price, better than a limit's. Else it fills at its own price if the range touches it.
    What was born inside this very bar has seen neither its open nor all of its range: its stop fills at its price, as if touched after
    the entry (the careful reading), its target not before the next bar. A bar that closes after the order's end fills it at its open
    only, for nobody knows when inside the bar its price was touched.
    """
    order = working.order
    if order.kind == "market" or working.triggered:
        return Match(bar.open, "open")
    born_inside = working.born == bar.ts
    if born_inside and order.kind != "stop":
        return None
    if reached(working, bar.open) and not born_inside:
        return Match(bar.open, "open")
    if order.expires_at and bar.ts > order.expires_at:
        return None
    extreme = bar.high if (order.kind == "stop") == (order.side == "buy") else bar.low
    return Match(order.price, "range") if reached(working, extreme) else None


def reached(working: Working, price: int) -> bool:
    """Say whether a price is at or beyond that of a limit, stop or target."""
    order = working.order
    # a stop that buys waits for a price from below, as a limit that sells does
    upward = (order.kind == "stop") == (order.side == "buy")
    return price >= order.price if upward else price <= order.price


def rank(working: Working) -> tuple[int, int]:
    """Return the place of an order among those of its symbol in a bar: the market, then stops, then limits and targets, as they came.

    A stop before a target is what makes a bar that holds both a stop.
    """
    first = working.order.kind == "market" or working.triggered
    return (0 if first else 1 if working.order.kind == "stop" else 2, working.number)
