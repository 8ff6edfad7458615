"""The signal ledger as a stage: signals, bars and fills in; outcomes, the record of each playbook, profiles of trades out."""

from datetime import date, timedelta

import pyarrow as pa
import pyarrow.compute as pc

from portfolio_platform.days import NANOSECONDS_PER_DAY, day_number, end_of_day_ns, to_date, to_number
from portfolio_platform.home import Home
from portfolio_platform.lake import active
from portfolio_platform.lake.columns import Table
from portfolio_platform.lake.derived import PLAYBOOK_STATISTICS, ROUND_TRIPS, SIGNAL_OUTCOMES, TRIP_PROFILES
from portfolio_platform.lake.facts import BARS, CORPORATE_ACTIONS, FILLS, INTENTS, PLAYBOOK_EXPECTATIONS
from portfolio_platform.lake.facts import SIGNALS as SIGNAL_FACT
from portfolio_platform.lake.progress import Plan, read_progress
from portfolio_platform.ledger.pipeline import reference
from portfolio_platform.policy.assigned import Assigned
from portfolio_platform.signals import bars as laying
from portfolio_platform.signals import entries, rows, statistics, trips
from portfolio_platform.signals.calibration_stage import STAGE as CALIBRATION
from portfolio_platform.stage import Stage

NAME = "signals"
SPACING_DAYS = 45  # bars before the first trade, from which the time between bars is told
REPEATED = ("portfolio", "strategy", "symbol", "side", "currency", "template", "playbook")


def begin(home: Home, plan: Plan) -> date:
    """Return the day of the earliest signal whose row may change: rows are by the signal's day, outcomes come later.

    Those are the signals that were undecided when the plan begins, that were filled since, and on a build from the ledger's
    first day on all signals, those before that day included.
    """
    lake, since = home.lake, end_of_day_ns(plan.first - timedelta(days=1))
    if plan.first <= home.first_day:
        days = [pc.min(lake.read(SIGNAL_OUTCOMES, ["day"])["day"]).as_py()]
        earliest = pc.min(active.read(lake, SIGNAL_FACT, ("ts",))["ts"]).as_py()
        days.append(None if earliest is None else to_date(day_number(earliest)))
        return min((day for day in days if day is not None), default=plan.first)
    columns = ["signal_id", "symbol", "day", "outcome_day", "last_fill_ts"]
    stored = lake.read(SIGNAL_OUTCOMES, columns, pc.field("day") < plan.first, to_month=plan.first.isoformat()[:7])
    undecided = pc.is_null(stored["outcome_day"])
    done = read_progress(lake, NAME)
    if done is not None and plan.first > done.built_until:
        undecided = pc.and_(undecided, _may_move(home, stored, plan))
    later = pc.or_(
        pc.fill_null(pc.greater_equal(stored["outcome_day"], plan.first), False),
        pc.fill_null(pc.greater(stored["last_fill_ts"], since), False),
    )
    filled = pc.unique(active.read(lake, FILLS, ("signal_id",), after_ts=since)["signal_id"])
    touched = stored.filter(pc.or_(pc.or_(undecided, later), pc.is_in(stored["signal_id"], filled, skip_nulls=True)))
    return pc.min(touched["day"]).as_py() or plan.first


def _may_move(home: Home, stored: pa.Table, plan: Plan) -> pa.ChunkedArray:
    """Say of each row whether the plan's days may decide it or move its excursions: its symbol has bars, or its validity ends.

    A signal on what is no longer traded stays as it is, and draws no later build back to its day.
    """
    since, until = end_of_day_ns(plan.first - timedelta(days=1)), end_of_day_ns(plan.until)
    traded = pc.unique(active.read(home.lake, BARS, ("symbol",), after_ts=since, until_ts=until)["symbol"])
    listed = active.read(home.lake, SIGNAL_FACT, ("signal_id", "valid_until"))
    ending = listed.filter((pc.field("valid_until") > since) & (pc.field("valid_until") <= until))["signal_id"]
    return pc.or_(pc.is_in(stored["symbol"], traded), pc.is_in(stored["signal_id"], ending.combine_chunks()))


def compute(home: Home, policies: Assigned, plan: Plan) -> dict[Table, pa.Table]:
    """Return the rows of all three tables for the plan's days."""
    lake, since, until = home.lake, end_of_day_ns(plan.first - timedelta(days=1)), end_of_day_ns(plan.until)
    signals = active.read(lake, SIGNAL_FACT, rows.SIGNAL_COLUMNS, after_ts=since, until_ts=until)
    closed = lake.read(
        ROUND_TRIPS,
        trips.TRIP_COLUMNS,
        (pc.field("method") == "flat_to_flat") & (pc.field("day") >= plan.first) & (pc.field("day") <= plan.until),
        from_month=plan.first.isoformat()[:7],
        to_month=plan.until.isoformat()[:7],
    )
    opened = pc.min(closed["opened_at"]).as_py()
    earliest = min(since, until if opened is None else opened - 1)
    fills = active.read(lake, FILLS, entries.COLUMNS, after_ts=earliest, until_ts=until, dictionaries=REPEATED)
    known = entries.read_fills(fills, reference(home, policies.default))
    spaced = earliest - SPACING_DAYS * NANOSECONDS_PER_DAY
    bars = active.read(lake, BARS, laying.BAR_COLUMNS, after_ts=spaced, until_ts=until, dictionaries=("symbol",))
    actions = active.read(lake, CORPORATE_ACTIONS, ("ts", "symbol", "kind", "ratio", "row_id"), until_ts=until)
    laid = laying.lay_out(bars, actions)
    outcomes = rows.outcome_rows(signals, laid, known, until)
    named = active.read(lake, SIGNAL_FACT, trips.SIGNAL_COLUMNS, until_ts=until) if len(closed) else signals.select(trips.SIGNAL_COLUMNS)
    return {
        SIGNAL_OUTCOMES: outcomes,
        PLAYBOOK_STATISTICS: _statistics(home, outcomes, plan),
        TRIP_PROFILES: trips.trip_profiles(closed, known, named, laid),
    }


def _statistics(home: Home, fresh: pa.Table, plan: Plan) -> pa.Table:
    """Return the statistics of the plan's days: from its own outcomes and those of the signals before it, as they are stored."""
    columns = [*statistics.COLUMNS, "qualified"]
    earlier = home.lake.read(SIGNAL_OUTCOMES, columns, pc.field("day") < plan.first, to_month=plan.first.isoformat()[:7])
    history = pa.concat_tables([earlier, fresh.select(columns)])
    return statistics.playbook_statistics(history, to_number(plan.first), to_number(plan.until))


SIGNALS = Stage(
    NAME,
    (SIGNAL_OUTCOMES, PLAYBOOK_STATISTICS, TRIP_PROFILES),
    ("ledger",),
    compute,
    facts=(SIGNAL_FACT, INTENTS, PLAYBOOK_EXPECTATIONS),
    begin=begin,
    settles=True,  # outcomes and fills count from their own day on
    judges=False,
)
STAGES: tuple[Stage, ...] = (SIGNALS, CALIBRATION)
