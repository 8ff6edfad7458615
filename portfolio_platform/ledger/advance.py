"""One step of the ledger: from the state at the end of a day and the facts after it, to rows and the next state.

A long range is one step; day after day is many; both give the same rows to the last digit.
"""

from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from portfolio_platform.days import day_number, end_of_day_ns, to_date
from portfolio_platform.ledger import accounting, cash, layout, marks, rows, valuation
from portfolio_platform.ledger.accounting import Account, Carried
from portfolio_platform.ledger.equity import History
from portfolio_platform.ledger.fixed_point import Int64, to_decimals
from portfolio_platform.ledger.inputs import Keys, Reference, factorize, read_actions
from portfolio_platform.policy.model import AccountingPolicy


@dataclass(frozen=True)
class Facts:
    """The facts of a ledger. Fills and bars may be those after the state alone; all others are complete."""

    fills: pa.Table
    bars: pa.Table
    cash_flows: pa.Table
    corporate_actions: pa.Table
    fx_rates: pa.Table
    reference: Reference


@dataclass(frozen=True)
class LedgerState:
    """Everything that one more day goes on from, at the end of ``day`` (a day number)."""

    day: int
    positions: Carried | None = None
    bars: pa.Table = field(default_factory=marks.empty_marks)
    money: cash.CarriedCash = field(default_factory=lambda: cash.CarriedCash({}, {}))
    history: dict[str, History] = field(default_factory=dict)


@dataclass(frozen=True)
class Step:
    """A range accounted for and valued, as arrays, and the state after it. ``equity`` is `portfolio_equity`."""

    account: Account
    grid: valuation.Grid
    snapshots: valuation.Snapshots
    lots: valuation.Lots
    money: cash.Cash
    equity: pa.Table
    state: LedgerState

    @cached_property
    def tables(self) -> dict[str, pa.Table]:
        """Return the rows of each derived table; made when asked for, since text and decimals cost more than the accounting."""
        return {
            "ledger_snapshots": rows.snapshot_rows(self.account, self.grid, self.snapshots),
            "lot_exposures": rows.lot_rows(self.account, self.grid, self.snapshots, self.lots),
            "cash_balances": rows.cash_rows(self.grid, self.money),
            "portfolio_equity": self.equity,
            "round_trips": rows.trip_rows(self.account),
        }


def advance(state: LedgerState, facts: Facts, policy: AccountingPolicy, last: int) -> Step:
    """Account for the days after the state up to ``last`` (a day number)."""
    first, known = state.day + 1, facts.reference
    after, until = end_of_day_ns(to_date(state.day)), end_of_day_ns(to_date(last))
    fills = marks.within(facts.fills, after, until)
    # the very first step takes the bars of warm-up too: a close before the first day may be the newest there is
    bars = marks.within(facts.bars, after if state.positions is not None else -1, until)
    actions = read_actions(facts.corporate_actions, after_ts=after, until_ts=until)
    splits = read_actions(facts.corporate_actions, after_ts=-1, until_ts=until)
    flows = facts.cash_flows.filter(pc.field("ts") <= until)
    movements = cash.read_movements(flows, known.base_currency, known.default_currency)
    rates = facts.fx_rates.filter(pc.field("ts") <= until)
    account = accounting.run(fills, actions, known, state.positions)
    # the fills are as large as all that follows: where the caller keeps none, their memory is free from here on
    del facts, fills
    pa.default_memory_pool().release_unused()
    active = _active_days(account)
    grid = valuation.build_grid(account.positions, account.first_day, active, _first_flows(movements), known, first, last)
    pairs = valuation.currency_pairs(account.positions, list(movements.account), known)
    fx = marks.rates(rates, pairs, first, last)
    symbols = tuple(sorted(set(account.positions.symbol.tolist())))
    prices = marks.bar_marks(bars, state.bars, splits, symbols, first, last)
    snapshots = valuation.mark_sessions(account, grid, prices, fx, known, policy.max_mark_age)
    lots = valuation.expand_lots(account, snapshots)
    base_of = {name: known.base_of(name) for name in grid.portfolios}
    money = cash.balances(account, grid, movements, fx, base_of, state.money)
    equity, history = rows.equity_rows(grid, snapshots, money, policy, state.history)
    after_state = LedgerState(
        last,
        carry(account, last),
        marks.last_bars(bars, state.bars),
        _carry_cash(state.money, grid, money),
        history,
    )
    return Step(account, grid, snapshots, lots, money, equity, after_state)


def _active_days(account: Account) -> dict[str, Int64]:
    """Return the days on which each portfolio had fills, or was paid a dividend (or paid one, when short)."""
    changes, owners = account.changes, account.positions.portfolio.tolist()
    filled = day_number(changes.fill_ts) == changes.day
    active = filled | (changes.floats[:, layout.CP_CASH] != 0.0)
    names = sorted(set(owners))
    rank = {name: place for place, name in enumerate(names)}
    owner = np.array([rank[name] for name in owners], dtype=np.int64)[changes.position[active]]
    _, distinct = factorize(changes.day[active] * max(len(names), 1) + owner)
    days, code = np.divmod(np.sort(distinct), max(len(names), 1))
    return {name: days[code == place] for place, name in enumerate(names)}


def _first_flows(movements: cash.Movements) -> dict[str, int]:
    """Return the first day on which each portfolio's cash moved."""
    first: dict[str, int] = {}
    for code, day in zip(movements.code.tolist(), movements.day.tolist(), strict=True):
        name = movements.account[code][0]
        first[name] = min(first.get(name, day), day)
    return first


def _carry_cash(before: cash.CarriedCash, grid: valuation.Grid, money: cash.Cash) -> cash.CarriedCash:
    balances, last_session = dict(before.balances), dict(before.last_session)
    for row in range(money.session.size):
        key = (grid.portfolios[money.portfolio[row]], money.currency[money.account[row]])
        balances[key] = money.values[row]
    for k, portfolio in enumerate(grid.portfolios):
        if grid.start[k] < grid.start[k + 1]:
            last_session[portfolio] = int(grid.days[grid.start[k + 1] - 1])
    return cash.CarriedCash(balances, last_session)


def carry(account: Account, day: int) -> Carried:
    """Return the accounting's end state as it is stored."""
    positions, end = account.positions, account.end
    places = positions.places
    owner = np.repeat(np.arange(positions.size), np.diff(end.lot_start))
    integers, lot_integers = end.integers.copy(), end.lot_integers.copy()
    opened = end.quantities[:, layout.OPEN] != 0
    rows_used = np.concatenate((integers[opened, layout.OPENED_ROW], lot_integers[:, layout.LOT_ROW]))
    distinct, inverse = np.unique(rows_used, return_inverse=True)
    count = int(opened.sum())
    integers[:, layout.OPENED_ROW] = 0
    integers[opened, layout.OPENED_ROW] = inverse[:count]
    lot_integers[:, layout.LOT_ROW] = inverse[count:]
    names = account.row_names(distinct).to_numpy(zero_copy_only=False) if distinct.size else np.empty(0, dtype=object)
    return Carried(
        day=day,
        keys=Keys(positions.portfolio, positions.strategy, positions.symbol, positions.currency, account.tags),
        quantities=to_decimals(end.quantities.ravel(), np.repeat(places, layout.STATE_QUANTITIES)),
        floats=end.floats,
        integers=integers,
        first_day=account.first_day,
        lot_start=end.lot_start,
        lot_quantity=to_decimals(end.lot_quantity, places[owner]),
        lot_floats=end.lot_floats,
        lot_integers=lot_integers,
        row_ids=names,
    )
