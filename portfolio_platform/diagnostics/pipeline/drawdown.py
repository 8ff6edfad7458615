"""D4 as a stage: unit values in, drawdown and its regime out."""

from collections.abc import Sequence
from datetime import date

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from portfolio_platform.book.control import RELEASING, releases
from portfolio_platform.days import end_of_day_ns
from portfolio_platform.diagnostics import drawdown as d4
from portfolio_platform.diagnostics import rows
from portfolio_platform.diagnostics.pipeline.inputs import sessions
from portfolio_platform.home import Home
from portfolio_platform.lake import derived
from portfolio_platform.lake.columns import Table
from portfolio_platform.lake.progress import WATCHED, Plan
from portfolio_platform.policy.assigned import Assigned
from portfolio_platform.stage import Stage


def _reason(row: dict[str, float | None]) -> str:
    """Return why a session's drawdown cannot be judged, empty where it can."""
    if row["equity"] is None:
        return "missing_fx_rate"
    if row["equity"] <= 0.0:
        return "equity_not_positive"
    return "stale_mark" if row["stale_positions"] else ""


def may_resume(released: Sequence[int], days: Sequence[date], first: int) -> d4.Resume:
    """Return when a live portfolio may leave risk_off: once a person let it out of that very risk_off.

    A release counts from the end of the session that entered it, for that is when it is known; one of an earlier risk_off does not.

    Args:
        released: when a person did so, nanoseconds UTC.
        days: the portfolio's sessions, ascending, from its first one on.
        first: the place among them of the range's first.
    """

    def may(place: int, sessions_in_regime: int) -> bool:
        entered = end_of_day_ns(days[first + place - 1 - sessions_in_regime])
        return any(entered <= at <= end_of_day_ns(days[first + place]) for at in released)

    return may


def _releases(home: Home, policies: Assigned, until_seq: int | None) -> dict[str, list[int]]:
    with home.decisions.book.reading() as connection:
        return {portfolio: releases(connection, portfolio, until_seq) for portfolio in policies.live}


def compute(home: Home, policies: Assigned, plan: Plan) -> dict[Table, pa.Table]:
    """Return the drawdown of every session of the plan, going on from the sessions before it."""
    released = _releases(home, policies, plan.upstreams.get(WATCHED))
    days_of = sessions(home, plan.first, ("unit_value", "daily_return", "equity", "stale_positions"))
    earlier = home.lake.read(derived.DRAWDOWN_STATE, None, pc.field("day") < plan.first).sort_by("day")
    days: list[d4.DrawdownDay] = []
    for portfolio in sorted(set(days_of["portfolio"].to_pylist())):
        policy, mine = policies.of(portfolio).drawdown, days_of.filter(pc.field("portfolio") == portfolio)
        trail, before = d4.Trail(), earlier.filter(pc.field("portfolio") == portfolio)
        for day in rows.drawdown_days(before):
            trail = d4.extend(trail, day, policy)
        listed = mine.to_pylist()
        resume: bool | d4.Resume = portfolio not in policies.live
        if not resume:
            resume = may_resume(released[portfolio], [*before["day"].to_pylist(), *mine["day"].to_pylist()], len(before))
        days += d4.drawdowns(
            [row["unit_value"] for row in listed],
            [np.nan if row["daily_return"] is None else row["daily_return"] for row in listed],
            [_reason(row) for row in listed],
            trail,
            policy,
            may_resume=resume,
        )
    return {derived.DRAWDOWN_STATE: rows.drawdown_rows(days, days_of)}


STAGE = Stage("drawdown", (derived.DRAWDOWN_STATE,), ("ledger",), compute, decisions=RELEASING)
