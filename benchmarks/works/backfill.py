"""1,250 days of reports: by the pipeline, and through Dagster as a range run launched from its UI; both on the sample.

Both sides are processor time of a fresh process, the run's wall time beside it. The home is the sample, imported and built
for it. A range run is the job `publish_reports` with the tags that the UI gives a range of partitions.
"""

import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from datetime import date
from pathlib import Path

from benchmarks.measure import seconds
from benchmarks.registry import Bench, Row, benchmark

DAYS = 1_250
PIPELINE, DAGSTER = 10.0, 60.0
SAMPLE = Path(__file__).parents[2] / "sample_data"
LAST = date(2010, 12, 31)


@benchmark("backfill", order=56)
def backfill(bench: Bench, size: str) -> Iterator[Row]:
    """Build the sample once, then publish its newest days in two fresh processes, each in its own copy of the home."""
    with tempfile.TemporaryDirectory() as name:
        for way in ("build", "pipeline", "dagster"):
            found = subprocess.run(
                [sys.executable, "-W", "ignore", "-m", "benchmarks.works.backfill", way, name], check=True, capture_output=True, text=True
            )
            if way == "build":
                continue
            measured = json.loads(found.stdout.splitlines()[-1])
            limit, words = (PIPELINE, "by the pipeline") if way == "pipeline" else (DAGSTER, "a range run of Dagster, two assets")
            took = measured["processor"]
            yield Row(
                f"reports of {DAYS:,} days, {words}",
                seconds(took),
                "limit",
                seconds(limit),
                took / limit,
                f"at most {limit:g} s",
                took <= limit,
                f"processor time; {measured['reports']:,} reports; {seconds(measured['wall'])} by the clock",
            )


def build(root: Path) -> None:
    """Import and build the sample in a new home; nothing is published in it."""
    from portfolio_platform.build import build_all
    from portfolio_platform.home import Home
    from portfolio_platform.sources.pipeline import import_paths

    home = Home(root / "home")
    home.create()
    home.pin_clock(LAST)
    import_paths(home, [SAMPLE])
    build_all(home)


def _days(root: Path) -> list[date]:
    """Return the newest days on which any portfolio had a session."""
    from portfolio_platform.home import Home
    from portfolio_platform.lake import derived

    rows = Home(root / "home").lake.read(derived.PORTFOLIO_EQUITY, ["day"])
    return sorted(set(rows["day"].to_pylist()))[-DAYS:]


def by_pipeline(root: Path) -> dict[str, float]:
    """Publish the days in a copy of the home, so that the other way finds none of them in the book."""
    import shutil

    from portfolio_platform.home import Home
    from portfolio_platform.monitor.pipeline.reports import publish_reports

    days = _days(root)
    shutil.copytree(root / "home", root / "first")
    home = Home(root / "first")
    wall, processor = time.perf_counter(), time.process_time()
    done = publish_reports(home, days)
    took = {"processor": time.process_time() - processor, "wall": time.perf_counter() - wall}
    return took | {"reports": sum(len(item.published) for item in done)}


def by_dagster(root: Path) -> dict[str, float]:
    """Publish the range of the same days in one run: calendar days, those without a session included."""
    import dagster as dg
    from dagster._core.storage.tags import ASSET_PARTITION_RANGE_END_TAG, ASSET_PARTITION_RANGE_START_TAG

    from portfolio_platform.definitions import build_definitions
    from portfolio_platform.home import Home
    from portfolio_platform.lake import derived

    days = _days(root)
    job = build_definitions(Home(root / "home")).resolve_job_def("publish_reports")
    quiet = {"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}}
    tags = {ASSET_PARTITION_RANGE_START_TAG: days[0].isoformat(), ASSET_PARTITION_RANGE_END_TAG: days[-1].isoformat()}
    with dg.DagsterInstance.local_temp(str(root)) as instance:
        wall, processor = time.perf_counter(), time.process_time()
        result = job.execute_in_process(instance=instance, tags=tags, run_config=quiet)
        took = {"processor": time.process_time() - processor, "wall": time.perf_counter() - wall}
    assert result.success
    rows = Home(root / "home").lake.read(derived.PORTFOLIO_EQUITY, ["day"])
    return took | {"reports": sum(day >= days[0] for day in rows["day"].to_pylist())}


if __name__ == "__main__":
    where = Path(sys.argv[2])
    if sys.argv[1] == "build":
        build(where)
    else:
        print(json.dumps(by_pipeline(where) if sys.argv[1] == "pipeline" else by_dagster(where)))
