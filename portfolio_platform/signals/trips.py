"""Profiles of closed trades: how long, how far against and for, at what slippage, in units of the risk at the start.

What belongs here: from flat-to-flat round trips, their fills and bars to rows of `trip_profiles`. The risk of a trade is
``|entry - initial stop|`` a unit: entry is the average entry price of the whole trade, the stop that of its opening fill. Result
and excursions are measured from that same entry, before fees.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
from numba import njit

from portfolio_platform.lake import derived
from portfolio_platform.lake.arrays import assemble, number_column
from portfolio_platform.ledger.fixed_point import to_floats
from portfolio_platform.signals.bars import Bars
from portfolio_platform.signals.entries import Fills
from portfolio_platform.signals.excursions import Trades, excursions
from portfolio_platform.signals.reasons import joined

Int64 = npt.NDArray[np.int64]
Float64 = npt.NDArray[np.float64]
TRIP_COLUMNS = (
    "round_trip_id",
    "day",
    "portfolio",
    "strategy",
    "symbol",
    "direction",
    "opened_at",
    "closed_at",
    "quantity",
    "entry_price",
    "exit_price",
    "realised_pnl",
    "fees",
    "template",
    "playbook",
    "opening_row_id",
    "closing_row_id",
    "month",
)
SIGNAL_COLUMNS = ("signal_id", "regime")


@njit(cache=True)
def _slippages(  # pragma: no cover - compiled
    first: Int64, last: Int64, sign: Float64, quantity: Float64, side: Float64, size: Float64, bps: Float64, entry: Float64, leave: Float64
) -> None:
    for i in range(first.size):
        entry[i] = leave[i] = np.nan
        if first[i] < 0 or last[i] < first[i]:
            continue
        # a fill that flips belongs to two trades: to each with what is missing from its other fills
        rest_in = rest_out = quantity[i]
        for j in range(first[i] + 1, last[i] + 1):
            if side[j] == sign[i]:
                rest_in -= size[j]
        for j in range(first[i], last[i]):
            if side[j] != sign[i]:
                rest_out -= size[j]
        paid_in = paid_out = weight_in = weight_out = 0.0
        for j in range(first[i], last[i] + 1):
            if np.isnan(bps[j]):
                continue
            if side[j] == sign[i]:
                weight = min(size[j], max(rest_in, 0.0)) if j == first[i] else size[j]
                weight_in += weight
                paid_in += weight * bps[j]
            else:
                weight = min(size[j], max(rest_out, 0.0)) if j == last[i] else size[j]
                weight_out += weight
                paid_out += weight * bps[j]
        if weight_in > 0.0:
            entry[i] = paid_in / weight_in
        if weight_out > 0.0:
            leave[i] = paid_out / weight_out


@dataclass(frozen=True)
class _Placed:
    """Round trips as arrays, prices and quantities in original units; ``first`` and ``last`` are their fills' places, -1 unknown."""

    symbol: Int64
    opened: Int64
    closed: Int64
    sign: Float64
    entry: Float64
    exit: Float64
    quantity: Float64
    first: Int64
    last: Int64


def _place(trips: pa.Table, fills: Fills, bars: Bars) -> _Placed:
    symbol = bars.codes(trips["symbol"])
    opened, closed = trips["opened_at"].to_numpy(), trips["closed_at"].to_numpy()
    after = bars.splits.at(symbol, closed)
    first, last = (_places(trips[name], fills.row_id) for name in ("opening_row_id", "closing_row_id"))
    return _Placed(
        symbol=symbol,
        opened=opened,
        closed=closed,
        sign=np.where(pc.equal(trips["direction"], "long").to_numpy(), 1.0, -1.0),
        entry=trips["entry_price"].to_numpy() * after,
        exit=trips["exit_price"].to_numpy() * after,
        quantity=to_floats(trips["quantity"]) / after,
        first=first,
        last=last,
    )


def _places(names: pa.ChunkedArray, among: pa.Array) -> Int64:
    found = pc.fill_null(pc.index_in(names.combine_chunks(), among), -1)
    return np.asarray(found.to_numpy(zero_copy_only=False), np.int64)


def trip_profiles(trips: pa.Table, fills: Fills, signals: pa.Table, bars: Bars) -> pa.Table:
    """Return `trip_profiles` of flat-to-flat round trips (`TRIP_COLUMNS`), sorted by id.

    ``fills`` hold those of the trips, ``signals`` (`SIGNAL_COLUMNS`) those that the opening fills name, ``bars`` those between
    opening and closing. A figure that cannot be told is null, with its reason.
    """
    trips = trips.sort_by("round_trip_id").combine_chunks()
    at = _place(trips, fills, bars)
    found = at.first >= 0
    stated = _taken(fills.stop, at.first)
    initial = stated * bars.splits.at(at.symbol, at.opened)
    distance = at.sign * (at.entry - initial)
    risk = np.where(distance > 0.0, distance, np.nan)
    seen = excursions(bars, Trades(at.symbol, at.opened, at.closed, at.entry, at.exit, at.sign, risk))
    no_bars = seen.bars == 0
    entry, leave = np.empty(at.first.size), np.empty(at.first.size)
    # fills between opening and closing may be in other units than these; only their shares matter, and those are of one symbol
    size = fills.quantity / _fill_factors(fills, at, bars)
    _slippages(at.first, at.last, at.sign, at.quantity, fills.sign, size, fills.slippage, entry, leave)
    signal_id = fills.signal_id.take(pa.array(at.first, mask=~found))
    place = pa.array(_places(pa.chunked_array([signal_id]), signals["signal_id"].combine_chunks()))
    regime = signals["regime"].combine_chunks().take(pc.if_else(pc.greater_equal(place, 0), place, None))
    reasons = {
        "no_fill": ~found | (at.last < 0),
        "no_signal": found & (place.to_numpy() < 0),
        "no_regime": regime.is_null().to_numpy(zero_copy_only=False) & (place.to_numpy() >= 0),
        "no_stop": found & np.isnan(stated),
        "stop_not_beyond_entry": ~np.isnan(stated) & ~(distance > 0.0),
        "no_bars": no_bars,
        "no_decision_price": found & (at.last >= 0) & (np.isnan(entry) | np.isnan(leave)),
    }
    known = bars.known(at.symbol)
    columns = {
        **{name: trips[name].combine_chunks() for name in ("round_trip_id", "day", "portfolio", "strategy", "symbol", "direction")},
        **{name: trips[name].combine_chunks() for name in ("opened_at", "closed_at", "template", "playbook", "month")},
        "regime": regime,
        "signal_id": signal_id,
        "hold_bars": pa.array(seen.bars, mask=~known),
        "initial_stop": number_column(stated),
        "r": number_column(at.sign * (at.exit - at.entry) / risk),
        "mae_r": number_column(np.where(no_bars, np.nan, seen.adverse)),
        "mfe_r": number_column(np.where(no_bars, np.nan, seen.favourable)),
        "resolution": bars.resolutions(at.symbol),
        "entry_slippage_bps": number_column(entry),
        "exit_slippage_bps": number_column(leave),
        "net_pnl": number_column(trips["realised_pnl"].to_numpy() - trips["fees"].to_numpy()),
        "reason": joined(reasons),
    }
    return assemble(derived.TRIP_PROFILES, columns)


def _taken(values: Float64, places: Int64) -> Float64:
    """Return the values at these places, NaN at -1."""
    return np.append(values, np.nan)[places]


def _fill_factors(fills: Fills, at: _Placed, bars: Bars) -> Float64:
    """Return the split factor of each fill's symbol at its time; 1 for the fills of no trip."""
    if not bars.splits.ts.size:
        return np.ones(fills.size)
    symbol = np.full(fills.size, -1, np.int64)
    for first, last, code in zip(at.first.tolist(), at.last.tolist(), at.symbol.tolist(), strict=True):
        if first >= 0:
            symbol[first : last + 1] = code
    return bars.splits.at(symbol, fills.ts)
