"""Outcome clusters: closed trades by playbook, template, regime and symbol, with what worked and what failed.

A cluster has three disjoint or nested samples: the period's trades, those of the window that is judged (the period's among them),
and all before the window. Two questions are asked of the window:

- did it go otherwise than before? Fisher's exact test of winners in the window against winners before it, two-sided (twice the
  smaller tail); it needs no minimum, for a handful of trades cannot become significant by their spread being small;
- did it earn or lose, in units of risk? The bootstrap's two-sided p-value of a mean R of 0, where there are at least
  ``minimum`` trades with a result in R.

Both are adjusted over the clusters that they were asked of (Benjamini & Hochberg 1995; clusters of several dimensions share trades
and so are positively dependent, under which the procedure holds). The cluster of the whole portfolio is shown, and in no family.

Ends of bootstrap intervals are rounded to `R_DIGITS`: the matrix product behind them may differ in its last digits from machine to
machine, and a resample says no more than that.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from portfolio_platform.evidence.intervals import benjamini_hochberg, bootstrap_means, wilson
from portfolio_platform.monitor.reflection.facts import POLICY, Flags, Float64, Int64, Span, Trades
from portfolio_platform.monitor.reflection.model import Cluster, Dimension, Sample, Tally, Verdict

DIMENSIONS: tuple[Dimension, ...] = ("portfolio", "playbook", "template", "regime", "symbol")
RESAMPLES, SEED, R_DIGITS = 2000, 20061231, 4
INTERVAL_MINIMUM = 6
CONFIDENCE = 0.95


@dataclass(frozen=True)
class _Key:
    dimension: Dimension
    group: str


def fisher(wins: Float64, n: Float64, wins_before: Float64, n_before: Float64) -> Float64:
    """Return two-sided p-values of Fisher's exact test (twice the smaller tail, at most 1); NaN where a side is empty."""
    from scipy.stats import hypergeom

    with np.errstate(invalid="ignore"):
        tails = [
            hypergeom.cdf(wins, n + n_before, wins + wins_before, n),
            hypergeom.sf(wins - 1, n + n_before, wins + wins_before, n),
        ]
    both = np.minimum(1.0, 2.0 * np.minimum(*tails))
    return np.where((n > 0) & (n_before > 0), both, np.nan)


def adjusted(p_values: Float64) -> Float64:
    """Return p-values adjusted over those that are known; NaN stays NaN."""
    out = np.full(p_values.size, np.nan)
    known = np.isfinite(p_values)
    out[known] = benjamini_hochberg(p_values[known])
    return out


def clusters(trades: Trades, span: Span, *, purpose: str, minimum: int, false_discovery_rate: float) -> tuple[Cluster, ...]:
    """Return the clusters with a trade of this purpose in the window, by dimension, the largest first.

    ``minimum`` trades and a false discovery rate decide what is called structural.
    """
    mine = trades.purpose == POLICY if purpose == POLICY else trades.purpose != POLICY
    chosen = mine & (trades.day <= span.last)
    window, period = chosen & (trades.day > span.window_after), chosen & (trades.day >= span.first)
    before = chosen & ~window
    if not window.any():
        return ()
    keys = _keys(trades, window)
    # the draws are of the window's trades alone, so that a period is the same whatever else was read
    at, at_before = np.flatnonzero(window), np.flatnonzero(before)
    member, member_before = _members(trades, keys, at), _members(trades, keys, at_before)
    means = bootstrap_means(trades.r[at], member, SEED, RESAMPLES)
    samples = _samples(trades, at, member, means)
    of_period = _tallies(trades, at, member & period[at][:, None])
    earlier = _tallies(trades, at_before, member_before)
    family = np.array([key.dimension != "portfolio" for key in keys], bool)
    deviation, result = _tests(samples, earlier, means, family, minimum)
    found = []
    for place, key in enumerate(keys):
        now, old = samples[place], earlier[place]
        differs = bool(deviation[place] <= false_discovery_rate)
        better = (now.win_rate or 0.0) > (old.win_rate or 0.0)
        verdict = _verdict(now, result[place], differs, minimum, false_discovery_rate)
        found.append(
            Cluster(
                dimension=key.dimension,
                group=key.group,
                period=of_period[place],
                window=now,
                before=old,
                p_deviation=_known(deviation[place]),
                p_result=_known(result[place]),
                deviation=("better" if better else "worse") if differs else "",
                verdict=verdict,
            )
        )
    return tuple(sorted(found, key=lambda one: (DIMENSIONS.index(one.dimension), -one.window.n, one.group)))


def _keys(trades: Trades, window: Flags) -> list[_Key]:
    return [_Key(dimension, group) for dimension in DIMENSIONS for group in sorted(set(trades.groups(dimension)[window].tolist()))]


def _members(trades: Trades, keys: Sequence[_Key], at: Int64) -> Flags:
    """Return which of some trades belong to which cluster, (trades, clusters)."""
    out = np.empty((at.size, len(keys)), bool)
    groups = {dimension: trades.groups(dimension)[at] for dimension in DIMENSIONS}
    for place, key in enumerate(keys):
        out[:, place] = groups[key.dimension] == key.group
    return out


def _tallies(trades: Trades, at: Int64, member: Flags) -> list[Tally]:
    """Return what each cluster's trades among the places ``at`` come to."""
    r, pnl = trades.r[at], trades.pnl[at]
    n, wins = member.sum(axis=0).tolist(), (member & (pnl > 0.0)[:, None]).sum(axis=0).tolist()
    found = []
    for place, count in enumerate(n):
        own = r[member[:, place]]
        own = own[np.isfinite(own)]
        found.append(
            Tally(
                n=count,
                wins=wins[place],
                win_rate=wins[place] / count if count else None,
                mean_r=float(own.mean()) if own.size else None,
                pnl=_known(float(pnl[member[:, place]].sum())),
            )
        )
    return found


def _samples(trades: Trades, at: Int64, member: Flags, means: Float64) -> list[Sample]:
    """Return the same with intervals, from the resampled means of the clusters."""
    tallies = _tallies(trades, at, member)
    with_r = (member & np.isfinite(trades.r[at])[:, None]).sum(axis=0)
    low, high = wilson([tally.wins for tally in tallies], [tally.n for tally in tallies])
    tail = (1.0 - CONFIDENCE) / 2.0
    found = []
    for place, tally in enumerate(tallies):
        ends: list[float | None] = [None, None]
        if with_r[place] >= INTERVAL_MINIMUM:
            drawn = means[:, place]
            ends = [round(float(end), R_DIGITS) for end in np.quantile(drawn[np.isfinite(drawn)], (tail, 1.0 - tail))]
        found.append(
            Sample(
                **tally.model_dump(),
                win_low=_known(low[place]),
                win_high=_known(high[place]),
                with_r=int(with_r[place]),
                r_low=ends[0],
                r_high=ends[1],
            )
        )
    return found


def _tests(samples: list[Sample], earlier: list[Tally], means: Float64, family: Flags, minimum: int) -> tuple[Float64, Float64]:
    """Return both adjusted p-values of each cluster; NaN where the question is not asked."""
    n, wins = (np.array([getattr(sample, name) for sample in samples], np.float64) for name in ("n", "wins"))
    n_before, wins_before = (np.array([getattr(sample, name) for sample in earlier], np.float64) for name in ("n", "wins"))
    deviation = np.where(family, fisher(wins, n, wins_before, n_before), np.nan)
    enough = np.array([sample.with_r >= max(minimum, INTERVAL_MINIMUM) for sample in samples], bool)
    known = np.isfinite(means)
    draws = known.sum(axis=0)
    with np.errstate(invalid="ignore"):
        below = (known & (means <= 0.0)).sum(axis=0)
        above = (known & (means >= 0.0)).sum(axis=0)
    two_sided = np.minimum(1.0, 2.0 * (np.minimum(below, above) + 1.0) / (draws + 1.0))
    result = np.where(family & enough, two_sided, np.nan)
    return adjusted(deviation), adjusted(result)


def _verdict(now: Sample, p_result: float, differs: bool, minimum: int, rate: float) -> Verdict:
    if now.n < minimum:
        return "deviates" if differs else "insufficient_sample"
    if p_result <= rate and now.mean_r is not None:
        return "worked" if now.mean_r > 0.0 else "failed"
    return "deviates" if differs else "unclear"


def _known(value: float) -> float | None:
    return float(value) if np.isfinite(value) else None
