"""Buckets of symbols that move together: complete linkage of ``sqrt((1 - C) / 2)`` with a cut, and memory of the day before, compiled.

A bucket forms where every pair in it is at the join level or above (single linkage would chain), and stays while every pair
in it is at the leave level or above: the members that yesterday's bucket still has are linked among themselves at the
leave level first, then everything at the join level. The distance falls as the correlation rises, so correlations are
compared. Of equal pairs the first by symbol goes first. Only pairs at a level can share a bucket, so the search is
inside the connected components of those pairs, and where all of a component's pairs agree, it is one bucket at once.
"""

from typing import Any

import numpy as np
import numpy.typing as npt
from numba import njit

Int64 = npt.NDArray[np.int64]
Float64 = npt.NDArray[np.float64]

APART = -2.0  # below every correlation: never linked


@njit(cache=True)
def _root(parent: Any, item: int) -> int:  # pragma: no cover - compiled
    while parent[item] != item:
        parent[item] = parent[parent[item]]
        item = parent[item]
    return item


@njit(cache=True)
def _nearest(near: Any, alive: Any, size: int, a: int) -> int:  # pragma: no cover - compiled
    """Return the later cluster most like ``a``, the first of equals; -1 where none is left."""
    best = -1
    for b in range(a + 1, size):
        if alive[b] and (best < 0 or near[a, b] > near[a, best]):
            best = b
    return best


@njit(cache=True)
def link(near: Any, size: int, cut: float, group: Any) -> None:  # pragma: no cover - compiled
    """Merge clusters by complete linkage while the most alike are at the cut; ``group`` gets each one's cluster, its first member.

    ``near`` (size, size), symmetric, is the similarity of clusters, and is changed.
    """
    alive, nearest = np.ones(size, np.bool_), np.empty(size, np.int64)
    for a in range(size):
        group[a] = a
        nearest[a] = _nearest(near, alive, size, a)
    while True:
        first = -1
        for a in range(size):
            if alive[a] and nearest[a] >= 0 and (first < 0 or near[a, nearest[a]] > near[first, nearest[first]]):
                first = a
        if first < 0 or near[first, nearest[first]] < cut:
            return
        second = nearest[first]
        alive[second] = False
        for k in range(size):
            if group[k] == second:
                group[k] = first
            if alive[k] and k != first:
                near[first, k] = near[k, first] = min(near[first, k], near[second, k])
        for a in range(second):
            if alive[a] and (a == first or nearest[a] == first or nearest[a] == second):
                nearest[a] = _nearest(near, alive, size, a)


@njit(cache=True)
def partition(matrix: Any, before: Any, join: float, leave: float, group: Any) -> None:  # pragma: no cover - compiled
    """Fill each symbol's bucket, its first member, given the matrix and yesterday's buckets (-1 for none)."""
    size = before.size
    near, kept = np.empty((size, size)), np.empty(size, np.int64)
    for a in range(size):
        for b in range(size):
            near[a, b] = matrix[a, b] if before[a] >= 0 and before[a] == before[b] else APART
    link(near, size, leave, kept)
    for a in range(size):
        for b in range(size):
            near[a, b] = matrix[a, b]
    for a in range(size):
        if kept[a] != a:
            for b in range(size):
                near[kept[a], b] = near[b, kept[a]] = min(near[kept[a], b], near[a, b])
    for a in range(size):
        if kept[a] != a:
            for b in range(size):
                near[a, b] = near[b, a] = APART
    link(near, size, join, group)
    for a in range(size):
        group[a] = group[kept[a]]


@njit(cache=True)
def _component(
    matrix: Any, members: Any, before: Any, join: float, leave: float, group: Any, tight: Any
) -> None:  # pragma: no cover - compiled
    """Set the buckets of one connected component: ``members`` ascending, ``matrix`` theirs; the first member names a bucket."""
    size = members.size
    lowest = 1.0
    for a in range(size):
        for b in range(a + 1, size):
            lowest = min(lowest, matrix[a, b])
    if lowest >= join:
        for a in range(size):
            group[members[a]] = members[0]
        tight[members[0]] = lowest
        return
    own, found = np.empty(size, np.int64), np.empty(size, np.int64)
    for a in range(size):
        own[a] = before[members[a]]
    partition(matrix, own, join, leave, found)
    for a in range(size):
        head = members[found[a]]
        group[members[a]] = head
        for b in range(a + 1, size):
            if found[b] == found[a]:
                tight[head] = matrix[a, b] if np.isnan(tight[head]) else min(tight[head], matrix[a, b])


@njit(cache=True)
def _components(one: Any, two: Any, comp: Any, held: int, sizes: Any) -> None:  # pragma: no cover - compiled
    """Fill each symbol's component, its first member, from the linked pairs, and how many each has."""
    for a in range(held):
        comp[a], sizes[a] = a, 0
    for e in range(one.size):
        left, right = _root(comp, one[e]), _root(comp, two[e])
        comp[max(left, right)] = min(left, right)
    for a in range(held):
        comp[a] = _root(comp, a)
        sizes[comp[a]] += 1


@njit(cache=True)
def _linked(
    table: Any, local: Any, size: int, before: Any, shrunk: tuple[float, float], levels: tuple[float, float], one: Any, two: Any
) -> int:  # pragma: no cover - compiled
    """Put down the pairs that may share a bucket: at the join level, or at the leave level and together before; return how many."""
    keep, target = shrunk
    join, leave = levels
    edges = 0
    for a in range(local.size - 1):
        base = local[a] * (2 * size - local[a] - 1) // 2 - local[a] - 1
        for b in range(a + 1, local.size):
            rho = keep * table[base + local[b]] + target
            if rho >= leave and (rho >= join or (before[a] >= 0 and before[a] == before[b])):
                one[edges], two[edges] = a, b
                edges += 1
    return edges


@njit(cache=True)
def _square(table: Any, place: Any, size: int, keep: float, target: float, out: Any) -> None:  # pragma: no cover - compiled
    """Fill the shrunk correlations of the symbols at these places."""
    for a in range(place.size):
        base = place[a] * (2 * size - place[a] - 1) // 2 - place[a] - 1
        for b in range(a + 1, place.size):
            out[a, b] = out[b, a] = keep * table[base + place[b]] + target


@njit(cache=True)
def _session(
    table: Any, local: Any, size: int, before: Any, shrunk: tuple[float, float], levels: tuple[float, float], group: Any, tight: Any
) -> None:  # pragma: no cover - compiled
    """Fill the buckets of the symbols at these places (those that move), and their tightness at their first."""
    held = local.size
    for a in range(held):
        group[a], tight[a] = a, np.nan
    one, two = np.empty(held * (held - 1) // 2, np.int64), np.empty(held * (held - 1) // 2, np.int64)
    edges = _linked(table, local, size, before, shrunk, levels, one, two)
    if edges == 0:
        return
    comp, sizes, joined = np.empty(held, np.int64), np.empty(held, np.int64), np.empty(held, np.int64)
    _components(one[:edges], two[:edges], comp, held, sizes)
    for head in range(held):
        if comp[head] != head or sizes[head] < 2:
            continue
        count = 0
        for a in range(head, held):
            if comp[a] == head:
                joined[count] = a
                count += 1
        members = joined[:count]
        square = np.empty((count, count))
        _square(table, local[members], size, shrunk[0], shrunk[1], square)
        _component(square, members, before, levels[0], levels[1], group, tight)


@njit(cache=True)
def bucket_sessions(
    members: Int64,
    start: Int64,
    symbol: Int64,
    place_of: Int64,
    window: Int64,
    scale: Float64,
    table: Any,
    shrinkage: Float64,
    mean: Float64,
    levels: tuple[float, float],
    memory: Int64,
    bucket: Int64,
    tightness: Float64,
) -> None:  # pragma: no cover - compiled
    """Fill each row's bucket, the code of its first symbol, for consecutive sessions of one portfolio, and the buckets' tightness.

    ``memory`` (all symbols) is yesterday's bucket of each symbol, -1 for none, and is brought up to the last session.
    ``tightness``, a bucket's smallest correlation, stands at the row of its first symbol. ``levels`` are join and leave. A
    symbol that does not move stands alone: the target of the shrinkage is no correlation of its own.
    """
    size = scale.shape[1]
    for m in range(members.size):
        k, rows = window[m], np.arange(start[members[m]], start[members[m] + 1])
        place = place_of[symbol[rows]]
        moves = np.empty(rows.size, np.bool_)
        for a in range(rows.size):
            moves[a] = scale[k, place[a]] > 0.0
            bucket[rows[a]], tightness[rows[a]] = symbol[rows[a]], np.nan
        rows, place = rows[moves], place[moves]
        group, tight = np.empty(rows.size, np.int64), np.empty(rows.size)
        shrunk = (1.0 - shrinkage[m], shrinkage[m] * mean[m])
        _session(table[k], place, size, memory[symbol[rows]], shrunk, levels, group, tight)
        for a in range(rows.size):
            bucket[rows[a]], tightness[rows[a]] = symbol[rows[group[a]]], tight[a]
        memory[:] = -1
        for row in range(start[members[m]], start[members[m] + 1]):
            memory[symbol[row]] = bucket[row]
