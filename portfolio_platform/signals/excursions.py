"""Maximum adverse and favourable excursion of many trades over bars, in one pass.

What belongs here: how far prices went against and for a trade while it was open (Sweeney 1996), from bars sorted by symbol and
time. A bar at or before the opening is never used; the bar in which a trade closes ends after it and is not used either, so
excursions from bars are approximate, at the resolution of the bars.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from numba import njit

from portfolio_platform.signals.bars import Bars

Int64 = npt.NDArray[np.int64]
Float64 = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Trades:
    """Trades as arrays, one entry each: symbol codes of the bars (-1 without), times in ns UTC, prices in the bars' units.

    ``sign`` is 1 for long and -1 for short; ``risk`` is that of one unit, NaN where there was no stop.
    """

    symbol: Int64
    opened: Int64
    closed: Int64
    entry: Float64
    exit: Float64
    sign: Float64
    risk: Float64


@dataclass(frozen=True)
class Excursions:
    """Excursions in units of risk, never negative, and how many bars lay in (opened, closed]."""

    adverse: Float64
    favourable: Float64
    bars: Int64


@njit(cache=True, error_model="numpy")
def first_after(ts: Int64, low: int, high: int, time: int) -> int:  # pragma: no cover - compiled
    """Return the first place in ``ts[low:high]``, ascending, whose time is later than ``time``; ``high`` where none is.

    Bars come at nearly even times, so the place is guessed from the time and is a step or two away; steps double where it is not,
    and a binary search between them ends it. Half of the guesses of a binary search alone are mispredicted: four times slower.
    """
    if low >= high or ts[low] > time:
        return low
    if ts[high - 1] <= time:
        return high
    # from here on ts[low] <= time < ts[high - 1]
    at = low + int(float(time - ts[low]) / float(ts[high - 1] - ts[low]) * (high - 1 - low))
    step = 1
    if ts[at] <= time:
        low = at
        while low + step < high and ts[low + step] <= time:
            low += step
            step *= 2
        high = min(high, low + step)
    else:
        high = at
        while high - step > low and ts[high - step] > time:
            high -= step
            step *= 2
        low = max(low, high - step)
    while high - low > 1:
        middle = (low + high) >> 1
        if ts[middle] <= time:
            low = middle
        else:
            high = middle
    return high


@njit(cache=True, error_model="numpy")
def _scan(  # pragma: no cover - compiled
    start: Int64,
    ts: Int64,
    highs: Float64,
    lows: Float64,
    symbol: Int64,
    opened: Int64,
    closed: Int64,
    entry: Float64,
    leaving: Float64,
    sign: Float64,
    risk: Float64,
    adverse: Float64,
    favourable: Float64,
    bars: Int64,
) -> None:
    for i in range(symbol.size):
        # plain comparisons compile to one instruction; `max` would look for missing values, and there are none
        top = entry[i] if entry[i] > leaving[i] else leaving[i]
        bottom = entry[i] if entry[i] < leaving[i] else leaving[i]
        count = 0
        if symbol[i] >= 0:
            begin = first_after(ts, start[symbol[i]], start[symbol[i] + 1], opened[i])
            # places without a sign spare a look at whether they count from the end
            at, end, one, until = np.uintp(begin), np.uintp(start[symbol[i] + 1]), np.uintp(1), closed[i]
            while at < end and ts[at] <= until:
                top = highs[at] if highs[at] > top else top
                bottom = lows[at] if lows[at] < bottom else bottom
                at += one
            count = int(np.int64(at) - begin)
        up, down = (top - entry[i]) / risk[i], (entry[i] - bottom) / risk[i]
        adverse[i] = down if sign[i] > 0 else up
        favourable[i] = up if sign[i] > 0 else down
        bars[i] = count


def excursions(bars: Bars, trades: Trades) -> Excursions:
    """Return how far each trade went against and for its holder over the bars in (opened, closed], in units of its risk.

    The entry and exit prices themselves count as seen. Without a bar these two are all there is; ``bars`` says so with 0.
    """
    size = trades.symbol.size
    seen = Excursions(np.empty(size), np.empty(size), np.empty(size, np.int64))
    _scan(bars.start, bars.ts, bars.high, bars.low, *vars(trades).values(), *vars(seen).values())
    return seen
