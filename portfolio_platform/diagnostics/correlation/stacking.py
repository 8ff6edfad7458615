"""Score, stack ratio and correlated heat of a session, compiled; what it needs of each pair is used and let go.

With ``u_i = |x_i| sigma_i / sum`` and signs s: score ``K = sum u_i u_j max(0, s_i s_j C_ij) / sum u_i u_j`` over the pairs;
stack ratio ``sum_ij u_i u_j s_i s_j C_ij / sum u^2``, whose inverse without the denominator is the square of the diversification
ratio (Choueifaty & Coignard 2008).
"""

from typing import Any

import numpy as np
import numpy.typing as npt
from numba import njit

Int64 = npt.NDArray[np.int64]
Float64 = npt.NDArray[np.float64]

SCORE, RATIO, VARIANCE, SQUARES, MEAN, SHRINKAGE, HEAT = range(7)
FIGURES = 7
# As in `shrinkage`, which says it plainly: compiled code states its own numbers.
EQUAL = 1e-24


@njit(cache=True, fastmath={"reassoc", "nsz", "contract"})
def _shrinkage(pairs: Any, count: int) -> tuple[float, float]:  # pragma: no cover - compiled
    mean = 0.0
    for k in range(pairs.size):
        mean += pairs[k]
    mean /= pairs.size
    spread, noise = 0.0, 0.0
    for k in range(pairs.size):
        apart, rest = pairs[k] - mean, 1.0 - pairs[k] * pairs[k]
        spread += apart * apart
        noise += rest * rest
    if spread <= EQUAL * pairs.size:
        return 1.0, mean
    return min(1.0, noise / (count - 1) / spread), mean


@njit(cache=True, fastmath={"reassoc", "nsz", "contract"})
def _pair_sums(pairs: Any, weight: Any, shrink: float, mean: float) -> tuple[float, float]:  # pragma: no cover - compiled
    """Return the sum of ``w_i w_j C_ij`` over the pairs, and that of its positive terms."""
    every, positive, at, size = 0.0, 0.0, 0, weight.size
    keep, target = 1.0 - shrink, shrink * mean
    for i in range(size - 1):
        own, rest, row = weight[i], weight[i + 1 :], pairs[at : at + size - 1 - i]
        total, above = 0.0, 0.0
        for j in range(rest.size):
            term = rest[j] * own * (keep * row[j] + target)
            total += term
            # as a choice, which becomes a vector instruction; max does not
            above += term if term > 0.0 else 0.0
        every += total
        positive += above
        at += rest.size
    return every, positive


@njit(cache=True, fastmath={"reassoc", "nsz", "contract"})
def _heat(pairs: Any, long: Any, short: Any, shrink: float, mean: float) -> float:  # pragma: no cover - compiled
    """Return ``sum_pq R_p R_q max(0, s_p s_q rho_pq)`` over positions, given the long and short risk of each symbol."""
    total, at, size = 0.0, 0, long.size
    keep, target = 1.0 - shrink, shrink * mean
    for i in range(size - 1):
        own_long, own_short, row = long[i], short[i], pairs[at : at + size - 1 - i]
        others_long, others_short = long[i + 1 :], short[i + 1 :]
        part = 0.0
        for j in range(row.size):
            rho = keep * row[j] + target
            same = own_long * others_long[j] + own_short * others_short[j]
            cross = own_long * others_short[j] + own_short * others_long[j]
            part += rho * same if rho > 0.0 else -rho * cross
        total += part
        at += row.size
    return 2.0 * total


@njit(cache=True)
def _gather(table: Any, place: Any, size: int, out: Any) -> int:  # pragma: no cover - compiled
    """Fill the correlations of the symbols at these places, pairs row by row; return how many."""
    at = 0
    for a in range(place.size - 1):
        base = place[a] * (2 * size - place[a] - 1) // 2 - place[a] - 1
        for b in range(a + 1, place.size):
            out[at + b - a - 1] = table[base + place[b]]
        at += place.size - 1 - a
    return at


@njit(cache=True)
def stack_sessions(
    members: Int64,
    start: Int64,
    symbol: Int64,
    place_of: Int64,
    net: Float64,
    long_risk: Float64,
    short_risk: Float64,
    window: Int64,
    count: Int64,
    scale: Float64,
    table: Any,
    figures: Float64,
    coefficient: Float64,
) -> None:  # pragma: no cover - compiled
    """Fill the figures (members, 7) of sessions, NaN where undefined, and the weights over sigma (members, symbols of the stretch).

    ``start`` delimits each session's rows, ``place_of`` is each symbol's place in the stretch, ``table`` has the packed
    correlations (windows, pairs). A symbol that does not move carries no risk, and is in no pair.
    """
    size, most = scale.shape[1], 0
    for m in range(members.size):
        most = max(most, start[members[m] + 1] - start[members[m]])
    pairs = np.empty(most * (most - 1) // 2)
    weight, long, short = np.empty(most), np.empty(most), np.empty(most)
    place = np.empty(most, np.int64)
    for m in range(members.size):
        k, moving, total, own = window[m], 0, 0.0, 0.0
        deviation = 1.0 / np.sqrt(float(count[k]))
        for row in range(start[members[m]], start[members[m] + 1]):
            local = place_of[symbol[row]]
            own += long_risk[row] * long_risk[row] + short_risk[row] * short_risk[row]
            sigma = scale[k, local] * deviation
            if sigma > 0.0:
                place[moving] = local
                weight[moving] = net[row] * sigma
                long[moving], short[moving] = long_risk[row], short_risk[row]
                total += abs(weight[moving])
                moving += 1
        at = _gather(table[k], place[:moving], size, pairs)
        shrink, mean = 0.0, 0.0
        if moving > 1:
            shrink, mean = _shrinkage(pairs[:at], count[k])
            figures[m, MEAN], figures[m, SHRINKAGE] = mean, shrink
        if not np.isnan(own):
            figures[m, HEAT] = own + _heat(pairs[:at], long[:moving], short[:moving], shrink, mean)
        weighted, squares = 0, 0.0
        for a in range(moving):
            if weight[a] != 0.0:
                weighted += 1
                weight[a] /= total
            squares += weight[a] * weight[a]
        if weighted < 2:
            continue
        every, positive = _pair_sums(pairs[:at], weight[:moving], shrink, mean)
        figures[m, SCORE] = min(1.0, 2.0 * positive / (1.0 - squares))
        figures[m, VARIANCE] = max(0.0, squares + 2.0 * every)
        figures[m, RATIO] = figures[m, VARIANCE] / squares
        figures[m, SQUARES] = squares
        for a in range(moving):
            coefficient[m, place[a]] = weight[a] / (scale[k, place[a]] * deviation)


def weighted_paths(
    returns: Float64, ends: Int64, window: Int64, mean: Float64, coefficient: Float64, length: int
) -> tuple[Float64, Float64]:
    """Return ``p_t^2 = (sum_i s_i u_i z_it)^2`` and ``q_t = sum_i u_i^2 z_it^2`` of each session over its window: (sessions, length).

    z is standardised in the window. The sample's stack ratio is ``mean(p^2) / mean(q)``: no matrix is needed for it. All
    sessions of a stretch are multiplied at once, and their windows cut from the products.
    """
    centre = mean[window]
    squared = coefficient * coefficient
    path = coefficient @ returns.T - (coefficient * centre).sum(axis=1)[:, None]
    own = squared @ (returns * returns).T - 2.0 * ((squared * centre) @ returns.T) + (squared * centre * centre).sum(axis=1)[:, None]
    rows = ends[window][:, None] + np.arange(1 - length, 1)[None, :]
    path = np.take_along_axis(path, rows, axis=1)
    return path * path, np.maximum(np.take_along_axis(own, rows, axis=1), 0.0)
