"""Reported fills become facts by the import that every source goes through; and the files of an execution's folder.

Up to which event of the log it was done is in the name of the imported file, in the lake's own list of imports: what was reported before
a kill is imported by the next call, and a lake that was restored from a backup is filled up again.
"""

import csv
import re
from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from tempfile import TemporaryDirectory

import pyarrow.compute as pc

from portfolio_platform.book.events import chain_head
from portfolio_platform.control.money import major
from portfolio_platform.days import format_timestamp, nanoseconds
from portfolio_platform.desk.execution_events import ExecutionState, reports_after, state_of
from portfolio_platform.home import Home, write_atomically
from portfolio_platform.lake.facts import FILLS, IMPORTS
from portfolio_platform.orchestrator.booking import STRATEGY
from portfolio_platform.orchestrator.executed import ReportedFill
from portfolio_platform.orchestrator.execution_rows import set_aside_csv
from portfolio_platform.orchestrator.papers import PlanPapers, folder_name
from portfolio_platform.orchestrator.planned import Plan
from portfolio_platform.sources.pipeline import ImportResult, import_paths

SOURCE = "execution"
LEDGER = "ledger"
"""The source of a portfolio that was taken from the ledger."""
AT_ONCE = 500
COLUMNS = (*(column.name for column in FILLS.columns), "revision", "bust")
_NAME = re.compile(rf"fills-{SOURCE}-0*(\d+)\.csv$")


@dataclass(frozen=True)
class Brought:
    """What bringing in did: fills (and corrections) that the ledger had not, and the event of the log it reached."""

    fills: int
    set_aside: int
    until_seq: int


def bring_fills(home: Home) -> Brought:
    """Import the fills of every report that the ledger does not have yet; a second time it finds nothing to do.

    Raises:
        StoreProblem: lake or book cannot be read or written.
    """
    brought, aside, after = 0, 0, brought_until(home)
    while True:
        with home.book.reading() as connection:
            reports = reports_after(connection, after, AT_ONCE)
            plans = {name: state_of(connection, name).papers.plan for name in {name for _, name, _ in reports}}
        if not reports:
            return Brought(brought, aside, after)
        after = reports[-1][0]
        rows = [row for _, name, report in reports for fill in report.fills for row in fill_rows(fill, plans[name])]
        if rows:
            done = _import(home, after, rows)
            brought, aside = brought + done.imported, aside + done.set_aside


def brought_until(home: Home) -> int:
    """Return the event of the log up to which fills are facts; from the beginning where the log ends before it, being another."""
    names = home.lake.read(IMPORTS, ["files"], pc.field("fact") == FILLS.name)["files"].to_pylist()
    found = [int(match[1]) for files in names for name in files.split(",") if (match := _NAME.match(name))]
    until = max(found, default=0)
    with home.book.reading() as connection:
        return until if until <= chain_head(connection).seq else 0


def fill_rows(fill: ReportedFill, plan: Plan) -> list[dict[str, str]]:
    """Return a reported fill as rows of `fills`: one for each strategy that it is booked to; the first bears the fee.

    What an earlier revision was booked to and this one is not is cancelled.
    """
    parts = [(one.strategy, one.quantity, False) for one in fill.booked] or [(STRATEGY, fill.quantity, False)]
    parts += [(name, fill.quantity, True) for name in fill.unbooked]
    return [_row(fill, plan, *part, number) for number, part in enumerate(parts)]


def _row(fill: ReportedFill, plan: Plan, strategy: str, quantity: Decimal, gone: bool, number: int) -> dict[str, str]:
    trade = next((one for one in plan.trades if one.trade_id == fill.trade_id), None)
    planned = trade if trade is not None and trade.ticker == fill.ticker else None
    cells = {
        "execution_id": fill.fill_id if strategy == STRATEGY else f"{fill.fill_id}~{strategy}",
        "ts": format_timestamp(nanoseconds(fill.at)),
        "portfolio": plan.portfolio,
        "strategy": strategy,
        "symbol": fill.ticker,
        "side": fill.side,
        "quantity": f"{quantity:f}",
        "price": f"{fill.price:f}",
        "currency": plan.currency,
        "fee": "0" if number else f"{major(fill.fee_minor, plan.digits):f}",
        "order_id": f"{plan.execution_id}.{fill.trade_id or 'beyond'}",
        "template": plan.kind,
        "decision_price": "" if planned is None else f"{planned.price:f}",
        "decision_ts": format_timestamp(nanoseconds(plan.made_at)),
        "stop_price": "" if fill.stop_price is None else f"{fill.stop_price:f}",
        "target_price": f"{fill.profit_targets[0]:f}" if fill.profit_targets else "",
        "account": fill.account,
        "purpose": "policy",
        "revision": str(fill.revision),
        "bust": "true" if fill.withdrawn or gone else "false",
    }
    return {name: cells.get(name, "") for name in COLUMNS}


def _import(home: Home, last: int, rows: Sequence[dict[str, str]]) -> ImportResult:
    with TemporaryDirectory(prefix="portfolio-executions-") as folder:
        path = Path(folder) / f"fills-{SOURCE}-{last:012d}.csv"
        with path.open("w", encoding="utf-8", newline="") as file:
            writer = csv.DictWriter(file, COLUMNS)
            writer.writeheader()
            writer.writerows(rows)
        return import_paths(home, [path])


def holders_of(home: Home, papers: PlanPapers) -> dict[str, str]:
    """Return the strategies that hold the lots which a plan sells, by id of the lot: the ledger's fills that opened them. Of a plan of a
    file, nothing is known.
    """  # noqa: D205
    if papers.snapshot.source != LEDGER:
        return {}
    sold = {lot.lot_id for trade in papers.plan.trades for lot in trade.lots}
    if not sold:
        return {}
    rows = home.lake.read(FILLS.table, ["row_id", "strategy"], pc.field("row_id").isin(sorted({name.partition("#")[0] for name in sold})))
    known = dict(zip(rows["row_id"].to_pylist(), rows["strategy"].to_pylist(), strict=True))
    return {name: known[name.partition("#")[0]] for name in sold if name.partition("#")[0] in known}


def folder_of(home: Home, execution_id: str) -> Path:
    """Return the folder of an execution in the home."""
    return home.root / "executions" / folder_name(execution_id)


def write_files(home: Home, state: ExecutionState) -> Path:
    """Write what the log has of an execution into its folder: the revisions of the portfolio document, and the rows set aside."""
    folder = folder_of(home, state.execution_id)
    folder.mkdir(parents=True, exist_ok=True)
    for one in state.documents:
        write_if_other(folder / f"portfolio_document.r{one.revision}.md", one.document)
    bad = [row for report in state.reports for row in report.set_aside]
    if bad:
        write_if_other(folder / "set_aside.csv", set_aside_csv(bad))
    return folder


def write_if_other(path: Path, text: str) -> None:
    """Write a file where it does not hold this text yet; a reader sees the old or the new, never a part."""
    try:
        if not path.is_symlink() and path.read_bytes() == text.encode():
            return
    except OSError:
        pass  # it is not there yet, or cannot be read: then it is written
    write_atomically(path, text)
