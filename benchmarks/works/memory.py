"""Peak memory of the whole way at the largest size, in a process of its own: as the system counts it (resident set)."""

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pyarrow.parquet as pq

from benchmarks.measure import peak_bytes, seconds, wall
from benchmarks.platform_run import parquet_to_results
from benchmarks.registry import Bench, Row, benchmark

LIMIT = 4e9


@benchmark("memory", sizes=("L",), order=40)
def memory(bench: Bench, size: str) -> Iterator[Row]:
    """Run the pass in a fresh process and ask it for its peak."""
    folder = bench.facts(size)
    found = subprocess.run([sys.executable, "-m", "benchmarks.works.memory", str(folder)], check=True, capture_output=True, text=True)
    measured = json.loads(found.stdout)
    fills = pq.read_metadata(folder / "fills.parquet").num_rows
    work, note = f"peak memory, {size}: {fills:,} fills", f"the pass took {seconds(measured['seconds'])}"
    peak = measured["peak"]
    yield Row(work, f"{peak / 1e9:.2f} GB", "limit", f"{LIMIT / 1e9:.0f} GB", peak / LIMIT, "under 4 GB", peak < LIMIT, note)


if __name__ == "__main__":
    took = wall(lambda: parquet_to_results(Path(sys.argv[1])))
    print(json.dumps({"seconds": took, "peak": peak_bytes()}))
