"""What has to hold before a paper run begins, and over which symbols one goes on."""

import pyarrow.compute as pc
from sqlalchemy import Connection

from portfolio_platform.control.log import opened_portfolios
from portfolio_platform.errors import WrongUse
from portfolio_platform.home import Home
from portfolio_platform.lake.facts import CASH_FLOWS, FILLS, PORTFOLIOS
from portfolio_platform.paper.model import Opened, PaperOptions


def require_free(home: Home, connection: Connection, portfolio: str) -> None:
    """Refuse to begin a run under a name that cannot be one, or that is somebody else's portfolio: its fills would get into that ledger.

    Raises:
        WrongUse: the name is empty or not printable, or the home knows a portfolio of this name that no paper run began.
    """
    if not portfolio or portfolio != portfolio.strip() or not portfolio.isprintable():
        raise WrongUse(f"{portfolio!r} cannot be the name of a portfolio: it has to be printable text without spaces around it")
    where = pc.field("portfolio") == portfolio
    listed = any(len(home.lake.read(table, ["portfolio"], where)) for table in (PORTFOLIOS.table, CASH_FLOWS.table, FILLS.table))
    if listed or portfolio in opened_portfolios(connection):
        raise WrongUse(
            f"the home has a portfolio {portfolio!r} already, which no paper run of this book began; its ledger is not for paper fills. "
            "Name another one"
        )


def universe_of(options: PaperOptions, begun: Opened | None) -> tuple[str, ...]:
    """Return the symbols to read: those asked for; where none are, those the run was begun with, for others may have come since."""
    return options.universe if options.universe or begun is None else tuple(begun.universe)
