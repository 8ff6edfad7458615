"""The sample's home as the platform's tables and as the frames that pyfolio and empyrical take."""

import os
from dataclasses import dataclass

import numpy as np
import pandas as pd
import pytest

from portfolio_platform.home import Home
from portfolio_platform.lake import active, derived
from portfolio_platform.lake.columns import Table
from portfolio_platform.lake.facts import FILLS

PORTFOLIOS = ("core", "macro")

os.environ.setdefault("MPLBACKEND", "Agg")  # pyfolio imports matplotlib's pyplot


@dataclass(frozen=True)
class Sample:
    """The sample's home, built, and its fills; frames are sorted by key, days are timestamps."""

    home: Home
    fills: pd.DataFrame

    def table(self, table: Table, portfolio: str) -> pd.DataFrame:
        """Return a derived table's rows of a portfolio, decimals as floats."""
        rows = self.home.lake.read(table).to_pandas()
        rows = rows[rows["portfolio"] == portfolio].assign(day=pd.to_datetime(rows["day"]))
        decimals = [column.name for column in table.columns if column.kind == "decimal"]
        rows[decimals] = rows[decimals].astype(float)
        return rows.sort_values([name for name in table.key if name in rows]).reset_index(drop=True)

    def equity(self, portfolio: str) -> pd.DataFrame:
        """Return a portfolio's equity by day."""
        return self.table(derived.PORTFOLIO_EQUITY, portfolio).set_index("day")

    def positions(self, portfolio: str, by: tuple[str, ...] = ("strategy", "symbol")) -> pd.DataFrame:
        """Return pyfolio's frame of positions: value by day, a column for each position and one for cash."""
        rows = self.table(derived.LEDGER_SNAPSHOTS, portfolio)
        labels = rows[list(by)].agg("/".join, axis=1)
        values = rows.groupby(["day", labels])["market_value_base"].sum().unstack(fill_value=0.0)
        return values.reindex(self.equity(portfolio).index, fill_value=0.0).assign(cash=self.equity(portfolio)["cash"])

    def transactions(self, portfolio: str) -> pd.DataFrame:
        """Return pyfolio's frame of transactions, in ledger order; pyfolio's symbol is our position."""
        mine = self.fills[self.fills["portfolio"] == portfolio]
        # a fill at midnight belongs to the day that ends then; pyfolio's days begin at midnight
        times = pd.to_datetime(mine["ts"] - 1)
        labels = mine[["strategy", "symbol"]].agg("/".join, axis=1)
        return pd.DataFrame({"amount": mine["amount"], "price": mine["price"], "symbol": labels}).set_index(pd.DatetimeIndex(times))


@pytest.fixture(scope="session")
def sample(sample_home: Home) -> Sample:
    fills = active.read(sample_home.lake, FILLS).to_pandas()
    quantity, price = fills["quantity"].astype(float), fills["price"].astype(float)
    signed = np.where(fills["side"] == "buy", quantity, -quantity)
    fills = fills.assign(amount=signed, price=price, fee=fills["fee"].astype(float), length=fills["row_id"].str.len())
    return Sample(sample_home, fills.sort_values(["ts", "length", "row_id"]).reset_index(drop=True))


def assert_equal(ours: pd.Series | np.ndarray, theirs: pd.Series | np.ndarray, tolerance: float = 1e-9) -> None:
    """Compare to a relative tolerance, and to the same times 1e-3 near zero; what is null is null in both."""
    np.testing.assert_allclose(np.asarray(ours, float), np.asarray(theirs, float), rtol=tolerance, atol=tolerance * 1e-3, equal_nan=True)
