"""A seeded generator of canonical facts: bars by a random walk, fills in campaigns that open, scale, close and flip, signals behind them.

The same seed and size give the same rows. Everything is drawn as arrays, and text is laid out byte by byte, so that
the largest size takes seconds a million fills. Tables are written as Parquet to a cache folder outside the repository.
"""

import shutil
import tempfile
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq

from benchmarks.generate_signals import of_campaign, write_signals
from benchmarks.text import hashes, numbered
from portfolio_platform.days import NANOSECONDS_PER_DAY, NANOSECONDS_PER_SECOND, day_number, to_number
from portfolio_platform.lake.arrays import assemble, month_column, named
from portfolio_platform.lake.facts import FACTS
from portfolio_platform.ledger.calendars import sessions
from portfolio_platform.ledger.fixed_point import to_decimals

Int64 = npt.NDArray[np.int64]
Float64 = npt.NDArray[np.float64]

VERSION = 2  # part of the cache folder's name: raise it when the rows change
FIRST_DAY = date(2012, 1, 3)
PORTFOLIOS = ("alpha", "core", "macro")
STRATEGIES = ("breakout", "carry", "reversion", "trend")
TAGS = tuple((f"template_{t}", f"playbook_{t}{p}") for t in "abcde" for p in "xyz")
SECTORS, COHORTS = 11, 24
PRICE_PLACES = 4
OWNERS = 2  # positions of a symbol
OPEN_NS, CLOSE_NS = (14 * 3600 + 1800) * NANOSECONDS_PER_SECOND, 21 * 3600 * NANOSECONDS_PER_SECOND
CHUNK = 500_000  # fills that are held as text at one time


@dataclass(frozen=True)
class Size:
    """How much: symbols, exchange sessions, fills."""

    name: str
    symbols: int
    days: int
    fills: int


SIZES = {size.name: size for size in (Size("S", 20, 250, 17_000), Size("M", 200, 1_250, 900_000), Size("L", 1_000, 2_500, 8_700_000))}


@dataclass(frozen=True)
class Market:
    """Instruments and their bars; prices are integers of 10**-4, shape (symbols, days of the calendar year).

    ``traded`` says on which days a symbol has a bar: exchange sessions, or every day where ``continuous``.
    """

    first: int
    places: Int64
    continuous: npt.NDArray[np.bool_]
    traded: npt.NDArray[np.bool_]
    open: Int64
    high: Int64
    low: Int64
    close: Int64

    @property
    def names(self) -> list[str]:
        """Return the symbols."""
        return [f"{'CC' if always else 'EQ'}{k:04d}" for k, always in enumerate(self.continuous)]


@dataclass(frozen=True)
class Trades:
    """Fills in order of time: who traded what, when, how much (signed, in the symbol's places) and at what price."""

    owner: Int64
    symbol: Int64
    ts: Int64
    quantity: Int64
    price: Int64
    tag: Int64
    campaign: Int64
    order: Int64


def draw_market(size: Size, rng: np.random.Generator) -> Market:
    """Draw instruments and a random walk of prices; every tenth symbol trades round the clock in fractions."""
    first = to_number(FIRST_DAY)
    exchange = sessions("XNYS", first, first + size.days * 366 * 7 // (5 * 352) + 30)[: size.days]
    last = int(exchange[-1])
    days = last - first + 1
    continuous = np.arange(size.symbols) % 10 == 9
    places = np.where(continuous, 8, np.where(rng.random(size.symbols) < 0.15, 3, 0))
    traded = np.zeros((size.symbols, days), bool)
    traded[:, exchange - first] = True
    traded[continuous] = True
    volatility = rng.uniform(0.008, 0.025, (size.symbols, 1)) * np.where(continuous, 1.8, 1.0)[:, None]
    common = rng.standard_normal(days)
    shock = np.where(traded, volatility * (0.5 * common + np.sqrt(0.75) * rng.standard_normal((size.symbols, days))), 0.0)
    start = np.exp(rng.uniform(np.log(20.0), np.log(300.0), (size.symbols, 1)))
    close = np.maximum(start * np.exp(np.cumsum(shock - 0.5 * shock.var(axis=1, keepdims=True), axis=1)), 2.0)
    opening = np.concatenate((start, close[:, :-1]), axis=1)
    wide = np.abs(rng.standard_normal((2, size.symbols, days))) * volatility * 0.4
    unit = 10**PRICE_PLACES

    def ticks(price: Float64) -> Int64:
        return np.maximum(np.rint(price * unit), unit // 2).astype(np.int64)

    shut, begun = ticks(close), ticks(opening)
    high = np.maximum(np.maximum(shut, begun), ticks(np.maximum(close, opening) * (1.0 + wide[0])))
    low = np.minimum(np.minimum(shut, begun), ticks(np.minimum(close, opening) * (1.0 - wide[1])))
    return Market(first, places, continuous, traded, begun, high, low, shut)


def _targets(size: Size, lot: Int64, position: Int64, rng: np.random.Generator) -> tuple[Int64, Int64, npt.NDArray[np.bool_]]:
    """Return the campaign of each fill, the holding aimed at, and whether it opens its campaign.

    A campaign scales in and out again; its last fill goes flat, or through zero to the other side.
    """
    total = position.size
    lengths = rng.integers(2, 13, total // 2 + 1)
    campaign = np.repeat(np.arange(lengths.size), lengths)[:total]
    new = np.concatenate(([True], (campaign[1:] != campaign[:-1]) | (position[1:] != position[:-1])))
    campaign = np.cumsum(new) - 1
    count = np.bincount(campaign)
    step = np.arange(total) - np.flatnonzero(new)[campaign]
    length = count[campaign]
    up = (length + 1) // 2
    share = np.where(step < up, (step + 1) / up, (length - 1 - step) / np.maximum(length - up, 1))
    share = share * np.where(share > 0.0, rng.uniform(0.85, 1.15, total), 0.0)
    side = np.where(rng.random(count.size) < 0.62, 1, -1)
    flips = (rng.random(count.size) < 0.2)[campaign] & (step == length - 1) & (length > 1)
    share[flips] = -rng.uniform(0.2, 0.6, int(flips.sum()))
    peak = rng.uniform(0.5, 2.0, count.size)
    return campaign, np.rint(side[campaign] * peak[campaign] * share * lot[position]).astype(np.int64), new


def draw_trades(size: Size, market: Market, rng: np.random.Generator) -> Trades:
    """Draw the fills: campaigns of every position, spread over its symbol's days, priced inside the day's bar."""
    owners = len(PORTFOLIOS) * len(STRATEGIES)
    owner_of = np.stack([rng.permutation(owners)[:OWNERS] for _ in range(size.symbols)]).ravel()
    symbol_of = np.repeat(np.arange(size.symbols), OWNERS)
    weight = rng.uniform(0.4, 1.6, symbol_of.size)
    position = np.repeat(np.arange(symbol_of.size), rng.multinomial(size.fills, weight / weight.sum()))
    symbol = symbol_of[position]
    lot = np.maximum(20_000 * 10**PRICE_PLACES * 10.0**market.places / market.close.mean(axis=1), 30)[symbol_of].astype(np.int64)
    campaign, target, opens = _targets(size, lot, position, rng)
    first_of_position = np.concatenate(([True], position[1:] != position[:-1]))
    quantity = np.diff(target, prepend=0)
    quantity[first_of_position] = target[first_of_position]
    ts = _times(market, symbol, position, rng)
    # an eighth of the fills is the second execution of an order, at the same instant
    same_side = np.concatenate(([False], np.sign(quantity[1:]) == np.sign(quantity[:-1])))
    second = (rng.random(position.size) < 0.125) & ~opens & same_side
    second[1:] &= ~second[:-1]
    ts[second] = ts[np.flatnonzero(second) - 1]
    day = day_number(ts) - market.first
    low, high = market.low[symbol, day], market.high[symbol, day]
    price = low + (rng.random(position.size) * (high - low + 1)).astype(np.int64)
    tag = rng.integers(0, len(TAGS), int(campaign[-1]) + 1)[campaign]
    order = np.cumsum(~second)
    kept = np.flatnonzero(quantity != 0)
    kept = kept[np.argsort(ts[kept], kind="stable")]
    columns = (owner_of[position], symbol, ts, quantity, price, tag, campaign, order)
    return Trades(*(column[kept] for column in columns))


def _times(market: Market, symbol: Int64, position: Int64, rng: np.random.Generator) -> Int64:
    """Draw a time for each fill, ascending within its position, on a day on which its symbol trades."""
    counts = market.traded.sum(axis=1)
    starts = np.concatenate(([0], np.cumsum(counts)))
    days = np.nonzero(market.traded)[1]
    chosen = days[starts[symbol] + (rng.random(symbol.size) * counts[symbol]).astype(np.int64)]
    chosen += market.first
    within = rng.random(symbol.size)
    always = market.continuous[symbol]
    opened = np.where(always, 1, OPEN_NS)
    span = np.where(always, NANOSECONDS_PER_DAY - 2, CLOSE_NS - OPEN_NS)
    millisecond = 1_000_000
    ts = chosen * NANOSECONDS_PER_DAY + opened + (within * span).astype(np.int64)
    ts = ts // millisecond * millisecond + millisecond
    return ts[np.lexsort((ts, position))]


def bookkeeping(fact: str, rows: int, at: int, ids: pa.Array, ts: Int64, rng: np.random.Generator) -> dict[str, pa.Array]:
    """Return what the import would add to rows of a fact; ``at`` is how many rows of the file come before."""
    return {
        "row_id": ids,
        "revision": pa.array(np.zeros(rows, np.int64)),
        "bust": pa.array(np.zeros(rows, bool)),
        "content_hash": hashes(rows, rng),
        "import_seq": pa.array(np.ones(rows, np.int64)),
        "recorded_at": pa.array(np.full(rows, to_number(FIRST_DAY) * NANOSECONDS_PER_DAY)),
        "source_file": named([f"{fact}.csv"], np.zeros(rows, np.int64)),
        "source_line": pa.array(np.arange(at, at + rows) + 2),
        "month": month_column(day_number(ts)),
    }


def _fill_rows(trades: Trades, market: Market, at: int, until: int, rng: np.random.Generator) -> pa.Table:
    """Return fills ``at`` to ``until`` as rows of the fact table."""
    part = Trades(*(column[at:until] for column in vars(trades).values()))
    rows = part.ts.size
    size, four = np.abs(part.quantity), np.full(rows, PRICE_PLACES)
    notional = size / 10.0 ** market.places[part.symbol] * part.price / 10**PRICE_PLACES
    fee = np.rint(np.maximum(notional * 0.0002, 0.35) * 100).astype(np.int64)
    ids = numbered("EX-", np.arange(at, until) + 1, 9)
    sign = np.sign(part.quantity)
    guarded = rng.random(rows) < 0.7
    nothing = pa.nulls(rows, pa.string())

    def offset(fraction: float) -> pa.Array:
        away = np.maximum(np.rint(part.price * (1.0 + fraction * sign)), 1).astype(np.int64)
        return to_decimals(away, four)

    def where(values: pa.Array) -> pa.Array:
        return pa.compute.if_else(pa.array(guarded), values, pa.nulls(rows, values.type))

    columns = {
        "execution_id": ids,
        "ts": pa.array(part.ts),
        "portfolio": named(PORTFOLIOS, part.owner // len(STRATEGIES)),
        "strategy": named(STRATEGIES, part.owner % len(STRATEGIES)),
        "symbol": named(market.names, part.symbol),
        "side": named(("sell", "buy"), (sign > 0).astype(np.int64)),
        "quantity": to_decimals(size, market.places[part.symbol]),
        "price": to_decimals(part.price, four),
        "currency": named(["USD"], np.zeros(rows, np.int64)),
        "fee": to_decimals(fee, np.full(rows, 2)),
        "order_id": numbered("ORD-", part.order, 9),
        "signal_id": of_campaign(part.campaign, "SIG-"),
        "intent_id": of_campaign(part.campaign, "INT-"),
        "template": named([template for template, _ in TAGS], part.tag),
        "playbook": named([playbook for _, playbook in TAGS], part.tag),
        "decision_price": offset(-0.0004),
        "decision_ts": pa.array(part.ts - 60 * NANOSECONDS_PER_SECOND),
        "stop_price": where(offset(-0.03)),
        "target_price": where(offset(0.06)),
        "account": nothing,
        "purpose": named(["policy"], np.zeros(rows, np.int64)),
        "trigger_id": nothing,
    }
    return assemble(FACTS["fills"].table, columns | bookkeeping("fills", rows, at, ids, part.ts, rng))


def _bar_rows(market: Market, rng: np.random.Generator) -> pa.Table:
    day, symbol = np.nonzero(market.traded.T)
    close_of = np.where(market.continuous[symbol], NANOSECONDS_PER_DAY, CLOSE_NS)
    ts = (market.first + day) * NANOSECONDS_PER_DAY + close_of
    four = np.full(day.size, PRICE_PLACES)
    names = named(market.names, symbol)
    prices = {name: to_decimals(getattr(market, name)[symbol, day], four) for name in ("open", "high", "low", "close")}
    volume = to_decimals(rng.integers(10_000, 5_000_000, day.size), np.zeros(day.size, np.int64))
    ids = pa.compute.binary_join_element_wise(names, pa.array(ts).cast(pa.string()), "|")
    columns: dict[str, Any] = {"symbol": names, "ts": pa.array(ts), **prices, "volume": volume}
    return assemble(FACTS["bars"].table, columns | bookkeeping("bars", day.size, 0, ids, ts, rng))


def _flow_rows(size: Size, rng: np.random.Generator) -> pa.Table:
    """Return initial funding, a deposit each half-year, and some withdrawals and interest."""
    first, nine = to_number(FIRST_DAY), 9 * 3600 * NANOSECONDS_PER_SECOND
    funding = 30_000_00 * size.symbols * OWNERS // len(PORTFOLIOS)
    rows = [(0, name, funding, "initial_funding") for name in PORTFOLIOS]
    for k in range(1, size.days // 125):
        name = PORTFOLIOS[k % len(PORTFOLIOS)]
        rows.append((k * 180, name, funding // 20, "deposit"))
        rows.append((k * 180 - 61, name, -funding // 50, "withdrawal"))
        rows.append((k * 180 - 33, name, funding // 1000, "interest"))
    rows = sorted(rows)
    ts = np.array([(first + day) * NANOSECONDS_PER_DAY + nine for day, *_ in rows])
    ids = numbered("CF-", np.arange(len(rows)) + 1, 5)
    columns = {
        "flow_id": ids,
        "ts": pa.array(ts),
        "portfolio": pa.array([row[1] for row in rows]),
        "amount": to_decimals(np.array([row[2] for row in rows]), np.full(len(rows), 2)),
        "currency": pa.array(["USD"] * len(rows)),
        "kind": pa.array([row[3] for row in rows]),
        "account": pa.nulls(len(rows), pa.string()),
    }
    return assemble(FACTS["cash_flows"].table, columns | bookkeeping("cash_flows", len(rows), 0, ids, ts, rng))


def _instrument_rows(market: Market, rng: np.random.Generator) -> pa.Table:
    names, count = market.names, len(market.names)
    kinds = (market.continuous).astype(np.int64)
    columns = {
        "symbol": pa.array(names),
        "asset_class": named(("equity", "crypto"), kinds),
        "sector": named([f"sector_{k:02d}" for k in range(SECTORS)], np.arange(count) % SECTORS),
        "cohort": named([f"cohort_{k:02d}" for k in range(COHORTS)], np.arange(count) % COHORTS),
        "currency": pa.array(["USD"] * count),
        "multiplier": to_decimals(np.ones(count, np.int64), np.zeros(count, np.int64)),
        "calendar": named(("XNYS", "24x7"), kinds),
    }
    known = bookkeeping("instruments", count, 0, pa.array(names), np.ones(count, np.int64), rng)
    known.pop("month")
    return assemble(FACTS["instruments"].table, columns | known)


def write_facts(size: Size, folder: Path, seed: int = 7) -> None:
    """Draw the facts of a size and write them as Parquet files of a folder, fills a chunk at a time."""
    rng = np.random.default_rng(seed)
    folder.mkdir(parents=True, exist_ok=True)
    market = draw_market(size, rng)
    trades = draw_trades(size, market, rng)
    with pq.ParquetWriter(folder / "fills.parquet", FACTS["fills"].table.arrow_schema()) as writer:
        for at in range(0, trades.ts.size, CHUNK):
            writer.write_table(_fill_rows(trades, market, at, min(at + CHUNK, trades.ts.size), rng))
    pq.write_table(_bar_rows(market, rng), folder / "bars.parquet")
    pq.write_table(_flow_rows(size, rng), folder / "cash_flows.parquet")
    pq.write_table(_instrument_rows(market, rng), folder / "instruments.parquet")
    write_signals(trades, market, len(TAGS), folder, rng)


def default_cache() -> Path:
    """Return the folder of generated facts: in the machine's folder for temporary files."""
    return Path(tempfile.gettempdir()) / "portfolio_platform_benchmarks"


def facts_folder(size: str, cache: Path | None = None, seed: int = 7) -> Path:
    """Return the folder with the facts of a size, made where it is not there yet."""
    folder = (cache or default_cache()) / f"{size}-seed{seed}-v{VERSION}"
    if not folder.is_dir():
        part = folder.with_name(f".{folder.name}.part")
        shutil.rmtree(part, ignore_errors=True)
        write_facts(SIZES[size], part, seed)
        part.replace(folder)
    return folder
