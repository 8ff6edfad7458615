"""Net asset value and the flow-neutral unit value of a portfolio, session by session.

The unit value is time-weighted: a flow changes the number of units, never their value.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

import numpy as np

from portfolio_platform.ledger.fixed_point import Float64, Int64

FlowTiming = Literal["start", "end", "modified_dietz"]
WINDOW = 60
SMALLEST_BASE = 0.10


@dataclass(frozen=True)
class History:
    """What a portfolio's series goes on from: its last equity and unit value, and its returns so far."""

    equity: float = 0.0
    unit_value: float = 1.0
    sessions: int = 0
    returns: Sequence[float] = ()
    flows: Mapping[str, float] = field(default_factory=dict)  # cumulative, by currency, at the last session that had a value
    waiting: bool = False  # whether sessions without a value have come since

    def extended(self, equity: Float64, series: "UnitValues", flows: Mapping[str, float], waiting: bool) -> "History":
        """Return the history after a range of sessions."""
        if not equity.size:
            return self
        valued = np.flatnonzero(np.isfinite(equity))
        last = int(valued[-1]) if valued.size else -1
        known = [*self.returns, *series.daily_return[np.isfinite(series.daily_return)].tolist()]
        return History(
            float(equity[last]) if last >= 0 else self.equity,
            float(series.unit_value[-1]),
            self.sessions + equity.size,
            tuple(known[-(WINDOW - 1) :]),
            flows,
            waiting,
        )


@dataclass(frozen=True)
class UnitValues:
    """Series over sessions; NaN where null. ``reason`` is empty or says why the return is null."""

    unit_value: Float64
    daily_return: Float64
    flow_at_end: np.ndarray
    reason: list[str]


def period_return(before: float, after: float, flow: float, weighted: float, timing: FlowTiming) -> tuple[float, bool, str]:
    """Return the flow-neutral return of a session, whether the flow counts at its end, and why it is null.

    ``start``: ``after / (before + flow) - 1``; ``end``: ``(after - flow) / before - 1``; Modified Dietz: ``(after -
    before - flow) / (before + weighted)``. Where the base is at most 10 % of the larger of ``before`` and ``after``,
    the flow counts at the end; where that base is not positive either, the return is null.
    """
    if after <= 0.0:
        return np.nan, False, "equity_not_positive"
    smallest = SMALLEST_BASE * max(before, after)
    if timing == "start" and before + flow > smallest:
        return after / (before + flow) - 1.0, False, ""
    if timing == "modified_dietz" and before + weighted > smallest:
        return (after - before - flow) / (before + weighted), False, ""
    if before > 0.0 and after - flow > 0.0:
        return (after - flow) / before - 1.0, True, ""
    if timing == "end" and before + flow > smallest:
        return after / (before + flow) - 1.0, False, ""
    return np.nan, True, "no_capital_before"


def unit_values(equity: Float64, flow: Float64, weighted: Float64, timing: FlowTiming, before: History) -> UnitValues:
    """Chain the returns of a portfolio's sessions; a null return carries the unit value.

    A flow counts since the last session that had a value; ``weighted`` is the same by the time it was there.
    """
    size = equity.size
    units, returns = np.empty(size), np.empty(size)
    at_end, reasons = np.zeros(size, bool), []
    last, unit = before.equity, before.unit_value
    for t in range(size):
        value, reason = np.nan, "missing_fx_rate"
        if np.isfinite(equity[t]) and np.isfinite(flow[t]):
            value, at_end[t], reason = period_return(last, float(equity[t]), float(flow[t]), float(weighted[t]), timing)
        if np.isfinite(value):
            unit *= 1.0 + value
        if np.isfinite(equity[t]):
            last = float(equity[t])
        units[t], returns[t] = unit, value
        reasons.append(reason)
    return UnitValues(units, returns, at_end, reasons)


def rolling_moments(returns: Float64, before: Sequence[float], periods: Int64) -> tuple[Float64, Float64]:
    """Return annualised volatility and Sharpe ratio (risk-free rate 0) of the last 60 returns, at each session.

    Sample standard deviation (n - 1). Null returns are no observations; NaN with fewer than 60 of them, and a Sharpe
    ratio of NaN where nothing moved.
    """
    known = np.concatenate((np.asarray(before, np.float64), returns))
    known = known[np.isfinite(known)]
    earlier = int(np.isfinite(np.asarray(before, np.float64)).sum())
    seen = earlier + np.cumsum(np.isfinite(returns))
    volatility, sharpe = np.full(returns.size, np.nan), np.full(returns.size, np.nan)
    if known.size < WINDOW:
        return volatility, sharpe
    # contiguous rows are summed as one window alone is, so that day after day gives the same digits
    windows = np.ascontiguousarray(np.lib.stride_tricks.sliding_window_view(known, WINDOW))
    deviation, mean = windows.std(axis=1, ddof=1), windows.mean(axis=1)
    enough = seen >= WINDOW
    at = seen[enough] - WINDOW
    annual = np.sqrt(periods[enough].astype(np.float64))
    volatility[enough] = deviation[at] * annual
    moved = deviation[at] > 0.0
    ratio = np.full(at.size, np.nan)
    ratio[moved] = mean[at][moved] / deviation[at][moved] * annual[moved]
    sharpe[enough] = ratio
    return volatility, sharpe
