"""D3 as a stage on the sample: its incidents, a day alone, a day at a time, splits, and the matrix for the picture."""

from datetime import date, timedelta
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pytest

from portfolio_platform.diagnostics.correlation.tables import read_closes
from portfolio_platform.diagnostics.pipeline.correlation import compute, correlation_matrix
from portfolio_platform.errors import WrongUse
from portfolio_platform.home import Home
from portfolio_platform.lake import derived
from portfolio_platform.lake.columns import Table
from portfolio_platform.lake.progress import Plan
from portfolio_platform.ledger.inputs import read_actions
from portfolio_platform.policy.assigned import assigned_policies
from tests.conftest import LAST_DAY, copied

STACK, BUCKETS = derived.CORRELATION_STACKING, derived.CORRELATION_BUCKETS
Results = dict[Table, pa.Table]


def run(home: Home, first: date, until: date) -> Results:
    return compute(home, assigned_policies(home), Plan(first, until, 0, {}))


@pytest.fixture(scope="module")
def results(sample_home: Home) -> Results:
    return run(sample_home, sample_home.first_day, LAST_DAY)


@pytest.fixture(scope="module")
def stored(sample_home: Home, results: Results, tmp_path_factory: pytest.TempPathFactory) -> Home:
    """A copy of the sample with D3 written."""
    home = copied(sample_home, tmp_path_factory.mktemp("correlation") / "home")
    with home.lake.writing():
        for table, rows in results.items():
            home.lake.replace(table, rows)
    return home


def frame(results: Results, table: Table, portfolio: str) -> pd.DataFrame:
    rows = results[table].to_pandas()
    return rows[rows["portfolio"] == portfolio].set_index("day")


def test_every_session_has_a_row_sorted_by_key_and_a_null_has_its_reason(sample_home: Home, results: Results) -> None:
    sessions = sample_home.lake.read(derived.PORTFOLIO_EQUITY, ["day", "portfolio"]).to_pandas()
    rows = results[STACK].to_pandas()
    expected = sessions.sort_values(["day", "portfolio"]).reset_index(drop=True)
    pd.testing.assert_frame_equal(rows[["day", "portfolio"]], expected)
    assert (rows["stack_ratio"].notna() | (rows["reason"] != "")).all()
    assert (rows["effective_bets"].notna() | (rows["bets_reason"] == "hedged") | (rows["reason"] != "")).all()
    context = rows[["absorption_ratio", "turbulence", "correlated_heat"]].notna().all(axis=1)
    assert (context | (rows["context_reason"] != "") | (rows["reason"] != "")).all()
    keys = results[BUCKETS].select(["day", "portfolio", "bucket"]).to_pandas()
    assert keys.equals(keys.sort_values(["day", "portfolio", "bucket"]).reset_index(drop=True))
    assert set(rows["reason"]) == {"", "flat", "one_symbol"}


def test_the_samples_correlated_stacks_stand_out(results: Results) -> None:
    """README: five or six of six symbols long in `core`; the crash of 2008 was traded short."""
    core = frame(results, STACK, "core")
    for first, last in (
        (date(2009, 9, 14), date(2009, 9, 30)),
        (date(2009, 4, 24), date(2009, 5, 11)),
        (date(2009, 4, 2), date(2009, 4, 16)),
    ):
        stack = core.loc[first:last]
        assert len(stack) > 9
        assert (stack["stack_ratio"] > 2.5).all()
        assert (stack["stack_ratio_low"] > 2.0).all(), "sure enough for the gate"
        assert (stack["symbols"] >= 5).all()
        assert (stack["effective_bets"] < 2.0).all()
    assert core["stack_ratio"].max() == core.loc[date(2009, 4, 2) : date(2009, 5, 11), "stack_ratio"].max()
    assert core.loc[date(2008, 9, 29), "turbulence"] > 10.0


def test_a_bucket_holds_what_moves_together_and_its_exposure_is_that_of_the_row(results: Results) -> None:
    core, buckets = frame(results, STACK, "core"), frame(results, BUCKETS, "core")
    day = date(2009, 9, 18)
    mine = buckets.loc[day].set_index("bucket")
    assert mine.loc["COMP", "symbols"] == "COMP, GOOG, SPX"
    assert mine.loc["COMP", "tightness"] > 0.70
    assert core.loc[day, "largest_bucket"] == "COMP"
    assert core.loc[day, "largest_bucket_pct"] == mine["same_direction_pct"].max()
    both = mine["long_exposure"].sum() + mine["short_exposure"].sum()
    equity = mine["long_exposure"].iloc[0] / mine["same_direction_pct"].iloc[0]
    assert both / equity <= core.loc[day, "gross_exposure_pct"] + 1e-12


def test_the_coins_weekend_is_in_macros_monday(results: Results) -> None:
    """On a weekend the window of a mixed book ends on Friday, and sixty returns reach back further than sixty days."""
    macro = frame(results, STACK, "macro")
    saturday = macro.loc[date(2008, 10, 11)]
    assert saturday["symbols"] == 4
    assert saturday["window_start"] == macro.loc[date(2008, 10, 10), "window_start"] == date(2008, 7, 18)
    assert saturday["context_reason"].startswith("turbulence: no_common_session")


@pytest.mark.parametrize("day", [date(2007, 1, 9), date(2008, 10, 12), date(2009, 9, 16), date(2010, 12, 31)])
def test_a_day_alone_is_that_day_of_the_range(stored: Home, results: Results, day: date) -> None:
    """The range began years before; the day alone reads a look-back, and yesterday's buckets from their rows."""
    for table, alone in run(stored, day, day).items():
        of_range = results[table].filter(pc.field("day") == day)
        assert len(alone) == len(of_range) > 0
        for name in alone.column_names:
            if pa.types.is_floating(alone[name].type):
                both = (part[name].to_numpy(zero_copy_only=False).astype(float) for part in (alone, of_range))
                np.testing.assert_allclose(*both, rtol=1e-12, atol=1e-15, err_msg=name)
            else:
                assert alone[name].to_pylist() == of_range[name].to_pylist(), name


def test_a_bucket_survives_a_new_range_through_its_stored_rows(stored: Home, results: Results, tmp_path: Path) -> None:
    """Without the rows of the day before, the plain cut differs on some day: that is what hysteresis is."""
    home = copied(stored, tmp_path / "home")
    with home.lake.writing():
        home.lake.replace(BUCKETS, BUCKETS.arrow_schema().empty_table())
    buckets = results[BUCKETS].to_pandas()
    kept = buckets[(buckets["tightness"] < 0.70) & (buckets["portfolio"] == "core")]["day"]
    assert len(kept) > 20
    day = kept.iloc[0]
    members = [frame(run(one, day, day), BUCKETS, "core")["symbols"].tolist() for one in (stored, home)]
    assert members[0] == buckets[(buckets["day"] == day) & (buckets["portfolio"] == "core")]["symbols"].tolist()
    assert members[1] != members[0]


def test_the_matrix_behind_a_day_is_ordered_by_bucket_and_gives_the_days_ratio(stored: Home, results: Results) -> None:
    day = date(2009, 9, 18)
    found = correlation_matrix(stored, "core", day)
    assert found.symbols == ("COMP", "GOOG", "SPX", "AAPL", "IBM", "MSFT")
    assert found.buckets == (("COMP", "GOOG", "SPX"), ("AAPL",), ("IBM",), ("MSFT",))
    assert (found.method, found.observations) == ("rolling", 60)
    assert np.array_equal(found.matrix, found.matrix.T)
    assert found.matrix.diagonal().tolist() == [1.0] * 6
    off = found.matrix[~np.eye(6, dtype=bool)]
    row = frame(results, STACK, "core").loc[day]
    # shrinking toward the mean leaves the mean as it is
    assert off.mean() == pytest.approx(row["mean_correlation"])
    assert found.matrix[:3, :3].min() == pytest.approx(
        frame(results, BUCKETS, "core").loc[day].set_index("bucket").loc["COMP", "tightness"]
    )


def test_a_day_that_is_no_session_and_a_day_that_is_not_built_say_so(sample_home: Home) -> None:
    with pytest.raises(WrongUse, match="no session"):
        correlation_matrix(sample_home, "core", date(2009, 9, 19))


def test_risk_of_positions_makes_correlated_heat(stored: Home, results: Results, tmp_path: Path) -> None:
    """A tenth of each position's exposure at risk: correlated heat is at most a tenth of gross, and far above it uncorrelated."""
    home, day = copied(stored, tmp_path / "home"), date(2009, 9, 18)
    there = (pc.field("day") == day) & (pc.field("portfolio") == "core")
    lots = home.lake.read(derived.LOT_EXPOSURES, None, there).to_pandas()
    summed = lots.groupby(["strategy", "symbol", "currency"])["market_value_base"].sum().reset_index()
    schema = derived.POSITION_RISK.arrow_schema()
    fixed = {"day": day, "portfolio": "core", "month": "2009-09"}
    rows = [
        fixed | {"strategy": row.strategy, "symbol": row.symbol, "currency": row.currency}
        | {"direction": "long" if row.market_value_base > 0 else "short", "risk": abs(row.market_value_base) / 10}
        for row in summed.itertuples()
    ]  # fmt: skip
    with home.lake.writing():
        home.lake.replace(derived.POSITION_RISK, pa.Table.from_pylist(rows, schema=schema))
    found = frame(run(home, day, day), STACK, "core").loc[day]
    gross = found["gross_exposure_pct"]
    assert 0.75 * gross / 10 < found["correlated_heat"] <= gross / 10
    assert (
        np.isnan(frame(results, STACK, "core").loc[day, "correlated_heat"]) or frame(results, STACK, "core").loc[day, "correlated_heat"] > 0
    )


def test_a_split_is_no_return_and_the_last_bar_of_a_day_counts() -> None:
    day = 86_400 * 10**9
    bars = pa.table(
        {
            "symbol": ["A", "A", "A", "B"],
            "ts": pa.array([10 * day, 11 * day - 5, 11 * day, 11 * day]),
            "close": pa.array(["100", "70", "51", "7"]).cast(pa.decimal128(38, 18)),
        }
    )
    actions = pa.table(
        {"row_id": ["x"], "ts": pa.array([10 * day + 1]), "symbol": ["A"], "kind": ["split"],
         "ratio": pa.array(["2"]).cast(pa.decimal128(38, 18)), "amount": pa.array([None], pa.decimal128(38, 18))}
    )  # fmt: skip
    closes = read_closes(bars, read_actions(actions, after_ts=-1, until_ts=20 * day), ("A", "B"))
    assert closes.log_close.shape == (2, 2)
    # a bar at midnight belongs to the day that ends then
    assert closes.first == 9
    assert np.diff(closes.log_close[:, 0])[0] == pytest.approx(np.log(102 / 100))
    assert np.isnan(closes.log_close[0, 1])


def test_an_empty_lake_has_no_rows(home: Home) -> None:
    found = run(home, date(2009, 1, 1), date(2009, 1, 1) + timedelta(days=3))
    assert {table.name: len(rows) for table, rows in found.items()} == {"correlation_stacking": 0, "correlation_buckets": 0}
