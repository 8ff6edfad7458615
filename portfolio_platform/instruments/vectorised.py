"""Features of many symbols at once: the twins of those in `features`, equal to them to a part per million.

Arrays are (symbols, bars), newest last, NaN where a symbol has no bar; results are (symbols,), NaN where there is no value.
"""

import numpy as np
import numpy.typing as npt
from numpy.lib.stride_tricks import sliding_window_view

from portfolio_platform.instruments.features import BANDWIDTH_BARS, RANK_LEAST

Floats = npt.NDArray[np.float64]
Integers = npt.NDArray[np.int64]
MILLION = 1e6


def parts(values: Floats) -> Integers:
    """Return parts per million, rounded half to even; the smallest integer where there is no value."""
    known = np.isfinite(values)
    return np.where(known, np.rint(np.where(known, values, 0.0) * MILLION), np.iinfo(np.int64).min).astype(np.int64)


def true_ranges(high: Floats, low: Floats, close: Floats) -> Floats:
    """Return each bar's range with the close before it; (symbols, bars - 1)."""
    before = close[:, :-1]
    return np.maximum(high[:, 1:], before) - np.minimum(low[:, 1:], before)


def quotient(numerator: Floats, denominator: Floats) -> Floats:
    """Return a quotient, NaN where there is nothing to divide by."""
    positive = denominator > 0.0
    return np.where(positive, numerator / np.where(positive, denominator, 1.0), np.nan)


def atr_expansion(high: Floats, low: Floats, close: Floats) -> Floats:
    """Return the mean true range of 5 bars over that of 20."""
    ranges = true_ranges(high[:, -21:], low[:, -21:], close[:, -21:])
    return quotient(4.0 * ranges[:, -5:].sum(axis=1), ranges.sum(axis=1))


def range_expansion(high: Floats, low: Floats) -> Floats:
    """Return the range of the last 5 bars over the mean of the 20 such ranges before it."""
    tops = sliding_window_view(high[:, -25:], 5, axis=1).max(axis=2)
    bottoms = sliding_window_view(low[:, -25:], 5, axis=1).min(axis=2)
    spans = tops - bottoms
    return quotient(20.0 * spans[:, -1], spans[:, :-1].sum(axis=1))


def bandwidth_rank(close: Floats) -> Floats:
    """Return the rank of the width of the Bollinger bands (20 bars) in its last 100, from 40 on; ties share the mean of their ranks."""
    windows = sliding_window_view(close[:, -BANDWIDTH_BARS - 19 :], 20, axis=1)
    # from the window's first close: equal closes have a width of nought, to the last bit
    apart = windows - windows[:, :, :1]
    centre = apart.mean(axis=2)
    spread = np.sqrt(np.maximum(((apart - centre[:, :, None]) ** 2).mean(axis=2), 0.0))
    width = np.round(quotient(spread, windows.mean(axis=2)), 13)
    last = width[:, -1:]
    count = np.isfinite(width).sum(axis=1)
    rank = (2.0 * (width < last).sum(axis=1) + (width == last).sum(axis=1) + 1.0) / (2.0 * np.maximum(count, 1))
    return np.where((count >= RANK_LEAST) & np.isfinite(last[:, 0]), rank, np.nan)


def volume_z(volume: Floats) -> Floats:
    """Return the last volume's distance from the mean of the 20 before, in their standard deviations."""
    before, last = volume[:, -21:-1], volume[:, -1]
    apart = before - before[:, :1]
    centre = apart.mean(axis=1)
    spread = np.sqrt(((apart - centre[:, None]) ** 2).mean(axis=1))
    return quotient(last - before[:, 0] - centre, spread)


def close_vs_mean(close: Floats, n: int) -> Floats:
    """Return the last close against the mean of the last n."""
    centre = close[:, -n:].mean(axis=1)
    return quotient(close[:, -1] - centre, centre)


def mean_against(close: Floats, fast: int, slow: int) -> Floats:
    """Return the mean of the last ``fast`` closes against that of the last ``slow``."""
    centre = close[:, -slow:].mean(axis=1)
    return quotient(close[:, -fast:].mean(axis=1) - centre, centre)


def higher_closes(ts: Integers, close: Floats, at: int, period: int, shift: int, count: int) -> Floats:
    """Return the closes of the newest ``count`` higher bars that are closed at a time, newest last; (symbols, count), NaN where not there.

    A higher bar is closed where its period has ended, or a bar of a later one is there.
    """
    number = np.where(ts > 0, (ts - 1 + shift) // period, -1)
    last = np.empty(ts.shape, np.bool_)
    last[:, :-1] = number[:, 1:] != number[:, :-1]
    last[:, -1] = (number[:, -1] + 1) * period - shift <= at
    last &= ts > 0
    # from the newest on: the k-th end of a period
    order = np.where(last, np.cumsum(last[:, ::-1], axis=1)[:, ::-1], 0)
    found = np.full((ts.shape[0], count), np.nan)
    rows, columns = np.nonzero((order > 0) & (order <= count))
    found[rows, count - order[rows, columns]] = close[rows, columns]
    return found
