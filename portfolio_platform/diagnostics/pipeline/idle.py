"""D7 as a stage: heat, cash, signals, the allocator's answers and trades in, idle capital and opportunity out."""

from collections import Counter
from dataclasses import dataclass
from datetime import date, timedelta

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from portfolio_platform.days import day_number, end_of_day_ns, to_date, to_number
from portfolio_platform.diagnostics import idle as d7
from portfolio_platform.diagnostics.pipeline.inputs import from_day, sessions
from portfolio_platform.evidence.blocks import block_spread, error_of_mean, student_ends
from portfolio_platform.evidence.gates import confidence_of
from portfolio_platform.home import Home
from portfolio_platform.lake import active, derived
from portfolio_platform.lake.arrays import assemble, number_column
from portfolio_platform.lake.columns import Table
from portfolio_platform.lake.facts import FILLS, INTENTS, SIGNALS
from portfolio_platform.lake.progress import Plan
from portfolio_platform.policy.assigned import Assigned
from portfolio_platform.policy.diagnostics import IdlePolicy
from portfolio_platform.policy.model import Policy
from portfolio_platform.stage import Stage

LONG = ("long", "buy")
SIGNAL_COLUMNS = (
    "signal_id", "setup_id", "ts", "portfolio", "strategy", "symbol", "direction",
    "valid_until", "qualified", "disposition", "block_reason", "purpose",
)  # fmt: skip
INTENT_COLUMNS = ("intent_id", "ts", "portfolio", "strategy", "symbol", "side", "approved_risk", "decision_code")
EQUITY_COLUMNS = ("session", "equity", "cash", "short_exposure", "gross_exposure_pct")


@dataclass(frozen=True)
class Inputs:
    """What the stage reads, from the first session that any window reaches."""

    sessions: pa.Table
    heat: pa.Table
    drawdown: pa.Table
    signals: pa.Table
    intents: pa.Table
    fills: pa.Table
    trips: pa.Table
    still_open: pa.Table


@dataclass(frozen=True)
class Axis:
    """A portfolio's sessions from the first that a window needs: day numbers, and which of them are asked for."""

    days: d7.Int64
    wanted: d7.Flags

    @property
    def size(self) -> int:
        """Return how many sessions there are."""
        return self.days.size

    def place(self, days: d7.Int64) -> d7.Int64:
        """Return the session that each day counts in: its own, or the next where it has none; `NEVER` beyond the last."""
        found = np.searchsorted(self.days, days)
        return np.where(found < self.size, found, d7.NEVER)


def reach(policy: Policy) -> int:
    """Return how many sessions before a day its figures look at."""
    idle = policy.idle
    return max(idle.window, idle.trade_window, idle.exposure_window, idle.rejection_window + idle.rejection_baseline)


def read(home: Home, plan: Plan, lookback: int) -> Inputs:
    """Read everything from ``lookback`` sessions before the plan on; the days of all sessions are kept to date openings by."""
    until_ts = end_of_day_ns(plan.until)
    listed = sessions(home, date.min, EQUITY_COLUMNS, until=plan.until)
    first = _first_needed(listed, plan.first, lookback)
    after = end_of_day_ns(first - timedelta(days=1))
    saved = home.lake.read(derived.STATE_POSITIONS, ["day", "portfolio", "trip_opened_at", "quantity"])
    newest = pc.max(saved["day"])
    open_now = saved.filter(pc.and_(pc.equal(saved["day"], newest), pc.not_equal(saved["quantity"], 0)))
    trips = from_day(home, derived.ROUND_TRIPS, first, ("portfolio", "day", "opened_at", "method"))
    return Inputs(
        sessions=listed,
        heat=from_day(home, derived.PORTFOLIO_HEAT, first, ("day", "portfolio", "heat", "cap", "reserved_risk", "reason")),
        drawdown=from_day(home, derived.DRAWDOWN_STATE, first, ("day", "portfolio", "size_multiplier")),
        signals=active.read(home.lake, SIGNALS, SIGNAL_COLUMNS, after_ts=after, until_ts=until_ts),
        intents=active.read(home.lake, INTENTS, INTENT_COLUMNS, after_ts=after, until_ts=until_ts),
        fills=active.read(home.lake, FILLS, ("ts", "signal_id"), after_ts=after, until_ts=until_ts),
        trips=trips.filter(pc.equal(trips["method"], "flat_to_flat")),
        still_open=open_now,
    )


def _first_needed(listed: pa.Table, first: date, lookback: int) -> date:
    """Return the earliest day that a window of a session from ``first`` on reaches, in any portfolio."""
    needed = [first]
    for portfolio in pc.unique(listed["portfolio"]).to_pylist():
        days = listed.filter(pc.field("portfolio") == portfolio)["day"].to_numpy()
        place = int(np.searchsorted(days, np.datetime64(first)))
        if place < days.size:
            needed.append(days[max(0, place - lookback)].astype("datetime64[D]").item())
    return min(needed)


def _axis(listed: pa.Table, plan: Plan, lookback: int) -> tuple[Axis, int]:
    """Return the sessions that the plan's windows reach, and the place of the first of them among all."""
    days = _numbers(listed["day"])
    start = max(0, int(np.searchsorted(days, to_number(plan.first))) - lookback)
    return Axis(days[start:], days[start:] >= to_number(plan.first)), start


def _numbers(days: pa.ChunkedArray) -> d7.Int64:
    """Return days as day numbers."""
    return np.asarray(days.cast(pa.int32()).to_numpy(), np.int64)


def _floats(column: pa.ChunkedArray) -> d7.Float64:
    """Return numbers as floats, NaN where null."""
    return np.asarray(column.cast(pa.float64()).to_numpy(zero_copy_only=False), np.float64)


def _at(axis: Axis, rows: pa.Table, column: str, missing: float = np.nan) -> d7.Float64:
    """Return a derived table's column by session."""
    out = np.full(axis.size, missing)
    place = np.searchsorted(axis.days, _numbers(rows["day"]))
    inside = (place < axis.size) & (axis.days[np.minimum(place, axis.size - 1)] == _numbers(rows["day"]))
    out[place[inside]] = _floats(rows[column])[inside]
    return out


def _inside(axis: Axis, rows: pa.Table) -> pa.Table:
    """Return rows of a fact whose day is not before the axis, in a fixed order, with the session each counts in."""
    ordered = rows.sort_by([("ts", "ascending"), (rows.column_names[0], "ascending")])
    days = day_number(ordered["ts"].to_numpy())
    place = axis.place(days)
    keep = (days >= axis.days[0]) & (place < d7.NEVER)
    return ordered.filter(pa.array(keep)).append_column("session", pa.array(place[keep]))


def _starts(column: pa.ChunkedArray, prefixes: tuple[str, ...]) -> d7.Flags:
    """Say which texts begin with one of the prefixes; a null with none."""
    found = np.zeros(len(column), bool)
    text = pc.fill_null(column, "")
    for prefix in prefixes:
        found |= pc.starts_with(text, prefix).to_numpy(zero_copy_only=False)
    return found


def _reasons(stated: pa.ChunkedArray, policy: IdlePolicy, *, any_text: bool = False) -> d7.Int64:
    """Return what a text says about a signal that was not filled: nothing, blocked, or refused for capacity."""
    refused = _starts(stated, ("rejected", "blocked")) | (any_text & (pc.fill_null(stated, "").to_numpy() != ""))
    kind = np.where(refused, d7.BLOCKED, d7.NO_REASON)
    return np.where(_starts(stated, policy.capacity_reasons), d7.CAPACITY, kind).astype(np.int64)


def _answers(axis: Axis, signals: pa.Table, intents: pa.Table, policy: IdlePolicy) -> tuple[d7.Int64, d7.Int64]:
    """Return for each signal the session of the allocator's answer and what it says.

    An intent answers the newest signal of its strategy, symbol and side that was valid at its time.
    """
    import pandas as pd

    answered, answer = np.full(len(signals), d7.NEVER), np.zeros(len(signals), np.int64)
    if not len(intents) or not len(signals):
        return answered, answer
    keys = ["strategy", "symbol", "long"]
    left = intents.select(["ts", "strategy", "symbol", "session"]).to_pandas()
    left["long"] = _starts(intents["side"], LONG)
    left["answer"] = _reasons(intents["decision_code"], policy)
    right = signals.select(["ts", "strategy", "symbol"]).to_pandas()
    right["long"] = _starts(signals["direction"], LONG)
    right["valid"] = pc.fill_null(signals["valid_until"], d7.NEVER).to_numpy()
    right["row"] = np.arange(len(signals))
    found = pd.merge_asof(left, right, on="ts", by=keys).dropna(subset="row")
    found = found[found["ts"] <= found["valid"]].drop_duplicates("row", keep="last")
    rows = found["row"].to_numpy(np.int64)
    answered[rows], answer[rows] = found["session"].to_numpy(), found["answer"].to_numpy()
    return answered, answer


def _setups(axis: Axis, given: Inputs, signals: pa.Table, intents: pa.Table, policy: IdlePolicy) -> d7.Setups:
    """Return a portfolio's qualified signals; those for research are none."""
    answered, answer = _answers(axis, signals, intents, policy)
    reason = np.maximum(
        _reasons(signals["block_reason"], policy, any_text=True),
        _reasons(signals["disposition"], policy),
    )
    filled = axis.place(_first_fill_days(signals, given.fills))
    valid = signals["valid_until"]
    ends = np.where(valid.is_null().to_numpy(), signals["ts"].to_numpy(), pc.fill_null(valid, 0).to_numpy())
    expired = axis.place(day_number(ends))
    names = pc.coalesce(signals["setup_id"], signals["signal_id"]).combine_chunks().dictionary_encode()
    setup = names.indices.to_numpy(zero_copy_only=False).astype(np.int64)
    qualified = pc.fill_null(signals["qualified"], False).to_numpy()
    columns = (signals["session"].to_numpy(), setup, filled, reason, answered, answer, expired)
    return d7.Setups(*(np.ascontiguousarray(column[qualified]) for column in columns))


def _first_fill_days(signals: pa.Table, fills: pa.Table) -> d7.Int64:
    """Return the day of each signal's first fill within its validity; beyond all days where it has none."""
    far = np.iinfo(np.int32).max
    first = np.full(len(signals), np.iinfo(np.int64).max)
    place = pc.index_in(fills["signal_id"], signals["signal_id"].combine_chunks())
    ours = fills["ts"].filter(place.is_valid()).to_numpy()
    np.minimum.at(first, place.drop_null().to_numpy(), ours)
    valid = pc.fill_null(signals["valid_until"], d7.NEVER - 1).to_numpy()
    return np.where(first <= valid, day_number(first), far)


def _trades(axis: Axis, all_days: d7.Int64, start: int, trips: pa.Table, still_open: pa.Table) -> d7.Trades:
    """Return round trips by session; one that closed after the last session is open there, as it was then."""
    opened = np.concatenate((trips["opened_at"].to_numpy(), still_open["trip_opened_at"].to_numpy()))
    closed = np.concatenate((_numbers(trips["day"]), np.full(len(still_open), np.iinfo(np.int32).max)))
    first = np.searchsorted(all_days, day_number(opened)) - start
    return d7.Trades(first.astype(np.int64), axis.place(closed))


def _codes(axis: Axis, intents: pa.Table, rejected: d7.Flags, window: int) -> list[str]:
    """Return the codes of each session's window of rejections with their counts, most frequent first, then by name."""
    by_session: dict[int, list[str]] = {}
    refusals = intents.filter(pa.array(rejected))
    for place, code in zip(refusals["session"].to_pylist(), refusals["decision_code"].to_pylist(), strict=True):
        by_session.setdefault(place, []).append(code)
    counts: Counter[str] = Counter()
    texts = []
    for place in range(axis.size):
        counts.update(by_session.get(place, ()))
        counts.subtract(by_session.get(place - window, ()))
        some = sorted(((-number, code) for code, number in counts.items() if number))
        texts.append(", ".join(f"{code} {-number}" for number, code in some))
    return texts


def _reason(found: d7.Idle, heat_reasons: list[str], equity: d7.Float64) -> list[str]:
    """Return why figures of each session are null, several joined by a comma and a space."""
    conditions = (
        ("missing_equity", np.isnan(equity)),
        ("equity_not_positive", equity <= 0.0),
        ("no_session_with_a_cap", found.sessions == 0),
        ("no_setup", (found.sessions > 0) & (found.setups == 0)),
        ("no_trade", np.isnan(found.mean_hold)),
        ("no_granted_risk", np.isnan(found.mean_risk)),
        ("no_intent", found.intents == 0),
        ("too_few_sessions", np.isnan(found.mean_gross_exposure)),
        ("baseline_too_short", (found.intents > 0) & np.isnan(found.rejection_excess)),
    )
    texts = [[] if not reason else [reason] for reason in heat_reasons]
    for name, holds in conditions:
        for place in np.flatnonzero(holds).tolist():
            texts[place].append(name)
    return [", ".join(dict.fromkeys(parts)) for parts in texts]


def _of_portfolio(given: Inputs, portfolio: str, policy: Policy, plan: Plan) -> pa.Table:
    """Return the rows of a portfolio's sessions of the plan."""
    mine = pc.field("portfolio") == portfolio
    listed = given.sessions.filter(mine)
    axis, start = _axis(listed, plan, reach(policy))
    kept = listed.slice(start)
    heat, drawdown = given.heat.filter(mine), given.drawdown.filter(mine)
    book = d7.Sessions(
        heat=_at(axis, heat, "heat"),
        cap=_at(axis, heat, "cap"),
        equity=_floats(kept["equity"]),
        cash=_floats(kept["cash"]),
        reserved=_at(axis, heat, "reserved_risk"),
        short_exposure=_floats(kept["short_exposure"]),
        gross_exposure_pct=_floats(kept["gross_exposure_pct"]),
        allowed=_at(axis, drawdown, "size_multiplier", 1.0) > 0.0,
    )
    signals = _inside(axis, given.signals.filter(mine & (pc.field("purpose") == "policy")))
    intents = _inside(axis, given.intents.filter(mine))
    rejected = _starts(intents["decision_code"], ("rejected",))
    requests = d7.Requests(intents["session"].to_numpy(), rejected, _floats(intents["approved_risk"]))
    trades = _trades(axis, _numbers(listed["day"]), start, given.trips.filter(mine), given.still_open.filter(mine))
    setups = _setups(axis, given, signals, intents, policy.idle)
    minimum = policy.gates.minimum.get("rejection_excess", 1)
    found = d7.idle_capital(book, setups, trades, requests, policy.idle, minimum)
    codes = _codes(axis, intents, rejected, policy.idle.rejection_window)
    said = dict(zip(heat["day"].to_pylist(), heat["reason"].to_pylist(), strict=True))
    reasons = _reason(found, [said.get(to_date(day), "no_heat") or "" for day in axis.days.tolist()], book.equity)
    ends = _interval(found, book, policy)
    return _rows(found, ends, kept, codes, reasons).filter(pa.array(axis.wanted))


def _interval(found: d7.Idle, book: d7.Sessions, policy: Policy) -> dict[str, d7.Float64]:
    """Return the bounds of the idle share: how the means of its window's blocks vary. The block is that of the correlations."""
    block, end = policy.correlation.block, np.arange(1, found.idle.size + 1)
    begin = np.maximum(end - policy.idle.window, 0)
    spread = block_spread(book.unused[:, None], book.counted, begin, end, block)
    error, confidence = error_of_mean(spread)[:, 0], confidence_of(policy, "idle")
    low, high = student_ends(found.idle, error, spread.blocks, confidence)
    return {"idle_low": np.maximum(low, 0.0), "idle_high": np.minimum(high, 1.0)}


def _rows(found: d7.Idle, ends: dict[str, d7.Float64], listed: pa.Table, codes: list[str], reasons: list[str]) -> pa.Table:
    """Return `idle_capital` rows for sessions."""
    renamed = {"recent_intents": found.intents, "recent_rejected": found.rejected}
    columns: dict[str, pa.Array] = {name: listed[name].combine_chunks() for name in ("day", "portfolio", "month")}
    for column in derived.IDLE_CAPITAL.columns:
        if column.kind == "number":
            columns[column.name] = number_column(ends[column.name] if column.name in ends else getattr(found, column.name))
        elif column.kind == "integer":
            values = renamed.get(column.name)
            columns[column.name] = pa.array(getattr(found, column.name) if values is None else values)
    columns["rejection_codes"] = pa.array(codes, pa.string())
    columns["reason"] = pa.array(reasons, pa.string())
    return assemble(derived.IDLE_CAPITAL, columns)


def compute(home: Home, policies: Assigned, plan: Plan) -> dict[Table, pa.Table]:
    """Return idle capital and rejections of every session of the plan."""
    listed = home.lake.read(derived.PORTFOLIO_EQUITY, ["portfolio"], pc.field("day") >= plan.first, from_month=plan.first.isoformat()[:7])
    portfolios = sorted(pc.unique(listed["portfolio"]).to_pylist())
    given = read(home, plan, max((reach(policies.of(name)) for name in portfolios), default=0))
    parts = [_of_portfolio(given, name, policies.of(name), plan) for name in portfolios]
    empty = derived.IDLE_CAPITAL.arrow_schema().empty_table()
    rows = pa.concat_tables([empty, *parts]).combine_chunks()
    return {derived.IDLE_CAPITAL: rows.sort_by([(name, "ascending") for name in derived.IDLE_CAPITAL.key])}


STAGE = Stage("idle", (derived.IDLE_CAPITAL,), ("heat", "drawdown"), compute, (SIGNALS, INTENTS))
