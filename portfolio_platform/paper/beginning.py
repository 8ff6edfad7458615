"""What has to hold before a paper run begins, and over which symbols one goes on."""

import pyarrow.compute as pc
from immutables import Map
from sqlalchemy import Connection

from portfolio_platform.book.events import stream_version
from portfolio_platform.control.log import opened_portfolios
from portfolio_platform.errors import StoreProblem, WrongUse
from portfolio_platform.home import Home
from portfolio_platform.lake.facts import CASH_FLOWS, FILLS, PORTFOLIOS
from portfolio_platform.paper.account import exact_of, traded
from portfolio_platform.paper.model import Held, Kept, Opened, PaperOptions
from portfolio_platform.paper.record import Record, read_record, stream_of


def require_own(home: Home, portfolio: str) -> None:
    """Refuse to begin a run that would bring its fills into a ledger that is not its own.

    Not for a run whose facts nobody imports: a comparison runs beside the lake of a home that has the same portfolio.

    Raises:
        WrongUse: the name cannot be one, or the home knows a portfolio of this name that no paper run of its book began.
    """
    with home.book.reading() as connection:
        if read_record(connection, portfolio, until=1).opened is not None:
            return
        opened = opened_portfolios(connection)
    if not portfolio or portfolio != portfolio.strip() or not portfolio.isprintable():
        raise WrongUse(f"{portfolio!r} cannot be the name of a portfolio: it has to be printable text without spaces around it")
    where = pc.field("portfolio") == portfolio
    listed = any(len(home.lake.read(table, ["portfolio"], where)) for table in (PORTFOLIOS.table, CASH_FLOWS.table, FILLS.table))
    if listed or portfolio in opened:
        raise WrongUse(
            f"the home has a portfolio {portfolio!r} already, which no paper run of this book began; its ledger is not for paper fills. "
            "Name another one"
        )


def universe_of(options: PaperOptions, begun: Opened | None) -> tuple[str, ...]:
    """Return the symbols to read: those asked for; where none are, those the run was begun with, for others may have come since."""
    return options.universe if options.universe or begun is None else tuple(begun.universe)


def require_alone(connection: Connection, portfolio: str, version: int) -> None:
    """Refuse to go on with a run that another process has taken further meanwhile.

    Args:
        connection: the writer's transaction.
        portfolio: whose run.
        version: of the run's stream, as this process left it.

    Raises:
        WrongUse: the stream is at another version.
    """
    found = stream_version(connection, stream_of(portfolio))
    if found != version:
        raise WrongUse(
            f"another process runs the paper portfolio {portfolio!r}: it is {found - version} events further than this one. "
            "Let it end; the same command goes on from there"
        )


def require_account(kept: Kept, record: Record, digits: int) -> None:
    """Refuse to go on with a state whose cash or positions are not what the run's own fills add up to: the log says what is true.

    Args:
        kept: the state to go on from.
        record: of the run.
        digits: decimals of the currency's minor unit.

    Raises:
        StoreProblem: they differ.
    """
    assert record.opened is not None, "a state is kept with its record"
    cash, held = exact_of(record.opened.cash, digits), Map[str, Held]()
    for fill in record.fills:
        cash, held = traded(cash, held, fill, digits)
    if cash != kept.cash or held != kept.held:
        raise StoreProblem(
            "the state that was kept of the paper run has other cash or positions than the fills in its log add up to: it was altered; "
            "restore a backup"
        )
