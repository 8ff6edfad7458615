"""D3 of one session by the definitions: plain numpy, one matrix, no blocks, no sharing. What the tests hold the pass against."""

import math
from dataclasses import dataclass

import numpy as np

from portfolio_platform.diagnostics.correlation.returns import Book, Closes


@dataclass
class Plain:
    """A session's figures; NaN is null."""

    count: int
    matrix: np.ndarray
    shrunk: np.ndarray
    mean: float = math.nan
    weight: float = math.nan
    score: float = math.nan
    ratio: float = math.nan
    variance: float = math.nan
    heat: float = math.nan


def intensity(matrix: np.ndarray, count: int) -> tuple[float, float]:
    """Return lambda and the mean correlation by the formula, over the ordered pairs i != j."""
    off = ~np.eye(len(matrix), dtype=bool)
    r = matrix[off]
    mean = r.mean()
    spread = ((r - mean) ** 2).sum()
    if spread < 1e-22:
        return 1.0, float(mean)
    return min(1.0, float(((1 - r**2) ** 2 / (count - 1)).sum() / spread)), float(mean)


def window_of(closes: Closes, held: np.ndarray, day: int, window: int) -> np.ndarray:
    """Return the returns between the last common sessions up to a day."""
    rows = closes.log_close[: max(day - closes.first + 1, 0), held]
    return np.diff(rows[np.isfinite(rows).all(axis=1)], axis=0)[-window:]


def session(closes: Closes, book: Book, place: int, window: int = 60, minimum: int = 30) -> Plain:
    """Return a session's figures."""
    rows = slice(book.start[place], book.start[place + 1])
    held, net = book.symbol[rows], book.net[rows]
    returns = window_of(closes, held, int(book.day[place]), window)
    n, count = held.size, len(returns)
    if count < minimum:
        cohort = book.cohort[held]
        same = np.array([[1.0 if i == j or (cohort[i] >= 0 and cohort[i] == cohort[j]) else 0.0 for j in range(n)] for i in range(n)])
        found, sigma = Plain(count, same, same), np.ones(n)
    else:
        matrix = np.corrcoef(returns, rowvar=False).reshape(n, n)
        found, sigma = Plain(count, matrix, matrix.copy()), returns.std(axis=0)
        if n > 1:
            found.weight, found.mean = intensity(matrix, count)
            off = ~np.eye(n, dtype=bool)
            found.shrunk[off] = (1 - found.weight) * matrix[off] + found.weight * found.mean
    u = np.abs(net) * sigma
    if np.count_nonzero(u) > 1:
        u = u / u.sum()
        s = np.sign(net)
        top = bottom = total = 0.0
        for i in range(n):
            for j in range(n):
                c = 1.0 if i == j else found.shrunk[i, j]
                total += u[i] * u[j] * s[i] * s[j] * c
                if i != j:
                    top += u[i] * u[j] * max(0.0, s[i] * s[j] * c)
                    bottom += u[i] * u[j]
        found.score, found.variance, found.ratio = top / bottom, total, total / (u @ u)
    positions = [(i, 1, book.long_risk[rows][i]) for i in range(n)] + [(i, -1, book.short_risk[rows][i]) for i in range(n)]
    found.heat = sum(a * b * max(0.0, s * t * (1.0 if i == j else found.shrunk[i, j])) for i, s, a in positions for j, t, b in positions)
    return found


def buckets(matrix: np.ndarray, before: list[int], join: float = 0.7, leave: float = 0.6) -> list[list[int]]:
    """Return the buckets: yesterday's members linked among themselves at the leave level, then all at the join level."""

    def linked(groups: list[list[int]], cut: float, may: object = None) -> list[list[int]]:
        groups = [sorted(group) for group in groups]
        while True:
            best = None
            for a in range(len(groups)):
                for b in range(a + 1, len(groups)):
                    if may == "yesterday" and not (before[groups[a][0]] >= 0 and before[groups[a][0]] == before[groups[b][0]]):
                        continue
                    worst = min(matrix[i, j] for i in groups[a] for j in groups[b])
                    if worst >= cut and (best is None or worst > best[0]):
                        best = (worst, a, b)
            if best is None:
                return sorted(groups)
            merged = sorted(groups[best[1]] + groups[best[2]])
            groups = sorted([group for k, group in enumerate(groups) if k not in best[1:]] + [merged])

    return linked(linked([[k] for k in range(len(matrix))], leave, "yesterday"), join)
