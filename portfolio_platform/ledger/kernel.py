"""The streaming kernel: one pass over ledger-ordered events, position by position.

It keeps the average cost and the FIFO lots of each position and writes a change point for each day on which a position
changed, the closed round trips, and the state that one more day goes on from. Nothing here knows stores, dates or
names. The same function runs compiled over 64-bit integers and, as plain Python over object arrays of Python
integers, where 64 bits do not hold a symbol's range.
"""

from collections.abc import Callable
from types import FunctionType
from typing import Any

import numpy as np
from numba import njit

from portfolio_platform.ledger import steps
from portfolio_platform.ledger.layout import (
    CP_CASH,
    CP_FLOATS,
    FILL_TS,
    HEAD,
    LOT_TAG,
    OPEN,
    TAGS,
    TAIL,
    TRIPS,
    Events,
    Lots,
    Pass,
    State,
    Trips,
)
from portfolio_platform.ledger.steps import add_to_tag, apply_event, oldest_tag, units

# As in `steps`: the cache of this file must not outlive the steps that it is compiled from.
STEPS = "145d25aa006e"


@njit(cache=True)
def _all_units(quantities: Any, places: Any) -> Any:  # pragma: no cover - compiled
    out = np.empty(quantities.size, np.float64)
    for i in range(quantities.size):
        out[i] = units(quantities[i], places[i])
    return out


@njit(cache=True)
def room(values: Any, needed: int) -> Any:  # pragma: no cover - compiled
    """Return the array, or a copy of at least twice its length where it holds fewer than ``needed`` entries."""
    if needed <= values.shape[0]:
        return values
    larger = np.empty((max(needed, 2 * values.shape[0]), *values.shape[1:]), values.dtype)
    larger[: values.shape[0]] = values
    return larger


@njit(cache=True)
def load_lots(lots: Lots, before: State, p: int) -> None:  # pragma: no cover - compiled
    """Put the lots that a position holds before the first event into the working set."""
    lots.cursor[HEAD] = 0
    lots.cursor[TAGS] = 0
    tail = 0
    for k in range(before.lot_start[p], before.lot_start[p + 1]):
        lots.quantity[tail] = before.lot_quantity[k]
        lots.floats[tail] = before.lot_floats[k]
        lots.integers[tail] = before.lot_integers[k]
        add_to_tag(lots, lots.integers[tail, LOT_TAG], lots.quantity[tail])
        tail += 1
    lots.cursor[TAIL] = tail


@njit(cache=True)
def sizes(events: Events, before: State) -> tuple[int, int, int]:  # pragma: no cover - compiled
    """Return the number of change points, the most lots that one position can have, and the most round trips of all.

    A fill makes a position flat once at most, and a match ends a lot or what the fill closes.
    """
    changes, longest = 0, 1
    for p in range(events.start.size - 1):
        held = before.lot_start[p + 1] - before.lot_start[p]
        longest = max(longest, held + events.start[p + 1] - events.start[p] + 1)
        for i in range(events.start[p], events.start[p + 1]):
            if i + 1 == events.start[p + 1] or events.day[i + 1] != events.day[i]:
                changes += 1
    return changes, longest, before.lot_quantity.size + 3 * events.quantity.size


def _account(events: Events, before: State) -> Pass:
    n_positions = events.start.size - 1
    dtype = events.quantity.dtype
    n_changes, longest, most = sizes(events, before)
    cp_position, cp_day = np.empty(n_changes, np.int64), np.empty(n_changes, np.int64)
    cp_quantity, cp_fill_ts, cp_tag = np.empty(n_changes, dtype), np.empty(n_changes, np.int64), np.empty(n_changes, np.int64)
    cp_floats, cp_group_start = np.empty((n_changes, CP_FLOATS), np.float64), np.zeros(n_changes + 1, np.int64)
    group_tag, group_quantity = np.empty(n_changes, np.int64), np.empty(n_changes, dtype)
    lots = Lots(
        np.empty(longest, dtype),
        np.empty((longest, 2), np.float64),
        np.empty((longest, 3), np.int64),
        np.empty(longest, np.int64),
        np.empty(longest, dtype),
        np.zeros(4, np.int64),
    )
    # room for the most: memory that is never written to is never taken, and growing would take twice what is needed
    trips = Trips(np.empty(most, dtype), np.empty((most, 4), np.float64), np.empty((most, 8), np.int64))
    quantities, floats, integers = before.quantities.copy(), before.floats.copy(), before.integers.copy()
    end_start, end_quantity = np.zeros(n_positions + 1, np.int64), np.empty(64, dtype)
    end_floats, end_integers = np.empty((64, 2), np.float64), np.empty((64, 3), np.int64)
    n_cp, n_group, n_end = 0, 0, 0
    for p in range(n_positions):
        load_lots(lots, before, p)
        cash = 0.0
        for i in range(events.start[p], events.start[p + 1]):
            cash += apply_event(events, i, p, quantities[p], floats[p], integers[p], lots, trips)
            if i + 1 < events.start[p + 1] and events.day[i + 1] == events.day[i]:
                continue
            cp_position[n_cp] = p
            cp_day[n_cp] = events.day[i]
            cp_quantity[n_cp] = quantities[p, OPEN]
            cp_floats[n_cp, :CP_CASH] = floats[p, :CP_CASH]
            cp_floats[n_cp, CP_CASH] = cash
            cp_fill_ts[n_cp] = integers[p, FILL_TS]
            cp_tag[n_cp] = oldest_tag(lots)
            groups = lots.cursor[TAGS]
            group_tag, group_quantity = room(group_tag, n_group + groups), room(group_quantity, n_group + groups)
            group_tag[n_group : n_group + groups] = lots.tag[:groups]
            group_quantity[n_group : n_group + groups] = lots.tag_quantity[:groups]
            n_group += groups
            n_cp += 1
            cp_group_start[n_cp] = n_group
            cash = 0.0
        head, tail = lots.cursor[HEAD], lots.cursor[TAIL]
        needed = n_end + tail - head
        end_quantity, end_floats, end_integers = room(end_quantity, needed), room(end_floats, needed), room(end_integers, needed)
        end_quantity[n_end:needed] = lots.quantity[head:tail]
        end_floats[n_end:needed] = lots.floats[head:tail]
        end_integers[n_end:needed] = lots.integers[head:tail]
        n_end = needed
        end_start[p + 1] = n_end
    n_trip = lots.cursor[TRIPS]
    return Pass(
        cp_position,
        cp_day,
        cp_quantity,
        cp_floats,
        cp_fill_ts,
        cp_tag,
        cp_group_start,
        group_tag[:n_group],
        group_quantity[:n_group],
        trips.quantity[:n_trip],
        trips.floats[:n_trip],
        trips.integers[:n_trip],
        State(quantities, floats, integers, end_start, end_quantity[:n_end], end_floats[:n_end], end_integers[:n_end]),
    )


_compiled = njit(cache=True)(_account)


def _interpret() -> Callable[[Events, State], Pass]:
    """Return `_account` as plain Python, with every compiled function that it calls as plain Python too."""
    plain = {**vars(steps), **globals()}
    for name, value in list(plain.items()):
        if hasattr(value, "py_func"):
            plain[name] = FunctionType(value.py_func.__code__, plain, name)
    return FunctionType(_account.__code__, plain, "_account")


_interpreted = _interpret()


def account(events: Events, before: State) -> Pass:
    """Run the events of every position over the state before them; O(events), one pass.

    Object quantities (Python integers) take the exact, uncompiled path: the same source, interpreted.
    """
    result: Pass = _interpreted(events, before) if events.quantity.dtype == object else _compiled(events, before)
    return result


def all_units(quantities: Any, places: Any) -> Any:
    """Return scaled quantities in units, as floats; ``places`` has an entry for each."""
    if quantities.dtype != object:
        return _all_units(quantities, places)
    return np.array([units.py_func(quantity, place) for quantity, place in zip(quantities, places.tolist(), strict=True)], np.float64)
