"""A plan held against the control plane's envelope: every buy is asked for as an intent, in the plan's order. Pure.

The control plane answers as it would answer a strategy, each grant taking its room before the next is asked, so what a plan may do is
decided in one place. Nothing of it is kept. Sells make no room here: the risk that they free counts once they are in the ledger.
"""

from collections.abc import Mapping, Sequence
from decimal import Decimal

from portfolio_platform.control.batch import Batch, Known
from portfolio_platform.control.model import PortfolioIntent
from portfolio_platform.control.state import ControlState
from portfolio_platform.desk.events import Conflict
from portfolio_platform.orchestrator.accounts import AccountTerms
from portfolio_platform.orchestrator.amounts import cost_of, money, of_whole
from portfolio_platform.orchestrator.model import Finding
from portfolio_platform.orchestrator.papers import PlanPapers
from portfolio_platform.orchestrator.planned import Trade
from portfolio_platform.orchestrator.profile import ppm

STRATEGY = "orchestrator"
EXPIRED = "envelope_expired"


def conflicts_of(state: ControlState, papers: PlanPapers, terms: AccountTerms, now: int) -> tuple[Conflict, ...]:
    """Return every buy that the control plane would refuse or clip; nothing where it is not in charge of the portfolio.

    Args:
        state: of the portfolio.
        papers: the plan, and the stops that its papers state.
        terms: of the account: how far a stop is planned where none is stated.
        now: the time, ns UTC.
    """
    if not state.terms.limits.policy_hash:
        return ()
    batch = Batch(state, now)  # ends on its own copy what is over on the clock
    known = Known({}, {})
    found = []
    for trade in papers.plan.trades:
        if trade.side != "buy":
            continue
        issued = batch.state.issued.get(trade.ticker)
        version = 0 if issued is None else issued.version
        asked = risk_of(trade, stop_of(papers, trade), terms, papers.plan.digits)
        if issued is not None and issued.expires_at <= now:
            text = f"{trade.trade_id} buys {trade.ticker}, whose envelope (version {version}) has expired; run `portfolio control cycle`"
            found.append(Conflict(EXPIRED, trade.ticker, trade.trade_id, version, 0, asked, text))
            continue
        intent = PortfolioIntent(
            intent_id=f"{papers.execution_id}/{trade.trade_id}",
            portfolio=state.portfolio,
            strategy=STRATEGY,
            symbol=trade.ticker,
            side="long",
            requested_risk=asked,
            ts=batch.now,
            requested_notional=trade.amount_minor,
        )
        decision, _ = batch.decide(intent, known)
        if decision.approved_risk >= asked:
            continue
        granted, wanted = money(decision.approved_risk, papers.plan.digits), money(asked, papers.plan.digits)
        wanted += " (no stop is stated or planned, so all of it)" if asked == trade.amount_minor else ""
        text = f"{trade.trade_id} buys {trade.ticker} with {wanted} at risk, and the control plane grants {granted} ({decision.code}"
        text += f": {', '.join(decision.reasons)})" if decision.reasons else ")"
        found.append(Conflict(decision.code, trade.ticker, trade.trade_id, version, decision.approved_risk, asked, text))
    return tuple(found)


def findings_of(conflicts: Sequence[Conflict]) -> tuple[Finding, ...]:
    """Return conflicts as findings, each an error: an envelope is a limit like the six."""
    return tuple(
        Finding(
            code=f"envelope_{one.code.removeprefix('envelope_')}",
            severity="error",
            subject=one.symbol,
            message=one.text,
            remedy="plan less, plan a stop (planned_stop_pct in accounts.json), or have an operator change the limit (`portfolio control override`)",
        )
        for one in conflicts
    )


def risk_of(trade: Trade, stop: Decimal | None, terms: AccountTerms, digits: int) -> int:
    """Return what a buy loses at its stop, minor units, rounded up.

    Without a usable stop it is the planned distance of the account's terms, and without that the whole amount, as the control plane
    counts a fill without a stop.
    """
    if stop is not None and stop < trade.price:
        return max(1, cost_of(trade.quantity, trade.price - stop, digits))
    if terms.planned_stop_pct is not None:
        return max(1, of_whole(ppm(terms.planned_stop_pct), trade.amount_minor, up=True))
    return max(1, trade.amount_minor)


def stop_of(papers: PlanPapers, trade: Trade) -> Decimal | None:
    """Return the stop that the papers state for a buy."""
    if papers.recommendation is not None and papers.recommendation.ticker == trade.ticker:
        return papers.recommendation.stop_price
    stops: Mapping[str, Decimal | None] = {} if papers.queue is None else {one.trade_id: one.stop_price for one in papers.queue.trades}
    return stops.get(trade.trade_id)
