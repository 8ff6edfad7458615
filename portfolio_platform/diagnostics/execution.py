"""D6: what is realised against what a playbook expects, by measure and playbook, after each session.

What belongs here: windows of observations, exact intervals of their median, drift beyond the expectation, and the CUSUM. Where
observations come from is in `execution_inputs`. Sources: order-statistic interval of a quantile, David & Nagaraja 2003, 7.1;
one-sided CUSUM, Page 1954; Wilson 1927.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from numba import njit

from portfolio_platform.evidence.intervals import quantile_ranks, wilson
from portfolio_platform.policy.diagnostics import ExecutionPolicy

Float64 = npt.NDArray[np.float64]
Int64 = npt.NDArray[np.int64]
Flags = npt.NDArray[np.bool_]

BASELINE = 20
"""Earlier observations that a CUSUM asks for before it counts."""
OUTLIER = 3.0
"""Standard deviations that one observation adds to a CUSUM at most: one outlier is no persistence."""
CEILING = 2.0
"""Times h that a CUSUM reaches at most, so that it is back at 0 within 2 h / k ordinary observations after its cause is gone."""
NO_DAY = np.iinfo(np.int64).min


@dataclass(frozen=True)
class Measure:
    """What is measured.

    Attributes:
        name, unit: as in `execution_profile`.
        worse: 1 where more is worse, -1 where less is.
        two_sided: whether a distance to either side is drift.
        is_rate: whether observations are successes (1) and failures (0), and the realised figure is their share.
    """

    name: str
    unit: str
    worse: int
    two_sided: bool = False
    is_rate: bool = False


SLIPPAGE = Measure("slippage", "bps", 1)
HOLDING_TIME = Measure("holding_time", "bars", 1, two_sided=True)
MAE = Measure("mae", "R", 1)
MFE = Measure("mfe", "R", -1)
WIN_RATE = Measure("win_rate", "fraction", -1, is_rate=True)
FILL_RATIO = Measure("fill_ratio", "fraction", -1)
FILL_TIME = Measure("fill_time", "s", 1)


@dataclass(frozen=True)
class Observations:
    """Observations in the order of group and time. ``group`` numbers portfolio and playbook; NaN is an unknown expectation."""

    group: Int64
    day: Int64
    value: Float64
    expected: Float64
    expected_p90: Float64


@dataclass(frozen=True)
class Carried:
    """Where each group's CUSUM goes on from: state after its observations up to ``day`` (`NO_DAY`: from the start)."""

    day: Int64
    cusum: Float64
    signal: Flags
    seen: Int64
    mean: Float64
    squares: Float64

    @classmethod
    def nothing(cls, groups: int) -> "Carried":
        """Return the state of groups without any observation."""
        numbers = [np.zeros(groups) for _ in range(3)]  # each its own: they are filled in
        return cls(np.full(groups, NO_DAY), numbers[0], np.zeros(groups, np.bool_), np.zeros(groups, np.int64), *numbers[1:])


@dataclass(frozen=True)
class Profile:
    """A measure after sessions: arrays over rows; ``query`` is the place in the sessions asked for. NaN is null."""

    query: Int64
    expected: Float64
    realised: Float64
    low: Float64
    high: Float64
    p90: Float64
    expected_p90: Float64
    drift: Float64
    cusum: Float64
    signal: Flags
    seen: Int64
    mean: Float64
    squares: Float64
    n: Int64
    flagged: Int64
    window_start: Int64


def profile(
    measure: Measure,
    given: Observations,
    group: Int64,
    day: Int64,
    carried: Carried,
    pooled: Flags,
    policy: ExecutionPolicy,
    window: int,
) -> Profile:
    """Return the profile of the last ``window`` observations for each group and day asked for that has any.

    ``group`` and ``day`` are of one shape, any order. Days before the carried state are not to be asked for. The expectation
    of a window is the mean of what is expected of its observations; of a group that is ``pooled`` from several playbooks
    the median of these, for the mean of medians of unlike playbooks is far from the median of them all.
    """
    ends, query, which = _window_ends(given, group, day)
    count = carried.day.size
    first = np.searchsorted(given.group, np.arange(count))
    start = np.maximum(ends - window, first[given.group[ends - 1]]) if ends.size else ends
    n = ends - start
    place = start[:, None] + np.arange(window)
    inside = np.arange(window) < n[:, None]
    place = np.minimum(place, max(given.value.size - 1, 0))
    values = np.sort(np.where(inside, given.value[place], np.nan), axis=1) if ends.size else np.empty((0, window))
    of_medians = pooled[given.group[ends - 1]] & (not measure.is_rate) if ends.size else np.zeros(0, np.bool_)
    expected = np.empty(n.size)
    for rows, summed in ((of_medians, _median_inside), (~of_medians, _mean_inside)):
        expected[rows] = summed(given.expected, place[rows], inside[rows])
    realised, low, high = _rate(values, n) if measure.is_rate else _median(values, n, policy.median_minimum)
    state = _cusum(measure, given, first, carried, policy)
    at = ends - 1
    found = Profile(
        query=query,
        expected=expected,
        realised=realised,
        low=low,
        high=high,
        p90=np.full(n.size, np.nan) if measure.is_rate else _upper(values, n, policy.p90_minimum),
        expected_p90=np.where(of_medians, np.nan, _mean_inside(given.expected_p90, place, inside)),
        drift=_drift(measure, expected, low, high),
        cusum=state[0][at],
        signal=state[1][at],
        seen=state[2][at],
        mean=state[3][at],
        squares=state[4][at],
        n=n,
        flagged=_beyond_limit(measure, values, policy),
        window_start=given.day[start] if ends.size else ends,
    )
    return _spread(found, query, which)


def _window_ends(given: Observations, group: Int64, day: Int64) -> tuple[Int64, Int64, Int64]:
    """Return the distinct ends of windows (exclusive), the queries that have one, and which end each has."""
    span = 1 << 32
    until = np.searchsorted(given.group * span + given.day, group * span + day, side="right")
    begin = np.searchsorted(given.group, group)
    query = np.flatnonzero(until > begin)
    ends, which = np.unique(until[query], return_inverse=True)
    return ends, query, which


def _spread(found: Profile, query: Int64, which: Int64) -> Profile:
    """Return the figures of each distinct window for every query that has it."""
    columns = {name: getattr(found, name)[which] for name in Profile.__dataclass_fields__ if name != "query"}
    return Profile(query=query, **columns)


def _mean_inside(values: Float64, place: Int64, inside: Flags) -> Float64:
    """Return the mean of each window's known values, NaN where it has none."""
    if not place.size or np.isnan(values).all():
        return np.full(place.shape[0], np.nan)
    taken = np.where(inside, values[place], np.nan)
    known = np.isfinite(taken)
    count = known.sum(axis=1)
    return np.where(count > 0, np.where(known, taken, 0.0).sum(axis=1) / np.maximum(count, 1), np.nan)


def _median_inside(values: Float64, place: Int64, inside: Flags) -> Float64:
    """Return the median of each window's known values, NaN where it has none."""
    if not place.size or np.isnan(values).all():
        return np.full(place.shape[0], np.nan)
    taken = np.sort(np.where(inside, values[place], np.nan), axis=1)
    count, row = np.isfinite(taken).sum(axis=1), np.arange(place.shape[0])
    # without a known value both are NaN
    median: Float64 = (taken[row, np.maximum(count - 1, 0) // 2] + taken[row, count // 2]) / 2.0
    return median


def _median(values: Float64, n: Int64, minimum: int) -> tuple[Float64, Float64, Float64]:
    """Return median and its exact interval at 95 % of each row of sorted values, of which the first n count."""
    row = np.arange(n.size)
    median = (values[row, (n - 1) // 2] + values[row, n // 2]) / 2.0
    ranks = [quantile_ranks(size, 0.5) if size >= max(minimum, 1) else None for size in range(values.shape[1] + 1)]
    lower = np.array([0 if pair is None else pair[0] for pair in ranks])[n]
    upper = np.array([0 if pair is None else pair[1] for pair in ranks])[n]
    known = lower > 0
    low = np.where(known, values[row, np.maximum(lower - 1, 0)], np.nan)
    high = np.where(known, values[row, np.maximum(upper - 1, 0)], np.nan)
    return median, low, high


def _rate(values: Float64, n: Int64) -> tuple[Float64, Float64, Float64]:
    """Return share of successes and its Wilson interval at 95 %."""
    successes = np.nansum(values, axis=1)
    low, high = wilson(successes, n)
    return successes / n, low, high


def _upper(values: Float64, n: Int64, minimum: int) -> Float64:
    """Return the 90th percentile (linear between order statistics) of each row of sorted values, NaN below the minimum."""
    if not n.size:
        return np.empty(0)
    row, exact = np.arange(n.size), 0.9 * (n - 1)
    below = np.floor(exact).astype(np.int64)
    first, second = values[row, below], values[row, np.minimum(below + 1, n - 1)]
    return np.where(n >= minimum, first + (exact - below) * (second - first), np.nan)


def _drift(measure: Measure, expected: Float64, low: Float64, high: Float64) -> Float64:
    """Return how far the interval lies beyond the expectation on the bad side, 0 where it does not."""
    above, below = low - expected, expected - high
    one_sided = above if measure.worse > 0 else below
    beyond = np.maximum(above, below) if measure.two_sided else one_sided
    return np.where(np.isnan(above), np.nan, np.maximum(beyond, 0.0))


def _beyond_limit(measure: Measure, values: Float64, policy: ExecutionPolicy) -> Int64:
    """Return how many observations of each window are beyond the measure's hard limit."""
    beyond: dict[str, Callable[[], Flags]] = {
        SLIPPAGE.name: lambda: values > policy.slippage_limit_bps,
        FILL_RATIO.name: lambda: values < policy.fill_limit,
        FILL_TIME.name: lambda: values > policy.fill_minutes * 60.0,
    }
    if measure.name not in beyond:
        return np.zeros(values.shape[0], np.int64)
    counted: Int64 = beyond[measure.name]().sum(axis=1)
    return counted


def _cusum(
    measure: Measure, given: Observations, first: Int64, carried: Carried, policy: ExecutionPolicy
) -> tuple[Float64, Flags, Int64, Float64, Float64]:
    """Return the state of each group's CUSUM after each observation; NaN before the carried state and while the baseline is short."""
    size = given.value.size
    cusum, mean, squares = np.full(size, np.nan), np.full(size, np.nan), np.full(size, np.nan)
    signal, seen = np.zeros(size, np.bool_), np.zeros(size, np.int64)
    bounds = np.append(first, size)
    start = (carried.day, carried.cusum, carried.signal, carried.seen, carried.mean, carried.squares)
    k = -1.0 if measure.is_rate else policy.cusum_k
    _page(given.day, given.value * measure.worse, bounds, *start, k, policy.cusum_h, measure.worse, cusum, signal, seen, mean, squares)
    return cusum, signal, seen, mean, squares


@njit(cache=True)
def _page(  # pragma: no cover - compiled
    day: Int64,
    value: Float64,
    bounds: Int64,
    since: Int64,
    sums: Float64,
    on: Flags,
    seen_before: Int64,
    mean_before: Float64,
    squares_before: Float64,
    k: float,
    h: float,
    sign: int,
    cusum: Float64,
    signal: Flags,
    seen: Int64,
    mean: Float64,
    squares: Float64,
) -> None:
    """Page's ``S = max(0, S + z - k)``, z in standard deviations of all earlier observations (Welford); k below 0: none.

    Both z and S are bounded (`OUTLIER`, `CEILING`).
    """
    for group in range(bounds.size - 1):
        total, firing, count = sums[group], on[group], seen_before[group]
        centre, spread = mean_before[group] * sign, squares_before[group]
        for i in range(bounds[group], bounds[group + 1]):
            if day[i] > since[group]:
                if count >= BASELINE and spread > 0.0 and k >= 0.0:
                    z = min((value[i] - centre) / np.sqrt(spread / (count - 1)), OUTLIER)
                    total = min(max(0.0, total + z - k), CEILING * h)
                    firing = total > h or (firing and total > 0.0)
                count += 1
                apart = value[i] - centre
                centre += apart / count
                spread += apart * (value[i] - centre)
            cusum[i] = total if count > BASELINE and k >= 0.0 else np.nan
            signal[i], seen[i], mean[i], squares[i] = firing, count, centre * sign, spread
