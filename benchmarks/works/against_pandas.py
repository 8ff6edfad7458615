"""The same work in plain pandas, from the same Parquet; the numbers of both are compared before the times are."""

from collections.abc import Iterator

import numpy as np
import pandas as pd

from benchmarks.measure import alternate, seconds
from benchmarks.pandas_baseline import PandasResults, fills_to_concentration, largest_difference
from benchmarks.platform_run import Results, parquet_to_results
from benchmarks.registry import Bench, Row, benchmark
from portfolio_platform.diagnostics.concentration import DIMENSIONS, EFFECTIVE, HHI, TOP_SHARE

GOAL, TOLERANCE = 4.0, 1e-9
KEY = ["day", "portfolio", "strategy", "symbol"]
SNAPSHOT_COLUMNS = ("quantity", "average_cost", "realised_pnl", "fees", "market_value", "unrealised_pnl")


def snapshot_difference(ours: Results, theirs: PandasResults) -> float:
    """Return the largest difference between the snapshots of both, relative to the larger of the two and 1."""
    rows = ours.step.tables["ledger_snapshots"].select([*KEY, *SNAPSHOT_COLUMNS]).to_pandas()
    rows["day"] = pd.to_datetime(rows["day"])
    rows[list(SNAPSHOT_COLUMNS)] = rows[list(SNAPSHOT_COLUMNS)].astype(float)
    rows["average_cost"] = rows["average_cost"].fillna(0.0)
    other = theirs.snapshots.assign(day=pd.to_datetime(theirs.snapshots["day"], unit="D"))
    other["market_value"] = other["market_value"].where(other["quantity"] != 0.0, 0.0)
    both = rows.merge(other, on=KEY, how="outer", suffixes=("", "_pandas"), indicator=True)
    if not (both["_merge"] == "both").all():
        return float("inf")
    return max(largest_difference(both[name].to_numpy(), both[f"{name}_pandas"].to_numpy()) for name in SNAPSHOT_COLUMNS)


def concentration_difference(ours: Results, theirs: PandasResults) -> float:
    """Return the largest difference between the concentration figures of both; sessions without exposure have none."""
    grid, figures = ours.step.grid, ours.concentration.figures
    largest = 0.0
    for dimension, rows in theirs.concentration.groupby("dimension"):
        place = DIMENSIONS.index(str(dimension))
        index = pd.MultiIndex.from_arrays([np.array(grid.portfolios)[grid.owner], grid.days], names=["portfolio", "day"])
        mine = pd.DataFrame(figures[:, place][:, [HHI, TOP_SHARE, EFFECTIVE]], index=index, columns=["hhi", "top_share", "effective_n"])
        other = rows.set_index(["portfolio", "day"]).reindex(index)
        for name in mine.columns:
            one, two = mine[name].to_numpy(), other[name].to_numpy()
            if (np.isnan(one) != np.isnan(two)).any():
                return float("inf")
            largest = max(largest, largest_difference(one, two))
    return largest


@benchmark("against_pandas", sizes=("S", "M"), order=20)
def against_pandas(bench: Bench, size: str) -> Iterator[Row]:
    """Compare results, then times."""
    folder = bench.facts(size)
    ours, theirs = parquet_to_results(folder), fills_to_concentration(folder)
    apart = max(snapshot_difference(ours, theirs), concentration_difference(ours, theirs))
    del ours, theirs
    fast, slow = alternate(lambda: parquet_to_results(folder), lambda: fills_to_concentration(folder), runs=3 if size == "S" else 2)
    same = apart <= TOLERANCE
    note = f"results equal to {apart:.0e}" if same else f"RESULTS DIFFER by {apart:.1e}"
    # at S both take a moment, most of it fixed: only the numbers are judged there
    goal, met = ("equal to 1e-9", same) if size == "S" else (f"faster {GOAL:g} times", same and slow >= GOAL * fast)
    yield Row(f"fills to concentration, {size}", seconds(fast), "plain pandas", seconds(slow), slow / fast, goal, met, note)
