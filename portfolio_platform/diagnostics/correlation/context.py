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

from portfolio_platform.diagnostics.correlation.matrices import NO_VARIANCE
from portfolio_platform.diagnostics.correlation.returns import Book, Closes, Stretch

Int64 = npt.NDArray[np.int64]
Float64 = npt.NDArray[np.float64]

# fewer sessions a symbol than this, and a covariance matrix says more about its own noise than about a day
SESSIONS_A_SYMBOL = 3
SMALLEST_PIVOT = 1e-9
FOUND, NO_SESSION, SHORT, MANY_SYMBOLS, SINGULAR = range(5)
TURBULENCE_REASONS = ("", "no_common_session", "short_history", "many_symbols", "singular")


def absorption(eigenvalues: Float64, symbols: int, share: float) -> Float64:
    """Return the variance share of the top eigenvalues, ``share`` of as many as there are symbols, at least one.

    ``eigenvalues`` (matrices, k) ascending; NaN where there is no variance.
    """
    top = max(1, int(share * symbols + 0.5))
    total = eigenvalues.sum(axis=1)
    with np.errstate(divide="ignore", invalid="ignore"):
        ratio = eigenvalues[:, -top:].sum(axis=1) / total
    return np.where(total > NO_VARIANCE, np.minimum(ratio, 1.0), np.nan)


def absorption_ratios(stretch: Stretch, book: Book, share: float) -> Float64:
    """Return the absorption ratio of each member of a stretch, NaN below two symbols.

    The T x T Gram matrix has the same non-zero eigenvalues as the covariance matrix: the smaller of the two is taken. Sessions with the
    same window and the same symbols share one.
    """
    out = np.full(stretch.members.size, np.nan)
    same: dict[tuple[int, bytes], list[int]] = {}
    for place, session in enumerate(stretch.members.tolist()):
        held = book.held(session)
        if held.size > 1:
            same.setdefault((int(stretch.window[place]), held.tobytes()), []).append(place)
    by_shape: dict[tuple[int, int], list[tuple[list[int], Float64]]] = {}
    for (window, codes), places in same.items():
        held = np.frombuffer(codes, np.int64)
        last, count = int(stretch.ends[window]), int(stretch.count[window])
        values = stretch.returns[last - count + 1 : last + 1][:, np.searchsorted(stretch.symbols, held)]
        values = values - values.mean(axis=0)
        product = values @ values.T if held.size > count else values.T @ values
        by_shape.setdefault((held.size, product.shape[0]), []).append((places, product))
    for (symbols, _), found in by_shape.items():
        ratios = absorption(np.linalg.eigvalsh(np.stack([product for _, product in found])), symbols, share)
        for (places, _), ratio in zip(found, ratios, strict=True):
            out[places] = ratio
    return out


@njit(cache=True)
def _distance(history: Any, today: Any) -> float:  # pragma: no cover - compiled
    """Return the squared Mahalanobis distance over its expectation; NaN where the covariance matrix is singular."""
    count, size = history.shape
    mean = np.zeros(size)
    for t in range(count):
        for j in range(size):
            mean[j] += history[t, j] / count
    factor = np.zeros((size, size))
    for t in range(count):
        for i in range(size):
            apart = history[t, i] - mean[i]
            for j in range(i + 1):
                factor[i, j] += apart * (history[t, j] - mean[j]) / (count - 1)
    moved = np.zeros(size)
    total = 0.0
    for i in range(size):
        diagonal = factor[i, i]
        moved[i] = today[i] - mean[i]
        for j in range(i):
            entry = factor[i, j]
            for k in range(j):
                entry -= factor[i, k] * factor[j, k]
            factor[i, j] = entry / factor[j, j]
            moved[i] -= factor[i, j] * moved[j]
            factor[i, i] -= factor[i, j] * factor[i, j]
        if factor[i, i] <= SMALLEST_PIVOT * diagonal:
            return np.nan
        factor[i, i] = np.sqrt(factor[i, i])
        moved[i] /= factor[i, i]
        total += moved[i] * moved[i]
    expected = size * (count + 1.0) * (count - 1.0) / (count * (count - size - 2.0))
    return float(total / expected)


def turbulence(history: Float64, today: Float64) -> tuple[float, int]:
    """Return how unusual a session's returns (n,) are given those strictly before it (T, n), and why not where NaN.

    A symbol that did not move in the history is left out.
    """
    moves = (history != history[0]).any(axis=0)
    history, today = history[:, moves], today[moves]
    if history.shape[0] < SESSIONS_A_SYMBOL * today.size:
        return np.nan, MANY_SYMBOLS
    if today.size == 0:
        return np.nan, SINGULAR
    value = float(_distance(np.ascontiguousarray(history), np.ascontiguousarray(today)))
    return value, SINGULAR if np.isnan(value) else FOUND


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
