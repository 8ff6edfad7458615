"""D8 Failure-mode recurrence: which kind of loss comes back more often than it used to.

What belongs here: statistics of one portfolio from its closed trades and labelled losses by session. A key is (failure mode,
template, regime, side). Its share is over the closed trades of the same template, regime and side: over all trades, a market that
is in one regime for long would read as a failure. The baseline is everything before the window, disjoint from it.

The test is the exact binomial tail of the window's cases at the baseline's rate, taken as ``(cases + 1) / (trades + 2)`` (the mean
of the posterior under a uniform prior, Laplace's rule): the raw share of a young baseline is often 0, at which any case at all has
probability 0. The reported share is the raw one. p-values are adjusted (Benjamini & Hochberg 1995) over all keys of the session,
those with a case in the window.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from numba import njit

from portfolio_platform.diagnostics.idle import summed, windowed
from portfolio_platform.evidence.intervals import binomial_tail, wilson
from portfolio_platform.ledger.inputs import factorize
from portfolio_platform.policy.diagnostics import FailurePolicy

Int64 = npt.NDArray[np.int64]
Float64 = npt.NDArray[np.float64]
Flags = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class Closed:
    """Closed trades, in a fixed order: session and stratum (template, regime and side, a code) of each."""

    session: Int64
    stratum: Int64


@dataclass(frozen=True)
class Losses:
    """Losing trades, in a fixed order: session, amount lost (positive, NaN unknown), key (-1 where no rule held), stratum, symbol."""

    session: Int64
    amount: Float64
    key: Int64
    stratum: Int64
    symbol: Int64


@dataclass(frozen=True)
class Members:
    """Sets of codes one after the other, sorted: set k is ``code[start[k]:start[k + 1]]``, and ``of_row`` names each row's."""

    start: Int64
    code: Int64
    of_row: Int64

    def __getitem__(self, row: int) -> tuple[int, ...]:
        """Return a row's set."""
        one = self.of_row[row]
        return tuple(self.code[self.start[one] : self.start[one + 1]].tolist())

    def __len__(self) -> int:
        """Return the number of rows."""
        return self.of_row.size


@dataclass(frozen=True)
class Recurrence:
    """Rows by session and key, sorted; NaN is null. ``members`` are the symbols with a case."""

    session: Int64
    key: Int64
    cases: Int64
    trades: Int64
    share: Float64
    share_low: Float64
    share_high: Float64
    baseline_cases: Int64
    baseline_trades: Int64
    baseline_share: Float64
    p_value: Float64
    p_adjusted: Float64
    loss_share: Float64
    symbols: Int64
    members: Members
    recurring: Flags


def tested_rate(cases: npt.ArrayLike, trades: npt.ArrayLike) -> Float64:
    """Return the baseline's rate that the window is tested against, NaN without a trade."""
    k, n = np.asarray(cases, np.float64), np.asarray(trades, np.float64)
    return np.where(n > 0.0, (k + 1.0) / (n + 2.0), np.nan)


def _counted(group: Int64, session: Int64, size: int) -> Int64:
    """Return events as sorted numbers, so that those of a group up to a session are found by bisection."""
    return np.sort(group * (size + 1) + session, kind="stable")


def _until(events: Int64, group: Int64, session: Int64, size: int) -> Int64:
    """Return how many events there are up to each (group, session), those of any group before it included.

    A session below 0 is before the group's first; taken as it is, it would name a session of the group before.
    """
    return np.searchsorted(events, group * (size + 1) + np.maximum(session, -1), side="right").astype(np.int64)


def _between(events: Int64, group: Int64, after: Int64, until: Int64, size: int) -> Int64:
    """Return how many events of a group lie in the sessions (after, until]; ``after`` below 0 is the start."""
    return _until(events, group, until, size) - _until(events, group, after, size)


def _rows(key: Int64, session: Int64, window: int, first: int, last: int) -> tuple[Int64, Int64]:
    """Return every (session, key) from ``first`` to ``last`` with a case in the window, sorted by both.

    ``key`` and ``session`` are the cases, sorted by both. Each case answers for the sessions up to the next of its key, so no
    session is named twice.
    """
    distinct = np.flatnonzero(np.diff(key * (last + 2) + session, append=-1) != 0)
    k, begin = key[distinct], session[distinct]
    following = np.where(np.append(k[1:], -1) == k, np.append(begin[1:], last + 1), last + 1)
    end = np.minimum(np.minimum(begin + window, following), last + 1)
    begin = np.maximum(begin, first)
    length = np.maximum(end - begin, 0)
    offset = np.arange(int(length.sum())) - np.repeat(np.cumsum(length) - length, length)
    rows_session, rows_key = np.repeat(begin, length) + offset, np.repeat(k, length)
    order = np.lexsort((rows_key, rows_session))
    return rows_session[order], rows_key[order]


@njit(cache=True)
def _look(  # pragma: no cover - compiled
    symbol: Int64, amount: Float64, begin: Int64, end: Int64, seen: Int64, start: Int64, lost: Float64, members: Int64
) -> None:
    """Write the distinct symbols of each range of cases one after the other, ``start`` on, and what the range lost, oldest first."""
    at = 0
    for row in range(begin.size):
        start[row] = at
        total = 0.0
        for case in range(begin[row], end[row]):
            total += amount[case]
            if seen[symbol[case]] != row:
                seen[symbol[case]] = row
                members[at] = symbol[case]
                at += 1
        members[start[row] : at].sort()
        lost[row] = total
    start[begin.size] = at


def _breadth(symbol: Int64, amount: Float64, low: Int64, high: Int64) -> tuple[Int64, Members, Float64]:
    """Return how many symbols the cases ``low:high`` of each row have, which, and what they lost; a range is looked at once.

    Each range is summed on its own: differences of running sums would change in their last digits with what came before.
    """
    place, ranges = factorize(low * (symbol.size + 1) + high)
    begin, end = np.divmod(ranges, symbol.size + 1)
    start, lost, members = np.empty(ranges.size + 1, np.int64), np.empty(ranges.size), np.empty(int((end - begin).sum()), np.int64)
    _look(symbol, amount, begin, end, np.full(int(symbol.max(initial=-1)) + 1, -1), start, lost, members)
    return np.diff(start)[place], Members(start, members[: start[-1]], place), lost[place]


@njit(cache=True)
def _adjust(session: Int64, p_values: Float64, out: Float64) -> None:  # pragma: no cover - compiled
    """Adjust p-values that ascend within each session; the factor of a rank is the tests of its session over it."""
    last = session.size
    while last > 0:
        first = last - 1
        while first > 0 and session[first - 1] == session[last - 1]:
            first -= 1
        least = 1.0
        for k in range(last - 1, first - 1, -1):
            least = min(least, p_values[k] * (last - first) / (k - first + 1))
            out[k] = least
        last = first


def adjusted(session: Int64, p_values: Float64) -> Float64:
    """Return p-values adjusted over the keys of each session (Benjamini & Hochberg 1995); NaN stays NaN and is no test."""
    out = np.full(p_values.size, np.nan)
    known = np.flatnonzero(np.isfinite(p_values))
    known = known[np.lexsort((p_values[known], session[known]))]
    found = np.empty(known.size)
    _adjust(session[known], p_values[known], found)
    out[known] = found
    return out


def recurrence(closed: Closed, losses: Losses, sessions: int, first: int, policy: FailurePolicy) -> Recurrence:
    """Return D8 for the sessions ``first`` to ``sessions - 1`` of a portfolio, from all its trades since session 0."""
    size, window = sessions, policy.window
    labelled = np.flatnonzero(losses.key >= 0)
    order = labelled[np.lexsort((losses.session[labelled], losses.key[labelled]))]
    key, when = losses.key[order], losses.session[order]
    session, row_key = _rows(key, when, window, first, size - 1)
    before = session - window
    events = key * (size + 1) + when
    high = _until(events, row_key, session, size)
    low = _until(events, row_key, before, size)
    cases = high - low
    begin = np.searchsorted(key, row_key)
    stratum_of = np.zeros(int(key.max(initial=-1)) + 1, np.int64)
    stratum_of[key] = losses.stratum[order]
    stratum, trips = stratum_of[row_key], _counted(closed.stratum, closed.session, size)
    trades = _between(trips, stratum, before, session, size)
    baseline_trades = _between(trips, stratum, np.full_like(before, -1), before, size)
    share_low, share_high = wilson(cases, trades)
    baseline_cases = low - begin
    p_value = binomial_tail(cases, trades, tested_rate(baseline_cases, baseline_trades))
    p_adjusted = adjusted(session, p_value)
    symbols, members, lost = _breadth(losses.symbol[order], np.nan_to_num(losses.amount[order]), low, high)
    all_lost = windowed(summed(losses.session, np.nan_to_num(losses.amount), size), window)[session]
    loss_share = np.where(all_lost > 0.0, lost / np.where(all_lost > 0.0, all_lost, 1.0), np.nan)
    with np.errstate(invalid="ignore"):
        broad = (symbols >= policy.minimum_symbols) | (loss_share >= policy.loss_share)
        recurring = (p_adjusted <= policy.false_discovery_rate) & (cases >= policy.minimum_cases) & broad
    return Recurrence(
        session=session,
        key=row_key,
        cases=cases,
        trades=trades,
        share=cases / np.maximum(trades, 1),
        share_low=share_low,
        share_high=share_high,
        baseline_cases=baseline_cases,
        baseline_trades=baseline_trades,
        baseline_share=np.where(baseline_trades > 0, baseline_cases / np.maximum(baseline_trades, 1), np.nan),
        p_value=p_value,
        p_adjusted=p_adjusted,
        loss_share=loss_share,
        symbols=symbols,
        members=members,
        recurring=recurring,
    )
