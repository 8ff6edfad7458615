"""Options that commands share, and the errors that every command turns into a sentence and an exit code."""

import json
import os
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
FIRST_YEAR, LAST_YEAR = 1970, 2261
STORE_PACKAGES = frozenset({"deltalake", "pyarrow", "_internal"})
"""Whose exceptions mean that a table could not be read or written."""
out = Console()
err = Console(stderr=True)


def parse_as_of(text: str) -> datetime:
    """Return an as-of time: a day means its end. Raises `typer.BadParameter`."""
    try:
        if len(text) == len("YYYY-MM-DD"):
            return end_of_day(parse_day(text))
        moment = datetime.fromisoformat(text)
    except ValueError as error:
        raise typer.BadParameter(f"{text!r} is no time; write 2010-12-31 or 2010-12-31T21:00:00Z") from error
    _in_range(text, moment.year)
    if moment.tzinfo is None:
        raise typer.BadParameter(f"{text!r} has no time zone; append Z")
    return moment.astimezone(UTC)


def parse_day(text: str) -> date:
    """Return a day. Raises `typer.BadParameter`."""
    try:
        day = date.fromisoformat(text)
    except ValueError as error:
        raise typer.BadParameter(f"{text!r} is no day; write YYYY-MM-DD") from error
    _in_range(text, day.year)
    return day


def _in_range(text: str, year: int) -> None:
    if not FIRST_YEAR <= year <= LAST_YEAR:
        raise typer.BadParameter(f"{text!r} is not between {FIRST_YEAR} and {LAST_YEAR}; check the year")


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
        sys.stdout.flush()
    except BrokenPipeError:  # the reader has seen enough, as `head` has
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    except WrongUse as error:
        err.print(f"[bold red]cannot do that:[/] {plain(error)}", soft_wrap=True)
        raise typer.Exit(WRONG_USE) from error
    except PortfolioError as error:
        raise _problem(error) from error
    except OSError as error:
        where = f" ({error.filename})" if error.filename else ""
        raise _problem(f"{error.strerror or error}{where}; check the path and its rights") from error
    except Exception as error:
        if STORE_PACKAGES.isdisjoint(kind.__module__.partition(".")[0] for kind in type(error).__mro__):
            raise
        said = str(error).partition("\n")[0]
        raise _problem(f"a table of the lake cannot be used: {said}; `portfolio doctor` looks at all of them") from error


def _problem(text: object) -> typer.Exit:
    err.print(f"[bold red]problem:[/] {plain(text)}", soft_wrap=True)
    return typer.Exit(DATA_PROBLEM)


def plain(text: object) -> str:
    """Return text as the terminal may show it: no markup, and no control character of a file reaches it."""
    from rich.markup import escape

    return escape("".join(char if char.isprintable() or char == "\n" else ascii(char)[1:-1] for char in str(text)))


def print_json(value: Any) -> None:
    """Print JSON: one document, times and decimals as text."""
    sys.stdout.write(json.dumps(value, indent=2, ensure_ascii=False, default=str) + "\n")
