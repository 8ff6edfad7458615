"""A recommendation in words: what is asked for, why, when it ends, and what a person may do."""

from portfolio_platform.monitor.recommendations.model import COUNTED, CalledFor, CapAdjustment, PortfolioRecommendationEvent
from portfolio_platform.monitor.recommendations.rules import AlertFact, Proposal, SessionFacts

MODES = {
    "normal": "usual sizes",
    "defensive": "defensive mode (new positions at the size that the regime allows)",
    "risk_off": "risk-off mode (nothing is added; reducing is always allowed)",
}
KINDS = {
    "heat": "the heat cap",
    "symbol": "the cap of symbol {scope}",
    "cohort": "the cap of cohort {scope}",
    "sector": "the cap of sector {scope}",
    "template": "the cap of template {scope}",
    "playbook": "the cap of playbook {scope}",
    "bucket": "the cap on same-direction exposure of a correlation bucket",
    "position_count": "the number of open positions",
    "new_positions": "the number of new positions a session",
    "force_flatten_only": "flatten-only",
}


def adjustment_sentence(item: CapAdjustment) -> str:
    """Return an adjustment as words: 'tighten the heat cap from 6.0 % to 4.5 %'."""
    what = KINDS[item.kind].replace("{scope}", item.scope)
    if item.kind == "force_flatten_only":
        return f"{'set' if item.after else 'lift'} {what}{f' for {item.scope}' if item.scope else ''}"
    return f"{item.direction} {what} from {_limit(item, item.before)} to {_limit(item, item.after)}"


def _limit(item: CapAdjustment, value: float) -> str:
    return f"{value:.0f}" if item.kind in COUNTED else f"{value * 100.0:.1f} %"


def asked_sentence(called: CalledFor) -> str:
    """Return what is asked for in one phrase."""
    parts = [MODES[called.mode]] if called.mode != "normal" else []
    return "; ".join([*parts, *(adjustment_sentence(item) for item in called.adjustments)])


def reason_of(
    portfolio: str, called: CalledFor, alerts: tuple[AlertFact, ...], facts: SessionFacts, standing: PortfolioRecommendationEvent | None
) -> str:
    """Return why a recommendation is issued, in sentences."""
    said = [f"For {portfolio}: {asked_sentence(called)}."]
    if called.mode != "normal":
        said.append(f"The drawdown regime is {facts.regime}.")
    said += list(dict.fromkeys(alert.sentence for alert in alerts))
    if standing is not None and standing.called_for == called:
        said.append("It is as before and still called for.")
    if called.monitor_only:
        said.append("The evidence does not suffice, so this is for the monitor only: nothing may be applied.")
    return " ".join(said)


def follow_up_of(called: CalledFor, alerts: tuple[AlertFact, ...], proposal: Proposal) -> tuple[str, ...]:
    """Return what a person may do: the alerts' actions, and what is missing where a gate failed."""
    actions = [alert.action for alert in alerts]
    for item in proposal.missing if called.monitor_only else ():
        wait = f"; about {item.sessions_until:.0f} sessions more" if item.sessions_until is not None else ""
        actions.append(f"Wait for the evidence of {item.metric}{f' ({item.scope})' if item.scope else ''}: {item.reason}{wait}.")
    if called.mode == "risk_off":
        actions.append("Open nothing; look for what the losses have in common before probation begins.")
    return tuple(dict.fromkeys(actions))


def withdrawal_sentence(regime: str, alert: AlertFact | None) -> str:
    """Return when a recommendation is withdrawn, for its mode or for one alert."""
    if alert is None:
        return f"the drawdown regime is no longer {regime} but a milder one"
    return f"the alert {alert.rule}{f' of {alert.scope}' if alert.scope else ''} ends or eases below what asks for this"
