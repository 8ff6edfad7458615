"""How a losing trade failed: deterministic rules over the trade, its signal and the bars up to the day of its close.

What belongs here: the rules, and the numbers they look at. How often a failure comes back is in `failures`. No rule sees a bar
later than the day of the close, so a label is known on that day and never changes. Thresholds (in brackets their names) are those
of `FailurePolicy`.

The *signal bar* is the newest at the signal (at the opening, where there is none); prices are in original units and signs in the
trade's direction, so that "above" reads "below" for a short one. ATR is the mean true range of the `bars` bars up to a bar (Wilder
1978). The *last bar* is the one in which the trade was closed, or the one before where that bar ends after the day. A rule whose
numbers are missing does not hold. The rules, in the order in which the first that holds is the label (special causes first):

- ``macro_news_whipsaw``: the true range of the last bar was `shock_atr` times the ATR before it, and so it was, `breadth_atr`
  times, for `breadth` of at least `breadth_symbols` symbols with a bar on that day.
- ``low_volume_breakout_failure``: the signal bar closed above the highest high of the `breakout_bars` bars before it, on less than
  `low_volume` of the median volume of the `bars` bars before it.
- ``false_breakout_reversion``: such a breakout, closed below the broken level again within `reversion_bars` bars of the opening,
  before it had gone `little_r` initial risks in favour.
- ``trend_exhaustion_after_extension``: the signal bar closed `extension_atr` ATR above the mean close of `bars` bars, and the trade
  never went `little_r` initial risks in favour.
- ``signal_conflict_chop``: a qualified signal of the portfolio pointed the other way in the same symbol, from `conflict_bars` bars
  before the signal bar to the close, while the efficiency ratio (net over summed change of close; Kaufman 1995) of the `chop_bars`
  bars up to the last one was at most `chop`.
- ``late_entry_poor_r_multiple``: the average entry was `late_r` planned risks above the signal's price, and from there the target
  was less than `poor_reward` times as far as the stop; without a target, the trade never went so far in favour.
- ``stop_too_tight_noise_out``: the stop was nearer than `tight_atr` ATR to the entry and was reached, and the last bar closed back
  above it: the noise of one bar took the trade out. Whether the trade would have paid later is not asked: that is the future.
"""

from dataclasses import dataclass, fields

import numpy as np
import numpy.typing as npt
from numba import njit

from portfolio_platform.diagnostics.label_bars import Frame, at, frame, medians
from portfolio_platform.policy.diagnostics import FailurePolicy
from portfolio_platform.signals.bars import Bars

Int64 = npt.NDArray[np.int64]
Float64 = npt.NDArray[np.float64]
Flags = npt.NDArray[np.bool_]

TAXONOMY = (
    "false_breakout_reversion",
    "trend_exhaustion_after_extension",
    "low_volume_breakout_failure",
    "macro_news_whipsaw",
    "signal_conflict_chop",
    "late_entry_poor_r_multiple",
    "stop_too_tight_noise_out",
)
PRECEDENCE = (
    "macro_news_whipsaw",
    "low_volume_breakout_failure",
    "false_breakout_reversion",
    "trend_exhaustion_after_extension",
    "signal_conflict_chop",
    "late_entry_poor_r_multiple",
    "stop_too_tight_noise_out",
)
UNLABELLED = "unlabelled"
DAYS_PER_BAR = 7


@dataclass(frozen=True)
class Losers:
    """Losing trades, shape (trades,): times in ns UTC, prices in original units, NaN where null.

    ``symbol`` is the code in the bars (-1 without), ``sign`` 1 for long, ``seen_at`` the time of the signal (of the opening
    without one), ``day`` the day of the close; ``book`` is the code of portfolio and symbol that `Opinions` share.
    """

    symbol: Int64
    sign: Float64
    seen_at: Int64
    opened_at: Int64
    closed_at: Int64
    day: Int64
    signal_price: Float64
    signal_stop: Float64
    target: Float64
    entry: Float64
    stop: Float64
    mae_r: Float64
    mfe_r: Float64
    book: Int64


@dataclass(frozen=True)
class Opinions:
    """Qualified signals, sorted by book and time: who pointed where."""

    book: Int64
    ts: Int64
    sign: Float64


@dataclass(frozen=True)
class Numbers:
    """What the rules look at, shape (trades,); NaN where it cannot be told."""

    level: Float64
    beyond_level: Float64
    bars_to_reversion: Float64
    extension: Float64
    volume_ratio: Float64
    shock: Float64
    breadth: Float64
    shocked_symbols: Float64
    opposed: Float64
    efficiency: Float64
    late: Float64
    reward: Float64
    stop_atr: Float64
    recovered: Float64
    mae_r: Float64
    mfe_r: Float64


def lookback_days(policy: FailurePolicy) -> int:
    """Return how many days before a signal or a close the rules may look: what lies further back is missing to them."""
    return DAYS_PER_BAR * (max(policy.bars, policy.chop_bars, policy.breakout_bars, policy.conflict_bars) + 1)


def _last(frame: Frame, trades: Losers) -> Int64:
    """Return the bar in which each trade was closed, the one before where that bar ends after the day; -1 without."""
    symbol = trades.symbol
    found = frame.search(symbol, trades.closed_at, after=False)
    inside = (found >= 0) & (found < frame.bars.start[np.maximum(symbol, 0) + 1])
    same_day = inside & (frame.day[np.where(inside, found, 0)] <= trades.day)
    return np.where(same_day, found, frame.newest(symbol, trades.closed_at))


def _breakout(frame: Frame, trades: Losers, anchor: Int64, last: Int64, policy: FailurePolicy) -> tuple[Float64, Float64, Float64]:
    """Return the level, how far beyond it the signal bar closed, and the bar (1 the first held) that closed back inside."""
    bars, up = frame.bars, trades.sign > 0.0
    highest, lowest = frame.extremes(frame.back(anchor, 1), policy.breakout_bars)
    level = np.where(up, highest, lowest)
    beyond = trades.sign * (at(bars.close, anchor) - level)
    first = frame.search(trades.symbol, trades.opened_at, after=True)
    back = np.full(level.size, np.nan)
    for step in range(policy.reversion_bars - 1, -1, -1):
        place = first + step
        held = (first >= 0) & (last >= 0) & (place <= last)
        inside = held & (trades.sign * (at(bars.close, np.where(held, place, -1)) - level) < 0.0)
        back[inside] = step + 1.0
    return level, beyond, back


def _efficiency(frame: Frame, last: Int64, count: int) -> Float64:
    """Return net over summed change of close of the bars up to the last: 1 one way, 0 back where it came from."""
    rows = frame.window(frame.bars.close, last, count + 1)
    path = np.abs(np.diff(rows, axis=1)).sum(axis=1)
    return np.where(path > 0.0, np.abs(rows[:, -1] - rows[:, 0]) / np.where(path > 0.0, path, 1.0), np.nan)


def _opposed(frame: Frame, trades: Losers, opinions: Opinions, anchor: Int64, policy: FailurePolicy) -> Float64:
    """Return how many signals pointed the other way, from some bars before the signal bar up to the close."""
    earlier = frame.back(anchor, policy.conflict_bars)
    since = np.where(earlier >= 0, frame.bars.ts[earlier], trades.seen_at)
    counts = np.zeros(trades.sign.size)
    start = np.searchsorted(opinions.book, np.arange(int(opinions.book.max(initial=-1)) + 2))
    long, short = (np.append(0, np.cumsum(opinions.sign == sign)) for sign in (1.0, -1.0))
    _count_opposed(start, opinions.ts, long, short, trades.book, trades.sign, since, trades.closed_at, counts)
    return counts


@njit(cache=True)
def _count_opposed(
    start: Int64,
    ts: Int64,
    long: Int64,
    short: Int64,
    book: Int64,
    sign: Float64,
    since: Int64,
    until: Int64,
    counts: Float64,
) -> None:  # pragma: no cover - compiled
    """Count signals against each trade; ``long`` and ``short`` say how many there are before each, of all books."""
    for i in range(book.size):
        if book[i] + 1 < start.size:
            begin, mine = start[book[i]], ts[start[book[i]] : start[book[i] + 1]]
            first = begin + np.searchsorted(mine, since[i], side="left")
            last = begin + np.searchsorted(mine, until[i], side="right")
            against = short if sign[i] > 0.0 else long
            counts[i] = against[last] - against[first]


def numbers(trades: Losers, bars: Bars, volume: Float64, opinions: Opinions, policy: FailurePolicy) -> Numbers:
    """Return what the rules look at; ``volume`` is by bar, NaN or 0 where it is not known."""
    if not bars.ts.size:
        nothing = np.full(trades.sign.size, np.nan)
        return Numbers(**dict.fromkeys((field.name for field in fields(Numbers)), nothing))
    looked = frame(bars, volume, policy.bars, lookback_days(policy))
    anchor, last = looked.newest(trades.symbol, trades.seen_at), _last(looked, trades)
    level, beyond, back = _breakout(looked, trades, anchor, last, policy)
    atr = at(looked.atr, anchor)
    mean = looked.window(bars.close, anchor, policy.bars).mean(axis=1)
    usual = medians(looked.window(volume, looked.back(anchor, 1), policy.bars))
    shock, breadth, symbols = (at(of_bar, last) for of_bar in looked.shocks(policy.breadth_atr))
    with np.errstate(divide="ignore", invalid="ignore"):
        risk, planned = trades.sign * (trades.entry - trades.stop), trades.sign * (trades.signal_price - trades.signal_stop)
        reward = trades.sign * (trades.target - trades.entry) / risk
        reward = np.where(np.isnan(trades.target), trades.mfe_r, reward)
        return Numbers(
            level=level,
            beyond_level=beyond,
            bars_to_reversion=back,
            extension=np.where(atr > 0.0, trades.sign * (at(bars.close, anchor) - mean) / atr, np.nan),
            volume_ratio=np.where(usual > 0.0, at(volume, anchor) / usual, np.nan),
            shock=shock,
            breadth=breadth,
            shocked_symbols=symbols,
            opposed=_opposed(looked, trades, opinions, anchor, policy),
            efficiency=_efficiency(looked, last, policy.chop_bars),
            late=np.where(planned > 0.0, trades.sign * (trades.entry - trades.signal_price) / planned, np.nan),
            reward=np.where(risk > 0.0, reward, np.nan),
            stop_atr=np.where((risk > 0.0) & (atr > 0.0), risk / atr, np.nan),
            recovered=trades.sign * (at(bars.close, last) - trades.stop),
            mae_r=trades.mae_r,
            mfe_r=trades.mfe_r,
        )


def rules(seen: Numbers, policy: FailurePolicy) -> dict[str, Flags]:
    """Return which trades each rule holds for."""
    with np.errstate(invalid="ignore"):
        broke, little = seen.beyond_level > 0.0, seen.mfe_r < policy.little_r
        wide = (seen.breadth >= policy.breadth) & (seen.shocked_symbols >= policy.breadth_symbols)
        return {
            "false_breakout_reversion": broke & (seen.bars_to_reversion <= policy.reversion_bars) & little,
            "trend_exhaustion_after_extension": (seen.extension >= policy.extension_atr) & little,
            "low_volume_breakout_failure": broke & (seen.volume_ratio < policy.low_volume),
            "macro_news_whipsaw": (seen.shock >= policy.shock_atr) & wide,
            "signal_conflict_chop": (seen.opposed >= 1.0) & (seen.efficiency <= policy.chop),
            "late_entry_poor_r_multiple": (seen.late >= policy.late_r) & (seen.reward < policy.poor_reward),
            "stop_too_tight_noise_out": (seen.stop_atr < policy.tight_atr) & (seen.mae_r >= 1.0) & (seen.recovered > 0.0),
        }
