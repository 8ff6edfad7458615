"""Cells of D5: the fills of one symbol in one session, numbered and added up.

What belongs here: loops over fills. What is made of the sums is in `turnover`.
"""

import numpy as np
import numpy.typing as npt
from numba import njit

Int64 = npt.NDArray[np.int64]
Float64 = npt.NDArray[np.float64]
Flags = npt.NDArray[np.bool_]


def cells_of(symbol: Int64, session: Int64) -> tuple[Int64, Int64]:
    """Return the cell (symbol, session) of each fill, numbered in their order, and the first fill of each cell."""
    order, cell, first = (np.empty(symbol.size, np.int64) for _ in range(3))
    # by time they come by session, so that putting them together by symbol sorts them
    by_time = np.arange(symbol.size) if (session[1:] >= session[:-1]).all() else np.argsort(session, kind="stable")
    _by_symbol(symbol, by_time, np.zeros(int(symbol.max(initial=-1)) + 2, np.int64), order)
    return cell, first[: _number(symbol, session, order, cell, first)]


@njit(cache=True)
def _number(symbol: Int64, session: Int64, order: Int64, cell: Int64, first: Int64) -> int:  # pragma: no cover - compiled
    """Number the cells of fills in an order that puts each one's together; return how many there are."""
    at = -1
    for place in range(order.size):
        fill = order[place]
        if at < 0 or symbol[fill] != symbol[first[at]] or session[fill] != session[first[at]]:
            at += 1
            first[at] = fill
        cell[fill] = at
    return at + 1


@njit(cache=True)
def shared(order: Int64, parts: npt.NDArray[np.int8], split: Flags) -> None:  # pragma: no cover - compiled
    """Say which fills share their order with another one."""
    for number in order:
        if number >= 0 and parts[number] < 2:
            parts[number] += 1
    for fill in range(order.size):
        split[fill] = order[fill] >= 0 and parts[order[fill]] > 1


@njit(cache=True)
def _by_symbol(symbol: Int64, by_time: Int64, at: Int64, order: Int64) -> None:  # pragma: no cover - compiled
    """Put fills together by symbol, by counting; each symbol's stay as they come."""
    for s in symbol:
        at[s + 1] += 1
    for s in range(at.size - 1):
        at[s + 1] += at[s]
    for fill in by_time:
        order[at[symbol[fill]]] = fill
        at[symbol[fill]] += 1


@njit(cache=True)
def add(cell: Int64, value: Float64, fee: Float64, flip: Flags, amounts: Float64, counts: Int64) -> None:  # pragma: no cover - compiled
    """Add each fill to its cell: amounts bought, sold and paid in fees, fills and flips; NaN stays."""
    for fill in range(cell.size):
        at = cell[fill]
        # what is missing is missing on both sides
        amounts[0, at] += value[fill] if not value[fill] <= 0.0 else 0.0
        amounts[1, at] += -value[fill] if not value[fill] >= 0.0 else 0.0
        amounts[2, at] += fee[fill]
        counts[0, at] += 1
        counts[1, at] += flip[fill]
