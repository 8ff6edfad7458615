"""Alerts in the book: what fires, since when, who has seen it, and what was told. Each change is an event.

What fires is decided in the lake (`alert_states`, a pure evaluation); the book follows it for the newest session of each
portfolio and adds what people did. The rules of that are in `portfolio_platform.alerts`.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Literal

from sqlalchemy import Connection, select

from portfolio_platform.book import schema
from portfolio_platform.book.events import Json
from portfolio_platform.book.read_models import Change, all_of, load, load_by_id, write
from portfolio_platform.errors import WrongUse

FIRED, ESCALATED, EASED, RESOLVED = "alert_fired", "alert_escalated", "alert_eased", "alert_resolved"
ACKNOWLEDGED, UNACKNOWLEDGED = "alert_acknowledged", "alert_unacknowledged"
SILENCED, UNSILENCED = "alert_silenced", "alert_unsilenced"
TOLD, OBSERVED = "alert_told", "alerts_observed"
"""The types of the events in the stream `alerts/<portfolio>`. `alerts_observed` holds the new figures of all alerts of a
portfolio whose state stays as it is, in one event; `alert_told` that somebody was reminded."""

PLATFORM = "platform"
"""The portfolio that alerts about the platform itself have."""

State = Literal["firing", "acknowledged", "silenced", "resolved"]
Origin = Literal["lake", "platform"]


@dataclass(frozen=True)
class Alert:
    """An alert as the book holds it. Days are ISO text.

    Attributes:
        id: portfolio, rule, scope and first day.
        origin: `lake` where a session's evaluation decides over it, `platform` where the platform speaks of itself.
        severity: `info` where its gate failed: for the monitor only, never told.
        state: `firing`, `acknowledged`, `silenced` or `resolved`.
        first_seen, last_seen: the session in which it began, and the newest in which it fired.
        resolved_on, resolved_by: the session in which it ended; who ended it by hand, empty where it ended by itself.
        acknowledged_by, note: who has seen it, and what they said.
        sessions: sessions it has fired, the newest included.
        told: the severity that was told last, `resolved`, or empty where nobody was told.
        told_most: the gravest severity that was told since it began: who heard that hears the end.
        told_first, told_last: `sessions` when it was told first and last.
        told_on, told_then: the session in which it was told last, and everything told of it in that session
            (`fired:warning escalated:critical`): no such thing is told twice in one session.
        revision: counts what a person would call a change; an action may name the one it was decided on.
        content: the evaluation as canonical JSON, numbers as text.
        event_seq: the last event about it.
    """

    id: str
    portfolio: str
    rule: str
    scope: str
    origin: Origin
    severity: str
    state: State
    first_seen: str
    last_seen: str
    content: bytes
    resolved_on: str | None = None
    resolved_by: str = ""
    acknowledged_by: str = ""
    note: str = ""
    sessions: int = 1
    told: str = ""
    told_most: str = ""
    told_first: int = 0
    told_last: int = 0
    told_on: str = ""
    told_then: str = ""
    revision: int = 0
    event_seq: int = 0

    @property
    def is_open(self) -> bool:
        """Say whether it has not ended."""
        return self.state != "resolved"

    @property
    def said(self) -> dict[str, Json]:
        """Return the evaluation: the columns of its row in `alert_states`."""
        content: dict[str, Json] = json.loads(self.content)
        return content

    @property
    def days(self) -> int:
        """Return the days from its first to its last session, both included."""
        last = date.fromisoformat(self.resolved_on or self.last_seen)
        return (last - date.fromisoformat(self.first_seen)).days + 1


@dataclass(frozen=True)
class AlertChange:
    """What happened to one alert: the type of its event, before and after, who did it and why."""

    type: str
    before: Alert | None
    after: Alert
    by: str = ""
    reason: str = ""


def stream(portfolio: str) -> str:
    """Return the stream of a portfolio's alerts."""
    return f"alerts/{portfolio}"


def record(connection: Connection, changes: Sequence[AlertChange], *, at: datetime) -> None:
    """Write changes: an event each, but for new figures alone, which share one event for each portfolio."""
    written: list[Change] = []
    quiet: dict[str, list[tuple[Alert | None, Alert]]] = {}
    for change in changes:
        if change.type == OBSERVED:
            quiet.setdefault(change.after.portfolio, []).append((change.before, change.after))
            continue
        said = {name: value for name, value in (("by", change.by), ("reason", change.reason)) if value}
        rows = [(change.before, change.after)]
        written.append(Change(schema.alerts, stream(change.after.portfolio), change.type, rows, said))
    written += [Change(schema.alerts, stream(portfolio), OBSERVED, rows) for portfolio, rows in sorted(quiet.items())]
    write(connection, written, at=at)


def open_alerts(connection: Connection, portfolio: str | None = None, origin: Origin | None = None) -> list[Alert]:
    """Return the alerts that have not ended, by id."""
    return listed(connection, portfolio, states=("firing", "acknowledged", "silenced"), origin=origin)


def listed(
    connection: Connection,
    portfolio: str | None = None,
    *,
    states: Sequence[str] = (),
    origin: Origin | None = None,
    seen_from: date | None = None,
) -> list[Alert]:
    """Return alerts by portfolio, rule, scope and first day; of all states where none is named."""
    table = schema.alerts.c
    wanted = all_of(
        (
            None if portfolio is None else table.portfolio == portfolio,
            None if origin is None else table.origin == origin,
            table.state.in_(states) if states else None,
            None if seen_from is None else table.last_seen >= seen_from.isoformat(),
        )
    )
    found = load(connection, Alert, select(schema.alerts).where(*wanted))
    return sorted(found, key=lambda alert: (alert.portfolio, alert.rule, alert.scope, alert.first_seen, alert.id))


def by_ids(connection: Connection, identities: Sequence[str]) -> dict[str, Alert]:
    """Return the alerts with these ids."""
    return load_by_id(connection, Alert, schema.alerts, identities)


def by_id(connection: Connection, identity: str) -> Alert:
    """Return the alert with this id. Raises `WrongUse` where there is none."""
    found = by_ids(connection, [identity]).get(identity)
    if found is None:
        raise WrongUse(f"there is no alert {identity!r}; `portfolio alerts list --all` lists them")
    return found


def resolved_by_hand(connection: Connection, portfolio: str) -> list[Alert]:
    """Return the alerts of a portfolio that a person resolved: they may not fire again yet."""
    table = schema.alerts.c
    mine = (table.portfolio == portfolio, table.state == "resolved", table.resolved_by != "")
    return load(connection, Alert, select(schema.alerts).where(*mine).order_by(table.resolved_on, table.id))
