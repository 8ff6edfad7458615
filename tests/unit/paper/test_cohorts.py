"""Regimes of cohorts: the detector of symbols over the cohort's index, up to a time and no further."""

from dataclasses import replace

import pytest

from portfolio_platform.days import end_of_day_ns
from portfolio_platform.home import Home
from portfolio_platform.instruments.regime import LABELS
from portfolio_platform.paper.cohorts import cohort_regimes_at
from portfolio_platform.paper.market import Market, read_market
from tests.unit.paper.conftest import LAST
from tests.unit.paper.ran import bars_made, paper_home, paper_made

__all__ = ["bars_made", "paper_home", "paper_made"]


@pytest.fixture
def market(paper_home: Home) -> Market:
    return read_market(paper_home, (), {}, "USD")


def test_every_cohort_has_a_regime_with_its_reason_and_its_members(market: Market) -> None:
    found = cohort_regimes_at(market, end_of_day_ns(LAST))
    groups = {symbol: market.listed[symbol].groups.cohort for symbol in market.symbols}
    assert [one.cohort for one in found] == sorted(set(groups.values()))
    for one in found:
        assert one.label in LABELS and one.why
        assert set(one.symbols) == {symbol for symbol, cohort in groups.items() if cohort == one.cohort}


def test_no_later_bar_changes_what_is_said(market: Market) -> None:
    at = end_of_day_ns(LAST)
    cut = replace(market, bars={symbol: tuple(bar for bar in bars if bar.ts <= at) for symbol, bars in market.bars.items()}, _times={})
    assert cohort_regimes_at(market, at) == cohort_regimes_at(cut, at)


def test_with_too_few_bars_it_says_so(market: Market) -> None:
    (first, *_) = cohort_regimes_at(market, market.bars["SPX"][20].ts)
    assert first.label == "" and first.why == "there are too few bars for a regime"
