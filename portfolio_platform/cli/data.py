"""Commands about data: import it, list what was set aside, show tables."""

from dataclasses import asdict
from datetime import date
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.markup import escape
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
    print_json,
)
from portfolio_platform.errors import WrongUse

if TYPE_CHECKING:
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
                progress=lambda text: status.update(escape(text)),
            )
        if json:
            rejections = [asdict(rejection) for rejection in result.rejections]
            print_json({"import_seq": result.import_seq, "facts": [asdict(fact) for fact in result.facts], "rejections": rejections, "notes": result.notes})
        else:
            _show_import(result)
        if result.rejections or any(fact.disputed for fact in result.facts):
            raise typer.Exit(DATA_PROBLEM)


def _show_import(result: "ImportResult") -> None:
    table = Table(title=f"Import {result.import_seq}", title_justify="left")
    for name in ("fact", "files"):
        table.add_column(name)
    for name in ("rows read", "imported", "known already", "quarantined", "in dispute"):
        table.add_column(name, justify="right")
    for fact in result.facts:
        counts = (fact.read, fact.imported, fact.known, fact.quarantined, fact.disputed)
        table.add_row(fact.fact, escape(", ".join(fact.files)), *(f"{count:,}" for count in counts))
    out.print(table)
    for note in result.notes:
        out.print(f"[dim]note:[/] {escape(note)}", soft_wrap=True)
    for rejection in result.rejections[:SHOWN_REJECTIONS]:
        out.print(f"[yellow]set aside:[/] {escape(rejection.sentence)}", soft_wrap=True)
    if len(result.rejections) > SHOWN_REJECTIONS:
        out.print(f"[yellow]and {len(result.rejections) - SHOWN_REJECTIONS:,} more[/]: `portfolio quarantine` lists them all")
    disputed = sum(fact.disputed for fact in result.facts)
    if disputed:
        out.print(f"[yellow]{disputed} rows contradict each other[/] and are set aside: `portfolio quarantine` lists them")
    missing = _missing({fact.fact for fact in result.facts})
    for text in missing:
        out.print(f"[dim]would help:[/] {text}", soft_wrap=True)


def _missing(there: set[str]) -> list[str]:
    """Say what further files would wake up."""
    if "fills" not in there:
        return []
    uses = {
        "bars": "bars.csv marks positions at closes (without: at their last fill, stale after 5 sessions)",
        "cash_flows": "cash_flows.csv or --initial-cash gives equity, returns and drawdown their base",
        "instruments": "instruments.csv gives sectors, cohorts, multipliers and calendars (without: unclassified, weekdays)",
    }
    return [text for fact, text in uses.items() if fact not in there]


def quarantine(portfolio: Portfolio = None, json: Json = False, home: HomeOption = None, as_of: AsOf = None) -> None:
    """List the rows that were set aside: file, line, value, rule and remedy."""
    with opened(home, as_of) as opened_home:
        from portfolio_platform.sources.pipeline import quarantined

        rows = quarantined(opened_home.require().lake).to_pylist()
        if portfolio is not None:
            rows = [row for row in rows if row["portfolio"] in (portfolio, None)]
        if json:
            print_json(rows)
            return
        if not rows:
            out.print("nothing is set aside")
            return
        table = Table(title=f"{len(rows)} rows set aside", title_justify="left", show_lines=True)
        for name in ("file", "line", "column", "value", "rule", "remedy"):
            table.add_column(name, overflow="fold")
        for row in rows:
            place = str(row["source_line"]) if row["source_line"] else "file"
            table.add_row(escape(row["source_file"]), place, *(escape(str(row[name])) for name in ("column", "value", "rule", "remedy")))
        out.print(table)


def show(
    table: Annotated[str, typer.Argument(help="Name of a table; `portfolio show tables` lists them.")],
    portfolio: Portfolio = None,
    from_: Annotated[date | None, day_option("--from", "First day.")] = None,
    to: Annotated[date | None, day_option("--to", "Last day.")] = None,
    format_: Annotated[TableFormat, typer.Option("--format", help="How to print it.")] = TableFormat.table,
    json: Json = False,
    limit: Annotated[int, typer.Option("--limit", help="Newest rows of a printed table; 0 for all.")] = 40,
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


