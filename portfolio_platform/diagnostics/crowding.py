"""Crowding: how many strategies are on one side of a symbol or of a template. Two that agree are one idea held twice."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from numba import njit

Int64 = npt.NDArray[np.int64]
Float64 = npt.NDArray[np.float64]

SHORT, LONG = 0, 1
SIDES = ("short", "long")
LEAST = 2


@dataclass(frozen=True)
class Holdings:
    """Open lots: session, group, side and strategy as codes, and absolute exposure in base currency (NaN without a rate).

    Shapes (rows,), sorted by session and in key order within it, because sums are taken in that order. ``group`` is -1
    where the lot belongs to none.
    """

    session: Int64
    group: Int64
    side: Int64
    strategy: Int64
    exposure: Float64


@dataclass(frozen=True)
class Crowds:
    """Groups with two strategies or more on one side, sorted by session, group and side.

    ``members`` lists each distinct set of strategies as their codes, ascending; ``crowd`` is each row's place in it.
    """

    session: Int64
    group: Int64
    side: Int64
    strategies: Int64
    exposure: Float64
    crowd: Int64
    members: tuple[tuple[int, ...], ...]


@njit(cache=True)
def _walk(
    session: Int64,
    group: Int64,
    side: Int64,
    strategy: Int64,
    exposure: Float64,
    total: Float64,
    held_by: Int64,
    last: Int64,
    found: Int64,
    found_exposure: Float64,
    member: Int64,
) -> int:  # pragma: no cover - compiled
    """Fill the crowds of each session in order, and the members of each one after another; return how many crowds."""
    written, members, begin = 0, 0, 0
    while begin < session.size:
        end = begin
        while end < session.size and session[end] == session[begin]:
            end += 1
        total[:], held_by[:] = 0.0, 0
        for i in range(begin, end):
            place = group[i] * 2 + side[i]
            if group[i] >= 0:
                total[place] += exposure[i]
                held_by[place] += last[place, strategy[i]] != session[begin]
                last[place, strategy[i]] = session[begin]
        for place in range(total.size):
            if held_by[place] < LEAST:
                continue
            found[written, 0], found[written, 1], found[written, 2] = session[begin], place // 2, place % 2
            found[written, 3], found[written, 4] = held_by[place], members
            found_exposure[written] = total[place]
            written += 1
            for k in range(last.shape[1]):
                if last[place, k] == session[begin]:
                    member[members] = k
                    members += 1
        begin = end
    return written


def crowds(held: Holdings, strategies: int) -> Crowds:
    """Return where at least two of ``strategies`` hold one side of a group in one session, with their exposure there.

    A strategy that holds both sides of a template counts on both. Exposure is NaN where any of its lots has none.
    """
    rows, places = held.session.size, 2 * (int(held.group.max(initial=0)) + 1)
    found, exposure, member = np.empty((rows, 5), np.int64), np.empty(rows), np.zeros(rows, np.int64)
    total, held_by, last = np.empty(places), np.empty(places, np.int64), np.full((places, max(strategies, 1)), -1, np.int64)
    written = _walk(held.session, held.group, held.side, held.strategy, held.exposure, total, held_by, last, found, exposure, member)
    session, group, side, count, first = np.ascontiguousarray(found[:written].T)
    crowd, members = _sets(member, first, count)
    return Crowds(session, group, side, count, exposure[:written], crowd, members)


def _sets(member: Int64, first: Int64, count: Int64) -> tuple[Int64, tuple[tuple[int, ...], ...]]:
    """Return the distinct runs ``member[first:first + count]`` and which of them each is, one member at a time for all at once."""
    crowd, wide = np.zeros(first.size, np.int64), int(member.max(initial=0)) if first.size else 0
    found: list[tuple[int, ...]] = [()] if first.size else []
    for place in range(int(count.max(initial=0))):
        inside = place < count
        following = np.full(first.size, -1, np.int64)
        following[inside] = member[first[inside] + place]
        pairs, crowd = np.unique(crowd * (wide + 2) + following + 1, return_inverse=True)
        found = [
            found[before] if code == 0 else (*found[before], code - 1)
            for before, code in (divmod(pair, wide + 2) for pair in pairs.tolist())
        ]
    return crowd, tuple(found)


def member_names(found: Crowds, names: Sequence[str]) -> list[str]:
    """Return each distinct set of strategies by name, sorted, joined by a comma and a space."""
    return [", ".join(sorted(names[code] for code in codes)) for codes in found.members]
