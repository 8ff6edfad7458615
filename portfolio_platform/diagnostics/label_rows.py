"""From trips, signals and bars in tables to the arrays of the labelling rules, and from what holds to rows of `failure_labels`."""

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from portfolio_platform.diagnostics import labels as d8
from portfolio_platform.lake import derived
from portfolio_platform.lake.arrays import assemble, named, number_column
from portfolio_platform.lake.facts import UNCLASSIFIED
from portfolio_platform.ledger.fixed_point import to_floats
from portfolio_platform.policy.diagnostics import FailurePolicy
from portfolio_platform.signals.bars import Bars

TRIP_COLUMNS = (
    "round_trip_id", "day", "portfolio", "strategy", "symbol", "direction", "opened_at", "closed_at", "template", "playbook",
    "regime", "signal_id", "initial_stop", "r", "mae_r", "mfe_r", "net_pnl", "month",
)  # fmt: skip
SIGNAL_COLUMNS = (
    "signal_id", "ts", "portfolio", "symbol", "direction", "entry_price", "stop_price", "target_price", "qualified", "purpose",
)  # fmt: skip
LONG = "long"
SEPARATOR = "\x1f"


def numbers_of(column: pa.ChunkedArray) -> d8.Float64:
    """Return numbers as floats, NaN where null."""
    return np.asarray(column.cast(pa.float64()).to_numpy(zero_copy_only=False), np.float64)


def signs(direction: pa.ChunkedArray) -> d8.Float64:
    """Return 1 for long and -1 for short."""
    return np.where(pc.equal(direction, LONG).to_numpy(), 1.0, -1.0)


def books(portfolio: pa.ChunkedArray, symbol: pa.ChunkedArray, names: list[str]) -> d8.Int64:
    """Return the code of portfolio and symbol among sorted names, -1 where it is not among them."""
    joined = pc.binary_join_element_wise(portfolio, symbol, SEPARATOR).combine_chunks()
    found = pc.fill_null(pc.index_in(joined, pa.array(names, pa.string())), -1)
    return np.asarray(found.to_numpy(zero_copy_only=False), np.int64)


def opinions(signals: pa.Table, bookings: list[str]) -> d8.Opinions:
    """Return qualified signals that are no research, of these books, sorted by book and time."""
    kept = signals.filter(pc.field("qualified") & (pc.field("purpose") == "policy"))
    book = books(kept["portfolio"], kept["symbol"], bookings)
    ts, sign = kept["ts"].to_numpy(), signs(kept["direction"])
    order = np.lexsort((ts, book))
    order = order[book[order] >= 0]
    return d8.Opinions(book[order], ts[order], sign[order])


def losers(trips: pa.Table, entry: d8.Float64, signals: pa.Table, bars: Bars, reach_ns: int, bookings: list[str]) -> d8.Losers:
    """Return losing trips (`TRIP_COLUMNS`) as arrays; ``entry`` is their average entry price in units of the closing.

    A signal further before the opening than the look-back is none.
    """
    symbol = bars.codes(trips["symbol"])
    opened, closed = trips["opened_at"].to_numpy(), trips["closed_at"].to_numpy()
    place = pc.fill_null(pc.index_in(trips["signal_id"].combine_chunks(), signals["signal_id"].combine_chunks()), -1)
    at = np.asarray(place.to_numpy(zero_copy_only=False), np.int64)
    ts = np.append(signals["ts"].to_numpy(), 0)[at]
    at = np.where((at >= 0) & (ts <= opened) & (opened - ts <= reach_ns), at, -1)
    seen = np.where(at >= 0, ts, opened)

    def stated(name: str) -> d8.Float64:
        return np.append(to_floats(signals[name]), np.nan)[at] * bars.splits.at(symbol, seen)

    return d8.Losers(
        symbol=symbol,
        sign=signs(trips["direction"]),
        seen_at=seen,
        opened_at=opened,
        closed_at=closed,
        day=trips["day"].cast(pa.int32()).to_numpy().astype(np.int64),
        signal_price=stated("entry_price"),
        signal_stop=stated("stop_price"),
        target=stated("target_price"),
        entry=entry * bars.splits.at(symbol, closed),
        stop=numbers_of(trips["initial_stop"]) * bars.splits.at(symbol, opened),
        mae_r=numbers_of(trips["mae_r"]),
        mfe_r=numbers_of(trips["mfe_r"]),
        book=books(trips["portfolio"], trips["symbol"], bookings),
    )


def _words(mode: str, seen: d8.Numbers, i: int, policy: FailurePolicy) -> str:
    """Return what the rule of a mode saw in a trade."""
    if mode == "macro_news_whipsaw":
        share, symbols = seen.breadth[i], int(seen.shocked_symbols[i])
        return (
            f"the day of the close ranged {seen.shock[i]:.1f} ATR, with {share:.0%} of {symbols} symbols at {policy.breadth_atr:g} or more"
        )
    if mode == "low_volume_breakout_failure":
        return f"broke {seen.level[i]:.6g} on {seen.volume_ratio[i]:.2f} of the median volume"
    if mode == "false_breakout_reversion":
        bar, best = int(seen.bars_to_reversion[i]), seen.mfe_r[i]
        return f"broke {seen.level[i]:.6g}, closed back inside in bar {bar}, at best {best:.2f} R in favour"
    if mode == "trend_exhaustion_after_extension":
        return f"entered {seen.extension[i]:.1f} ATR beyond the mean close, at best {seen.mfe_r[i]:.2f} R in favour"
    if mode == "signal_conflict_chop":
        return f"{int(seen.opposed[i])} signals the other way, efficiency ratio {seen.efficiency[i]:.2f}"
    if mode == "late_entry_poor_r_multiple":
        return f"entered {seen.late[i]:.2f} R later than the signal, {seen.reward[i]:.2f} R to the target (without one: at best)"
    return f"stop {seen.stop_atr[i]:.2f} ATR from the entry, reached at {seen.mae_r[i]:.2f} R against, the close back on its right side"


def label_rows(trips: pa.Table, net_pnl_base: d8.Float64, seen: d8.Numbers, policy: FailurePolicy) -> pa.Table:
    """Return `failure_labels` of losing trips, in their order; ``net_pnl_base`` is what each lost, after fees."""
    found = d8.rules(seen, policy)
    holds = np.stack([found[mode] for mode in d8.TAXONOMY], axis=1)
    ordered = holds[:, [d8.TAXONOMY.index(mode) for mode in d8.PRECEDENCE]]
    label = np.where(ordered.any(axis=1), ordered.argmax(axis=1), len(d8.PRECEDENCE))
    names = [*d8.PRECEDENCE, d8.UNLABELLED]
    also, facts = [""] * len(trips), ["no rule holds"] * len(trips)
    for i in np.flatnonzero(holds.any(axis=1)).tolist():
        mode = names[label[i]]
        others = [name for name, held in zip(d8.TAXONOMY, holds[i].tolist(), strict=True) if held and name != mode]
        also[i] = ", ".join(others)
        facts[i] = "; ".join(_words(name, seen, i, policy) for name in (mode, *others))
    columns = {name: trips[name].combine_chunks() for name in ("round_trip_id", "day", "portfolio", "strategy", "symbol", "playbook")}
    columns |= {
        "failure_mode": named(names, label.astype(np.int64)),
        "also": pa.array(also, pa.string()),
        "template": trips["template"].combine_chunks(),
        "regime": pc.fill_null(trips["regime"], UNCLASSIFIED).combine_chunks(),
        "side": trips["direction"].combine_chunks(),
        "net_pnl": number_column(net_pnl_base),
        "r": trips["r"].combine_chunks(),
        "signal_id": trips["signal_id"].combine_chunks(),
        "facts": pa.array(facts, pa.string()),
        "month": trips["month"].combine_chunks(),
    }
    return assemble(derived.FAILURE_LABELS, columns)
