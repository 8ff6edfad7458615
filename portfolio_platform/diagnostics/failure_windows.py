"""Windows of D8: the cases and trades of each key in the sessions in which it has a case, and in all before them.

What belongs here: counting. From a session to the next the counts of a key seldom change, so they are listed once for as long as
they last (a stretch); what is concluded from them, once for each stretch too, is in `failures`.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from numba import njit

Int64 = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Stretches:
    """Rows by session and key, sorted, each with its stretch; the counts of the stretches; and the distinct ranges of cases.

    Attributes:
        session, key, stretch: of each row.
        counts: (4, stretches): cases and trades of the window, cases and trades of all before it.
        span: which range of cases each stretch has.
        low, high: the ranges, as places among the cases.
    """

    session: Int64
    key: Int64
    stretch: Int64
    counts: Int64
    span: Int64
    low: Int64
    high: Int64


def stretches(key: Int64, session: Int64, stratum: Int64, trips: tuple[Int64, Int64], window: int, first: int, size: int) -> Stretches:
    """Return every (session, key) from ``first`` to ``size - 1`` with a case in the window of ``window`` sessions, and its counts.

    ``key`` and ``session`` are the cases, sorted by both; ``stratum`` is that of each key, by code; ``trips`` are stratum and
    session of the closed trades, sorted by both.
    """
    at = np.zeros(size + 1, np.int64)
    _count(key, session, window, first, at)
    rows = int(at[-1])
    out, counts, spans = np.empty((3, rows), np.int64), np.empty((4, rows), np.int64), np.empty((3, rows), np.int64)
    begin = np.searchsorted(trips[0], np.arange(int(stratum.max(initial=-1)) + 2))
    used, ranges = _walk(key, session, stratum, trips[1], begin, window, first, at, out, counts, spans)
    return Stretches(out[0], out[1], out[2], counts[:, :used], spans[0, :used], spans[1, :ranges], spans[2, :ranges])


@njit(cache=True)
def _lasting(
    case: int, key: Int64, session: Int64, window: int, first: int, size: int
) -> tuple[int, int, int]:  # pragma: no cover - compiled
    """Return the next case of another session or key, and the sessions, first and one past the last, that this one answers for."""
    following = case + 1
    while following < key.size and key[following] == key[case] and session[following] == session[case]:
        following += 1
    until = min(session[case] + window, size)
    if following < key.size and key[following] == key[case]:
        until = min(until, session[following])
    return following, max(session[case], first), until


@njit(cache=True)
def _count(key: Int64, session: Int64, window: int, first: int, at: Int64) -> None:  # pragma: no cover - compiled
    """Count the rows of each session into ``at``, one place on, and add them up: where each session's rows begin."""
    size = at.size - 1
    case = 0
    while case < key.size:
        case, begin, until = _lasting(case, key, session, window, first, size)
        for s in range(begin, until):
            at[s + 1] += 1
    for s in range(size):
        at[s + 1] += at[s]


@njit(cache=True)
def _walk(
    key: Int64,
    session: Int64,
    stratum: Int64,
    closed: Int64,
    begin: Int64,
    window: int,
    first: int,
    at: Int64,
    out: Int64,
    counts: Int64,
    spans: Int64,
) -> tuple[int, int]:  # pragma: no cover - compiled
    """Fill rows (session, key, stretch), the stretches' counts and ranges; keys ascend, and so they do in each session."""
    stretch, span, low, opening, newest, oldest, case = -1, -1, 0, 0, 0, 0, 0
    while case < key.size:
        if case == 0 or key[case] != key[case - 1]:
            opening = low = case
            newest = oldest = begin[stratum[key[case]]]
        start, end = begin[stratum[key[case]]], begin[stratum[key[case]] + 1]
        mine = key[case]
        case, since, until = _lasting(case, key, session, window, first, at.size - 1)
        fresh = True
        for s in range(since, until):
            moved = fresh
            while session[low] <= s - window:
                low += 1
                moved = True
            if moved:
                span += 1
                spans[1, span], spans[2, span] = low, case
            while newest < end and closed[newest] <= s:
                newest += 1
                moved = True
            while oldest < end and closed[oldest] <= s - window:
                oldest += 1
                moved = True
            if moved:
                stretch += 1
                spans[0, stretch] = span
                counts[0, stretch], counts[1, stretch] = case - low, newest - oldest
                counts[2, stretch], counts[3, stretch] = low - opening, oldest - start
            fresh = False
            row = at[s]
            at[s] += 1
            out[0, row], out[1, row], out[2, row] = s, mine, stretch
    return stretch + 1, span + 1
