"""The command about reflections."""

from datetime import date
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console

from portfolio_platform.cli.options import AsOf, HomeOption, Json, Output, Portfolio, ReportFormat, day_option, opened, out
from portfolio_platform.errors import WrongUse

if TYPE_CHECKING:
    from portfolio_platform.book.reports import StoredReport
    from portfolio_platform.home import Home

FILE_WIDTH = 140


def reflection(
    portfolio: Portfolio = None,
    week: Annotated[date | None, day_option("--week", "A day of the week; the newest that is over where nothing is given.")] = None,
    month: Annotated[date | None, day_option("--month", "A day of the month.")] = None,
    format_: Annotated[ReportFormat, typer.Option("--format", help="How to print it.")] = ReportFormat.md,
    json: Json = False,
    output: Output = None,
    home: HomeOption = None,
    as_of: AsOf = None,
) -> None:
    """Print what a week or a month taught: what worked, what failed, what to do. It is published first, where it is new."""
    with opened(home, as_of) as opened_home:
        from portfolio_platform.render.reflection_pipeline import published_reflections, rendered

        if week is not None and month is not None:
            raise WrongUse("name a week or a month, not both")
        wanted = ReportFormat.json if json else format_
        kind, day = ("monthly", month) if month is not None else ("weekly", week)
        stored = published_reflections(opened_home.require(), portfolio, "monthly" if kind == "monthly" else "weekly", day)
        if len(stored) > 1 and (output is not None or wanted is ReportFormat.html):
            names = ", ".join(item.portfolio for item in stored)
            raise WrongUse(f"a page or file holds one reflection; choose one with --portfolio ({names})")
        if wanted is ReportFormat.text:
            _print_text(opened_home, stored, output)
            return
        texts = [item.content.decode() if wanted is ReportFormat.json else rendered(opened_home, item, wanted.value) for item in stored]
        text = texts[0] if len(texts) == 1 else "[\n" + ",\n".join(texts) + "\n]" if wanted is ReportFormat.json else "\n\n".join(texts)
        if output is None:
            typer.echo(text)
        else:
            output.write_text(text + "\n", encoding="utf-8")


def _print_text(home: "Home", stored: "list[StoredReport]", output: "Output") -> None:
    from portfolio_platform.render.reflection_pipeline import terminal

    if output is None:
        for item in stored:
            out.print(terminal(home, item))
        return
    with output.open("w", encoding="utf-8") as file:
        console = Console(file=file, width=FILE_WIDTH)
        for item in stored:
            console.print(terminal(home, item))
