"""The main job once, from a terminal: refresh, then the reports of every day that has none yet or changed; then a year on paper.

The same jobs as in the UI, run in this process and recorded in the home's Dagster storage, with a progress display.
"""

import argparse
import logging
import os
import threading
import time
import warnings
from pathlib import Path

from rich.console import Console
from rich.status import Status

from portfolio_platform.errors import PortfolioError
from portfolio_platform.home import Home
from sensors.paper_now import run_paper, show_paper

console = Console()
POLL_SECONDS = 0.4
NEXT = "next: [bold]make ui[/] opens Dagster at http://127.0.0.1:3000; [bold].venv/bin/portfolio --help[/] lists the commands"
QUIET = {"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}}


def main() -> int:
    """Run, and return the exit code."""
    parser = argparse.ArgumentParser(prog="make run", description=__doc__)
    parser.add_argument("--sample", type=Path, help="import this sample first, and pin the home's clock to its last day")
    arguments = parser.parse_args()
    started = time.monotonic()
    home = Home.from_environment()
    try:
        if arguments.sample is not None:
            import_sample(home, arguments.sample)
        run_jobs(home.require())
        paper = run_paper(home, arguments.sample, console) if arguments.sample is not None else None
        show(home)
        if paper is not None:
            show_paper(paper, console)
        console.print(NEXT)
    except PortfolioError as error:
        console.print("[bold red]problem:[/]", str(error), soft_wrap=True)
        return 1
    console.print(f"[dim]done in {time.monotonic() - started:.0f} s[/]")
    return 0


def import_sample(home: Home, folder: Path) -> None:
    """Import the sample into the home; its clock stands at the end of the sample's last day."""
    from portfolio_platform.sources.pipeline import import_paths
    from portfolio_platform.sources.sample import last_day

    if not home.exists:
        home.create()
        home.pin_clock(last_day(folder))
    with console.status(f"importing {folder.name}") as status:
        result = import_paths(home, [folder], progress=status.update)
    rows = ", ".join(f"{fact.imported:,} {fact.fact}" for fact in result.facts if fact.imported)
    console.print(f"[green]imported[/] {rows or 'nothing new: every row was known'}")
    if result.rejections:
        console.print(f"[yellow]{len(result.rejections)} rows were set aside[/]; `portfolio quarantine` lists them")


def run_jobs(home: Home) -> None:
    """Run `refresh`, a range run of the report assets, and a cycle of the control plane, each only where there is something to do."""
    from portfolio_platform.build import is_behind
    from portfolio_platform.monitor.pipeline.staleness import stale_days

    behind = is_behind(home) or bool(stale_days(home))
    if not behind and not cycle_is_due(home):
        console.print("[green]up to date[/] tables and reports rest on the newest import; no run is needed")
        return
    storage = Path(os.environ.setdefault("PORTFOLIO_DAGSTER_STORAGE", str(home.root / "dagster")))
    storage.mkdir(parents=True, exist_ok=True)
    with console.status("starting Dagster"):
        import dagster as dg

        logging.getLogger("dagster").setLevel(logging.CRITICAL)
        warnings.filterwarnings("ignore", module="dagster.*")
        from portfolio_platform.definitions import build_definitions
    with dg.DagsterInstance.get() as instance:
        definitions = build_definitions(home)
        if behind:
            run_job(definitions.resolve_job_def("refresh"), instance, {})
        days = stale_days(home) if behind else []
        if days:
            first, last = min(days), max(days)
            tags = {"dagster/asset_partition_range_start": first.isoformat(), "dagster/asset_partition_range_end": last.isoformat()}
            run_job(definitions.resolve_job_def("publish_reports"), instance, tags)
        if cycle_is_due(home):
            run_job(definitions.resolve_job_def("control_cycle"), instance, {})
            run_job(definitions.resolve_job_def("daily_audit"), instance, {})


def cycle_is_due(home: Home) -> bool:
    """Say whether a cycle of the control plane would find anything to do."""
    from portfolio_platform.control.pipeline.due import seen_by
    from portfolio_platform.control.plane import ControlPlane

    return bool(seen_by(home, ControlPlane(home.book, home.clock)))


def run_job(job: "object", instance: "object", tags: dict[str, str]) -> None:
    """Run a job in this process, showing what it says of itself. Raises `PortfolioError` where it fails."""
    from dagster import DagsterInstance, JobDefinition
    from dagster._core.utils import make_new_run_id

    assert isinstance(job, JobDefinition) and isinstance(instance, DagsterInstance)
    run_id, ended, began = make_new_run_id(), threading.Event(), time.monotonic()
    with console.status(f"job {job.name}") as status:
        watcher = threading.Thread(target=_watch, args=(instance, run_id, job.name, status, ended), daemon=True)
        watcher.start()
        try:
            result = job.execute_in_process(instance=instance, tags=tags, run_id=run_id, run_config=QUIET, raise_on_error=False)
        finally:
            ended.set()
            watcher.join()
    if not result.success:
        failed = [event.message or "" for event in result.all_events if event.is_failure]
        raise PortfolioError(f"the job {job.name} failed: {'; '.join(failed[:3])}\n`make ui` shows its run {run_id}")
    count = len(result.get_asset_materialization_events())
    checks = result.get_asset_check_evaluations()
    held = f", {sum(check.passed for check in checks)} of {len(checks)} checks held" if checks else ""
    console.print(f"[green]ran[/] job {job.name}: {count:,} materialisations{held}, {time.monotonic() - began:.1f} s")


def _watch(instance: "object", run_id: str, name: str, status: Status, ended: threading.Event) -> None:
    """Show the newest message of the run until it ends."""
    from dagster import DagsterInstance

    assert isinstance(instance, DagsterInstance)
    began = time.monotonic()
    while not ended.wait(POLL_SECONDS):
        newest = instance.get_records_for_run(run_id, limit=1, ascending=False).records
        said = newest[0].event_log_entry.user_message if newest else ""
        words = said.splitlines()[0][:70] if said else ""
        status.update(f"job {name} [dim]{time.monotonic() - began:.0f} s[/] {words}")


def show(home: Home) -> None:
    """Print the newest report of each portfolio, and which are under control."""
    from portfolio_platform.monitor.report import PortfolioMonitorReport
    from portfolio_platform.render.pipeline import history, published_reports, write_page
    from portfolio_platform.render.terminal import to_terminal

    with console.status("drawing the reports"):
        stored = published_reports(home, None, None)
        drawn = [
            (item, to_terminal(PortfolioMonitorReport.from_bytes(item.content), history(home, item.portfolio, item.day))) for item in stored
        ]
        pages = [write_page(home, item) for item in stored]
    for _, text in drawn:
        console.print(text)
    for page in pages:
        console.print(f"full report: {page}", soft_wrap=True)
    show_control(home)


def show_control(home: Home) -> None:
    """Print which portfolios are under control, and how to look at one."""
    from rich.markup import escape

    from portfolio_platform.control.log import opened_portfolios
    from portfolio_platform.render.text import one_line

    with home.book.reading() as connection:
        names = [escape(one_line(name)) for name in opened_portfolios(connection)]
    if names:
        console.print(
            f"[green]under control[/] {', '.join(names)}; limits and what is used of them: "
            f"[bold].venv/bin/portfolio control state {names[0]}[/]",
            soft_wrap=True,
        )


if __name__ == "__main__":
    raise SystemExit(main())
