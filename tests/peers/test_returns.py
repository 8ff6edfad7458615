"""Drawdown, rolling volatility and Sharpe ratio against empyrical and pyfolio."""

import numpy as np
import pandas as pd
import pytest

from portfolio_platform.lake import derived
from tests.peers.conftest import PORTFOLIOS, Sample, assert_equal

empyrical = pytest.importorskip("empyrical", reason="empyrical-reloaded is not installed: pip install -e '.[peers]'")
timeseries = pytest.importorskip("pyfolio.timeseries", reason="pyfolio-reloaded is not installed: pip install -e '.[peers]'")
pytestmark = pytest.mark.peers

WINDOW, THEIR_YEAR, CONTINUOUS_YEAR = 60, 252, 365


@pytest.mark.parametrize("portfolio", PORTFOLIOS)
def test_unit_value_is_empyricals_cumulative_return(sample: Sample, portfolio: str) -> None:
    equity = sample.equity(portfolio)
    assert_equal(equity["unit_value"], empyrical.cum_returns(equity["daily_return"], starting_value=1.0))


@pytest.mark.parametrize("portfolio", PORTFOLIOS)
def test_drawdown_is_empyricals_with_the_other_sign(sample: Sample, portfolio: str) -> None:
    drawdown = sample.table(derived.DRAWDOWN_STATE, portfolio).set_index("day")["drawdown"]
    returns = sample.equity(portfolio)["daily_return"]
    assert_equal(drawdown.max(), -empyrical.max_drawdown(returns))
    theirs = -empyrical.stats.drawdown_series(returns)
    # 1 - U/max: near the high-water mark both lose digits to cancellation, so the tolerance is of 1, not of the drawdown
    np.testing.assert_allclose(drawdown.reindex(returns.index), theirs, rtol=1e-9, atol=1e-12)


def test_on_bare_equity_a_deposit_hides_a_drawdown_and_a_withdrawal_makes_one(sample: Sample) -> None:
    """empyrical knows returns alone: whoever feeds it changes of equity gets another drawdown than ours, with no warning."""
    equity = sample.equity("macro")
    bare = empyrical.stats.drawdown_series(equity["equity"].pct_change().fillna(0.0))
    ours = sample.table(derived.DRAWDOWN_STATE, "macro").set_index("day")["drawdown"]
    withdrawal = pd.Timestamp("2009-10-23")
    assert -bare[withdrawal] > ours[withdrawal] + 0.1


@pytest.mark.parametrize("portfolio", PORTFOLIOS)
def test_rolling_volatility_and_sharpe_are_pyfolios_up_to_the_days_of_a_year(sample: Sample, portfolio: str) -> None:
    """Both take n - 1 and a risk-free rate of 0. pyfolio's year has 252 days always, ours 365 from a 24x7 session on."""
    equity = sample.equity(portfolio)
    returns = equity["daily_return"]
    assert returns.notna().all()
    days = THEIR_YEAR if portfolio == "core" else CONTINUOUS_YEAR
    year = np.sqrt(days / THEIR_YEAR)
    assert equity["volatility_60"].notna().sum() == len(equity) - WINDOW + 1
    # pandas updates its window's sums from day to day; to 1e-9 it agrees, to the last digit it does not
    assert_equal(equity["volatility_60"], timeseries.rolling_volatility(returns, WINDOW) * year)
    theirs = timeseries.rolling_sharpe(returns, WINDOW) * year
    np.testing.assert_allclose(equity["sharpe_60"], theirs, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("portfolio", PORTFOLIOS)
def test_last_volatility_and_sharpe_are_empyricals_of_the_last_window(sample: Sample, portfolio: str) -> None:
    equity = sample.equity(portfolio)
    days = THEIR_YEAR if portfolio == "core" else CONTINUOUS_YEAR
    for end in (WINDOW, 300, 700, len(equity)):
        window = equity["daily_return"].iloc[end - WINDOW : end]
        assert_equal(equity["volatility_60"].iloc[end - 1], empyrical.annual_volatility(window, annualization=days))
        assert_equal(equity["sharpe_60"].iloc[end - 1], empyrical.sharpe_ratio(window, annualization=days))
