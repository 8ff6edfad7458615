"""What changed since the session before, in sentences, gravest first."""

from collections.abc import Iterator
from typing import Any

from portfolio_platform.diagnostics.concentration import DIMENSIONS
from portfolio_platform.evidence.ids import evidence_id
from portfolio_platform.lake import derived
from portfolio_platform.monitor.inputs import Inputs

Content = dict[str, Any]
NAMED = 12
_GRAVER = {"fired", "escalated"}
_VERBS = {"fired": "Began", "escalated": "Graver", "eased": "Easier", "resolved": "Over"}


def changes(inputs: Inputs, place: int, base_currency: str, alerts: list[Content]) -> list[Content]:
    """Return every change worth a sentence."""
    return [
        *_alerts(alerts),
        *_regime(inputs, place),
        *_high_water(inputs, place),
        *_flow(inputs, place, base_currency),
        *_positions(inputs, place),
        *_concentration(inputs, place),
        *_data(inputs, place),
    ]


def _change(kind: str, sentence: str, *ids: str, severity: str = "info") -> Content:
    return {"kind": kind, "severity": severity, "sentence": sentence, "evidence_ids": list(ids)}


def _alerts(alerts: list[Content]) -> Iterator[Content]:
    for alert in alerts:
        if not alert["transition"] or alert["inhibited_by"]:
            continue
        verb = {"fired": "Began", "escalated": "Graver", "eased": "Easier", "resolved": "Over"}.get(
            alert["transition"], alert["transition"]
        )
        severity = alert["severity"] if alert["transition"] in _GRAVER else "info"
        yield _change("alert", f"{verb}: {alert['sentence']}", alert["alert_id"], severity=severity)


def _regime(inputs: Inputs, place: int) -> Iterator[Content]:
    row = inputs.drawdown.span(place).start
    transition = inputs.drawdown.column("transition")[row]
    if transition:
        portfolio, day = inputs.sessions.portfolio[place], inputs.sessions.day[place]
        ids = (evidence_id(derived.DRAWDOWN_STATE, portfolio, day, name) for name in ("regime", "control_drawdown", "z_5"))
        grave = inputs.drawdown.column("regime")[row] in ("risk_off", "defensive")
        yield _change("regime", f"Regime went from {transition}.", *ids, severity="warning" if grave else "info")


def _high_water(inputs: Inputs, place: int) -> Iterator[Content]:
    before = int(inputs.sessions.previous[place])
    drawdown, under = inputs.drawdown.moved("drawdown"), inputs.drawdown.moved("under_water_days")
    sessions = under[before][0] if before >= 0 else None
    if sessions and drawdown[place][0] == 0.0:
        portfolio, day = inputs.sessions.portfolio[place], inputs.sessions.day[place]
        sentence = f"A new high-water mark after {sessions} {'session' if sessions == 1 else 'sessions'} under water."
        yield _change("high_water_mark", sentence, evidence_id(derived.DRAWDOWN_STATE, portfolio, day, "high_water_mark"))


def _flow(inputs: Inputs, place: int, base_currency: str) -> Iterator[Content]:
    flow = inputs.equity.moved("net_flow", with_change=False)[place][0]
    if flow:
        portfolio, day = inputs.sessions.portfolio[place], inputs.sessions.day[place]
        sentence = f"{abs(flow):,.2f} {base_currency} {'came in' if flow > 0 else 'went out'}; returns and drawdown do not count it."
        yield _change("flow", sentence, evidence_id(derived.PORTFOLIO_EQUITY, portfolio, day, "net_flow"))


def _held(inputs: Inputs, place: int) -> dict[tuple[str, str, str], int]:
    """Return the side of each open position, 1 long and -1 short, by strategy, symbol and currency."""
    if place < 0:
        return {}
    frame = inputs.details["positions"]
    columns = [frame.column(name) for name in ("strategy", "symbol", "currency", "quantity")]
    found = {}
    for row in frame.span(place):
        strategy, symbol, currency, quantity = (str(column[row]) for column in columns)
        found[strategy, symbol, currency] = -1 if quantity.startswith("-") else 1
    return found


def _positions(inputs: Inputs, place: int) -> Iterator[Content]:
    now, then = _held(inputs, place), _held(inputs, int(inputs.sessions.previous[place]))
    portfolio, day = inputs.sessions.portfolio[place], inputs.sessions.day[place]
    sides = {1: "long", -1: "short"}
    found = []
    for key in sorted(key for key in now.keys() | then.keys() if now.get(key, 0) != then.get(key, 0)):
        held, had = now.get(key, 0), then.get(key, 0)
        what = f"{key[1]} by {key[0]}"
        if not had:
            sentence = f"Opened {sides[held]} {what}."
        elif not held:
            sentence = f"Closed {sides[had]} {what}."
        else:
            sentence = f"Turned {sides[had]} to {sides[held]}: {what}."
        found.append(_change("position", sentence, evidence_id(derived.LEDGER_SNAPSHOTS, portfolio, day, "quantity", *key)))
    yield from found[:NAMED]
    if len(found) > NAMED:
        yield _change("position", f"And {len(found) - NAMED} more positions opened, closed or turned.")


def _concentration(inputs: Inputs, place: int) -> Iterator[Content]:
    previous = int(inputs.sessions.previous[place])
    for dimension in sorted(DIMENSIONS):
        frame = inputs.metrics.get((dimension, "gross"))
        if frame is None or previous < 0 or not frame.span(place) or not frame.span(previous):
            continue
        row, then = frame.span(place).start, frame.span(previous).start
        top, before = frame.column("top_group")[row], frame.column("top_group")[then]
        if not top or not before or top == before:
            continue
        share = frame.column("top_share")[row]
        said = f" with {share:.1%} of gross exposure" if isinstance(share, float) else ""
        portfolio, day = inputs.sessions.portfolio[place], inputs.sessions.day[place]
        identity = evidence_id(derived.CONCENTRATION_METRICS, portfolio, day, "top_group", dimension, "gross")
        yield _change("concentration", f"The largest {dimension} is now {top}{said}; it was {before}.", identity)


def _data(inputs: Inputs, place: int) -> Iterator[Content]:
    stale, previous = inputs.equity.column("stale_positions"), int(inputs.sessions.previous[place])
    now, before = stale[place], stale[previous] if previous >= 0 else 0
    if now != before:
        portfolio, day = inputs.sessions.portfolio[place], inputs.sessions.day[place]
        sentence = f"{now} positions have a stale mark; {before} had the session before."
        yield _change("data", sentence, evidence_id(derived.PORTFOLIO_EQUITY, portfolio, day, "stale_positions"), severity="warning")
