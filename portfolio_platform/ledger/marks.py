"""Marks: the price that a symbol is valued at on each day, and exchange rates, carried over days without one."""

from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numba import njit

from portfolio_platform.days import day_number
from portfolio_platform.ledger.fixed_point import Float64, Int64, to_floats
from portfolio_platform.ledger.inputs import Actions, encode
from portfolio_platform.ledger.layout import SPLIT

NO_DAY = -1_000_000


@dataclass(frozen=True)
class Series:
    """A value for each name and day of a range: the newest up to that day, and the day it is from.

    Shapes (names, days); NaN and `NO_DAY` before the first value. ``first`` is the day number of column 0.
    """

    names: tuple[str, ...]
    first: int
    value: Float64
    day: Int64


@njit(cache=True)
def _place(
    code: Int64, ts: Int64, day: Int64, value: Float64, first: int, out: Float64, at: Int64, newest: Int64
) -> None:  # pragma: no cover
    """Put each value on its day, the latest of a day winning; days before the range fall on its first column."""
    for i in range(code.size):
        column = max(day[i] - first, 0)
        if column < out.shape[1] and ts[i] >= newest[code[i], column]:
            newest[code[i], column] = ts[i]
            out[code[i], column] = value[i]
            at[code[i], column] = day[i]


@njit(cache=True)
def _carry(out: Float64, at: Int64) -> None:  # pragma: no cover - compiled
    for row in range(out.shape[0]):
        for column in range(1, out.shape[1]):
            if at[row, column] == NO_DAY:
                out[row, column] = out[row, column - 1]
                at[row, column] = at[row, column - 1]


def _series(names: tuple[str, ...], code: Int64, ts: Int64, value: Float64, first: int, last: int) -> Series:
    shape = (len(names), last - first + 1)
    out, at = np.full(shape, np.nan), np.full(shape, NO_DAY, np.int64)
    newest = np.full(shape, np.iinfo(np.int64).min)
    _place(code, ts, day_number(ts), value, first, out, at, newest)
    _carry(out, at)
    return Series(names, first, out, at)


def split_factors(ts: Int64, symbol: str, splits: Actions) -> Float64:
    """Return the product of a symbol's split ratios up to and including each time."""
    factor = np.ones(ts.size)
    for when, name, kind, ratio in zip(splits.ts, splits.symbol, splits.kind, splits.value, strict=True):
        if name == symbol and kind == SPLIT:
            factor[ts >= when] *= ratio
    return factor


def bar_marks(bars: pa.Table, carried: pa.Table, splits: Actions, symbols: tuple[str, ...], first: int, last: int) -> Series:
    """Return each symbol's newest close up to each day, in that day's shares.

    ``bars`` has symbol, ts, close; ``carried`` the last bars before them (symbol, ts, close as float); ``splits`` all
    splits ever, because bars are as traded and an old close counts in the shares of its time.
    """
    code, names = encode(bars["symbol"])
    old_code, old_names = encode(carried["symbol"])
    rank = {symbol: place for place, symbol in enumerate(symbols)}
    translate = np.array([rank.get(name, -1) for name in names] or [-1], dtype=np.int64)
    old_translate = np.array([rank.get(name, -1) for name in old_names] or [-1], dtype=np.int64)
    codes = np.concatenate((old_translate[old_code], translate[code]))
    ts = np.concatenate((carried["ts"].to_numpy(), bars["ts"].to_numpy()))
    close = np.concatenate((carried["close"].to_numpy(), to_floats(bars["close"])))
    held = codes >= 0
    codes, ts, close = codes[held], ts[held], close[held]
    split_symbols = sorted({str(name) for name, kind in zip(splits.symbol, splits.kind, strict=True) if kind == SPLIT} & set(symbols))
    for symbol in split_symbols:
        mine = codes == rank[symbol]
        close[mine] *= split_factors(ts[mine], symbol, splits)
    series = _series(symbols, codes, ts, close, first, last)
    from portfolio_platform.days import NANOSECONDS_PER_DAY

    ends = (np.arange(first, last + 1, dtype=np.int64) + 1) * NANOSECONDS_PER_DAY
    for symbol in split_symbols:
        series.value[rank[symbol]] /= split_factors(ends, symbol, splits)
    return series


def last_bars(bars: pa.Table, carried: pa.Table) -> pa.Table:
    """Return the newest bar of each symbol (symbol, ts, close as float), as traded: the state that the next day needs."""
    close = pa.array(to_floats(bars["close"]))
    fresh = pa.table({"symbol": bars["symbol"].cast(pa.string()), "ts": bars["ts"], "close": close})
    both = pa.concat_tables([carried.select(["symbol", "ts", "close"]), fresh])
    newest = both.group_by("symbol").aggregate([("ts", "max")]).rename_columns(["symbol", "ts"])
    found = both.join(newest, keys=["symbol", "ts"], join_type="inner")
    return found.group_by(["symbol", "ts"]).aggregate([("close", "max")]).rename_columns(["symbol", "ts", "close"]).sort_by("symbol")


def rates(fx_rates: pa.Table, pairs: tuple[tuple[str, str], ...], first: int, last: int) -> Series:
    """Return for each (currency, base) pair the newest rate up to each day; 1 for a currency in itself, NaN where none."""
    rank = {pair: place for place, pair in enumerate(pairs)}
    listed = fx_rates.select(["currency", "base_currency", "ts", "rate"]).to_pylist()
    inverse = [
        (rank[pair], row["ts"], 1.0 / float(row["rate"])) for row in listed if (pair := (row["base_currency"], row["currency"])) in rank
    ]
    # a rate stated the other way round counts too; the newest does, and of one instant the direct one, which is placed last
    rows = inverse + [
        (rank[pair], row["ts"], float(row["rate"])) for row in listed if (pair := (row["currency"], row["base_currency"])) in rank
    ]
    names = tuple(f"{currency}/{base}" for currency, base in pairs)
    codes, ts, value = (np.array([row[k] for row in rows]) for k in range(3))
    series = _series(names, codes.astype(np.int64), ts.astype(np.int64), value.astype(np.float64), first, last)
    for pair, place in rank.items():
        if pair[0] == pair[1]:
            series.value[place] = 1.0
            series.day[place] = np.arange(first, last + 1)
    return series


def empty_marks() -> pa.Table:
    """Return no carried bars."""
    return pa.table({"symbol": pa.array([], pa.string()), "ts": pa.array([], pa.int64()), "close": pa.array([], pa.float64())})


def within(table: pa.Table, after_ts: int, until_ts: int) -> pa.Table:
    """Return the rows of a fact with ``after_ts < ts <= until_ts``; the table itself, not a copy, where that is all of them."""
    span = pc.min_max(table["ts"])
    if len(table) and span["min"].as_py() > after_ts and span["max"].as_py() <= until_ts:
        return table
    return table.filter((pc.field("ts") > after_ts) & (pc.field("ts") <= until_ts))
