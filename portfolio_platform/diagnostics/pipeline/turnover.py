"""D5 as a stage: fills and round trips in, turnover of each portfolio and churn of each symbol out."""

from dataclasses import dataclass
from datetime import date

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from portfolio_platform.days import end_of_day_ns, to_date, to_number
from portfolio_platform.diagnostics import turnover as d5
from portfolio_platform.diagnostics import turnover_rows as rows
from portfolio_platform.errors import DataProblem
from portfolio_platform.home import Home
from portfolio_platform.lake import active, derived
from portfolio_platform.lake.columns import Table
from portfolio_platform.lake.facts import FILLS
from portfolio_platform.lake.progress import Plan
from portfolio_platform.ledger.inputs import FILL_COLUMNS
from portfolio_platform.ledger.pipeline import REPEATED, reference
from portfolio_platform.policy.assigned import Assigned
from portfolio_platform.policy.diagnostics import TurnoverPolicy
from portfolio_platform.stage import Stage

Int64 = npt.NDArray[np.int64]
Float64 = npt.NDArray[np.float64]
TRIP_COLUMNS = ("portfolio", "day", "method", "closing_row_id", "quantity")
EARLIER = ("portfolio", "day", "turnover_two_sided", "fills", "trades", "trips")


@dataclass(frozen=True)
class Span:
    """A portfolio's sessions up to the plan's end: rows are wanted from ``first`` on, which needs fills from ``look`` on.

    ``past`` is where the baseline of the first wanted session begins: its days are read from the table's own rows.
    """

    portfolio: str
    policy: TurnoverPolicy
    days: Int64
    equity: Float64
    first: int
    look: int
    past: int


def _spans(home: Home, policies: Assigned, plan: Plan) -> list[Span]:
    """Return the portfolios that have a session in the plan, by name."""
    names = ["portfolio", "day", "equity"]
    found = home.lake.read(derived.PORTFOLIO_EQUITY, names, pc.field("day") <= plan.until).sort_by("day")
    spans = []
    for portfolio in sorted(pc.unique(found["portfolio"]).to_pylist()):
        mine, policy = found.filter(pc.field("portfolio") == portfolio), policies.of(portfolio).turnover
        days = mine["day"].cast(pa.int32()).to_numpy().astype(np.int64)
        first = int(np.searchsorted(days, to_number(plan.first)))
        if first < days.size:
            look = max(0, first - policy.window + 1)
            past = max(0, look - policy.baseline)
            spans.append(Span(portfolio, policy, days, mine["equity"].to_numpy().astype(np.float64), first, look, past))
    return spans


def _traded(home: Home, policies: Assigned, plan: Plan, spans: list[Span]) -> dict[str, rows.Traded]:
    """Read what was traded from each portfolio's look-back on; sessions count from there."""
    # trades since the session before count in a session
    since = min(int(span.days[span.look - 1]) + 1 if span.look else to_number(home.first_day) for span in spans)
    month = to_date(since).isoformat()[:7]
    in_range = (pc.field("day") >= to_date(since)) & (pc.field("day") <= plan.until)
    fills = active.read(
        home.lake,
        FILLS,
        (*FILL_COLUMNS, "order_id"),
        after_ts=end_of_day_ns(to_date(since - 1)),
        until_ts=end_of_day_ns(plan.until),
        dictionaries=(*REPEATED, "order_id"),
    )
    trips = home.lake.read(derived.ROUND_TRIPS, TRIP_COLUMNS, in_range, from_month=month)
    rates = home.lake.read(derived.CASH_BALANCES, ("portfolio", "day", "currency", "fx_rate"), in_range, from_month=month)
    days = {span.portfolio: span.days[span.look :] for span in spans}
    sessions = rows.Sessions(days, {span.portfolio: int(span.days[span.look - 1]) for span in spans if span.look})
    return rows.traded(fills, trips, rates, reference(home, policies.default), sessions)


def _before(earlier: pa.Table, span: Span) -> d5.Daily:
    """Return the sessions of the baseline that come before the look-back, as the table itself has them."""
    first, last = to_date(span.days[span.past]), to_date(span.days[span.look])
    mine = earlier.filter((pc.field("portfolio") == span.portfolio) & (pc.field("day") >= first) & (pc.field("day") < last)).sort_by("day")
    if len(mine) != span.look - span.past:
        raise DataProblem(
            f"turnover_metrics of {span.portfolio} has {len(mine)} of the {span.look - span.past} sessions from {first} to {last}; "
            "build it anew from its first day"
        )
    # no window of a wanted session reaches back to these: what a baseline needs is all that is known of them
    nothing, none = np.full(len(mine), np.nan), np.zeros(len(mine), np.int64)
    fills, trades, trips = (mine[name].to_numpy() for name in ("fills", "trades", "trips"))
    two_sided = mine["turnover_two_sided"].to_numpy().astype(np.float64)
    equity = span.equity[span.past : span.look]
    return d5.Daily(equity, nothing, nothing, nothing, fills, trades, none, trips, two_sided, nothing, none)


def _figures(span: Span, traded: rows.Traded, earlier: pa.Table) -> rows.Figures:
    """Return the figures of one portfolio."""
    cells = d5.add_up(traded.fills)
    equity, ahead = span.equity[span.look :], span.look - span.past
    before = float(span.equity[span.look - 1]) if span.look else None
    daily = d5.joined(_before(earlier, span), d5.by_session(cells, traded.trips, equity, before))
    churned = d5.churn(cells, equity.size, span.policy.window, span.first - span.look).later(ahead)
    found = d5.turnover(daily, churned, span.policy.window, span.policy.baseline)
    return rows.Figures(span.portfolio, span.days[span.past :], span.first - span.past, found, churned, traded.symbols)


def compute(home: Home, policies: Assigned, plan: Plan) -> dict[Table, pa.Table]:
    """Return turnover and churn of every session of the plan."""
    spans = _spans(home, policies, plan)
    figures: list[rows.Figures] = []
    if spans:
        past = to_date(min(int(span.days[span.past]) for span in spans))
        earlier = _earlier(home, past, plan.first)
        traded = _traded(home, policies, plan, spans)
        figures = [_figures(span, traded[span.portfolio], earlier) for span in spans]
    return {derived.TURNOVER_METRICS: rows.turnover_rows(figures), derived.SYMBOL_CHURN: rows.churn_rows(figures)}


def _earlier(home: Home, past: date, first: date) -> pa.Table:
    where = (pc.field("day") >= past) & (pc.field("day") < first)
    return home.lake.read(derived.TURNOVER_METRICS, EARLIER, where, from_month=past.isoformat()[:7], to_month=first.isoformat()[:7])


STAGE = Stage("turnover", (derived.TURNOVER_METRICS, derived.SYMBOL_CHURN), ("ledger",), compute)
