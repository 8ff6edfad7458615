"""A cohort's equal-weighted index as bars, for a regime detector over the cohort; what it says is advice, and drives no symbol."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from itertools import pairwise

from portfolio_platform.broker.model import UNIT, Bar
from portfolio_platform.days import day_number
from portfolio_platform.instruments.regime import Evaluation, RegimeState, RegimeTerms, evaluate

BEGINNING = 100 * UNIT
"""The index's level before its first bar."""
SCALE = 10**18
"""Moves are whole numbers of this part before their mean is taken."""


def index_bars(cohort: str, members: Mapping[str, Sequence[Bar]]) -> tuple[Bar, ...]:
    """Return a cohort's index, a bar for each UTC day on which a member had one.

    The index moves by the mean of what the members with a bar moved from their own closes before: its open, high and low by the mean of
    theirs, which is exact for open and close, and for the range what it would be if all had it at once. A member's first bar is only
    where its moves begin from. There is no volume, for units of different things do not add up.

    Args:
        cohort: its name, in place of a symbol.
        members: closed bars of each, ascending in time; of each day the last bar of a member counts.
    """
    moves: dict[int, list[tuple[Bar, int]]] = defaultdict(list)
    for symbol in sorted(members):
        for before, bar in pairwise(_daily(members[symbol])):
            if before.close > 0:
                moves[day_number(bar.ts)].append((bar, before.close))
    level, last = BEGINNING, 0
    found = []
    for day in sorted(moves):
        held = moves[day]
        prices = [
            _moved(level, [(bar.open, before) for bar, before in held]),
            _moved(level, [(bar.high, before) for bar, before in held]),
            _moved(level, [(bar.low, before) for bar, before in held]),
            _moved(level, [(bar.close, before) for bar, before in held]),
        ]
        ts, opens_at = max([bar.ts for bar, _ in held]), min([bar.opens_at for bar, _ in held])
        found.append(Bar(cohort, max(last, opens_at), ts, prices[0], max(prices), min(prices), prices[3], None))
        level, last = prices[3], ts
    return tuple(found)


def _daily(bars: Sequence[Bar]) -> list[Bar]:
    """Return bars with one for each day: the first open, the extremes, the last close."""
    found: list[Bar] = []
    for bar in bars:
        if found and day_number(found[-1].ts) == day_number(bar.ts):
            held = found[-1]
            found[-1] = held._replace(ts=bar.ts, high=max(held.high, bar.high), low=min(held.low, bar.low), close=bar.close)
        else:
            found.append(bar)
    return found


def _moved(level: int, moves: Sequence[tuple[int, int]]) -> int:
    """Return a level after the mean of some moves (a price, and the one it came from), rounded to a whole unit."""
    total = sum([price * SCALE // before for price, before in moves])
    return level * total // (SCALE * len(moves))


def cohort_regimes(
    terms: RegimeTerms, members: Mapping[str, Mapping[str, Sequence[Bar]]], states: Mapping[str, RegimeState], at: int
) -> tuple[dict[str, RegimeState], dict[str, Evaluation]]:
    """Return the state and the record of an evaluation of each cohort, as the symbols' own detectors have them; advice only.

    Args:
        terms: the numbers.
        members: by cohort, the closed bars of its symbols.
        states: of the cohorts, as they were; one that is not there has seen nothing.
        at: the time; bars after it are not looked at.
    """
    after, said = dict(states), {}
    for cohort in sorted(members):
        known = {symbol: [bar for bar in bars if bar.ts <= at] for symbol, bars in members[cohort].items()}
        after[cohort], said[cohort] = evaluate(terms, states.get(cohort, RegimeState()), index_bars(cohort, known), at)
    return after, said
