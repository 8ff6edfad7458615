"""Commands about data: import it, list what was set aside, show tables."""

from collections import Counter
from dataclasses import asdict
from datetime import date
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.table import Table

from portfolio_platform.cli.options import (
    DATA_PROBLEM,
    AsOf,
    HomeOption,
    Json,
    Output,
    Portfolio,
    TableFormat,
    day_option,
    err,
    opened,
    out,
    plain,
    print_json,
)
from portfolio_platform.errors import WrongUse

if TYPE_CHECKING:
    from portfolio_platform.home import Home
    from portfolio_platform.sources.pipeline import ImportResult

SHOWN_REJECTIONS = 8


def _amount(text: str | None) -> Decimal | None:
    if text is None:
        return None
    try:
        amount = Decimal(text)
    except InvalidOperation as error:
        raise WrongUse(f"--initial-cash {text!r} is no amount; write 100000 or 100000.50") from error
    if not amount.is_finite() or amount <= 0 or amount >= Decimal(10) ** 20 or amount != round(amount, 18):
        raise WrongUse(f"--initial-cash {text!r} must be positive, below 10^20 and with at most 18 decimals")
    return amount


def import_(
    paths: Annotated[list[Path], typer.Argument(help="A folder, or files: fills.csv, bars.csv.gz, ...", metavar="PATH...")],
    portfolio: Annotated[str | None, typer.Option("--portfolio", help="Portfolio of rows that name none.")] = None,
    format_: Annotated[str, typer.Option("--format", help="Format of the files; csv is the canonical one.")] = "csv",
    corrections: Annotated[bool, typer.Option("--corrections", help="The rows correct rows of the same id.")] = False,
    initial_cash: Annotated[str | None, typer.Option("--initial-cash", metavar="AMOUNT", help="Cash before the first fill.")] = None,
    json: Json = False,
    home: HomeOption = None,
    as_of: AsOf = None,
) -> None:
    """Import a ledger: fills are enough, everything else is optional. Importing again imports nothing twice."""
    with opened(home, as_of) as opened_home:
        if format_ != "csv":
            raise WrongUse(f"--format {format_!r} is not known; csv is")
        from portfolio_platform.sources.pipeline import import_paths

        with err.status("importing") as status:
            result = import_paths(
                opened_home.require(),
                paths,
                corrections=corrections,
                portfolio=portfolio,
                initial_cash=_amount(initial_cash),
                progress=lambda text: status.update(plain(text)),
            )
        if not result.facts and not result.notes:
            raise WrongUse(f"there is no CSV file in {', '.join(map(str, paths))}; name files, or a folder with fills.csv and others")
        if json:
            rejections = [asdict(rejection) for rejection in result.rejections]
            facts = [asdict(fact) for fact in result.facts]
            print_json({"import_seq": result.import_seq, "facts": facts, "rejections": rejections, "notes": result.notes})
        else:
            _show_import(opened_home, result)
        if result.rejections or any(fact.disputed for fact in result.facts):
            raise typer.Exit(DATA_PROBLEM)


def _show_import(home: "Home", result: "ImportResult") -> None:
    table = Table(title=f"Import {result.import_seq}", title_justify="left")
    table.add_column("fact", no_wrap=True)
    table.add_column("files", overflow="fold")
    for name in ("read", "imported", "known", "set aside", "in dispute"):
        table.add_column(name, justify="right", no_wrap=name not in ("set aside", "in dispute"))
    aside = Counter(rejection.fact for rejection in result.rejections)
    for fact in result.facts:
        counts = (fact.read, fact.imported, fact.known, aside[fact.fact], fact.disputed)
        table.add_row(fact.fact, plain(", ".join(fact.files)), *(f"{count:,}" for count in counts))
    out.print(table)
    for note in result.notes:
        out.print(f"[dim]note:[/] {plain(note)}", soft_wrap=True)
    for rejection in result.rejections[:SHOWN_REJECTIONS]:
        out.print(f"[yellow]set aside:[/] {plain(rejection.sentence)}", soft_wrap=True)
    if len(result.rejections) > SHOWN_REJECTIONS:
        out.print(f"[yellow]and {len(result.rejections) - SHOWN_REJECTIONS:,} more[/]: `portfolio quarantine` lists them all")
    disputed = sum(fact.disputed for fact in result.facts)
    if disputed:
        out.print(f"[yellow]{disputed} rows contradict each other[/] and are set aside: `portfolio quarantine` lists them")
    for text in _missing(home):
        out.print(f"[dim]would help:[/] {text}", soft_wrap=True)
    changed = _changed_from(home)
    if changed is not None:
        out.print(f"next: [bold]portfolio build[/], which accounts again from {changed} on; reports from that day on may change")


def _changed_from(home: "Home") -> date | None:
    """Return the first day that the next build will compute, None where the ledger is up to date."""
    from portfolio_platform.ledger.pipeline import plan

    return plan(home, home.timeline().newest.policy, home.today, None)[0]


def _missing(home: "Home") -> list[str]:
    """Say what further files would wake up."""
    from portfolio_platform.lake.facts import FACTS

    there = {name for name, fact in FACTS.items() if home.lake.version(fact.table) is not None}
    if "fills" not in there:
        return ["fills.csv: without fills there is no ledger"] if there else []
    uses = {
        "bars": "bars.csv marks positions at closes (without: at their last fill, stale after 5 sessions)",
        "cash_flows": "cash_flows.csv or --initial-cash gives equity, returns and drawdown their base",
        "instruments": "instruments.csv gives concentration its sectors and cohorts, and multipliers and calendars "
        "(without: unclassified, 1, weekdays)",
    }
    return [text for fact, text in uses.items() if fact not in there]


def quarantine(portfolio: Portfolio = None, json: Json = False, home: HomeOption = None, as_of: AsOf = None) -> None:
    """List the rows that were set aside: file, line, value, rule and remedy."""
    with opened(home, as_of) as opened_home:
        from portfolio_platform.cli.tables import known_portfolio
        from portfolio_platform.sources.pipeline import quarantined

        rows = quarantined(opened_home.require().lake).to_pylist()
        if portfolio is not None:
            known_portfolio(opened_home, portfolio, {row["portfolio"] for row in rows})
            rows = [row for row in rows if row["portfolio"] in (portfolio, None)]
        if json:
            print_json(rows)
            return
        if not rows:
            out.print("nothing is set aside")
            return
        table = Table(title=f"{len(rows):,} row{'s' if len(rows) > 1 else ''} set aside", title_justify="left", show_lines=True)
        for name in ("file", "line", "column", "value", "rule", "remedy"):
            table.add_column(name, overflow="fold")
        for row in rows:
            place = str(row["source_line"]) if row["source_line"] else "file"
            table.add_row(plain(row["source_file"]), place, *(plain(row[name]) for name in ("column", "value", "rule", "remedy")))
        out.print(table)


def show(
    table: Annotated[str, typer.Argument(help="Name of a table; `portfolio show tables` lists them.")],
    portfolio: Portfolio = None,
    from_: Annotated[date | None, day_option("--from", "First day.")] = None,
    to: Annotated[date | None, day_option("--to", "Last day.")] = None,
    format_: Annotated[TableFormat, typer.Option("--format", help="How to print it.")] = TableFormat.table,
    json: Json = False,
    limit: Annotated[int, typer.Option("--limit", min=0, help="Newest rows of a printed table; 0 for all.")] = 40,
    raw: Annotated[bool, typer.Option("--raw", help="csv: leave cells that a spreadsheet would run as they are.")] = False,
    output: Output = None,
    home: HomeOption = None,
    as_of: AsOf = None,
) -> None:
    """Show a table of the lake."""
    with opened(home, as_of) as opened_home:
        from portfolio_platform.cli.tables import list_tables, print_table, read_for_show, write_table

        wanted = TableFormat.json if json else format_
        if table == "tables":
            list_tables(wanted)
            return
        declared, rows = read_for_show(opened_home.require(), table, portfolio, from_, to)
        if wanted is TableFormat.table and output is None:
            print_table(declared, rows, limit)
        else:
            write_table(declared, rows, wanted, output, raw=raw)
