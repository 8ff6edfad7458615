"""What an operator would have been told: the messages behind rows of `alert_states`, by session and cause. Pure.

Told is the beginning of an alert and whatever makes it graver, once each, from the first session in which it pages: an alert that
is inhibited, or whose sample does not suffice, is told when that is over and it still fires. What a person does about it
(acknowledging, silencing), repeats and ends are left out: they tell of nothing new. Rules of one cause are one message.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date
from typing import Any

import pyarrow as pa

from portfolio_platform.monitor.alerts.wording import ENDED

NEEDED = ("day", "portfolio", "rule", "scope", "alert_id", "state", "severity", "transition", "pages", "cause")
GRAVITY = {"": 0, "warning": 1, "critical": 2}


@dataclass(frozen=True, order=True)
class Told:
    """One alert in a message: which, how grave, and what of it is told (fired or escalated)."""

    rule: str
    scope: str
    severity: str
    kind: str


@dataclass(frozen=True, order=True)
class Message:
    """What is told of a portfolio in a session about one cause."""

    day: date
    portfolio: str
    cause: str
    alerts: tuple[Told, ...]

    @property
    def month(self) -> str:
        """Return the month as YYYY-MM."""
        return self.day.isoformat()[:7]


def messages(rows: pa.Table) -> tuple[Message, ...]:
    """Return the messages behind rows of `alert_states` (the `NEEDED` columns, any order), by day, portfolio and cause."""
    told: dict[str, int] = {}
    found: dict[tuple[date, str, str], list[Told]] = {}
    for row in rows.select(list(NEEDED)).sort_by([("day", "ascending"), ("alert_id", "ascending")]).to_pylist():
        alert = _told(row, told)
        if alert is not None:
            found.setdefault((row["day"], row["portfolio"], row["cause"] or row["rule"]), []).append(alert)
    return tuple(Message(*key, tuple(sorted(alerts))) for key, alerts in sorted(found.items()))


def _told(row: Mapping[str, Any], told: dict[str, int]) -> Told | None:
    """Return what is told of an alert in a session, and remember how grave it was told to be."""
    before, now = told.get(row["alert_id"], 0), GRAVITY[row["severity"]]
    if row["state"] == ENDED:
        return None
    if row["transition"] == "eased":
        told[row["alert_id"]] = min(before, now)
        before = told[row["alert_id"]]
    if not row["pages"] or now <= before:
        return None
    told[row["alert_id"]] = now
    return Told(row["rule"], row["scope"], row["severity"], "escalated" if before else "fired")


def by_month(given: Iterable[Message]) -> dict[tuple[str, str], int]:
    """Return the number of messages by portfolio and month."""
    counts: dict[tuple[str, str], int] = {}
    for message in given:
        key = (message.portfolio, message.month)
        counts[key] = counts.get(key, 0) + 1
    return counts
