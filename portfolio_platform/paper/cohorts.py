"""The regimes of cohorts, as advice beside those of symbols: a detector over each cohort's equal-weighted index. It drives nothing."""

from collections.abc import Mapping
from typing import NamedTuple

from portfolio_platform.broker.model import Bar
from portfolio_platform.instruments.bars import KEEP, closes_of
from portfolio_platform.instruments.cohorts import index_bars
from portfolio_platform.instruments.regime import REASONS, Evaluation, RegimeState, RegimeTerms, evaluate, label_of
from portfolio_platform.paper.market import Market

LOOK_BACK = 260
"""Bars over which a cohort's detector is walked before its regime is told: what it was before them is forgotten by then."""


class CohortRegime(NamedTuple):
    """What a cohort's detector says: its label (empty before there were enough bars), its newest evaluation, and its members."""

    cohort: str
    label: str
    evaluation: Evaluation | None
    symbols: tuple[str, ...]

    @property
    def why(self) -> str:
        """Return the reason of the newest evaluation in words."""
        return REASONS[self.evaluation.reason_code] if self.evaluation is not None else "there are too few bars"


def cohort_regimes_at(market: Market, at: int, terms: RegimeTerms | None = None) -> tuple[CohortRegime, ...]:
    """Return the regime of every cohort of a market at a time, evaluated at the closes of its weeks up to then; sorted by name.

    Args:
        market: bars and groups; symbols without a cohort are in none.
        at: bars after it are not looked at, nanoseconds UTC.
        terms: of the detector.
    """
    used = terms or RegimeTerms()
    members: dict[str, dict[str, tuple[Bar, ...]]] = {}
    for symbol in market.symbols:
        cohort = market.listed[symbol].groups.cohort
        if cohort:
            members.setdefault(cohort, {})[symbol] = market.before(symbol, at, keep=KEEP + LOOK_BACK)
    return tuple(_regime(used, cohort, held, market) for cohort, held in sorted(members.items()))


def _regime(terms: RegimeTerms, cohort: str, members: Mapping[str, tuple[Bar, ...]], market: Market) -> CohortRegime:
    # a week is over where it is over for the first member: they share a market more often than not
    calendar = market.listed[min(members)].calendar
    bars, state, said = index_bars(cohort, members), RegimeState(), None
    for place in range(max(0, len(bars) - LOOK_BACK), len(bars)):
        bar = bars[place]
        if "1w" in closes_of(calendar, ("1d", "1w"), bar):
            state, said = evaluate(terms, state, bars[max(0, place + 1 - KEEP) : place + 1], bar.ts)
    return CohortRegime(cohort, label_of(state), said, tuple(sorted(members)))
