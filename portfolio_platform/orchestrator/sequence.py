"""Step 4: the order of execution, and the cash after every trade."""

from collections import defaultdict
from collections.abc import Sequence

from portfolio_platform.orchestrator.amounts import below, part
from portfolio_platform.orchestrator.model import Snapshot
from portfolio_platform.orchestrator.planned import BufferState, CashStep, Trade
from portfolio_platform.orchestrator.profile import Profile, ppm


def in_order(trades: Sequence[Trade], profile: Profile) -> tuple[Trade, ...]:
    """Return trades in the order of execution.

    ``sells_then_buys`` (v8.1.1 STEP 4A): sells by what is traded of them in a day, the most liquid first and the unknown last,
    then buys by conviction, the highest first. ``approval`` (v8.0.3 STEP 3A): as they come; nothing is resorted.
    """
    if profile.sequence.order == "approval":
        return tuple(trades)
    sells = sorted((trade for trade in trades if trade.side == "sell"), key=_by_liquidity)
    buys = sorted((trade for trade in trades if trade.side == "buy"), key=_by_conviction)
    return (*sells, *buys)


def _by_liquidity(trade: Trade) -> tuple[bool, int, int, str, str]:
    daily = trade.daily_value_minor
    return daily is None, -(daily or 0), -trade.amount_minor, trade.ticker, trade.account


def _by_conviction(trade: Trade) -> tuple[int, int, str, str, str]:
    conviction = -1 if trade.conviction is None else trade.conviction
    return -conviction, trade.pick or 0, trade.sector, trade.ticker, trade.account


def buffer_state(cash_minor: int, equity_minor: int, profile: Profile) -> BufferState:
    """Return the state of the buffer (v8.0.3 STEP 2B): healthy, marginal, or at risk below the floor."""
    if not below(cash_minor, ppm(profile.buffer.healthy_pct), equity_minor):
        return "healthy"
    return "at_risk" if below(cash_minor, ppm(profile.buffer.floor_pct), equity_minor) else "marginal"


def cash_path(trades: Sequence[Trade], snapshot: Snapshot, profile: Profile) -> tuple[CashStep, ...]:
    """Return the cash after every trade of a sequence.

    A step holds where its account stays at zero or above and the portfolio at the floor of the buffer or above. Where
    cash was below one of these before, a step that raises it holds as well: a portfolio that starts below its buffer can
    be mended. The buffer is a share of the value before the plan, as in v8.0.3 STEP 3C.
    """
    equity = snapshot.equity_minor
    floor = ppm(profile.buffer.floor_pct)
    cash = worst = snapshot.cash_minor
    accounts = {account.account: account.cash_minor for account in snapshot.accounts}
    worst_accounts = dict(accounts)
    waits = _waits(trades, snapshot)
    steps: list[CashStep] = []
    for number, trade in enumerate(trades, 1):
        before, worst_before = cash, worst
        cash += trade.cash_minor
        worst += trade.worst_cash_minor
        accounts[trade.account] += trade.cash_minor
        worst_accounts[trade.account] += trade.worst_cash_minor
        steps.append(
            CashStep(
                sequence=number,
                trade_id=trade.trade_id,
                phase=1 if trade.side == "sell" else 2,
                cash_before_minor=before,
                cash_after_minor=cash,
                account_after_minor=accounts[trade.account],
                worst_cash_after_minor=worst,
                worst_account_after_minor=worst_accounts[trade.account],
                buffer_ppm=part(cash, equity),
                state=buffer_state(cash, equity, profile),
                holds=cash >= before or _kept(cash, accounts[trade.account], floor, equity),
                worst_holds=worst >= worst_before or _kept(worst, worst_accounts[trade.account], floor, equity),
                waits_for=waits[trade.trade_id],
            )
        )
    return tuple(steps)


def _kept(cash: int, account: int, floor: int, equity: int) -> bool:
    return account >= 0 and cash >= 0 and not below(cash, floor, equity)


def _waits(trades: Sequence[Trade], snapshot: Snapshot) -> dict[str, tuple[str, ...]]:
    """Return for every buy of a cash account the earlier sells of that account that pay for it, as far as its own cash does not."""
    found: dict[str, tuple[str, ...]] = {}
    sold: dict[str, list[Trade]] = defaultdict(list)
    spent: dict[str, int] = defaultdict(int)
    for trade in trades:
        account = snapshot.by_account[trade.account]
        needed: list[str] = []
        if trade.side == "sell":
            sold[trade.account].append(trade)
        else:
            spent[trade.account] -= trade.cash_minor
            missing = spent[trade.account] - account.cash_minor
            if account.kind == "cash":
                for sale in sold[trade.account]:
                    if missing <= 0:
                        break
                    needed.append(sale.trade_id)
                    missing -= sale.cash_minor
        found[trade.trade_id] = tuple(needed)
    return found
