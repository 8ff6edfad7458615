"""How the kernel's arrays are laid out: which column holds what, and which arrays travel together.

Plain names for column numbers, because compiled code indexes arrays; what is computed with them is in `kernel`.
"""

from typing import Any, NamedTuple

import numpy as np

FILL, SPLIT, DIVIDEND = 0, 1, 2
# columns of the float state of a position
AVERAGE, REALISED, FEES, INCOME, STOP, FILL_PRICE, ENTRY_VALUE, EXIT_VALUE, TRIP_REALISED, TRIP_FEES = range(10)
STATE_FLOATS = 10
# columns of the integer state of a position
FILL_TS, OPENED_TS, OPENED_ROW, OPENED_TAG = range(4)
STATE_INTEGERS = 4
# columns of the quantity state of a position
OPEN, ENTERED, LEFT = range(3)
STATE_QUANTITIES = 3
# float columns of a lot; integer columns of a lot
LOT_PRICE, LOT_FEE = range(2)
LOT_TS, LOT_TAG, LOT_ROW = range(3)
# float columns of a change point: the first six of the state, and the cash of its day before fees
CP_CASH = 6
CP_FLOATS = 7
# float and integer columns of a round trip
TRIP_ENTRY, TRIP_EXIT, TRIP_PNL, TRIP_FEE = range(4)
TRIP_POSITION, TRIP_METHOD, TRIP_SIGN, TRIP_OPENED, TRIP_CLOSED, TRIP_FIRST_ROW, TRIP_LAST_ROW, TRIP_TAG = range(8)
FLAT_TO_FLAT, FIFO = 0, 1
POWERS = np.array([10.0**k for k in range(19)])  # all exact
EXACT_FLOAT = 2**53
# cursors of the working set
HEAD, TAIL, TAGS, TRIPS = range(4)


class Events(NamedTuple):
    """Events sorted by (position, time, id). ``start`` has an entry for each position and one for the end.

    ``quantity`` is signed and scaled (dtype int64, or object for the exact path); ``price`` is the fill's price, the
    split's ratio, or the dividend for one unit; ``row`` names the fill, or the entry of the split table.
    """

    start: Any
    kind: Any
    ts: Any
    day: Any
    quantity: Any
    price: Any
    fee: Any
    stop: Any
    tag: Any
    row: Any
    split_numerator: Any
    split_denominator: Any
    places: Any  # for each position: the decimal places in which its quantities are scaled
    multiplier: Any  # for each position: the notional of one unit at price 1


class State(NamedTuple):
    """State of every position before the first event, or after the last; lots are flat, ``lot_start`` delimits them."""

    quantities: Any
    floats: Any
    integers: Any
    lot_start: Any
    lot_quantity: Any
    lot_floats: Any
    lot_integers: Any


class Lots(NamedTuple):
    """Working set of one position: the FIFO queue from HEAD to TAIL, and its open quantity by tag."""

    quantity: Any
    floats: Any
    integers: Any
    tag: Any
    tag_quantity: Any
    cursor: Any


class Trips(NamedTuple):
    """Round trips found so far, and room for more."""

    quantity: Any
    floats: Any
    integers: Any


class Pass(NamedTuple):
    """What the kernel found: change points, their groups (open quantity by tag), closed trips, and the end state."""

    cp_position: Any
    cp_day: Any
    cp_quantity: Any
    cp_floats: Any
    cp_fill_ts: Any
    cp_tag: Any  # tag of the oldest open lot, -1 when flat
    cp_group_start: Any
    group_tag: Any
    group_quantity: Any
    trip_quantity: Any
    trip_floats: Any
    trip_integers: Any
    end: State
