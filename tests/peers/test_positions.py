"""Weights, gross leverage and traded value against pyfolio."""

import pandas as pd
import pytest

from portfolio_platform.lake import derived
from tests.peers.conftest import PORTFOLIOS, Sample, assert_equal

pos = pytest.importorskip("pyfolio.pos", reason="pyfolio-reloaded is not installed: pip install -e '.[peers]'")
timeseries = pytest.importorskip("pyfolio.timeseries")
txn = pytest.importorskip("pyfolio.txn")
pytestmark = pytest.mark.peers


@pytest.mark.parametrize("portfolio", PORTFOLIOS)
def test_position_weights_are_pyfolios_allocations(sample: Sample, portfolio: str) -> None:
    theirs = pos.get_percent_alloc(sample.positions(portfolio)).drop(columns="cash")
    rows = sample.table(derived.LEDGER_SNAPSHOTS, portfolio)
    equity = sample.equity(portfolio)["equity"]
    ours = rows["market_value_base"] / rows["day"].map(equity)
    labels = rows[["strategy", "symbol"]].agg("/".join, axis=1)
    assert_equal(ours, theirs.stack().reindex(pd.MultiIndex.from_arrays([rows["day"], labels])))


@pytest.mark.parametrize("portfolio", PORTFOLIOS)
@pytest.mark.parametrize("dimension", ["strategy", "symbol"])
def test_exposure_of_a_group_is_the_sum_of_pyfolios_absolute_allocations(sample: Sample, portfolio: str, dimension: str) -> None:
    allocations = pos.get_percent_alloc(sample.positions(portfolio)).drop(columns="cash").abs()
    place = ("strategy", "symbol").index(dimension)
    theirs = allocations.T.groupby([label.split("/")[place] for label in allocations.columns]).sum().T
    groups = sample.table(derived.CONCENTRATION_GROUPS, portfolio)
    groups = groups[(groups["dimension"] == dimension) & (groups["basis"] == "gross")]
    ours = groups.pivot(index="day", columns="group", values="exposure_pct").reindex(index=theirs.index, columns=theirs.columns)
    assert_equal(ours.fillna(0.0), theirs)


@pytest.mark.parametrize("portfolio", PORTFOLIOS)
def test_gross_exposure_over_equity_is_pyfolios_gross_leverage(sample: Sample, portfolio: str) -> None:
    theirs = timeseries.gross_lev(sample.positions(portfolio))
    assert_equal(sample.equity(portfolio)["gross_exposure_pct"], theirs)


def test_pyfolio_nets_strategies_that_oppose_each_other_in_a_symbol_and_we_do_not(sample: Sample) -> None:
    """pyfolio's positions are net by symbol. Two strategies on opposite sides are exposure to us, as they are two stops."""
    theirs = timeseries.gross_lev(sample.positions("core", by=("symbol",)))
    ours = sample.equity("core")["gross_exposure_pct"]
    assert (theirs <= ours * (1 + 1e-9)).all()
    rows = sample.table(derived.LEDGER_SNAPSHOTS, "core")
    sides = rows[rows["quantity"] != 0.0].groupby(["day", "symbol"])["quantity"].agg(lambda held: (held > 0).any() and (held < 0).any())
    opposed = sides.groupby("day").any().reindex(ours.index, fill_value=False)
    assert opposed.any()
    assert (theirs[opposed] < ours[opposed] * (1 - 1e-9)).all()
    assert_equal(ours[~opposed], theirs[~opposed])


@pytest.mark.parametrize("portfolio", PORTFOLIOS)
def test_cash_of_a_days_trades_is_pyfolios_sold_less_bought_value(sample: Sample, portfolio: str) -> None:
    transactions = sample.transactions(portfolio)
    bought, sold = (txn.get_txn_vol(transactions[sign * transactions["amount"] > 0])["txn_volume"] for sign in (1, -1))
    theirs = sold.sub(bought, fill_value=0.0)
    trades = sample.table(derived.CASH_BALANCES, portfolio).set_index("day")["trades"]
    ours = trades.diff().fillna(trades)
    assert set(theirs.index) <= set(ours.index)
    # a difference of running sums keeps the rounding of sums of up to 1e8
    assert_equal(ours, theirs.reindex(ours.index, fill_value=0.0), tolerance=1e-6)
    assert_equal(trades, theirs.reindex(ours.index, fill_value=0.0).cumsum())


@pytest.mark.parametrize("portfolio", PORTFOLIOS)
def test_turnovers_denominators_are_pyfolios(sample: Sample, portfolio: str) -> None:
    positions, transactions = sample.positions(portfolio), sample.transactions(portfolio)
    equity, volume = sample.equity(portfolio), txn.get_txn_vol(transactions)["txn_volume"]
    traded = volume.reindex(equity.index, fill_value=0.0)
    assert_equal(
        traded / equity["equity"], txn.get_turnover(positions, transactions, "portfolio_value").reindex(equity.index, fill_value=0.0)
    )
    mean = equity["gross_exposure"].rolling(2).mean()
    mean.iloc[0] = equity["gross_exposure"].iloc[0] / 2
    ours = (traded / mean).where(mean > 0.0, 0.0).fillna(0.0)
    theirs = txn.get_turnover(positions, transactions, "AGB").reindex(equity.index, fill_value=0.0)
    assert_equal(ours[mean > 0.0], theirs[mean > 0.0])


def test_a_fill_at_midnight_belongs_to_the_day_that_ends_and_pyfolio_counts_it_in_the_next(sample: Sample) -> None:
    day = pd.Timestamp("2009-03-02")
    midnight = pd.DataFrame({"amount": [3.0], "price": [7.0], "symbol": ["A"]}, index=[day + pd.Timedelta(days=1)])
    assert txn.get_txn_vol(midnight).index[0] == day + pd.Timedelta(days=1)
    before = midnight.set_index(midnight.index - pd.Timedelta(nanoseconds=1))
    assert txn.get_txn_vol(before).index[0] == day
