"""Bars as the rules of failure modes look at them: windows that end with a bar, what is usual before it, and a day's shocks.

What belongs here: places among bars laid out by symbol and time, and what is read around them, for many trades at once. Which
bars a rule looks at is in `labels`. Nothing looks further back than the look-back: what lies there is missing.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from numba import njit

from portfolio_platform.days import NANOSECONDS_PER_DAY, day_number
from portfolio_platform.signals.bars import Bars

Int64 = npt.NDArray[np.int64]
Float64 = npt.NDArray[np.float64]


@njit(cache=True)
def _back(owner: Int64, ts: Int64, reach: int, place: int, count: int) -> int:  # pragma: no cover - compiled
    """Return the bar ``count`` bars before one of the same symbol, -1 where there is none within the look-back."""
    earlier = place - count
    if place < 0 or earlier < 0 or owner[earlier] != owner[place] or ts[place] - ts[earlier] > reach:
        return -1
    return earlier


@njit(cache=True)
def _earlier(owner: Int64, ts: Int64, reach: int, place: Int64, count: int, out: Int64) -> None:  # pragma: no cover - compiled
    for i in range(place.size):
        out[i] = _back(owner, ts, reach, place[i], count)


@njit(cache=True)
def _search(start: Int64, ts: Int64, symbol: Int64, at: Int64, after: bool, out: Int64) -> None:  # pragma: no cover - compiled
    """Bisect each symbol's bars; ``after`` puts a bar at that very time before it."""
    for i in range(symbol.size):
        if symbol[i] < 0 or start[symbol[i]] == start[symbol[i] + 1]:
            continue
        low, high = start[symbol[i]], start[symbol[i] + 1]
        while low < high:
            middle = (low + high) // 2
            if ts[middle] < at[i] or (after and ts[middle] == at[i]):
                low = middle + 1
            else:
                high = middle
        out[i] = low


@njit(cache=True)
def _lay(
    values: Float64, owner: Int64, ts: Int64, reach: int, last: Int64, count: int, rows: Float64
) -> None:  # pragma: no cover - compiled
    for i in range(last.size):
        if _back(owner, ts, reach, last[i], count - 1) < 0:
            rows[i] = np.nan
        else:
            for k in range(count):
                rows[i, k] = values[last[i] - count + 1 + k]


@njit(cache=True)
def _reach_of(
    high: Float64, low: Float64, owner: Int64, ts: Int64, reach: int, last: Int64, count: int, highest: Float64, lowest: Float64
) -> None:  # pragma: no cover - compiled
    for i in range(last.size):
        if _back(owner, ts, reach, last[i], count - 1) < 0:
            continue
        top, bottom = -np.inf, np.inf
        for k in range(last[i] - count + 1, last[i] + 1):
            # what is missing makes the whole missing
            top = high[k] if not high[k] <= top else top
            bottom = low[k] if not low[k] >= bottom else bottom
        highest[i], lowest[i] = top, bottom


@njit(cache=True)
def _widest(start: Int64, day: Int64, ratio: Float64, limit: float, counted: Int64, wide: Int64) -> None:  # pragma: no cover - compiled
    """Count by day the symbols with a known ratio, and those whose widest bar reached a limit; a symbol counts once a day."""
    for symbol in range(start.size - 1):
        most = 0.0
        for i in range(start[symbol], start[symbol + 1]):
            if np.isfinite(ratio[i]):
                most = max(most, ratio[i])
            if i + 1 == start[symbol + 1] or day[i + 1] != day[i]:
                counted[day[i]] += most > 0.0
                wide[day[i]] += most >= limit
                most = 0.0


@dataclass(frozen=True)
class Frame:
    """Bars with what the rules take from them: true range and its mean up to each bar (ATR), and who owns a bar; (bars,) each.

    ``reach`` is the look-back in ns.
    """

    bars: Bars
    volume: Float64
    owner: Int64
    day: Int64
    true_range: Float64
    atr: Float64
    reach: int

    def back(self, place: Int64, count: int) -> Int64:
        """Return the bar ``count`` bars before each, -1 at -1 and where the symbol has none within the look-back."""
        out = np.empty(place.size, np.int64)
        _earlier(self.owner, self.bars.ts, self.reach, place, count, out)
        return out

    def window(self, values: Float64, last: Int64, count: int) -> Float64:
        """Return the ``count`` values that end with each bar as rows; NaN where they are not all there, or at -1."""
        rows = np.empty((last.size, count))
        _lay(values, self.owner, self.bars.ts, self.reach, last, count, rows)
        return rows

    def extremes(self, last: Int64, count: int) -> tuple[Float64, Float64]:
        """Return the highest high and lowest low of the ``count`` bars that end with each; NaN as for `window`."""
        highest, lowest = np.full(last.size, np.nan), np.full(last.size, np.nan)
        _reach_of(self.bars.high, self.bars.low, self.owner, self.bars.ts, self.reach, last, count, highest, lowest)
        return highest, lowest

    def search(self, symbol: Int64, ts: Int64, *, after: bool) -> Int64:
        """Return the place of each time among its symbol's bars, counted over all bars; -1 without a bar of the symbol.

        It is the first bar at that time or later; with ``after`` the first one later.
        """
        out = np.full(ts.size, -1, np.int64)
        _search(self.bars.start, self.bars.ts, symbol, ts, after, out)
        return out

    def newest(self, symbol: Int64, ts: Int64) -> Int64:
        """Return the newest bar up to each time, -1 where there is none within the look-back."""
        place = self.search(symbol, ts, after=True)
        found = place > self.bars.start[np.maximum(symbol, 0)]
        near = ts - np.append(self.bars.ts, 0)[np.where(found, place - 1, -1)] <= self.reach
        return np.where(found & near, place - 1, -1)

    def shocks(self, limit: float) -> tuple[Float64, Float64, Float64]:
        """Return of each bar its true range over the ATR before it, and of its day the share of how many symbols reached a limit."""
        usual = at(self.atr, self.back(np.arange(self.owner.size), 1))
        ratio = np.where(usual > 0.0, self.true_range / np.where(usual > 0.0, usual, 1.0), np.nan)
        code = self.day - self.day.min(initial=0)
        counted, wide = (np.zeros(int(code.max(initial=-1)) + 1, np.int64) for _ in range(2))
        _widest(self.bars.start, code, ratio, limit, counted, wide)
        return ratio, (wide / np.maximum(counted, 1))[code], counted[code].astype(np.float64)


def at(values: Float64, place: Int64) -> Float64:
    """Return the value at each place, NaN at -1."""
    out: Float64 = np.append(values, np.nan)[place]
    return out


def medians(rows: Float64) -> Float64:
    """Return the median of each row, NaN where a value is missing."""
    ordered, middle = np.sort(rows, axis=1), rows.shape[1] // 2
    median = ordered[:, middle] if rows.shape[1] % 2 else (ordered[:, middle - 1] + ordered[:, middle]) / 2.0
    # what is missing is sorted to the end
    return np.where(np.isnan(ordered[:, -1]), np.nan, median)


def frame(bars: Bars, volume: Float64, count: int, reach_days: int) -> Frame:
    """Return bars with the mean true range of the last ``count`` (Wilder 1978); ``volume`` is by bar, in original units."""
    owner = np.repeat(np.arange(len(bars.symbols)), np.diff(bars.start))
    before = np.append(np.nan, bars.close[:-1])
    before[bars.start[:-1][np.diff(bars.start) > 0]] = np.nan
    true_range = np.fmax(bars.high, before) - np.fmin(bars.low, before)
    true_range[np.isnan(before)] = np.nan
    atr = np.full(bars.ts.size, np.nan)
    found = Frame(bars, volume, owner, day_number(bars.ts), true_range, atr, reach_days * NANOSECONDS_PER_DAY)
    if bars.ts.size > count:
        rows = np.lib.stride_tricks.sliding_window_view(true_range, count)
        # summed in order, so that bars further back change no digit
        total = np.zeros(rows.shape[0])
        for place in range(count):
            total += rows[:, place]
        atr[count - 1 :] = total / count
        atr[found.back(np.arange(bars.ts.size), count) < 0] = np.nan
    return found
