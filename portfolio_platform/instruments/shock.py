"""Whether bars have grown far beyond what they were: asked at every candle, and most often answered by a few of them."""

from collections.abc import Sequence

from portfolio_platform.broker.model import Bar
from portfolio_platform.instruments.features import MILLION, value

BARS = 20
"""True ranges that both measures rest on."""
SHORT = 5
"""True ranges of the newest bars that are held against them."""


def grown(bars: Sequence[Bar], bar_from: int, mean_from: int) -> bool:
    """Return whether the newest bar, or the mean of the newest five, is a shock; false where there are too few bars.

    Args:
        bars: closed ones, newest last.
        bar_from: `bar_expansion` from which on it is one, parts per million.
        mean_from: `atr_expansion` from which on it is one, parts per million.
    """
    if calm(bars, bar_from, mean_from):
        return False
    bar, mean = value("bar_expansion", bars), value("atr_expansion", bars)
    return (bar is not None and bar >= bar_from) or (mean is not None and mean >= mean_from)


def calm(bars: Sequence[Bar], bar_from: int, mean_from: int) -> bool:
    """Return whether the ranges of a few bars are enough to know that there is no shock; false says nothing.

    No true range is negative, so what the newest ones fall short of with a part of a sum they fall short of with the whole. They are held
    against one part per million less than the thresholds, for a feature is rounded.
    """
    if len(bars) <= BARS + 1 or bar_from <= 1 or mean_from <= 1:
        return False
    total, last = 0, bars[-SHORT - 1].close
    for bar in bars[-SHORT:]:
        high, low = bar.high, bar.low
        newest = (high if high > last else last) - (low if low < last else last)
        total += newest
        last = bar.close
    enough = max(newest + 20 * newest * MILLION // (bar_from - 1), 4 * total * MILLION // (mean_from - 1))
    for bar in bars[-SHORT - 1 : -BARS - 1 : -1]:
        # no more than its true range, and at hand without the close before
        total += bar.high - bar.low
        if total > enough:
            return True
    return False
