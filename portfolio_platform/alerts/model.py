"""An alert as a session's evaluation tells it, and what has to be told about it."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from typing import Any, Literal

from portfolio_platform.book.alerts import Alert
from portfolio_platform.canonical import SIGNIFICANT_DIGITS, canonical_bytes

RANK = {"info": 0, "warning": 1, "critical": 2}
"""Severities by gravity."""

MONITOR_ONLY = "info"
"""The severity of an alert whose gate failed or whose rule does not page: shown to who looks, told to nobody."""

NoticeKind = Literal["fired", "escalated", "repeated", "resolved"]
GRAVITY: tuple[NoticeKind, ...] = ("resolved", "repeated", "fired", "escalated")
_NOT_KEPT = frozenset({"month"})


@dataclass(frozen=True)
class Observation:
    """An alert in one session.

    Attributes:
        id, portfolio, rule, scope: which alert.
        day, session: the session, and its number.
        severity: `info` where the gate failed, or the rule does not page.
        first_seen, sessions: the session in which it began, and how many it has fired, this one included.
        cause: alerts of one cause are told in one message; empty: of its own.
        inhibited_by: the rule whose alert makes this one silent; empty where none does.
        content: all that the evaluation says, as canonical JSON without floats.
    """

    id: str
    portfolio: str
    rule: str
    scope: str
    day: date
    session: int
    severity: str
    first_seen: date
    sessions: int
    cause: str
    inhibited_by: str
    content: bytes


def observation(row: Mapping[str, Any]) -> Observation:
    """Return a row of `alert_states` as an observation.

    Where its gate failed, or its rule does not page, it is for the monitor only; what is merely inhibited keeps its severity.
    """
    inhibited = bool(row["inhibited_by"])
    told = row["gate_passed"] is not False and (row.get("pages") is not False or inhibited)
    return Observation(
        id=row["alert_id"],
        portfolio=row["portfolio"],
        rule=row["rule"],
        scope=row["scope"] or "",
        day=row["day"],
        session=int(row["session"]),
        severity=row["severity"] if told else MONITOR_ONLY,
        first_seen=row["first_seen"],
        sessions=int(row["sessions_firing"]),
        cause=row["cause"] or "",
        inhibited_by=row["inhibited_by"] or "",
        content=content_of(row),
    )


def content_of(row: Mapping[str, Any]) -> bytes:
    """Return a row as canonical JSON; its floats are text of 12 significant digits."""
    return canonical_bytes({name: _exact(value) for name, value in row.items() if name not in _NOT_KEPT}, floats=False)


def _exact(value: object) -> object:
    return f"{value:.{SIGNIFICANT_DIGITS}g}" if isinstance(value, float) else value


@dataclass(frozen=True)
class Notice:
    """Something to tell about an alert in a session, by severity; the same is told once."""

    kind: NoticeKind
    severity: str
    alert: Alert
    session: str
    cause: str

    @property
    def token(self) -> str:
        """Return what the alert remembers of it."""
        return f"{self.kind}:{self.severity}"

    @property
    def key(self) -> str:
        """Return its identity."""
        return f"{self.alert.id}|{self.token}|{self.session}"
