"""Pairwise correlations of every window of a stretch, compiled: sums of products from anchors, never by subtraction.

A window ends at or after the anchor and reaches back before it: it is a suffix of the rows before the anchor and a prefix
of those from it on (van Herk 1992). Each is summed once for all windows, so a window costs two additions a pair instead
of its length, and, unlike with sums that are added to and taken from, an old large return leaves no rounding behind.
"""

from typing import Any

import numpy as np
import numpy.typing as npt
from numba import njit

Int64 = npt.NDArray[np.int64]
Float64 = npt.NDArray[np.float64]

# sum of squared deviations below which a series counts as constant: rounding of log prices makes up to 1e-28
NO_VARIANCE = 1e-24
VECTOR = 8  # numbers in a vector register


@njit(cache=True)
def moments(returns: Float64, ends: Int64, count: Int64, mean: Float64, scale: Float64) -> None:  # pragma: no cover - compiled
    """Fill mean and root of the summed squared deviations of each window and symbol, each summed anew: (ends, symbols)."""
    size = returns.shape[1]
    for k in range(ends.size):
        low = ends[k] - count[k] + 1
        mean[k, :] = 0.0
        scale[k, :] = 0.0
        for row in range(low, ends[k] + 1):
            for j in range(size):
                mean[k, j] += returns[row, j]
        for j in range(size):
            mean[k, j] /= count[k]
        for row in range(low, ends[k] + 1):
            for j in range(size):
                apart = returns[row, j] - mean[k, j]
                scale[k, j] += apart * apart
        for j in range(size):
            scale[k, j] = np.sqrt(scale[k, j]) if scale[k, j] > NO_VARIANCE else 0.0


@njit(cache=True)
def _offsets(count: Int64, mean: Float64, scale: Float64) -> tuple[Float64, Float64]:  # pragma: no cover - compiled
    """Return one over the scale, and the mean in its units, by which products of pairs become correlations; 0 without a scale."""
    inverse, offset = np.zeros(scale.shape), np.zeros(scale.shape)
    for k in range(scale.shape[0]):
        for j in range(scale.shape[1]):
            if scale[k, j] > 0.0:
                inverse[k, j] = 1.0 / scale[k, j]
                offset[k, j] = mean[k, j] * np.sqrt(float(count[k])) * inverse[k, j]
    return inverse, offset


@njit(forceinline=True, fastmath={"contract"})
def _add(returns: Any, row: int, i: int, before: Any, out: Any) -> None:  # pragma: no cover - compiled
    """Set ``out`` to sums of products of symbol i and those after it, and the products of one row more."""
    own, others = returns[row, i], returns[row, i + 1 :]
    for j in range(out.size):
        out[j] = before[j] + own * others[j]


@njit(forceinline=True, fastmath={"contract"})
def _add_four(returns: Any, row: int, i: int, out: Any) -> None:  # pragma: no cover - compiled
    """Add the products of four rows, the latest first, in the order in which one at a time would be."""
    a, b, c, d = returns[row, i], returns[row - 1, i], returns[row - 2, i], returns[row - 3, i]
    one, two = returns[row, i + 1 :], returns[row - 1, i + 1 :]
    three, four = returns[row - 2, i + 1 :], returns[row - 3, i + 1 :]
    for j in range(out.size):
        out[j] = (((out[j] + a * one[j]) + b * two[j]) + c * three[j]) + d * four[j]


@njit(forceinline=True, fastmath={"contract"})
def _finish(
    own: float, others: Any, suffix: Any, prefix: Any, scaled: float, shift: float, inverse: Any, offset: Any, target: Any
) -> None:  # pragma: no cover - compiled
    """Add a last row to the prefix, and make correlations of both parts of the sums."""
    for j in range(target.size):
        prefix[j] += own * others[j]
        value = (suffix[j] + prefix[j]) * (scaled * inverse[j]) - shift * offset[j]
        # written as choices, which the compiler turns into vector instructions; min and max it does not
        value = value if value < 1.0 else 1.0
        target[j] = value if value > -1.0 else -1.0


@njit(cache=True, fastmath={"contract"})
def correlations(
    returns: Float64, anchor: int, ends: Int64, count: Int64, window: int, mean: Float64, scale: Float64, out: Any
) -> None:  # pragma: no cover - compiled
    """Fill the correlations of each window: (ends, pairs), pairs (i, j > i) row by row; 0 where a series does not move.

    ``ends`` ascend and are ``anchor - 1`` or later. Rows of pairs are rounded up to whole vectors: what stands beyond a row's end
    is overwritten by the next row of the same window.
    """
    size, pairs, base = returns.shape[1], out.shape[1], 0
    room = size + VECTOR
    wide, inverse, offset = np.zeros((returns.shape[0], room)), np.zeros((ends.size, room)), np.zeros((ends.size, room))
    wide[:, :size] = returns
    inverse[:, :size], offset[:, :size] = _offsets(count, mean, scale)
    suffix, prefix, nothing = np.empty((ends.size + 1, room)), np.empty(room), np.zeros(room)
    suffix[ends.size, :] = 0.0
    for i in range(size - 1):
        width = (size - 1 - i + VECTOR - 1) // VECTOR * VECTOR
        row = anchor - 1
        for k in range(ends.size - 1, -1, -1):
            low, sums = ends[k] - window + 1, suffix[k, :width]
            if row >= low:
                _add(wide, row, i, suffix[k + 1], sums)
                row -= 1
            else:
                sums[:] = suffix[k + 1, :width]
            while row - 3 >= low:
                _add_four(wide, row, i, sums)
                row -= 4
            while row >= low:
                _add(wide, row, i, sums, sums)
                row -= 1
        prefix[:width] = 0.0
        row = anchor
        for k in range(ends.size):
            while row < ends[k]:
                _add(wide, row, i, prefix, prefix[:width])
                row += 1
            more = row == ends[k]
            own, others = (wide[row, i], wide[row, i + 1 :]) if more else (0.0, nothing)
            row += more
            target = out[k, base : min(base + width, pairs)]
            _finish(own, others, suffix[k], prefix, inverse[k, i], offset[k, i], inverse[k, i + 1 :], offset[k, i + 1 :], target)
        base += size - 1 - i
