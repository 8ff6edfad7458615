"""The ledger informs the control plane: newly imported fills and each session's facts become events, in the order of time.

A portfolio is opened at the clock's time, so that what its ledger held before is history. A feed that was killed goes on where
it was: what the stream has under its key is not written again. A late or corrected fill, or any other restatement, is seen by
the newest session being stated anew; sessions before it are not, for the newest rests on them.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date

from portfolio_platform.book import policies as archive
from portfolio_platform.control.events import FactsStated
from portfolio_platform.control.log import driven_by_bars
from portfolio_platform.control.pipeline.cursor import Cursor, read_cursor, write_cursor
from portfolio_platform.control.pipeline.fills import Money, newest_fills, read_fills, read_money
from portfolio_platform.control.pipeline.names import known_name
from portfolio_platform.control.pipeline.sessions import built, read_sessions
from portfolio_platform.control.plane import ControlPlane
from portfolio_platform.control.state import ControlState, Fill, Instrument
from portfolio_platform.control.terms import Limits
from portfolio_platform.days import end_of_day_ns
from portfolio_platform.home import Home
from portfolio_platform.lake import active
from portfolio_platform.lake.derived import PORTFOLIO_EQUITY
from portfolio_platform.lake.facts import INSTRUMENTS
from portfolio_platform.policy.assigned import PoliciesInTime, policies_in_time

BATCH = 250
"""How many fills and sessions one transaction holds."""
Report = Callable[[str], None]


@dataclass(frozen=True)
class FedPortfolio:
    """What a feed did for a portfolio.

    Attributes:
        portfolio: whose.
        opened: whether the control plane took charge of it now.
        fills: fills that were new to it.
        sessions: sessions that were stated, the newest one stated anew among them.
        newest: the newest session that its facts are of; None where none was stated yet.
        unknown: sessions of which nothing could be stated, for their equity is not known.
    """

    portfolio: str
    opened: bool
    fills: int
    sessions: int
    newest: date | None
    unknown: tuple[date, ...] = ()


@dataclass(frozen=True)
class Fed:
    """What a feed did: an entry for each portfolio of the ledger that was asked about."""

    portfolios: tuple[FedPortfolio, ...]

    @property
    def changed(self) -> bool:
        """Say whether anything was new."""
        return any(one.opened or one.fills or one.sessions for one in self.portfolios)


def feed(
    home: Home, portfolios: Iterable[str] | None = None, *, plane: ControlPlane | None = None, report: Report = lambda text: None
) -> Fed:
    """Bring the control plane up to date from the lake; a second time it finds nothing to do.

    Args:
        home: whose lake and book.
        portfolios: only these; every portfolio of the ledger where None, but for those that a paper run feeds.
        plane: the control plane of this process, which keeps its states between calls; a new one where None.
        report: is told what is done.

    Raises:
        StoreProblem: lake or book cannot be read or written; what was fed until then stays.
    """
    ready, newest = built(home), newest_fills(home)
    if ready is None:
        return Fed(())
    wanted = _own(home) if portfolios is None else sorted(set(_own(home)).intersection(portfolios))
    plane = plane or ControlPlane(home.book, home.clock)
    policies, money = policies_in_time(home), read_money(home)
    instruments = read_instruments(home)
    opened = {name: _brought_up(home, plane, name, policies, money, instruments) for name in wanted}
    states = {name: plane.get_portfolio_state(name) for name in wanted}
    here = Cursor(newest, ready.generations)
    with home.book.reading() as connection:
        cursors = {name: read_cursor(connection, name, newest) for name in wanted}
    behind = [name for name in wanted if cursors[name] != here]
    since = {name: _since(home, states[name]) for name in behind}
    sessions = read_sessions(home, since, ready.until, policies, money)
    fills = read_fills(home, behind, min((cursors[name].import_seq for name in behind), default=newest), money)
    done = []
    for name in wanted:
        new = (0, 0)
        if name in behind:
            new = _take_in(plane, name, in_order(fills[name], sessions[name].stated), report)
            write_cursor(home, name, here, home.clock.now())
        stated = plane.get_portfolio_state(name).terms.facts.day
        unknown = sessions[name].unknown if name in sessions else ()
        done.append(FedPortfolio(name, opened[name], *new, date.fromisoformat(stated) if stated else None, unknown))
    return Fed(tuple(done))


def is_fed(home: Home) -> bool:
    """Say whether a feed would find nothing new in the lake; what a policy or an instrument changed is not looked at."""
    ready, newest = built(home), newest_fills(home)
    if ready is None:
        return True
    here = Cursor(newest, ready.generations)
    names = _own(home)
    with home.book.reading() as connection:
        return all(read_cursor(connection, name, newest) == here for name in names)


def _own(home: Home) -> list[str]:
    """Return the portfolios of the ledger that cycles are for: those that a paper run drives have their own time."""
    known = home.lake.read(PORTFOLIO_EQUITY, ["portfolio"])["portfolio"].unique().to_pylist()
    with home.book.reading() as connection:
        return sorted(set(known) - driven_by_bars(connection, known))


def in_order(fills: Sequence[Fill], sessions: Sequence[FactsStated]) -> list[Fill | FactsStated]:
    """Return fills and sessions in the order of time; a fill at a session's very end comes before its facts. Pure."""
    merged: list[tuple[int, int, int, Fill | FactsStated]] = [(one.at, 0, place, one) for place, one in enumerate(fills)]
    merged += [(one.facts.at, 1, place, one) for place, one in enumerate(sessions)]
    return [item[3] for item in sorted(merged, key=lambda item: item[:3])]


def _take_in(plane: ControlPlane, portfolio: str, entries: Sequence[Fill | FactsStated], report: Report) -> tuple[int, int]:
    """Record what is new, some hundreds at a time; symbols are told after the last of them."""
    fills = sessions = 0
    for begin in range(0, len(entries), BATCH):
        some = entries[begin : begin + BATCH]
        new = plane.take_in(portfolio, some, tell=begin + BATCH >= len(entries))
        fills, sessions = fills + new[0], sessions + new[1]
        report(f"{portfolio}: {min(begin + BATCH, len(entries)):,} of {len(entries):,} fills and sessions")
    return fills, sessions


def _since(home: Home, state: ControlState) -> date:
    """Return the first session to state: the newest that was stated, which may have been restated, else the ledger's first day."""
    stated = state.terms.facts.day
    return date.fromisoformat(stated) if stated else home.first_day


def _brought_up(
    home: Home, plane: ControlPlane, portfolio: str, policies: PoliciesInTime, money: Money, instruments: Mapping[str, Instrument]
) -> bool:
    """Open a portfolio, or adopt its policy where another is in force; make its instruments known. Say whether it was opened now.

    A policy that has expired stays adopted with its end: the control plane then refuses by itself, and says why.
    """
    version = policies.timeline(portfolio).last_begun(home.today)
    limits = Limits.of(version.policy, end_of_day_ns(version.expires) if version.expires is not None else 0)
    state = plane.get_portfolio_state(portfolio)
    if state.terms.limits != limits or not state.version:
        with home.book.writing() as connection:
            archive.archive(connection, version.policy.name, version.policy.canonical(), home.clock.now())
        plane.open_portfolio(portfolio, limits, currency=money.base_of(portfolio), live=portfolio in policies.live)
    if any(state.instruments.get(name) != one for name, one in instruments.items()):
        plane.state_instruments(portfolio, instruments)
    return not state.version


def read_instruments(home: Home) -> dict[str, Instrument]:
    """Return the groups of every instrument; what the ledger calls unclassified is in none."""
    rows = active.read(home.lake, INSTRUMENTS, ("symbol", "cohort", "sector")).to_pylist()
    return {row["symbol"]: Instrument(known_name(row["cohort"]), known_name(row["sector"])) for row in rows}
