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

from portfolio_platform.days import NANOSECONDS_PER_DAY, day_number
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


@dataclass(frozen=True)
class _Frame:
    """Bars with what the rules take from them: true range and its mean up to each bar, and who owns a bar."""

    bars: Bars
    volume: Float64
    owner: Int64
    day: Int64
    true_range: Float64
    atr: Float64
    reach: int

    def back(self, place: Int64, count: int) -> Int64:
        """Return the bar ``count`` bars earlier, -1 where the symbol has none within the look-back."""
        earlier = np.where(place >= count, place - count, 0)
        same = (place >= count) & (self.owner[earlier] == self.owner[place])
        near = self.bars.ts[place] - self.bars.ts[earlier] <= self.reach * NANOSECONDS_PER_DAY
        return np.where(same & near, earlier, -1)

    def window(self, values: Float64, last: Int64, count: int) -> Float64:
        """Return the ``count`` values that end with each bar as rows; NaN where they are not all there, or at -1."""
        sound = (last >= 0) & (self.back(np.maximum(last, 0), count - 1) >= 0)
        places = np.where(sound, last, 0)[:, None] - np.arange(count - 1, -1, -1)
        return np.where(sound[:, None], values[np.where(sound[:, None], places, 0)], np.nan)

    def before(self, place: Int64) -> Int64:
        """Return the bar before each, -1 at -1 and where there is none."""
        return np.where(place >= 0, self.back(np.maximum(place, 0), 1), -1)


def _frame(bars: Bars, volume: Float64, policy: FailurePolicy) -> _Frame:
    owner = np.repeat(np.arange(len(bars.symbols)), np.diff(bars.start))
    before = np.append(np.nan, bars.close[:-1])
    before[bars.start[:-1][np.diff(bars.start) > 0]] = np.nan
    true_range = np.fmax(bars.high, before) - np.fmin(bars.low, before)
    true_range[np.isnan(before)] = np.nan
    frame = _Frame(bars, volume, owner, day_number(bars.ts), true_range, np.empty(0), lookback_days(policy))
    every = np.arange(bars.ts.size)
    atr = np.full(bars.ts.size, np.nan)
    if bars.ts.size > policy.bars:
        rows = np.lib.stride_tricks.sliding_window_view(true_range, policy.bars)
        # summed in order, so that bars further back change no digit
        total = np.zeros(rows.shape[0])
        for place in range(policy.bars):
            total += rows[:, place]
        atr[policy.bars - 1 :] = total / policy.bars
        atr[frame.back(every, policy.bars) < 0] = np.nan
    return _Frame(bars, volume, owner, frame.day, true_range, atr, frame.reach)


def _search(frame: _Frame, symbol: Int64, ts: Int64, side: str) -> Int64:
    """Return the place of each time among its symbol's bars, counted over all bars; -1 without a bar of the symbol."""
    bars, out = frame.bars, np.full(ts.size, -1, np.int64)
    for code in np.unique(symbol[symbol >= 0]).tolist():
        mine, begin, end = symbol == code, bars.start[code], bars.start[code + 1]
        if end > begin:
            out[mine] = begin + np.searchsorted(bars.ts[begin:end], ts[mine], side=side)  # type: ignore[call-overload]
    return out


def _newest(frame: _Frame, symbol: Int64, ts: Int64) -> Int64:
    """Return the newest bar up to each time, -1 where there is none within the look-back."""
    after = _search(frame, symbol, ts, "right")
    found = after > frame.bars.start[np.maximum(symbol, 0)]
    near = ts - _at_ts(frame, np.where(found, after - 1, -1)) <= frame.reach * NANOSECONDS_PER_DAY
    return np.where(found & near, after - 1, -1)


def _at_ts(frame: _Frame, place: Int64) -> Int64:
    """Return the time of each bar, 0 at -1."""
    out: Int64 = np.append(frame.bars.ts, 0)[place]
    return out


def _last(frame: _Frame, trades: Losers) -> Int64:
    """Return the bar in which each trade was closed, the one before where that bar ends after the day; -1 without."""
    symbol = trades.symbol
    at = _search(frame, symbol, trades.closed_at, "left")
    inside = (at >= 0) & (at < frame.bars.start[np.maximum(symbol, 0) + 1])
    same_day = inside & (frame.day[np.where(inside, at, 0)] <= trades.day)
    return np.where(same_day, at, _newest(frame, symbol, trades.closed_at))


def _at(values: Float64, place: Int64) -> Float64:
    """Return the value at each place, NaN at -1."""
    out: Float64 = np.append(values, np.nan)[place]
    return out


def _nan_rows(rows: Float64, function: str) -> Float64:
    """Return a reduction by row, NaN for rows that are not whole."""
    whole = ~np.isnan(rows).any(axis=1)
    out = np.full(rows.shape[0], np.nan)
    out[whole] = getattr(np, function)(rows[whole], axis=1)
    return out


def _breakout(frame: _Frame, trades: Losers, anchor: Int64, last: Int64, policy: FailurePolicy) -> tuple[Float64, Float64, Float64]:
    """Return the level, how far beyond it the signal bar closed, and the bar (1 the first held) that closed back inside."""
    bars, up = frame.bars, trades.sign > 0.0
    highest = _nan_rows(frame.window(bars.high, frame.before(anchor), policy.breakout_bars), "max")
    lowest = _nan_rows(frame.window(bars.low, frame.before(anchor), policy.breakout_bars), "min")
    level = np.where(up, highest, lowest)
    beyond = trades.sign * (_at(bars.close, anchor) - level)
    first = _search(frame, trades.symbol, trades.opened_at, "right")
    back = np.full(level.size, np.nan)
    for step in range(policy.reversion_bars - 1, -1, -1):
        place = first + step
        held = (first >= 0) & (last >= 0) & (place <= last)
        inside = held & (trades.sign * (_at(bars.close, np.where(held, place, -1)) - level) < 0.0)
        back[inside] = step + 1.0
    return level, beyond, back


def _shocks(frame: _Frame, trades: Losers, last: Int64, policy: FailurePolicy) -> tuple[Float64, Float64, Float64]:
    """Return the last bar's true range over the ATR before it, and which share of how many symbols had a wide bar that day."""
    before = frame.back(np.arange(frame.owner.size), 1)
    usual = _at(frame.atr, before)
    ratio = np.where(usual > 0.0, frame.true_range / np.where(usual > 0.0, usual, 1.0), np.nan)
    known = np.isfinite(ratio)
    days, code = np.unique(frame.day, return_inverse=True)
    # a symbol counts once a day, by its widest bar
    widest = np.zeros((len(frame.bars.symbols), days.size))
    np.maximum.at(widest, (frame.owner[known], code[known]), ratio[known])
    counted = (widest > 0.0).sum(axis=0).astype(np.float64)
    share = (widest >= policy.breadth_atr).sum(axis=0) / np.maximum(counted, 1.0)
    place = np.where(last >= 0, code[last], -1)
    return _at(ratio, last), _at(share, place), _at(counted, place)


def _efficiency(frame: _Frame, last: Int64, count: int) -> Float64:
    """Return net over summed change of close of the bars up to the last: 1 one way, 0 back where it came from."""
    rows = frame.window(frame.bars.close, last, count + 1)
    path = np.abs(np.diff(rows, axis=1)).sum(axis=1)
    return np.where(path > 0.0, np.abs(rows[:, -1] - rows[:, 0]) / np.where(path > 0.0, path, 1.0), np.nan)


def _opposed(frame: _Frame, trades: Losers, opinions: Opinions, anchor: Int64, policy: FailurePolicy) -> Float64:
    """Return how many signals pointed the other way, from some bars before the signal bar up to the close."""
    earlier = frame.back(np.maximum(anchor, 0), policy.conflict_bars)
    since = np.where((anchor >= 0) & (earlier >= 0), frame.bars.ts[earlier], trades.seen_at)
    counts = np.zeros(trades.sign.size)
    start = np.searchsorted(opinions.book, np.arange(int(opinions.book.max(initial=-1)) + 2))
    for book in np.unique(trades.book).tolist():
        if book + 1 >= start.size:
            continue
        mine, part = trades.book == book, slice(start[book], start[book + 1])
        for sign in (1.0, -1.0):
            ts = opinions.ts[part][opinions.sign[part] == -sign]
            some = mine & (trades.sign == sign)
            counts[some] = np.searchsorted(ts, trades.closed_at[some], "right") - np.searchsorted(ts, since[some], "left")
    return counts


def numbers(trades: Losers, bars: Bars, volume: Float64, opinions: Opinions, policy: FailurePolicy) -> Numbers:
    """Return what the rules look at; ``volume`` is by bar, NaN or 0 where it is not known."""
    if not bars.ts.size:
        nothing = np.full(trades.sign.size, np.nan)
        return Numbers(**dict.fromkeys((field.name for field in fields(Numbers)), nothing))
    frame = _frame(bars, volume, policy)
    anchor, last = _newest(frame, trades.symbol, trades.seen_at), _last(frame, trades)
    level, beyond, back = _breakout(frame, trades, anchor, last, policy)
    atr = _at(frame.atr, anchor)
    mean = _nan_rows(frame.window(bars.close, anchor, policy.bars), "mean")
    usual = _nan_rows(frame.window(volume, frame.before(anchor), policy.bars), "median")
    shock, breadth, symbols = _shocks(frame, trades, last, policy)
    with np.errstate(divide="ignore", invalid="ignore"):
        risk, planned = trades.sign * (trades.entry - trades.stop), trades.sign * (trades.signal_price - trades.signal_stop)
        reward = trades.sign * (trades.target - trades.entry) / risk
        reward = np.where(np.isnan(trades.target), trades.mfe_r, reward)
        return Numbers(
            level=level,
            beyond_level=beyond,
            bars_to_reversion=back,
            extension=np.where(atr > 0.0, trades.sign * (_at(bars.close, anchor) - mean) / atr, np.nan),
            volume_ratio=np.where(usual > 0.0, _at(volume, anchor) / usual, np.nan),
            shock=shock,
            breadth=breadth,
            shocked_symbols=symbols,
            opposed=_opposed(frame, trades, opinions, anchor, policy),
            efficiency=_efficiency(frame, last, policy.chop_bars),
            late=np.where(planned > 0.0, trades.sign * (trades.entry - trades.signal_price) / planned, np.nan),
            reward=np.where(risk > 0.0, reward, np.nan),
            stop_atr=np.where((risk > 0.0) & (atr > 0.0), risk / atr, np.nan),
            recovered=trades.sign * (_at(bars.close, last) - trades.stop),
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
