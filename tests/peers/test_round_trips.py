"""Round trips against pyfolio's.

pyfolio matches first in, first out, as our ``fifo`` method does, but: it merges fills of one direction less than eight
hours apart at their average price; it makes one trip of each closing transaction, where we make one of each lot; it
counts whole units and drops the fraction; and it has neither fees nor multipliers. Merging moves profit between
trips and, while a position is open, between closed and open lots; once the position is flat it moves none. So profits
are compared by position, up to the last time it was flat.
"""

import numpy as np
import pandas as pd
import pytest

from portfolio_platform.lake import derived
from tests.peers.conftest import PORTFOLIOS, Sample, assert_equal

round_trips = pytest.importorskip("pyfolio.round_trips", reason="pyfolio-reloaded is not installed: pip install -e '.[peers]'")
pytestmark = pytest.mark.peers


def closed_part(transactions: pd.DataFrame) -> pd.DataFrame:
    """Return each position's transactions up to the last one after which it was flat."""
    held = transactions.groupby("symbol")["amount"].cumsum().round(8)
    number = pd.Series(np.arange(len(transactions)), index=transactions.index)
    last = number[held.to_numpy() == 0.0].groupby(transactions["symbol"][held.to_numpy() == 0.0]).max()
    return transactions[number.to_numpy() <= transactions["symbol"].map(last).fillna(-1).to_numpy()]


def ours_by_position(sample: Sample, portfolio: str, method: str, until: pd.Series) -> pd.Series:
    """Return realised P&L by position of trips that closed until each position's last flat time."""
    trips = sample.table(derived.ROUND_TRIPS, portfolio)
    trips = trips[trips["method"] == method]
    labels = trips[["strategy", "symbol"]].agg("/".join, axis=1)
    kept = (pd.to_datetime(trips["closed_at"] - 1) <= labels.map(until)).to_numpy()
    return trips[kept].groupby(labels[kept])["realised_pnl"].sum()


def whole_units(transactions: pd.DataFrame) -> pd.Series:
    return transactions["amount"].mod(1.0).eq(0.0).groupby(transactions["symbol"]).transform("all")


@pytest.mark.parametrize("method", ["fifo", "flat_to_flat"])
@pytest.mark.parametrize("portfolio", PORTFOLIOS)
def test_realised_pnl_by_position_is_pyfolios(sample: Sample, portfolio: str, method: str) -> None:
    closed = closed_part(sample.transactions(portfolio))
    closed = closed[whole_units(closed)]
    until = closed.index.to_series().groupby(closed["symbol"].to_numpy()).max()
    theirs = round_trips.extract_round_trips(closed).groupby("symbol")["pnl"].sum()
    ours = ours_by_position(sample, portfolio, method, until)
    assert len(theirs) >= (12 if portfolio == "core" else 4)
    assert_equal(ours.reindex(theirs.index), theirs)


@pytest.mark.parametrize("portfolio", PORTFOLIOS)
def test_realised_pnl_by_symbol_is_pyfolios(sample: Sample, portfolio: str) -> None:
    closed = closed_part(sample.transactions(portfolio))
    closed = closed[whole_units(closed)]
    until = closed.index.to_series().groupby(closed["symbol"].to_numpy()).max()
    ours = ours_by_position(sample, portfolio, "fifo", until)
    theirs = round_trips.extract_round_trips(closed).groupby("symbol")["pnl"].sum()
    by_symbol = [series.groupby(series.index.str.split("/").str[1]).sum() for series in (ours, theirs)]
    assert_equal(by_symbol[0].reindex(by_symbol[1].index), by_symbol[1])


def test_pyfolio_drops_fractions_of_a_unit_and_we_do_not(sample: Sample) -> None:
    when = pd.to_datetime(["2009-03-02 10:00", "2009-03-03 10:00"])
    trades = pd.DataFrame({"amount": [2.75, -2.75], "price": [10.0, 14.0], "symbol": "A"}, index=when)
    assert round_trips.extract_round_trips(trades)["pnl"].sum() == pytest.approx(2 * 4.0)
    fractional = sample.table(derived.ROUND_TRIPS, "macro")
    fractional = fractional[(fractional["symbol"] == "SIM24") & (fractional["method"] == "fifo")]
    assert (fractional["quantity"] % 1 != 0).any()
    direction = np.where(fractional["direction"] == "long", 1.0, -1.0)
    expected = direction * fractional["quantity"] * (fractional["exit_price"] - fractional["entry_price"])
    np.testing.assert_allclose(fractional["realised_pnl"], expected, rtol=1e-6, atol=1e-6)


def test_pyfolio_merges_fills_of_one_direction_within_eight_hours_and_we_keep_each_lot(sample: Sample) -> None:
    when = pd.to_datetime(["2009-03-02 10:00", "2009-03-02 11:00", "2009-03-03 10:00"])
    trades = pd.DataFrame({"amount": [10, 10, -10], "price": [50.0, 100.0, 150.0], "symbol": "A"}, index=when)
    merged = round_trips.extract_round_trips(trades)
    assert merged["pnl"].tolist() == pytest.approx([750.0])  # ten of twenty bought at 75; first in, first out alone gives 1,000
    trips = sample.table(derived.ROUND_TRIPS, "core")
    closed = closed_part(sample.transactions("core"))
    assert (trips["method"] == "fifo").sum() > len(round_trips.extract_round_trips(closed))
