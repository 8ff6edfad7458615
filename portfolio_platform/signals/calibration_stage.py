"""Calibration as a stage: outcomes of signals, sessions and expectations in; a row for each session out."""

from datetime import date

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from portfolio_platform.home import Home
from portfolio_platform.lake import active, derived
from portfolio_platform.lake.arrays import assemble, day_column, month_column, named, number_column
from portfolio_platform.lake.columns import Table
from portfolio_platform.lake.facts import PLAYBOOK_EXPECTATIONS
from portfolio_platform.lake.progress import Plan
from portfolio_platform.policy.assigned import Assigned
from portfolio_platform.signals import calibration
from portfolio_platform.signals.expectations import norms
from portfolio_platform.signals.statistics import RESOLVED
from portfolio_platform.stage import Stage

EXPECTED = ("hold_bars_p50", "hold_bars_p90", "mae_r_p50", "mfe_r_p50")
KEY = ("template", "playbook", "regime")
FIGURES = ("confidence", "r_achieved", "bars_held", "mae_r", "mfe_r")
COLUMNS = ("signal_id", "portfolio", "outcome", "outcome_day", *KEY, *FIGURES)
POLICY = "policy"


def _numbers(column: pa.ChunkedArray) -> calibration.Float64:
    values: calibration.Float64 = pc.fill_null(column.cast(pa.float64()), np.nan).to_numpy()
    return values


def _days(column: pa.ChunkedArray) -> calibration.Int64:
    return np.asarray(column.cast(pa.int32()).to_numpy().astype(np.int64))


def rows_of(sessions: pa.Table, signals: pa.Table, expectations: pa.Table, first: date) -> pa.Table:
    """Return `calibration` of the sessions from a day on.

    Args:
        sessions: portfolio and day, with at least the 60 before the first.
        signals: resolved qualified policy signals (`COLUMNS`); those after a session are not looked at for it.
        expectations: `playbook_expectations`.
        first: the first day wanted.
    """
    sessions = sessions.sort_by([("portfolio", "ascending"), ("day", "ascending")]).combine_chunks()
    portfolios = sorted(set(sessions["portfolio"].to_pylist()))
    of = pa.array(portfolios, pa.string())
    signals = signals.filter(pc.field("portfolio").isin(of) & pc.is_valid(pc.field("confidence")) & pc.is_valid(pc.field("r_achieved")))
    signals = signals.sort_by([("portfolio", "ascending"), ("outcome_day", "ascending"), ("signal_id", "ascending")]).combine_chunks()
    figures = {name: _numbers(signals[name]) for name in FIGURES}
    norm, expected = norms(signals["template"], signals["playbook"], signals["regime"], expectations)
    given = calibration.Resolved(
        np.asarray(pc.index_in(signals["portfolio"], of).to_numpy(), np.int64),
        _days(signals["outcome_day"]),
        *(figures[name] for name in FIGURES),
        *(expected.of(name, norm) for name in EXPECTED),
    )
    codes, days = np.asarray(pc.index_in(sessions["portfolio"], of).to_numpy(), np.int64), _days(sessions["day"])
    found = calibration.calibration(given, codes, days)
    reason = np.where(found.n == 0, 1, np.where(found.banded == 0, 2, 0))
    columns: dict[str, pa.Array] = {
        "day": day_column(days),
        "portfolio": named(portfolios, codes),
        "window_start": day_column(found.window_start),
        "reason": named(["", "no_signals", "no_expectation"], reason),
        "month": month_column(days),
    }
    for column in derived.CALIBRATION.columns:
        if column.kind == "number":
            columns[column.name] = number_column(getattr(found, column.name))
        elif column.kind == "integer":
            columns[column.name] = pa.array(getattr(found, column.name))
    table = assemble(derived.CALIBRATION, columns).filter(pc.field("day") >= first)
    return table.sort_by([(name, "ascending") for name in derived.CALIBRATION.key])


def compute(home: Home, policies: Assigned, plan: Plan) -> dict[Table, pa.Table]:
    """Return the calibration of every session of the plan."""
    del policies
    month = plan.until.isoformat()[:7]
    sessions = home.lake.read(derived.PORTFOLIO_EQUITY, ["portfolio", "day"], pc.field("day") <= plan.until, to_month=month)
    where = (
        pc.field("qualified")
        & (pc.field("purpose") == POLICY)
        & (pc.field("outcome_day") <= plan.until)
        & pc.field("outcome").isin(pa.array(RESOLVED, pa.string()))
    )
    signals = home.lake.read(derived.SIGNAL_OUTCOMES, COLUMNS, where, to_month=month)
    return {derived.CALIBRATION: rows_of(sessions, signals, active.read(home.lake, PLAYBOOK_EXPECTATIONS), plan.first)}


STAGE = Stage("calibration", (derived.CALIBRATION,), ("signals",), compute, judges=False)
