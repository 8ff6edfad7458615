"""The command about reports."""

import json as json_module
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console

from portfolio_platform.cli.options import AsOf, HomeOption, Json, Output, Portfolio, ReportFormat, day_option, err, opened, out
from portfolio_platform.errors import WrongUse

if TYPE_CHECKING:
    from portfolio_platform.book.reports import StoredReport
    from portfolio_platform.home import Home

FILE_WIDTH = 100


def report(
    portfolio: Portfolio = None,
    day: Annotated[date | None, day_option("--day", "Day of the report; the newest session where not given.")] = None,
    format_: Annotated[ReportFormat, typer.Option("--format", help="How to print it.")] = ReportFormat.md,
    json: Json = False,
    provenance: Annotated[bool, typer.Option("--provenance", help="json: add revision, hash, and what it rests on.")] = False,
    output: Output = None,
    home: HomeOption = None,
    as_of: AsOf = None,
) -> None:
    """Print the daily report of a portfolio. It is published to the book first, where its content is new."""
    with opened(home, as_of) as opened_home:
        from portfolio_platform.render.pipeline import published_reports, rendered

        wanted = ReportFormat.json if json else format_
        if provenance and wanted is not ReportFormat.json:
            raise WrongUse("--provenance goes with --format json")
        stored = published_reports(opened_home.require(), portfolio, day, warn=lambda text: err.print(f"[yellow]note:[/] {text}"))
        if len(stored) > 1 and output is not None:
            names = ", ".join(item.portfolio for item in stored)
            raise WrongUse(f"--output takes one report; choose one with --portfolio ({names})")
        if wanted is ReportFormat.html and len(stored) > 1:
            names = ", ".join(item.portfolio for item in stored)
            raise WrongUse(f"a page holds one report; choose one with --portfolio ({names})")
        if wanted is ReportFormat.text:
            _print_text(opened_home, stored, output)
            return
        as_json = wanted is ReportFormat.json
        texts = [_as_json(item, provenance) if as_json else rendered(opened_home, item, wanted.value) for item in stored]
        text = texts[0] if len(texts) == 1 else _joined(texts, wanted)
        if output is None:
            typer.echo(text)
        else:
            output.write_text(text + "\n", encoding="utf-8")


def _joined(texts: list[str], wanted: ReportFormat) -> str:
    if wanted is ReportFormat.json:
        return "[\n" + ",\n".join(texts) + "\n]"
    return "\n\n".join(texts)


def _as_json(stored: "StoredReport", provenance: bool) -> str:
    if not provenance:
        return stored.content.decode()
    whole: dict[str, Any] = {
        "content": json_module.loads(stored.content),
        "report_id": stored.id,
        "revision": stored.revision,
        "content_hash": stored.content_hash,
        "published_at": stored.published_at,
        "event_seq": stored.event_seq,
        "provenance": json_module.loads(stored.provenance),
    }
    return json_module.dumps(whole, indent=2, ensure_ascii=False)


def _print_text(home: "Home", stored: "list[StoredReport]", output: Path | None) -> None:
    if output is None:
        _print_each(home, stored, out)
        return
    with output.open("w", encoding="utf-8") as file:
        _print_each(home, stored, Console(file=file, width=FILE_WIDTH))


def _print_each(home: "Home", stored: "list[StoredReport]", console: Console) -> None:
    from portfolio_platform.monitor.report import PortfolioMonitorReport
    from portfolio_platform.render.pipeline import history, standing_recommendation
    from portfolio_platform.render.terminal import to_terminal

    for item in stored:
        model = PortfolioMonitorReport.from_bytes(item.content)
        console.print(to_terminal(model, history(home, item.portfolio, item.day), standing_recommendation(home, model)))
