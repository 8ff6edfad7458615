"""The loop's inputs from the orchestrator's documents: the approved queue as trades, a snapshot as figures."""

from decimal import Decimal

from portfolio_platform.broker.model import UNIT, Labels
from portfolio_platform.control.model import MILLION
from portfolio_platform.control.money import major, quantity_units
from portfolio_platform.days import nanoseconds
from portfolio_platform.errors import DataProblem
from portfolio_platform.orchestrator.loop_model import LoopTrade, Started
from portfolio_platform.orchestrator.model import ApprovedQueue, ApprovedTrade, Snapshot
from portfolio_platform.orchestrator.profile import Profile
from portfolio_platform.orchestrator.refresh import Figures


def figures_of(snapshot: Snapshot) -> Figures:
    """Return a snapshot's value, cash and sector weights (rounded up: a cap is never kept by rounding)."""
    value = snapshot.equity_minor
    sectors = tuple((name, -(-amount * MILLION // value)) for name, amount in sorted(snapshot.sectors_minor.items()))
    return Figures(nanoseconds(snapshot.as_of), value, snapshot.cash_minor, sectors)


def started(queue: ApprovedQueue, snapshot: Snapshot, profile: Profile, execution_id: str, at: int) -> Started:
    """Return the event that begins an execution of an approved queue.

    Args:
        queue: the approved trades, in their order.
        snapshot: the portfolio with the prices that the quantities are worked out from.
        profile: for the part of a share that a fractional account takes.
        execution_id: of the execution.
        at: when, ns UTC.

    Raises:
        DataProblem: a trade's account or price is not in the snapshot, or it buys less than one lot.
    """
    trades = tuple(_trade(one, queue.portfolio, snapshot, profile) for one in queue.trades)
    return Started(at, execution_id, queue.portfolio, figures_of(snapshot), trades, tuple(sorted(queue.approved_allocations.items())))


def _trade(trade: ApprovedTrade, portfolio: str, snapshot: Snapshot, profile: Profile) -> LoopTrade:
    instrument, account = snapshot.by_ticker.get(trade.ticker), snapshot.by_account.get(trade.account)
    if instrument is None or account is None:
        missing = f"price of {trade.ticker}" if instrument is None else f"account {trade.account}"
        raise DataProblem(f"trade {trade.trade_id}: the snapshot has no {missing}; add it, or take the trade out of the queue")
    price = quantity_units(instrument.price)
    lot = quantity_units(profile.trades.fraction_step if account.fractional else Decimal(instrument.lot_size))
    quantity = quantity_units(major(trade.size_minor, snapshot.digits)) * UNIT // price
    quantity -= quantity % lot
    if not quantity:
        raise DataProblem(f"trade {trade.trade_id}: its size buys no lot of {trade.ticker} at {instrument.price}; approve a larger one")
    return LoopTrade(
        trade_id=trade.trade_id,
        symbol=trade.ticker,
        side=trade.side,
        account=trade.account,
        sector=trade.sector,
        conviction=trade.conviction,
        size=trade.size_minor,
        quantity=quantity,
        reference=price,
        approved_at=nanoseconds(trade.approved_at),
        stop=0 if trade.stop_price is None else quantity_units(trade.stop_price),
        targets=tuple(quantity_units(one) for one in trade.profit_targets),
        lot=lot,
        labels=Labels(portfolio=portfolio, currency=snapshot.currency),
    )
