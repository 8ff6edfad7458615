"""Bars laid out by symbol and time, and splits as factors, so that a window of one symbol is a slice.

What belongs here: arrays of bars in the shares of one time, whatever splits came between. What is read from them is in
`excursions` and `outcomes`.
"""

from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from portfolio_platform.days import NANOSECONDS_PER_SECOND
from portfolio_platform.ledger.fixed_point import to_floats

Int64 = npt.NDArray[np.int64]
Float64 = npt.NDArray[np.float64]
HOUR, DAY = 3600, 86_400
BAR_COLUMNS = ("symbol", "ts", "open", "high", "low", "close")


@dataclass(frozen=True)
class Splits:
    """Splits by symbol and time: from ``ts[k]`` on, one unit of before the first split is ``factor[k]`` units."""

    symbols: tuple[str, ...]
    start: Int64
    ts: Int64
    factor: Float64

    def at(self, symbol: Int64, ts: Int64) -> Float64:
        """Return how many units one original unit of each symbol (a code) is at each time; a split counts from its own instant on.

        A price times it, and a quantity over it, is in original units, whatever its time. Without a split all are 1.
        """
        factors = np.ones(ts.size)
        for code in np.flatnonzero(np.diff(self.start)).tolist():
            mine = np.flatnonzero(symbol == code)
            place = np.searchsorted(self.ts[self.start[code] : self.start[code + 1]], ts[mine], side="right")
            steps = np.concatenate(([1.0], self.factor[self.start[code] : self.start[code + 1]]))
            factors[mine] = steps[place]
        return factors


@dataclass(frozen=True)
class Bars:
    """Bars sorted by symbol and time, those of symbol ``k`` at ``start[k]:start[k + 1]``; prices in original units.

    ``high`` and ``low`` are never missing: a bar that states none has the larger and smaller of open and close.
    ``open`` is NaN where it is not stated but a range is; a bar with a close alone was that price all along.
    ``resolution`` is the time between a symbol's bars ("1d", "1h"), empty where one bar alone is known.
    """

    symbols: tuple[str, ...]
    start: Int64
    ts: Int64
    open: Float64
    high: Float64
    low: Float64
    close: Float64
    resolution: tuple[str, ...]
    splits: Splits

    def codes(self, names: pa.Array | pa.ChunkedArray) -> Int64:
        """Return the code of each symbol, -1 where it has neither bar nor split."""
        return _codes(names, self.symbols)

    def known(self, symbol: Int64) -> npt.NDArray[np.bool_]:
        """Say of each symbol (a code) whether it has any bar."""
        counts = np.append(np.diff(self.start), 0)
        return np.asarray(counts[symbol] > 0)

    def resolutions(self, symbol: Int64) -> pa.Array:
        """Return the resolution of each symbol (a code), null where it is not known."""
        names: list[str | None] = [name or None for name in (*self.resolution, "")]
        return pa.array(names, pa.string()).take(pa.array(np.where(symbol < 0, len(self.symbols), symbol)))


def _codes(names: pa.Array | pa.ChunkedArray, symbols: tuple[str, ...]) -> Int64:
    column = names.combine_chunks() if isinstance(names, pa.ChunkedArray) else names
    found = pc.fill_null(pc.index_in(column.cast(pa.string()), pa.array(symbols, pa.string())), -1)
    return np.asarray(found.to_numpy(zero_copy_only=False), np.int64)


def read_splits(actions: pa.Table, symbols: tuple[str, ...]) -> Splits:
    """Return the splits among corporate actions (ts, symbol, kind, ratio, row_id)."""
    kept = actions.filter((pc.field("kind") == "split") & pc.is_valid(pc.field("ratio")))
    rows = kept.sort_by([("symbol", "ascending"), ("ts", "ascending"), ("row_id", "ascending")])
    code, ratio = _codes(rows["symbol"], symbols), to_floats(rows["ratio"])
    order = np.argsort(code, kind="stable")
    code, ratio = code[order], ratio[order]
    start = np.searchsorted(code, np.arange(len(symbols) + 1))
    factor = np.concatenate([np.cumprod(ratio[a:b]) for a, b in pairwise(start.tolist())] or [np.empty(0)])
    return Splits(symbols, start - start[0], rows["ts"].to_numpy()[order][start[0] :], factor)


def lay_out(bars: pa.Table, actions: pa.Table) -> Bars:
    """Return bars (`BAR_COLUMNS`, in any order) laid out by symbol and time, beside the splits that they are corrected for."""
    symbols = tuple(sorted(set(pc.unique(bars["symbol"]).to_pylist()) | set(pc.unique(actions["symbol"]).to_pylist())))
    code, ts = _codes(bars["symbol"], symbols), bars["ts"].to_numpy()
    order = np.lexsort((ts, code))
    code, ts = code[order], ts[order]
    opened, high, low, close = (to_floats(bars[name])[order] for name in ("open", "high", "low", "close"))
    alone = np.isnan(opened) & np.isnan(high) & np.isnan(low)
    high, low = np.where(np.isnan(high), np.fmax(opened, close), high), np.where(np.isnan(low), np.fmin(opened, close), low)
    opened = np.where(alone, close, opened)
    splits = read_splits(actions, symbols)
    factor = splits.at(code, ts)
    start = np.searchsorted(code, np.arange(len(symbols) + 1))
    spacing = tuple(_resolution(ts[a:b]) for a, b in pairwise(start.tolist()))
    return Bars(symbols, start, ts, opened * factor, high * factor, low * factor, close * factor, spacing, splits)


def _resolution(ts: Int64) -> str:
    """Return the usual time between bars as a timeframe; a weekend or a holiday between two daily bars does not show."""
    if ts.size < 2:
        return ""
    seconds = int(np.median(np.diff(ts)) // NANOSECONDS_PER_SECOND)
    if seconds > 12 * HOUR:
        return "1d" if seconds <= 5 * DAY else "1w" if seconds <= 14 * DAY else "1mo"
    if seconds >= HOUR:
        return f"{round(seconds / HOUR)}h"
    return f"{round(seconds / 60)}m" if seconds >= 60 else f"{seconds}s"
