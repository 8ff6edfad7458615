"""The daily run through Dagster: one more day refreshed, checked and reported, after start-up; processor time.

Great Expectations is imported first and shown beside: it costs seconds once a process, whatever it checks.
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

LIMIT = 5.0
STEP, CHECK = "STEP_SUCCESS", "ASSET_CHECK_EVALUATION"
SAMPLE = Path(__file__).parents[2] / "sample_data"


@benchmark("daily_run", order=55)
def daily_run(bench: Bench, size: str) -> Iterator[Row]:
    """Run the sample's last day in a fresh process."""
    found = subprocess.run([sys.executable, "-W", "ignore", "-m", "benchmarks.works.daily_run"], check=True, capture_output=True, text=True)
    measured = json.loads(found.stdout.splitlines()[-1])
    run, imported = measured["run"], measured["great_expectations"]
    note = f"{measured['steps']:.0f} steps, {measured['checks']:.0f} checks; beside it Great Expectations' import, {seconds(imported)}"
    yield Row(
        "daily_monitor of one more day, every asset, processor time",
        seconds(run),
        "limit",
        seconds(LIMIT),
        run / LIMIT,
        "under 5 s",
        run < LIMIT,
        note,
    )


def measure(folder: Path) -> dict[str, float]:
    """Build the sample up to its last day but one, then run the last through Dagster."""
    from portfolio_platform.build import build_all
    from portfolio_platform.home import Home
    from portfolio_platform.monitor.pipeline.reports import publish_reports
    from portfolio_platform.sources.pipeline import import_paths

    home = Home(folder / "home")
    home.create()
    home.pin_clock(date(2010, 12, 31))
    import_paths(home, [SAMPLE])
    build_all(home, until=date(2010, 12, 30))
    publish_reports(home, [date(2010, 12, 30)])

    import dagster as dg

    from assets.alerts import observe_inputs
    from portfolio_platform.definitions import build_definitions

    begun = time.process_time()
    import great_expectations  # noqa: F401

    imported = time.process_time() - begun
    job = build_definitions(home).resolve_job_def("daily_monitor")
    quiet = {"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}}
    # the storage that `dagster.yaml` names
    storage = {"storage": {"custom": {"module": "resources.storage", "class": "Storage", "config": {"base_dir": str(folder)}}}}
    with dg.DagsterInstance.local_temp(str(folder), overrides=storage) as instance:
        observe_inputs(home, instance)  # the runs before have told of the days before: a new instance is told of each, once
        begun = time.process_time()
        result = job.execute_in_process(instance=instance, partition_key="2010-12-31", run_config=quiet)
        took = time.process_time() - begun
    assert result.success
    count = {kind: sum(event.event_type_value == kind for event in result.all_events) for kind in (STEP, CHECK)}
    return {"run": took, "great_expectations": imported, "steps": count[STEP], "checks": count[CHECK]}


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as name:
        print(json.dumps(measure(Path(name))))
