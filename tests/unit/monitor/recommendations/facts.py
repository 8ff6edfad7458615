"""Alerts and sessions to recommend from."""

from datetime import date, timedelta
from typing import Any

from portfolio_platform.monitor.recommendations.rules import AlertFact, GateFact, SessionFacts
from portfolio_platform.monitor.recommendations.states import Moment
from portfolio_platform.policy.load import default_policy

MONDAY = date(2010, 3, 1)
POLICY = default_policy()


def alert(rule: str, severity: str = "critical", scope: str = "", **more: Any) -> AlertFact:
    """A firing alert of a shipped rule whose gate passes."""
    given = {"gate_passed": True, "gate_reason": "", "sample_size": 60, "required": 30, "sessions_until": None} | more
    metric = POLICY.alerts.rules[rule].metric
    name = f"alert:core:{rule}:{scope}:2010-03-01"
    return AlertFact(
        name, rule, metric, scope, severity, evidence_ids=(f"e/{rule}",), sentence=f"{rule} is high.", action=f"Mind {rule}.", **given
    )


def gate(metric: str, value: float | None, passed: bool, **more: Any) -> GateFact:
    """A row of the gates."""
    given = {"reason": "" if passed else "90 of 300", "sample_size": 90, "required": 300, "sessions_until": 210.0} | more
    return GateFact(metric, value, passed, evidence_id=f"e/{metric}", **given)


def session(*alerts: AlertFact, regime: str = "normal", **more: Any) -> SessionFacts:
    """The facts of a session: normal, judged, without skill and with half of the heat cap used."""
    given = {"regime_reason": "", "skill": gate("skill_gate", 0.5, False), "heat_use": gate("heat_use", 0.5, True)} | more
    return SessionFacts(regime, regime_evidence="drawdown_state/core/2010-03-01/regime", alerts=alerts, **given)


def moment(number: int, *, every_day: bool = True) -> Moment:
    """The session of a number, on consecutive days from Monday, 2010-03-01 on."""
    return Moment("core", MONDAY + timedelta(days=number - 1), number, every_day, "0" * 64)
