"""Recommendations as a stage: alerts, regimes and gates of every session in, `recommendation_states` out."""

from collections.abc import Mapping, Sequence
from datetime import date
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from portfolio_platform.canonical import content_hash
from portfolio_platform.days import to_date
from portfolio_platform.evidence.ids import evidence_id
from portfolio_platform.home import Home
from portfolio_platform.lake import derived
from portfolio_platform.lake.columns import Table
from portfolio_platform.lake.progress import Plan
from portfolio_platform.monitor.alerts.wording import FIRING
from portfolio_platform.monitor.pipeline.alerts import Trail, read_trail
from portfolio_platform.monitor.recommendations.model import PortfolioRecommendationEvent
from portfolio_platform.monitor.recommendations.rules import AlertFact, GateFact, SessionFacts
from portfolio_platform.monitor.recommendations.states import SATURDAY, Moment, Outcome, advance
from portfolio_platform.policy.assigned import Assigned
from portfolio_platform.stage import Stage

Key = tuple[str, date]
RECENT = 10
SKILL, HEAT_USE = "skill_gate", "heat_use"
STANDING = ("issued", "standing")
ALERT_COLUMNS = (
    *("day", "portfolio", "alert_id", "rule", "metric", "scope", "severity", "gate_passed", "gate_reason", "sample_size", "required"),
    *("sessions_until", "evidence_ids", "sentence", "action"),
)
GATE_COLUMNS = (*("day", "portfolio", "metric", "value", "passed", "reason", "sample_size", "required", "sessions_until", "evidence_id"),)


def compute(home: Home, policies: Assigned, plan: Plan) -> dict[Table, pa.Table]:
    """Return the recommendation that stands after every session of the plan, going on from what stood before it."""
    trail = read_trail(home, plan.first, plan.until)
    alerts, regimes, gates = _alerts(home, policies, plan), _regimes(home, plan), _gates(home, plan)
    standing = _standing(home, trail, plan.first)
    rows: list[dict[str, Any]] = []
    texts: dict[str, tuple[str, str]] = {}
    for portfolio in sorted(trail.days):
        found = trail.of(portfolio, plan.first)
        if found is None:
            continue
        policy, now = policies.of(portfolio), standing.get(portfolio)
        policy_hash = policy.hash
        for day, session in zip(found.days[1:].tolist(), found.numbers[1:].tolist(), strict=True):
            key = (portfolio, to_date(day))
            regime = regimes.get(key)
            facts = SessionFacts(
                regime=regime["regime"] if regime else "normal",
                regime_reason=regime["reason"] if regime else "not_computed",
                regime_evidence=evidence_id(derived.DRAWDOWN_STATE, portfolio, key[1], "regime"),
                alerts=tuple(alerts.get(key, ())),
                skill=gates.get((*key, SKILL)),
                heat_use=gates.get((*key, HEAT_USE)),
            )
            outcome = advance(now, Moment(portfolio, key[1], session, _every_day(trail, portfolio, day), policy_hash), facts, policy)
            rows.append(_row(key, outcome, texts))
            now = outcome.standing
    table = pa.Table.from_pylist(rows, schema=derived.RECOMMENDATION_STATES.arrow_schema())
    return {derived.RECOMMENDATION_STATES: table.sort_by([(name, "ascending") for name in derived.RECOMMENDATION_STATES.key])}


def _every_day(trail: Trail, portfolio: str, day: int) -> bool:
    """Say whether one of the last sessions was on a weekend."""
    days = trail.days[portfolio]
    end = int(np.searchsorted(days, day, side="right"))
    recent = days[max(0, end - RECENT) : end]
    # day 0 is a Thursday
    return bool(((recent + 3) % 7 >= SATURDAY).any())


def _row(key: Key, outcome: Outcome, texts: dict[str, tuple[str, str]]) -> dict[str, Any]:
    """Return a session's row; ``texts`` keeps each recommendation's hash and bytes, which its standing days repeat."""
    about, (portfolio, day) = outcome.about, key
    issued = outcome.status == "issued"
    if about is not None and about.recommendation_id not in texts:
        content = about.canonical()
        texts[about.recommendation_id] = (content_hash(content), content.decode())
    digest, text = texts[about.recommendation_id] if about is not None else ("", "")
    return {
        "day": day,
        "portfolio": portfolio,
        "recommendation_id": about.recommendation_id if about else "",
        "status": outcome.status,
        "mode": outcome.standing.mode if outcome.standing else "normal",
        "monitor_only": outcome.standing is not None and outcome.standing.monitor_only,
        "issued": about.day if about else None,
        "issued_session": about.session if about else None,
        "expires": about.expires if about else None,
        "supersedes": about.supersedes if about else "",
        "content_hash": digest,
        "content": text if issued else "",
        "month": day.isoformat()[:7],
    }


def _range(home: Home, table: Table, columns: Sequence[str], plan: Plan, where: "pc.Expression | None" = None) -> list[dict[str, Any]]:
    inside = (pc.field("day") >= plan.first) & (pc.field("day") <= plan.until)
    months = {"from_month": plan.first.isoformat()[:7], "to_month": plan.until.isoformat()[:7]}
    found: list[dict[str, Any]] = home.lake.read(table, columns, inside if where is None else inside & where, **months).to_pylist()
    return found


def _alerts(home: Home, policies: Assigned, plan: Plan) -> Mapping[Key, list[AlertFact]]:
    """Return the alerts that fire in each session, by id."""
    found: dict[Key, list[AlertFact]] = {}
    for row in _range(home, derived.ALERT_STATES, ALERT_COLUMNS, plan, pc.field("state") == FIRING):
        names = tuple(name for name in row.pop("evidence_ids").split(", ") if name)
        key = (row.pop("portfolio"), row.pop("day"))
        found.setdefault(key, []).append(AlertFact(**row, evidence_ids=names))
    return {key: sorted(facts, key=lambda fact: fact.alert_id) for key, facts in found.items()}


def _regimes(home: Home, plan: Plan) -> Mapping[Key, dict[str, Any]]:
    rows = _range(home, derived.DRAWDOWN_STATE, ("day", "portfolio", "regime", "reason"), plan)
    return {(row["portfolio"], row["day"]): row for row in rows}


def _gates(home: Home, plan: Plan) -> Mapping[tuple[str, date, str], GateFact]:
    """Return the skill gate and the use of the heat cap of each session."""
    rows = _range(home, derived.SAMPLE_SUFFICIENCY, GATE_COLUMNS, plan, pc.field("metric").isin([SKILL, HEAT_USE]))
    return {(row.pop("portfolio"), row.pop("day"), row["metric"]): GateFact(**row) for row in rows}


def _standing(home: Home, trail: Trail, first: date) -> dict[str, PortfolioRecommendationEvent]:
    """Return the recommendation of each portfolio that stands after its session before a day."""
    before = {name: found.before for name in trail.days if (found := trail.of(name, first)) is not None}
    days = {name: to_date(int(found.days[0])) for name in before if (found := trail.of(name, first)) is not None and found.before >= 0}
    if not days:
        return {}
    since = min(days.values())
    table, where = derived.RECOMMENDATION_STATES, (pc.field("day") >= since) & (pc.field("day") < first)
    rows = home.lake.read(table, ("day", "portfolio", "status", "issued"), where, from_month=since.isoformat()[:7]).to_pylist()
    issued = {row["portfolio"]: row["issued"] for row in rows if days.get(row["portfolio"]) == row["day"] and row["status"] in STANDING}
    if not issued:
        return {}
    oldest = min(issued.values())
    where = pc.field("day").isin(sorted(set(issued.values()))) & (pc.field("status") == "issued")
    texts = home.lake.read(table, ("day", "portfolio", "content"), where, from_month=oldest.isoformat()[:7]).to_pylist()
    return {
        row["portfolio"]: PortfolioRecommendationEvent.from_text(row["content"])
        for row in texts
        if issued.get(row["portfolio"]) == row["day"]
    }


STAGE = Stage("recommendations", (derived.RECOMMENDATION_STATES,), ("alerts", "drawdown", "sufficiency"), compute)
