"""Synthetic rows of `alert_states`, written into a home's lake as the stage would, and fake notifiers."""

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa

from portfolio_platform.alerts.channels import Channel
from portfolio_platform.alerts.message import Message
from portfolio_platform.alerts.notifiers import NotSent
from portfolio_platform.book.alerts import Alert, listed
from portfolio_platform.book.notifications import Notification
from portfolio_platform.book.notifications import listed as queued
from portfolio_platform.book.rebuild import check_read_models, read_models, rebuild_read_models
from portfolio_platform.home import Home
from portfolio_platform.lake.columns import Table
from portfolio_platform.lake.derived import ALERT_STATES, PORTFOLIO_EQUITY
from portfolio_platform.lake.progress import Progress, write_progress

FIRST = date(2010, 12, 1)


def day(number: int) -> date:
    """Return the day of a session; every day is one here."""
    return FIRST + timedelta(days=number)


def alert_row(session: int, scope: str = "AAPL", **changes: Any) -> dict[str, Any]:
    """Return a firing alert of `core` that began in session `began` (the same one where not given)."""
    began = changes.pop("began", session)
    portfolio, rule = changes.get("portfolio", "core"), changes.get("rule", "symbol_exposure")
    row = {
        "day": day(session), "portfolio": portfolio, "rule": rule, "scope": scope,
        "alert_id": f"alert:{portfolio}:{rule}:{scope}:{day(began)}", "state": "firing", "severity": "warning", "transition": "",
        "rule_version": "v", "metric": "symbol_exposure", "observed": 0.31, "threshold": 0.3, "comparison": ">=", "unit": "fraction",
        "lookback": "session", "window_start": day(session), "sample_size": 1, "gate_passed": True, "gate_reason": "",
        "symbols": scope, "evidence_ids": "", "first_seen": day(began), "sessions_firing": session - began + 1, "worst": 0.33,
        "contributors": json.dumps([{"symbol": scope, "strategy": "momentum", "unit": "fraction", "value": 0.31, "share": 1.0}]),
        "room": 0.14, "change": 0.01, "trend": "worse", "previous": "", "cause": "concentration", "inhibited_by": "", "calm_sessions": 0,
        "sentence": f"{scope} holds 31.0 % of {portfolio}'s equity.", "action": f"Add nothing to {scope}.", "session": session,
    }  # fmt: skip
    return row | changes


def ended(session: int, began: int, scope: str = "AAPL", **changes: Any) -> dict[str, Any]:
    """Return the end of an alert."""
    said = {"sentence": f"Exposure of core ({scope}) is back at 20.0 %.", "state": "resolved", "transition": "resolved", "observed": 0.2}
    return alert_row(session, scope, began=began, **(said | changes))


def _table(table: Table, rows: Sequence[dict[str, Any]]) -> pa.Table:
    names = set(table.column_names)
    unknown = {name for row in rows for name in row} - names
    assert not unknown, unknown
    full = [{**dict.fromkeys(names), **row, "month": row["day"].isoformat()[:7]} for row in rows]
    return pa.Table.from_pylist(full, schema=table.arrow_schema())


def put(
    home: Home,
    sessions: int,
    rows: Sequence[dict[str, Any]] = (),
    portfolios: Sequence[str] = ("core",),
    built: int | None = None,
    ended_at: dict[str, int] | None = None,
) -> None:
    """Write a lake in which the portfolios have sessions 0 to ``sessions`` (or to where they ended), and these alerts."""
    last = {name: (ended_at or {}).get(name, sessions) for name in portfolios}
    equity = [{"day": day(number), "portfolio": name, "session": number} for name in portfolios for number in range(last[name] + 1)]
    with home.lake.writing():
        home.lake.replace(PORTFOLIO_EQUITY, _table(PORTFOLIO_EQUITY, equity))
        home.lake.replace(ALERT_STATES, _table(ALERT_STATES, list(rows)))
        write_progress(home.lake, Progress("alerts", day(sessions if built is None else built), FIRST, 1, "hash"))


def alerts_of(home: Home) -> list[Alert]:
    with home.book.reading() as connection:
        return listed(connection)


def the_alert(home: Home) -> Alert:
    (alert,) = alerts_of(home)
    return alert


def messages(home: Home) -> list[Notification]:
    with home.book.reading() as connection:
        return queued(connection)


def told(home: Home) -> list[str]:
    """Return what was told, in order: kinds of all alerts of each message."""
    with home.book.reading() as connection:
        rows = sorted(queued(connection), key=lambda item: item.event_seq)
    return ["+".join(f"{item.kind}:{item.severity}" for item in Message.stored(row.body).items) for row in rows]


def events_of(home: Home) -> list[str]:
    from portfolio_platform.book.events import read

    with home.book.reading() as connection:
        return [event.type for event in read(connection)]


def assert_rebuilds(home: Home) -> None:
    """Hold that the read models are what the events tell, and that they can be written anew from them."""
    with home.book.writing() as connection:
        assert check_read_models(connection) == []
        before = read_models(connection)
        rebuild_read_models(connection)
        assert check_read_models(connection) == []
        assert read_models(connection) == before


@dataclass
class Flaky:
    """A notifier that fails as it is told to: by channel, how many of the next sends fail."""

    failures: dict[str, int] = field(default_factory=dict)
    sent: list[tuple[str, str]] = field(default_factory=list)
    error: Exception = field(default_factory=lambda: NotSent("the service refused it (HTTP 503)"))

    def send(self, channel: Channel, message: Message) -> None:
        if self.failures.get(channel.name, 0) > 0:
            self.failures[channel.name] -= 1
            raise self.error
        self.sent.append((channel.name, message.title))


@dataclass(frozen=True)
class ToFile:
    """A notifier that writes a line for each message, for several processes at once."""

    path: Path

    def send(self, channel: Channel, message: Message) -> None:
        with self.path.open("a", encoding="utf-8") as file:
            file.write(f"{channel.name} {message.title}\n")
