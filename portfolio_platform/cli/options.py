"""Options that commands share, and the errors that every command turns into a sentence and an exit code."""

import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, date, datetime
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console

from portfolio_platform.clock import end_of_day
from portfolio_platform.errors import PortfolioError, WrongUse
from portfolio_platform.home import Home

DATA_PROBLEM, WRONG_USE = 1, 2
out = Console()
err = Console(stderr=True)


def parse_as_of(text: str) -> datetime:
    """Return an as-of time: a day means its end. Raises `typer.BadParameter`."""
    try:
        if len(text) == len("YYYY-MM-DD"):
            return end_of_day(date.fromisoformat(text))
        moment = datetime.fromisoformat(text)
    except ValueError as error:
        raise typer.BadParameter(f"{text!r} is no time; write 2010-12-31 or 2010-12-31T21:00:00Z") from error
    if moment.tzinfo is None:
        raise typer.BadParameter(f"{text!r} has no time zone; append Z")
    return moment.astimezone(UTC)


def parse_day(text: str) -> date:
    """Return a day. Raises `typer.BadParameter`."""
    try:
        return date.fromisoformat(text)
    except ValueError as error:
        raise typer.BadParameter(f"{text!r} is no day; write YYYY-MM-DD") from error


class TableFormat(StrEnum):
    """How `show` prints a table."""

    table = "table"
    csv = "csv"
    json = "json"
    parquet = "parquet"


class ReportFormat(StrEnum):
    """How `report` prints a report."""

    md = "md"
    html = "html"
    json = "json"
    text = "text"


HomeOption = Annotated[Path | None, typer.Option("--home", help="Folder of the home.", envvar="PORTFOLIO_HOME", show_default=".portfolio")]
AsOf = Annotated[
    datetime | None,
    typer.Option("--as-of", parser=parse_as_of, metavar="TIME", help="Act as at this time: a UTC day (its end) or an ISO time."),
]
Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]
Portfolio = Annotated[str | None, typer.Option("--portfolio", "-p", help="One portfolio only.")]
Output = Annotated[Path | None, typer.Option("--output", "-o", help="Write to this file instead of the terminal.")]


def day_option(name: str, text: str) -> Any:
    """Return the declaration of an option that takes a day."""
    return typer.Option(name, parser=parse_day, metavar="DAY", help=text)


@contextmanager
def opened(home: Path | None, as_of: datetime | None) -> Iterator[Home]:
    """Open the home for a command, and turn what goes wrong into a sentence and an exit code."""
    try:
        yield Home.from_environment(home, as_of)
    except WrongUse as error:
        err.print(f"[bold red]cannot do that:[/] {_plain(error)}", soft_wrap=True)
        raise typer.Exit(WRONG_USE) from error
    except PortfolioError as error:
        err.print(f"[bold red]problem:[/] {_plain(error)}", soft_wrap=True)
        raise typer.Exit(DATA_PROBLEM) from error
    except OSError as error:
        where = f" ({error.filename})" if error.filename else ""
        err.print(f"[bold red]problem:[/] {_plain(error.strerror or error)}{_plain(where)}", soft_wrap=True)
        raise typer.Exit(DATA_PROBLEM) from error


def _plain(text: object) -> str:
    from rich.markup import escape

    return escape(str(text))


def print_json(value: Any) -> None:
    """Print JSON: one document, times and decimals as text."""
    sys.stdout.write(json.dumps(value, indent=2, ensure_ascii=False, default=str) + "\n")
