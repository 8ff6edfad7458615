"""Trades that come from elsewhere: a stock recommendation, or the approved queue; sized in shares at the snapshot's prices."""

from collections.abc import Sequence
from decimal import Decimal

from portfolio_platform.orchestrator.amounts import less, money, of_whole, proceeds_of, shares_for
from portfolio_platform.orchestrator.buying import Purse, place_buy
from portfolio_platform.orchestrator.model import (
    ApprovedQueue,
    ApprovedTrade,
    Finding,
    Holding,
    Instrument,
    Pick,
    Snapshot,
    StockRecommendation,
)
from portfolio_platform.orchestrator.planned import LotSale, Trade
from portfolio_platform.orchestrator.pricing import buy_trade, sell_trade, step_of
from portfolio_platform.orchestrator.profile import Profile, ppm


def trades_of_recommendation(
    recommendation: StockRecommendation, snapshot: Snapshot, profile: Profile
) -> tuple[list[Trade], list[Finding]]:
    """Return the purchases of a recommendation: its share of the portfolio's value, in its account or where the most cash is."""
    instrument = snapshot.by_ticker.get(recommendation.ticker)
    if instrument is None:
        text = f"{recommendation.ticker} has no price in the portfolio's snapshot"
        return [], [_error("no_price", recommendation.ticker, text, "add it to the snapshot's instruments")]
    findings: list[Finding] = []
    if instrument.sector != recommendation.sector:
        text = f"{recommendation.ticker} is recommended as {recommendation.sector}, and the ledger has it under {instrument.sector}"
        findings.append(_error("sector_differs", recommendation.ticker, text, "put one of them right"))
    findings += _exits_touched(recommendation.ticker, instrument, recommendation.stop_price, recommendation.profit_targets)
    if recommendation.account is not None and recommendation.account not in snapshot.by_account:
        return [], [
            *findings,
            _error("no_account", recommendation.ticker, _no_account(recommendation.account, snapshot), "name one of them"),
        ]
    amount = of_whole(ppm(recommendation.proposed_allocation_pct), snapshot.equity_minor)
    purse = Purse.after(snapshot, (), 0)
    for account in snapshot.accounts:
        if recommendation.account not in (None, account.account):
            purse.accounts[account.account] = min(0, account.cash_minor)
    pick = Pick(ticker=recommendation.ticker, conviction=recommendation.conviction_score)
    trades = place_buy(snapshot, instrument, amount, pick, None, purse, profile, "stock recommendation")
    left = amount - sum(trade.amount_minor for trade in trades)
    if trades:
        trades[-1] = trades[-1].model_copy(update={"residue_minor": left})
    if not trades or left * 100 > amount:
        text = f"{recommendation.ticker}: {money(left, snapshot.digits)} of {money(amount, snapshot.digits)} find no cash or no whole step"
        remedy = "accept the smaller purchase, or bring cash to the account"
        severity = "warning" if trades else "error"
        findings.append(Finding(code="stock_short", severity=severity, subject=recommendation.ticker, message=text, remedy=remedy))
    return trades, findings


def trades_of_queue(queue: ApprovedQueue, snapshot: Snapshot, profile: Profile) -> tuple[list[Trade], list[Finding]]:
    """Return the trades of an approved queue in its order; what cannot be one is an error, and left out.

    A sell that is larger than what is held, after the sells before it, is cut to that and an error.
    """
    found: list[Trade] = []
    findings: list[Finding] = []
    if queue.portfolio != snapshot.portfolio:
        text = f"the queue is of portfolio {queue.portfolio!r}, and the snapshot of {snapshot.portfolio!r}"
        findings.append(_error("other_portfolio", queue.portfolio, text, "bring the queue of this portfolio"))
    holdings = {(account.account, holding.ticker): holding for account in snapshot.accounts for holding in account.holdings}
    for approved in queue.trades:
        trade, fault = _queued(approved, snapshot, holdings, profile)
        findings += fault
        if trade is not None:
            found.append(trade.model_copy(update={"trade_id": approved.trade_id, "approved_at": approved.approved_at}))
    return found, findings


def _queued(
    approved: ApprovedTrade, snapshot: Snapshot, holdings: dict[tuple[str, str], Holding], profile: Profile
) -> tuple[Trade | None, list[Finding]]:
    name = f"trade {approved.trade_id}"
    instrument, account = snapshot.by_ticker.get(approved.ticker), snapshot.by_account.get(approved.account)
    if instrument is None:
        text = f"{name}: {approved.ticker} has no price in the portfolio's snapshot"
        return None, [_error("no_price", approved.ticker, text, "add it to the snapshot's instruments")]
    if account is None:
        return None, [_error("no_account", approved.ticker, f"{name}: {_no_account(approved.account, snapshot)}", "name one of them")]
    findings: list[Finding] = []
    if instrument.sector != approved.sector:
        text = f"{name}: {approved.ticker} was approved as {approved.sector}, and the ledger has it under {instrument.sector}"
        findings.append(_error("sector_differs", approved.ticker, text, "put one of them right"))
    step = step_of(account, profile.trades.fraction_step, instrument)
    quantity = shares_for(approved.size_minor, instrument.price, snapshot.digits, step)
    if approved.side == "sell":
        return _queued_sale(approved, snapshot, holdings, quantity, profile, findings)
    findings += _exits_touched(name, instrument, approved.stop_price, approved.profit_targets)
    if not quantity:
        text = f"{name}: {money(approved.size_minor, snapshot.digits)} is less than one step of {approved.ticker}"
        return None, [*findings, _error("no_step", approved.ticker, text, "approve a larger size")]
    trade = buy_trade(snapshot, account, instrument, quantity, profile, conviction=approved.conviction, why="approved")
    return trade.model_copy(update={"residue_minor": max(0, approved.size_minor - trade.amount_minor)}), findings


def _queued_sale(
    approved: ApprovedTrade,
    snapshot: Snapshot,
    holdings: dict[tuple[str, str], Holding],
    quantity: Decimal,
    profile: Profile,
    findings: list[Finding],
) -> tuple[Trade | None, list[Finding]]:
    key = approved.account, approved.ticker
    holding = holdings.get(key)
    account, instrument = snapshot.by_account[approved.account], snapshot.by_ticker[approved.ticker]
    held = Decimal(0) if holding is None else holding.quantity
    if holding is None or approved.size_minor > proceeds_of(held, instrument.price, snapshot.digits):
        text = f"trade {approved.trade_id}: {money(approved.size_minor, snapshot.digits)} of {approved.ticker} are to be sold, and " + (
            f"{approved.account} holds {held:f} shares"
        )
        findings.append(_error("holdings", approved.ticker, text, "sell what is held"))
        quantity = held
    if holding is None or not quantity:
        return None, findings
    quantity = min(quantity, held)
    trade = sell_trade(snapshot, account, holding, quantity, profile, "approved")
    holdings.pop(key)
    rest = _without(holding, trade.lots)
    if rest is not None:
        holdings[key] = rest
    return trade.model_copy(update={"conviction": approved.conviction}), findings


def _exits_touched(name: str, instrument: Instrument, stop: Decimal | None, targets: Sequence[Decimal]) -> list[Finding]:
    """Return an error for a stop at or above the price and for targets at or below it: placed at the broker they would sell at once."""
    found = []
    price, market = instrument.price, f"the price {instrument.price:f} of {instrument.ticker}"
    if stop is not None and stop >= price:
        text = f"{name}: the stop {stop:f} is not below {market}"
        found.append(_error("stop_touched", instrument.ticker, text, "ask for a new recommendation at today's price"))
    passed = [level for level in targets if level <= price]
    if passed:
        text = f"{name}: the profit target {', '.join(f'{level:f}' for level in passed)} is not above {market}"
        found.append(_error("target_touched", instrument.ticker, text, "ask for a new recommendation at today's price"))
    return found


def _without(holding: Holding, sold: Sequence[LotSale]) -> Holding | None:
    """Return what is left of a holding; None where nothing is."""
    gone = {lot.lot_id: lot.quantity for lot in sold}
    lots = [
        lot.model_copy(update={"quantity": less(lot.quantity, gone.get(lot.lot_id, Decimal(0)))})
        for lot in holding.lots
        if gone.get(lot.lot_id) != lot.quantity
    ]
    return Holding(ticker=holding.ticker, lots=tuple(lots)) if lots else None


def _no_account(name: str, snapshot: Snapshot) -> str:
    return f"there is no account {name!r}; there are {', '.join(account.account for account in snapshot.accounts)}"


def _error(code: str, subject: str, message: str, remedy: str) -> Finding:
    return Finding(code=code, severity="error", subject=subject, message=message, remedy=remedy)
