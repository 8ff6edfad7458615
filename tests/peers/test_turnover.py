"""Turnover against pyfolio: the same trades, over its denominators and over ours."""

import numpy as np
import pandas as pd
import pytest

from portfolio_platform.diagnostics.pipeline.turnover import STAGE
from portfolio_platform.lake import derived
from portfolio_platform.stage import build_stage
from tests.conftest import copied
from tests.peers.conftest import PORTFOLIOS, Sample, assert_equal

txn = pytest.importorskip("pyfolio.txn", reason="pyfolio-reloaded is not installed: pip install -e '.[peers]'")
pytestmark = pytest.mark.peers


@pytest.fixture(scope="module")
def turnover(sample: Sample, tmp_path_factory: pytest.TempPathFactory) -> Sample:
    """The sample with its turnover built."""
    home = copied(sample.home, tmp_path_factory.mktemp("turnover") / "home")
    build_stage(home, STAGE)
    return Sample(home, sample.fills)


@pytest.mark.parametrize("portfolio", PORTFOLIOS)
def test_two_sided_turnover_is_pyfolios_but_for_the_equity_it_is_taken_over(turnover: Sample, portfolio: str) -> None:
    """pyfolio divides by the equity at the session's end, or by gross book; we by the mean of its beginning and its end."""
    ours = turnover.table(derived.TURNOVER_METRICS, portfolio).set_index("day")
    equity = turnover.equity(portfolio)["equity"]
    theirs = txn.get_turnover(turnover.positions(portfolio), turnover.transactions(portfolio), "portfolio_value")
    mean = equity.rolling(2).mean().fillna(equity)
    assert_equal(ours["turnover_two_sided"], (theirs.reindex(equity.index, fill_value=0.0) * equity / mean))
    assert_equal(ours["traded"], theirs.reindex(equity.index, fill_value=0.0) * equity)


@pytest.mark.parametrize("portfolio", PORTFOLIOS)
def test_windows_and_one_sided_turnover_are_pandas_rolling_sums_of_pyfolios_volumes(turnover: Sample, portfolio: str) -> None:
    ours = turnover.table(derived.TURNOVER_METRICS, portfolio).set_index("day")
    equity, transactions = turnover.equity(portfolio)["equity"], turnover.transactions(portfolio)
    volume = {
        sign: txn.get_txn_vol(transactions[sign * transactions["amount"] > 0])["txn_volume"].reindex(equity.index, fill_value=0.0)
        for sign in (1, -1)
    }
    mean = equity.rolling(2).mean().fillna(equity)
    assert_equal(ours["turnover_one_sided"], np.minimum(volume[1], volume[-1]) / mean)
    two_sided = (volume[1] + volume[-1]) / mean
    np.testing.assert_allclose(ours["turnover_20"], two_sided.rolling(20, min_periods=1).sum(), rtol=1e-9, atol=1e-9)
    before = two_sided.shift(20).rolling(250, min_periods=1).mean() * 20
    np.testing.assert_allclose(ours["turnover_baseline"], before, rtol=1e-9, atol=1e-9)
    days = pd.DatetimeIndex(transactions.index).normalize()
    count = pd.Series(1, index=days).groupby(level=0).sum().reindex(equity.index, fill_value=0)
    assert ours["fills"].tolist() == count.tolist()
    assert ours["fills_20"].tolist() == count.rolling(20, min_periods=1).sum().astype(int).tolist()
