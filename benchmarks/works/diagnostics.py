"""All eight diagnostics for every session, against part 1's pass from fills to concentration.

Timed are the functions that compute (arrays in, figures out), as they are called while each stage computes again from what
it had read: part 1's pass goes from arrays to arrays too. Beside it are what surrounds them in a stage: texts of the lake to
codes, figures to rows, the lake's reading. All of it is processor time of this process, on both sides: two dozen works of a
second each, one after the other, would else measure who else was busy.
"""

import gc
import time
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from benchmarks.measure import seconds
from benchmarks.monitor_run import Stopwatch, home_of, remembering
from benchmarks.platform_run import parquet_to_results
from benchmarks.registry import Bench, Row, benchmark
from portfolio_platform.diagnostics import concentration as d2
from portfolio_platform.diagnostics import drawdown as d4
from portfolio_platform.diagnostics import execution as d6
from portfolio_platform.diagnostics import execution_inputs, heat_rows, label_rows, labels, rows, turnover_rows
from portfolio_platform.diagnostics import failures as d8
from portfolio_platform.diagnostics import heat as d1
from portfolio_platform.diagnostics import idle as d7
from portfolio_platform.diagnostics import turnover as d5
from portfolio_platform.diagnostics.correlation import context
from portfolio_platform.diagnostics.pipeline import correlation, execution, failures, idle
from portfolio_platform.home import Home
from portfolio_platform.lake.progress import Plan
from portfolio_platform.ledger import pipeline as ledger
from portfolio_platform.policy.assigned import assigned_policies
from portfolio_platform.stage import build_stage
from portfolio_platform.stages import BY_NAME

GOAL, RUNS = 2.0, 3
Named = tuple[Any, str]
CONTEXT = ((context, "absorption_ratios"), (context, "turbulences"))


@dataclass(frozen=True)
class Timed:
    """A diagnostic: its stage, the functions that compute it, and those that make rows of the results."""

    title: str
    stage: str
    computes: tuple[Named, ...]
    makes_rows: tuple[Named, ...]


TIMED = (
    Timed(
        "D1 heat",
        "heat",
        ((d1, "sigmas"), (d1, "position_risks"), (d1, "portfolio_heat")),
        ((heat_rows, "risk_rows"), (heat_rows, "heat_rows")),
    ),
    Timed("D2 concentration, both bases", "concentration", ((d2, "concentration"),), ((rows, "metric_rows"), (rows, "group_rows"))),
    Timed(
        "D3 correlation",
        "correlation",
        ((correlation, "correlation_stacking"),),
        ((correlation.tables, "stacking_rows"), (correlation.tables, "bucket_rows")),
    ),
    Timed("D4 drawdown", "drawdown", ((d4, "drawdowns"),), ((rows, "drawdown_rows"),)),
    Timed(
        "D5 turnover",
        "turnover",
        tuple((d5, name) for name in ("add_up", "by_session", "churn", "turnover")),
        ((turnover_rows, "turnover_rows"), (turnover_rows, "churn_rows")),
    ),
    Timed(
        "D6 execution",
        "execution",
        ((d6, "profile"), (execution_inputs, "observations"), (execution_inputs, "fill_ratios")),
        ((execution, "profile_rows"),),
    ),
    Timed("D7 idle capital", "idle", ((d7, "idle_capital"),), ((idle, "_rows"),)),
    Timed(
        "D8 failures, labels included",
        "failures",
        ((labels, "numbers"), (d8, "recurrence")),
        ((label_rows, "label_rows"), (failures, "_mode_rows"), (failures, "_by_day")),
    ),
)


@dataclass(frozen=True)
class Taken:
    """Processor seconds of a diagnostic: computing, of it D3's context, making rows, the rest of its stage, its reading."""

    computing: float
    context: float
    rows: float
    rest: float
    reading: float


def processor(work: Any) -> float:
    """Return the processor seconds of a work."""
    gc.collect()
    begun = time.process_time()
    work()
    return time.process_time() - begun


def _ready(folder: Path, root: Path) -> Home:
    """Return a home of the facts in which everything is built that the diagnostics read."""
    home = home_of(folder, root)
    ledger.build(home)
    for name in ("signals", "heat", "drawdown"):
        build_stage(home, BY_NAME[name])
    return home


def _taken(home: Home, item: Timed) -> Taken:
    """Measure one diagnostic, the least of several runs; the first reads and compiles."""
    other, lake = remembering(home)
    stage, plan, policies = BY_NAME[item.stage], Plan(home.first_day, home.today, 1, {}), assigned_policies(home)
    stage.compute(other, policies, plan)
    runs = []
    for _ in range(RUNS):
        watches = [Stopwatch(*functions) for functions in (item.computes, CONTEXT, item.makes_rows)]
        with ExitStack() as looking:
            for watch in watches:
                looking.enter_context(watch.looking())
            whole = processor(lambda: stage.compute(other, policies, plan))
        computing, in_context, making = (watch.seconds for watch in watches)
        runs.append(Taken(computing, in_context, making, whole - computing - making, lake.seconds))
    return min(runs, key=lambda run: run.computing)


@benchmark("diagnostics", sizes=("M",), order=59)
def diagnostics(bench: Bench, size: str) -> Iterator[Row]:
    """Measure each diagnostic, then the pass; the home is made for it in a folder for temporary files."""
    folder = bench.facts(size)
    with TemporaryDirectory() as root:
        home = _ready(folder, Path(root) / "home")
        taken = {item: _taken(home, item) for item in TIMED}
    parquet_to_results(folder)
    whole = min(processor(lambda: parquet_to_results(folder)) for _ in range(RUNS))
    ours = sum(each.computing for each in taken.values())
    work, reference = f"the eight diagnostics, every session, {size}", f"fills to concentration, {size}"
    goal, met = (f"at most {GOAL:g}", ours <= GOAL * whole) if size != "S" else ("", None)
    yield Row(work, seconds(ours), reference, seconds(whole), ours / whole, goal, met, "processor time, computing alone")
    for item, each in taken.items():
        yield Row(f"  {item.title}", seconds(each.computing), reference, seconds(whole), each.computing / whole)
    deep = sum(each.context for each in taken.values())
    yield Row("  of it D3's absorption ratio and turbulence", seconds(deep), reference, seconds(whole), deep / whole)
    total = [sum(getattr(each, name) for each in taken.values()) for name in ("rest", "rows", "reading")]
    yield Row("  beside it: rows of the lake to arrays", seconds(total[0]), "figures to rows for the lake", seconds(total[1]))
    yield Row("  beside it: the lake's reading", seconds(total[2]))
