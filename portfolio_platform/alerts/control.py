"""What the control plane noticed becomes alerts for operators: one for each kind and portfolio.

A quantity that differs is of the session whose facts showed it; everything else is of the session that was running. An alert is
open while the newest session, or the running one, has something of its kind, so a clean session ends it. One that a person resolved
has been looked at: only what is noticed after that raises it again.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from sqlalchemy import Connection

from portfolio_platform.alerts.heartbeat import platform_alert, platform_resolved
from portfolio_platform.book import alerts as book
from portfolio_platform.book.alerts import PLATFORM, Alert
from portfolio_platform.control import log
from portfolio_platform.control.audit import Placed
from portfolio_platform.control.events import FactsStated, Noticed
from portfolio_platform.home import Home
from portfolio_platform.policy.alerts import Severity

PREFIX = "control_"
DRIFT = "quantity_drift"
LOOK = "`portfolio control why` tells what led to it; then resolve the alert."


@dataclass(frozen=True)
class Kind:
    """A kind of finding: how grave it is, what happened in words, and what to do."""

    severity: Severity
    words: str
    action: str


KINDS: dict[str, Kind] = {
    "overfill": Kind("warning", "filled more risk than was granted", f"See why the strategy traded beyond its grant. {LOOK}"),
    "unreserved_fill": Kind("warning", "opened risk that nothing was reserved for", f"See who traded past the control plane. {LOOK}"),
    DRIFT: Kind(
        "critical", "hold other quantities than the fills add up to", f"Compare ledger and broker; a fill is missing, or wrong. {LOOK}"
    ),
    "fill_disputed": Kind("warning", "came a second time with other content", f"See which statement of the fill is right. {LOOK}"),
    "intent_conflict": Kind("warning", "used the id of another intent", f"Let the strategy give every intent an id of its own. {LOOK}"),
    "plan_conflict": Kind(
        "info", "was planned beyond what its envelope allows", "Look at the plan with `portfolio orchestrate guide`; it is blocked."
    ),
}
OTHER = Kind("warning", "did what the log should not contain", LOOK)


@dataclass(frozen=True)
class Finding:
    """Something noticed, and the number of its event in the log."""

    seq: int
    noticed: Noticed


def sync_control(home: Home) -> list[Alert]:
    """Bring the alerts about the control plane to what its log noticed; return those that are open.

    Raises:
        StoreProblem: the book cannot be read or written.
    """
    with home.book.reading() as connection:
        portfolios = log.opened_portfolios(connection)
        found = {portfolio: of_newest_session(log.newest_first(connection, portfolio)) for portfolio in portfolios}
        seen = _looked_at(connection)
        open_rules = {(alert.rule, alert.scope) for alert in book.open_alerts(connection, PLATFORM, origin="platform")}
    done = []
    for portfolio in portfolios:
        for what in sorted({*KINDS, *found[portfolio]}):
            rule = PREFIX + what
            new = [one for one in found[portfolio].get(what, ()) if one.seq > seen.get((rule, portfolio), 0)]
            if new:
                kind = KINDS.get(what, OTHER)
                alert = platform_alert(home, rule, portfolio, kind.severity, sentence(portfolio, kind, new), kind.action)
                done += [alert] if alert is not None else []
            elif (rule, portfolio) in open_rules:
                platform_resolved(home, rule, portfolio)
    return done


def of_newest_session(newest_first: Iterable[Placed]) -> Mapping[str, list[Finding]]:
    """Return what was noticed of a portfolio's newest session and since, by kind, oldest first. Pure.

    Args:
        newest_first: the events of its stream, the newest first; no more of them are taken than are needed.
    """
    day = ""
    found: dict[str, list[Finding]] = {}
    for one in newest_first:
        event = one.event
        if isinstance(event, FactsStated):
            if day and event.facts.day < day:
                break
            day = event.facts.day
        elif isinstance(event, Noticed):
            found.setdefault(event.what, []).append(Finding(one.seq, event))
    kept = {
        what: [one for one in reversed(listed) if what != DRIFT or not day or one.noticed.subject >= day] for what, listed in found.items()
    }
    return {what: listed for what, listed in kept.items() if listed}


def sentence(portfolio: str, kind: Kind, found: Sequence[Finding]) -> str:
    """Return what to tell of findings of one kind: the newest, and how many there are. Pure."""
    newest = found[-1].noticed
    who = f"{newest.strategy} in {newest.symbol}" if newest.strategy else newest.symbol
    more = f"; {len(found)} such findings since the newest session" if len(found) > 1 else ""
    return f"{portfolio}: {who} ({newest.subject}) {kind.words}: expected {newest.expected}, found {newest.found}{more}."


def _looked_at(connection: Connection) -> dict[tuple[str, str], int]:
    """Return up to which event a person has looked at each kind of each portfolio: when they resolved its alert."""
    found: dict[tuple[str, str], int] = {}
    for alert in book.resolved_by_hand(connection, PLATFORM):
        key = (alert.rule, alert.scope)
        found[key] = max(found.get(key, 0), alert.event_seq)
    return found
