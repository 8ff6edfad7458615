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
    place = len(bars) - 1
    if place <= BARS or bar_from <= 1 or mean_from <= 1:
        return False
    total, bar, alone = 0, bars[place], -1
    for other in range(place - 1, place - 1 - SHORT, -1):
        before = bars[other]
        high, low, last = bar.high, bar.low, before.close
        total += (high if high > last else last) - (low if low < last else last)
        if alone < 0:
            alone = total
        bar = before
    enough = max(alone + 20 * alone * MILLION // (bar_from - 1), 4 * total * MILLION // (mean_from - 1))
    for other in range(place - 1 - SHORT, place - 1 - BARS, -1):
        before = bars[other]
        high, low, last = bar.high, bar.low, before.close
        total += (high if high > last else last) - (low if low < last else last)
        if total > enough:
            return True
        bar = before
    return False
