"""The audit of a home's log: its chain and checkpoints, every decision worked out again, and the sums against the ledger's facts.

It reads everything and changes nothing; where all of it holds, it signs the end of the log.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import date

from sqlalchemy import Connection, select

from portfolio_platform.book import schema
from portfolio_platform.book.checkpoints import Checkpoint
from portfolio_platform.book.control import reserved
from portfolio_platform.control import log
from portfolio_platform.control.audit import Audited, Fault, Placed, audit
from portfolio_platform.control.checkpoints import CheckpointVerdict, verify_checkpoints, write_checkpoint
from portfolio_platform.control.events import FactsStated, stream_of
from portfolio_platform.control.pipeline.feed import is_fed
from portfolio_platform.control.pipeline.fills import read_money
from portfolio_platform.control.pipeline.sessions import read_sessions
from portfolio_platform.control.state import ControlState
from portfolio_platform.days import nanoseconds
from portfolio_platform.home import Home
from portfolio_platform.policy.assigned import policies_in_time

SUMS = ("active_risk", "reserved_risk", "used", "exposed", "holders", "reservation")
"""What an audit names where a sum is wrong, and not a decision or an envelope."""
UNREADABLE = (KeyError, ValueError, TypeError, AttributeError, IndexError, AssertionError)
"""What a changed event raises when it is read or applied."""
SHOWN = 300


@dataclass(frozen=True)
class PortfolioAudit:
    """The audit of one portfolio's stream: what replaying it found, and what does not reconcile; empty where all does."""

    portfolio: str
    replayed: Audited
    unreconciled: str

    @property
    def replay_fault(self) -> str:
        """Return the first event that does not follow from those before it, in words; empty where all do."""
        fault = self.replayed.fault
        return "" if fault is None or fault.what in SUMS else _words(self.portfolio, fault)


@dataclass(frozen=True)
class HomeAudit:
    """The audit of a home's log.

    Attributes:
        verdict: what verifying chain and checkpoints found.
        portfolios: each portfolio under control.
        checkpoint: the signed end of the log; None where something did not hold.
    """

    verdict: CheckpointVerdict
    portfolios: tuple[PortfolioAudit, ...]
    checkpoint: Checkpoint | None = None

    @property
    def faults(self) -> Mapping[str, str]:
        """Return what is wrong by check: the first thing that does not fit, in words; empty where everything does."""
        verdict = self.verdict
        return {
            "chain_verifies": "" if verdict.ok else f"event {verdict.first_bad_seq}: {verdict.reason}",
            "replay_equals": next((one.replay_fault for one in self.portfolios if one.replay_fault), ""),
            "reservations_reconcile": next((one.unreconciled for one in self.portfolios if one.unreconciled), ""),
        }

    @property
    def ok(self) -> bool:
        """Say whether everything holds."""
        return not any(self.faults.values())


def audit_home(home: Home) -> HomeAudit:
    """Audit the whole log of a home, and sign its end where everything holds.

    Raises:
        StoreProblem: lake or book cannot be read, or the checkpoint cannot be written.
    """
    verdict = verify_checkpoints(home)
    with home.book.reading() as connection:
        opened = log.opened_portfolios(connection)
    fed = is_fed(home)
    found = HomeAudit(verdict, tuple(_audited(home, portfolio, fed) for portfolio in opened))
    return HomeAudit(found.verdict, found.portfolios, write_checkpoint(home)) if found.ok else found


class _Watched:
    """Events on their way to the replay: the last one that could be read, and the newest session's facts."""

    def __init__(self) -> None:
        self.last: Placed | None = None
        self.facts: FactsStated | None = None

    def through(self, events: Iterable[Placed]) -> Iterator[Placed]:
        """Yield events as they come, and remember."""
        for one in events:
            self.last = one
            if isinstance(one.event, FactsStated) and (self.facts is None or one.event.facts.at >= self.facts.facts.at):
                self.facts = one.event
            yield one


def _audited(home: Home, portfolio: str, fed: bool) -> PortfolioAudit:
    watched = _Watched()
    with home.book.reading() as connection:
        try:
            issued = log.envelopes_of(connection, portfolio)
            replayed = audit(portfolio, watched.through(log.events_after(connection, portfolio)), issued)
        except UNREADABLE as error:
            replayed = _unreadable(connection, portfolio, watched.last, error)
            return PortfolioAudit(portfolio, replayed, "")  # nothing can be added up of what cannot be read
        fault = replayed.fault
        if fault is not None:
            return PortfolioAudit(portfolio, replayed, _words(portfolio, fault) if fault.what in SUMS else "")
        wrong = _reserved_otherwise(connection, replayed.state, nanoseconds(home.clock.now()))
    return PortfolioAudit(portfolio, replayed, wrong or (_facts_otherwise(home, portfolio, watched.facts) if fed else ""))


def _unreadable(connection: Connection, portfolio: str, last: Placed | None, error: BaseException) -> Audited:
    """Return what was found up to an event that cannot be read."""
    version = 1 if last is None else last.version + 1
    log_of = schema.events.c
    seq = connection.execute(
        select(log_of.seq).where(log_of.stream == stream_of(portfolio), log_of.version == version)
    ).scalar_one_or_none()
    return Audited(ControlState(portfolio), version - 1, 0, 0, Fault(seq or 0, version, "event", "one that can be read", repr(error)))


def _reserved_otherwise(connection: Connection, state: ControlState, now: int) -> str:
    """Say where what is reserved is not what heat reckons, which follows grants and fills without a state; empty where it is."""
    at = max(now, state.now)
    ours = sum(one.remaining for one in state.reservations.values() if one.expires_at > at)
    heat = reserved(connection, state.portfolio, [at]).amounts[0]
    if ours == heat:
        return ""
    return f"{state.portfolio}: {ours} minor units are reserved by the state, and {heat} by the grants and fills of the log"


def _facts_otherwise(home: Home, portfolio: str, stated: FactsStated | None) -> str:
    """Say where the newest facts of the log are not what the ledger's tables say of that session; empty where they are."""
    if stated is None:
        return ""
    day = date.fromisoformat(stated.facts.day)
    now = read_sessions(home, {portfolio: day}, day, policies_in_time(home), read_money(home))[portfolio].stated
    again = now[0] if now else None
    if again is not None and _said(again) == _said(stated):
        return ""
    what = "nothing" if again is None else f"equity {again.facts.equity}, active risk {sum(one.risk for one in again.positions)}"
    ours = f"equity {stated.facts.equity}, active risk {sum(one.risk for one in stated.positions)}"
    return f"{portfolio}: the log's facts of {day} say {ours}, the ledger says {what} (minor units)"


def _said(one: FactsStated) -> tuple[object, ...]:
    return one.facts.day, one.facts.equity, one.facts.gross, one.positions, one.buckets


def _words(portfolio: str, fault: Fault) -> str:
    where = f"event {fault.seq}" if fault.seq else "the end of the stream"
    return f"{portfolio}: {where} (version {fault.version}): {fault.what} should be {_short(fault.expected)}, and is {_short(fault.found)}"


def _short(text: str) -> str:
    return text if len(text) <= SHOWN else f"{text[: SHOWN - 1]}…"
