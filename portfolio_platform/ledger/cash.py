"""Cash of each portfolio and currency: trades, fees, flows and income, added up session by session."""

from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from portfolio_platform.days import NANOSECONDS_PER_DAY, day_number
from portfolio_platform.lake.facts import FLOW_KINDS
from portfolio_platform.ledger import layout
from portfolio_platform.ledger.accounting import Account
from portfolio_platform.ledger.fixed_point import Float64, Int64, to_floats
from portfolio_platform.ledger.marks import Series
from portfolio_platform.ledger.valuation import Grid

CASH, FLOWS, INCOME, TRADES, FEES, WEIGHTED = range(6)
COLUMNS = 6


@dataclass(frozen=True)
class Movements:
    """Cash facts as arrays: what came in or went out without a trade."""

    account: tuple[tuple[str, str], ...]
    code: Int64
    day: Int64
    ts: Int64
    amount: Float64
    is_flow: Int64


@dataclass(frozen=True)
class CarriedCash:
    """Balances at the end of an account's last session before the range, by (portfolio, currency)."""

    balances: dict[tuple[str, str], Float64]
    last_session: dict[str, int]


@dataclass(frozen=True)
class Cash:
    """Balances by account and session: ``values[row]`` are cumulative amounts in the account's currency.

    ``session_flow`` is the flow of the session alone, and so is the WEIGHTED column.
    """

    portfolio: Int64
    currency: tuple[str, ...]
    session: Int64
    values: Float64
    session_flow: Float64
    fx_rate: Float64
    account: Int64


def read_movements(cash_flows: pa.Table, base_of: dict[str, str], default: str) -> Movements:
    """Return the cash facts in (time, id) order; a movement without a currency is in the portfolio's base currency."""
    rows = cash_flows.sort_by([("ts", "ascending"), ("row_id", "ascending")])
    portfolio, currency = rows["portfolio"].to_pylist(), rows["currency"].to_pylist()
    keys = [(name, code or base_of.get(name, default)) for name, code in zip(portfolio, currency, strict=True)]
    accounts = tuple(sorted(set(keys)))
    rank = {key: place for place, key in enumerate(accounts)}
    ts = rows["ts"].to_numpy()
    return Movements(
        accounts,
        np.array([rank[key] for key in keys], dtype=np.int64),
        day_number(ts),
        ts,
        to_floats(rows["amount"]),
        np.array([kind in FLOW_KINDS for kind in rows["kind"].to_pylist()], dtype=np.int64),
    )


def balances(account: Account, grid: Grid, movements: Movements, fx: Series, base_of: dict[str, str], carried: CarriedCash) -> Cash:
    """Return the balances of every account from its first movement on.

    Movements on a day without a session count in the session that follows.
    """
    positions = account.positions
    keys = sorted(
        set(zip(positions.portfolio.tolist(), positions.currency.tolist(), strict=True)) | set(movements.account) | set(carried.balances)
    )
    rank = {key: place for place, key in enumerate(keys)}
    width = int(np.diff(grid.start).max(initial=0))
    daily = np.zeros((len(keys), width, COLUMNS))
    moved = np.zeros((len(keys), width), bool)
    _add_trades(account, grid, rank, daily, moved)
    _add_movements(movements, grid, rank, carried, daily, moved)
    owner = {name: place for place, name in enumerate(grid.portfolios)}
    parts = []
    for key, place in rank.items():
        if key[0] not in owner:
            continue
        k = owner[key[0]]
        length = int(grid.start[k + 1] - grid.start[k])
        before = carried.balances.get(key, np.zeros(COLUMNS))
        values = np.cumsum(np.concatenate((before[None, :], daily[place, :length])), axis=0)[1:]
        values[:, WEIGHTED] = daily[place, :length, WEIGHTED]
        seen = np.cumsum(moved[place, :length]) > 0 if key not in carried.balances else np.ones(length, bool)
        sessions = np.flatnonzero(seen) + grid.start[k]
        pair = fx.names.index(f"{key[1]}/{base_of[key[0]]}")
        rate = fx.value[pair, grid.days[sessions] - fx.first]
        moving = daily[place, :length, FLOWS][seen]
        parts.append((np.full(sessions.size, k), np.full(sessions.size, place), sessions, values[seen], moving, rate))
    if not parts:
        empty = np.empty(0, np.int64)
        return Cash(empty, (), empty, np.empty((0, COLUMNS)), np.empty(0), np.empty(0), empty)
    portfolio, code, session, values, moving, rate = (np.concatenate(column) for column in zip(*parts, strict=True))
    order = np.lexsort((code, session))
    return Cash(portfolio[order], tuple(key[1] for key in keys), session[order], values[order], moving[order], rate[order], code[order])


def flows_by_currency(money: Cash, session: int) -> dict[str, tuple[float, float]]:
    """Return the cumulative flows of a session's accounts, and their rates, by currency."""
    first, last = np.searchsorted(money.session, (session, session + 1)).tolist()
    return {money.currency[money.account[row]]: (float(money.values[row, FLOWS]), float(money.fx_rate[row])) for row in range(first, last)}


def _add_trades(account: Account, grid: Grid, rank: dict[tuple[str, str], int], daily: Float64, moved: np.ndarray) -> None:
    """Add each change point's cash, fees and dividends to its day."""
    changes, positions = account.changes, account.positions
    if not changes.position.size:
        return
    same = np.concatenate(([False], changes.position[1:] == changes.position[:-1]))
    fees, income = changes.floats[:, layout.FEES], changes.floats[:, layout.INCOME]
    paid = np.where(same, np.diff(fees, prepend=0.0), fees)
    received = np.where(same, np.diff(income, prepend=0.0), income)
    owner = {name: place for place, name in enumerate(grid.portfolios)}
    of_position = np.array([owner[name] for name in positions.portfolio.tolist()], dtype=np.int64)
    keys = zip(positions.portfolio.tolist(), positions.currency.tolist(), strict=True)
    code = np.array([rank[key] for key in keys], dtype=np.int64)[changes.position]
    for k in range(len(grid.portfolios)):
        days = grid.days[grid.start[k] : grid.start[k + 1]]
        # a carried state stands at a day before the range: it is a balance, not a movement
        mine = np.flatnonzero((of_position[changes.position] == k) & (changes.day >= (days[0] if days.size else np.iinfo(np.int64).max)))
        at = np.searchsorted(days, changes.day[mine])
        # what moves cash makes its day a session; a split does not, and may come after the last one
        mine, at = mine[at < days.size], at[at < days.size]
        cash, cell = changes.floats[mine, layout.CP_CASH], code[mine] * moved.shape[1] + at
        amounts = ((CASH, cash - paid[mine]), (TRADES, cash - received[mine]), (FEES, paid[mine]), (INCOME, received[mine]))
        for column, amount in amounts:
            daily[:, :, column] += np.bincount(cell, amount, minlength=moved.size).reshape(moved.shape)
        moved[code[mine], at] = True


def _add_movements(
    movements: Movements, grid: Grid, rank: dict[tuple[str, str], int], carried: CarriedCash, daily: Float64, moved: np.ndarray
) -> None:
    owner = {name: place for place, name in enumerate(grid.portfolios)}
    for i in range(movements.code.size):
        key = movements.account[movements.code[i]]
        k = owner[key[0]]
        days = grid.days[grid.start[k] : grid.start[k + 1]]
        at = int(np.searchsorted(days, movements.day[i]))
        if at >= days.size or movements.day[i] <= carried.last_session.get(key[0], np.iinfo(np.int64).min):
            continue
        place, amount = rank[key], movements.amount[i]
        daily[place, at, CASH] += amount
        moved[place, at] = True
        if movements.is_flow[i]:
            elapsed = (movements.ts[i] - movements.day[i] * NANOSECONDS_PER_DAY) / NANOSECONDS_PER_DAY
            daily[place, at, FLOWS] += amount
            daily[place, at, WEIGHTED] += amount * ((1.0 - elapsed) if movements.day[i] == days[at] else 1.0)
        else:
            daily[place, at, INCOME] += amount
