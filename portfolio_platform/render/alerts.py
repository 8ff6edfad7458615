"""The alerts of a report in words: the gravest first, what was seen against which limit, who is behind it, how sure it is."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from portfolio_platform.monitor.report import Alert, PortfolioMonitorReport
from portfolio_platform.render import formats
from portfolio_platform.render.text import one_line

SIGNS = {"critical": "■", "warning": "◆", "info": "○"}
MONITOR_ONLY = "for the monitor only"
MOST_CONTRIBUTORS = 5
_RANK = {"critical": 0, "warning": 1, "info": 2}
_NEWS = {"fired": 0, "escalated": 0}
_COMPARISONS = {">=": "≥", "<=": "≤", ">": "above", "<": "below"}
_TRANSITIONS = {"fired": "new", "escalated": "graver", "eased": "easier", "resolved": "over"}


@dataclass(frozen=True)
class AlertView:
    """An alert as it is read: each field is a text, empty where there is nothing to say."""

    severity: str
    sign: str
    sentence: str
    action: str
    note: str
    monitor_only: bool
    observed: str
    seen: str
    limit: str
    room: str
    trend: str
    since: str
    facts: tuple[tuple[str, str], ...]


def firing(report: PortfolioMonitorReport) -> tuple[Alert, ...]:
    """Return the alerts that fire and that no graver one makes silent, gravest first; those that may be acted on before others."""
    found = [alert for alert in report.alerts if alert.state == "firing" and not alert.inhibited_by]
    return tuple(
        sorted(found, key=lambda alert: (_RANK[alert.severity], not alert.gate_passed, alert.scope != "", _NEWS.get(alert.transition, 1)))
    )


def silent(report: PortfolioMonitorReport) -> tuple[Alert, ...]:
    """Return the alerts that fire, but that a graver one makes silent."""
    return tuple(alert for alert in report.alerts if alert.state == "firing" and alert.inhibited_by)


def ended(report: PortfolioMonitorReport) -> tuple[Alert, ...]:
    """Return the alerts that ended in the session."""
    return tuple(alert for alert in report.alerts if alert.state == "resolved")


def view(alert: Alert, currency: str = "") -> AlertView:
    """Return an alert as it is read."""
    return AlertView(
        severity=alert.severity,
        sign=SIGNS[alert.severity],
        sentence=one_line(alert.sentence),
        action=one_line(alert.action),
        note=_TRANSITIONS.get(alert.transition, one_line(alert.transition)),
        monitor_only=not alert.gate_passed,
        observed=observed(alert, currency),
        seen=formats.measured(alert.observed, alert.unit, currency),
        limit=limit(alert, currency),
        room=room(alert, currency),
        trend=trend(alert, currency),
        since=since(alert, currency),
        facts=tuple((label, text) for label, text in _facts(alert, currency) if text),
    )


def observed(alert: Alert, currency: str = "") -> str:
    """Return what was seen against the threshold: '0.95 against ≥ 0.90'; and where it is back inside, that."""
    against = f"{formats.measured(alert.observed, alert.unit, currency)} against {limit(alert, currency)}"
    if alert.state == "firing" and beyond(alert) is False:
        return f"{against}, back inside for now"
    return against


def limit(alert: Alert, currency: str = "") -> str:
    """Return the threshold and its bad side: '≥ 30.0 %'."""
    comparison = _COMPARISONS.get(alert.comparison, one_line(alert.comparison))
    return f"{comparison} {formats.measured(alert.threshold, alert.unit, currency)}"


def beyond(alert: Alert) -> bool | None:
    """Say whether the observed value is on the bad side of the threshold; None where either is not known."""
    if alert.observed is None or alert.threshold is None:
        return None
    return {
        ">=": alert.observed >= alert.threshold,
        "<=": alert.observed <= alert.threshold,
        ">": alert.observed > alert.threshold,
        "<": alert.observed < alert.threshold,
    }.get(alert.comparison)


def room(alert: Alert, currency: str = "") -> str:
    """Return the room to the next limit; where there is none to come, that."""
    if alert.room is None:
        return "none: no graver limit follows" if alert.state == "firing" else formats.NULL
    size = formats.moved(alert.room, alert.unit, currency).lstrip("+")
    return f"{size} to {'the limit' if alert.state == 'resolved' else 'the next limit'}"


def trend(alert: Alert, currency: str = "") -> str:
    """Return whether it gets better or worse, and by how much since the session before."""
    moved = formats.moved(alert.change, alert.unit, currency)
    parts = [one_line(alert.trend), "" if moved == formats.NULL else "unchanged" if moved == formats.UNCHANGED else moved]
    said = ", ".join(part for part in parts if part)
    return "steady" if said == "steady, unchanged" else said or formats.NULL


def since(alert: Alert, currency: str = "") -> str:
    """Return for how long, and what the worst was."""
    number = f"{alert.sessions_firing:,} {'session' if alert.sessions_firing == 1 else 'sessions'}"
    worst = "" if alert.worst is None else f", at worst {formats.measured(alert.worst, alert.unit, currency)}"
    return f"{number}, since {alert.first_seen.isoformat()}{worst}"


def gate(alert: Alert) -> str:
    """Return how many observations it rests on and whether they suffice to act on."""
    size = alert.sample_size
    count = "" if size is None else f"{size:,} {'observation' if size == 1 else 'observations'}; "
    if alert.gate_passed:
        return f"{count}the sample suffices"
    return f"{count}the sample does not suffice ({one_line(alert.gate_reason) or 'no reason given'}): {MONITOR_ONLY}"


def contributors(given: Iterable[Mapping[str, Any]], currency: str = "") -> str:
    """Return who contributes how much: 'trend AAPL 34,223 (21 %), trend GOOG 33,157 (21 %)'; the first five."""
    parts = list(given)
    shown = []
    for part in parts[:MOST_CONTRIBUTORS]:
        words = (part.get(name) for name in ("strategy", "symbol", "template", "code"))
        name = " ".join(one_line(str(word)) for word in words if word) or formats.NULL
        share = part.get("share")
        held = formats.measured(_number(part.get("value")), str(part.get("unit") or ""), currency)
        shown.append(f"{name} {held}{f' ({share * 100.0:.0f} %)' if isinstance(share, (int, float)) else ''}")
    rest = len(parts) - MOST_CONTRIBUTORS
    return ", ".join(shown) + (f" and {rest} more" if rest > 0 else "")


def _number(held: object) -> float | None:
    return held if isinstance(held, (int, float)) else None


def _facts(alert: Alert, currency: str) -> Iterator[tuple[str, str]]:
    yield "Do", one_line(alert.action)
    yield "Who", contributors(alert.contributors, currency)
    yield "Symbols", _not_named(alert)
    yield "Observed", observed(alert, currency)
    yield "Window", window(alert)
    yield "Room", room(alert, currency)
    yield "Trend", trend(alert, currency)
    yield "How long", since(alert, currency)
    yield "How sure", gate(alert)
    yield "Before", one_line(alert.previous)
    yield "Silent because of", one_line(alert.inhibited_by)
    yield "Evidence", ", ".join(one_line(identity) for identity in (alert.alert_id, *alert.evidence_ids))


def _not_named(alert: Alert) -> str:
    """Return the symbols where those who contribute do not name all of them."""
    named = {str(part.get("symbol")) for part in alert.contributors[:MOST_CONTRIBUTORS]}
    return "" if set(alert.symbols.split(", ")) <= named else one_line(alert.symbols)


def window(alert: Alert) -> str:
    """Return over which time it is measured."""
    if alert.lookback == "session":
        return "this session"
    return f"{one_line(alert.lookback)}{f', since {alert.window_start.isoformat()}' if alert.window_start else ''}"


def summary(report: PortfolioMonitorReport) -> str:
    """Return how many alerts fire, and how many of them are for the monitor only; empty where none does."""
    found = firing(report)
    if not found:
        return ""
    count = {name: sum(alert.severity == name for alert in found) for name in _RANK}
    parts = [f"{count['critical']} critical"] if count["critical"] else []
    parts += [f"{count['warning']} {'warning' if count['warning'] == 1 else 'warnings'}"] if count["warning"] else []
    parts += [f"{count['info']} for information"] if count["info"] else []
    look = sum(not alert.gate_passed for alert in found)
    text = ", ".join(parts) + (f"; {look} of them {MONITOR_ONLY}: the sample does not suffice" if look else "")
    return f"{text}."
