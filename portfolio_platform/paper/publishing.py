"""What a run brought goes into the home's own lake, by the import that every source goes through, and every table is built.

From then on the paper portfolio is a portfolio like any other: reports, reflections, `why` and `verify` speak of it.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pyarrow.compute as pc

from portfolio_platform.build import build_all
from portfolio_platform.control.pipeline.publish import publish
from portfolio_platform.home import Home
from portfolio_platform.instruments.model import Expectation
from portfolio_platform.lake import active
from portfolio_platform.lake.facts import PLAYBOOK_EXPECTATIONS, SIGNALS
from portfolio_platform.paper import files
from portfolio_platform.paper.market import Market
from portfolio_platform.paper.model import PaperOptions
from portfolio_platform.paper.record import Record
from portfolio_platform.sources.pipeline import import_paths

Report = Callable[[str], None]


@dataclass(frozen=True)
class PublishedRun:
    """What became facts of the home: rows that were new, and decisions of the control plane."""

    rows: int
    decisions: int


def publish_run(
    home: Home,
    options: PaperOptions,
    market: Market,
    record: Record,
    *,
    expectations: Mapping[tuple[str, str], tuple[Expectation, ...]] | None = None,
    build: bool = True,
    report: Report = lambda text: None,
) -> PublishedRun:
    """Import fills, signals, funding and decisions of a run, and build every table; a second time nothing is new.

    Args:
        home: whose lake.
        options: of the run.
        market: its bars.
        record: of the run.
        expectations: what the playbooks expect of themselves, by template and playbook.
        build: whether the tables are built; else `portfolio build` does it.
        report: is told what is done.

    Raises:
        StoreProblem: lake or book cannot be written; what was done until then stays, and the next time goes on from there.
    """
    assert record.opened is not None, "a run that was never begun brings nothing"
    report("importing what the run brought")
    found = files.funding(options, market, date.fromisoformat(record.opened.day))
    found |= files.fills(record.fills, market.digits)
    newest = {said.signal.signal_id: said.signal for _, said in record.signals}
    found |= files.signals(record.signals, options, _revisions(home, options.portfolio, newest))[0]
    found |= files.expectations(_unknown(home, expectations or {}))
    with TemporaryDirectory(prefix="portfolio-paper-") as folder:
        paths = []
        for name, content in found.items():
            path = Path(folder) / name
            path.write_bytes(content)
            paths.append(path)
        rows = import_paths(home, paths).imported
    decisions = publish(home).decisions
    if build:
        build_all(home, report=report)
    return PublishedRun(rows, decisions)


def _revisions(home: Home, portfolio: str, newest: Mapping[str, Any]) -> dict[str, int]:
    """Return by signal the revision before the one to state: that in force where it says something else now, else the one before it."""
    where = pc.field("portfolio") == portfolio
    rows = home.lake.read(SIGNALS.table, ["signal_id", "revision", "disposition", "block_reason"], where).to_pylist()
    found: dict[str, int] = {}
    for row in sorted(rows, key=lambda row: (row["signal_id"], row["revision"])):
        now = newest.get(row["signal_id"])
        same = now is None or (now.disposition, now.block_reason) == (row["disposition"] or "", row["block_reason"] or "")
        found[row["signal_id"]] = row["revision"] - same
    return found


def _unknown(home: Home, stated: Mapping[tuple[str, str], tuple[Expectation, ...]]) -> dict[tuple[str, str], tuple[Expectation, ...]]:
    """Return the expectations of playbooks that the lake knows nothing of: what somebody measured is not overwritten."""
    rows = active.read(home.lake, PLAYBOOK_EXPECTATIONS, ("template", "playbook")).to_pylist()
    known = {(row["template"], row["playbook"]) for row in rows}
    return {key: one for key, one in stated.items() if key not in known}
