"""What became of each signal: a walk over the bars strictly after it, until its stop, its target or its expiry.

What belongs here: the reconciler. Its rules, and what they were checked against, are in ``docs/decisions/0009-signal-outcomes.md``:

- The paper trade enters at ``entry_price``. A bar at or before the signal's own time is never used.
- The stop is reached where a bar's range touches it, and is looked at before the target: a bar that holds both is a stop, marked
  ``ambiguous``. Where the bar opens beyond the stop, the result is that of the open; a target never gives more than its own price.
- It expires at the close of the ``expected_hold_bars``-th bar, or at ``valid_until`` where that is later or no holding time is
  stated, at the last close by then. Without either it stays open until stop or target.
- Excursions count whole bars up to the deciding one, that one included.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from numba import njit

from portfolio_platform.signals.bars import Bars
from portfolio_platform.signals.excursions import first_after

Int64 = npt.NDArray[np.int64]
Float64 = npt.NDArray[np.float64]
OUTCOMES = ("open", "target_hit", "stop_hit", "expired", "cancelled")
OPEN, TARGET, STOP, EXPIRED, CANCELLED = range(len(OUTCOMES))
NONE = np.iinfo(np.int64).min


@dataclass(frozen=True)
class Paper:
    """Paper trades, one of each signal, as arrays: symbol codes of the bars (-1 without), prices in the bars' units.

    ``stop`` and ``target`` are NaN where there is none; ``hold`` is 0 and ``valid_until`` `NONE` where not stated.
    ``sign`` is 1 for long and -1 for short.
    """

    symbol: Int64
    ts: Int64
    entry: Float64
    stop: Float64
    target: Float64
    sign: Float64
    hold: Int64
    valid_until: Int64


@dataclass(frozen=True)
class Walked:
    """How each paper trade ended by a time: outcome (a place in `OUTCOMES`), its time, the price it ended at, excursions as prices.

    While open, ``ts`` is `NONE`, ``price`` NaN, and excursions and ``bars`` are those so far.
    """

    outcome: npt.NDArray[np.int8]
    ts: Int64
    price: Float64
    adverse: Float64
    favourable: Float64
    bars: Int64
    ambiguous: npt.NDArray[np.bool_]


@njit(cache=True)
def _walk(  # pragma: no cover - compiled
    start: Int64,
    times: Int64,
    opens: Float64,
    highs: Float64,
    lows: Float64,
    closes: Float64,
    symbol: Int64,
    ts: Int64,
    entry: Float64,
    stop: Float64,
    target: Float64,
    sign: Float64,
    hold: Int64,
    valid: Int64,
    until: int,
    none: int,
    outcome: npt.NDArray[np.int8],
    ended: Int64,
    price: Float64,
    adverse: Float64,
    favourable: Float64,
    bars: Int64,
    ambiguous: npt.NDArray[np.bool_],
) -> None:
    for i in range(ts.size):
        end = start[symbol[i] + 1] if symbol[i] >= 0 else 0
        at = first_after(times, start[symbol[i]], end, ts[i]) if symbol[i] >= 0 else 0
        count, close = 0, np.nan
        while at < end and times[at] <= until:
            if valid[i] != none and count >= hold[i] and times[at] > valid[i]:
                break  # it expired between two bars
            worst, best = (lows[at], highs[at]) if sign[i] > 0 else (highs[at], lows[at])
            adverse[i] = max(adverse[i], sign[i] * (entry[i] - worst))
            favourable[i] = max(favourable[i], sign[i] * (best - entry[i]))
            close = closes[at]
            count += 1
            # comparisons with a missing stop, target or open are false
            stopped, reached = sign[i] * (worst - stop[i]) <= 0.0, sign[i] * (best - target[i]) >= 0.0
            if stopped:
                outcome[i], ended[i], ambiguous[i] = 2, times[at], reached
                price[i] = opens[at] if sign[i] * (opens[at] - stop[i]) < 0.0 else stop[i]
            elif reached:
                outcome[i], ended[i], price[i] = 1, times[at], target[i]
            elif count >= hold[i] and (times[at] >= valid[i]) and (hold[i] > 0 or valid[i] != none):
                outcome[i], ended[i], price[i] = 3, times[at], close
            if outcome[i] != 0:
                break
            at += 1
        bars[i] = count
        if outcome[i] == 0 and valid[i] != none and count >= hold[i] and valid[i] <= until:
            outcome[i], ended[i], price[i] = 3, max(valid[i], ts[i]), close


def walk(bars: Bars, paper: Paper, until: int) -> Walked:
    """Return how each paper trade ended by ``until`` (ns UTC, inclusive); no bar after it is looked at."""
    size = paper.ts.size
    walked = Walked(
        outcome=np.zeros(size, np.int8),
        ts=np.full(size, NONE),
        price=np.full(size, np.nan),
        adverse=np.zeros(size),
        favourable=np.zeros(size),
        bars=np.zeros(size, np.int64),
        ambiguous=np.zeros(size, np.bool_),
    )
    given = (paper.symbol, paper.ts, paper.entry, paper.stop, paper.target, paper.sign, paper.hold, paper.valid_until)
    _walk(bars.start, bars.ts, bars.open, bars.high, bars.low, bars.close, *given, until, NONE, *vars(walked).values())
    return walked
