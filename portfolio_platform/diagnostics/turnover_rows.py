"""From fills and round trips to the arrays of D5, and from its figures to rows. Pure: tables in, arrays and tables out."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from portfolio_platform.days import day_number
from portfolio_platform.diagnostics import turnover as d5
from portfolio_platform.lake import derived
from portfolio_platform.lake.arrays import assemble, day_column, month_column, named, number_column
from portfolio_platform.ledger.fixed_point import to_floats
from portfolio_platform.ledger.inputs import Reference, encode, key_fills

Int64 = npt.NDArray[np.int64]
Flags = npt.NDArray[np.bool_]
NO_SESSION = -1
BEFORE_ALL = -(1 << 40)


@dataclass(frozen=True)
class Sessions:
    """The sessions of each portfolio as day numbers, ascending; ``after`` is the day of the session before them, where there is one."""

    days: Mapping[str, Int64]
    after: Mapping[str, int] = field(default_factory=dict)

    def number(self, portfolio: str, day: Int64) -> Int64:
        """Return the session that each day counts in: itself, or the next one; `NO_SESSION` after the last, and up to ``after``."""
        mine = self.days[portfolio]
        found = np.searchsorted(mine, day)
        inside = (found < mine.size) & (day > self.after.get(portfolio, BEFORE_ALL))
        return np.where(inside, found, NO_SESSION).astype(np.int64)


@dataclass(frozen=True)
class Traded:
    """One portfolio's fills, and its round trips by session; ``symbols`` names the fills' symbols, sorted."""

    fills: d5.Fills
    trips: Int64
    symbols: tuple[str, ...]


def turned(fills: pa.Table, trips: pa.Table) -> Flags:
    """Say of each fill whether it turned its position's side: it closed all there was, and opened the rest on the other side.

    ``fills`` has row_id and quantity; ``trips`` are rows of `round_trips` (method, closing_row_id, quantity). What a fill
    closed is what the ledger matched with it, first in, first out; the rest it opened.
    """
    out = np.zeros(len(fills), bool)
    flat = pc.unique(trips["closing_row_id"].filter(pc.equal(trips["method"], "flat_to_flat")))
    place = pc.index_in(trips["closing_row_id"].filter(pc.equal(trips["method"], "fifo")), flat)
    quantity = trips["quantity"].filter(pc.equal(trips["method"], "fifo"))
    matched = pa.table({"place": place, "quantity": quantity}).group_by("place").aggregate([("quantity", "sum")])
    matched = matched.filter(pc.is_valid(matched["place"]))
    at = pc.index_in(fills["row_id"], flat.take(matched["place"]).combine_chunks())
    closes = pc.is_valid(at)
    closed = matched["quantity_sum"].take(at.filter(closes))
    out[closes.to_numpy()] = pc.greater(fills["quantity"].filter(closes), closed).to_numpy()
    return out


def traded(fills: pa.Table, trips: pa.Table, rates: pa.Table, known: Reference, sessions: Sessions) -> dict[str, Traded]:
    """Return what each portfolio with a session traded.

    ``fills`` has `ledger.inputs.FILL_COLUMNS` and order_id; ``trips`` rows of `round_trips` (portfolio, day, method,
    closing_row_id, quantity); ``rates`` rows of `cash_balances` (portfolio, day, currency, fx_rate): a fill is converted
    at its session's rate, as the ledger converts its cash. Fills of no session are left out.
    """
    arrays, keys, _ = key_fills(fills, known, None)
    multiplier = np.array([known.multiplier.get(name, 1.0) for name in keys.symbol.tolist()], np.float64)
    value = arrays.sign * to_floats(fills["quantity"]) * arrays.price * multiplier[arrays.position]
    order = _orders(fills["order_id"])
    flip = turned(fills, trips)
    by_time = _by_time(arrays.ts, value, arrays.fee)
    closings = trips.filter(pc.equal(trips["method"], "flat_to_flat"))
    out = {}
    for portfolio, days in sessions.days.items():
        at = by_time[(keys.portfolio == portfolio)[arrays.position[by_time]]]
        session = sessions.number(portfolio, day_number(arrays.ts[at]))
        at, session = at[session != NO_SESSION], session[session != NO_SESSION]
        position = arrays.position[at]
        of_cash = rates.filter(pc.equal(rates["portfolio"], portfolio))
        rate = _rates(of_cash, sessions.number(portfolio, _days(of_cash["day"])), days.size, keys.currency)[position, session]
        symbols = sorted(set(keys.symbol[position].tolist()))
        rank = {name: place for place, name in enumerate(symbols)}
        symbol = np.array([rank.get(name, -1) for name in keys.symbol.tolist()], np.int64)[position]
        mine = closings.filter(pc.equal(closings["portfolio"], portfolio))
        closed = sessions.number(portfolio, _days(mine["day"]))
        out[portfolio] = Traded(
            d5.Fills(session, symbol, order[at], value[at] * rate, arrays.fee[at] * rate, flip[at]),
            np.bincount(closed[closed != NO_SESSION], minlength=days.size),
            tuple(symbols),
        )
    return out


def _orders(column: pa.ChunkedArray) -> Int64:
    """Return a number for each order, -1 where a fill names none."""
    array = column.combine_chunks()
    encoded = array if pa.types.is_dictionary(array.type) else array.dictionary_encode()
    return np.asarray(encoded.indices.fill_null(-1).to_numpy(), np.int64)


def _by_time(ts: Int64, value: npt.NDArray[np.float64], fee: npt.NDArray[np.float64]) -> Int64:
    """Return an order of fills that does not depend on how they were read; of one instant, by what they add to a sum."""
    order = np.argsort(ts, kind="stable")
    same = ts[order][1:] == ts[order][:-1]
    tied = np.flatnonzero(np.concatenate(([False], same)) | np.concatenate((same, [False])))
    rows = order[tied]
    order[tied] = rows[np.lexsort((fee[rows], value[rows], ts[rows]))]
    return order


def _rates(rates: pa.Table, session: Int64, size: int, currency: npt.NDArray[np.object_]) -> npt.NDArray[np.float64]:
    """Return the rate of each position's ``currency`` in each session, NaN where there is none."""
    code, names = encode(rates["currency"])
    table = np.full((len(names) + 1, size), np.nan)
    inside = session != NO_SESSION
    table[code[inside], session[inside]] = rates["fx_rate"].to_numpy().astype(np.float64)[inside]
    rank = {name: place for place, name in enumerate(names)}
    return table[np.array([rank.get(name, len(names)) for name in currency.tolist()], np.int64)]


def _days(column: pa.ChunkedArray) -> Int64:
    return np.asarray(column.cast(pa.int32()).to_numpy(), np.int64)


@dataclass(frozen=True)
class Figures:
    """A portfolio's figures of the sessions from ``first`` on (numbers in ``found``), and its churn; ``days`` are of all sessions."""

    portfolio: str
    days: Int64
    first: int
    found: d5.Turnover
    churn: d5.Churn
    symbols: tuple[str, ...]


def turnover_rows(figures: Sequence[Figures]) -> pa.Table:
    """Return `turnover_metrics`, sorted by its key."""
    table = derived.TURNOVER_METRICS
    parts = [assemble(table, _turnover_columns(item)) for item in figures]
    return pa.concat_tables([table.arrow_schema().empty_table(), *parts]).sort_by([(name, "ascending") for name in table.key])


def _turnover_columns(item: Figures) -> dict[str, pa.Array]:
    found, daily, wanted = item.found, item.found.daily, slice(item.first, None)
    days = item.days[wanted]
    numbers = {
        "traded": daily.bought + daily.sold,
        "turnover_two_sided": daily.two_sided,
        "turnover_one_sided": daily.one_sided,
        "turnover_20": found.turnover,
        "turnover_baseline": found.baseline,
        "fills_tail": found.fills_tail,
        "trades_tail": found.trades_tail,
        "trips_tail": found.trips_tail,
        "churn_20": found.churn,
        "flip_rate": found.flip_rate,
        "cost_bps": found.cost_bps,
        "cost_drag_bps": found.cost_drag_bps,
    }
    counts = {
        "fills": daily.fills,
        "fills_20": found.fills,
        "fills_baseline": found.fills_baseline,
        "trades": daily.trades,
        "trades_20": found.trades,
        "trades_baseline": found.trades_baseline,
        "trips": daily.trips,
        "trips_20": found.trips,
        "trips_baseline": found.trips_baseline,
        "baseline_sessions": found.baseline_sessions,
    }
    return {
        "day": day_column(days),
        "portfolio": pa.array([item.portfolio] * days.size, pa.string()),
        **{name: number_column(values[wanted]) for name, values in numbers.items()},
        **{name: pa.array(values[wanted].astype(np.int64)) for name, values in counts.items()},
        "reason": named(d5.REASONS, found.status[wanted]),
        "month": month_column(days),
    }


def churn_rows(figures: Sequence[Figures]) -> pa.Table:
    """Return `symbol_churn`, sorted by its key."""
    size = np.array([item.churn.session.size for item in figures], np.int64)
    days = np.concatenate([np.empty(0, np.int64), *(item.days[item.churn.session] for item in figures)])
    # each portfolio is in order already, and portfolios come in the order of their names
    order = np.argsort(days, kind="stable")
    portfolio = np.repeat(np.arange(size.size), size)[order]
    names = sorted({name for item in figures for name in item.symbols})
    rank = {name: place for place, name in enumerate(names)}
    symbols = [np.array([rank[name] for name in item.symbols], np.int64)[item.churn.symbol] for item in figures if item.symbols]

    def column(field: str, kind: type) -> npt.NDArray[Any]:
        return np.concatenate([np.empty(0, kind), *(getattr(item.churn, field) for item in figures)])[order]

    churn = column("churn", np.float64)
    columns = {
        "day": day_column(days[order]),
        "portfolio": named([item.portfolio for item in figures], portfolio),
        "symbol": named(names, np.concatenate([np.empty(0, np.int64), *symbols])[order]),
        "churn": number_column(churn),
        "trades": pa.array(column("trades", np.int64)),
        "flips": pa.array(column("flips", np.int64)),
        "traded": number_column(column("traded", np.float64)),
        "fees": number_column(column("fees", np.float64)),
        "reason": named(d5.REASONS, np.where(np.isnan(churn), d5.MISSING_RATE, d5.OK)),
        "month": month_column(days[order]),
    }
    return assemble(derived.SYMBOL_CHURN, columns)
