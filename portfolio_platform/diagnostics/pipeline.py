"""The diagnostics' pipelines: the ledger's tables in, a table for each diagnostic out, from the first day that changed."""

from collections.abc import Callable
from datetime import date

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from portfolio_platform.diagnostics import concentration as d2
from portfolio_platform.diagnostics import drawdown as d4
from portfolio_platform.diagnostics import rows
from portfolio_platform.home import Home
from portfolio_platform.lake import active, derived
from portfolio_platform.lake.built import Built
from portfolio_platform.lake.columns import Table
from portfolio_platform.lake.facts import INSTRUMENTS
from portfolio_platform.lake.progress import Plan, Progress, plan_downstream, write_progress
from portfolio_platform.ledger.pipeline import NAME as LEDGER
from portfolio_platform.policy.assigned import Assigned, assigned_policies

CONCENTRATION, DRAWDOWN = "concentration", "drawdown"
Compute = Callable[[Home, Assigned, Plan], dict[Table, pa.Table]]


def build_concentration(home: Home, *, restate_from: date | None = None) -> Built:
    """Bring `concentration_metrics` and `concentration_groups` up to date with the ledger."""
    return _build(home, CONCENTRATION, _concentration, restate_from)


def build_drawdown(home: Home, *, restate_from: date | None = None) -> Built:
    """Bring `drawdown_state` up to date with the ledger."""
    return _build(home, DRAWDOWN, _drawdown, restate_from)


def _build(home: Home, name: str, compute: Compute, restate_from: date | None) -> Built:
    with home.lake.writing():
        policies = assigned_policies(home)
        plan = plan_downstream(home.lake, name, LEDGER, policies.hash, home.first_day, restate_from)
        if plan is None:
            return Built(home.today, None, {})
        written = {}
        for table, frame in compute(home, policies, plan).items():
            home.lake.replace_from(table, plan.first, frame)
            written[table.name] = len(frame)
        upstream = plan.upstream
        done = Progress(name, plan.until, plan.first, upstream.import_seq, policies.hash, upstream.generation)
        write_progress(home.lake, done)
        return Built(plan.until, plan.first, written)


def _sessions(home: Home, first: date, columns: tuple[str, ...]) -> pa.Table:
    """Return the sessions from a day on, by portfolio and day."""
    names = ["portfolio", "day", "month", *columns]
    found = home.lake.read(derived.PORTFOLIO_EQUITY, names, pc.field("day") >= first, from_month=first.isoformat()[:7])
    return found.sort_by([("portfolio", "ascending"), ("day", "ascending")])


def _concentration(home: Home, policies: Assigned, plan: Plan) -> dict[Table, pa.Table]:
    sessions = _sessions(home, plan.first, ("equity",))
    lots = home.lake.read(derived.LOT_EXPOSURES, None, pc.field("day") >= plan.first, from_month=plan.first.isoformat()[:7])
    instruments = active.read(home.lake, INSTRUMENTS, ("symbol", "cohort", "sector"))
    given = rows.exposures(lots, sessions, instruments)
    equity = sessions["equity"].to_numpy().astype(np.float64)
    found = d2.concentration(given, equity)
    return {
        derived.CONCENTRATION_METRICS: rows.metric_rows(found, given, sessions, equity),
        derived.CONCENTRATION_GROUPS: rows.group_rows(found, given, sessions, equity),
    }


def _reason(row: dict[str, float | None]) -> str:
    """Return why a session's drawdown cannot be judged, empty where it can."""
    if row["equity"] is None:
        return "missing_fx_rate"
    if row["equity"] <= 0.0:
        return "equity_not_positive"
    return "stale_mark" if row["stale_positions"] else ""


def _drawdown(home: Home, policies: Assigned, plan: Plan) -> dict[Table, pa.Table]:
    sessions = _sessions(home, plan.first, ("unit_value", "daily_return", "equity", "stale_positions"))
    earlier = home.lake.read(derived.DRAWDOWN_STATE, None, pc.field("day") < plan.first).sort_by("day")
    days: list[d4.DrawdownDay] = []
    for portfolio in sorted(set(sessions["portfolio"].to_pylist())):
        policy, mine = policies.of(portfolio).drawdown, sessions.filter(pc.field("portfolio") == portfolio)
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
    return {derived.DRAWDOWN_STATE: rows.drawdown_rows(days, sessions)}
