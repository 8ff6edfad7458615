"""The `portfolio` command in this process, and small ledgers for it."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from typer.testing import CliRunner

from portfolio_platform.cli.main import app

HEADER = "execution_id,ts,portfolio,symbol,side,quantity,price,fee"


@dataclass(frozen=True)
class Ran:
    """What a command said, and how it ended."""

    exit_code: int
    stdout: str
    stderr: str

    @property
    def text(self) -> str:
        """Return everything it said, on one line, so that wrapping is no matter."""
        return " ".join((self.stdout + " " + self.stderr).split())

    @property
    def json(self) -> Any:
        """Return standard output as JSON, strictly."""
        return json.loads(self.stdout, parse_constant=_refuse)


def _refuse(constant: str) -> None:
    raise AssertionError(f"{constant} is no JSON")


def portfolio(*arguments: str | Path, width: int = 300) -> Ran:
    """Run a command; an exception that no user may see fails the test."""
    result = CliRunner().invoke(app, [str(argument) for argument in arguments], env={"COLUMNS": str(width)})
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    assert "Traceback" not in result.output
    return Ran(result.exit_code, result.stdout, result.stderr)


def fill(number: int, **changes: str) -> str:
    """Return the line of a good fill, some cells changed."""
    cells = {
        "execution_id": f"E{number}", "ts": f"2010-05-{2 + number:02d}T14:30:00Z", "portfolio": "main", "symbol": "AAPL", "side": "buy",
        "quantity": "10", "price": "100.5", "fee": "1",
    }  # fmt: skip
    return ",".join((cells | changes).values())


def fills(*lines: str, header: str = HEADER) -> str:
    """Return a file of fills."""
    return "\n".join((header, *lines)) + "\n"
