"""D6: what is realised against what a playbook expects, by measure and playbook, after each session.

What belongs here: windows of observations, exact intervals of their median, drift beyond the expectation, and the CUSUM. Where
observations come from is in `execution_inputs`. Sources: order-statistic interval of a quantile, David & Nagaraja 2003, 7.1;
one-sided CUSUM, Page 1954; Wilson 1927.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from numba import njit

from portfolio_platform.diagnostics.execution_windows import Further, Windows, observed_until
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
        of_trips: whether they are of round trips; else of orders or intents.
    """

    name: str
    unit: str
    worse: int
    two_sided: bool = False
    is_rate: bool = False
    of_trips: bool = False

    def window(self, policy: ExecutionPolicy) -> int:
        """Return how many observations the median, its interval and the drift look at."""
        return policy.trip_window if self.of_trips else policy.slippage_window

    def reach(self, policy: ExecutionPolicy, window: int) -> int:
        """Return how many observations a window of so many needs in all: the 90th percentile needs more than a median."""
        return window if self.is_rate else max(window, policy.p90_minimum)


SLIPPAGE = Measure("slippage", "bps", 1)
HOLDING_TIME = Measure("holding_time", "bars", 1, two_sided=True, of_trips=True)
MAE = Measure("mae", "R", 1, of_trips=True)
MFE = Measure("mfe", "R", -1, of_trips=True)
WIN_RATE = Measure("win_rate", "fraction", -1, is_rate=True, of_trips=True)
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

    The 90th percentile, and what is expected of it, are over the last ``policy.p90_minimum`` observations where ``window`` is
    shorter: fewer cannot bound it (order statistics at 95 % need 36), and the percentile of a shorter window would never be known.
    """
    bounds = np.searchsorted(given.group, np.arange(carried.day.size + 1))
    ends, query, which = _window_ends(given, bounds, group, day)
    owner = given.group[ends - 1]
    within, wider = (Windows(np.maximum(ends - size, bounds[owner]), ends, size) for size in (window, measure.reach(policy, window)))
    of_medians = pooled[owner] & (not measure.is_rate)
    expected = within.mean(given.expected)
    expected[of_medians] = within.at(of_medians).median(given.expected)
    figures = _rate(given.value, within) if measure.is_rate else _ordered(given.value, within, wider, policy)
    realised, low, high, p90 = figures
    cusum, signal, seen, mean, squares = _cusum(measure, given, ends, bounds, carried, policy)
    found = Profile(
        query=query,
        expected=expected,
        realised=realised,
        low=low,
        high=high,
        p90=p90,
        expected_p90=np.where(of_medians, np.nan, wider.mean(given.expected_p90)),
        drift=_drift(measure, expected, low, high),
        cusum=cusum,
        signal=signal,
        seen=seen,
        mean=mean,
        squares=squares,
        n=within.n,
        flagged=_beyond_limit(measure, given.value, within, policy),
        window_start=given.day[within.start],
    )
    return _spread(found, query, which)


def _window_ends(given: Observations, bounds: Int64, group: Int64, day: Int64) -> tuple[Int64, Int64, Int64]:
    """Return the distinct ends of windows (exclusive), ascending, the queries that have one, and which end each has."""
    until = np.empty(group.size, np.int64)
    observed_until(given.day, bounds, group, day, until)
    query = np.flatnonzero(until > bounds[group])
    asked = np.zeros(given.day.size + 1, np.bool_)
    asked[until[query]] = True
    ends = np.flatnonzero(asked)
    number = np.empty(asked.size, np.int64)
    number[ends] = np.arange(ends.size)
    return ends, query, number[until[query]]


def _spread(found: Profile, query: Int64, which: Int64) -> Profile:
    """Return the figures of each distinct window for every query that has it."""
    columns = {name: getattr(found, name)[which] for name in Profile.__dataclass_fields__ if name != "query"}
    return Profile(query=query, **columns)


def _ordered(values: Float64, within: Windows, wider: Windows, policy: ExecutionPolicy) -> tuple[Float64, Float64, Float64, Float64]:
    """Return the median of each window, its exact interval at 95 %, and the 90th percentile of the wider one; NaN below their minimum."""
    ranks = [quantile_ranks(size, 0.5) if size >= max(policy.median_minimum, 1) else None for size in range(within.width + 1)]
    lower, upper = (np.array([0 if pair is None else pair[end] for pair in ranks]) for end in (0, 1))
    return within.order_statistics(values, lower, upper, Further(wider.start, 0.9, policy.p90_minimum))


def _rate(values: Float64, within: Windows) -> tuple[Float64, Float64, Float64, Float64]:
    """Return share of successes and its Wilson interval at 95 %; a rate has no percentile."""
    successes, n = within.above(values, 0.0), within.n
    low, high = wilson(successes, n)
    return successes / n, low, high, np.full(n.size, np.nan)


def _drift(measure: Measure, expected: Float64, low: Float64, high: Float64) -> Float64:
    """Return how far the interval lies beyond the expectation on the bad side, 0 where it does not."""
    above, below = low - expected, expected - high
    one_sided = above if measure.worse > 0 else below
    beyond = np.maximum(above, below) if measure.two_sided else one_sided
    return np.where(np.isnan(above), np.nan, np.maximum(beyond, 0.0))


def _beyond_limit(measure: Measure, values: Float64, within: Windows, policy: ExecutionPolicy) -> Int64:
    """Return how many observations of each window are beyond the measure's hard limit."""
    if measure.name == FILL_RATIO.name:
        return within.above(-values, -policy.fill_limit)
    limits = {SLIPPAGE.name: policy.slippage_limit_bps, FILL_TIME.name: policy.fill_minutes * 60.0}
    return within.above(values, limits.get(measure.name, np.inf))


def _cusum(
    measure: Measure, given: Observations, ends: Int64, bounds: Int64, carried: Carried, policy: ExecutionPolicy
) -> tuple[Float64, Flags, Int64, Float64, Float64]:
    """Return the state of the CUSUM at each end of a window; NaN while the baseline is short."""
    cusum, mean, squares = np.empty(ends.size), np.empty(ends.size), np.empty(ends.size)
    signal, seen = np.empty(ends.size, np.bool_), np.empty(ends.size, np.int64)
    start = (carried.day, carried.cusum, carried.signal, carried.seen, carried.mean, carried.squares)
    k = -1.0 if measure.is_rate else policy.cusum_k
    out = (cusum, signal, seen, mean, squares)
    _page(given.day, given.value, ends, bounds, *start, k, policy.cusum_h, measure.worse, *out)
    return out


@njit(cache=True)
def _page(  # pragma: no cover - compiled
    day: Int64,
    value: Float64,
    ends: Int64,
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

    Both z and S are bounded (`OUTLIER`, `CEILING`). What it is after an observation is written where a window ends with it.
    """
    row = 0
    for group in range(bounds.size - 1):
        total, firing, count = sums[group], on[group], seen_before[group]
        centre, spread = mean_before[group] * sign, squares_before[group]
        for i in range(bounds[group], bounds[group + 1]):
            if day[i] > since[group]:
                apart = value[i] * sign - centre
                if count >= BASELINE and spread > 0.0 and k >= 0.0:
                    z = min(apart / np.sqrt(spread / (count - 1)), OUTLIER)
                    total = min(max(0.0, total + z - k), CEILING * h)
                    firing = total > h or (firing and total > 0.0)
                count += 1
                centre += apart / count
                spread += apart * (value[i] * sign - centre)
            if row < ends.size and ends[row] == i + 1:
                cusum[row] = total if count > BASELINE and k >= 0.0 else np.nan
                signal[row], seen[row], mean[row], squares[row] = firing, count, centre * sign, spread
                row += 1
