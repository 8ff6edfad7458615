"""From the accounting's arrays to the rows of the derived tables, sorted by key."""

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from portfolio_platform.days import day_number
from portfolio_platform.lake import derived
from portfolio_platform.lake.arrays import assemble, day_column, month_column, named, number_column
from portfolio_platform.ledger import cash as cash_columns
from portfolio_platform.ledger import layout
from portfolio_platform.ledger.accounting import Account
from portfolio_platform.ledger.calendars import periods_per_year
from portfolio_platform.ledger.cash import Cash
from portfolio_platform.ledger.equity import History, rolling_moments, unit_values
from portfolio_platform.ledger.fixed_point import Float64, Int64, to_decimals
from portfolio_platform.ledger.valuation import BAR, Grid, Lots, Snapshots
from portfolio_platform.policy.model import AccountingPolicy

MARK_SOURCES = ("bar", "fill")
MISSING_RATE = "missing_fx_rate"


def _position_columns(account: Account, position: Int64) -> dict[str, pa.Array]:
    names = account.positions
    return {
        "portfolio": named(names.portfolio, position),
        "strategy": named(names.strategy, position),
        "symbol": named(names.symbol, position),
        "currency": named(names.currency, position),
    }


def _reasons(missing: np.ndarray, reason: str) -> pa.Array:
    return named(["", reason], missing.astype(np.int64))


def snapshot_rows(account: Account, grid: Grid, snapshots: Snapshots) -> pa.Table:
    """Return `ledger_snapshots`, sorted by day, portfolio and position."""
    changes, position, change = account.changes, snapshots.position, snapshots.change
    order = np.lexsort((position, grid.days[snapshots.session]))
    position, change = position[order], change[order]
    day = grid.days[snapshots.session][order]
    is_open = snapshots.quantity[order] != 0
    tag = np.where(changes.tag[change] < 0, len(account.tags), changes.tag[change])
    groups = np.diff(changes.group_start)[change]
    templates = [*(template for template, _ in account.tags), None]
    playbooks = [*(playbook for _, playbook in account.tags), None]
    floats = changes.floats
    columns = {
        "day": day_column(day),
        **_position_columns(account, position),
        "quantity": to_decimals(changes.quantity[change], account.positions.places[position]),
        "average_cost": number_column(np.where(is_open, floats[change, layout.AVERAGE], np.nan)),
        "mark": number_column(snapshots.mark[order]),
        "mark_source": named(MARK_SOURCES, (snapshots.mark_source[order] != BAR).astype(np.int64)),
        "mark_age": pa.array(snapshots.mark_age[order]),
        "market_value": number_column(snapshots.market_value[order]),
        "unrealised_pnl": number_column(snapshots.unrealised_pnl[order]),
        "realised_pnl": number_column(floats[change, layout.REALISED]),
        "fees": number_column(floats[change, layout.FEES]),
        "income": number_column(floats[change, layout.INCOME]),
        "stop_price": number_column(np.where(is_open, floats[change, layout.STOP], np.nan)),
        "template": named(templates, tag),
        "playbook": named(playbooks, tag),
        "lots_differ": pa.array(groups > 1),
        "fx_rate": number_column(snapshots.fx_rate[order]),
        "market_value_base": number_column(snapshots.value_base[order]),
        "reason": _reasons(~np.isfinite(snapshots.value_base[order]), MISSING_RATE),
        "month": month_column(day),
    }
    return assemble(derived.LEDGER_SNAPSHOTS, columns)


def lot_rows(account: Account, grid: Grid, snapshots: Snapshots, lots: Lots) -> pa.Table:
    """Return `lot_exposures`, sorted by day, portfolio, position, template and playbook."""
    day = grid.days[snapshots.session[lots.row]]
    order = np.lexsort((lots.tag, snapshots.position[lots.row], day))
    row, day = lots.row[order], day[order]
    position = snapshots.position[row]
    columns = {
        "day": day_column(day),
        **_position_columns(account, position),
        "template": named([template for template, _ in account.tags], lots.tag[order]),
        "playbook": named([playbook for _, playbook in account.tags], lots.tag[order]),
        "quantity": to_decimals(account.changes.group_quantity[lots.group[order]], account.positions.places[position]),
        "market_value_base": number_column(lots.value_base[order]),
        "stale": pa.array(snapshots.stale[row]),
        "month": month_column(day),
    }
    return assemble(derived.LOT_EXPOSURES, columns)


def cash_rows(grid: Grid, money: Cash) -> pa.Table:
    """Return `cash_balances`, sorted by day, portfolio and currency."""
    day = grid.days[money.session]
    order = np.lexsort((money.account, day))
    values, rate = money.values[order], money.fx_rate[order]
    columns = {
        "day": day_column(day[order]),
        "portfolio": named(grid.portfolios, money.portfolio[order]),
        "currency": named(money.currency, money.account[order]),
        "cash": number_column(values[:, cash_columns.CASH]),
        "flows": number_column(values[:, cash_columns.FLOWS]),
        "income": number_column(values[:, cash_columns.INCOME]),
        "trades": number_column(values[:, cash_columns.TRADES]),
        "fees": number_column(values[:, cash_columns.FEES]),
        "fx_rate": number_column(rate),
        "cash_base": number_column(_convert(values[:, cash_columns.CASH], rate)),
        "month": month_column(day[order]),
    }
    return assemble(derived.CASH_BALANCES, columns)


def _convert(amount: Float64, rate: Float64) -> Float64:
    """Return amounts in base currency; nothing of a currency is nothing, whatever its rate."""
    return np.where(amount == 0.0, 0.0, amount * rate)


def _sums(session: Int64, values: Float64, size: int) -> Float64:
    """Return the sum of each session, taken in the order of the rows."""
    sums: Float64 = np.bincount(session, values, minlength=size) if session.size else np.zeros(size)  # type: ignore[assignment]
    return sums


def _count_late(
    money: Cash, first: int, valued: np.ndarray, flow: Float64, weighted: Float64, before: History
) -> tuple[dict[str, float], bool]:
    """Let flows of sessions without a value count in the next that has one, at its rates, in place.

    Returns what the next range goes on from: flows by currency at the last session with a value, and whether others came since.
    """
    flows, waiting = dict(before.flows), before.waiting
    if not waiting and valued.all():
        here = cash_columns.flows_by_currency(money, first + valued.size - 1) if valued.size else None
        return ({currency: amount for currency, (amount, _) in here.items()} if here is not None else flows), False
    for t in range(valued.size):
        if not valued[t]:
            waiting = True
            continue
        here = cash_columns.flows_by_currency(money, first + t)
        if waiting:
            late = [(amount - flows.get(currency, 0.0), rate) for currency, (amount, rate) in here.items()]
            total = sum(amount * rate for amount, rate in late if amount != 0.0)
            weighted[t] += total - flow[t]
            flow[t] = total
        flows, waiting = {currency: amount for currency, (amount, _) in here.items()}, False
    return flows, waiting


def equity_rows(
    grid: Grid, snapshots: Snapshots, money: Cash, policy: AccountingPolicy, history: dict[str, History]
) -> tuple[pa.Table, dict[str, History]]:
    """Return `portfolio_equity`, and what each portfolio's series goes on from."""
    size = grid.days.size
    value, session = snapshots.value_base, snapshots.session
    long, short = _sums(session, np.maximum(value, 0.0), size), _sums(session, np.maximum(-value, 0.0), size)
    cash = _sums(money.session, _convert(money.values[:, cash_columns.CASH], money.fx_rate), size)
    flow = _sums(money.session, _convert(money.session_flow, money.fx_rate), size)
    weighted = _sums(money.session, _convert(money.values[:, cash_columns.WEIGHTED], money.fx_rate), size)
    equity = cash + _sums(session, value, size)
    unit, returns, at_end = np.empty(size), np.empty(size), np.zeros(size, bool)
    volatility, sharpe, number = np.empty(size), np.empty(size), np.empty(size, np.int64)
    reasons: list[str] = []
    after: dict[str, History] = dict(history)
    for k, portfolio in enumerate(grid.portfolios):
        at = slice(int(grid.start[k]), int(grid.start[k + 1]))
        before = history.get(portfolio, History())
        since, since_weighted = flow[at].copy(), weighted[at].copy()
        flows, waiting = _count_late(money, at.start, np.isfinite(equity[at]), since, since_weighted, before)
        series = unit_values(equity[at], since, since_weighted, policy.flow_timing, before)
        unit[at], returns[at], at_end[at] = series.unit_value, series.daily_return, series.flow_at_end
        periods = np.where(grid.continuous[at], periods_per_year(True), periods_per_year(False))
        volatility[at], sharpe[at] = rolling_moments(series.daily_return, before.returns, periods)
        number[at] = before.sessions + np.arange(equity[at].size)
        reasons += series.reason
        after[portfolio] = before.extended(equity[at], series, flows, waiting)
    exposures = {"gross_exposure": long + short, "net_exposure": long - short, "long_exposure": long, "short_exposure": short}
    positive = np.where(equity > 0.0, equity, np.nan)
    columns = {
        "day": day_column(grid.days),
        "portfolio": named(grid.portfolios, grid.owner),
        "cash": number_column(cash),
        "market_value": number_column(equity - cash),
        "equity": number_column(equity),
        "net_flow": number_column(flow),
        "weighted_flow": number_column(weighted),
        "unit_value": number_column(unit),
        "daily_return": number_column(returns),
        **{name: number_column(amount) for name, amount in exposures.items()},
        **{f"{name}_pct": number_column(amount / positive) for name, amount in exposures.items()},
        "volatility_60": number_column(volatility),
        "sharpe_60": number_column(sharpe),
        "open_positions": pa.array(_sums(session, (snapshots.quantity != 0).astype(np.float64), size).astype(np.int64)),
        "stale_positions": pa.array(_sums(session, snapshots.stale.astype(np.float64), size).astype(np.int64)),
        "stale_exposure": number_column(_sums(session, np.where(snapshots.stale, np.abs(value), 0.0), size)),
        "flow_at_end": pa.array(at_end),
        "session": pa.array(number),
        "reason": pa.array(reasons, pa.string()),
        "month": month_column(grid.days),
    }
    rows = assemble(derived.PORTFOLIO_EQUITY, columns)
    return rows.sort_by([("day", "ascending"), ("portfolio", "ascending")]), after


def trip_rows(account: Account) -> pa.Table:
    """Return `round_trips` that closed in the range, by closing time, position, method and id."""
    z, f = account.trip_integers, account.trip_floats
    position, tag = z[:, layout.TRIP_POSITION], z[:, layout.TRIP_TAG]
    day = day_number(z[:, layout.TRIP_CLOSED])
    method = np.where(z[:, layout.TRIP_METHOD] == layout.FIFO, 1, 0)
    opening, closing = account.row_names(z[:, layout.TRIP_FIRST_ROW]), account.row_names(z[:, layout.TRIP_LAST_ROW])
    columns = {
        **_position_columns(account, position),
        "direction": named(("short", "long"), (z[:, layout.TRIP_SIGN] > 0).astype(np.int64)),
        "opened_at": pa.array(z[:, layout.TRIP_OPENED]),
        "closed_at": pa.array(z[:, layout.TRIP_CLOSED]),
        "quantity": to_decimals(account.trip_quantity, account.positions.places[position]),
        "entry_price": number_column(f[:, layout.TRIP_ENTRY]),
        "exit_price": number_column(f[:, layout.TRIP_EXIT]),
        "realised_pnl": number_column(f[:, layout.TRIP_PNL]),
        "fees": number_column(f[:, layout.TRIP_FEE]),
        "holding_seconds": number_column((z[:, layout.TRIP_CLOSED] - z[:, layout.TRIP_OPENED]) / 1e9),
        "method": named(("flat_to_flat", "fifo"), method),
        "template": named([template for template, _ in account.tags], tag),
        "playbook": named([playbook for _, playbook in account.tags], tag),
        "opening_row_id": opening,
        "closing_row_id": closing,
        "day": day_column(day),
        "month": month_column(day),
    }
    keys = ("method", "portfolio", "strategy", "symbol", "currency", "opening_row_id", "closing_row_id")
    columns["round_trip_id"] = pc.binary_join_element_wise(*(columns[name].cast(pa.string()) for name in keys), "/")
    return assemble(derived.ROUND_TRIPS, columns).sort_by([("closed_at", "ascending"), ("round_trip_id", "ascending")])
