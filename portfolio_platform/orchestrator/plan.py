"""A plan: the steps put together, and its verdict. SAFE, CONDITIONAL with every condition, or BLOCKED with every reason."""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Literal

from portfolio_platform.orchestrator import inputs as step_inputs
from portfolio_platform.orchestrator.amounts import money, part, percent
from portfolio_platform.orchestrator.constraints import aggregate_pending, allocation_changes, findings_of_queue, validate_trade
from portfolio_platform.orchestrator.directive import Directives
from portfolio_platform.orchestrator.dry_run import dry_run
from portfolio_platform.orchestrator.inputs import Inputs
from portfolio_platform.orchestrator.model import ApprovedQueue, Finding, Restriction, StockRecommendation
from portfolio_platform.orchestrator.pending import trades_of_queue, trades_of_recommendation
from portfolio_platform.orchestrator.planned import CASH, DryRun, Plan, SectorTarget, Trade, Verdict
from portfolio_platform.orchestrator.profile import Profile, ppm
from portfolio_platform.orchestrator.resolve import resolve
from portfolio_platform.orchestrator.sequence import buffer_state, cash_path, in_order
from portfolio_platform.orchestrator.stocks import StockValidation, validate_stock
from portfolio_platform.orchestrator.trades import generate_trades, numbered

Kind = Literal["rebalancing", "stock", "queue"]


def rebalancing_plan(inputs: Inputs, directives: Directives, further: Sequence[Finding] = ()) -> Plan:
    """Return the plan of a portfolio document (workflow A of v8.1.1).

    Args:
        inputs: the documents and the time.
        directives: what was read of the document.
        further: findings from elsewhere, such as the control plane's envelope; an error among them blocks.
    """
    resolved = resolve(directives, inputs.snapshot, inputs.rankings, inputs.profile)
    day = inputs.at.date()
    generated = generate_trades(inputs.snapshot, resolved.targets, inputs.rankings, inputs.restrictions, inputs.profile, day)
    findings = [*directives.findings, *resolved.findings, *generated.findings, *further]
    if not directives.directives:
        text = "the document has no directive that was understood"
        findings.append(
            Finding(code="no_directives", severity="error", subject="directives", message=text, remedy="look at its unread lines")
        )
    needs = any(target.action == "BUY" for target in resolved.targets)
    return _assemble("rebalancing", inputs, generated.trades, resolved.targets, findings, needs_rankings=needs or None)


def stock_plan(inputs: Inputs, recommendation: StockRecommendation, further: Sequence[Finding] = ()) -> tuple[Plan, StockValidation]:
    """Return the plan of a stock recommendation (workflow B of v8.1.1), and its validation by the six criteria.

    A recommendation that is rejected gives a plan that is blocked, so that its dry run can be looked at.
    """
    snapshot, profile = inputs.snapshot, inputs.profile
    barred = inputs.restrictions.in_force(inputs.at.date())
    validation = validate_stock(recommendation, snapshot, inputs.rankings, barred, profile, inputs.at)
    trades, findings = trades_of_recommendation(recommendation, snapshot, profile)
    findings += [
        Finding(code=criterion.name, severity="error", subject=recommendation.ticker, message=f"{recommendation.ticker}: {criterion.text}")
        for criterion in validation.criteria
        if not criterion.passed
    ]
    for trade in trades:
        findings += validate_trade(trade, snapshot, barred, profile, recommendation.trigger_price)
    return _assemble("stock", inputs, trades, (), [*findings, *further], needs_rankings=False), validation


def queue_plan(inputs: Inputs, queue: ApprovedQueue, further: Sequence[Finding] = ()) -> Plan:
    """Return the plan of an approved queue (v8.0.3): with its profile in the order of approval."""
    snapshot, profile = inputs.snapshot, inputs.profile
    trades, findings = trades_of_queue(queue, snapshot, profile)
    barred = inputs.restrictions.in_force(inputs.at.date())
    findings += [found for trade in trades for found in validate_trade(trade, snapshot, barred, profile) if found.code == "restricted"]
    pending = aggregate_pending(trades, snapshot, profile)
    findings += findings_of_queue(pending, allocation_changes(queue, trades, snapshot, profile), profile)
    return _assemble("queue", inputs, trades, (), [*findings, *further], needs_rankings=None)


def _assemble(
    kind: Kind,
    inputs: Inputs,
    trades: Sequence[Trade],
    targets: tuple[SectorTarget, ...],
    findings: Sequence[Finding],
    *,
    needs_rankings: bool | None,
) -> Plan:
    snapshot, profile = inputs.snapshot, inputs.profile
    barred: Mapping[str, Restriction] = inputs.restrictions.in_force(inputs.at.date())
    ordered = in_order(trades, profile)
    ordered = ordered if kind == "queue" else numbered(ordered)
    path = cash_path(ordered, snapshot, profile)
    run = dry_run(snapshot, ordered, path, targets, barred, profile)
    manifest = step_inputs.verify(inputs, needs_rankings=needs_rankings)
    said = [*step_inputs.findings_of(manifest), *findings, *_cash_findings(run, targets, snapshot.digits, snapshot.equity_minor)]
    if not trades:
        text = "there is nothing to trade"
        said.append(Finding(code="no_trades", severity="info", subject="plan", message=text))
    reasons, conditions = _reasons(run, said), _conditions(run, said, profile, snapshot.digits)
    verdict: Verdict = "BLOCKED" if reasons else "CONDITIONAL" if conditions else "SAFE"
    return Plan(
        kind=kind,
        profile=profile.name,
        profile_hash=profile.hash,
        portfolio=snapshot.portfolio,
        portfolio_hash=snapshot.state_hash,
        currency=snapshot.currency,
        digits=snapshot.digits,
        made_at=inputs.at,
        expires_at=inputs.at + timedelta(minutes=profile.approval.plan_minutes),
        verdict=verdict,
        conditions=conditions,
        reasons=reasons,
        targets=targets,
        trades=ordered,
        path=path,
        dry_run=run,
        manifest=manifest,
        findings=tuple(said),
    )


def _cash_findings(run: DryRun, targets: Sequence[SectorTarget], digits: int, equity: int) -> list[Finding]:
    """Return what is said of cash that ends away from its target: it moves toward it, or this says why not."""
    stated = next((target for target in targets if target.sector == CASH), None)
    if stated is None:
        return []
    apart = run.cash_after_minor - stated.target_minor
    if abs(apart) * 1000 <= equity:  # a tenth of a point
        return []
    at = f"cash ends at {percent(part(run.cash_after_minor, run.equity_after_minor))} %, and its target is {percent(stated.target_ppm)} %"
    if apart > 0:
        text = f"{at}: no directive says what to buy with {money(apart, digits)}"
        return [Finding(code="cash_over_target", severity="info", subject=CASH, message=text, remedy="add a directive that buys")]
    text = f"{at}: no directive sells enough; {money(-apart, digits)} are missing"
    return [Finding(code="cash_under_target", severity="warning", subject=CASH, message=text, remedy="add a directive that sells")]


def _reasons(run: DryRun, findings: Sequence[Finding]) -> tuple[str, ...]:
    """Return why a plan is blocked: every error, and every constraint that is violated at the planned prices."""
    found = [finding.message for finding in findings if finding.severity == "error"]
    for check in run.checks:
        found += [f"{check.name} ({check.limit}): {observed.text}" for observed in check.worst_observed if not observed.passed]
    return tuple(dict.fromkeys(found))


def _conditions(run: DryRun, findings: Sequence[Finding], profile: Profile, digits: int) -> tuple[str, ...]:
    """Return what has to hold for a plan: every warning, the worst case, and a buffer that is not healthy."""
    found = [
        f"{finding.message}; {finding.remedy}" if finding.remedy else finding.message
        for finding in findings
        if finding.severity == "warning"
    ]
    for check in run.checks:
        if check.passed and not check.worst_passed:
            texts = "; ".join(observed.text for observed in check.worst_case[:3])
            slip = f"{profile.worst_case.slippage_bps:f} basis points against every trade and the highest fees"
            found.append(
                f"{check.name} ({check.limit}) does not hold with {slip}: {texts}; keep the limit prices, and stop before it is violated"
            )
    if buffer_state(run.cash_after_minor, run.equity_after_minor, profile) == "marginal":
        share = percent(part(run.cash_after_minor, run.equity_after_minor))
        healthy = percent(ppm(profile.buffer.healthy_pct))
        found.append(
            f"cash ends at {money(run.cash_after_minor, digits)} ({share} %), below the healthy {healthy} %; confirm that no payment is due"
        )
    return tuple(dict.fromkeys(found))


def refusal(plan: Plan, state_hash: str, at: datetime) -> str:
    """Say why a plan may not be approved or executed any more; empty where it may.

    Args:
        plan: the plan.
        state_hash: `Snapshot.state_hash` of the portfolio as it is now.
        at: the time.
    """
    if plan.verdict == "BLOCKED":
        return f"the plan is blocked: {'; '.join(plan.reasons)}"
    if at < plan.made_at:
        return f"the plan was made at {plan.made_at.isoformat()}, which is ahead of the clock ({at.isoformat()}); put the clock right"
    if at >= plan.expires_at:
        return f"the plan has expired at {plan.expires_at.isoformat()}; make a new one"
    if state_hash != plan.portfolio_hash:
        return "the portfolio has moved since the plan was made (cash or holdings differ); make a new one"
    return ""
