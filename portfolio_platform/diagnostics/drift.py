"""Drift of a portfolio's mix: the mean share of a group over a window of sessions against that over the sessions before it.

A group that a session does not hold has share 0 there; a session without shares (nothing held, or no value for it) is no
observation and is left out of both means.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from numba import njit

Int64 = npt.NDArray[np.int64]
Float64 = npt.NDArray[np.float64]
Flags = npt.NDArray[np.bool_]

OK, NO_EXPOSURE, NO_BASELINE = 0, 1, 2
REASONS = ("", "no_exposure", "no_baseline")


@dataclass(frozen=True)
class Drift:
    """Mean shares of every session and group, shape (sessions, groups), NaN where there is no observation.

    ``sessions`` and ``baseline_sessions`` count observations, shape (sessions,); ``start`` is the first session of each
    window; ``seen`` says which groups were held in window or baseline; ``status`` why drift is null (`REASONS`).
    """

    share: Float64
    baseline: Float64
    sessions: Int64
    baseline_sessions: Int64
    start: Int64
    seen: Flags
    status: Int64


@njit(cache=True)
def _means(
    shares: Float64, observed: Flags, first: int, window: int, baseline: int, share: Float64, before: Float64, counts: Int64
) -> None:  # pragma: no cover - compiled
    groups = shares.shape[1]
    for row in range(share.shape[0]):
        end = first + row + 1
        middle = max(end - window, 0)
        begin = max(middle - baseline, 0)
        # summed from the window's own values, so that a day alone has the digits of the same day in a range
        for k in range(begin, end):
            if not observed[k]:
                continue
            if k >= middle:
                counts[row, 0] += 1
                for g in range(groups):
                    share[row, g] += shares[k, g]
            else:
                counts[row, 1] += 1
                for g in range(groups):
                    before[row, g] += shares[k, g]
        for g in range(groups):
            share[row, g] = share[row, g] / counts[row, 0] if counts[row, 0] else np.nan
            before[row, g] = before[row, g] / counts[row, 1] if counts[row, 1] else np.nan


def drift(shares: Float64, observed: Flags, first: int, window: int, baseline: int) -> Drift:
    """Return the drift of every session from number ``first`` on.

    ``shares`` has the shape (sessions, groups), consecutive sessions of one portfolio, 0 where a group is not held;
    ``observed`` says which of them have shares at all. The window is the last ``window`` sessions, the baseline the
    ``baseline`` sessions before it; where there are fewer, those that there are.
    """
    size, groups = shares.shape[0] - first, shares.shape[1]
    share, before, counts = np.zeros((size, groups)), np.zeros((size, groups)), np.zeros((size, 2), np.int64)
    _means(np.ascontiguousarray(shares), observed, first, window, baseline, share, before, counts)
    seen = (np.nan_to_num(share) > 0.0) | (np.nan_to_num(before) > 0.0)
    status = np.where(counts[:, 0] == 0, NO_EXPOSURE, np.where(counts[:, 1] == 0, NO_BASELINE, OK))
    start = np.maximum(first + np.arange(size) + 1 - window, 0)
    return Drift(share, before, counts[:, 0], counts[:, 1], start, seen, status)
