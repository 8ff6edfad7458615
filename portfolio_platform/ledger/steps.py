"""The steps of the kernel: what one event does to one position. Nothing here allocates; `kernel` runs them.

Average cost and realised P&L are before fees; a fill that crosses zero closes and opens, its fee split by quantity.
"""

from typing import Any

import numpy as np
from numba import njit

from portfolio_platform.ledger.layout import (
    AVERAGE,
    DIVIDEND,
    ENTERED,
    ENTRY_VALUE,
    EXACT_FLOAT,
    EXIT_VALUE,
    FEES,
    FIFO,
    FILL,
    FILL_PRICE,
    FILL_TS,
    FLAT_TO_FLAT,
    HEAD,
    INCOME,
    LEFT,
    LOT_FEE,
    LOT_PRICE,
    LOT_ROW,
    LOT_TAG,
    LOT_TS,
    OPEN,
    OPENED_ROW,
    OPENED_TAG,
    OPENED_TS,
    POWERS,
    REALISED,
    STOP,
    TAGS,
    TAIL,
    TRIP_CLOSED,
    TRIP_ENTRY,
    TRIP_EXIT,
    TRIP_FEE,
    TRIP_FEES,
    TRIP_FIRST_ROW,
    TRIP_LAST_ROW,
    TRIP_METHOD,
    TRIP_OPENED,
    TRIP_PNL,
    TRIP_POSITION,
    TRIP_REALISED,
    TRIP_SIGN,
    TRIP_TAG,
    TRIPS,
    Events,
    Lots,
    Trips,
)

# Compiled code is cached by the time of its own file alone; a change of the layout must change this file too. A test
# holds the hash, and says what to write here.
LAYOUT = "e2e6aa62866f"

# A step of the loop allocates nothing. Compiled without reference counting, and inlined, a pass takes a quarter of the
# time: counting references to the arrays of `Events`, `Lots` and `Trips` was most of it.
step = njit(cache=True, _nrt=False, forceinline=True)  # type: ignore[call-overload]


@njit(cache=True)
def units(quantity: Any, places: int) -> float:  # pragma: no cover - compiled
    """Return a scaled quantity in units: the same float however many places the same value is scaled by.

    Money is computed from it, so a batch that needs more places than another still agrees with it to the last bit.
    """
    while (quantity >= EXACT_FLOAT or quantity <= -EXACT_FLOAT) and places > 0 and quantity % 10 == 0:
        quantity //= 10
        places -= 1
    return float(quantity) / POWERS[places]


@step
def add_to_tag(lots: Lots, tag: int, quantity: Any) -> None:  # pragma: no cover - compiled
    """Add to the open quantity of a tag; tags are kept ascending, and go when they are flat."""
    used = lots.cursor[TAGS]
    place = 0
    while place < used and lots.tag[place] < tag:
        place += 1
    if place < used and lots.tag[place] == tag:
        lots.tag_quantity[place] += quantity
        if lots.tag_quantity[place] == 0:
            for k in range(place, used - 1):
                lots.tag[k] = lots.tag[k + 1]
                lots.tag_quantity[k] = lots.tag_quantity[k + 1]
            lots.cursor[TAGS] = used - 1
        return
    for k in range(used, place, -1):
        lots.tag[k] = lots.tag[k - 1]
        lots.tag_quantity[k] = lots.tag_quantity[k - 1]
    lots.tag[place] = tag
    lots.tag_quantity[place] = quantity
    lots.cursor[TAGS] = used + 1


@step
def oldest_tag(lots: Lots) -> int:  # pragma: no cover - compiled
    """Return the tag of the oldest open lot, -1 where none is open."""
    for k in range(lots.cursor[HEAD], lots.cursor[TAIL]):
        if lots.quantity[k] != 0:
            return int(lots.integers[k, LOT_TAG])
    return -1


@step
def rescale(quantity: Any, numerator: Any, denominator: Any) -> Any:  # pragma: no cover - compiled
    """Return quantity * numerator / denominator, rounded half away from zero."""
    size = (abs(quantity) * numerator * 2 + denominator) // (2 * denominator)
    return size if quantity > 0 else -size


@njit(cache=True)
def apply_split(numerator: Any, denominator: Any, ratio: float, quantity: Any, floats: Any, lots: Lots) -> None:  # pragma: no cover
    """Multiply the open quantity by the ratio and divide cost, stop and last price by it, lot by lot."""
    total = quantity[OPEN] - quantity[OPEN]
    lots.cursor[TAGS] = 0
    for k in range(lots.cursor[HEAD], lots.cursor[TAIL]):
        lots.quantity[k] = rescale(lots.quantity[k], numerator, denominator)
        lots.floats[k, LOT_PRICE] /= ratio
        lots.floats[k, LOT_FEE] /= ratio
        total += lots.quantity[k]
        if lots.quantity[k] != 0:
            add_to_tag(lots, lots.integers[k, LOT_TAG], lots.quantity[k])
    while lots.cursor[HEAD] < lots.cursor[TAIL] and lots.quantity[lots.cursor[HEAD]] == 0:
        lots.cursor[HEAD] += 1
    quantity[OPEN] = total
    quantity[ENTERED] = rescale(quantity[ENTERED], numerator, denominator)
    quantity[LEFT] = rescale(quantity[LEFT], numerator, denominator)
    floats[AVERAGE] /= ratio
    floats[STOP] /= ratio
    floats[FILL_PRICE] /= ratio


@step
def match_lots(closed: Any, events: Events, i: int, p: int, fee: float, lots: Lots, trips: Trips) -> None:  # pragma: no cover
    """Close ``closed`` units of the oldest lots with event i, a round trip for each lot that is touched."""
    price = events.price[i]
    side = -1 if events.quantity[i] > 0 else 1
    while closed > 0:
        head = lots.cursor[HEAD]
        here = abs(lots.quantity[head])
        if here == 0:
            lots.cursor[HEAD] += 1
            continue
        matched = min(here, closed)
        n = lots.cursor[TRIPS]
        entry = lots.floats[head, LOT_PRICE]
        trips.quantity[n] = matched
        trips.floats[n, TRIP_ENTRY] = entry
        trips.floats[n, TRIP_EXIT] = price
        trips.floats[n, TRIP_PNL] = (price - entry) * units(matched, events.places[p]) * events.multiplier[p] * side
        trips.floats[n, TRIP_FEE] = (lots.floats[head, LOT_FEE] + fee) * units(matched, events.places[p])
        trips.integers[n, TRIP_POSITION] = p
        trips.integers[n, TRIP_METHOD] = FIFO
        trips.integers[n, TRIP_SIGN] = side
        trips.integers[n, TRIP_OPENED] = lots.integers[head, LOT_TS]
        trips.integers[n, TRIP_CLOSED] = events.ts[i]
        trips.integers[n, TRIP_FIRST_ROW] = lots.integers[head, LOT_ROW]
        trips.integers[n, TRIP_LAST_ROW] = events.row[i]
        trips.integers[n, TRIP_TAG] = lots.integers[head, LOT_TAG]
        lots.cursor[TRIPS] = n + 1
        add_to_tag(lots, lots.integers[head, LOT_TAG], -matched * side)
        lots.quantity[head] -= matched * side
        closed -= matched
        if matched == here:
            lots.cursor[HEAD] += 1


@step
def end_trip(
    events: Events, i: int, p: int, quantity: Any, floats: Any, integers: Any, lots: Lots, trips: Trips
) -> None:  # pragma: no cover
    """Write the round trip of a position that event i made flat."""
    n = lots.cursor[TRIPS]
    trips.quantity[n] = quantity[ENTERED]
    trips.floats[n, TRIP_ENTRY] = floats[ENTRY_VALUE] / units(quantity[ENTERED], events.places[p])
    trips.floats[n, TRIP_EXIT] = floats[EXIT_VALUE] / units(quantity[LEFT], events.places[p])
    trips.floats[n, TRIP_PNL] = floats[TRIP_REALISED]
    trips.floats[n, TRIP_FEE] = floats[TRIP_FEES]
    trips.integers[n, TRIP_POSITION] = p
    trips.integers[n, TRIP_METHOD] = FLAT_TO_FLAT
    trips.integers[n, TRIP_SIGN] = -1 if events.quantity[i] > 0 else 1
    trips.integers[n, TRIP_OPENED] = integers[OPENED_TS]
    trips.integers[n, TRIP_CLOSED] = events.ts[i]
    trips.integers[n, TRIP_FIRST_ROW] = integers[OPENED_ROW]
    trips.integers[n, TRIP_LAST_ROW] = events.row[i]
    trips.integers[n, TRIP_TAG] = integers[OPENED_TAG]
    lots.cursor[TRIPS] = n + 1
    lots.cursor[HEAD] = 0
    lots.cursor[TAIL] = 0
    lots.cursor[TAGS] = 0
    floats[AVERAGE] = 0.0
    floats[STOP] = np.nan


@step
def open_lot(
    rest: Any, events: Events, i: int, p: int, fee: float, quantity: Any, floats: Any, integers: Any, lots: Lots
) -> None:  # pragma: no cover - compiled
    """Open or add ``rest`` units with event i, as one lot."""
    price, places = events.price[i], events.places[p]
    size = units(rest, places)
    sign = 1 if events.quantity[i] > 0 else -1
    held = abs(quantity[OPEN])
    if held == 0:
        quantity[ENTERED] = rest - rest
        quantity[LEFT] = rest - rest
        floats[ENTRY_VALUE] = 0.0
        floats[EXIT_VALUE] = 0.0
        floats[TRIP_REALISED] = 0.0
        floats[TRIP_FEES] = 0.0
        integers[OPENED_TS] = events.ts[i]
        integers[OPENED_ROW] = events.row[i]
        integers[OPENED_TAG] = events.tag[i]
        floats[AVERAGE] = price
    else:
        floats[AVERAGE] = (floats[AVERAGE] * units(held, places) + price * size) / units(held + rest, places)
    quantity[OPEN] += rest * sign
    quantity[ENTERED] += rest
    floats[ENTRY_VALUE] += price * size
    floats[TRIP_FEES] += fee * size
    tail = lots.cursor[TAIL]
    lots.quantity[tail] = rest * sign
    lots.floats[tail, LOT_PRICE] = price
    lots.floats[tail, LOT_FEE] = fee
    lots.integers[tail, LOT_TS] = events.ts[i]
    lots.integers[tail, LOT_TAG] = events.tag[i]
    lots.integers[tail, LOT_ROW] = events.row[i]
    lots.cursor[TAIL] = tail + 1
    add_to_tag(lots, events.tag[i], rest * sign)


@step
def apply_fill(
    events: Events, i: int, p: int, quantity: Any, floats: Any, integers: Any, lots: Lots, trips: Trips
) -> None:  # pragma: no cover
    """Apply fill i: close what is on the other side, then open what is left."""
    traded = events.quantity[i]
    price = events.price[i]
    size = abs(traded)
    sign = 1 if traded > 0 else -1
    fee = events.fee[i] / units(size, events.places[p])
    floats[FEES] += events.fee[i]
    floats[FILL_PRICE] = price
    integers[FILL_TS] = events.ts[i]
    held = quantity[OPEN]
    rest = size
    if held != 0 and (held > 0) != (traded > 0):
        closed = min(size, abs(held))
        rest = size - closed
        left = units(closed, events.places[p])
        pnl = (price - floats[AVERAGE]) * left * events.multiplier[p] * -sign
        floats[REALISED] += pnl
        floats[TRIP_REALISED] += pnl
        floats[TRIP_FEES] += fee * left
        floats[EXIT_VALUE] += price * left
        quantity[LEFT] += closed
        quantity[OPEN] += closed * sign
        match_lots(closed, events, i, p, fee, lots, trips)
        if quantity[OPEN] == 0:
            end_trip(events, i, p, quantity, floats, integers, lots, trips)
    if rest > 0:
        open_lot(rest, events, i, p, fee, quantity, floats, integers, lots)
    if quantity[OPEN] != 0 and not np.isnan(events.stop[i]):
        floats[STOP] = events.stop[i]


@step
def apply_event(
    events: Events, i: int, p: int, quantity: Any, floats: Any, integers: Any, lots: Lots, trips: Trips
) -> float:  # pragma: no cover
    """Apply event i to position p; return the cash that it brings before fees."""
    if events.kind[i] == FILL:
        apply_fill(events, i, p, quantity, floats, integers, lots, trips)
        return -units(events.quantity[i], events.places[p]) * events.price[i] * events.multiplier[p]
    if events.kind[i] == DIVIDEND:
        amount = units(quantity[OPEN], events.places[p]) * events.price[i] * events.multiplier[p]
        floats[INCOME] += amount
        return amount
    split = events.row[i]
    apply_split(events.split_numerator[split], events.split_denominator[split], events.price[i], quantity, floats, lots)
    return 0.0
