"""Windows of D6: the newest observations of a group up to a day, each looked at once.

What belongs here: where windows end, and sums, means and orders inside them. What they are of, and what is concluded, is in
`execution`.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from numba import njit

Float64 = npt.NDArray[np.float64]
Int64 = npt.NDArray[np.int64]
Flags = npt.NDArray[np.bool_]

BLOCK = 4096
"""Windows that are laid out at once."""


@njit(cache=True)
def observed_until(observed: Int64, bounds: Int64, group: Int64, day: Int64, until: Int64) -> None:  # pragma: no cover - compiled
    """Fill ``until`` with the number of observations before the end of each (group, day), those of earlier groups included.

    ``observed`` are days, ascending in each group ``bounds[g]:bounds[g + 1]``. Days that are asked in their order walk on from
    the one before; others are looked for by bisection.
    """
    at, newest = bounds[:-1].copy(), np.full(bounds.size - 1, np.iinfo(np.int64).min)
    for i in range(group.size):
        g = group[i]
        if day[i] < newest[g]:
            at[g] = bounds[g] + np.searchsorted(observed[bounds[g] : bounds[g + 1]], day[i], side="right")
        newest[g] = day[i]
        while at[g] < bounds[g + 1] and observed[at[g]] <= day[i]:
            at[g] += 1
        until[i] = at[g]


@njit(cache=True)
def _lay(values: Float64, start: Int64, end: Int64, rows: Float64) -> None:  # pragma: no cover - compiled
    """Fill each row with its window, NaN after it."""
    for row in range(start.size):
        size = end[row] - start[row]
        for i in range(size):
            rows[row, i] = values[start[row] + i]
        for i in range(size, rows.shape[1]):
            rows[row, i] = np.nan


@njit(cache=True)
def _lay_known(values: Float64, start: Int64, end: Int64, rows: Float64, known: Int64) -> None:  # pragma: no cover - compiled
    """Fill each row with what is known of its window, 0 for what is not, and count what is."""
    for row in range(start.size):
        size, count = end[row] - start[row], 0
        for i in range(size):
            value = values[start[row] + i]
            sound = not np.isnan(value)
            rows[row, i] = value if sound else 0.0
            count += sound
        for i in range(size, rows.shape[1]):
            rows[row, i] = 0.0
        known[row] = count


@njit(cache=True)
def _nothing(values: Float64) -> bool:  # pragma: no cover - compiled
    """Say whether no value is known: it ends at the first that is."""
    place = 0
    while place < values.size and np.isnan(values[place]):
        place += 1
    return place == values.size


@njit(cache=True)
def _pick(
    rows: Float64, n: Int64, lower: Int64, upper: Int64, median: Float64, low: Float64, high: Float64
) -> None:  # pragma: no cover - compiled
    """Take the median of each ordered row, and the values at the 1-based ranks that its size has (0: none)."""
    for row in range(n.size):
        size = n[row]
        median[row] = (rows[row, (size - 1) // 2] + rows[row, size // 2]) / 2.0
        if lower[size] > 0:
            low[row], high[row] = rows[row, lower[size] - 1], rows[row, upper[size] - 1]


@njit(cache=True)
def _pick_upper(
    rows: Float64,
    n: Int64,
    values: Float64,
    further: Int64,
    start: Int64,
    share: float,
    minimum: int,
    top: Float64,
    out: Float64,
) -> None:  # pragma: no cover - compiled
    """Take a quantile of each ordered row together with the observations ``further:start`` before it, where that is enough.

    The largest of the row are there already; one before it matters where it is larger than the least of them.
    """
    for row in range(n.size):
        size = n[row] + start[row] - further[row]
        if size < minimum:
            continue
        below = int(share * (size - 1))
        kept = size - below
        count = min(kept, n[row])
        for k in range(count):
            top[k] = rows[row, n[row] - count + k]
        for i in range(further[row], start[row]):
            if count == kept and values[i] <= top[0]:
                continue
            # of a full list the least leaves, else there is room for one more
            place = 0 if count == kept else count
            if count < kept:
                for k in range(count, 0, -1):
                    top[k] = top[k - 1]
                count, place = count + 1, 0
            while place + 1 < count and top[place + 1] < values[i]:
                top[place] = top[place + 1]
                place += 1
            top[place] = values[i]
        out[row] = top[0] + (share * (size - 1) - below) * (top[min(1, kept - 1)] - top[0])


@njit(cache=True)
def _above(values: Float64, start: Int64, end: Int64, limit: float, count: Int64) -> None:  # pragma: no cover - compiled
    for row in range(start.size):
        for i in range(start[row], end[row]):
            count[row] += values[i] > limit


@dataclass(frozen=True)
class Windows:
    """Windows ``start:end`` of observations, shape (windows,); each has at least one and at most ``width``."""

    start: Int64
    end: Int64
    width: int

    @property
    def n(self) -> Int64:
        """Return the number of observations in each window."""
        return self.end - self.start

    def at(self, chosen: Flags) -> "Windows":
        """Return some of the windows."""
        return Windows(self.start[chosen], self.end[chosen], self.width)

    def _blocks(self) -> Iterator[tuple[slice, Int64, Int64, Float64]]:
        """Yield windows by the block, with the rows that they are laid out in: one buffer, which stays in the processor's cache."""
        buffer = np.empty((min(BLOCK, self.start.size), self.width))
        for first in range(0, self.start.size, BLOCK):
            part = slice(first, first + BLOCK)
            start = self.start[part]
            yield part, start, self.end[part], buffer[: start.size]

    def order_statistics(
        self, values: Float64, lower: Int64, upper: Int64, further: "Further"
    ) -> tuple[Float64, Float64, Float64, Float64]:
        """Return the median of each window, two of its order statistics, whose 1-based ranks are by size, and an upper quantile.

        Rank 0 gives NaN. The quantile is linear between order statistics.
        """
        n, size = self.n, self.start.size
        median, low, high, quantile = np.empty(size), np.full(size, np.nan), np.full(size, np.nan), np.full(size, np.nan)
        top = np.empty(int((self.end - further.start).max(initial=0)))
        for part, start, end, rows in self._blocks():
            _lay(values, start, end, rows)
            rows.sort(axis=1)
            _pick(rows, n[part], lower, upper, median[part], low[part], high[part])
            _pick_upper(rows, n[part], values, further.start[part], start, further.share, further.minimum, top, quantile[part])
        return median, low, high, quantile

    def mean(self, values: Float64) -> Float64:
        """Return the mean of each window's known values, NaN where it has none."""
        if _nothing(values):
            return np.full(self.start.size, np.nan)
        total, known = np.empty(self.start.size), np.empty(self.start.size, np.int64)
        for part, start, end, rows in self._blocks():
            _lay_known(values, start, end, rows, known[part])
            rows.sum(axis=1, out=total[part])
        return np.where(known > 0, total / np.maximum(known, 1), np.nan)

    def median(self, values: Float64) -> Float64:
        """Return the median of each window's known values, NaN where it has none."""
        found = np.full(self.start.size, np.nan)
        if _nothing(values):
            return found
        for part, start, end, rows in self._blocks():
            _lay(values, start, end, rows)
            rows.sort(axis=1)
            row, count = np.arange(start.size), np.isfinite(rows).sum(axis=1)
            # without a known value both are NaN
            found[part] = (rows[row, np.maximum(count - 1, 0) // 2] + rows[row, count // 2]) / 2.0
        return found

    def above(self, values: Float64, limit: float) -> Int64:
        """Return how many values of each window are above a limit."""
        count = np.zeros(self.start.size, np.int64)
        if limit < np.inf:
            _above(values, self.start, self.end, limit, count)
        return count


@dataclass(frozen=True)
class Further:
    """An upper quantile that needs more observations than a window has: where those begin that it is of, and how many must be there."""

    start: Int64
    share: float
    minimum: int
