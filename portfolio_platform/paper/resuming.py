"""A paper portfolio in a home where new bars arrive: whether it is behind them, and bringing it up to them.

Only the close of a bar advances a symbol. What is here looks for closes that a portfolio has not seen, in days that are over.
"""

import ast
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date
from typing import Any

import pyarrow.compute as pc
from sqlalchemy import Connection

from portfolio_platform.days import day_number, to_date
from portfolio_platform.errors import WrongUse
from portfolio_platform.home import Home
from portfolio_platform.instruments.store import portfolios_of as portfolios_with_workflows
from portfolio_platform.instruments.store import symbols_of
from portfolio_platform.lake.facts import BARS
from portfolio_platform.paper.loop import PaperLoop
from portfolio_platform.paper.market import read_market
from portfolio_platform.paper.model import PaperOptions
from portfolio_platform.paper.publishing import publish_run
from portfolio_platform.paper.record import portfolios_of, read_record
from portfolio_platform.paper.run import expectations_of

PLAIN = ("portfolio", "cash", "universe", "monitor", "control", "screener_days", "policy", "timeframes", "lots", "breach_sessions", "every")
"""Options that a home can begin a run with and that the log tells as they are."""


@dataclass(frozen=True)
class Behind:
    """A portfolio that has not seen the newest closes.

    Attributes:
        portfolio: which.
        seen: its newest session's day; empty before the first.
        newest: the newest day that is over and has a bar.
        symbols: of its workflows.
    """

    portfolio: str
    seen: str
    newest: str
    symbols: tuple[str, ...]

    @property
    def words(self) -> str:
        """Return it in a sentence."""
        return f"{self.portfolio} has seen {self.seen or 'nothing'}, and there are bars up to {self.newest}"


@dataclass(frozen=True)
class Advanced:
    """What bringing a portfolio up to the newest bars did."""

    portfolio: str
    sessions: int
    last: str
    findings: int


def behind(home: Home) -> list[Behind]:
    """Return the paper portfolios that are behind the home's bars; none in a home without one. Reads the newest month of bars only."""
    with home.book.reading() as connection:
        found = [(name, read_options(connection, name), _seen(connection, name)) for name in portfolios_of(connection)]
        symbols = {name: tuple(symbols_of(connection, name)) for name, _, _ in found}
    if not found:
        return []
    newest = newest_bar_day(home)
    return [
        Behind(name, seen, newest.isoformat(), symbols[name])
        for name, _, seen in found
        if newest is not None and (not seen or date.fromisoformat(seen) < newest)
    ]


def newest_bar_day(home: Home) -> date | None:
    """Return the newest day that is over by the home's clock and has a bar; None where there is none."""
    if not home.lake.row_count(BARS.table):
        return None
    rows = home.lake.read(BARS.table, ["ts"], from_month=home.lake.newest_month(BARS.table))
    newest = pc.max(rows["ts"]).as_py()
    return None if newest is None else min(to_date(day_number(newest)), home.last_ended_day)


def partition_keys(home: Home) -> dict[str, bool]:
    """Return the key of every workflow that ever was, ``portfolio|symbol`` escaped, and whether it has not stopped."""
    from portfolio_platform.paper.engine import is_running
    from portfolio_platform.paper.views import states_of

    found = {}
    with home.book.reading() as connection:
        for name in portfolios_with_workflows(connection):
            for symbol, state in sorted(states_of(home, connection, name).items()):
                found[partition_key(name, symbol)] = is_running(state)
    return found


def partition_key(portfolio: str, symbol: str) -> str:
    """Return the name of a workflow's partition: none can be taken for another's, and each is a name that Dagster takes."""
    from urllib.parse import quote

    # three dots mean a range of partitions
    return f"{quote(portfolio, safe=' ')}|{quote(symbol, safe=' ')}".replace("...", "%2E%2E%2E")


def of_partition(key: str) -> tuple[str, str]:
    """Return portfolio and symbol of a partition. Raises `WrongUse` where it is none."""
    from urllib.parse import unquote

    portfolio, bar, symbol = key.partition("|")
    if not bar:
        raise WrongUse(f"{key!r} is no partition of an instrument; it is called portfolio|symbol")
    return unquote(portfolio), unquote(symbol)


def advance(home: Home, report: Callable[[str], None] = lambda text: None) -> list[Advanced]:
    """Bring every paper portfolio that is behind up to the newest bars, one after the other; each session is one transaction.

    Raises:
        WrongUse: a run was begun with options that the log does not tell whole, or its policy is not there.
        DataProblem: its bars cannot be run over.
    """
    done = []
    for one in behind(home):
        with home.book.reading() as connection:
            options = read_options(connection, one.portfolio)
        loop = PaperLoop(home, options, None, date.fromisoformat(one.newest))
        before = len(loop.kept.findings)
        loop.run()
        sessions = [session for session in loop.sessions if session.day > one.seen]
        done.append(Advanced(one.portfolio, len(sessions), one.newest, len(loop.kept.findings) - before))
        report(f"{one.portfolio}: {len(sessions)} sessions, up to {one.newest}")
    return done


def publish(home: Home, report: Callable[[str], None] = lambda text: None) -> dict[str, int]:
    """Import what paper portfolios brought into the home's lake, and return how many rows of each were new."""
    found = {}
    with home.book.reading() as connection:
        names = portfolios_of(connection)
    for name in names:
        with home.book.reading() as connection:
            record, options = read_record(connection, name), read_options(connection, name)
        if not record.sessions or record.opened is None:
            continue
        market = read_market(home, options.universe, dict(options.lots), record.opened.currency)
        published = publish_run(home, options, market, record, expectations=expectations_of(home), build=False, report=report)
        found[name] = published.rows
    return found


def read_options(connection: Connection, portfolio: str) -> PaperOptions:
    """Return the options that a run was begun with.

    Raises:
        WrongUse: there is no such run, or it was begun by a program with a broker, screener or limits of its own.
    """
    opened = read_record(connection, portfolio, until=1).opened
    if opened is None:
        raise WrongUse(f"there is no paper run of {portfolio!r}; `portfolio paper run` begins one")
    said = dict(opened.options)
    known: dict[str, Any] = {name: ast.literal_eval(said[name]) for name in PLAIN if name in said}
    options = PaperOptions(**known)
    other = sorted(name for name, text in options.words.items() if said.get(name) != text)
    if other:
        raise WrongUse(f"the paper run {portfolio!r} has {', '.join(other)} of its own; whoever began it has to go on with it")
    return options


def _seen(connection: Connection, portfolio: str) -> str:
    from portfolio_platform.paper.record import kept_of

    found = kept_of(connection, portfolio)
    return "" if found is None or not found[1].day else to_date(found[1].day).isoformat()
