"""The record of each playbook as it was known on each day on which it changed.

What belongs here: from resolved signals to rows of `playbook_statistics`. A signal counts from the day of its outcome on, where it
is qualified, ended at target, stop or expiry, and has a result in units of its risk. Percentiles are those of NumPy's method
``linear`` (Hyndman & Fan 1996, type 7), running: each cluster's values are kept in a Fenwick tree over their ranks, so that a row
costs the logarithm of the cluster's size, not the size.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
from numba import njit

from portfolio_platform.evidence.intervals import wilson
from portfolio_platform.lake import derived
from portfolio_platform.lake.arrays import assemble, day_column, month_column, named, number_column
from portfolio_platform.lake.facts import UNCLASSIFIED
from portfolio_platform.signals.outcomes import OUTCOMES

Float64 = npt.NDArray[np.float64]
Int64 = npt.NDArray[np.int64]
Flags = npt.NDArray[np.bool_]
ALL = "all"
CLUSTER = ("portfolio", "purpose", "engine_version", "template", "playbook", "regime")
SUMMED = ("engine_version", "regime")
RESOLVED = ("target_hit", "stop_hit", "expired")
FIGURES = ("r_achieved", "bars_held", "mae_r", "mfe_r", "slippage_at_outcome_bps")
COLUMNS = ("signal_id", "ts", "outcome", "outcome_day", "ambiguous", *CLUSTER, *FIGURES)


@dataclass(frozen=True)
class _Resolved:
    """Resolved signals in the order of outcome day, time and id: codes of their cluster, and what is counted and averaged."""

    names: tuple[tuple[str, ...], ...]
    codes: Int64  # (signals, CLUSTER)
    day: Int64
    outcome: pa.Array
    ambiguous: Flags
    figures: Float64  # (signals, FIGURES)


@dataclass(frozen=True)
class _Members:
    """Which signal is in which cluster, by cluster and then in order; a cluster's members are ``start[k]:start[k + 1]``."""

    start: Int64
    signal: Int64
    codes: Int64  # (clusters, CLUSTER)


def _resolved(rows: pa.Table) -> _Resolved:
    counted = rows.filter(
        pc.field("qualified") & pc.is_valid(pc.field("r_achieved")) & pc.field("outcome").isin(pa.array(RESOLVED, pa.string()))
    )
    counted = counted.sort_by([("outcome_day", "ascending"), ("ts", "ascending"), ("signal_id", "ascending")]).combine_chunks()
    names, codes = [], []
    for name in CLUSTER:
        column = pc.fill_null(counted[name], UNCLASSIFIED).combine_chunks()
        distinct = tuple(sorted({*pc.unique(column).to_pylist(), *((ALL,) if name in SUMMED else ())}))
        names.append(distinct)
        codes.append(pc.index_in(column, pa.array(distinct, pa.string())).to_numpy(zero_copy_only=False))
    return _Resolved(
        names=tuple(names),
        codes=np.stack(codes, axis=1).astype(np.int64),
        day=counted["outcome_day"].cast(pa.int32()).to_numpy().astype(np.int64),
        outcome=counted["outcome"].combine_chunks(),
        ambiguous=counted["ambiguous"].to_numpy(),
        figures=np.stack([counted[name].cast(pa.float64()).to_numpy() for name in FIGURES], axis=1),
    )


def _members(given: _Resolved, first: int) -> _Members:
    """Return the clusters in which anything happened from ``first`` on; each signal is in its own and in up to three sums."""
    signals, codes = [], []
    for engine_summed in (False, True):
        for regime_summed in (False, True):
            chosen, mine = np.ones(given.day.size, bool), given.codes.copy()
            for name, summed in zip(SUMMED, (engine_summed, regime_summed), strict=True):
                column = CLUSTER.index(name)
                total = given.names[column].index(ALL)
                # what calls itself "all" is in the sum alone
                chosen &= summed | (mine[:, column] != total)
                if summed:
                    mine[:, column] = total
            signals.append(np.flatnonzero(chosen))
            codes.append(mine[chosen])
    signal, code = np.concatenate(signals), np.concatenate(codes)
    combined = np.ravel_multi_index(tuple(code.T), tuple(max(len(names), 1) for names in given.names))
    order = np.lexsort((signal, combined))
    signal, code, combined = signal[order], code[order], combined[order]
    start = np.flatnonzero(np.concatenate(([True], combined[1:] != combined[:-1]))[: combined.size])
    size = np.diff(np.append(start, combined.size))
    # signals are in order of day, so a cluster's last member is its newest
    alive = given.day[signal[start + size - 1]] >= first
    kept = np.repeat(alive, size)
    return _Members(np.concatenate(([0], np.cumsum(size[alive]))), signal[kept], code[start[alive]])


@njit(cache=True)
def _running_sums(start: Int64, values: Float64, out: Float64) -> None:  # pragma: no cover - compiled
    for k in range(start.size - 1):
        total = 0.0
        for i in range(start[k], start[k + 1]):
            total += values[i]
            out[i] = total


@njit(cache=True)
def _kth(tree: Int64, top: int, k: int) -> int:  # pragma: no cover - compiled
    """Return the rank (from 0) of the k-th smallest (from 0) that is in the tree."""
    place, step = 0, top
    while step:
        if place + step < tree.size and tree[place + step] <= k:
            place += step
            k -= tree[place]
        step >>= 1
    return place


@njit(cache=True)
def _running_quantiles(  # pragma: no cover - compiled
    start: Int64, rank: Int64, ordered: Float64, wanted: Flags, probabilities: Float64, out: Float64
) -> None:
    for cluster in range(start.size - 1):
        begin, size = start[cluster], start[cluster + 1] - start[cluster]
        tree, top, count = np.zeros(size + 1, np.int64), 1, 0
        while 2 * top <= size:
            top *= 2
        for i in range(begin, begin + size):
            if not np.isnan(ordered[begin + rank[i]]):
                count += 1
                place = rank[i] + 1
                while place <= size:
                    tree[place] += 1
                    place += place & -place
            if not wanted[i]:
                continue
            for p in range(probabilities.size):
                if count == 0:
                    out[i, p] = np.nan
                    continue
                at = (count - 1) * probabilities[p]
                below = int(np.floor(at))
                part = at - below
                low = ordered[begin + _kth(tree, top, below)]
                high = ordered[begin + _kth(tree, top, min(below + 1, count - 1))]
                # as NumPy does it: from the nearer end
                out[i, p] = low + (high - low) * part if part < 0.5 else high - (high - low) * (1.0 - part)


def running_quantiles(start: Int64, values: Float64, wanted: Flags, probabilities: tuple[float, ...]) -> Float64:
    """Return quantiles of each group's values up to and including each wanted place; NaN values are left out.

    Groups are ``start[k]:start[k + 1]``; the result is (values, probabilities), NaN where not wanted or nothing is known.
    """
    group = np.repeat(np.arange(start.size - 1), np.diff(start))
    order = np.lexsort((values, group))
    rank = np.empty(values.size, np.int64)
    rank[order] = np.arange(values.size) - start[group[order]]
    out = np.full((values.size, len(probabilities)), np.nan)
    _running_quantiles(start, rank, values[order], wanted, np.array(probabilities), out)
    return out


def _running_counts(start: Int64, flags: Flags) -> Int64:
    total = np.cumsum(flags)
    before = np.append(0, total)[start[:-1]]
    return np.asarray(total - np.repeat(before, np.diff(start)), np.int64)


def playbook_statistics(rows: pa.Table, first: int, until: int) -> pa.Table:
    """Return `playbook_statistics` of every day from ``first`` to ``until`` (day numbers) on which a cluster changed, sorted by key.

    ``rows`` are those of `signal_outcomes` (`COLUMNS` and qualified), the whole history: what counts on a day is every outcome of
    that day and before. Regime 'all' and engine version 'all' are sums of one portfolio, purpose, template and playbook.
    """
    given = _resolved(rows.filter(pc.field("outcome_day") <= pa.scalar(until, pa.int32()).cast(pa.date32())))
    if not given.day.size:
        return derived.PLAYBOOK_STATISTICS.arrow_schema().empty_table()
    members = _members(given, first)
    day, figures = given.day[members.signal], given.figures[members.signal]
    cluster = np.repeat(np.arange(members.start.size - 1), np.diff(members.start))
    newest = np.concatenate(((day[1:] != day[:-1]) | (cluster[1:] != cluster[:-1]), [True]))[: day.size]
    wanted = newest & (day >= first)
    sums = np.empty(day.size)
    _running_sums(members.start, figures[:, 0], sums)

    def count(flags: Flags) -> Int64:
        return _running_counts(members.start, flags)[wanted]

    def quantile(figure: str, *probabilities: float) -> list[pa.Array]:
        found = running_quantiles(members.start, figures[:, FIGURES.index(figure)].copy(), wanted, probabilities)
        return [number_column(found[wanted, k]) for k in range(len(probabilities))]

    n, wins = count(np.ones(day.size, bool)), count(figures[:, 0] > 0.0)
    low, high = wilson(wins, n)
    hold_p50, hold_p90 = quantile("bars_held", 0.5, 0.9)
    ended = pc.index_in(given.outcome, pa.array(OUTCOMES)).to_numpy(zero_copy_only=False)[members.signal]
    ends = dict(zip(("targets", "stops", "expired"), RESOLVED, strict=True))
    codes, days = members.codes[cluster[wanted]], day[wanted]
    columns = {
        "day": day_column(days),
        **{name: named(given.names[place], codes[:, place]) for place, name in enumerate(CLUSTER)},
        "n": pa.array(n),
        **{name: pa.array(count(ended == OUTCOMES.index(outcome))) for name, outcome in ends.items()},
        "ambiguous": pa.array(count(given.ambiguous[members.signal])),
        "win_rate": number_column(wins / n),
        "win_rate_low": number_column(low),
        "win_rate_high": number_column(high),
        "average_r": number_column(sums[wanted] / n),
        "hold_bars_p50": hold_p50,
        "hold_bars_p90": hold_p90,
        "mae_r_p50": quantile("mae_r", 0.5)[0],
        "mfe_r_p50": quantile("mfe_r", 0.5)[0],
        "slippage_bps_p50": quantile("slippage_at_outcome_bps", 0.5)[0],
        "month": month_column(days),
    }
    # names are sorted, so their codes sort as they do
    order = np.lexsort((*codes.T[::-1], days))
    return assemble(derived.PLAYBOOK_STATISTICS, columns).take(pa.array(order))
