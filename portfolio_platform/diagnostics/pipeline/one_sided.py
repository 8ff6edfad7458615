"""One-sidedness as a stage: the net exposure of each symbol in, `one_sided` out."""

from datetime import date

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from portfolio_platform.days import to_number
from portfolio_platform.diagnostics import one_sided as sides
from portfolio_platform.diagnostics.pipeline.inputs import sessions
from portfolio_platform.diagnostics.session_keys import day_numbers
from portfolio_platform.home import Home
from portfolio_platform.lake import derived
from portfolio_platform.lake.arrays import assemble, named, number_column
from portfolio_platform.lake.columns import Table
from portfolio_platform.lake.progress import Plan
from portfolio_platform.policy.assigned import Assigned
from portfolio_platform.stage import Stage


def compute(home: Home, policies: Assigned, plan: Plan) -> dict[Table, pa.Table]:
    """Return the one-sidedness of every session of the plan."""
    table, listed = derived.ONE_SIDED, sessions(home, date.min, until=plan.until)
    wanted: dict[str, tuple[pa.Table, int]] = {}
    for portfolio in pc.unique(listed["portfolio"]).to_pylist():
        mine = listed.filter(pc.equal(listed["portfolio"], portfolio))
        begin = int(np.searchsorted(day_numbers(mine["day"]), to_number(plan.first)))
        before = min(begin, policies.of(portfolio).correlation.one_sided_window - 1)
        if begin < len(mine):
            wanted[portfolio] = (mine.slice(begin - before), before)
    if not wanted:
        return {table: table.arrow_schema().empty_table()}
    held = _held(home, min(rows["day"][0].as_py() for rows, _ in wanted.values()), plan.until)
    parts = [_of_portfolio(held, name, *found, policies.of(name).correlation.one_sided_window) for name, found in wanted.items()]
    return {table: pa.concat_tables(parts).sort_by([(name, "ascending") for name in table.key])}


def _held(home: Home, first: date, until: date) -> pa.Table:
    """Return portfolio, day and net exposure of every symbol that is not flat over all strategies."""
    where = (pc.field("day") >= first) & (pc.field("day") <= until) & (pc.field("dimension") == "symbol") & (pc.field("basis") == "gross")
    months = {"from_month": first.isoformat()[:7], "to_month": until.isoformat()[:7]}
    return home.lake.read(derived.CONCENTRATION_GROUPS, ["portfolio", "day", "net_exposure"], where, **months)


def _of_portfolio(held: pa.Table, portfolio: str, listed: pa.Table, before: int, window: int) -> pa.Table:
    """Return the rows of a portfolio's sessions but the first ``before``, which only fill the window."""
    days = day_numbers(listed["day"])
    mine = held.filter(pc.equal(held["portfolio"].cast(pa.string()), portfolio))
    place = np.searchsorted(days, day_numbers(mine["day"]))
    net = pc.fill_null(mine["net_exposure"], 0.0).to_numpy()
    inside = place < days.size
    long, short = (np.bincount(place[inside & chosen], minlength=days.size).astype(np.int64) for chosen in (net > 0.0, net < 0.0))
    found = sides.one_sided(long, short, window)
    rows = {name: listed[name].combine_chunks() for name in ("day", "portfolio", "month")}
    rows |= {"long_symbols": pa.array(long), "short_symbols": pa.array(short)}
    rows |= {"lasting": pa.array(found.lasting), "lasting_share": number_column(found.lasting_share)}
    rows["side"] = named(sides.SIDES, found.side)
    return assemble(derived.ONE_SIDED, rows).slice(before)


STAGE = Stage("one_sided", (derived.ONE_SIDED,), ("concentration",), compute)
