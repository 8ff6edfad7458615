"""The fixed vocabulary of what may be said of a timeframe's closed bars: each a name, what it needs, and how it is computed.

Values are parts per million, rounded half to even: 0.02 above the mean is 20,000, an RSI of 30 is 300,000. Sums are of whole numbers, so
exact: a value has one spelling on any machine, and rests on the newest bars that its sentence names and on no others. Where there are
too few bars, or nothing to divide by, there is no value.
"""

from collections.abc import Callable, Mapping, Sequence
from itertools import pairwise
from math import sqrt
from types import MappingProxyType
from typing import NamedTuple

from portfolio_platform.broker.model import Bar
from portfolio_platform.errors import WrongUse
from portfolio_platform.instruments import rolling

MILLION = 1_000_000
RETURN_UNIT = rolling.RETURN_UNIT
RANK_BARS = rolling.RANK_BARS
BANDWIDTH_BARS = rolling.BANDWIDTH_BARS
RANK_LEAST = 40
Bars = Sequence[Bar]


class Feature(NamedTuple):
    """A name that conditions may use.

    Attributes:
        name: its name.
        bars: closed bars that it needs at least.
        sentence: what it says.
        of: the value of bars, at least so many, newest last; parts per million.
    """

    name: str
    bars: int
    sentence: str
    of: Callable[[Bars], int | None]


def value(name: str, bars: Bars) -> int | None:
    """Return a feature of closed bars in parts per million; None where there are too few, or where it has no value.

    Raises:
        WrongUse: there is no such feature.
    """
    feature = FEATURES.get(name)
    if feature is None:
        raise WrongUse(f"{name!r} is no feature; the features are {', '.join(FEATURES)}")
    return feature.of(bars) if len(bars) >= feature.bars else None


def atr(bars: Bars, n: int) -> int:
    """Return the mean true range of the last n bars, in units of a price; 0 where there are fewer than n + 1.

    The true range of a bar is its range with the close before (Wilder, New Concepts in Technical Trading Systems, 1978); the mean is a
    plain one, so that it rests on n + 1 bars alone.
    """
    return divided(_true_ranges(bars, n), n) if 0 < n < len(bars) else 0


def highest(bars: Bars, n: int) -> int:
    """Return the highest price of the last n bars; 0 where there are fewer."""
    return max([bar.high for bar in bars[-n:]]) if 0 < n <= len(bars) else 0


def lowest(bars: Bars, n: int) -> int:
    """Return the lowest price of the last n bars; 0 where there are fewer."""
    return min([bar.low for bar in bars[-n:]]) if 0 < n <= len(bars) else 0


def mean(bars: Bars, n: int) -> int:
    """Return the mean close of the last n bars; 0 where there are fewer."""
    return divided(_closes(bars, n), n) if 0 < n <= len(bars) else 0


def divided(numerator: int, denominator: int) -> int:
    """Return a quotient rounded half to even; the denominator is positive."""
    whole, rest = divmod(numerator, denominator)
    twice = 2 * rest
    return whole + (twice > denominator or (twice == denominator and whole & 1))


def _parts(numerator: int, denominator: int) -> int | None:
    return divided(numerator * MILLION, denominator) if denominator > 0 else None


def _closes(bars: Bars, n: int) -> int:
    return sum([bar.close for bar in bars[-n:]])


def _true_ranges(bars: Bars, n: int, before: int = 0) -> int:
    """Return the sum of n true ranges, without those of the newest ``before`` bars."""
    total, end = 0, len(bars) - before
    last = bars[end - n - 1].close
    for bar in bars[end - n : end]:
        high, low = bar.high, bar.low
        total += (high if high > last else last) - (low if low < last else last)
        last = bar.close
    return total


def _spread(values: Sequence[int]) -> tuple[int, int]:
    """Return a sum, and the square of the count times the population variance: both exact."""
    total = sum(values)
    return total, len(values) * sum([one * one for one in values]) - total * total


def _from_float(number: float) -> int:
    return round(number * MILLION)


def mid_rank(values: Sequence[int]) -> int:
    """Return the rank of the last of some values among all of them, as a share of their number; ties share the mean of their ranks."""
    last = values[-1]
    below = sum([one < last for one in values])
    equal = sum([one == last for one in values])
    return divided((2 * below + equal + 1) * MILLION, 2 * len(values))


# --- trend


def _close_vs_sma(bars: Bars, n: int) -> int | None:
    total = _closes(bars, n)
    return _parts(n * bars[-1].close - total, total)


def _sma_slope(bars: Bars, n: int) -> int | None:
    before = _closes(bars[:-5], n)
    return _parts(_closes(bars, n) - before, before)


def _sma_against(bars: Bars, fast: int, slow: int) -> int | None:
    total = _closes(bars, slow)
    return _parts(slow * _closes(bars, fast) - fast * total, fast * total)


def _return(bars: Bars, n: int) -> int | None:
    before = bars[-n - 1].close
    return _parts(bars[-1].close - before, before)


def _efficiency(bars: Bars, n: int) -> int | None:
    closes = [bar.close for bar in bars[-n - 1 :]]
    walked = sum([abs(now - before) for before, now in pairwise(closes)])
    return _parts(abs(closes[-1] - closes[0]), walked) if walked else 0


# --- volatility


def _atr_relative(bars: Bars, n: int) -> int | None:
    return _parts(_true_ranges(bars, n), n * bars[-1].close)


def _atr_expansion(bars: Bars) -> int | None:
    return _parts(4 * _true_ranges(bars, 5), _true_ranges(bars, 20))


def _bar_expansion(bars: Bars) -> int | None:
    return _parts(20 * _true_ranges(bars, 1), _true_ranges(bars, 20, 1))


def _range_expansion(bars: Bars) -> int | None:
    recent = bars[-25:]
    ranges = [max([bar.high for bar in recent[at : at + 5]]) - min([bar.low for bar in recent[at : at + 5]]) for at in range(21)]
    return _parts(20 * ranges[-1], sum(ranges[:-1]))


def _returns(bars: Bars, n: int) -> list[int] | None:
    closes = [bar.close for bar in bars[-n - 1 :]]
    if min(closes) <= 0:
        return None
    return [(now - before) * RETURN_UNIT // before for before, now in pairwise(closes)]


def _volatility(bars: Bars, n: int) -> int | None:
    returns = _returns(bars, n)
    if returns is None:
        return None
    variance = _spread(returns)[1]
    return _from_float(sqrt(float(variance)) / (n * float(RETURN_UNIT)))


def _rolling_variances(values: Sequence[int], n: int) -> list[int]:
    """Return the square of n times the population variance of each n values in a row: sums that slide stay exact."""
    total, squares = sum(values[:n]), sum([one * one for one in values[:n]])
    found = [n * squares - total * total]
    for gone, came in zip(values, values[n:], strict=False):
        total += came - gone
        squares += came * came - gone * gone
        found.append(n * squares - total * total)
    return found


def _volatility_rank(bars: Bars) -> int | None:
    seen = rolling.rolling(bars)
    if seen is None:
        return plain_volatility_rank(bars)
    below, equal = rolling.place_of_volatility(seen)
    return divided((2 * below + equal + 1) * MILLION, 2 * len(seen.volatilities))


def plain_volatility_rank(bars: Bars) -> int | None:
    """Return the rank of the volatility, from the first bar on that it rests on."""
    returns = _returns(bars[-RANK_BARS - 20 :], min(len(bars), RANK_BARS + 20) - 1)
    return None if returns is None else mid_rank(_rolling_variances(returns, 20))


# --- bands


def _bandwidth(bars: Bars) -> int | None:
    total, variance = _spread([bar.close for bar in bars[-20:]])
    return _from_float(4.0 * sqrt(float(variance)) / float(total)) if total > 0 else None


def _bandwidth_rank(bars: Bars) -> int | None:
    seen = rolling.rolling(bars)
    if seen is None:
        return plain_bandwidth_rank(bars)
    below, equal = rolling.place_of_bandwidth(seen)
    return divided((2 * below + equal + 1) * MILLION, 2 * len(seen.spreads))


def plain_bandwidth_rank(bars: Bars) -> int | None:
    """Return the rank of the width of the bands, from the first bar on that it rests on."""
    closes = [bar.close for bar in bars[-BANDWIDTH_BARS - 19 :]]
    if min(closes) <= 0:
        return None
    variances = _rolling_variances(closes, 20)
    total = sum(closes[:20])
    totals = [total]
    for gone, came in zip(closes, closes[20:], strict=False):
        total += came - gone
        totals.append(total)
    last, of_last = variances[-1], totals[-1] * totals[-1]
    # a/b^2 against c/d^2 without a division: nothing is rounded, so equal widths are equal
    signs = [one * of_last - last * size * size for one, size in zip(variances, totals, strict=True)]
    below, equal = sum([sign < 0 for sign in signs]), sum([sign == 0 for sign in signs])
    return divided((2 * below + equal + 1) * MILLION, 2 * len(signs))


def _zscore(bars: Bars) -> int | None:
    total, variance = _spread([bar.close for bar in bars[-20:]])
    return _from_float(float(20 * bars[-1].close - total) / sqrt(float(variance))) if variance else None


def _percent_b(bars: Bars) -> int | None:
    total, variance = _spread([bar.close for bar in bars[-20:]])
    return _from_float(0.5 + 0.25 * (float(20 * bars[-1].close - total) / sqrt(float(variance)))) if variance else None


# --- oscillators, channels, volume


def _rsi(bars: Bars, n: int) -> int | None:
    closes = [bar.close for bar in bars[-n - 1 :]]
    steps = [now - before for before, now in pairwise(closes)]
    walked = sum([abs(step) for step in steps])
    return _parts(sum([step for step in steps if step > 0]), walked) if walked else MILLION // 2


def _channel_position(bars: Bars, n: int) -> int | None:
    low = lowest(bars, n)
    span = highest(bars, n) - low
    return _parts(bars[-1].close - low, span) if span else MILLION // 2


def _above_high(bars: Bars, n: int) -> int | None:
    top = highest(bars[-n - 1 : -1], n)
    return _parts(bars[-1].close - top, top)


def _below_low(bars: Bars, n: int) -> int | None:
    bottom = lowest(bars[-n - 1 : -1], n)
    return _parts(bottom - bars[-1].close, bottom)


def _from_high(bars: Bars, n: int) -> int | None:
    top = highest(bars, n)
    return _parts(top - bars[-1].close, top)


def _from_low(bars: Bars, n: int) -> int | None:
    bottom = lowest(bars, n)
    return _parts(bars[-1].close - bottom, bottom)


def _close_location(bars: Bars) -> int | None:
    return _channel_position(bars, 1)


def _gap(bars: Bars) -> int | None:
    before = bars[-2].close
    return _parts(bars[-1].open - before, before)


def _volumes(bars: Bars, n: int) -> list[int] | None:
    found = [bar.volume for bar in bars[-n:]]
    known = [one for one in found if one is not None]
    return known if len(known) == n and any(known) else None


def _volume_z(bars: Bars) -> int | None:
    volumes = _volumes(bars, 21)
    if volumes is None:
        return None
    total, variance = _spread(volumes[:-1])
    return _from_float(float(20 * volumes[-1] - total) / sqrt(float(variance))) if variance else None


def _relative_volume(bars: Bars) -> int | None:
    volumes = _volumes(bars, 21)
    return None if volumes is None else _parts(20 * volumes[-1], sum(volumes[:-1]))


def _with(function: Callable[..., int | None], *numbers: int) -> Callable[[Bars], int | None]:
    return lambda bars: function(bars, *numbers)


def _vocabulary() -> dict[str, Feature]:
    found: list[Feature] = []

    def add(name: str, bars: int, sentence: str, function: Callable[..., int | None], *numbers: int) -> None:
        found.append(Feature(name, bars, sentence, _with(function, *numbers) if numbers else function))

    for n in (5, 10, 20, 50, 100, 200):
        add(f"close_vs_sma_{n}", n, f"the close against the mean close of {n} bars: 0.02 is 2 % above it", _close_vs_sma, n)
    for n in (10, 20, 50, 100):
        add(f"sma_slope_{n}", n + 5, f"how far the mean close of {n} bars moved in the last five bars", _sma_slope, n)
    for fast, slow in ((5, 20), (10, 50), (20, 50), (20, 100), (50, 200)):
        add(f"sma_{fast}_vs_{slow}", slow, f"the mean close of {fast} bars against that of {slow}", _sma_against, fast, slow)
    for n in (1, 3, 5, 10, 20, 60, 120):
        add(f"return_{n}", n + 1, f"the close against the close {n} bars before", _return, n)
    for n in (10, 20):
        add(f"efficiency_{n}", n + 1, f"the way from the close {n} bars before over the way walked: 1 is a straight line", _efficiency, n)
    for n in (5, 14, 20):
        add(f"atr_{n}", n + 1, f"the mean true range of {n} bars over the close", _atr_relative, n)
    add("atr_expansion", 21, "the mean true range of 5 bars over that of 20: above 1 bars grow", _atr_expansion)
    add("bar_expansion", 22, "the true range of the last bar over the mean of the 20 before it", _bar_expansion)
    add("range_expansion", 25, "the range of the last 5 bars over the mean of the 20 such ranges before it", _range_expansion)
    for n in (10, 20):
        add(f"volatility_{n}", n + 1, f"the standard deviation of the last {n} bars' returns", _volatility, n)
    add(
        "volatility_rank_20",
        RANK_LEAST + 20,
        f"the rank of volatility_20 in its last {RANK_BARS} (from {RANK_LEAST} on): 0.9 is higher than nine in ten",
        _volatility_rank,
    )
    add("bandwidth_20", 20, "the width of the Bollinger bands (20 bars, two deviations) over their mean", _bandwidth)
    add(
        "bandwidth_rank_20",
        RANK_LEAST + 19,
        f"the rank of bandwidth_20 in its last {BANDWIDTH_BARS} (from {RANK_LEAST} on): near 0 is a squeeze",
        _bandwidth_rank,
    )
    add("zscore_20", 20, "the close's distance from the mean of 20 bars, in their standard deviations", _zscore)
    add("percent_b_20", 20, "where the close is in the Bollinger bands (20 bars, two deviations): 0 the lower, 1 the upper", _percent_b)
    for n in (2, 5, 14):
        add(
            f"rsi_{n}", n + 1, f"gains over gains and losses in {n} bars (plain sums, so of these bars alone): 0.3 is an RSI of 30", _rsi, n
        )
    for n in (10, 20, 55):
        add(
            f"channel_position_{n}",
            n,
            f"where the close is between the lowest and the highest price of {n} bars: 0 to 1",
            _channel_position,
            n,
        )
    for n in (5, 10, 20, 55):
        add(
            f"above_high_{n}",
            n + 1,
            f"how far the close is above the highest price of the {n} bars before: positive is a breakout",
            _above_high,
            n,
        )
        add(
            f"below_low_{n}",
            n + 1,
            f"how far the close is below the lowest price of the {n} bars before: positive is a breakdown",
            _below_low,
            n,
        )
    for n in (20, 60, 250):
        add(f"from_high_{n}", n, f"how far the close is below the highest price of {n} bars: never negative", _from_high, n)
        add(f"from_low_{n}", n, f"how far the close is above the lowest price of {n} bars: never negative", _from_low, n)
    add("close_location", 1, "where the close is in the bar: 0 at its low, 1 at its high", _close_location)
    add("gap", 2, "the open against the close before", _gap)
    add("volume_z_20", 21, "the last volume's distance from the mean of the 20 before, in their standard deviations", _volume_z)
    add("relative_volume_20", 21, "the last volume over the mean of the 20 before", _relative_volume)
    return {feature.name: feature for feature in found}


FEATURES: Mapping[str, Feature] = MappingProxyType(_vocabulary())
"""Every feature by its name; a playbook may use no other."""
