"""Excursions of many trades over bars against a range join in DuckDB, and the record of every playbook; equal results first."""

from collections.abc import Iterator

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from benchmarks.measure import alternate, seconds, wall
from benchmarks.registry import Bench, Row, benchmark
from portfolio_platform.days import NANOSECONDS_PER_DAY
from portfolio_platform.lake.derived import SIGNAL_OUTCOMES
from portfolio_platform.lake.facts import CORPORATE_ACTIONS
from portfolio_platform.signals.bars import BAR_COLUMNS, Bars, lay_out
from portfolio_platform.signals.excursions import Excursions, Trades, excursions
from portfolio_platform.signals.statistics import COLUMNS, playbook_statistics

GOAL, TOLERANCE, TRADES, SIGNALS = 50.0, 1e-12, 200_000, 200_000
JOIN = """
    select t.trade,
           case when t.sign > 0 then t.entry - least(t.entry, t.exit, coalesce(min(b.low), t.entry))
                else greatest(t.entry, t.exit, coalesce(max(b.high), t.entry)) - t.entry end / t.risk as adverse,
           case when t.sign > 0 then greatest(t.entry, t.exit, coalesce(max(b.high), t.entry)) - t.entry
                else t.entry - least(t.entry, t.exit, coalesce(min(b.low), t.entry)) end / t.risk as favourable,
           count(b.ts) as bars
    from trades t left join bars b on b.symbol = t.symbol and b.ts > t.opened and b.ts <= t.closed
    group by t.trade, t.sign, t.entry, t.exit, t.risk order by t.trade
"""


def draw_trades(bars: Bars, count: int, seed: int = 11) -> Trades:
    """Draw trades that open anywhere in a symbol's bars, between two of them, and last a fortnight on average.

    They come by symbol, as round trips do, whose ids begin with their position.
    """
    rng = np.random.default_rng(seed)
    symbol = np.sort(rng.integers(0, len(bars.symbols), count))
    at = bars.start[symbol] + (rng.random(count) * np.diff(bars.start)[symbol]).astype(np.int64)
    opened = bars.ts[at] - (rng.random(count) * NANOSECONDS_PER_DAY).astype(np.int64)
    closed = opened + (rng.exponential(14.0, count) * NANOSECONDS_PER_DAY).astype(np.int64)
    entry = bars.close[at]
    leaving = entry * (1.0 + rng.normal(0.0, 0.03, count))
    return Trades(symbol, opened, closed, entry, leaving, np.where(rng.random(count) < 0.6, 1.0, -1.0), entry * 0.03)


def frames(bars: Bars, trades: Trades) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Return bars and trades as frames for the join."""
    symbol = np.repeat(np.arange(len(bars.symbols)), np.diff(bars.start))
    listed = pd.DataFrame(vars(trades)).assign(trade=np.arange(trades.symbol.size))
    return pd.DataFrame({"symbol": symbol, "ts": bars.ts, "high": bars.high, "low": bars.low}), listed


def joined(bars: pd.DataFrame, trades: pd.DataFrame) -> pd.DataFrame:
    """Return the excursions of trades by a range join, in the order of the trades."""
    import duckdb

    with duckdb.connect() as connection:
        connection.register("bars", bars)
        connection.register("trades", trades)
        return connection.execute(JOIN).df()


def largest_difference(ours: Excursions, theirs: pd.DataFrame) -> float:
    """Return the largest absolute difference in units of risk; infinite where the bars counted differ."""
    if (ours.bars != theirs["bars"].to_numpy()).any():
        return float("inf")
    return max(float(np.abs(getattr(ours, name) - theirs[name].to_numpy()).max()) for name in ("adverse", "favourable"))


def draw_outcomes(count: int, seed: int = 5) -> pa.Table:
    """Draw resolved signals of three portfolios and fifteen playbooks over five years."""
    rng = np.random.default_rng(seed)
    schema = pa.schema([SIGNAL_OUTCOMES.arrow_schema().field(name) for name in (*COLUMNS, "qualified")])
    day = np.sort(rng.integers(15_000, 16_800, count))
    result = rng.normal(0.1, 1.0, count)

    def pick(*names: str) -> pa.Array:
        return pa.array(np.array(names)[rng.integers(0, len(names), count)])

    columns = {
        "signal_id": pa.array([f"S{k:07d}" for k in range(count)]),
        "ts": pa.array(day * NANOSECONDS_PER_DAY),
        "outcome": pick("target_hit", "stop_hit", "expired"),
        "outcome_day": pa.array(day.astype(np.int32)).view(pa.date32()),
        "ambiguous": pa.array(rng.random(count) < 0.02),
        "portfolio": pick("alpha", "core", "macro"),
        "purpose": pick("policy", "policy", "policy", "research"),
        "engine_version": pa.array(np.where(day < 16_000, "1", "2")),
        "template": pa.array(["t"] * count),
        "playbook": pick(*(f"playbook_{k}" for k in range(15))),
        "regime": pick(*(f"regime_{k}" for k in range(9))),
        "r_achieved": pa.array(result),
        "bars_held": pa.array(rng.integers(1, 30, count)),
        "mae_r": pa.array(np.abs(result) * rng.random(count)),
        "mfe_r": pa.array(np.abs(result) * 2 * rng.random(count)),
        "slippage_at_outcome_bps": pa.array(rng.normal(3, 5, count)),
        "qualified": pa.array(rng.random(count) < 0.9),
    }
    return pa.table(columns, schema=schema)


@benchmark("excursions", sizes=("M",), order=60)
def excursions_of_trades(bench: Bench, size: str) -> Iterator[Row]:
    """Compare excursions with the join, then times; then time the record of every playbook."""
    table = pq.read_table(bench.facts(size) / "bars.parquet", columns=list(BAR_COLUMNS), read_dictionary=["symbol"])
    bars = lay_out(table, CORPORATE_ACTIONS.table.arrow_schema().empty_table())
    trades = draw_trades(bars, TRADES)
    frame, listed = frames(bars, trades)
    apart = largest_difference(excursions(bars, trades), joined(frame, listed))
    fast, slow = alternate(lambda: excursions(bars, trades), lambda: joined(frame, listed), runs=7)
    same = apart <= TOLERANCE
    note = f"results equal to {apart:.0e}" if same else f"RESULTS DIFFER by {apart:.1e}"
    work = f"excursions of {TRADES:,} trades over {len(table):,} bars, {size}"
    yield Row(
        work, seconds(fast), "DuckDB range join", seconds(slow), slow / fast, f"faster {GOAL:g} times", same and slow >= GOAL * fast, note
    )
    taken = wall(lambda: lay_out(table, CORPORATE_ACTIONS.table.arrow_schema().empty_table()))
    yield Row(f"laying out {len(table):,} bars", seconds(taken))
    outcomes = draw_outcomes(SIGNALS)
    playbook_statistics(outcomes.slice(0, 1000), 0, 20_000)
    whole = wall(lambda: playbook_statistics(outcomes, 0, 20_000))
    last = wall(lambda: playbook_statistics(outcomes, 16_799, 20_000))
    yield Row(
        f"record of every playbook, {SIGNALS:,} signals",
        seconds(whole),
        "its last day alone",
        seconds(last),
        note="every day of five years",
    )
