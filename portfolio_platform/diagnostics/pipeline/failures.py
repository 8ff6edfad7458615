"""D8 as a stage: profiles of trades, signals and bars in; a label for each losing trade and the failures that come back out."""

from collections.abc import Sequence
from datetime import date

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from portfolio_platform.days import NANOSECONDS_PER_DAY, end_of_day_ns, to_number
from portfolio_platform.diagnostics import failures as d8
from portfolio_platform.diagnostics import label_rows, labels
from portfolio_platform.diagnostics.pipeline.inputs import sessions
from portfolio_platform.home import Home
from portfolio_platform.lake import active, derived
from portfolio_platform.lake.arrays import assemble, named, number_column
from portfolio_platform.lake.columns import Table
from portfolio_platform.lake.facts import BARS, CORPORATE_ACTIONS, SIGNALS, UNCLASSIFIED
from portfolio_platform.lake.progress import Plan
from portfolio_platform.ledger.fixed_point import to_floats
from portfolio_platform.ledger.inputs import encode, factorize
from portfolio_platform.policy.assigned import Assigned
from portfolio_platform.policy.diagnostics import FailurePolicy
from portfolio_platform.signals import bars as laying
from portfolio_platform.stage import Stage

STRATUM = ("template", "regime", "side")
KEY = ("failure_mode", *STRATUM)
HISTORY_COLUMNS = ("round_trip_id", "day", "portfolio", "template", "regime", "direction")
LABEL_COLUMNS = ("round_trip_id", "day", "portfolio", "symbol", "failure_mode", "template", "regime", "side", "net_pnl")


def _bars(home: Home, after_ts: int, until_ts: int) -> tuple[laying.Bars, labels.Float64]:
    """Return bars laid out by symbol and time, and their volume in original units beside them."""
    columns = (*laying.BAR_COLUMNS, "volume")
    found = active.read(home.lake, BARS, columns, after_ts=after_ts, until_ts=until_ts, dictionaries=("symbol",))
    actions = active.read(home.lake, CORPORATE_ACTIONS, ("ts", "symbol", "kind", "ratio", "row_id"), until_ts=until_ts)
    laid = laying.lay_out(found.select(laying.BAR_COLUMNS), actions)
    code, ts = laid.codes(found["symbol"]), found["ts"].to_numpy()
    order = np.lexsort((ts, code))
    return laid, to_floats(found["volume"])[order] / laid.splits.at(code[order], ts[order])


def _entries(home: Home, plan: Plan, trips: pa.Table) -> tuple[labels.Float64, labels.Float64]:
    """Return each trip's average entry price, and the rate that takes its P&L to base currency on the day of its close."""
    months = (plan.first.isoformat()[:7], plan.until.isoformat()[:7])
    rounds = home.lake.read(
        derived.ROUND_TRIPS,
        ["round_trip_id", "entry_price", "currency"],
        pc.field("method") == "flat_to_flat",
        from_month=months[0],
        to_month=months[1],
    )
    cash = home.lake.read(derived.CASH_BALANCES, ["day", "portfolio", "currency", "fx_rate"], from_month=months[0], to_month=months[1])
    numbered = trips.select(["round_trip_id", "day", "portfolio"]).append_column("place", pa.array(np.arange(len(trips))))
    joined = numbered.join(rounds, "round_trip_id").join(cash, ["day", "portfolio", "currency"]).sort_by("place")
    return label_rows.numbers_of(joined["entry_price"]), label_rows.numbers_of(joined["fx_rate"])


def label(home: Home, policies: Assigned, plan: Plan) -> pa.Table:
    """Return `failure_labels` of the losing trades that the plan's days closed."""
    where = (pc.field("day") >= plan.first) & (pc.field("day") <= plan.until) & (pc.field("net_pnl") < 0.0)
    months = (plan.first.isoformat()[:7], plan.until.isoformat()[:7])
    trips = home.lake.read(derived.TRIP_PROFILES, label_rows.TRIP_COLUMNS, where, from_month=months[0], to_month=months[1])
    if not len(trips):
        return derived.FAILURE_LABELS.arrow_schema().empty_table()
    trips = trips.sort_by("round_trip_id").combine_chunks()
    named_by = sorted(pc.unique(trips["portfolio"]).to_pylist())
    own = [policies.of(name).failures for name in named_by]
    which = np.asarray(pc.index_in(trips["portfolio"], pa.array(named_by)).to_numpy(), np.int64)
    reach = max(labels.lookback_days(policy) for policy in own) * NANOSECONDS_PER_DAY
    opened, until_ts = int(pc.min(trips["opened_at"]).as_py()), end_of_day_ns(plan.until)
    # a signal may be one look-back before the opening, its bar another, and what is usual at that bar a third
    signals = active.read(home.lake, SIGNALS, label_rows.SIGNAL_COLUMNS, after_ts=opened - 3 * reach, until_ts=until_ts)
    laid, volume = _bars(home, opened - 3 * reach - NANOSECONDS_PER_DAY, until_ts)
    entry, rate = _entries(home, plan, trips)
    pnl = label_rows.numbers_of(trips["net_pnl"]) * rate
    parts = []
    for policy in dict.fromkeys(own):
        # each portfolio by its own thresholds: the numbers depend on them too. Those that share them are looked at together
        places = np.flatnonzero(np.array([other == policy for other in own], np.bool_)[which])
        some = trips.take(pa.array(places))
        books = sorted(set(pc.binary_join_element_wise(some["portfolio"], some["symbol"], label_rows.SEPARATOR).to_pylist()))
        look = labels.lookback_days(policy) * NANOSECONDS_PER_DAY
        given = label_rows.losers(some, entry[places], signals, laid, look, books)
        seen = labels.numbers(given, laid, volume, label_rows.opinions(signals, books), policy)
        parts.append(label_rows.label_rows(some, pnl[places], seen, policy))
    return pa.concat_tables(parts).combine_chunks().sort_by("round_trip_id")


def _codes(rows: pa.Table, columns: Sequence[str]) -> tuple[labels.Int64, list[tuple[str, ...]]]:
    """Return the code of each row's values among those there are, sorted, and the values behind each code."""
    parts = [encode(rows[name]) for name in columns]
    combined = np.zeros(len(rows), np.int64)
    for codes, names in parts:
        combined = combined * max(len(names), 1) + codes
    found, distinct = factorize(combined)
    ordered = np.sort(distinct)
    listed = []
    for code in ordered.tolist():
        values: list[str] = []
        for _, names in reversed(parts):
            code, place = divmod(code, len(names))
            values.insert(0, names[place])
        listed.append(tuple(values))
    return np.searchsorted(ordered, distinct)[found], listed


def _modes(trips: pa.Table, losses: pa.Table, listed: pa.Table, plan: Plan, policy: FailurePolicy) -> pa.Table:
    """Return `failure_modes` of a portfolio's sessions of the plan, from all its trades so far."""
    days = listed["day"].cast(pa.int32()).to_numpy().astype(np.int64)

    def session(rows: pa.Table) -> labels.Int64:
        return np.asarray(np.searchsorted(days, rows["day"].cast(pa.int32()).to_numpy()), np.int64)

    strata_of, strata = _codes(trips, STRATUM)
    place = {name: code for code, name in enumerate(strata)}
    keys_of, keys = _codes(losses, KEY)
    labelled = np.array([key[0] != labels.UNLABELLED for key in keys], bool)
    symbol, symbols = _codes(losses, ("symbol",))
    given = d8.Losses(
        session=session(losses),
        amount=-label_rows.numbers_of(losses["net_pnl"]),
        key=np.where(labelled[keys_of], keys_of, -1) if keys else keys_of,
        stratum=np.array([place[key[1:]] for key in keys], np.int64)[keys_of],
        symbol=symbol,
    )
    first = int(np.searchsorted(days, to_number(plan.first)))
    found = d8.recurrence(d8.Closed(session(trips), strata_of), given, days.size, first, policy)
    return _mode_rows(found, keys, [name for (name,) in symbols], listed, policy)


def _mode_rows(found: d8.Recurrence, keys: list[tuple[str, ...]], symbols: list[str], listed: pa.Table, policy: FailurePolicy) -> pa.Table:
    """Return `failure_modes` of a portfolio by session and key; ``listed`` are its sessions."""
    rows = {name: listed[name].combine_chunks().take(pa.array(found.session)) for name in ("day", "portfolio", "month")}
    for position, name in enumerate(KEY):
        rows[name] = named([key[position] for key in keys], found.key)
    for column in derived.FAILURE_MODES.columns:
        if column.kind == "number":
            rows[column.name] = number_column(getattr(found, column.name))
        elif column.kind == "integer":
            rows[column.name] = pa.array(getattr(found, column.name))
    names = named(symbols, found.members.code)
    sets = pa.ListArray.from_arrays(pa.array(found.members.start, pa.int32()), names)
    rows["members"] = pc.binary_join(sets, ", ").take(pa.array(found.members.of_row))
    rows["recurring"] = pa.array(found.recurring)
    rows["window_start"] = listed["day"].combine_chunks().take(pa.array(np.maximum(found.session - policy.window + 1, 0)))
    rows["reason"] = _reason(found)
    return assemble(derived.FAILURE_MODES, rows)


def _reason(found: d8.Recurrence) -> pa.Array:
    """Return why a row's figures are null, empty where none is."""
    baseline, loss = np.isnan(found.p_value), np.isnan(found.loss_share)
    names = ["", "no_baseline", "missing_fx_rate", "no_baseline, missing_fx_rate"]
    return named(names, baseline.astype(np.int64) + 2 * loss.astype(np.int64))


def compute(home: Home, policies: Assigned, plan: Plan) -> dict[Table, pa.Table]:
    """Return the labels of the plan's losing trades and the recurrence of every session of the plan."""
    fresh = label(home, policies, plan)
    month = plan.until.isoformat()[:7]
    earlier = home.lake.read(derived.FAILURE_LABELS, LABEL_COLUMNS, pc.field("day") < plan.first, to_month=plan.first.isoformat()[:7])
    # in one order, whatever was stored and whatever is new: sums must not depend on the cut
    losses = pa.concat_tables([earlier, fresh.select(LABEL_COLUMNS)]).sort_by([("day", "ascending"), ("round_trip_id", "ascending")])
    closed = home.lake.read(derived.TRIP_PROFILES, HISTORY_COLUMNS, pc.field("day") <= plan.until, to_month=month)
    regime = pc.fill_null(closed["regime"], UNCLASSIFIED)
    trips = closed.set_column(closed.column_names.index("regime"), "regime", regime).rename_columns([*HISTORY_COLUMNS[:-1], "side"])
    listed = sessions(home, date.min, until=plan.until)
    parts = [derived.FAILURE_MODES.arrow_schema().empty_table()]
    for portfolio in sorted(pc.unique(losses["portfolio"]).to_pylist()):
        mine = pc.field("portfolio") == portfolio
        parts.append(_modes(trips.filter(mine), losses.filter(mine), listed.filter(mine), plan, policies.of(portfolio).failures))
    return {derived.FAILURE_LABELS: fresh, derived.FAILURE_MODES: _by_day(parts)}


def _by_day(parts: Sequence[pa.Table]) -> pa.Table:
    """Return the rows of portfolios, which come by name and each in order, in one order."""
    modes = pa.concat_tables(parts).combine_chunks()
    return modes.take(pa.array(np.argsort(modes["day"].cast(pa.int32()).to_numpy(), kind="stable")))


STAGE = Stage("failures", (derived.FAILURE_LABELS, derived.FAILURE_MODES), ("signals",), compute)
