"""The bars of many symbols as arrays, for what is computed over all of them at once.

Prices are floats here: what is made of them is rounded to parts per million, and nothing is booked with it.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from portfolio_platform.broker.model import UNIT, Bar

if TYPE_CHECKING:
    import pyarrow as pa

Floats = npt.NDArray[np.float64]
Times = npt.NDArray[np.int64]
BARS = 500
PRICES = ("open", "high", "low", "close")


@dataclass(frozen=True)
class UniverseBars:
    """Closed bars, a row for each symbol and the newest in the last column; what a symbol has not is on the left: NaN, and time 0.

    Attributes:
        symbols: ascending.
        ts: closes of the bars, nanoseconds UTC; (symbols, bars), ascending in each row.
        open: prices in the symbol's currency; (symbols, bars).
        high: as open.
        low: as open.
        close: as open.
        volume: units traded, NaN where it is not known; (symbols, bars).
    """

    symbols: tuple[str, ...]
    ts: Times
    open: Floats
    high: Floats
    low: Floats
    close: Floats
    volume: Floats

    @classmethod
    def of(cls, bars: Mapping[str, Sequence[Bar]], keep: int = BARS) -> "UniverseBars":
        """Return the newest ``keep`` bars of each symbol; a symbol's bars ascend in time."""
        symbols = tuple(sorted(bars))
        width = min(keep, max((len(bars[symbol]) for symbol in symbols), default=0))
        ts = np.zeros((len(symbols), width), np.int64)
        found = {name: np.full((len(symbols), width), np.nan) for name in (*PRICES, "volume")}
        for row, symbol in enumerate(symbols):
            kept = bars[symbol][-width:] if width else ()
            if not kept:
                continue
            first = width - len(kept)
            ts[row, first:] = [bar.ts for bar in kept]
            for name in PRICES:
                found[name][row, first:] = [getattr(bar, name) / UNIT for bar in kept]
            found["volume"][row, first:] = [np.nan if bar.volume is None else bar.volume / UNIT for bar in kept]
        return cls(symbols, ts, **found)

    @classmethod
    def of_table(cls, bars: "pa.Table", actions: "pa.Table") -> "UniverseBars":
        """Return all bars of the lake's table, in the shares of before the first split, so that a split is no fall.

        Args:
            bars: symbol, ts, open, high, low, close, volume; in any order.
            actions: corporate actions: ts, symbol, kind, ratio, row_id.
        """
        from portfolio_platform.ledger.fixed_point import to_floats
        from portfolio_platform.signals.bars import lay_out

        laid = lay_out(bars, actions)
        count = np.diff(laid.start)
        symbols = len(laid.symbols)
        width = int(count.max()) if symbols else 0
        owner = np.repeat(np.arange(symbols), count)
        place = np.arange(laid.ts.size) - laid.start[owner] + width - count[owner]
        order = np.lexsort((bars["ts"].to_numpy(), laid.codes(bars["symbol"])))
        volume = to_floats(bars["volume"])[order] / laid.splits.at(owner, laid.ts)
        opened = np.where(np.isnan(laid.open), laid.close, laid.open)

        def wide(values: Floats) -> Floats:
            out = np.full((symbols, width), np.nan)
            out[owner, place] = values
            return out

        ts = np.zeros((symbols, width), np.int64)
        ts[owner, place] = laid.ts
        return cls(laid.symbols, ts, wide(opened), wide(laid.high), wide(laid.low), wide(laid.close), wide(volume))

    @property
    def counts(self) -> Times:
        """Return how many bars each symbol has; (symbols,)."""
        return np.asarray(np.count_nonzero(self.ts, axis=1), np.int64)

    def until(self, at: int, keep: int = BARS) -> "UniverseBars":
        """Return the newest ``keep`` bars of each symbol that closed at or before a time."""
        width = self.ts.shape[1]
        later = np.count_nonzero(self.ts > at, axis=1)
        size = min(keep, width)
        place = np.arange(width - size, width)[None, :] - later[:, None]
        there = place >= 0
        place = np.maximum(place, 0)

        def cut(values: Floats) -> Floats:
            return np.where(there, np.take_along_axis(values, place, axis=1), np.nan)

        ts = np.where(there, np.take_along_axis(self.ts, place, axis=1), 0)
        return UniverseBars(self.symbols, ts, cut(self.open), cut(self.high), cut(self.low), cut(self.close), cut(self.volume))
