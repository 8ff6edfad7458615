"""Orders beyond a hard limit as a stage: fills in, `execution_flags` out. A day's rows rest on that day's fills alone."""

from datetime import timedelta

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from portfolio_platform.days import day_number, end_of_day_ns
from portfolio_platform.diagnostics import execution_flags as flags
from portfolio_platform.diagnostics.pipeline.inputs import sessions
from portfolio_platform.home import Home
from portfolio_platform.lake import active, derived
from portfolio_platform.lake.arrays import assemble, day_column, month_column, named, number_column
from portfolio_platform.lake.columns import Table
from portfolio_platform.lake.facts import FILLS
from portfolio_platform.lake.progress import Plan
from portfolio_platform.ledger.fixed_point import to_floats
from portfolio_platform.ledger.inputs import encode
from portfolio_platform.policy.assigned import Assigned
from portfolio_platform.stage import Stage

NAMES = ("portfolio", "strategy", "symbol", "side")
NUMBERS = ("quantity", "price", "decision_price", "stop_price", "target_price")
COLUMNS = ("ts", "row_id", "order_id", "decision_ts", "purpose", *NAMES, *NUMBERS)
NANOSECONDS = 1e9


def compute(home: Home, policies: Assigned, plan: Plan) -> dict[Table, pa.Table]:
    """Return the orders of the plan's sessions that went beyond a limit."""
    table = derived.EXECUTION_FLAGS
    after, until = end_of_day_ns(plan.first - timedelta(days=1)), end_of_day_ns(plan.until)
    fills = active.read(home.lake, FILLS, COLUMNS, after_ts=after, until_ts=until, dictionaries=NAMES)
    fills = fills.filter(pc.equal(fills["purpose"].cast(pa.string()), "policy"))
    parts = [table.arrow_schema().empty_table()]
    listed = sessions(home, plan.first, until=plan.until)
    for portfolio in pc.unique(listed["portfolio"]).to_pylist():
        mine = fills.filter(pc.equal(fills["portfolio"].cast(pa.string()), portfolio))
        if len(mine):
            parts.append(_rows(mine, policies, portfolio))
    rows = pa.concat_tables(parts).join(listed.select(["portfolio", "day"]), ["portfolio", "day"], join_type="left semi")
    return {table: rows.select(table.column_names).sort_by([(name, "ascending") for name in table.key])}


def _rows(fills: pa.Table, policies: Assigned, portfolio: str) -> pa.Table:
    """Return the flagged orders among a portfolio's fills."""
    order_id = pc.coalesce(fills["order_id"].cast(pa.string()), fills["row_id"].cast(pa.string()))
    ts = fills["ts"].to_numpy().astype(np.int64)
    day = day_number(ts)
    codes = [encode(fills[name])[0] for name in ("strategy", "symbol", "side")]
    keys = (day, encode(order_id)[0], *codes)
    sequence = np.lexsort((encode(fills["row_id"])[0], ts, *reversed(keys)))
    changes = np.zeros(ts.size, np.bool_)
    for key in keys:
        changes |= np.diff(key[sequence], prepend=-1) != 0
    decided = pc.fill_null(fills["decision_ts"], -1).to_numpy().astype(np.int64)
    waited = np.where(decided < 0, np.nan, (ts - decided) / NANOSECONDS)
    numbers = {name: to_floats(fills[name])[sequence] for name in NUMBERS}
    buy = pc.equal(fills["side"].cast(pa.string()), "buy").to_numpy()[sequence]
    given = flags.Fills(order=np.cumsum(changes) - 1, buy=buy, waited=waited[sequence], **numbers)
    found = flags.orders(given, policies.of(portfolio).execution)
    kept = np.flatnonzero(found.limits > 0)
    at = found.row[kept]
    first = fills.take(pa.array(sequence[at]))
    day = day[sequence[at]]
    columns = {
        "day": day_column(day),
        **{name: first[name].cast(pa.string()).combine_chunks() for name in NAMES},
        "order_id": order_id.take(pa.array(sequence[at])).combine_chunks(),
        "kind": named(flags.KINDS, found.kind[kept]),
        "decision_price": number_column(numbers["decision_price"][at]),
        "fill_price": number_column(found.fill_price[kept]),
        "slippage_bps": number_column(found.slippage_bps[kept]),
        "minutes": number_column(found.minutes[kept]),
        "quantity": number_column(found.quantity[kept]),
        "executions": pa.array(found.executions[kept]),
        "limits": named(flags.LIMITS, found.limits[kept]),
        "reason": pa.array(np.where(np.isfinite(found.slippage_bps[kept]), "", "no_decision_price").tolist(), pa.string()),
        "month": month_column(day),
    }
    return assemble(derived.EXECUTION_FLAGS, columns)


STAGE = Stage("execution_flags", (derived.EXECUTION_FLAGS,), ("ledger",), compute)
