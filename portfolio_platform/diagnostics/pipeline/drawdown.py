"""D4 as a stage: unit values in, drawdown and its regime out."""

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from portfolio_platform.diagnostics import drawdown as d4
from portfolio_platform.diagnostics import rows
from portfolio_platform.diagnostics.pipeline.inputs import sessions
from portfolio_platform.home import Home
from portfolio_platform.lake import derived
from portfolio_platform.lake.columns import Table
from portfolio_platform.lake.progress import Plan
from portfolio_platform.policy.assigned import Assigned
from portfolio_platform.stage import Stage


def _reason(row: dict[str, float | None]) -> str:
    """Return why a session's drawdown cannot be judged, empty where it can."""
    if row["equity"] is None:
        return "missing_fx_rate"
    if row["equity"] <= 0.0:
        return "equity_not_positive"
    return "stale_mark" if row["stale_positions"] else ""


def compute(home: Home, policies: Assigned, plan: Plan) -> dict[Table, pa.Table]:
    """Return the drawdown of every session of the plan, going on from the sessions before it."""
    days_of = sessions(home, plan.first, ("unit_value", "daily_return", "equity", "stale_positions"))
    earlier = home.lake.read(derived.DRAWDOWN_STATE, None, pc.field("day") < plan.first).sort_by("day")
    days: list[d4.DrawdownDay] = []
    for portfolio in sorted(set(days_of["portfolio"].to_pylist())):
        policy, mine = policies.of(portfolio).drawdown, days_of.filter(pc.field("portfolio") == portfolio)
        trail = d4.Trail()
        for day in rows.drawdown_days(earlier.filter(pc.field("portfolio") == portfolio)):
            trail = d4.extend(trail, day, policy)
        listed = mine.to_pylist()
        days += d4.drawdowns(
            [row["unit_value"] for row in listed],
            [np.nan if row["daily_return"] is None else row["daily_return"] for row in listed],
            [_reason(row) for row in listed],
            trail,
            policy,
            may_resume=portfolio not in policies.live,
        )
    return {derived.DRAWDOWN_STATE: rows.drawdown_rows(days, days_of)}


STAGE = Stage("drawdown", (derived.DRAWDOWN_STATE,), ("ledger",), compute)
