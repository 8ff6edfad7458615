"""The spreads of every 20 returns and of every 20 closes in a window of bars, taken up where the window before left off.

A rank holds the newest spread against up to 250 of them, and from one look to the next all but a few are the same ones. The windows of a
workflow share their bars: what was found of a window is known again by its newest bar, and what the few bars since make of it is added.
Sums that slide are of whole numbers, so the outcome is the same to the last digit as from the first bar on. What is kept saves work and
decides nothing; it is bounded.
"""

from collections.abc import Sequence
from itertools import pairwise
from typing import NamedTuple

from portfolio_platform.broker.model import Bar

SPAN = 20
"""Values whose spread is taken."""
RETURN_UNIT = 10**12
"""Returns are whole numbers of this part before they are squared."""
RANK_BARS = 250
BANDWIDTH_BARS = 100
KEPT = 128
"""Windows that are known again: each has some 700 numbers, and bars that are most often shared with a state."""
AHEAD = 32
"""Bars that may have come since a window was looked at; with more of them it is begun anew."""
_REST = RANK_BARS + SPAN
"""Bars that the spreads rest on."""


class Rolling(NamedTuple):
    """The spreads of a window; a float beside each orders them, but for those that have the same float.

    Attributes:
        bars: the window; only its newest 270 where it is longer than any that a workflow keeps.
        closes: of the newest 270.
        moved: sum of the newest 20 returns.
        volatilities: of every 20 returns the square of 20 times their deviation, newest last, at most 250.
        deviations: the floats nearest to them.
        totals: the sum of every 20 closes, newest last, at most 100.
        spreads: of every 20 closes the square of 20 times their deviation.
        widths: the floats nearest to the spreads over their squared totals.
    """

    bars: tuple[Bar, ...]
    closes: tuple[int, ...]
    moved: int
    volatilities: tuple[int, ...]
    deviations: tuple[float, ...]
    totals: tuple[int, ...]
    spreads: tuple[int, ...]
    widths: tuple[float, ...]


_known: dict[int, Rolling] = {}
"""By the identity of a window's newest bar, which lives as long as it is here; the newest last."""


def rolling(bars: Sequence[Bar]) -> Rolling | None:
    """Return the spreads of a window, newest bar last.

    None where they have to be found in another way: of less than 21 bars, of no tuple, with a close that is not positive among the newest
    270, or with returns beyond what a float holds.
    """
    if not isinstance(bars, tuple) or len(bars) <= SPAN:
        return None
    held = _known.get(id(bars[-1]))
    if held is not None and (held.bars is bars or held.bars[-_REST:] == bars[-_REST:]):
        return held
    found = _continued(bars) or begun(bars)
    if found is not None:
        while len(_known) >= KEPT:
            # the oldest goes first; another thread may have taken it
            _known.pop(next(iter(_known), 0), None)
        _known[id(bars[-1])] = found
    return found


def sum_of(bars: Sequence[Bar], count: int) -> int:
    """Return the sum of the newest closes; where their number is a multiple of 20, up to 100, out of the spreads of the window."""
    seen = rolling(bars) if not count % SPAN and count <= BANDWIDTH_BARS else None
    if seen is None or len(seen.totals) <= count - SPAN:
        return sum([bar.close for bar in bars[-count:]])
    return sum(seen.totals[-1:-count:-SPAN])


def forget() -> None:
    """Forget every window."""
    _known.clear()


def place_of_volatility(seen: Rolling) -> tuple[int, int]:
    """Return how many volatilities are below the newest, and how many equal it, itself included."""
    values, last = seen.deviations, seen.deviations[-1]
    below, equal = len([one for one in values if one < last]), values.count(last)
    if equal == 1:
        return below, equal
    exact = seen.volatilities[-1]
    alike = [whole for whole, one in zip(seen.volatilities, values, strict=True) if one == last]
    return below + len([one for one in alike if one < exact]), alike.count(exact)


def place_of_bandwidth(seen: Rolling) -> tuple[int, int]:
    """Return how many bandwidths are below the newest, and how many equal it, itself included."""
    values, last = seen.widths, seen.widths[-1]
    below, equal = len([one for one in values if one < last]), values.count(last)
    if equal == 1:
        return below, equal
    spread, size = seen.spreads[-1], seen.totals[-1] * seen.totals[-1]
    alike = [(one, total) for one, total, width in zip(seen.spreads, seen.totals, values, strict=True) if width == last]
    # a/b^2 against c/d^2 without a division: nothing is rounded, so equal widths are equal
    signs = [one * size - spread * total * total for one, total in alike]
    return below + len([sign for sign in signs if sign < 0]), signs.count(0)


def begun(bars: tuple[Bar, ...]) -> Rolling | None:
    """Return the spreads of a window of more than 20 bars from its first bar on; None where `rolling` has none."""
    closes = tuple([bar.close for bar in bars[-_REST:]])
    if min(closes) <= 0:
        return None
    returns = [(now - before) * RETURN_UNIT // before for before, now in pairwise(closes)]
    totals, spreads = _slid(closes[-BANDWIDTH_BARS - SPAN + 1 :])
    moves, volatilities = _slid(returns)
    widths = tuple([spread / (total * total) for spread, total in zip(spreads, totals, strict=True)])
    try:
        deviations = tuple([float(one) for one in volatilities])
    except OverflowError:
        return None
    return Rolling(_window(bars), closes, moves[-1], tuple(volatilities), deviations, tuple(totals), tuple(spreads), widths)


def _window(bars: tuple[Bar, ...]) -> tuple[Bar, ...]:
    return bars if len(bars) <= _REST + AHEAD else bars[-_REST:]


def _slid(values: Sequence[int]) -> tuple[list[int], list[int]]:
    """Return of each 20 values in a row their sum, and the square of 20 times their population deviation."""
    total, squares = sum(values[:SPAN]), sum([one * one for one in values[:SPAN]])
    totals, spreads = [total], [SPAN * squares - total * total]
    for gone, came in zip(values, values[SPAN:], strict=False):
        total += came - gone
        squares += came * came - gone * gone
        totals.append(total)
        spreads.append(SPAN * squares - total * total)
    return totals, spreads


def _continued(bars: tuple[Bar, ...]) -> Rolling | None:
    """Return the spreads of a window from those of a window that it goes on from; None where none is known."""
    count = min(len(bars), _REST)
    for came in range(1, min(AHEAD, count - SPAN)):
        held = _known.get(id(bars[-1 - came]))
        if held is None:
            continue
        shared = count - came
        # bars that are the same objects compare at once
        if len(held.bars) < shared or held.bars[-shared:] != bars[-count:-came]:
            return None
        closes = held.closes[-shared:] + tuple([bar.close for bar in bars[-came:]])
        if min(closes[-came:]) <= 0:
            return None
        try:
            found = _grown(held, bars, closes, shared)
        except OverflowError:
            return None
        _known.pop(id(bars[-1 - came]), None)
        return found
    return None


def _grown(held: Rolling, bars: tuple[Bar, ...], closes: tuple[int, ...], shared: int) -> Rolling:
    """Return the spreads of a window whose closes from place ``shared`` on are new to what is held."""
    moved, total = held.moved, held.totals[-1]
    move_squares = (held.volatilities[-1] + moved * moved) // SPAN
    squares = (held.spreads[-1] + total * total) // SPAN
    volatilities, totals, spreads = [], [], []
    for place in range(shared, len(closes)):
        now, before, gone, earlier = closes[place], closes[place - 1], closes[place - SPAN], closes[place - SPAN - 1]
        move, lost = (now - before) * RETURN_UNIT // before, (gone - earlier) * RETURN_UNIT // earlier
        step = move - lost
        moved += step
        move_squares += step * (move + lost)
        volatilities.append(SPAN * move_squares - moved * moved)
        step = now - gone
        total += step
        squares += step * (now + gone)
        totals.append(total)
        spreads.append(SPAN * squares - total * total)
    kept = len(closes) - SPAN - len(totals)
    narrow = min(kept + 1, BANDWIDTH_BARS - len(totals))
    return Rolling(
        _window(bars),
        closes,
        moved,
        held.volatilities[-kept:] + tuple(volatilities),
        held.deviations[-kept:] + tuple([float(one) for one in volatilities]),
        held.totals[-narrow:] + tuple(totals),
        held.spreads[-narrow:] + tuple(spreads),
        held.widths[-narrow:] + tuple([spread / (size * size) for spread, size in zip(spreads, totals, strict=True)]),
    )
