"""One reflection from one portfolio's history: the pieces put together, nothing computed that is not in its module."""

import numpy as np

from portfolio_platform.days import to_date
from portfolio_platform.evidence.ids import evidence_id
from portfolio_platform.lake import derived
from portfolio_platform.monitor.reflection import drift, playbooks
from portfolio_platform.monitor.reflection.clusters import clusters
from portfolio_platform.monitor.reflection.facts import POLICY, RESEARCH, History, Span, last_session, span_of
from portfolio_platform.monitor.reflection.model import Performance, PortfolioReflection
from portfolio_platform.monitor.reflection.periods import Period
from portfolio_platform.monitor.reflection.retrospect import recommended, retrospect
from portfolio_platform.monitor.report import PolicyReference
from portfolio_platform.policy.model import Policy


def compose(history: History, period: Period, policy: Policy, *, mode: str, base_currency: str) -> PortfolioReflection | None:
    """Return the reflection of a period from facts up to its end; None where the portfolio had no session in it."""
    rules = policy.reflection
    window = period.window(rules)
    span = span_of(history.sessions, period.start, period.end, window)
    last = last_session(history.sessions, span.end - 1)
    if not span.sessions or last is None:
        return None
    least, rate = rules.minimum_trades, rules.false_discovery_rate
    of_policy = clusters(history.trades, span, purpose=POLICY, minimum=least, false_discovery_rate=rate)
    measured, covered = drift.expected(history, last), drift.coverage(history, last)
    crowds, failing = drift.crowding(history, period.start, period.end), drift.failures(history, span)
    alerts = retrospect(history.portfolio, history.sessions, history.fired, span, rules, least)
    findings = playbooks.ranked(
        (
            *playbooks.of_clusters(of_policy, least),
            *playbooks.of_execution(measured, policy),
            *playbooks.of_calibration(covered, least),
            *playbooks.of_failures(failing, policy),
            *playbooks.of_firing(history, span),
            *playbooks.of_crowding(crowds, span.sessions, policy.alerts.rules.get(playbooks.CROWDING)),
            *playbooks.of_alerts(alerts, least),
        )
    )
    action, why = playbooks.overall(findings)
    return PortfolioReflection(
        kind=period.kind,
        portfolio=history.portfolio,
        day=period.start,
        until=period.end,
        mode=mode,
        base_currency=base_currency,
        policy=PolicyReference(name=policy.name, version=policy.version, hash=policy.hash),
        window=span.end - span.window,
        window_start=to_date(int(history.sessions.day[span.window])),
        minimum_trades=least,
        performance=_performance(history, span),
        action=action,
        why=why,
        findings=findings,
        clusters=of_policy,
        research=clusters(history.trades, span, purpose=RESEARCH, minimum=least, false_discovery_rate=rate),
        expected=measured,
        coverage=covered,
        drawdown_regimes=drift.drawdown_regimes(history.sessions, span),
        signal_regimes=drift.signal_regimes(history.signals, span),
        allocation=drift.allocation(history, last),
        crowding=crowds,
        failures=failing,
        retrospect=alerts,
        recommendations=recommended(history.portfolio, history.recommendations, period.start, period.end),
    )


def _performance(history: History, span: Span) -> Performance:
    """Return the period's result; its return is by the unit value, since the close before it (1 before the first session)."""
    sessions = history.sessions
    first, last = last_session(sessions, span.begin), last_session(sessions, span.end - 1)
    assert first is not None
    assert last is not None
    base = sessions.unit_value[span.begin - 1] if span.begin else 1.0
    made = float(sessions.unit_value[span.end - 1] / base - 1.0) if base > 0.0 else np.nan
    worst, best, deepest = drift.worst_and_best(sessions, span)
    flows = sessions.net_flow[span.begin : span.end]
    return Performance(
        sessions=span.sessions,
        first_session=first,
        last_session=last,
        previous_session=last_session(sessions, span.begin - 1),
        equity=_known(sessions.equity[span.end - 1]),
        net_flow=_known(float(flows.sum())),
        total_return=_known(made),
        best=best,
        worst=worst,
        drawdown=_known(sessions.drawdown[span.end - 1]),
        deepest_drawdown=deepest,
        regime=str(sessions.regime[span.end - 1]),
        evidence_ids=(
            evidence_id(derived.PORTFOLIO_EQUITY, history.portfolio, last, "equity"),
            evidence_id(derived.PORTFOLIO_EQUITY, history.portfolio, last, "unit_value"),
            evidence_id(derived.DRAWDOWN_STATE, history.portfolio, last, "drawdown"),
        ),
    )


def _known(value: float) -> float | None:
    return float(value) if np.isfinite(value) else None
