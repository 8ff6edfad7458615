"""The recommendation that stands: a state machine over a portfolio's sessions.

Issued where what is called for changes, or at its end where it is still called for; standing while neither is so; withdrawn
where nothing is called for any more; expired where it ran out and could not be judged again. It becomes graver at once, and
milder only a policy's number of sessions after its issue. While the regime cannot be judged, what stands goes on to its end.
"""

from dataclasses import dataclass
from datetime import date, timedelta
from typing import Literal
from urllib.parse import quote

from portfolio_platform.monitor.recommendations.model import (
    CalledFor,
    Confidence,
    PortfolioRecommendationEvent,
    Rests,
    WithdrawalCondition,
)
from portfolio_platform.monitor.recommendations.rules import AlertFact, Proposal, SessionFacts, held, propose
from portfolio_platform.monitor.recommendations.sentences import follow_up_of, reason_of, withdrawal_sentence
from portfolio_platform.policy.model import Policy

Status = Literal["issued", "standing", "withdrawn", "expired", "none"]
SATURDAY = 5
REGIME_METRICS = frozenset({"drawdown", "drawdown_z", "size_multiplier"})


@dataclass(frozen=True)
class Moment:
    """A session: whose, which, whether the portfolio has sessions on weekends (days ahead are counted so), and the policy's hash."""

    portfolio: str
    day: date
    session: int
    every_day: bool
    policy_hash: str


@dataclass(frozen=True)
class Outcome:
    """What a session does: the status, the recommendation it is about, and the one that stands afterwards."""

    status: Status
    about: PortfolioRecommendationEvent | None
    standing: PortfolioRecommendationEvent | None


def recommendation_id(portfolio: str, day: date) -> str:
    """Return the id of the recommendation that is issued for a portfolio on a day."""
    return f"recommendation:{quote(portfolio, safe='')}:{day.isoformat()}"


def days_ahead(day: date, count: int, every_day: bool) -> date:
    """Return the day so many days ahead: calendar days where the portfolio has sessions on weekends, else weekdays.

    Holidays are not known in advance, so they count; a recommendation then holds for a session less.
    """
    found = day
    for _ in range(count):
        found += timedelta(days=1)
        while not every_day and found.weekday() >= SATURDAY:
            found += timedelta(days=1)
    return found


def advance(standing: PortfolioRecommendationEvent | None, moment: Moment, facts: SessionFacts, policy: Policy) -> Outcome:
    """Return what a session does to the recommendation that stood before it; pure."""
    over = standing is not None and moment.day > standing.expires
    if standing is not None and facts.regime_reason and not over:
        return Outcome("standing", standing, standing)
    proposal = propose(facts, policy)
    called = proposal.called_for
    young = standing is not None and moment.session - standing.session < policy.recommendations.minimum_mode_sessions
    if standing is not None and young and not over:
        called = held(called, standing.called_for)
    if standing is not None and not over and called == standing.called_for:
        return Outcome("standing", standing, standing)
    if called.nothing:
        return Outcome("none", None, None) if standing is None else Outcome("expired" if over else "withdrawn", standing, None)
    event = _event(moment, called, proposal, facts, policy, standing)
    return Outcome("issued", event, event)


def _event(
    moment: Moment,
    called: CalledFor,
    proposal: Proposal,
    facts: SessionFacts,
    policy: Policy,
    standing: PortfolioRecommendationEvent | None,
) -> PortfolioRecommendationEvent:
    """Return the recommendation that a session issues."""
    rules, by_id = policy.recommendations, {alert.alert_id: alert for alert in facts.alerts}
    behind = {alert.alert_id: alert for alert in proposal.alerts}
    earlier: set[str] = set()
    if standing is not None and called != proposal.called_for:
        # what is held from before rests on what it rested on then, where that still fires
        earlier = {name for name in standing.rests_on.alert_ids if name not in behind}
        behind |= {name: by_id[name] for name in earlier if name in by_id}
    alerts = tuple(behind[name] for name in sorted(behind))
    beside = tuple(alert for alert in facts.alerts if called.mode != "normal" and alert.metric in REGIME_METRICS)
    evidence = {item for alert in (*alerts, *beside) for item in alert.evidence_ids}
    if called.mode != "normal":
        evidence.add(facts.regime_evidence)
    loosens = any(item.direction == "loosen" for item in called.adjustments)
    if loosens:
        evidence |= {gate.evidence_id for gate in (facts.skill, facts.heat_use) if gate is not None}
    return PortfolioRecommendationEvent(
        portfolio=moment.portfolio,
        day=moment.day,
        session=moment.session,
        recommendation_id=recommendation_id(moment.portfolio, moment.day),
        mode=called.mode,
        adjustments=called.adjustments,
        monitor_only=called.monitor_only,
        missing=proposal.missing if called.monitor_only else (),
        withheld=proposal.withheld,
        confidence=_confidence(alerts, facts, called, policy, loosens),
        rests_on=Rests(
            regime=facts.regime,
            alert_ids=tuple(sorted({*behind, *earlier, *(alert.alert_id for alert in beside)})),
            evidence_ids=tuple(sorted(evidence - {""})),
        ),
        effective=days_ahead(moment.day, 1, moment.every_day),
        review=days_ahead(moment.day, rules.review_sessions, moment.every_day),
        expires=days_ahead(moment.day, rules.valid_sessions, moment.every_day),
        withdrawn_if=_withdrawn_if(called, alerts, facts),
        supersedes=standing.recommendation_id if standing is not None else "",
        reason=reason_of(moment.portfolio, called, (*beside, *alerts), facts, standing),
        follow_up=follow_up_of(called, (*beside, *alerts), proposal),
        policy_hash=moment.policy_hash,
    )


def _confidence(alerts: tuple[AlertFact, ...], facts: SessionFacts, called: CalledFor, policy: Policy, loosens: bool) -> Confidence:
    """Return the level that the gates ask for, and what they said."""
    gates, samples = [(f"{alert.metric}/{alert.scope}" if alert.scope else alert.metric, alert.gate_passed) for alert in alerts], []
    if called.mode != "normal":
        gates.append(("drawdown", not facts.regime_reason))
    for alert in alerts:
        if alert.sample_size is not None and alert.required:
            samples.append(alert.sample_size / alert.required)
    if loosens and facts.skill is not None:
        gates.append((facts.skill.metric, facts.skill.passed))
        if facts.skill.sample_size is not None and facts.skill.required:
            samples.append(facts.skill.sample_size / facts.skill.required)
    return Confidence(
        level=policy.gates.loosening_confidence if loosens else policy.gates.tightening_confidence,
        lowest_ratio=min(samples, default=None),
        gates_passed=tuple(sorted({name for name, passed in gates if passed})),
        gates_failed=tuple(sorted({name for name, passed in gates if not passed})),
    )


def _withdrawn_if(called: CalledFor, alerts: tuple[AlertFact, ...], facts: SessionFacts) -> tuple[WithdrawalCondition, ...]:
    """Return when each part no longer holds."""
    found = []
    if called.mode != "normal":
        found.append(WithdrawalCondition(kind="regime_eases", regime=facts.regime, sentence=withdrawal_sentence(facts.regime, None)))
    for alert in alerts:
        found.append(WithdrawalCondition(kind="alert_ends", alert_id=alert.alert_id, sentence=withdrawal_sentence(facts.regime, alert)))
    return tuple(found)
