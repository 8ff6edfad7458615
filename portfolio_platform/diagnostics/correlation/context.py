"""Context beside the stacking figures: absorption ratio and turbulence of the symbols held.

Absorption ratio (Kritzman, Li, Page & Rigobon 2011): share of the window's total variance in the top fifth of the
eigenvalues of the covariance matrix. Turbulence (Kritzman & Li 2010): squared Mahalanobis distance of a session's returns
from the mean of the sessions strictly before it, over what that distance is on average for normal returns, so that 1 is
usual. With mean and covariance estimated from T sessions that average is not the number of symbols n, but
``n (T + 1) (T - 1) / (T (T - n - 2))`` (Hotelling 1931): a third more for n = 60, T = 250.
"""

from typing import Any

import numpy as np
import numpy.typing as npt
from numba import njit

from portfolio_platform.diagnostics.correlation import eigenvalues
from portfolio_platform.diagnostics.correlation.matrices import NO_VARIANCE
from portfolio_platform.diagnostics.correlation.returns import Book, Closes, Stretch

Int64 = npt.NDArray[np.int64]
Float64 = npt.NDArray[np.float64]

# fewer sessions a symbol than this, and a covariance matrix says more about its own noise than about a day
SESSIONS_A_SYMBOL = 3
SMALLEST_PIVOT = 1e-9
FEW = 100  # sessions whose matrices stay near the processor together
FOUND, NO_SESSION, SHORT, MANY_SYMBOLS, SINGULAR = range(5)
TURBULENCE_REASONS = ("", "no_common_session", "short_history", "many_symbols", "singular")


def absorption(values: Float64, symbols: Int64 | int, share: float) -> Float64:
    """Return the variance share of the top eigenvalues, ``share`` of as many as there are symbols, at least one.

    ``values`` (matrices, k) are eigenvalues, ascending; ``symbols`` for each or for all; NaN where there is no variance.
    """
    top = np.clip((share * np.asarray(symbols) + 0.5).astype(np.int64), 1, values.shape[1])
    summed = np.cumsum(values[:, ::-1], axis=1)
    total = summed[:, -1]
    with np.errstate(divide="ignore", invalid="ignore"):
        ratio = summed[np.arange(total.size), top - 1] / total
    return np.where(total > NO_VARIANCE, np.minimum(ratio, 1.0), np.nan)


@njit(cache=True)
def _different_sets(members: Any, window: Any, start: Any, symbol: Any, of: Any) -> Any:  # pragma: no cover - compiled
    """Return the first place in ``members`` of each pair of window and symbols held, and number them in ``of``; -1 below two symbols."""
    heads, sets = np.empty(members.size, np.int64), 0
    for m in range(members.size):
        begin, held = start[members[m]], start[members[m] + 1] - start[members[m]]
        of[m] = -1
        for one in range(sets):
            other = start[members[heads[one]]]
            if window[heads[one]] == window[m] and start[members[heads[one]] + 1] - other == held:
                k = 0
                while k < held and symbol[begin + k] == symbol[other + k]:
                    k += 1
                if k == held:
                    of[m] = one
                    break
        if of[m] < 0 and held > 1:
            of[m], heads[sets] = sets, m
            sets += 1
    return heads[:sets]


@njit(cache=True)
def _scaled(
    members: Any, window: Any, start: Any, symbol: Any, place_of: Any, returns: Any, ends: Any, count: Any, mean: Any, scale: Any, out: Any
) -> None:  # pragma: no cover - compiled
    """Fill the returns of what is held (sessions, time, symbols) less their means, over the root of all summed squares; 0 around them."""
    for m in range(members.size):
        k, held, total = window[m], place_of[symbol[start[members[m]] : start[members[m] + 1]]], 0.0
        for j in range(held.size):
            total += scale[k, held[j]] * scale[k, held[j]]
        by, centre = 1.0 / np.sqrt(total) if total > 0.0 else 0.0, mean[k][held]
        for t in range(count[k]):
            row, target = returns[ends[k] - count[k] + 1 + t], out[m, t]
            for j in range(held.size):
                target[j] = (row[held[j]] - centre[j]) * by
            target[held.size :] = 0.0
        out[m, count[k] :] = 0.0


def absorption_ratios(stretch: Stretch, book: Book, place_of: Int64, mean: Float64, scale: Float64, share: float) -> Float64:
    """Return the absorption ratio of each member of a stretch, NaN below two symbols.

    ``mean`` and ``scale`` (windows, symbols) are `matrices.moments`, ``place_of`` is each symbol's place in them. The T x T Gram
    matrix has the same non-zero eigenvalues as the covariance matrix: the smaller of the two is taken. Sessions with the same
    window and the same symbols share one.
    """
    of = np.empty(stretch.members.size, np.int64)
    heads = _different_sets(stretch.members, stretch.window, book.start, book.symbol, of)
    if heads.size == 0:
        return np.full(of.size, np.nan)
    members, window = stretch.members[heads], stretch.window[heads]
    held = book.start[members + 1] - book.start[members]
    longest, most = int(stretch.count.max()), int(held.max())
    ratio = np.empty(members.size + 1)
    ratio[-1] = np.nan  # of -1
    size, few = min(longest, most), min(FEW, members.size)
    own, beside = np.empty((size, members.size)), np.empty((size, members.size))
    values, matrices = np.empty((few, longest, most)), np.zeros((few, eigenvalues.padded(size), eigenvalues.padded(size)))
    for low in range(0, members.size, FEW):
        part = slice(low, low + FEW)
        count = members[part].size
        _scaled(
            members[part],
            window[part],
            book.start,
            book.symbol,
            place_of,
            stretch.returns,
            stretch.ends,
            stretch.count,
            mean,
            scale,
            values,
        )
        some, turned = values[:count], values[:count].transpose(0, 2, 1)
        np.matmul(*((some, turned) if longest < most else (turned, some)), out=matrices[:count, :size, :size])
        eigenvalues.tridiagonals(matrices[:count], own[:, part], beside[:, part])
    ratio[:-1] = absorption(eigenvalues.eigenvalues(own, beside), held, share)
    return ratio[of]


@njit(cache=True, fastmath={"reassoc", "nsz", "contract"})
def _distance(covariance: Any, apart: Any) -> float:  # pragma: no cover - compiled
    """Return the squared Mahalanobis distance ``apart' covariance^-1 apart``, NaN where the matrix, which is used up, is singular."""
    total = 0.0
    for i in range(apart.size):
        row, diagonal, moved = covariance[i], covariance[i, i], apart[i]
        for j in range(i):
            other, entry = covariance[j], row[j]
            for k in range(j):
                entry -= row[k] * other[k]
            row[j] = entry / other[j]
            row[i] -= row[j] * row[j]
            moved -= row[j] * apart[j]
        if row[i] <= SMALLEST_PIVOT * diagonal:
            return np.nan
        row[i] = np.sqrt(row[i])
        apart[i] = moved / row[i]
        total += apart[i] * apart[i]
    return total


def turbulence(history: Float64, today: Float64) -> tuple[float, int]:
    """Return how unusual a session's returns (n,) are given those strictly before it (T, n), and why not where NaN.

    A symbol that did not move in the history is left out.
    """
    moves = (history != history[0]).any(axis=0)
    history, today = np.ascontiguousarray(history[:, moves]), today[moves]
    count, size = history.shape
    if count < SESSIONS_A_SYMBOL * size:
        return np.nan, MANY_SYMBOLS
    if size == 0:
        return np.nan, SINGULAR
    mean = history.mean(axis=0)
    centred = history - mean
    value = _distance(centred.T @ centred / (count - 1), today - mean)
    expected = size * (count + 1.0) * (count - 1.0) / (count * (count - size - 2.0))
    return value / expected, SINGULAR if np.isnan(value) else FOUND


def turbulences(closes: Closes, stretch: Stretch, book: Book, window: int, minimum: int) -> tuple[Float64, Int64]:
    """Return the turbulence of each member of a stretch, and the code of the reason where it is null."""
    values, codes = np.full(stretch.members.size, np.nan), np.zeros(stretch.members.size, np.int64)
    known: dict[tuple[int, bytes], tuple[float, int]] = {}
    for place, session in enumerate(stretch.members.tolist()):
        held, day = book.held(session), int(book.day[session]) - closes.first
        at = int(np.searchsorted(stretch.common, day))
        if at >= stretch.common.size or stretch.common[at] != day:
            codes[place] = NO_SESSION
            continue
        count = min(at - 1, window)
        if count < minimum:
            codes[place] = SHORT
        elif count < SESSIONS_A_SYMBOL * held.size:
            codes[place] = MANY_SYMBOLS
        else:
            key = (at, held.tobytes())
            if key not in known:
                returns = np.diff(closes.log_close[np.ix_(stretch.common[at - count - 1 : at + 1], held)], axis=0)
                known[key] = turbulence(returns[:-1], returns[-1])
            values[place], codes[place] = known[key]
    return values, codes
