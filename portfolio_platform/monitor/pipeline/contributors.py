"""What alerts' contributors are found in: the tables behind the metrics, read only where an alert asks and only as far back as it looks."""

from collections.abc import Mapping
from datetime import date
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from portfolio_platform.days import day_number, end_of_day_ns, to_date
from portfolio_platform.home import Home
from portfolio_platform.lake import active, derived
from portfolio_platform.lake.arrays import day_column
from portfolio_platform.lake.columns import Table
from portfolio_platform.lake.facts import FILLS, FX_RATES, INSTRUMENTS, INTENTS, UNCLASSIFIED
from portfolio_platform.monitor.alerts.contributors import Flow
from portfolio_platform.monitor.alerts.families import Sources, day_numbers, family_of
from portfolio_platform.policy.assigned import Assigned

CLASSIFIED = ("cohort", "sector")


def read_sources(home: Home, policies: Assigned, asked: Mapping[str, pa.Table], days: Mapping[str, np.ndarray], until: date) -> Sources:
    """Return the sources of the families that are asked for."""
    since = _since(home, asked, days)
    found: dict[str, Any] = {}
    readers = {
        "positions": _positions,
        "risks": _risks,
        "buckets": _buckets,
        "late": _late,
        "profits": _profits,
        "fills": _fills,
        "refusals": _refusals,
        "templates": _templates,
        "playbooks": _playbooks,
        "slippage": _slippage,
        "holding": _holding,
        "failures": _failures,
        "changes": _changes,
    }
    for name, reader in readers.items():
        if name in since:
            found[name] = reader(home, since[name], until)
    if "marks" in since:
        found["marks"] = _marks(home, until)
        start = min((_mark_before(found["marks"].get(name), rows) for name, rows in _losing(asked)), default=since["profits"])
        found["profits"] = _profits(home, min(start, since["profits"]), until)
        days = _days_back_to(home, days, start)
    return Sources(days=days, **found)


def _since(home: Home, asked: Mapping[str, pa.Table], days: Mapping[str, np.ndarray]) -> dict[str, date]:
    """Return the first day that each source is read from."""
    since: dict[str, date] = {}
    for metric, rows in asked.items():
        family, first = family_of(metric), pc.min(rows["day"]).as_py()
        if family.look_back > 0:
            first = min(_back(days[name], first, family.look_back) for name in sorted(set(rows["portfolio"].to_pylist())))
        windows = pc.min(rows["window_start"]).as_py()
        if family.sources and family.sources[0] in ("slippage", "holding", "failures"):
            first = min(first, windows) if windows is not None else home.first_day
        for source in family.sources:
            since[source] = min(first, since.get(source, first))
    return since


def _back(days: np.ndarray, first: date, sessions: int) -> date:
    """Return the day of the session so many sessions before the first one from a day on."""
    place = int(np.searchsorted(days, day_number(end_of_day_ns(first))))
    return to_date(int(days[max(0, place - sessions)]))


def _losing(asked: Mapping[str, pa.Table]) -> list[tuple[str, date]]:
    """Return the first day of each portfolio whose loss since its mark is asked for."""
    first: dict[str, date] = {}
    for metric, rows in asked.items():
        if family_of(metric).look_back < 0:
            for portfolio, day in zip(rows["portfolio"].to_pylist(), rows["day"].to_pylist(), strict=True):
                first[portfolio] = min(day, first.get(portfolio, day))
    return sorted(first.items())


def _mark_before(marks: np.ndarray | None, first: date) -> date:
    """Return the newest session at the mark up to a day; the earliest date where there was none."""
    earlier: list[int] = [] if marks is None else marks[marks <= day_number(end_of_day_ns(first))].tolist()
    return to_date(earlier[-1]) if earlier else date.min


def _days_back_to(home: Home, days: Mapping[str, np.ndarray], start: date) -> dict[str, np.ndarray]:
    """Return the sessions of each portfolio from a day on, with those that are known already."""
    found = _read(home, derived.PORTFOLIO_EQUITY, ("portfolio", "day"), max(start, home.first_day), date.max).sort_by("day")
    names, day = np.asarray(found["portfolio"].to_pylist(), dtype=object), day_numbers(found["day"])
    return {name: np.union1d(known, day[(names == name) & (day <= known[-1])]) for name, known in days.items()}


def _read(home: Home, table: Table, columns: tuple[str, ...], since: date, until: date) -> pa.Table:
    where = (pc.field("day") >= since) & (pc.field("day") <= until)
    return home.lake.read(table, columns, where, from_month=since.isoformat()[:7], to_month=until.isoformat()[:7])


def _positions(home: Home, since: date, until: date) -> pa.Table:
    columns = ("day", "portfolio", "strategy", "symbol", "template", "playbook", "market_value_base", "stale")
    lots = _read(home, derived.LOT_EXPOSURES, columns, since, until)
    classes = active.read(home.lake, INSTRUMENTS, ("symbol", *CLASSIFIED))
    joined = lots.join(classes, "symbol", join_type="left outer")
    for name in (*CLASSIFIED, "template", "playbook"):
        filled = pc.fill_null(joined[name].cast(pa.string()), UNCLASSIFIED)
        joined = joined.set_column(joined.column_names.index(name), name, filled)
    return joined.rename_columns(["value" if name == "market_value_base" else name for name in joined.column_names])


def _risks(home: Home, since: date, until: date) -> pa.Table:
    return _read(home, derived.POSITION_RISK, ("day", "portfolio", "strategy", "symbol", "risk", "beyond_stop"), since, until)


def _buckets(home: Home, since: date, until: date) -> pa.Table:
    return _read(home, derived.CORRELATION_BUCKETS, ("day", "portfolio", "bucket", "symbols"), since, until)


def _late(home: Home, since: date, until: date) -> pa.Table:
    return _read(home, derived.DATA_QUALITY, ("day", "portfolio", "source", "late_symbols", "new_version_names"), since, until)


def _failures(home: Home, since: date, until: date) -> pa.Table:
    columns = ("day", "portfolio", "strategy", "symbol", "failure_mode", "template", "regime", "side")
    return _read(home, derived.FAILURE_LABELS, columns, since, until)


def _changes(home: Home, since: date, until: date) -> pa.Table:
    """Return how much each session's flows, bare value and flow-neutral value changed, as fractions of the equity before it."""
    names = ("portfolio", "day", "equity", "net_flow", "daily_return")
    rows = _read(home, derived.PORTFOLIO_EQUITY, names, since, until).sort_by([("portfolio", "ascending"), ("day", "ascending")])
    equity, flow, earned = (pc.fill_null(rows[name], np.nan).to_numpy() for name in names[2:])
    portfolio = rows["portfolio"].to_numpy()
    before = np.append(np.nan, equity)[: equity.size]
    before = np.where(np.append(False, portfolio[1:] == portfolio[:-1])[: equity.size], before, np.nan)
    parts = []
    for code, value in (("net flow", flow / before), ("bare change", equity / before - 1.0), ("flow-neutral return", earned)):
        known = np.isfinite(value)
        part = rows.select(["portfolio", "day"]).filter(pa.array(known))
        parts.append(part.append_column("code", pa.array([code] * len(part), pa.string())).append_column("value", pa.array(value[known])))
    return pa.concat_tables(parts)


def _marks(home: Home, until: date) -> dict[str, np.ndarray]:
    """Return each portfolio's sessions at its high-water mark."""
    at = (pc.field("under_water_days") == 0) & (pc.field("reason") == "") & (pc.field("day") <= until)
    found = home.lake.read(derived.DRAWDOWN_STATE, ("portfolio", "day"), at).sort_by("day")
    names, day = np.asarray(found["portfolio"].to_pylist(), dtype=object), day_numbers(found["day"])
    return {name: day[names == name] for name in sorted(set(names.tolist()))}


def _profits(home: Home, since: date, until: date) -> Flow:
    columns = ("portfolio", "day", "strategy", "symbol", "component", "total")
    found = _read(home, derived.PNL_ATTRIBUTION, columns, max(since, home.first_day), until)
    # what belongs to no position has its component for a strategy
    other = pc.and_(pc.equal(pc.fill_null(found["strategy"], ""), ""), pc.not_equal(found["component"], "position"))
    return _flow(
        found["portfolio"],
        day_numbers(found["day"]),
        pc.fill_null(found["total"], 0.0).to_numpy(),
        strategy=pc.if_else(other, found["component"], pc.fill_null(found["strategy"], "")),
        symbol=pc.fill_null(found["symbol"], ""),
    )


def _flow(portfolio: pa.ChunkedArray, day: np.ndarray, amount: np.ndarray, **names: pa.ChunkedArray) -> Flow:
    blank = pa.array([""] * len(portfolio), pa.string())
    given = {name: pc.fill_null(names[name].cast(pa.string()), "") if name in names else blank for name in ("strategy", "symbol", "code")}
    return Flow(pa.table({"portfolio": portfolio, **given}), day, amount)


def _templates(home: Home, since: date, until: date) -> Flow:
    return _mix(home, "template", since, until)


def _playbooks(home: Home, since: date, until: date) -> Flow:
    return _mix(home, "playbook", since, until)


def _mix(home: Home, group: str, since: date, until: date) -> Flow:
    """Return the exposure of each position's lots of a template or playbook."""
    found = _read(home, derived.LOT_EXPOSURES, ("day", "portfolio", "strategy", "symbol", group, "market_value_base"), since, until)
    amount = np.abs(pc.fill_null(found["market_value_base"], 0.0).to_numpy())
    code = pc.fill_null(found[group], UNCLASSIFIED)
    return _flow(found["portfolio"], day_numbers(found["day"]), amount, strategy=found["strategy"], symbol=found["symbol"], code=code)


def _fills(home: Home, since: date, until: date) -> Flow:
    """Return traded values in base currency."""
    columns = ("ts", "portfolio", "strategy", "symbol", "quantity", "price", "currency")
    found = active.read(home.lake, FILLS, columns, after_ts=end_of_day_ns(since) - 86_400_000_000_000, until_ts=end_of_day_ns(until))
    multipliers = active.read(home.lake, INSTRUMENTS, ("symbol", "multiplier"))
    by_symbol = {row["symbol"]: float(row["multiplier"] or 1) for row in multipliers.to_pylist()}
    symbols, day = found["symbol"].to_pylist(), day_number(found["ts"].to_numpy())
    value = pc.cast(found["quantity"], pa.float64()).to_numpy() * pc.cast(found["price"], pa.float64()).to_numpy()
    value = np.abs(value) * np.array([by_symbol.get(symbol, 1.0) for symbol in symbols])
    if home.lake.row_count(FX_RATES.table):
        value = value * _rates(home, found, day, since, until)
    return _flow(found["portfolio"], day, value, strategy=found["strategy"], symbol=found["symbol"])


def _rates(home: Home, fills: pa.Table, day: np.ndarray, since: date, until: date) -> np.ndarray:
    """Return base currency for one unit of each fill's currency, as its position was converted that day; 1 where it was not."""
    rates = _read(home, derived.LEDGER_SNAPSHOTS, ("day", "portfolio", "strategy", "symbol", "fx_rate"), since, until)
    keys = ["day", "portfolio", "strategy", "symbol"]
    newest = rates.group_by(keys).aggregate([("fx_rate", "max")])
    asked = fills.select(keys[1:]).append_column("day", day_column(day)).append_column("at", pa.array(np.arange(len(fills))))
    joined = asked.join(newest, keys, join_type="left outer").sort_by("at")
    found: np.ndarray = pc.fill_null(joined["fx_rate_max"], 1.0).to_numpy()
    return found


def _refusals(home: Home, since: date, until: date) -> Flow:
    """Return intents that the allocator refused or cut, by the code of its answer."""
    columns = ("ts", "portfolio", "symbol", "decision_code")
    found = active.read(home.lake, INTENTS, columns, after_ts=end_of_day_ns(since) - 86_400_000_000_000, until_ts=end_of_day_ns(until))
    found = found.filter(pc.starts_with(pc.fill_null(found["decision_code"], ""), "rejected"))
    day = day_number(found["ts"].to_numpy())
    return _flow(found["portfolio"], day, np.ones(len(found)), symbol=found["symbol"], code=found["decision_code"])


def _slippage(home: Home, since: date, until: date) -> pa.Table:
    after, last = end_of_day_ns(since) - 86_400_000_000_000, end_of_day_ns(until)
    where = (pc.field("fill_ts") > after) & (pc.field("fill_ts") <= last) & pc.field("slippage_bps").is_valid()
    found = home.lake.read(derived.SIGNAL_OUTCOMES, ("portfolio", "fill_ts", "playbook", "symbol", "slippage_bps"), where)
    day = day_column(day_number(found["fill_ts"].to_numpy().astype(np.int64)))
    return _observations(found, day, found["slippage_bps"])


def _holding(home: Home, since: date, until: date) -> pa.Table:
    columns = ("portfolio", "day", "playbook", "symbol", "hold_bars")
    found = _read(home, derived.TRIP_PROFILES, columns, since, until)
    found = found.filter(found["hold_bars"].is_valid())
    return _observations(found, found["day"].combine_chunks(), found["hold_bars"].cast(pa.float64()))


def _observations(found: pa.Table, day: pa.Array, value: pa.ChunkedArray) -> pa.Table:
    names = {name: found[name] for name in ("portfolio", "playbook", "symbol")}
    return pa.table({**names, "day": day, "value": value}).sort_by(
        [("portfolio", "ascending"), ("day", "ascending"), ("symbol", "ascending")]
    )
