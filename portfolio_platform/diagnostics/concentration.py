"""D2 Concentration: how few things a portfolio's exposure rests on, by symbol, template, playbook, cohort, sector, strategy.

Shares ``p_g = A_g / sum(A)`` of gross exposure ``A = |x|``; ``HHI = sum(p^2)`` (Herfindahl 1950, Hirschman 1964);
effective number ``1 / HHI``; normalised ``(HHI - 1/N) / (1 - 1/N)``. Caps bind on exposure over equity, not on shares.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from numba import njit

Int64 = npt.NDArray[np.int64]
Float64 = npt.NDArray[np.float64]

DIMENSIONS = ("symbol", "template", "playbook", "cohort", "sector", "strategy")
HHI, NORMALISED, EFFECTIVE, CR1, CR3, COVERAGE, TOP_SHARE, TOP_EXPOSURE, WORST_CASE = range(9)
FIGURES = 9
OK, NO_EXPOSURE, STALE_MARK, MISSING_RATE = 0, 1, 2, 3
REASONS = ("", "no_exposure", "stale_mark", "missing_fx_rate")


@dataclass(frozen=True)
class Exposures:
    """Signed exposures in base currency, sorted by session; ``group`` has a code for each row and dimension.

    Shapes: value, stale (rows,); session (rows,) ascending; group (rows, dimensions). ``names`` lists each dimension's
    groups in name order, ``unclassified`` the code of the group without a class, -1 where there is none. Rows come in
    key order, so sums are taken in key order.
    """

    session: Int64
    value: Float64
    stale: npt.NDArray[np.bool_]
    group: Int64
    names: tuple[tuple[str, ...], ...]
    unclassified: tuple[int, ...]


@dataclass(frozen=True)
class Concentration:
    """Figures (sessions, dimensions, 9) with NaN for null; top group and number of groups; and the groups' rows."""

    figures: Float64
    top: Int64
    groups: Int64
    status: Int64
    group_session: Int64
    group_dimension: npt.NDArray[np.int8]
    group_code: Int64
    group_exposure: Float64
    group_net: Float64
    gross: Float64


@njit(cache=True)
def _figures(gross: Float64, total: float, unclassified: int, out: Float64) -> tuple[int, int]:  # pragma: no cover - compiled
    """Fill one session's figures of one dimension from gross exposure by group; return the top group and the count."""
    squares, first, second, third, used, top, classified = 0.0, 0.0, 0.0, 0.0, 0, -1, 0.0
    for g in range(gross.size):
        if gross[g] <= 0.0:
            continue
        used += 1
        share = gross[g] / total
        squares += share * share
        if g != unclassified and gross[g] > classified:
            classified = gross[g]
        if share > first:
            first, second, third, top = share, first, second, g
        elif share > second:
            second, third = share, second
        elif share > third:
            third = share
    unknown = gross[unclassified] if unclassified >= 0 else 0.0
    out[0] = squares
    out[1] = 1.0 if used == 1 else (squares - 1.0 / used) / (1.0 - 1.0 / used)
    out[2] = 1.0 / squares
    out[3] = first
    out[4] = first + second + third
    out[5] = 1.0 - unknown / total
    out[6] = first
    out[8] = (classified + unknown) / total
    return top, used


@njit(cache=True)
def _walk(
    start: Int64,
    value: Float64,
    stale: Any,
    group: Int64,
    sizes: Int64,
    unclassified: Int64,
    equity: Float64,
    figures: Float64,
    top: Int64,
    counts: Int64,
    status: Int64,
    total: Float64,
    dense: Float64,
    net: Float64,
    session: Int64,
    dimension: Any,
    code: Int64,
    exposure: Float64,
    net_exposure: Float64,
) -> int:  # pragma: no cover - compiled
    written = 0
    for s in range(start.size - 1):
        status[s] = 1 if start[s] == start[s + 1] else 0
        for i in range(start[s], start[s + 1]):
            total[s] += abs(value[i])
            if stale[i]:
                status[s] = max(status[s], 2)
            if np.isnan(value[i]):
                status[s] = 3
        if total[s] == 0.0:
            status[s] = max(status[s], 1)
        for d in range(sizes.size):
            dense[: sizes[d]] = 0.0
            net[: sizes[d]] = 0.0
            for i in range(start[s], start[s + 1]):
                dense[group[i, d]] += abs(value[i])
                net[group[i, d]] += value[i]
            for g in range(sizes[d]):
                if dense[g] != 0.0:
                    session[written], dimension[written], code[written] = s, d, g
                    exposure[written], net_exposure[written] = dense[g], net[g]
                    written += 1
            if status[s] == 0:
                top[s, d], counts[s, d] = _figures(dense[: sizes[d]], total[s], unclassified[d], figures[s, d])
                if equity[s] > 0.0:
                    figures[s, d, 7] = dense[top[s, d]] / equity[s]
    return written


def concentration(exposures: Exposures, equity: Float64) -> Concentration:
    """Return concentration of every session; ``equity`` has an entry for each session, NaN or <= 0 nulls what needs it.

    A stale mark or a missing rate makes the session's figures null; the status says which (`REASONS`).
    """
    sessions, dims = equity.size, len(exposures.names)
    start = np.searchsorted(exposures.session, np.arange(sessions + 1))
    sizes = np.array([max(len(names), 1) for names in exposures.names], dtype=np.int64)
    figures = np.full((sessions, dims, FIGURES), np.nan)
    top, counts = np.full((sessions, dims), -1, np.int64), np.zeros((sessions, dims), np.int64)
    status, total = np.zeros(sessions, np.int64), np.zeros(sessions)
    # a session has at most a group for each of its rows; what is not used of this is never touched
    most = min(exposures.value.size * dims, sessions * int(sizes.sum()))
    session, dimension, code = np.empty(most, np.int64), np.empty(most, np.int8), np.empty(most, np.int64)
    exposure, net = np.empty(most), np.empty(most)
    width = int(sizes.max())
    written = _walk(
        start,
        exposures.value,
        exposures.stale,
        exposures.group,
        sizes,
        np.array(exposures.unclassified, np.int64),
        equity,
        figures,
        top,
        counts,
        status,
        total,
        np.empty(width),
        np.empty(width),
        session,
        dimension,
        code,
        exposure,
        net,
    )
    return Concentration(
        figures, top, counts, status, session[:written], dimension[:written], code[:written], exposure[:written], net[:written], total
    )
