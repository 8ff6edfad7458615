"""Intervals of the mean of a window of sessions that follow each other: moving blocks (Kuensch 1989) in closed form.

Sessions are no independent observations: what is held today is mostly what was held yesterday. The means of blocks of sessions
keep that inside them, and how they vary is what a moving-block bootstrap draws at random: its variance of a mean is that of the
block means over the number of blocks. No draw is needed, so that a day alone has the digits of the same day in a range.
The ends are approximate: Student's, with one degree of freedom less than there are blocks.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from numba import njit

Float64 = npt.NDArray[np.float64]
Int64 = npt.NDArray[np.int64]
Flags = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class Spread:
    """How the means of blocks vary inside each range: variance (rows, groups), NaN without a block, and blocks (rows,), a fraction."""

    variance: Float64
    blocks: Float64


def block_spread(values: Float64, observed: Flags, begin: Int64, end: Int64, block: int) -> Spread:
    """Return the variance of the means of ``block`` observations that follow each other, about the mean of all in the range.

    Args:
        values: (sessions, groups); those of sessions that are no observation are left out.
        observed: which sessions are observations, (sessions,).
        begin: the first session of each range, (rows,).
        end: the session after its last, (rows,).
        block: observations in a block; a range of fewer has none.
    """
    variance, count = np.full((begin.size, values.shape[1]), np.nan), np.zeros(begin.size, np.int64)
    _spread(np.ascontiguousarray(values), observed, begin, end, block, variance, count)
    return Spread(variance, count / block)


@njit(cache=True)
def _spread(
    values: Float64, observed: Flags, begin: Int64, end: Int64, block: int, variance: Float64, count: Int64
) -> None:  # pragma: no cover - compiled
    longest = 0
    for row in range(begin.size):
        longest = max(longest, end[row] - begin[row])
    place = np.empty(longest, np.int64)
    for row in range(begin.size):
        n = 0
        for k in range(begin[row], end[row]):
            if observed[k]:
                place[n] = k
                n += 1
        count[row] = n
        if n < block:
            continue
        for g in range(values.shape[1]):
            mean = 0.0
            for k in range(n):
                mean += values[place[k], g]
            mean /= n
            total = 0.0
            for first in range(n - block + 1):
                own = 0.0
                for k in range(first, first + block):
                    own += values[place[k], g]
                total += (own / block - mean) ** 2
            variance[row, g] = total / (n - block + 1)


def error_of_mean(spread: Spread) -> Float64:
    """Return the standard error of the mean of the range itself, (rows, groups); NaN below two blocks."""
    return _error(spread, np.zeros(spread.blocks.size))


def error_of_next(spread: Spread, size: Int64, block: int) -> Float64:
    """Return the standard error of a later mean of ``size`` observations (rows,) less that of the range; NaN below two blocks.

    A later mean of a whole block varies as the blocks do; one of fewer observations as many times more as it is shorter.
    """
    with np.errstate(divide="ignore"):
        return _error(spread, block / np.minimum(size, block))


def _error(spread: Spread, later: Float64) -> Float64:
    blocks = np.where(spread.blocks >= 2.0, spread.blocks, np.nan)[:, None]
    # the blocks' own mean takes one of them
    found: Float64 = np.sqrt(spread.variance * blocks / (blocks - 1.0) * (later[:, None] + 1.0 / blocks))
    return found


def student_ends(value: Float64, error: Float64, blocks: Float64, confidence: float) -> tuple[Float64, Float64]:
    """Return the bounds of values, each one-sided at a confidence; NaN where there is no error."""
    from scipy.special import stdtrit

    half = stdtrit(np.maximum(blocks - 1.0, 1.0), confidence) * error
    return value - half, value + half
