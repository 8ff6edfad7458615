"""Fills to snapshots, lots and concentration, from Parquet bytes to arrays in memory, against reading the same Parquet.

The reference reads both files whole (all columns of fills and bars, pyarrow's defaults); the work reads the columns it
needs, and its reading is counted. Both find the files in the page cache. Rows for the lake (text, decimals) and the lake's
write are shown beside it, and are in neither.
"""

from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import pyarrow.parquet as pq

from benchmarks.measure import alternate, seconds, wall
from benchmarks.platform_run import parquet_to_results, read_facts
from benchmarks.registry import Bench, Row, benchmark
from portfolio_platform.days import to_date
from portfolio_platform.lake.derived import DERIVED
from portfolio_platform.lake.store import Lake
from portfolio_platform.ledger.advance import Step

GOAL = 3.0


def read_all(folder: Path) -> None:
    """Read fills and bars whole."""
    for name in ("fills", "bars"):
        pq.read_table(folder / f"{name}.parquet")


def write_to_lake(step: Step, root: Path) -> None:
    """Write a step's rows as the ledger's pipeline does."""
    lake = Lake(str(root / "lake"), root / "lake.lock")
    first = to_date(int(step.grid.days.min()))
    with lake.writing():
        for name, table in step.tables.items():
            lake.replace_from(DERIVED[name], first, table)


@benchmark("end_to_end", sizes=("S", "M"), order=10)
def end_to_end(bench: Bench, size: str) -> Iterator[Row]:
    """Measure the whole way, its parts, and the lake's write."""
    folder = bench.facts(size)
    parquet_to_results(folder)  # compiles
    reading, whole, needed = alternate(lambda: read_all(folder), lambda: parquet_to_results(folder), lambda: read_facts(folder), runs=5)
    # at S the fixed cost of a pass, some 40 ms, is all there is to see: the goal is for M
    met = whole <= GOAL * reading if size != "S" else None
    goal = f"at most {GOAL:g}" if size != "S" else ""
    yield Row(
        f"fills to concentration, {size}", seconds(whole), "reading fills and bars whole", seconds(reading), whole / reading, goal, met
    )
    yield Row("  of it reading the columns in use", seconds(needed), "reading fills and bars whole", seconds(reading), needed / reading)
    step = parquet_to_results(folder).step
    rows = wall(lambda: step.tables)
    with TemporaryDirectory() as root:
        written = wall(lambda: write_to_lake(step, Path(root)))
    count = sum(len(table) for table in step.tables.values())
    yield Row(f"  beside it: {count:,} rows for the lake", seconds(rows), "the lake's write of them", seconds(written))
