"""From the lake to the book: alerts of each portfolio's newest session in, alerts, events and messages out."""

import logging
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date
from typing import Any

import pyarrow.compute as pc
from sqlalchemy import Connection

from portfolio_platform.alerts.model import MONITOR_ONLY, Observation, observation
from portfolio_platform.alerts.outbox import write_plan
from portfolio_platform.alerts.sync import Session, plan
from portfolio_platform.book import alerts as book
from portfolio_platform.book import silences
from portfolio_platform.book.alerts import Alert
from portfolio_platform.book.engine import take_log_lock
from portfolio_platform.errors import DataProblem
from portfolio_platform.home import Home
from portfolio_platform.lake.derived import ALERT_STATES, PORTFOLIO_EQUITY
from portfolio_platform.lake.progress import read_progress
from portfolio_platform.policy.assigned import policies_in_time

STAGE = "alerts"
"""The build whose table this reads, where no stage says that it writes it."""

_log = logging.getLogger("portfolio_platform.alerts")


@dataclass(frozen=True)
class PortfolioSynced:
    """What a sync did for a portfolio: ids of alerts by what happened to them, and of messages that were queued.

    Attributes:
        monitor_only: alerts that newly fire, but whose gate failed; they are told to nobody.
    """

    portfolio: str
    session: date
    fired: tuple[str, ...]
    escalated: tuple[str, ...]
    eased: tuple[str, ...]
    resolved: tuple[str, ...]
    monitor_only: tuple[str, ...]
    queued: tuple[str, ...]
    open: int


@dataclass(frozen=True)
class Synced:
    """What a sync did: one entry for each portfolio with a session."""

    portfolios: tuple[PortfolioSynced, ...]

    @property
    def queued(self) -> tuple[str, ...]:
        """Return the messages that were queued."""
        return tuple(identity for one in self.portfolios for identity in one.queued)


def sync(home: Home) -> Synced:
    """Bring the book to the alerts of every portfolio's newest session; a second time it finds nothing to do.

    What fires in older sessions alone is never told. What was open and ended in a session in between is caught up.

    Raises:
        DataProblem: the alerts are not built up to the newest session.
    """
    newest = newest_sessions(home)
    if not newest:
        return Synced(())
    _require_built(home, max(newest.values()))
    with home.book.reading() as connection:
        standing = book.open_alerts(connection, origin="lake")
    firing = _firing(home, newest)
    ended = _ended(home, standing)
    policies = policies_in_time(home)
    done = []
    for portfolio, day in sorted(newest.items()):
        mine = [item for item in firing if item.portfolio == portfolio]
        with home.book.writing() as connection:
            session = _session(connection, home, portfolio, day, mine, ended)
            planned = plan(session, policies.of(portfolio, day).alerts)
            queued = write_plan(connection, planned, home.clock.now()) if planned.changes else []
            left = len(book.open_alerts(connection, portfolio, origin="lake"))
        changed = [(change.type, change.after) for change in planned.changes]
        done.append(_told(portfolio, day, changed, [message.id for message in queued], left))
    return Synced(tuple(done))


def newest_sessions(home: Home) -> dict[str, date]:
    """Return the newest session of each portfolio."""
    rows = home.lake.read(PORTFOLIO_EQUITY, ["portfolio", "day"])
    found = rows.group_by("portfolio").aggregate([("day", "max")]).to_pylist()
    return {row["portfolio"]: row["day_max"] for row in found}


def _session(
    connection: Connection, home: Home, portfolio: str, day: date, firing: list[Observation], ended: dict[str, Observation]
) -> Session:
    take_log_lock(connection)
    return Session(
        portfolio=portfolio,
        day=day,
        firing=firing,
        standing=book.open_alerts(connection, portfolio, origin="lake"),
        ended=ended,
        known=book.by_ids(connection, [item.id for item in firing]),
        by_hand=[alert for alert in book.resolved_by_hand(connection, portfolio) if alert.origin == "lake"],
        silences=silences.in_force(connection, home.clock.now()),
    )


def _told(portfolio: str, day: date, changed: list[tuple[str, Alert]], queued: list[str], left: int) -> PortfolioSynced:
    def of(kind: str) -> tuple[str, ...]:
        return tuple(alert.id for found, alert in changed if found == kind)

    quiet = tuple(alert.id for found, alert in changed if found == book.FIRED and alert.severity == MONITOR_ONLY)
    for identity in quiet:
        _log.info("for the monitor only, its gate failed: %r", identity)
    return PortfolioSynced(
        portfolio=portfolio,
        session=day,
        fired=of(book.FIRED),
        escalated=of(book.ESCALATED),
        eased=of(book.EASED),
        resolved=of(book.RESOLVED),
        monitor_only=quiet,
        queued=tuple(queued),
        open=left,
    )


def _require_built(home: Home, newest: date) -> None:
    """Refuse to follow alerts that are behind: what they do not know yet would look as if it had ended."""
    from portfolio_platform.stages import STAGES

    name = next((stage.name for stage in STAGES if ALERT_STATES in stage.tables), STAGE)
    built = read_progress(home.lake, name)
    if built is None or built.built_until < newest:
        reach = f"are built until {built.built_until}" if built else "are not built yet"
        raise DataProblem(f"the alerts {reach}, and the newest session is of {newest}; run `portfolio build` first")


def _firing(home: Home, newest: dict[str, date]) -> list[Observation]:
    days = sorted(set(newest.values()))
    where = (pc.field("state") == "firing") & pc.field("day").isin(days)
    rows = home.lake.read(ALERT_STATES, None, where, from_month=days[0].isoformat()[:7]).to_pylist()
    return [observation(row) for row in rows if row["day"] == newest[row["portfolio"]]]


def _ended(home: Home, standing: Iterable[Alert]) -> dict[str, Observation]:
    """Return how the alerts that are open in the book ended, where they did."""
    seen = {alert.id: alert.last_seen for alert in standing}
    if not seen:
        return {}
    since = date.fromisoformat(min(seen.values()))
    where: Any = (pc.field("state") == "resolved") & (pc.field("day") >= since) & pc.field("alert_id").isin(sorted(seen))
    rows = home.lake.read(ALERT_STATES, None, where, from_month=since.isoformat()[:7]).to_pylist()
    return {row["alert_id"]: observation(row) for row in sorted(rows, key=lambda row: row["day"])}
