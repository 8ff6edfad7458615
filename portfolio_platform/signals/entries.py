"""Fills as arrays in ledger order with what they cost against their decision, and the entry of each signal.

What belongs here: adverse slippage of fills (``side * (price - decision price) / decision price * 10,000``) and what a signal's
own entry fills add up to.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from portfolio_platform.days import day_number
from portfolio_platform.ledger.fixed_point import to_floats
from portfolio_platform.ledger.inputs import FILL_COLUMNS, Reference, key_fills, ledger_order

Int64 = npt.NDArray[np.int64]
Float64 = npt.NDArray[np.float64]
COLUMNS = (*FILL_COLUMNS, "signal_id", "decision_price", "decision_ts")
NONE = np.iinfo(np.int64).min


@dataclass(frozen=True)
class Fills:
    """Fills in ledger order: by position, time and id. ``sign`` is 1 for a purchase; ``slippage`` in bps, NaN without a decision price.

    ``decision_ts`` is `NONE` where the fill states none.
    """

    position: Int64
    ts: Int64
    sign: Float64
    quantity: Float64
    price: Float64
    stop: Float64
    slippage: Float64
    decision_ts: Int64
    row_id: pa.Array
    signal_id: pa.Array

    @property
    def size(self) -> int:
        """Return the number of fills."""
        return int(self.ts.size)


def read_fills(fills: pa.Table, known: Reference) -> Fills:
    """Return a table of fills (`COLUMNS`, in any order) as arrays in ledger order."""
    arrays, _, _ = key_fills(fills, known, None)
    order = ledger_order(arrays.position, arrays.ts, np.zeros(arrays.ts.size, np.int8), arrays.row_id)
    sign, decision = arrays.sign.astype(np.float64), to_floats(fills["decision_price"])
    taken = pa.array(order)
    return Fills(
        position=arrays.position[order],
        ts=arrays.ts[order],
        sign=sign[order],
        quantity=to_floats(fills["quantity"])[order],
        price=arrays.price[order],
        stop=arrays.stop[order],
        slippage=(sign * (arrays.price - decision) / decision * 1e4)[order],
        decision_ts=np.asarray(fills["decision_ts"].fill_null(NONE).to_numpy(), np.int64)[order],
        row_id=_text(fills["row_id"]).take(taken),
        signal_id=_text(fills["signal_id"]).take(taken),
    )


def _text(column: pa.ChunkedArray) -> pa.Array:
    array = column.cast(pa.string()).combine_chunks()
    return pa.concat_arrays(array.chunks) if isinstance(array, pa.ChunkedArray) else array


@dataclass(frozen=True)
class Entries:
    """What the entry fills of each signal add up to. Without a fill times are `NONE` and numbers NaN.

    ``latency`` in ns from the decision (the signal's own time where the fill states none) to the first fill;
    ``slippage_known`` counts the fills up to the end of a given day alone.
    """

    first: Int64
    last: Int64
    price: Float64
    latency: Float64
    slippage: Float64
    slippage_known: Float64

    @property
    def filled(self) -> npt.NDArray[np.bool_]:
        """Say which signals were filled."""
        return np.asarray(self.first != NONE)


def entries(fills: Fills, signal: Int64, emitted: Int64, sign: Float64, known_day: Int64) -> Entries:
    """Return the entry of each signal: its fills on its own side, not before it was emitted.

    ``signal`` is the place of each fill's signal, -1 without; ``emitted``, ``sign`` and ``known_day`` (a day number) are by signal.
    """
    size = emitted.size
    mine = np.flatnonzero(signal >= 0)
    of = signal[mine]
    entering = (fills.sign[mine] == sign[of]) & (fills.ts[mine] >= emitted[of])
    mine, of = mine[entering], of[entering]
    order = np.argsort(of, kind="stable")
    order = order[np.lexsort((fills.ts[mine[order]], of[order]))]
    mine, of = mine[order], of[order]
    first, last, latency = np.full(size, NONE), np.full(size, NONE), np.full(size, np.nan)
    opens = np.flatnonzero(np.concatenate(([True], of[1:] != of[:-1]))[: of.size])
    closes = np.append(opens[1:], of.size)[: opens.size] - 1
    first[of[opens]], last[of[opens]] = fills.ts[mine[opens]], fills.ts[mine[closes]]
    stated = fills.decision_ts[mine[opens]]
    decided = np.where(stated == NONE, emitted[of[opens]], stated)
    latency[of[opens]] = fills.ts[mine[opens]] - decided
    quantity, slippage = fills.quantity[mine], fills.slippage[mine]
    priced = ~np.isnan(slippage)
    early = priced & (day_number(fills.ts[mine]) <= known_day[of])
    return Entries(
        first=first,
        last=last,
        price=_mean(of, fills.price[mine], quantity, size),
        latency=latency,
        slippage=_mean(of[priced], slippage[priced], quantity[priced], size),
        slippage_known=_mean(of[early], slippage[early], quantity[early], size),
    )


def _mean(group: Int64, values: Float64, weights: Float64, size: int) -> Float64:
    """Return the weighted mean of each group, summed in the order given; NaN where it has none."""
    total = np.bincount(group, weights, minlength=size)
    with np.errstate(invalid="ignore"):
        return np.where(total > 0.0, np.bincount(group, weights * values, minlength=size) / np.where(total > 0.0, total, 1.0), np.nan)
