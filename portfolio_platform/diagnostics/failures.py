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

from portfolio_platform.diagnostics.failure_windows import stretches
from portfolio_platform.diagnostics.idle import summed, windowed
from portfolio_platform.evidence.intervals import binomial_tail, wilson
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


def _breadth(symbol: Int64, amount: Float64, low: Int64, high: Int64) -> tuple[Int64, Int64, Float64]:
    """Return where the symbols of each range ``low:high`` of cases begin among those listed, these, and what the range lost.

    Each range is summed on its own: differences of running sums would change in their last digits with what came before.
    """
    start, lost, members = np.empty(low.size + 1, np.int64), np.empty(low.size), np.empty(int((high - low).sum()), np.int64)
    _look(symbol, amount, low, high, np.full(int(symbol.max(initial=-1)) + 1, -1), start, lost, members)
    return start, members[: start[-1]], lost


@njit(cache=True)
def _adjust(first: Int64, p_values: Float64, ordered: Float64, least: Float64, out: Float64) -> None:  # pragma: no cover - compiled
    """Adjust the p-values ``first[s]:first[s + 1]`` of each session; ``ordered`` has them as rows, ascending, NaN after them."""
    for s in range(first.size - 1):
        tests = 0
        while tests < ordered.shape[1] and not np.isnan(ordered[s, tests]):
            tests += 1
        smallest = 1.0
        for rank in range(tests, 0, -1):
            smallest = min(smallest, ordered[s, rank - 1] * tests / rank)
            least[rank - 1] = smallest
        for row in range(first[s], first[s + 1]):
            if np.isnan(p_values[row]):
                continue
            low, high = 0, tests
            while low < high:
                middle = (low + high) // 2
                if ordered[s, middle] < p_values[row]:
                    low = middle + 1
                else:
                    high = middle
            # of equal ones the first: they are adjusted alike
            out[row] = least[low]


def adjusted(session: Int64, p_values: Float64) -> Float64:
    """Return p-values adjusted over the keys of each session (Benjamini & Hochberg 1995); NaN stays NaN and is no test.

    ``session`` ascends. The factor of a rank is the tests of its session over it.
    """
    out = np.full(p_values.size, np.nan)
    opens = np.append(True, session[1:] != session[:-1])[: session.size]
    first = np.append(np.flatnonzero(opens), session.size)
    width = int(np.diff(first).max(initial=0))
    ordered = np.full((first.size - 1, width), np.nan)
    row = np.cumsum(opens) - 1
    ordered[row, np.arange(session.size) - first[row]] = p_values
    ordered.sort(axis=1)
    _adjust(first, p_values, ordered, np.empty(width), out)
    return out


def recurrence(closed: Closed, losses: Losses, sessions: int, first: int, policy: FailurePolicy) -> Recurrence:
    """Return D8 for the sessions ``first`` to ``sessions - 1`` of a portfolio, from all its trades since session 0."""
    labelled = np.flatnonzero(losses.key >= 0)
    order = labelled[np.argsort(losses.key[labelled] * (sessions + 1) + losses.session[labelled], kind="stable")]
    key = losses.key[order]
    stratum = np.zeros(int(key.max(initial=-1)) + 1, np.int64)
    stratum[key] = losses.stratum[order]
    trips = np.divmod(np.sort(closed.stratum * (sessions + 1) + closed.session), sessions + 1)
    found = stretches(key, losses.session[order], stratum, trips, policy.window, first, sessions)
    cases, trades, baseline_cases, baseline_trades = found.counts
    share_low, share_high = wilson(cases, trades)
    p_value = binomial_tail(cases, trades, tested_rate(baseline_cases, baseline_trades))
    start, symbol, lost = _breadth(losses.symbol[order], np.nan_to_num(losses.amount[order]), found.low, found.high)
    session, of_row, span = found.session, found.stretch, found.span[found.stretch]
    p_adjusted, symbols = adjusted(session, p_value[of_row]), np.diff(start)[span]
    all_lost = windowed(summed(losses.session, np.nan_to_num(losses.amount), sessions), policy.window)[session]
    loss_share = np.where(all_lost > 0.0, lost[span] / np.where(all_lost > 0.0, all_lost, 1.0), np.nan)
    with np.errstate(invalid="ignore"):
        broad = (symbols >= policy.minimum_symbols) | (loss_share >= policy.loss_share)
        recurring = (p_adjusted <= policy.false_discovery_rate) & (cases[of_row] >= policy.minimum_cases) & broad
    return Recurrence(
        session=session,
        key=found.key,
        cases=cases[of_row],
        trades=trades[of_row],
        share=(cases / np.maximum(trades, 1))[of_row],
        share_low=share_low[of_row],
        share_high=share_high[of_row],
        baseline_cases=baseline_cases[of_row],
        baseline_trades=baseline_trades[of_row],
        baseline_share=np.where(baseline_trades > 0, baseline_cases / np.maximum(baseline_trades, 1), np.nan)[of_row],
        p_value=p_value[of_row],
        p_adjusted=p_adjusted,
        loss_share=loss_share,
        symbols=symbols,
        members=Members(start, symbol, span),
        recurring=recurring,
    )
