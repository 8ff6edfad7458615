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
    found = [_conflict(batch, papers, trades, terms, now) for trades in _by_symbol(papers.plan.trades).values()]
    return tuple(one for one in found if one is not None)


def _by_symbol(trades: Sequence[Trade]) -> dict[str, list[Trade]]:
    """Return the buys by symbol, in the plan's order: several accounts buy what is one position to the control plane."""
    found: dict[str, list[Trade]] = {}
    for trade in trades:
        if trade.side == "buy":
            found.setdefault(trade.ticker, []).append(trade)
    return found


def _conflict(batch: Batch, papers: PlanPapers, trades: Sequence[Trade], terms: AccountTerms, now: int) -> Conflict | None:
    """Ask for the buys of one symbol; return the conflict where less is granted than they want."""
    symbol, digits = trades[0].ticker, papers.plan.digits
    names = ", ".join(trade.trade_id for trade in trades)
    asked = sum(risk_of(trade, stop_of(papers, trade), terms, digits) for trade in trades)
    amount = sum(trade.amount_minor for trade in trades)
    issued = batch.state.issued.get(symbol)
    version = 0 if issued is None else issued.version
    if issued is not None and issued.expires_at <= now:
        text = f"{names} buys {symbol}, whose envelope (version {version}) has expired; run `portfolio control cycle`"
        return Conflict(EXPIRED, symbol, names, version, 0, asked, text)
    intent = PortfolioIntent(
        intent_id=f"{papers.execution_id}/{symbol}",
        portfolio=batch.state.portfolio,
        strategy=STRATEGY,
        symbol=symbol,
        side="long",
        # a purchase may be smaller than what a strategy is granted at least; it has to find room all the same
        requested_risk=max(asked, batch.state.terms.minimum_ticket),
        ts=batch.now,
        requested_notional=amount,
    )
    decision, _ = batch.decide(intent, Known({}, {}))
    if decision.approved_risk >= asked:
        return None
    wanted = money(asked, digits) + (" (no stop is stated or planned, so all of it)" if asked == amount else "")
    text = f"{names} buys {symbol} with {wanted} at risk, and the control plane grants {money(decision.approved_risk, digits)}"
    text += f" ({decision.code}: {', '.join(decision.reasons)})" if decision.reasons else f" ({decision.code})"
    return Conflict(decision.code, symbol, names, version, decision.approved_risk, asked, text)


def findings_of(conflicts: Sequence[Conflict]) -> tuple[Finding, ...]:
    """Return conflicts as findings, each an error: an envelope is a limit like the six."""
    return tuple(
        Finding(
            code=f"envelope_{one.code.removeprefix('envelope_')}",
            severity="error",
            subject=one.symbol,
            message=one.text,
            remedy="plan less, plan a stop (planned_stop_pct in accounts.json), or order another limit (`portfolio control override`)",
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
