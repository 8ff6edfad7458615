"""A whole paper portfolio over the sample's bars: four years of screener, workflows, control plane, broker, ledger and monitor."""

import tempfile
import time
from collections.abc import Iterator
from datetime import date
from pathlib import Path

from benchmarks.registry import Bench, Row, benchmark
from portfolio_platform.home import Home
from portfolio_platform.paper.loop import PaperLoop
from portfolio_platform.paper.model import PaperOptions
from portfolio_platform.paper.run import run
from portfolio_platform.sources.pipeline import import_paths

SAMPLE = Path(__file__).parents[2] / "sample_data"
FIRST, LAST = date(2007, 1, 3), date(2010, 12, 30)
GOAL = 60.0


@benchmark("paper", order=64)
def paper(_bench: Bench, _size: str) -> Iterator[Row]:
    """Measure a paper run of four years on one core, in processor time: the loop alone, and with everything that follows from it."""
    with tempfile.TemporaryDirectory() as folder:
        home = Home(Path(folder) / "home")
        home.create()
        home.pin_clock(date(2010, 12, 31))
        import_paths(home, [SAMPLE / "instruments.csv", SAMPLE / "bars.csv.gz"])
        begun, since = time.process_time(), time.perf_counter()
        loop = PaperLoop(home, PaperOptions(), FIRST, LAST)
        loop.run()
        took, wall = time.process_time() - begun, time.perf_counter() - since
        counts = loop.kept.counts
        said = f"{counts.sessions:,} sessions, {counts.bars:,} candles, {counts.fills:,} fills, {counts.monitored} runs of the monitor"
        yield Row(
            "four years, the loop",
            f"{took:.1f} s",
            "goal",
            f"{GOAL:.0f} s",
            took / GOAL,
            "<= 60 s",
            took <= GOAL,
            f"{said}; {wall:.0f} s of wall",
        )
        begun = time.process_time()
        run(home, PaperOptions(), first=FIRST, last=LAST)
        whole = took + time.process_time() - begun
        note = "imported into the home, every table built, every workflow replayed"
        yield Row("the same to its last table", f"{whole:.1f} s", "goal", f"{GOAL:.0f} s", whole / GOAL, "<= 60 s", whole <= GOAL, note)
