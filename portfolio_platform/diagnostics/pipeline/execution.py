"""D6 as a stage: fills, intents and profiles of trades in, realised against expected out.

Slippage and fill time are of entry orders (the executions that one order had in a day are one observation, quantity-weighted);
holding time, excursions and results are of round trips flat to flat; the fill ratio is of approved intents.
"""

from bisect import bisect_left
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import date, timedelta
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from portfolio_platform.days import NANOSECONDS_PER_DAY, day_number, end_of_day_ns, to_date
from portfolio_platform.diagnostics import execution as d6
from portfolio_platform.diagnostics import execution_inputs as inputs
from portfolio_platform.diagnostics.execution_rows import carried, profile_rows
from portfolio_platform.diagnostics.pipeline.inputs import from_day, sessions
from portfolio_platform.diagnostics.session_keys import codes_in
from portfolio_platform.home import Home
from portfolio_platform.lake import active, derived
from portfolio_platform.lake.columns import Table
from portfolio_platform.lake.facts import CORPORATE_ACTIONS, FILLS, INSTRUMENTS, INTENTS, PLAYBOOK_EXPECTATIONS, SIGNALS
from portfolio_platform.lake.progress import Plan
from portfolio_platform.ledger.fixed_point import to_floats
from portfolio_platform.ledger.inputs import ledger_order
from portfolio_platform.policy.assigned import Assigned
from portfolio_platform.policy.diagnostics import ExecutionPolicy
from portfolio_platform.signals.expectations import norms
from portfolio_platform.stage import Stage

Float64 = npt.NDArray[np.float64]
Int64 = npt.NDArray[np.int64]

FILL_COLUMNS = (
    *("ts", "portfolio", "strategy", "symbol", "side", "quantity", "price", "order_id", "signal_id", "intent_id"),
    *("template", "playbook", "decision_price", "decision_ts", "purpose", "row_id"),
)
REPEATED = ("portfolio", "strategy", "symbol", "side", "template", "playbook", "purpose", "order_id", "signal_id", "intent_id")
INTENT_COLUMNS = (
    *("intent_id", "ts", "portfolio", "template", "playbook", "requested_risk", "requested_notional", "approved_risk", "decision_code"),
)
OF_ORDER = ("portfolio", "template", "playbook", "signal_id", "intent_id")
TRIP_COLUMNS = ("round_trip_id", "day", "portfolio", "closed_at", "template", "playbook", "regime", "hold_bars", "r", "mae_r", "mfe_r")
REJECTED = "rejected"
MEASURES = {item.name: item for item in (d6.SLIPPAGE, d6.FILL_TIME, d6.FILL_RATIO, d6.HOLDING_TIME, d6.MAE, d6.MFE, d6.WIN_RATE)}
Key = tuple[Any, ...]
"""Portfolio, measure and playbook."""
GROUP, WINDOW = ("portfolio", "measure", "playbook"), ("n", "window_start")
LOOK_BACK = timedelta(days=inputs.UNFILLED_DAYS + 1)


def compute(home: Home, policies: Assigned, plan: Plan) -> dict[Table, pa.Table]:
    """Return the execution profile of every session of the plan."""
    days = sessions(home, date.min, until=plan.until)
    stored = _newest_rows(home, days, plan.first)
    read = _read(home, plan, _since(home, policies, days, stored, plan.first))
    portfolios = tuple(sorted(pc.unique(days["portfolio"]).to_pylist()))
    named = {name for table in (read.fills, read.trips, read.intents, stored) for name in pc.unique(table["playbook"]).to_pylist()}
    keys = inputs.Keys(portfolios, tuple(sorted({inputs.ALL, *(name or "" for name in named)})))
    group, day = _asked(days, keys, plan.first)
    pooled = np.tile(np.array([name == inputs.ALL for name in keys.playbooks], np.bool_), len(portfolios))
    found = []
    for measure, given, method in (*_of_orders(read, keys), *_of_trips(read, keys)):
        state = carried(stored, measure, keys)
        for policy, of_policy in _by_policy(policies, keys):
            chosen = np.flatnonzero(of_policy[group])
            mine = _of_groups(given, of_policy)
            profile = d6.profile(measure, mine, group[chosen], day[chosen], state, pooled, policy, measure.window(policy))
            found.append((measure, replace(profile, query=chosen[profile.query]), method))
    return {derived.EXECUTION_PROFILE: profile_rows(found, group, day, keys)}


@dataclass(frozen=True)
class Read:
    """What the stage reads, in the order of time and id; ``held`` is what positions were before the first fill."""

    fills: pa.Table
    intents: pa.Table
    trips: pa.Table
    held: pa.Table
    splits: pa.Table
    regimes: pa.Table
    expectations: pa.Table
    multiplier: dict[str, float]


def _newest_rows(home: Home, days: pa.Table, first: date) -> pa.Table:
    """Return the stored rows of each portfolio's last session before a day."""
    earlier = days.filter(pc.field("day") < first).group_by("portfolio").aggregate([("day", "max")])
    table = derived.EXECUTION_PROFILE
    if not len(earlier):
        return table.arrow_schema().empty_table()
    oldest = pc.min(earlier["day_max"]).as_py()
    found = from_day(home, table, oldest).filter(pc.field("day") < first)
    return found.join(earlier.rename_columns(["portfolio", "day"]), ["portfolio", "day"], join_type="left semi").select(table.column_names)


def _since(home: Home, policies: Assigned, days: pa.Table, stored: pa.Table, first: date) -> date:
    """Return the first day whose facts are needed: where the windows of the stored rows begin, or the start where nothing is stored.

    Where a stored window holds fewer observations than are looked at, the one that ended before it is put in front of it.
    """
    if not len(stored):
        return date.min
    sessions_before = days.filter(pc.field("day") < first)
    if set(pc.unique(sessions_before["portfolio"]).to_pylist()) - set(pc.unique(stored["portfolio"]).to_pylist()):
        return date.min
    listed = {
        name: sessions_before.filter(pc.field("portfolio") == name)["day"].to_pylist()
        for name in pc.unique(stored["portfolio"]).to_pylist()
    }
    windows = {tuple(row[name] for name in GROUP): row for row in stored.select([*GROUP, "seen", *WINDOW]).to_pylist()}
    missing = {key: min(row["seen"], _reach(policies, key)) - row["n"] for key, row in windows.items()}
    begin = {key: row["window_start"] for key, row in windows.items()}
    while any(count > 0 for count in missing.values()):
        asked = {
            key: listed[key[0]][bisect_left(listed[key[0]], begin[key]) - 1]
            for key, count in missing.items()
            if count > 0 and listed[key[0]][0] < begin[key]
        }
        found = _windows_on(home, asked)
        if len(found) < sum(count > 0 for count in missing.values()):
            return date.min
        for key, row in found.items():
            missing[key], begin[key] = missing[key] - row["n"], row["window_start"]
    earliest: date = min(*begin.values(), pc.min(stored["day"]).as_py())
    return earliest


def _reach(policies: Assigned, key: Key) -> int:
    """Return how many observations of a portfolio, measure and playbook are looked at."""
    policy, measure = policies.of(key[0]).execution, MEASURES[key[1]]
    return measure.reach(policy, measure.window(policy))


def _windows_on(home: Home, asked: Mapping[Key, date]) -> dict[Key, dict[str, Any]]:
    """Return number of observations and beginning of the stored window of each key on its day, of those that are stored."""
    if not asked:
        return {}
    columns = {name: [key[place] for key in asked] for place, name in enumerate(GROUP)}
    wanted = pa.table({**columns, "day": pa.array(asked.values(), pa.date32())})
    first, last = min(asked.values()), max(asked.values())
    where = (pc.field("day") >= first) & (pc.field("day") <= last)
    rows = home.lake.read(derived.EXECUTION_PROFILE, ["day", *GROUP, *WINDOW], where, **_months(first, last))
    mine = rows.join(wanted, ["day", *GROUP], join_type="left semi").to_pylist()
    return {tuple(row[name] for name in GROUP): row for row in mine}


def _read(home: Home, plan: Plan, since: date) -> Read:
    """Read facts from a day on; intents from `UNFILLED_DAYS` earlier, for what became of them is known later."""
    lake, until = home.lake, end_of_day_ns(plan.until)
    after = None if since == date.min else end_of_day_ns(since - timedelta(days=1))
    asked = None if after is None else end_of_day_ns(since - LOOK_BACK)
    trips = lake.read(
        derived.TRIP_PROFILES,
        TRIP_COLUMNS,
        (pc.field("day") >= since) & (pc.field("day") <= plan.until),
        from_month=None if after is None else since.isoformat()[:7],
        to_month=plan.until.isoformat()[:7],
    )
    splits = active.read(lake, CORPORATE_ACTIONS, ("ts", "symbol", "kind", "ratio"), until_ts=until)
    instruments = active.read(lake, INSTRUMENTS, ("symbol", "multiplier"))
    multiplier = dict(zip(instruments["symbol"].to_pylist(), to_floats(instruments["multiplier"]).tolist(), strict=True))
    # an intent of the look-back may have been filled before the first window: its fills are read with it
    fills = active.read(lake, FILLS, FILL_COLUMNS, after_ts=asked, until_ts=until, dictionaries=REPEATED)
    return Read(
        _in_time(fills, "ts", "row_id"),
        _in_time(active.read(lake, INTENTS, INTENT_COLUMNS, after_ts=asked, until_ts=until), "ts", "intent_id"),
        _in_time(trips, "closed_at", "round_trip_id"),
        _held(home, None if asked is None else to_date(day_number(asked))),
        splits.filter(pc.equal(splits["kind"], "split")),
        active.read(lake, SIGNALS, ("signal_id", "regime"), until_ts=until),
        active.read(lake, PLAYBOOK_EXPECTATIONS),
        {name: value for name, value in multiplier.items() if np.isfinite(value)},
    )


def _in_time(rows: pa.Table, ts: str, name: str) -> pa.Table:
    """Return rows in the order of their time, ties by id."""
    at = rows[ts].to_numpy().astype(np.int64)
    order = ledger_order(np.zeros(at.size, np.int64), at, np.zeros(at.size, np.int8), rows[name])
    # a year that came in one file is in order as it is
    return rows if (order[1:] > order[:-1]).all() else rows.take(pa.array(order))


def _held(home: Home, until: date | None) -> pa.Table:
    """Return what every position was at the end of a day: the rows of its portfolio's newest session up to it."""
    names = ["day", "portfolio", "strategy", "symbol", "quantity"]
    if until is None:
        rows = derived.LEDGER_SNAPSHOTS.arrow_schema().empty_table().select(names)
    else:
        days = sessions(home, date.min, until=until).group_by("portfolio").aggregate([("day", "max")])
        oldest = pc.min(days["day_max"]).as_py()
        rows = home.lake.read(derived.LEDGER_SNAPSHOTS, names, pc.field("day") <= until, **_months(oldest, until))
        rows = rows.join(days.rename_columns(["portfolio", "day"]), ["portfolio", "day"], join_type="left semi").select(names)
    ends = (rows["day"].cast(pa.int32()).to_numpy().astype(np.int64) + 1) * NANOSECONDS_PER_DAY
    return rows.append_column("until_ts", pa.array(ends, pa.int64()))


def _months(first: date | None, until: date) -> dict[str, str]:
    return {"to_month": until.isoformat()[:7]} | ({} if first is None else {"from_month": first.isoformat()[:7]})


def _asked(days: pa.Table, keys: inputs.Keys, first: date) -> tuple[Int64, Int64]:
    """Return group and day of every session from a day on, for every playbook."""
    wanted = days.filter(pc.field("day") >= first)
    portfolio = pc.index_in(wanted["portfolio"], pa.array(keys.portfolios, pa.string())).to_numpy().astype(np.int64)
    day = wanted["day"].cast(pa.int32()).to_numpy().astype(np.int64)
    many = len(keys.playbooks)
    return keys.group(np.repeat(portfolio, many), np.tile(np.arange(many), portfolio.size)), np.repeat(day, many)


def _by_policy(policies: Assigned, keys: inputs.Keys) -> Iterator[tuple[ExecutionPolicy, inputs.Flags]]:
    """Yield each policy in use, and which groups have it."""
    of_portfolio = [policies.of(name).execution for name in keys.portfolios]
    for policy in dict.fromkeys(of_portfolio):
        yield policy, np.repeat([other == policy for other in of_portfolio], len(keys.playbooks))


def _of_groups(given: d6.Observations, chosen: inputs.Flags) -> d6.Observations:
    place = np.flatnonzero(chosen[given.group])
    return d6.Observations(given.group[place], given.day[place], given.value[place], given.expected[place], given.expected_p90[place])


Measured = tuple[d6.Measure, d6.Observations, str]
"""A measure, its observations, and how they were measured."""


def _of_orders(read: Read, keys: inputs.Keys) -> list[Measured]:
    """Return slippage and fill time of entry orders, and the fill ratio of intents."""
    orders = inputs.entry_orders(read.fills, read.held, read.splits, read.multiplier)
    of_order = read.fills.select(OF_ORDER).take(pa.array(orders.row))
    regime = read.regimes["regime"].take(inputs.places(of_order["signal_id"], read.regimes["signal_id"]))
    norm, expected = norms(of_order["template"], of_order["playbook"], regime, read.expectations)
    raw = _raw(of_order, keys, orders.day, orders.row)
    anything, nothing = np.ones(orders.day.size, np.bool_), np.full(orders.day.size, np.nan)
    code = keys.playbooks.index(inputs.ALL)
    slippage = inputs.observations(raw, orders.slippage, anything, keys, code, expected.of("slippage_bps_p50", norm), nothing)
    seconds = inputs.observations(raw, orders.seconds, anything, keys, code, nothing, nothing)
    intents = read.intents
    place = pc.fill_null(inputs.places(of_order["intent_id"], intents["intent_id"]), -1)
    day, ratio = inputs.fill_ratios(intents, orders, place.to_numpy().astype(np.int64))
    granted = ~pc.fill_null(pc.starts_with(intents["decision_code"], REJECTED), False).to_numpy(zero_copy_only=False)
    unknown = np.full(ratio.size, np.nan)
    filled = inputs.observations(_raw(intents, keys, day, np.arange(ratio.size)), ratio, granted, keys, code, unknown, unknown)
    return [
        (d6.SLIPPAGE, slippage, "order statistics of entry orders, each the quantity-weighted mean of its executions"),
        (
            d6.FILL_TIME,
            seconds,
            "order statistics of the time from decision to first execution of entry orders, closed hours included",
        ),
        (d6.FILL_RATIO, filled, "order statistics of filled over approved notional of intents"),
    ]


def _of_trips(read: Read, keys: inputs.Keys) -> list[Measured]:
    """Return holding time, excursions and results of round trips."""
    trips = read.trips
    norm, expected = norms(trips["template"], trips["playbook"], trips["regime"], read.expectations)
    raw = _raw(trips, keys, trips["day"].cast(pa.int32()).to_numpy().astype(np.int64), np.arange(len(trips)))
    nothing, anything = np.full(len(trips), np.nan), np.ones(len(trips), np.bool_)
    code = keys.playbooks.index(inputs.ALL)

    def numbers(name: str) -> Float64:
        values: Float64 = pc.fill_null(trips[name].cast(pa.float64()), np.nan).to_numpy()
        return values

    def of(values: Float64, column: str, p90: Float64 = nothing) -> d6.Observations:
        return inputs.observations(raw, values, anything, keys, code, expected.of(column, norm), p90)

    r, trip = numbers("r"), "of round trips flat to flat"
    won = np.where(np.isnan(r), np.nan, r > 0.0)
    return [
        (d6.HOLDING_TIME, of(numbers("hold_bars"), "hold_bars_p50", expected.of("hold_bars_p90", norm)), f"order statistics {trip}"),
        (d6.MAE, of(numbers("mae_r"), "mae_r_p50"), f"order statistics {trip}, excursions from bars without that of the exit"),
        (d6.MFE, of(numbers("mfe_r"), "mfe_r_p50"), f"order statistics {trip}, excursions from bars without that of the exit"),
        (d6.WIN_RATE, of(won, "win_rate"), f"share {trip} with a positive result before fees, Wilson"),
    ]


def _raw(rows: pa.Table, keys: inputs.Keys, day: Int64, order: Int64) -> inputs.Raw:
    """Return whom rows are about, and when; a portfolio without a session has no group (-1)."""
    return inputs.Raw(codes_in(rows["portfolio"], list(keys.portfolios)), codes_in(rows["playbook"], list(keys.playbooks)), day, order)


STAGE = Stage("execution", (derived.EXECUTION_PROFILE,), ("ledger", "signals"), compute)
