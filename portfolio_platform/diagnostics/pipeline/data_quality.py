"""Data quality as a stage: the days on which sources spoke, and what is in quarantine, in; what is silent or missing out."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import date

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from portfolio_platform.days import day_number, end_of_day_ns, to_date, to_number
from portfolio_platform.diagnostics import data_quality as dq
from portfolio_platform.home import Home
from portfolio_platform.lake import active, derived
from portfolio_platform.lake.arrays import assemble, day_column, month_column, named
from portfolio_platform.lake.columns import Table
from portfolio_platform.lake.facts import BARS, FACTS, FILLS, INTENTS, PLAYBOOK_EXPECTATIONS, SIGNALS, Fact
from portfolio_platform.lake.progress import Plan
from portfolio_platform.ledger.calendars import sessions as calendar_sessions
from portfolio_platform.ledger.inputs import encode
from portfolio_platform.ledger.pipeline import reference
from portfolio_platform.policy.assigned import Assigned
from portfolio_platform.sources.pipeline import quarantined
from portfolio_platform.stage import Stage

Int64 = npt.NDArray[np.int64]
Flags = npt.NDArray[np.bool_]
SOURCES = (FILLS.name, BARS.name, SIGNALS.name, INTENTS.name)
DAY_SPAN = 1 << 24
MARGIN_DAYS = 31


@dataclass(frozen=True)
class Held:
    """The sessions of a portfolio, from the first on, and the days on which it held and traded its symbols, as (symbol, day) pairs."""

    days: Int64
    held: Mapping[str, Int64]
    traded: Mapping[str, Int64]


@dataclass(frozen=True)
class Heard:
    """The days on which sources spoke: bars by symbol, the others by source and portfolio; and each symbol's calendar."""

    bars: Mapping[str, Int64]
    others: Mapping[str, Mapping[str, Int64]]
    calendars: Mapping[str, Int64]
    versions: Mapping[str, Mapping[str, int]]
    """By portfolio, the first day of each engine version among its signals."""


def _days_by(table: pa.Table, name: str, day: Int64) -> dict[str, Int64]:
    """Return the distinct days of each name, ascending."""
    code, names = encode(table[name])
    both = np.unique(code * DAY_SPAN + day)
    start = np.searchsorted(both, np.arange(len(names) + 1) * DAY_SPAN)
    return {label: both[start[k] : start[k + 1]] - k * DAY_SPAN for k, label in enumerate(names)}


def _numbers(column: pa.ChunkedArray) -> Int64:
    return np.asarray(column.cast(pa.int32()).to_numpy(), np.int64)


def _facts(home: Home, fact: Fact, columns: tuple[str, ...], plan: Plan) -> tuple[pa.Table, Int64]:
    until = end_of_day_ns(plan.until)
    found = active.read(home.lake, fact, (*columns, "ts"), until_ts=until, dictionaries=columns)
    return found, day_number(found["ts"].to_numpy())


def _read(home: Home, policies: Assigned, plan: Plan) -> tuple[dict[str, Held], Heard]:
    """Read what there was up to the plan's end: silence may be as old as the ledger, so nothing bounds it from below."""
    equity = home.lake.read(derived.PORTFOLIO_EQUITY, ["portfolio", "day"], pc.field("day") <= plan.until)
    in_plan = (pc.field("day") >= plan.first) & (pc.field("day") <= plan.until)
    months = {"from_month": plan.first.isoformat()[:7], "to_month": plan.until.isoformat()[:7]}
    open_lots = home.lake.read(
        derived.LOT_EXPOSURES, ["portfolio", "symbol", "day"], in_plan, dictionaries=("portfolio", "symbol"), **months
    )
    fills, traded_on = _facts(home, FILLS, ("portfolio", "symbol"), plan)
    bars, barred_on = _facts(home, BARS, ("symbol",), plan)
    others = {FILLS.name: _days_by(fills, "portfolio", traded_on)}
    intents, asked_on = _facts(home, INTENTS, ("portfolio",), plan)
    signals, spoken_on = _facts(home, SIGNALS, ("portfolio", "engine_version"), plan)
    others |= {INTENTS.name: _days_by(intents, "portfolio", asked_on), SIGNALS.name: _days_by(signals, "portfolio", spoken_on)}
    of_portfolio = {}
    held_on, sessions = _numbers(open_lots["day"]), _days_by(equity, "portfolio", _numbers(equity["day"]))
    for portfolio, days in sorted(sessions.items()):
        mine, trades = _equal(open_lots, portfolio), _equal(fills, portfolio)
        of_portfolio[portfolio] = Held(
            days,
            _days_by(open_lots.filter(pa.array(mine)), "symbol", held_on[mine]),
            _days_by(fills.filter(pa.array(trades)), "symbol", traded_on[trades]),
        )
    spoken = _days_by(bars, "symbol", barred_on)
    calendars = _calendars(home, policies, plan, of_portfolio, spoken)
    return of_portfolio, Heard(spoken, others, calendars, _first_heard(signals, spoken_on))


def _first_heard(signals: pa.Table, day: Int64) -> dict[str, dict[str, int]]:
    """Return by portfolio the first day of each engine version that its signals name."""
    rows = pa.table({name: signals[name].cast(pa.string()) for name in ("portfolio", "engine_version")} | {"day": pa.array(day)})
    first = rows.group_by(["portfolio", "engine_version"]).aggregate([("day", "min")])
    found: dict[str, dict[str, int]] = {}
    for row in first.to_pylist():
        if row["engine_version"]:
            found.setdefault(row["portfolio"], {})[row["engine_version"]] = row["day_min"]
    return found


def _calendars(home: Home, policies: Assigned, plan: Plan, portfolios: Mapping[str, Held], spoken: Mapping[str, Int64]) -> dict[str, Int64]:
    """Return the calendar of each symbol, from before the sessions that judge its cadence on: older years cost a second to make."""
    first, known, since = to_number(plan.first), reference(home, policies.default), {to_number(plan.first)}
    for portfolio, held in portfolios.items():
        policy = policies.of(portfolio).data_quality
        recent = held.days[max(0, int(np.searchsorted(held.days, first)) - policy.traded_window) :]
        waited_for = {*held.held, *(name for name, days in held.traded.items() if recent.size and days[-1] >= recent[0])}
        for seen in (spoken[name] for name in waited_for & spoken.keys()):
            newest = int(seen[max(0, int(np.searchsorted(seen, first, side="right")) - 1)])
            # no calendar has fewer than a session every other day, holidays of a month aside
            since.add(max(newest - 2 * policy.cadence_window - MARGIN_DAYS, int(seen[0])))
    calendars = {name: calendar_sessions(name, min(since), to_number(plan.until)) for name in set(map(known.calendar_of, spoken))}
    return {symbol: calendars[known.calendar_of(symbol)] for symbol in spoken}


def _equal(table: pa.Table, portfolio: str) -> Flags:
    code, names = encode(table["portfolio"])
    return code == names.index(portfolio) if portfolio in names else np.zeros(len(table), bool)


def _symbols(held: Held, heard: Heard, wanted: Int64, cadence: dq.Cadence, traded_window: int) -> tuple[dq.Symbols, tuple[str, ...]]:
    """Return the silence of the bars of what a portfolio has traded, on the wanted sessions."""
    names, nothing = tuple(sorted({*held.held, *held.traded})), np.empty(0, np.int64)
    shape, first = (wanted.size, len(names)), held.days.size - wanted.size
    last_seen, late, cadenced = np.full(shape, dq.NEVER), np.zeros(shape, np.int64), np.zeros(shape, bool)
    open_at, trades = np.zeros(shape, bool), np.zeros((held.days.size, len(names)), bool)
    for k, name in enumerate(names):
        found = dq.silence(heard.calendars.get(name, nothing), heard.bars.get(name, nothing), wanted, cadence)
        last_seen[:, k], late[:, k], cadenced[:, k] = found.last_seen, found.late, found.cadenced
        open_at[:, k] = np.isin(wanted, held.held.get(name, nothing))
        at = np.searchsorted(held.days, held.traded.get(name, nothing))
        trades[at[at < held.days.size], k] = True
    ever = np.maximum.accumulate(trades, axis=0)[first:]
    watched = open_at | dq.recently(trades, traded_window)[first:]
    return dq.Symbols(last_seen, late, cadenced, ever | open_at, watched), names


def _sources(portfolio: str, held: Held, heard: Heard, wanted: Int64, policies: Assigned) -> Iterator[tuple[str, dq.Source]]:
    policy = policies.of(portfolio).data_quality
    cadence = dq.Cadence(policy.cadence_window, policy.cadence_minimum, policy.cadence_share)
    for source in SOURCES:
        if source == BARS.name:
            yield source, dq.of_symbols(*_symbols(held, heard, wanted, cadence, policy.traded_window))
        else:
            seen = heard.others[source].get(portfolio, np.empty(0, np.int64))
            yield source, dq.of_portfolio(dq.silence(held.days, seen, wanted, cadence))


def _quarantine(rows: pa.Table, portfolio: str) -> dict[str, tuple[Int64, int]]:
    """Return the days of a portfolio's rows in quarantine, and how many have none, by fact; rows naming no portfolio count for each."""
    mine = pc.fill_null(pc.equal(rows["portfolio"], portfolio), True)
    out = {}
    for fact in FACTS:
        times = rows["ts"].filter(pc.and_(mine, pc.equal(rows["fact"], fact)))
        days = np.sort(day_number(times.drop_null().to_numpy().astype(np.int64)))
        out[fact] = (days, times.null_count)
    return out


def compute(home: Home, policies: Assigned, plan: Plan) -> dict[Table, pa.Table]:
    """Return the data quality of every session of the plan."""
    portfolios, heard = _read(home, policies, plan)
    table = derived.DATA_QUALITY
    parts, aside_rows = [table.arrow_schema().empty_table()], quarantined(home.lake)
    for portfolio, held in portfolios.items():
        wanted = held.days[held.days >= to_number(plan.first)]
        sources = dict(_sources(portfolio, held, heard, wanted, policies))
        for fact, (days, undated) in _quarantine(aside_rows, portfolio).items():
            aside = dq.set_aside(held.days, days, undated)
            chosen = np.arange(wanted.size)
            found = sources.get(fact)
            if found is None:
                # of the other facts nothing is told until a row of theirs is missing
                chosen = np.flatnonzero(aside.to_date[held.days.size - wanted.size :] > 0)
                nothing = np.full(wanted.size, -1)
                found = dq.Source(nothing + dq.NEVER, nothing, np.full(wanted.size, dq.NOT_WATCHED), ("",) * wanted.size)
            heard_of = heard.versions.get(portfolio, {}) if fact == SIGNALS.name else None
            versions = None if heard_of is None else dq.new_names(held.days, heard_of, min(heard_of.values(), default=0))
            parts.append(_rows(portfolio, fact, wanted, found, aside, held.days.size - wanted.size, chosen, versions))
    return {table: pa.concat_tables(parts).sort_by([(name, "ascending") for name in table.key])}


def _rows(
    portfolio: str,
    source: str,
    days: Int64,
    found: dq.Source,
    aside: dq.SetAside,
    first: int,
    chosen: Int64,
    versions: tuple[Int64, tuple[str, ...]] | None,
) -> pa.Table:
    """Return the rows of one source; ``aside`` and ``versions`` are of all sessions, of which those from ``first`` on are wanted."""
    numbers, names = versions if versions is not None else (np.full(first + days.size, -1), ("",) * (first + days.size))
    numbers = numbers[first:][chosen]
    last_seen, late = found.last_seen[chosen], found.late[chosen]
    columns = {
        "day": day_column(days[chosen]),
        "portfolio": pa.array([portfolio] * chosen.size, pa.string()),
        "source": pa.array([source] * chosen.size, pa.string()),
        "last_seen": pa.array(np.maximum(last_seen, 0).astype(np.int32), mask=last_seen <= dq.NEVER).view(pa.date32()),
        "late_sessions": pa.array(late, mask=late < 0),
        "late_symbols": pa.array([found.symbols[k] for k in chosen.tolist()], pa.string()),
        "new_versions": pa.array(numbers, mask=numbers < 0),
        "new_version_names": pa.array([names[first + k] for k in chosen.tolist()], pa.string()),
        "set_aside": pa.array(aside.of_session[first:][chosen]),
        "set_aside_to_date": pa.array(aside.to_date[first:][chosen]),
        "reason": named(dq.REASONS, found.reason[chosen]),
        "month": month_column(days[chosen]),
    }
    return assemble(derived.DATA_QUALITY, columns)


def begin(home: Home, plan: Plan) -> date:
    """Return the first day whose count of rows set aside is not as it was.

    What is newly set aside moves the plan by itself; what was mended since may have lain on an earlier day than the mended
    row, or on none.
    """
    counted = (pc.field("day") < plan.first) & (pc.field("set_aside_to_date") > 0)
    stored = home.lake.read(derived.DATA_QUALITY, ["portfolio", "source", "day", "set_aside_to_date"], counted)
    first = plan.first
    if not len(stored):
        return first
    rows = quarantined(home.lake)
    for portfolio in pc.unique(stored["portfolio"]).to_pylist():
        for fact, (dated, undated) in _quarantine(rows, portfolio).items():
            mine = stored.filter((pc.field("portfolio") == portfolio) & (pc.field("source") == fact))
            days = _numbers(mine["day"])
            wrong = days[np.searchsorted(dated, days, side="right") + undated != mine["set_aside_to_date"].to_numpy()]
            first = min(first, to_date(wrong.min())) if wrong.size else first
    return first


FACTS_READ = (SIGNALS, INTENTS, PLAYBOOK_EXPECTATIONS)
STAGE = Stage("data_quality", (derived.DATA_QUALITY,), ("signals",), compute, FACTS_READ, begin=begin, quarantine=True)
