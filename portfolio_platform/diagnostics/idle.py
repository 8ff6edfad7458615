"""D7 Idle capital against opportunity: how much of the risk budget lies unused, what could have used it, and what was refused.

What belongs here: the figures of one portfolio from arrays by session. Sessions without a budget (a cap of 0, or a drawdown
regime that allows no new position) are left out, with the setups that came in them. A setup is judged by its signals inside the
window, by what is known at the end of the session: filled before missed for capacity, before blocked, before not taken; one that
is still valid and has no answer yet is none of these.

Little's law (Little 1961), ``L = lambda W``: setups a session times the sessions' closes a trade is held over is how many trades
would be open if every setup were taken; times the mean risk of a trade it is the risk in use. Sessions are observed at their
close, so a trade counts with the closes it was open at: one closed, those from its opening up to the session before its
closing; one still open, those so far.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from numba import njit

from portfolio_platform.evidence.intervals import wilson
from portfolio_platform.policy.diagnostics import IdlePolicy

Int64 = npt.NDArray[np.int64]
Float64 = npt.NDArray[np.float64]
Flags = npt.NDArray[np.bool_]
NEVER = np.iinfo(np.int64).max
NO_REASON, BLOCKED, CAPACITY = 0, 2, 3
PENDING, NOT_TAKEN, FILLED = 0, 1, 4
LEVELS = 5


@dataclass(frozen=True)
class Sessions:
    """A portfolio's sessions, shape (n,): NaN is null. ``allowed``: the drawdown regime allows new positions."""

    heat: Float64
    cap: Float64
    equity: Float64
    cash: Float64
    reserved: Float64
    short_exposure: Float64
    gross_exposure_pct: Float64
    allowed: Flags

    @property
    def counted(self) -> Flags:
        """Return which sessions are observations of the budget's use."""
        with np.errstate(invalid="ignore"):
            return (self.cap > 0.0) & np.isfinite(self.heat) & (self.equity > 0.0) & self.allowed

    @property
    def unused(self) -> Float64:
        """Return the unused share of the cap, 0 where a session is no observation."""
        with np.errstate(divide="ignore", invalid="ignore"):
            return np.where(self.counted, np.maximum(0.0, 1.0 - self.heat / self.cap), 0.0)


@dataclass(frozen=True)
class Setups:
    """Qualified signals by session, shape (signals,), sorted by session.

    ``setup`` is the code of the signal's setup. ``filled``, ``answered`` and ``expired`` are the sessions in which its first
    fill, the allocator's answer and the end of its validity are known (`NEVER` where they are not); ``reason`` is known with the
    signal, ``answer`` from ``answered`` on: `NO_REASON`, `BLOCKED` or `CAPACITY`.
    """

    session: Int64
    setup: Int64
    filled: Int64
    reason: Int64
    answered: Int64
    answer: Int64
    expired: Int64


@dataclass(frozen=True)
class Trades:
    """Round trips by the sessions of their opening and closing; one still open is closed at `NEVER`. Openings may be negative."""

    opened: Int64
    closed: Int64


@dataclass(frozen=True)
class Requests:
    """The allocator's answers by session: rejected or not, and the risk granted (NaN where none was)."""

    session: Int64
    rejected: Flags
    risk: Float64


@dataclass(frozen=True)
class Idle:
    """Figures by session, shape (n,): NaN is null; their meaning is that of `idle_capital`."""

    idle: Float64
    idle_cash_pct: Float64
    mean_gross_exposure: Float64
    sessions: Int64
    setups: Int64
    missed: Int64
    blocked: Int64
    not_taken: Int64
    opportunity_rate: Float64
    missed_rate: Float64
    missed_low: Float64
    missed_high: Float64
    mean_hold: Float64
    mean_risk: Float64
    feasible_use: Float64
    intents: Int64
    rejected: Int64
    rejection_rate: Float64
    rejection_low: Float64
    rejection_high: Float64
    intents_baseline: Int64
    rejection_baseline: Float64
    rejection_excess: Float64


def windowed(values: Float64, window: int) -> Float64:
    """Return the sum of the last ``window`` values at each place, added in order from the oldest, so that no cut changes it."""
    padded = np.concatenate((np.zeros(window - 1), values))
    rows = np.lib.stride_tricks.sliding_window_view(padded, window)
    total = np.zeros(values.size)
    for place in range(window):
        total += rows[:, place]
    return total


def full_mean(values: Float64, window: int) -> Float64:
    """Return the mean of the last ``window`` values at each place; NaN where one of them is unknown or there are not so many."""
    known = windowed(np.isfinite(values).astype(np.float64), window)
    total = windowed(np.where(np.isfinite(values), values, 0.0), window)
    return np.where(known == window, total / window, np.nan)


def summed(session: Int64, values: npt.ArrayLike, size: int) -> Float64:
    """Return the sum of the values of each session, added in the order given."""
    return np.asarray(np.bincount(session, weights=values, minlength=size)[:size], np.float64)


def windowed_count(session: Int64, size: int, window: int, lag: int = 0) -> Int64:
    """Return how many events fall into the ``window`` sessions that end ``lag`` sessions before each."""
    running = np.concatenate(([0], np.cumsum(np.bincount(session, minlength=size)[:size])))
    last = np.maximum(np.arange(1, size + 1) - lag, 0)
    counts: Int64 = running[last] - running[np.maximum(last - window, 0)]
    return counts


@njit(cache=True)
def _levels(
    start: Int64,
    counted: Flags,
    setup: Int64,
    filled: Int64,
    reason: Int64,
    answered: Int64,
    answer: Int64,
    expired: Int64,
    window: int,
    level: Int64,
    stamp: Int64,
    out: Int64,
) -> None:  # pragma: no cover - compiled
    """Count each session's distinct setups by level; a setup has the highest of its signals' in the window."""
    for s in range(counted.size):
        for day in range(max(0, s - window + 1), s + 1):
            if not counted[day]:
                continue
            for i in range(start[day], start[day + 1]):
                now = 4 if filled[i] <= s else reason[i]
                if now < 4 and answered[i] <= s:
                    now = max(now, answer[i])
                if now == 0 and expired[i] <= s:
                    now = 1
                g = setup[i]
                if stamp[g] != s:
                    stamp[g] = s
                    level[g] = now
                    out[s, now] += 1
                elif now > level[g]:
                    out[s, level[g]] -= 1
                    out[s, now] += 1
                    level[g] = now


def setup_levels(setups: Setups, counted: Flags, window: int) -> Int64:
    """Return distinct setups by session and level (pending, not taken, blocked, missed for capacity, filled), shape (n, 5)."""
    out = np.zeros((counted.size, LEVELS), np.int64)
    start = np.searchsorted(setups.session, np.arange(counted.size + 1))
    size = int(setups.setup.max(initial=-1)) + 1
    _levels(
        start,
        counted,
        setups.setup,
        setups.filled,
        setups.reason,
        setups.answered,
        setups.answer,
        setups.expired,
        window,
        np.zeros(size, np.int64),
        np.full(size, -1, np.int64),
        out,
    )
    return out


def mean_hold(trades: Trades, size: int, window: int) -> Float64:
    """Return the mean number of closes that trades were held over: those closed in the window and those open at its end."""
    known = (trades.opened < size) & (trades.closed >= 0)
    opened, closed = trades.opened[known], trades.closed[known]
    done = closed < size
    held = summed(closed[done], (closed - opened)[done], size)
    closings = windowed_count(closed[done], size, window)
    first, last = np.maximum(opened, 0), np.minimum(closed, size)
    is_open = np.cumsum(np.bincount(first, minlength=size + 1) - np.bincount(last, minlength=size + 1))[:size]
    opening = np.cumsum(np.bincount(first, opened, size + 1) - np.bincount(last, opened, size + 1))[:size]
    ages = is_open * (np.arange(size) + 1.0) - opening
    count = closings + is_open
    return _over(windowed(held, window) + ages, count.astype(np.float64))


def _over(value: Float64, by: Float64) -> Float64:
    """Return a quotient, NaN where there is nothing to divide by."""
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where(by > 0.0, value / by, np.nan)


def _idle_cash(given: Sessions, buffer: float) -> Float64:
    """Return cash over equity beyond the buffer, reservations, and what the open short positions would cost to buy back."""
    equity = np.where(given.equity > 0.0, given.equity, np.nan)
    spare = given.cash - buffer * equity - given.reserved - given.short_exposure
    return np.asarray(np.maximum(0.0, spare) / equity, np.float64)


def idle_capital(
    given: Sessions, setups: Setups, trades: Trades, requests: Requests, policy: IdlePolicy, baseline_minimum: int = 1
) -> Idle:
    """Return D7 for every session of a portfolio.

    ``baseline_minimum``: answers that the rejections' baseline needs before anything is called an excess over it.
    """
    size, counted = given.cap.size, given.counted
    sessions = windowed_count(np.flatnonzero(counted), size, policy.window)
    some = sessions.astype(np.float64)
    budget = _over(windowed(np.where(counted, given.cap * given.equity, 0.0), policy.window), some)
    levels = setup_levels(setups, counted, policy.window)
    count = np.where(sessions > 0, levels.sum(axis=1), 0)
    rate = _over(count.astype(np.float64), some)
    missed_low, missed_high = wilson(levels[:, CAPACITY], count)
    # how long and at what risk a trade is held is asked of more sessions: the window alone would measure the squeeze itself
    hold, risk = mean_hold(trades, size, policy.trade_window), mean_risk(requests, size, policy.trade_window)
    rejected, intents = requests.session[requests.rejected], requests.session
    n, k = (windowed_count(events, size, policy.rejection_window) for events in (intents, rejected))
    lag, before = policy.rejection_window, policy.rejection_baseline
    n_before, k_before = (windowed_count(events, size, before, lag) for events in (intents, rejected))
    low, high = wilson(k, n)
    baseline = _over(k_before.astype(np.float64), n_before.astype(np.float64))
    return Idle(
        idle=_over(windowed(given.unused, policy.window), some),
        idle_cash_pct=_idle_cash(given, policy.cash_buffer),
        mean_gross_exposure=full_mean(given.gross_exposure_pct, policy.exposure_window),
        sessions=sessions,
        setups=count,
        missed=levels[:, CAPACITY],
        blocked=levels[:, BLOCKED],
        not_taken=levels[:, NOT_TAKEN],
        opportunity_rate=rate,
        missed_rate=_over(levels[:, CAPACITY].astype(np.float64), count.astype(np.float64)),
        missed_low=missed_low,
        missed_high=missed_high,
        mean_hold=hold,
        mean_risk=risk,
        feasible_use=np.where(count > 0, np.minimum(1.0, rate * hold * risk / budget), np.where(sessions > 0, 0.0, np.nan)),
        intents=n,
        rejected=k,
        rejection_rate=_over(k.astype(np.float64), n.astype(np.float64)),
        rejection_low=low,
        rejection_high=high,
        intents_baseline=n_before,
        rejection_baseline=baseline,
        rejection_excess=np.where(n_before >= baseline_minimum, low - baseline, np.nan),
    )


def mean_risk(requests: Requests, size: int, window: int) -> Float64:
    """Return the mean risk granted to a trade over the window; refusals are none."""
    granted = (~requests.rejected) & (requests.risk > 0.0)
    session, risk = requests.session[granted], requests.risk[granted]
    total = windowed(summed(session, risk, size), window)
    return _over(total, windowed_count(session, size, window).astype(np.float64))
