"""From a replay to what it says: outcomes of intents, what each rule did, and the refusals in sum. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from portfolio_platform.control import model as codes
from portfolio_platform.control.counterfactual.model import Fate, Outcome, Refusals, RuleCount
from portfolio_platform.control.counterfactual.paths import Accounts
from portfolio_platform.control.counterfactual.record import Float64
from portfolio_platform.control.counterfactual.replay import Prepared, Replayed
from portfolio_platform.control.model import AllocationDecision

MODE = "mode"
RULES: dict[str, str] = {code: rule for rule, code in codes.REJECTIONS.items()}
"""The rule behind a code that a cap refuses with; the other refusals are a rule of their own, named by the rest of the code."""


def rule_of(code: str) -> str:
    """Return the rule that refused with a code."""
    return RULES.get(code, code.removeprefix("rejected_"))


def outcomes(prepared: Prepared, found: Replayed, made: Accounts) -> tuple[Outcome, ...]:
    """Return every intent of the window with its decision and its trade's P&L."""
    record, paths = prepared.record, prepared.paths
    out = []
    for place, decision in found.decisions:
        asked, trades = record.asked[place], list(paths.trades_of[place])
        scale = float(found.scales[trades[0]]) if trades else 0.0
        pnl = float(made.pnl[trades].sum()) if trades else 0.0
        fate: Fate = "not_traded" if not trades else "refused" if scale == 0.0 else "scaled" if scale != 1.0 else "kept"
        out.append(Outcome(decision, asked.code, asked.approved, fate, scale, pnl, pnl * scale))
    return tuple(out)


def shares(decision: AllocationDecision) -> Mapping[str, int]:
    """Return by rule how much of the requested risk it took away, in minor units; what is not named was granted.

    The mode's multiplier takes its part first, then the rule with the least headroom, or the one that refuses, takes the rest.
    """
    lost: dict[str, int] = {}
    refused = not decision.approved
    scaled = decision.scaled_risk
    takes_all = refused and decision.code not in RULES and decision.code != codes.REJECTED_MIN_TICKET
    if takes_all:
        return {rule_of(decision.code): decision.requested_risk} if decision.requested_risk else {}
    if scaled < decision.requested_risk:
        lost[MODE] = decision.requested_risk - scaled
    if decision.approved_risk < scaled:
        least = min(decision.headrooms, key=lambda room: room.headroom)
        rule = rule_of(decision.code) if refused else least.rule
        lost[rule] = scaled - decision.approved_risk
    return lost


def rule_counts(found: tuple[Outcome, ...], minor: int) -> tuple[RuleCount, ...]:
    """Return what each rule did, the most risk first; ``minor`` is how many minor units one unit has."""
    counts: dict[str, _Count] = {}
    for one in found:
        decision = one.decision
        if not decision.approved:
            counts.setdefault(rule_of(decision.code), _Count()).refused += 1
        lost = shares(decision)
        total = sum(lost.values())
        for rule, amount in lost.items():
            count = counts.setdefault(rule, _Count())
            count.clipped += decision.approved
            count.risk += amount
            # what a trade's refused share made is shared out among the rules as the risk is
            pnl = (one.pnl - one.kept) * amount / total
            count.avoided += max(0.0, -pnl)
            count.missed += max(0.0, pnl)
    ordered = sorted(counts.items(), key=lambda item: (-item[1].risk, item[0]))
    return tuple(RuleCount(rule, one.clipped, one.refused, one.risk / minor, one.avoided, one.missed) for rule, one in ordered)


@dataclass
class _Count:
    clipped: int = 0
    refused: int = 0
    risk: int = 0
    avoided: float = 0.0
    missed: float = 0.0


def refusals(found: tuple[Outcome, ...], minor: int) -> Refusals:
    """Return what was refused, in sum."""
    requested = sum(one.decision.requested_risk for one in found)
    granted = sum(one.decision.approved_risk for one in found)
    then = sum(one.then_risk for one in found if one.fate != "not_traded")
    left = sum(one.then_risk * one.scale for one in found if one.fate != "not_traded")
    lost: Float64 = np.array([one.pnl - one.kept for one in found], dtype=np.float64)
    unfilled = [one.decision.approved_risk for one in found if not one.then_risk and one.decision.approved_risk]
    return Refusals(
        intents=len(found),
        full=sum(one.decision.code == codes.APPROVED_FULL for one in found),
        clipped=sum(one.decision.code == codes.APPROVED_CLIPPED for one in found),
        refused=sum(not one.decision.approved for one in found),
        requested=requested / minor,
        granted=granted / minor,
        share=(requested - granted) / requested if requested else 0.0,
        traded_share=(then - left) / then if then else 0.0,
        avoided=float(-lost[lost < 0.0].sum()),
        missed=float(lost[lost > 0.0].sum()),
        refused_trades=sum(one.fate == "refused" for one in found),
        no_fill=len(unfilled),
        no_fill_risk=sum(unfilled) / minor,
        above=sum(0 < one.then_risk < one.decision.approved_risk for one in found),
    )
