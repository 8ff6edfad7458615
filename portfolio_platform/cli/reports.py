"""The command about reports."""

import json as json_module
from datetime import date
from typing import TYPE_CHECKING, Annotated, Any

import typer

from portfolio_platform.cli.options import AsOf, HomeOption, Json, Output, Portfolio, ReportFormat, day_option, err, opened, out
from portfolio_platform.errors import DataProblem, WrongUse

if TYPE_CHECKING:
    from portfolio_platform.book.reports import StoredReport
    from portfolio_platform.home import Home


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
        if wanted is ReportFormat.text:
            _print_text(opened_home, stored)
            return
        texts = [_as_json(item, provenance) if wanted is ReportFormat.json else rendered(opened_home, item, wanted.value) for item in stored]
        text = texts[0] if len(texts) == 1 else _joined(texts, wanted)
        if output is None:
            typer.echo(text)
        else:
            output.write_text(text + "\n", encoding="utf-8")


def _joined(texts: list[str], wanted: ReportFormat) -> str:
    if wanted is ReportFormat.json:
        return "[\n" + ",\n".join(texts) + "\n]"
    if wanted is ReportFormat.html:
        raise DataProblem("a page holds one report; choose one with --portfolio")
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


def _print_text(home: "Home", stored: "list[StoredReport]") -> None:
    from portfolio_platform.render.pipeline import history
    from portfolio_platform.monitor.report import PortfolioMonitorReport
    from portfolio_platform.render.terminal import to_terminal

    for item in stored:
        model = PortfolioMonitorReport.from_bytes(item.content)
        out.print(to_terminal(model, history(home, item.portfolio, item.day)))
