"""Composing a report: from one session's place in the inputs to the content of the model, purely.

The content is made as plain values, which is what is stored; `PortfolioMonitorReport` reads it back, and a test holds
that it always can.
"""

from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import date
from typing import Any

import orjson

from portfolio_platform.diagnostics.concentration import DIMENSIONS
from portfolio_platform.evidence.catalogue import BY_NAME
from portfolio_platform.evidence.ids import encoded
from portfolio_platform.lake import derived
from portfolio_platform.lake.columns import Table
from portfolio_platform.monitor.changes import changes
from portfolio_platform.monitor.details import DETAILS
from portfolio_platform.monitor.figures import CONCENTRATION, DIAGNOSTICS, DRAWDOWN, HEADLINE, QUALITY, Quoted
from portfolio_platform.monitor.followups import follow_ups
from portfolio_platform.monitor.frames import Frame
from portfolio_platform.monitor.inputs import ATTRIBUTED, ATTRIBUTED_ROWS, Inputs
from portfolio_platform.monitor.report import KIND, SCHEMA_VERSION
from portfolio_platform.policy.model import Policy, RegimePolicy

Content = dict[str, Any]
FAILURES = 12
BASES = ("gross", "risk")
GROUP = ("group", "share", "exposure", "net_exposure", "exposure_pct")
_ALERT = (
    *("alert_id", "rule", "scope", "state", "severity", "transition", "metric", "observed", "threshold", "comparison", "unit", "lookback"),
    *("window_start", "sample_size", "gate_passed", "gate_reason", "symbols", "first_seen", "sessions_firing", "worst", "room", "change"),
    *("trend", "previous", "cause", "inhibited_by", "sentence", "action"),
)
_GATE = ("metric", "scope", "gate", "sample_size", "required", "missing", "sessions_until", "reason", "evidence_id")


@dataclass(frozen=True)
class SetAside:
    """Rows in quarantine by portfolio: days ascending, and how many have no day that can be read.

    Rows that name no portfolio may belong to any, and count for each.
    """

    days: dict[str | None, list[date]] = field(default_factory=dict)
    undated: dict[str | None, int] = field(default_factory=dict)

    def up_to(self, portfolio: str, day: date) -> int:
        """Return how many rows up to and including a day may be missing from a portfolio."""
        return sum(bisect_right(self.days.get(name, []), day) for name in (portfolio, None))

    def on(self, portfolio: str, day: date) -> int:
        """Return how many rows of a day may be missing from a portfolio."""
        return sum(self.days.get(name, []).count(day) for name in (portfolio, None))

    def without_day(self, portfolio: str) -> int:
        """Return how many rows of no known day may be missing from a portfolio."""
        return self.undated.get(portfolio, 0) + self.undated.get(None, 0)


def compose(inputs: Inputs, place: int, policy: Policy, *, mode: str, base_currency: str, aside: SetAside) -> Content:
    """Return the content of the report of a session."""
    sessions = inputs.sessions
    portfolio, day = sessions.portfolio[place], sessions.day[place]
    previous, week = int(sessions.previous[place]), int(sessions.week[place])
    alerts = _alerts(inputs, place)
    sufficiency = _sufficiency(inputs, place)
    recommendation = _recommendation(inputs, place)
    quality = _quality(inputs, place, aside)
    return {
        "schema_version": SCHEMA_VERSION,
        "kind": KIND,
        "portfolio": portfolio,
        "day": day.isoformat(),
        "previous_session": sessions.day[previous].isoformat() if previous >= 0 else None,
        "week_session": sessions.day[week].isoformat() if week >= 0 else None,
        "session": inputs.number[place],
        "mode": mode,
        "base_currency": base_currency,
        "policy": {"name": policy.name, "version": policy.version, "hash": policy.hash},
        "headline": _section(inputs, inputs.equity, HEADLINE, place),
        "returns": {name: values[place] for name, values in inputs.returns.items()},
        "changes": changes(inputs, place, base_currency, alerts),
        "alerts": alerts,
        "recommendation": recommendation,
        "follow_ups": follow_ups(alerts, recommendation, sufficiency, quality),
        "sufficiency": sufficiency,
        "drawdown": _drawdown(inputs, place, policy.drawdown.regime),
        "concentration": _concentration(inputs, place, policy.concentration.top),
        "diagnostics": {
            name: _section(inputs, inputs.diagnostics[name], quoted, place)
            for name, (_, quoted) in DIAGNOSTICS.items()
            if inputs.diagnostics[name].span(place)
        },
        "details": _details(inputs, place),
        "open_positions": len(inputs.details["positions"].span(place)),
        "data_quality": quality,
    }


def address(table: Table, inputs: Inputs, place: int, *rest: str) -> str:
    """Return the address of a row: the evidence id of its numbers without the column."""
    where = (encoded(inputs.sessions.portfolio[place]), inputs.sessions.day[place].isoformat())
    return "/".join((table.name, *where, *(encoded(part) for part in rest)))


def _section(inputs: Inputs, frame: Frame, quoted: Sequence[Quoted], place: int, *rest: str) -> Content:
    """Return the quoted columns of the session's row in a table with one row a session, with their changes."""
    span = frame.span(place)
    reason = str(frame.column("reason")[span.start] or "") if span else "not computed"
    values = {column.name: frame.moved(column.name, with_change=column.with_change)[place] for column in quoted}
    null = {column.name: column.without for column in quoted if column.without and values[column.name][0] is None and not reason}
    return {"of": address(frame.declared, inputs, place, *rest), "values": values, "null": null, "reason": reason}


def _row(frame: Frame, row: int, names: tuple[str, ...]) -> Content:
    return frame.record(row, names)


def _alerts(inputs: Inputs, place: int) -> list[Content]:
    found = []
    for row in inputs.alerts.span(place):
        alert = _row(inputs.alerts, row, _ALERT)
        contributors, ids = inputs.alerts.column("contributors")[row], inputs.alerts.column("evidence_ids")[row]
        alert["contributors"] = orjson.loads(str(contributors)) if contributors else []
        alert["evidence_ids"] = str(ids).split(", ") if ids else []
        found.append(alert)
    return found


def _sufficiency(inputs: Inputs, place: int) -> Content:
    span, failed = inputs.failed.span(place), inputs.failed
    # what concerns the portfolio as a whole first, then what is about a part of it
    rows = sorted(span, key=lambda row: (failed.column("scope")[row] != "", row))
    failures = []
    for row in rows[:FAILURES]:
        gate = _row(failed, row, _GATE)
        known = BY_NAME.get(gate["metric"])
        failures.append(gate | {"label": known.label if known else gate["metric"]})
    return {"passed": inputs.passed[place], "failed": len(span), "failures": failures}


def _recommendation(inputs: Inputs, place: int) -> Content | None:
    for row in inputs.recommendations.span(place):
        names = ("recommendation_id", "status", "issued", "expires", "supersedes")
        found, content = _row(inputs.recommendations, row, names), inputs.recommendations.column("content")[row]
        if found["status"] == "none":
            return None
        return found | {"supersedes": found["supersedes"] or "", "content": orjson.loads(str(content)) if content else None}
    return None


def _drawdown(inputs: Inputs, place: int, policy: RegimePolicy) -> Content:
    frame = inputs.drawdown
    row = frame.span(place).start
    regime = str(frame.column("regime")[row])
    control = frame.column("control_drawdown")[row]
    limit, graver = _next_limit(regime, policy)
    room = None if limit is None or not isinstance(control, float) else _difference(limit, control)
    return {
        "regime": regime,
        "sessions_in_regime": frame.column("sessions_in_regime")[row],
        "transition": frame.column("transition")[row],
        "room": room,
        "next_regime": graver,
        "section": _section(inputs, frame, DRAWDOWN, place),
    }


def _next_limit(regime: str, policy: RegimePolicy) -> tuple[float | None, str]:
    """Return the control drawdown at which the next graver regime begins, and its name."""
    if regime == "normal":
        return policy.defensive_drawdown, "defensive"
    return (None, "") if regime == "risk_off" else (policy.risk_off_drawdown, "risk_off")


def _difference(limit: float, value: float) -> float | None:
    from portfolio_platform.canonical import significant

    return significant(limit - value)


def _concentration(inputs: Inputs, place: int, top: int) -> list[Content]:
    found = []
    for basis in BASES:
        for dimension in DIMENSIONS:
            metrics, groups = inputs.metrics.get((dimension, basis)), inputs.groups.get((dimension, basis))
            if metrics is None or not metrics.span(place):
                continue
            span = groups.span(place) if groups is not None else range(0)
            largest = [list(_row(groups, row, GROUP).values()) for row in span[:top]] if groups is not None else []
            section = _section(inputs, metrics, CONCENTRATION, place, dimension, basis)
            found.append({"dimension": dimension, "basis": basis, "section": section, "largest": largest, "groups": len(span)})
    return found


def _details(inputs: Inputs, place: int) -> Content:
    found = {}
    for detail in DETAILS:
        frame = inputs.details[detail.name]
        span = frame.span(place)
        rows = [_row(frame, row, detail.columns) for row in span[: detail.limit]]
        found[detail.name] = {"table": detail.table.name, "rows": rows, "total": len(span)}
    for name, by in ATTRIBUTED.items():
        frame = inputs.pnl[name]
        span = frame.span(place)
        rows = [_row(frame, row, (*by, "realised", "unrealised", "income", "fees", "total")) for row in span[:ATTRIBUTED_ROWS]]
        found[name] = {"table": derived.PNL_ATTRIBUTION.name, "rows": rows, "total": len(span)}
    return found


def _quality(inputs: Inputs, place: int, aside: SetAside) -> Content:
    portfolio, day = inputs.sessions.portfolio[place], inputs.sessions.day[place]
    gross, stale = inputs.equity.column("gross_exposure")[place], inputs.equity.column("stale_exposure")[place]
    positions = inputs.details["positions"]
    span = positions.span(place)
    at_fill = sum(positions.column("mark_source")[row] == "fill" for row in span)
    findings = [f"{at_fill} of {len(span)} positions are marked at a fill: there is no newer bar."] if at_fill else []
    if inputs.reason[place]:
        findings.append(f"The return of this session is null: {inputs.reason[place]}.")
    if inputs.equity.column("flow_at_end")[place]:
        findings.append("The day's flow was counted at its end: it was too large for the capital before it.")
    late = {
        f"{positions.column('symbol')[row]} ({age} sessions)"
        for row in span
        if isinstance(age := positions.column("mark_age")[row], int) and age > inputs.max_mark_age
    }
    fresh = 1.0 - stale / gross if isinstance(gross, float) and isinstance(stale, float) and gross else None
    return {
        "section": _section(inputs, inputs.equity, QUALITY, place),
        "fresh_coverage": fresh if fresh is None else _difference(fresh, 0.0),
        "quarantined_on_day": aside.on(portfolio, day),
        "quarantined_to_date": aside.up_to(portfolio, day),
        "quarantined_undated": aside.without_day(portfolio),
        "stale_marks": sorted(late),
        "findings": findings,
    }
