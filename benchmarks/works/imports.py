"""What importing the code location costs, against importing Dagster: processor time of fresh processes."""

import sys
from collections.abc import Iterator
from importlib.util import find_spec

from benchmarks.measure import cpu_seconds, seconds
from benchmarks.registry import Bench, Row, benchmark

GOAL, RUNS = 1.2, 7
LOCATION = "portfolio_platform.definitions"


@benchmark("imports", order=60)
def imports(bench: Bench, size: str) -> Iterator[Row]:
    """Measure both, alternated."""
    if find_spec(LOCATION) is None:
        yield Row("import of the code location", "not there yet", note=f"there is no {LOCATION}")
        return
    rounds = [[cpu_seconds([sys.executable, "-c", f"import {name}"]) for name in (LOCATION, "dagster")] for _ in range(RUNS)]
    ours, dagster = (min(times) for times in zip(*rounds, strict=True))
    yield Row(
        "import of the code location",
        seconds(ours),
        "import dagster",
        seconds(dagster),
        ours / dagster,
        f"at most {GOAL:g}",
        ours <= GOAL * dagster,
        f"user and system time, least of {RUNS}",
    )
