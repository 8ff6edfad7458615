"""Drift of templates and playbooks as a stage: shares of gross exposure in, their mean now against before out."""

from datetime import date

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from portfolio_platform.days import to_date, to_number
from portfolio_platform.diagnostics import drift as drifts
from portfolio_platform.diagnostics.pipeline.inputs import sessions
from portfolio_platform.diagnostics.session_keys import day_numbers
from portfolio_platform.evidence.blocks import block_spread, error_of_next, student_ends
from portfolio_platform.evidence.gates import confidence_of
from portfolio_platform.home import Home
from portfolio_platform.lake import derived
from portfolio_platform.lake.arrays import assemble, day_column, month_column, named, number_column
from portfolio_platform.lake.columns import Table
from portfolio_platform.lake.progress import Plan
from portfolio_platform.ledger.inputs import encode
from portfolio_platform.policy.assigned import Assigned
from portfolio_platform.policy.model import Policy
from portfolio_platform.stage import Stage

Int64 = npt.NDArray[np.int64]
Float64 = npt.NDArray[np.float64]
Flags = npt.NDArray[np.bool_]

DIMENSIONS = ("playbook", "template")
GROSS = "gross"


def compute(home: Home, policies: Assigned, plan: Plan) -> dict[Table, pa.Table]:
    """Return the drift of every template and playbook for every session of the plan."""
    days = sessions(home, date.min, until=plan.until)
    owner, portfolios = encode(days["portfolio"])
    day = day_numbers(days["day"])
    first, spans = to_number(plan.first), []
    for code, portfolio in enumerate(portfolios):
        policy, mine = policies.of(portfolio), day[owner == code]
        reach = policy.concentration.drift_window + policy.concentration.drift_baseline
        begin = max(int(np.searchsorted(mine, first)) - reach + 1, 0)
        spans.append((portfolio, policy, mine[begin:]))
    groups = _read_shares(home, min((int(span[0]) for _, _, span in spans if span.size), default=first), plan.until)
    parts = [derived.CONCENTRATION_DRIFT.arrow_schema().empty_table()]
    for portfolio, policy, span in spans:
        if span.size and span[-1] >= first:
            # what was read reaches back as far as the portfolio that needs most
            mine = groups.filter((pc.field("portfolio") == portfolio) & (pc.field("day") >= to_date(int(span[0]))))
            parts += [_rows(portfolio, dimension, policy, span, first, mine) for dimension in DIMENSIONS]
    key = [(name, "ascending") for name in derived.CONCENTRATION_DRIFT.key]
    return {derived.CONCENTRATION_DRIFT: pa.concat_tables(parts).sort_by(key)}


def _read_shares(home: Home, first: int, until: date) -> pa.Table:
    """Return the shares of gross exposure by template and playbook from a day on; null shares are no observation."""
    begin = to_date(first)
    where = (pc.field("day") >= begin) & (pc.field("day") <= until) & (pc.field("basis") == GROSS)
    where = where & pc.field("dimension").isin(DIMENSIONS) & pc.field("share").is_valid()
    columns = ("day", "portfolio", "dimension", "group", "share")
    months = (begin.isoformat()[:7], until.isoformat()[:7])
    return home.lake.read(derived.CONCENTRATION_GROUPS, columns, where, from_month=months[0], to_month=months[1])


def _rows(portfolio: str, dimension: str, policy: Policy, days: Int64, first: int, groups: pa.Table) -> pa.Table:
    """Return the rows of one portfolio and dimension; ``days`` are its sessions with those that the first one looks back on."""
    mine = groups.filter(pc.field("dimension") == dimension)
    code, names = encode(mine["group"])
    at = np.searchsorted(days, day_numbers(mine["day"]))
    shares, observed = np.zeros((days.size, len(names))), np.zeros(days.size, bool)
    shares[at, code] = mine["share"].to_numpy()
    observed[at] = True
    begin = int(np.searchsorted(days, first))
    window, baseline = policy.concentration.drift_window, policy.concentration.drift_baseline
    found = drifts.drift(shares, observed, begin, window, baseline)
    low, high = _interval(found, shares, observed, baseline, window, confidence_of(policy, f"{dimension}_drift"))
    row, group = np.nonzero(found.seen)
    here = days[begin + row]
    columns = {
        "day": day_column(here),
        "portfolio": pa.array([portfolio] * row.size, pa.string()),
        "dimension": pa.array([dimension] * row.size, pa.string()),
        "group": named(names, group),
        "share": number_column(found.share[row, group]),
        "baseline": number_column(found.baseline[row, group]),
        "drift": number_column(found.share[row, group] - found.baseline[row, group]),
        "drift_low": number_column(low[row, group]),
        "drift_high": number_column(high[row, group]),
        "sessions": pa.array(found.sessions[row]),
        "baseline_sessions": pa.array(found.baseline_sessions[row]),
        "window_start": day_column(days[found.start[row]]),
        "reason": named(drifts.REASONS, found.status[row]),
        "month": month_column(here),
    }
    return assemble(derived.CONCENTRATION_DRIFT, columns)


def _interval(
    found: drifts.Drift, shares: Float64, observed: Flags, baseline: int, window: int, confidence: float
) -> tuple[Float64, Float64]:
    """Return the bounds of the drift, (sessions, groups): how windows of the baseline vary where nothing has changed."""
    spread = block_spread(shares, observed, np.maximum(found.start - baseline, 0), found.start, window)
    error = error_of_next(spread, found.sessions, window)
    low, high = student_ends(found.share - found.baseline, error, spread.blocks[:, None], confidence)
    return np.maximum(low, -1.0), np.minimum(high, 1.0)


STAGE = Stage("drift", (derived.CONCENTRATION_DRIFT,), ("concentration",), compute)
