"""From change points to a row for each session: carried forward, marked, converted; and the same by open lot."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from numba import njit

from portfolio_platform.days import NANOSECONDS_PER_DAY
from portfolio_platform.ledger import kernel, layout
from portfolio_platform.ledger.accounting import Account
from portfolio_platform.ledger.calendars import portfolio_sessions, session_counts
from portfolio_platform.ledger.fixed_point import Float64, Int64
from portfolio_platform.ledger.inputs import Positions, Reference
from portfolio_platform.ledger.marks import NO_DAY, Series

BAR, AT_FILL = 0, 1


@dataclass(frozen=True)
class Grid:
    """The sessions of every portfolio: ``days[start[k]:start[k+1]]`` are those of ``portfolios[k]``."""

    portfolios: tuple[str, ...]
    start: Int64
    days: Int64
    continuous: npt.NDArray[np.bool_]  # for each session: whether a 24x7 calendar is among the portfolio's

    @property
    def owner(self) -> Int64:
        """Return the portfolio of each session."""
        return np.repeat(np.arange(len(self.portfolios)), np.diff(self.start))


@dataclass(frozen=True)
class Snapshots:
    """A row for each portfolio session and position that has had a fill, sorted by (portfolio, day, position).

    ``session`` indexes the grid's sessions, ``change`` the change point in force; amounts are in the position's
    currency, ``value_base`` in the portfolio's; NaN where a rate is missing.
    """

    session: Int64
    position: Int64
    change: Int64
    mark: Float64
    mark_source: npt.NDArray[np.int8]
    mark_age: Int64
    quantity: Float64
    market_value: Float64
    unrealised_pnl: Float64
    fx_rate: Float64
    value_base: Float64
    stale: npt.NDArray[np.bool_]


@dataclass(frozen=True)
class Lots:
    """Open quantity by template and playbook: rows of `Snapshots` that are open, once for each tag of their lots."""

    row: Int64
    group: Int64
    tag: Int64
    value_base: Float64


def build_grid(
    positions: Positions, first_day: Int64, fill_days: dict[str, Int64], flow_days: dict[str, int], known: Reference, first: int, last: int
) -> Grid:
    """Return the sessions from ``first`` to ``last`` of every portfolio that had a fill or a flow by then.

    ``fill_days`` are days with fills inside the range, ``flow_days`` each portfolio's first flow day ever.
    """
    portfolios = tuple(sorted(set(positions.portfolio.tolist()) | set(flow_days)))
    starts, parts, flags = [0], [], []
    for portfolio in portfolios:
        traded: dict[str, int] = {}
        for place in np.flatnonzero(positions.portfolio == portfolio).tolist():
            calendar = known.calendar_of(positions.symbol[place])
            traded[calendar] = min(traded.get(calendar, last + 1), int(first_day[place]))
        active = [fill_days.get(portfolio, np.empty(0, np.int64))]
        if portfolio in flow_days:
            active.append(np.array([flow_days[portfolio]], np.int64))
        begun = [(calendar, max(day, first)) for calendar, day in sorted(traded.items())]
        days = portfolio_sessions(begun, active, last)
        days = days[days >= first]
        parts.append(days)
        flags.append(days >= traded.get("24x7", last + 1))
        starts.append(starts[-1] + days.size)
    return Grid(
        portfolios,
        np.array(starts, np.int64),
        np.concatenate(parts) if parts else np.empty(0, np.int64),
        np.concatenate(flags) if flags else np.empty(0, bool),
    )


@njit(cache=True)
def _count(grid_start: Int64, grid_days: Int64, owner_start: Int64, change_start: Int64, change_day: Int64) -> int:  # pragma: no cover
    rows = 0
    for k in range(grid_start.size - 1):
        last = grid_start[k + 1]
        for p in range(owner_start[k], owner_start[k + 1]):
            if change_start[p] < change_start[p + 1] and grid_start[k] < last:
                days = grid_days[grid_start[k] : last]
                rows += days.size - np.searchsorted(days, change_day[change_start[p]])
    return rows


@njit(cache=True)
def _expand(
    grid_start: Int64,
    grid_days: Int64,
    owner_start: Int64,
    change_start: Int64,
    change_day: Int64,
    fill_ts: Int64,
    fill_price: Float64,
    shared: Int64,
    symbol: Int64,
    bar_value: Float64,
    bar_day: Int64,
    first: int,
    uses_bars: Any,
    session: Int64,
    position: Int64,
    change: Int64,
    mark: Float64,
    mark_day: Int64,
    source: Any,
) -> None:  # pragma: no cover - compiled
    """Walk the sessions of each portfolio, carrying change points forward, and choose each row's mark.

    A bar of the session's day or at least as new (by day) as the portfolio's last fill of the symbol marks; else that
    fill does.
    """
    n = 0
    newest = np.full(change_start.size, np.iinfo(np.int64).min)
    last_price = np.full(change_start.size, np.nan)
    at = change_start[:-1] - 1
    for k in range(grid_start.size - 1):
        for s in range(grid_start[k], grid_start[k + 1]):
            day = grid_days[s]
            for p in range(owner_start[k], owner_start[k + 1]):
                while at[p] + 1 < change_start[p + 1] and change_day[at[p] + 1] <= day:
                    at[p] += 1
                    if fill_ts[at[p]] >= newest[shared[p]]:
                        newest[shared[p]] = fill_ts[at[p]]
                        last_price[shared[p]] = fill_price[at[p]]
            for p in range(owner_start[k], owner_start[k + 1]):
                if at[p] < change_start[p]:
                    continue
                session[n], position[n], change[n] = s, p, at[p]
                filled = (newest[shared[p]] - 1) // NANOSECONDS_PER_DAY
                barred = bar_day[symbol[p], day - first] if uses_bars[p] else NO_DAY
                if barred >= filled:
                    mark[n], mark_day[n], source[n] = bar_value[symbol[p], day - first], barred, BAR
                else:
                    mark[n], mark_day[n], source[n] = last_price[shared[p]], filled, AT_FILL
                n += 1


def mark_sessions(account: Account, grid: Grid, bars: Series, fx: Series, known: Reference, max_mark_age: int) -> Snapshots:
    """Return the snapshot rows of every session of the grid."""
    positions, changes = account.positions, account.changes
    change_start = np.searchsorted(changes.position, np.arange(positions.size + 1))
    owner_start = np.searchsorted(_rank(positions.portfolio, grid.portfolios), np.arange(len(grid.portfolios) + 1))
    size = _count(grid.start, grid.days, owner_start, change_start, changes.day)
    session, position, change = np.empty(size, np.int64), np.empty(size, np.int64), np.empty(size, np.int64)
    mark, mark_day, source = np.empty(size), np.empty(size, np.int64), np.empty(size, np.int8)
    symbol = _rank(positions.symbol, bars.names)
    quoted = np.array([known.currency.get(name) or currency for name, currency in zip(positions.symbol, positions.currency, strict=True)])
    _expand(
        grid.start,
        grid.days,
        owner_start,
        change_start,
        changes.day,
        changes.fill_ts,
        np.ascontiguousarray(changes.floats[:, layout.FILL_PRICE]),
        _shared(positions),
        symbol,
        bars.value,
        bars.day,
        bars.first,
        quoted == positions.currency if positions.size else np.empty(0, bool),
        session,
        position,
        change,
        mark,
        mark_day,
        source,
    )
    day = grid.days[session]
    units = kernel.all_units(changes.quantity, positions.places[changes.position])[change]
    multiplier = positions.multiplier[position]
    market_value = units * mark * multiplier
    rate = fx.value[_pair(positions, known, fx)[position], day - fx.first] if size else np.empty(0)
    age = _ages(positions, known, position, day, mark_day)
    is_open = units != 0
    return Snapshots(
        session=session,
        position=position,
        change=change,
        mark=mark,
        mark_source=source,
        mark_age=age,
        quantity=units,
        market_value=market_value,
        unrealised_pnl=units * (mark - changes.floats[:, layout.AVERAGE][change]) * multiplier,
        fx_rate=rate,
        value_base=np.where(is_open, market_value * rate, 0.0),
        stale=is_open & (age > max_mark_age),
    )


def expand_lots(account: Account, snapshots: Snapshots) -> Lots:
    """Return the open rows once for each tag of their lots, valued like their position."""
    start = account.changes.group_start
    counts = (start[1:] - start[:-1])[snapshots.change]
    total = int(counts.sum())
    row = np.repeat(np.arange(counts.size), counts)
    first = np.cumsum(counts) - counts
    group = np.arange(total) - first[row] + start[snapshots.change[row]]
    positions, changes = account.positions, account.changes
    places = np.repeat(positions.places[changes.position], np.diff(start))
    units = kernel.all_units(changes.group_quantity, places)[group]
    value = units * snapshots.mark[row] * positions.multiplier[snapshots.position[row]] * snapshots.fx_rate[row]
    return Lots(row, group, account.changes.group_tag[group], value)


def _rank(values: npt.NDArray[np.object_], names: tuple[str, ...]) -> Int64:
    rank = {name: place for place, name in enumerate(names)}
    return np.array([rank[value] for value in values.tolist()], dtype=np.int64)


def _shared(positions: Positions) -> Int64:
    """Return an index that positions of one portfolio, symbol and currency share: they share their last fill as a mark."""
    seen: dict[tuple[str, str, str], int] = {}
    keys = zip(positions.portfolio.tolist(), positions.symbol.tolist(), positions.currency.tolist(), strict=True)
    return np.array([seen.setdefault(key, len(seen)) for key in keys], dtype=np.int64)


def currency_pairs(positions: Positions, flows: list[tuple[str, str]], known: Reference) -> tuple[tuple[str, str], ...]:
    """Return the (currency, base) pairs that positions and (portfolio, currency) flows need, sorted."""
    held = zip(positions.portfolio.tolist(), positions.currency.tolist(), strict=True)
    return tuple(sorted({(currency, known.base_of(portfolio)) for portfolio, currency in [*held, *flows]}))


def _pair(positions: Positions, known: Reference, fx: Series) -> Int64:
    rank = {name: place for place, name in enumerate(fx.names)}
    held = zip(positions.portfolio.tolist(), positions.currency.tolist(), strict=True)
    return np.array([rank[f"{currency}/{known.base_of(portfolio)}"] for portfolio, currency in held], dtype=np.int64)


def _ages(positions: Positions, known: Reference, position: Int64, day: Int64, mark_day: Int64) -> Int64:
    """Return the sessions of each instrument's calendar between its mark and the day."""
    if not day.size:
        return np.empty(0, np.int64)
    low, high = int(min(mark_day.min(), day.min())), int(day.max())
    calendars = sorted({known.calendar_of(symbol) for symbol in positions.symbol.tolist()})
    counts = np.stack([session_counts(calendar, low, high) for calendar in calendars])
    mine = _rank(np.array([known.calendar_of(symbol) for symbol in positions.symbol.tolist()], dtype=object), tuple(calendars))[position]
    ages: Int64 = counts[mine, day - low] - counts[mine, mark_day - low]
    return ages
