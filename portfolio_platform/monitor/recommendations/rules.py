"""What a session's alerts, regime and gates call for: deterministic rules that the policy names."""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

from portfolio_platform.canonical import significant
from portfolio_platform.monitor.recommendations.model import (
    COUNTED,
    GRAVITY,
    CalledFor,
    CapAdjustment,
    MissingSample,
    Withheld,
)
from portfolio_platform.policy.alerts import CapKind, Remedy
from portfolio_platform.policy.model import Policy

SHARED = ("symbol", "cohort", "sector", "template", "playbook")
LIMIT_RULES = {"symbol": "symbol_exposure", "cohort": "cohort_exposure", "sector": "sector_exposure"}
LIMIT_RULES |= {"bucket": "bucket_exposure", "playbook": "playbook_share", "template": "template_drift"}
SEVERITY = {"info": 0, "warning": 1, "critical": 2}
HEADROOM_RULES = frozenset({"idle_capital", "rejection_spike"})
Unit = Literal["fraction of equity", "fraction of gross", "positions", "positions a session", "flag"]


@dataclass(frozen=True)
class AlertFact:
    """What of a firing alert a recommendation looks at."""

    alert_id: str
    rule: str
    metric: str
    scope: str
    severity: str
    gate_passed: bool
    gate_reason: str
    sample_size: int | None
    required: int | None
    sessions_until: float | None
    evidence_ids: tuple[str, ...]
    sentence: str
    action: str
    known: bool = True

    @property
    def missing(self) -> MissingSample:
        """Return why its gate failed."""
        return MissingSample(
            metric=self.metric,
            scope=self.scope,
            sample_size=self.sample_size,
            required=self.required,
            sessions_until=self.sessions_until,
            reason=self.gate_reason,
        )


@dataclass(frozen=True)
class GateFact:
    """A row of `sample_sufficiency` that a recommendation looks at beside the alerts: skill, heat."""

    metric: str
    value: float | None
    passed: bool
    reason: str
    sample_size: int | None
    required: int | None
    sessions_until: float | None
    evidence_id: str

    @property
    def missing(self) -> MissingSample:
        """Return why it failed."""
        return MissingSample(
            metric=self.metric,
            scope="",
            sample_size=self.sample_size,
            required=self.required,
            sessions_until=self.sessions_until,
            reason=self.reason,
        )


@dataclass(frozen=True)
class SessionFacts:
    """What a session of a portfolio gives to recommend from; ``regime_reason`` says why its drawdown cannot be judged."""

    regime: str
    regime_reason: str
    regime_evidence: str
    alerts: tuple[AlertFact, ...]
    skill: GateFact | None = None
    heat_use: GateFact | None = None


@dataclass(frozen=True)
class Proposal:
    """What the rules call for, what they rest on, and what was considered and left out."""

    called_for: CalledFor
    alerts: tuple[AlertFact, ...]
    missing: tuple[MissingSample, ...]
    withheld: tuple[Withheld, ...]


@dataclass(frozen=True)
class _Candidate:
    adjustment: CapAdjustment
    alert: AlertFact


def standing_cap(kind: CapKind, remedy: Remedy, policy: Policy) -> float:
    """Return the cap that a step starts from: the remedy's own, else the limit that the policy has for the kind."""
    if remedy.cap is not None:
        return remedy.cap
    if kind == "heat":
        return policy.heat.cap
    if kind == "position_count":
        return float(policy.control.positions)
    if kind == "new_positions":
        return float(policy.control.new_positions)
    rule = policy.alerts.rules.get(LIMIT_RULES.get(kind, ""))
    limits = [limit for limit in ((rule.critical, rule.warning) if rule else ()) if limit is not None]
    return limits[0] if limits else math.nan


def unit_of(kind: CapKind) -> Unit:
    """Return what a cap is counted in."""
    if kind == "position_count":
        return "positions"
    if kind == "new_positions":
        return "positions a session"
    if kind == "force_flatten_only":
        return "flag"
    return "fraction of gross" if kind in ("template", "playbook") else "fraction of equity"


def adjustment_of(remedy: Remedy, scope: str, policy: Policy) -> CapAdjustment | None:
    """Return one step of a remedy; None where the policy has no limit that it could start from."""
    unit, direction = unit_of(remedy.kind), remedy.direction
    if remedy.kind == "force_flatten_only":
        before, after = (0.0, 1.0) if direction == "tighten" else (1.0, 0.0)
        return CapAdjustment(kind=remedy.kind, scope=scope, before=before, after=after, unit=unit, direction=direction)
    before = standing_cap(remedy.kind, remedy, policy)
    if not math.isfinite(before):
        return None
    default = policy.recommendations.heat_step if remedy.kind == "heat" else policy.recommendations.cap_step
    step = remedy.step if remedy.step is not None else default
    after = before * (1.0 - step if direction == "tighten" else 1.0 + step)
    if remedy.kind in COUNTED:
        # a count moves by at least one and never below none
        after = max(0.0, min(before - 1.0, math.floor(after))) if direction == "tighten" else max(before + 1.0, math.floor(after))
    rounded = significant(after)
    assert rounded is not None
    return CapAdjustment(kind=remedy.kind, scope=scope, before=before, after=rounded, unit=unit, direction=direction)


def tightest(adjustments: Iterable[CapAdjustment]) -> tuple[CapAdjustment, ...]:
    """Return one adjustment for each cap, sorted: of several the tightest; a tightening outweighs a loosening."""
    found: dict[tuple[str, str], CapAdjustment] = {}
    for item in adjustments:
        known = found.get(item.key)
        if known is None or _bite(item) < _bite(known):
            found[item.key] = item
    return tuple(found[key] for key in sorted(found))


def _bite(item: CapAdjustment) -> tuple[int, float]:
    tightens = item.direction == "tighten"
    return (0 if tightens else 1, -item.after if item.kind == "force_flatten_only" and tightens else item.after)


def propose(facts: SessionFacts, policy: Policy) -> Proposal:
    """Return what a session calls for.

    The mode follows the regime. An adjustment counts where the gate of its alert passes (the bound that tightening asks for is
    part of that gate); one that loosens needs the skill gate and room beside. What fails is withheld, with what is missing;
    where nothing else is left, it is shown as monitor-only.
    """
    mode = policy.recommendations.modes.get(facts.regime, "normal")
    sound: list[_Candidate] = []
    failed: list[_Candidate] = []
    withheld: list[Withheld] = []
    for item in _candidates(facts.alerts, policy):
        if item.adjustment.direction == "loosen":
            kept = _may_loosen(item, facts, mode)
            if kept is not None:
                withheld.append(kept)
                continue
        (sound if item.alert.gate_passed else failed).append(item)
    for item in failed:
        because = f"the sample behind {item.alert.metric} does not suffice: {item.alert.gate_reason or 'its gate failed'}"
        withheld.append(Withheld(adjustment=item.adjustment, because=because, missing=(item.alert.missing,)))
    missing: tuple[MissingSample, ...] = ()
    if mode != "normal" and facts.regime_reason:
        missing = (_unjudged(facts),)
    monitor_only = bool(missing) or (mode == "normal" and not sound and bool(failed))
    chosen = failed if monitor_only and not missing else sound
    if monitor_only and not missing:
        missing = _distinct(item.alert.missing for item in failed)
        withheld = [item for item in withheld if not any(item.adjustment == each.adjustment for each in failed)]
    adjustments = tightest(item.adjustment for item in chosen)
    called = CalledFor(mode=mode, adjustments=adjustments, monitor_only=monitor_only)
    behind = {item.alert.alert_id: item.alert for item in chosen}
    return Proposal(called, tuple(behind[key] for key in sorted(behind)), missing, _once(withheld))


def _candidates(alerts: Sequence[AlertFact], policy: Policy) -> list[_Candidate]:
    """Return one step for each alert that has a remedy and is grave enough for it."""
    found = []
    for alert in sorted(alerts, key=lambda alert: alert.alert_id):
        remedy = policy.recommendations.remedies.get(alert.rule)
        if remedy is None or not remedy.enabled or SEVERITY[alert.severity] < SEVERITY[remedy.at]:
            continue
        scope = alert.scope if remedy.kind in SHARED else ""
        adjustment = adjustment_of(remedy, scope, policy)
        if adjustment is not None:
            found.append(_Candidate(adjustment, alert))
    return found


def _may_loosen(item: _Candidate, facts: SessionFacts, mode: str) -> Withheld | None:
    """Return why a cap is not loosened, None where it may be: normal mode, nothing critical, heat below its limit, skill proven."""
    grave = [alert.rule for alert in facts.alerts if alert.severity == "critical" and alert.rule not in HEADROOM_RULES]
    if mode != "normal":
        return Withheld(adjustment=item.adjustment, because=f"nothing is loosened in {mode} mode")
    if grave:
        return Withheld(adjustment=item.adjustment, because=f"there is no room: {', '.join(sorted(set(grave)))} at critical")
    heat = facts.heat_use
    if heat is None or heat.value is None or not heat.passed or heat.value >= 1.0:
        because = "there is no room under the heat cap" if heat is not None and heat.value is not None else "heat cannot be measured"
        return Withheld(adjustment=item.adjustment, because=because)
    if facts.skill is None or not facts.skill.passed:
        why = facts.skill.reason if facts.skill is not None and facts.skill.reason else "it is not computed"
        missing = (facts.skill.missing,) if facts.skill is not None else ()
        return Withheld(adjustment=item.adjustment, because=f"loosening needs the skill gate, and it does not pass: {why}", missing=missing)
    return None


def _unjudged(facts: SessionFacts) -> MissingSample:
    return MissingSample(metric="drawdown", scope="", sample_size=None, required=None, sessions_until=None, reason=facts.regime_reason)


def _distinct(items: Iterable[MissingSample]) -> tuple[MissingSample, ...]:
    found = {(item.metric, item.scope): item for item in items}
    return tuple(found[key] for key in sorted(found))


def _once(items: Iterable[Withheld]) -> tuple[Withheld, ...]:
    found = {(item.adjustment.key, item.because): item for item in items}
    return tuple(found[key] for key in sorted(found))


def held(wanted: CalledFor, standing: CalledFor) -> CalledFor:
    """Return what is called for where nothing may ease yet: the graver mode, and of each cap the tighter one.

    What is only for the monitor binds nobody: it holds nothing, and takes nothing away.
    """
    if standing.monitor_only:
        return wanted
    binding = CalledFor() if wanted.monitor_only else wanted
    mode = max(standing.mode, binding.mode, key=GRAVITY.__getitem__)
    kept = [item for item in standing.adjustments if item.direction == "tighten"]
    merged = CalledFor(mode=mode, adjustments=tightest([*kept, *binding.adjustments]))
    return wanted if merged.nothing else merged
