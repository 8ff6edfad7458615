"""Which rows stand behind which metric, and how they add up to its contributors."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from portfolio_platform.days import EPOCH
from portfolio_platform.monitor.alerts.contributors import (
    ITEMS,
    Contributions,
    Flow,
    exploded,
    items,
    joined,
    listed_symbols,
    summed,
    window_sums,
    written,
)

Ints = npt.NDArray[np.int64]
BASE = "base currency"
MIX_SESSIONS = 20
SESSION = {"day": "day", "portfolio": "portfolio"}


@dataclass(frozen=True)
class Family:
    """How the contributors of some metrics are found.

    Attributes:
        sources: names of the fields of `Sources` that it reads.
        unit: unit of a contributor's value.
        find: from asked entries and sources to contributors.
        look_back: sessions before the entry's whose rows it reads; -1: back to the high-water mark.
        adds_up: whether the contributors' sizes add up to a whole, so that a share has a meaning.
        affected: where the contributors name no symbols, what does.
    """

    sources: tuple[str, ...]
    unit: str
    find: "Callable[[Asked, Sources], pa.Table]"
    look_back: int = 0
    adds_up: bool = True
    affected: "Callable[[Asked, Sources], pa.Table] | None" = None


@dataclass(frozen=True)
class Asked:
    """Entries of one family. ``rows`` has entry, portfolio, day, scope, window_start, parts of the scope as part_0 to part_3."""

    rows: pa.Table
    metric: str


@dataclass(frozen=True)
class Sources:
    """What contributors are found in; a table that no family of the range reads is left empty.

    Attributes:
        days: the sessions of each portfolio with the look-back, ascending day numbers.
        positions: day, portfolio, strategy, symbol, template, playbook, cohort, sector, value (signed, base), stale.
        risks: rows of `position_risk`.
        buckets: rows of `correlation_buckets`.
        late: rows of `data_quality`.
        profits: P&L by strategy and symbol; fills: traded value; refusals: intents by code of the answer.
        templates, playbooks: exposure by strategy and symbol, the template or playbook being the code.
        marks: day numbers of each portfolio's sessions at its high-water mark.
        slippage, holding: (portfolio, day, playbook, symbol, value) of entry fills and of round trips.
        failures: rows of `failure_labels`.
        changes: (portfolio, day, code, value): what a session's change of value looks like, with its flows and without.
    """

    days: Mapping[str, Ints]
    positions: pa.Table | None = None
    risks: pa.Table | None = None
    buckets: pa.Table | None = None
    late: pa.Table | None = None
    profits: Flow | None = None
    fills: Flow | None = None
    refusals: Flow | None = None
    templates: Flow | None = None
    playbooks: Flow | None = None
    marks: Mapping[str, Ints] = field(default_factory=dict)
    slippage: pa.Table | None = None
    holding: pa.Table | None = None
    failures: pa.Table | None = None
    changes: pa.Table | None = None


def _risk(asked: Asked, sources: Sources) -> pa.Table:
    assert sources.risks is not None
    found = joined(asked.rows, sources.risks, SESSION)
    if asked.metric == "beyond_stop":
        found = found.filter(found["beyond_stop"])
    return summed(items(found["entry"], pc.fill_null(found["risk"], 0.0), strategy=found["strategy"], symbol=found["symbol"]))


def _exposed(*, on: str = "", by: tuple[str, ...] = ("strategy", "symbol"), stale: bool = False) -> "Callable[[Asked, Sources], pa.Table]":
    """Return how positions are added up: those whose column ``on`` is the scope (all where it is empty), by names."""

    def find(asked: Asked, sources: Sources) -> pa.Table:
        assert sources.positions is not None
        found = joined(asked.rows, sources.positions, {**SESSION, "scope": on} if on else SESSION)
        if stale:
            found = found.filter(found["stale"])
        # a column that the entries were matched by has their name for it
        names = {name: found["scope"] if name == on else found[name] for name in by}
        return summed(items(found["entry"], pc.abs(pc.fill_null(found["value"], 0.0)), **names))

    return find


def _bucket(asked: Asked, sources: Sources) -> pa.Table:
    assert sources.buckets is not None and sources.positions is not None
    members = exploded(joined(asked.rows, sources.buckets, {**SESSION, "scope": "bucket"}), "symbols")
    held = _exposed(by=("symbol",))(asked, sources)
    return held.join(members, ["entry", "symbol"], join_type="inner").select(ITEMS.names)


def _crowd(asked: Asked, sources: Sources) -> pa.Table:
    assert sources.positions is not None
    found = joined(asked.rows, sources.positions, SESSION, keep=("part_0", "part_1", "part_2"))
    group = pc.if_else(pc.equal(found["part_0"], "template"), found["template"], found["symbol"])
    side = pc.if_else(pc.greater(found["value"], 0.0), "long", "short")
    found = found.filter(pc.and_(pc.equal(group, found["part_1"]), pc.equal(side, found["part_2"])))
    return summed(items(found["entry"], pc.abs(found["value"]), strategy=found["strategy"], symbol=found["symbol"]))


def _windowed(
    name: str, by: tuple[str, ...], sessions: int, *, scope: str = "", losses: bool = False
) -> "Callable[[Asked, Sources], pa.Table]":
    """Return how a flow is added up over each entry's last sessions (0: since the high-water mark), by names."""

    def find(asked: Asked, sources: Sources) -> pa.Table:
        flow = getattr(sources, name)
        parts = []
        for portfolio in sorted(set(asked.rows["portfolio"].to_pylist())):
            mine, days = asked.rows.filter(pc.equal(asked.rows["portfolio"], portfolio)), sources.days[portfolio]
            entry, last = mine["entry"].to_numpy(), np.searchsorted(days, day_numbers(mine["day"]))
            first = np.maximum(0, last - sessions + 1) if sessions else _after_mark(sources.marks.get(portfolio), days, last)
            found = window_sums(flow, by, portfolio, days, first, last, entry)
            if scope:
                wanted = mine.select(["entry", "scope"]).rename_columns(["entry", scope])
                found = found.join(wanted, ["entry", scope], join_type="inner").select(ITEMS.names)
            parts.append(found)
        found = pa.concat_tables(parts) if parts else ITEMS.empty_table()
        if losses:
            weight = pc.negate(found["value"]).combine_chunks()
            found = items(found["entry"], found["value"].combine_chunks(), weight, **{name: found[name] for name in by})
        return found

    return find


def _after_mark(marks: Ints | None, days: Ints, last: Ints) -> Ints:
    """Return the place of the session after each entry's high-water mark."""
    at = np.searchsorted(days, marks) if marks is not None else np.zeros(0, np.int64)
    found = np.searchsorted(at, last, side="right") - 1
    first = np.where(found >= 0, at[np.maximum(found, 0)] + 1, 0) if at.size else np.zeros_like(last)
    return np.minimum(first, last)


def _medians(name: str) -> "Callable[[Asked, Sources], pa.Table]":
    """Return how observations since each entry's window began have their median by symbol; scope ``all`` takes every playbook."""

    def find(asked: Asked, sources: Sources) -> pa.Table:
        parts = [ITEMS.empty_table()]
        keys = asked.rows.select(["portfolio", "scope"]).group_by(["portfolio", "scope"]).aggregate([])
        for portfolio, scope in sorted(zip(keys["portfolio"].to_pylist(), keys["scope"].to_pylist(), strict=True)):
            rows = asked.rows.filter(pc.and_(pc.equal(asked.rows["portfolio"], portfolio), pc.equal(asked.rows["scope"], scope)))
            table: pa.Table = getattr(sources, name)
            table = table.filter(pc.equal(table["portfolio"], portfolio))
            if scope not in ("", "all"):
                table = table.filter(pc.equal(table["playbook"], scope))
            parts.append(_medians_of(rows, table))
        return pa.concat_tables(parts)

    return find


def _medians_of(rows: pa.Table, observed: pa.Table) -> pa.Table:
    """Return the median by symbol of the observations in each row's window."""
    observed = observed.sort_by([("day", "ascending"), ("symbol", "ascending")])
    day, value = day_numbers(observed["day"]), observed["value"].to_numpy()
    symbols = sorted(set(observed["symbol"].to_pylist()))
    symbol = pc.index_in(observed["symbol"], pa.array(symbols, pa.string())).to_numpy().astype(np.int64)
    start = np.searchsorted(day, day_numbers(pc.fill_null(rows["window_start"], EPOCH)))
    size = np.maximum(0, np.searchsorted(day, day_numbers(rows["day"]), side="right") - start)
    total = int(size.sum())
    if not total:
        return ITEMS.empty_table()
    entry = np.repeat(rows["entry"].to_numpy(), size)
    at = np.arange(total) - np.repeat(np.cumsum(size) - size, size) + np.repeat(start, size)
    order = np.lexsort((value[at], symbol[at], entry))
    entry, found, ordered = entry[order], symbol[at][order], value[at][order]
    starts = np.flatnonzero((np.diff(entry, prepend=-1) != 0) | (np.diff(found, prepend=-1) != 0))
    lengths = np.diff(np.append(starts, total))
    medians = (ordered[starts + (lengths - 1) // 2] + ordered[starts + lengths // 2]) / 2.0
    return items(entry[starts], medians, symbol=pa.array(symbols, pa.string()).take(pa.array(found[starts])))


def _failures(asked: Asked, sources: Sources) -> pa.Table:
    assert sources.failures is not None
    keys = {"portfolio": "portfolio", "part_0": "failure_mode", "part_1": "template", "part_2": "regime", "part_3": "side"}
    rows = sources.failures.rename_columns(["closed" if name == "day" else name for name in sources.failures.column_names])
    whole = joined(asked.rows, rows, keys)
    ends = asked.rows.select(["entry", "day", "window_start"])
    found = whole.join(ends, "entry", join_type="inner")
    inside = pc.and_(pc.less_equal(found["closed"], found["day"]), pc.greater_equal(found["closed"], found["window_start"]))
    found = found.filter(inside)
    return summed(items(found["entry"], np.ones(len(found)), strategy=found["strategy"], symbol=found["symbol"]))


def _late(asked: Asked, sources: Sources) -> pa.Table:
    assert sources.late is not None
    members = exploded(joined(asked.rows, sources.late, {**SESSION, "scope": "source"}), "late_symbols")
    members = members.filter(pc.not_equal(members["symbol"], ""))
    return items(members["entry"], np.ones(len(members)), symbol=members["symbol"])


def _versions(asked: Asked, sources: Sources) -> pa.Table:
    assert sources.late is not None
    members = exploded(joined(asked.rows, sources.late, SESSION), "new_version_names")
    members = members.filter(pc.not_equal(members["symbol"], ""))
    return items(members["entry"], np.ones(len(members)), code=members["symbol"])


def _changes(asked: Asked, sources: Sources) -> pa.Table:
    assert sources.changes is not None
    found = joined(asked.rows, sources.changes, SESSION)
    return items(found["entry"], found["value"], pc.abs(found["value"]), code=found["code"])


def _order(asked: Asked, sources: Sources) -> pa.Table:
    """Return the order itself, the scope being its strategy, symbol, side and id."""
    rows = asked.rows
    return items(rows["entry"], np.ones(len(rows)), strategy=rows["part_0"], symbol=rows["part_1"], code=rows["part_3"])


def day_numbers(column: "pa.ChunkedArray") -> Ints:
    """Return dates as day numbers."""
    numbers: Ints = column.combine_chunks().cast(pa.int32()).to_numpy(zero_copy_only=False).astype(np.int64)
    return numbers


_HELD = _exposed(by=("symbol",))
_LOSSES = Family(
    ("profits", "marks"),
    BASE,
    _windowed("profits", ("strategy",), 0, losses=True),
    look_back=-1,
    affected=_windowed("profits", ("symbol",), 0, losses=True),
)
_TRADED = Family(("fills",), BASE, _windowed("fills", ("strategy",), 20), look_back=20, affected=_windowed("fills", ("symbol",), 20))
_POSITIONS = ("positions",)


def _grouped(dimension: str) -> Family:
    return Family(_POSITIONS, BASE, _exposed(on=dimension))


def _shared(name: str) -> Family:
    """Return the family of a share that is a mean of 20 sessions: mean exposure of its positions over them."""
    summed_up = _windowed(name, ("strategy", "symbol", "code"), MIX_SESSIONS, scope="code")

    def find(asked: Asked, sources: Sources) -> pa.Table:
        found = summed_up(asked, sources)
        mean = pc.divide(found["value"], float(MIX_SESSIONS))
        return items(_one(found["entry"]), _one(mean), strategy=found["strategy"], symbol=found["symbol"])

    return Family((name,), BASE, find, look_back=MIX_SESSIONS)


def _one(column: "pa.ChunkedArray") -> pa.Array:
    return column.combine_chunks()


FAMILIES: dict[str, Family] = {
    **dict.fromkeys(("heat", "heat_use", "beyond_stop"), Family(("risks",), BASE, _risk)),
    "symbol_exposure": _grouped("symbol"),
    "cohort_exposure": _grouped("cohort"),
    "sector_exposure": _grouped("sector"),
    **dict.fromkeys(("template_drift", "template_share"), _shared("templates")),
    "playbook_share": _shared("playbooks"),
    "bucket_exposure": Family(("buckets", "positions"), BASE, _bucket),
    "crowding": Family(_POSITIONS, BASE, _crowd),
    **dict.fromkeys(("drawdown", "size_multiplier"), _LOSSES),
    "drawdown_z": Family(
        ("profits",),
        BASE,
        _windowed("profits", ("strategy",), 5, losses=True),
        look_back=5,
        affected=_windowed("profits", ("symbol",), 5, losses=True),
    ),
    **dict.fromkeys(("trades_tail", "trips_tail", "turnover_20"), _TRADED),
    "churn": Family(("fills",), BASE, _windowed("fills", ("strategy", "symbol"), 20, scope="symbol"), look_back=20),
    **dict.fromkeys(("slippage_drift", "slippage_cusum"), Family(("slippage",), "bps", _medians("slippage"), adds_up=False)),
    "holding_time_drift": Family(("holding",), "bars", _medians("holding"), adds_up=False),
    **dict.fromkeys(
        ("idle", "feasible_use", "missed_rate", "missed_low"),
        Family(("refusals",), "count", _windowed("refusals", ("code",), 20), 20, affected=_windowed("refusals", ("symbol",), 20)),
    ),
    "rejection_excess": Family(
        ("refusals",), "count", _windowed("refusals", ("code",), 30), 30, affected=_windowed("refusals", ("symbol",), 30)
    ),
    **dict.fromkeys(("failure_recurrence", "failure_recurring"), Family(("failures",), "count", _failures)),
    "stale_share": Family(_POSITIONS, BASE, _exposed(stale=True)),
    "late_sessions": Family(("late",), "count", _late, adds_up=False),
    "new_versions": Family(("late",), "count", _versions, adds_up=False),
    "net_flow": Family(("changes",), "fraction", _changes, look_back=1, adds_up=False),
    "order_slippage": Family((), "count", _order, adds_up=False),
}
HELD = Family(_POSITIONS, BASE, _HELD)
DATA = Family((), "count", lambda asked, sources: ITEMS.empty_table())


def family_of(metric: str) -> Family:
    """Return how a metric's contributors are found; those of a metric without a way of its own are the symbols held."""
    return DATA if metric == "set_aside" else FAMILIES.get(metric, HELD)


def contributions(asked: Mapping[str, pa.Table], sources: Sources) -> Contributions:
    """Return contributors and affected symbols of all entries; ``asked`` has a table of `Asked.rows` for each metric."""
    parts, named = [ITEMS.empty_table()], [ITEMS.empty_table()]
    unit: dict[int, str] = {}
    adds_up: dict[int, bool] = {}
    for metric, rows in sorted(asked.items()):
        family, wanted = family_of(metric), Asked(rows, metric)
        found = family.find(wanted, sources).select(ITEMS.names).cast(ITEMS)
        parts.append(found)
        symbols = found if family.affected is None else family.affected(wanted, sources).select(ITEMS.names).cast(ITEMS)
        # of what was gained and lost, the symbols that lost
        named.append(symbols.filter(pc.greater(symbols["weight"], 0.0)))
        entries = rows["entry"].to_pylist()
        unit.update(dict.fromkeys(entries, family.unit))
        adds_up.update(dict.fromkeys(entries, family.adds_up))
    return Contributions(written(pa.concat_tables(parts), unit, adds_up), listed_symbols(pa.concat_tables(named)))
