"""D4 Drawdown: depth, speed and severity of a portfolio's loss from its high-water mark, and the regime they call for.

Everything is taken on the flow-neutral unit value, so a deposit never changes a drawdown. Sources: CDaR, Chekhlov,
Uryasev & Zabarankin 2005; expected maximum drawdown without drift, Magdon-Ismail & Atiya 2004; EWMA, RiskMetrics 1996.
"""

import math
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
import numpy.typing as npt
from numba import njit

from portfolio_platform.policy.model import DrawdownPolicy, RegimePolicy

Float64 = npt.NDArray[np.float64]
NAN = math.nan
NORMAL, DEFENSIVE, RISK_OFF, PROBATION = "normal", "defensive", "risk_off", "probation"
Resume = Callable[[int, int], bool]
"""Says whether a session may leave risk_off: by its place in the range, and how many sessions the one before it had spent there."""


@dataclass(frozen=True)
class DrawdownDay:
    """A session's row; NaN is null, and ``reason`` says why."""

    unit_value: float
    drawdown: float = NAN
    high_water_mark: float = NAN
    under_water_days: int = 0
    velocity_1: float = NAN
    velocity_5: float = NAN
    velocity_20: float = NAN
    z_5: float = NAN
    acceleration: float = NAN
    mdd_severity: float = NAN
    cdar_95: float = NAN
    regime: str = NORMAL
    transition: str = ""
    sessions_in_regime: int = 0
    size_multiplier: float = 1.0
    control_drawdown: float = NAN
    control_high_water_mark: float = NAN
    ewma_variance: float = NAN
    returns_seen: int = 0
    seed_sum_squares: float = 0.0
    reason: str = ""


@dataclass(frozen=True)
class Trail:
    """What the next session goes on from: the sessions so far that count as observations, newest last.

    At most a window's length of each is kept; the start, a unit value of 1, is one. ``last`` is the newest row of all.
    """

    units: tuple[float, ...] = (1.0,)
    drawdowns: tuple[float, ...] = ()
    variances: tuple[float, ...] = ()
    last: DrawdownDay = field(default_factory=lambda: DrawdownDay(1.0, high_water_mark=1.0))


def ewma_variance(value: float, seen: int, squares: float, policy: DrawdownPolicy, before: float) -> tuple[float, int, float]:
    """Add a return to the EWMA variance: the mean square of the first returns seeds it, NaN until then."""
    seen += 1
    if seen < policy.ewma_seed:
        return NAN, seen, squares + value * value
    if seen == policy.ewma_seed:
        return (squares + value * value) / policy.ewma_seed, seen, squares + value * value
    return policy.ewma_lambda * before + (1.0 - policy.ewma_lambda) * value * value, seen, squares


def velocity(drawdowns: Sequence[float], now: float, k: int) -> float:
    """Return the change of drawdown over k sessions, a session; ``drawdowns`` are those before now."""
    return (now - drawdowns[-k]) / k if len(drawdowns) >= k else NAN


def severity(units: Sequence[float] | Float64, policy: DrawdownPolicy) -> float:
    """Return the maximum drawdown of the window over its expectation for a driftless walk, ``sqrt(pi/2) sigma sqrt(T)``.

    ``units`` are the window's unit values, one more than its returns. The discrete expectation is 0.80 to 0.93 of the
    formula's. NaN with fewer than the policy's minimum of returns, or where nothing moved.
    """
    values = np.asarray(units, np.float64)
    returns = values[1:] / values[:-1] - 1.0
    if returns.size < policy.severity_minimum:
        return NAN
    sigma = float(returns.std(ddof=1))
    if sigma == 0.0:
        return NAN
    worst = float((1.0 - values / np.maximum.accumulate(values)).max())
    return worst / (math.sqrt(math.pi / 2.0) * sigma * math.sqrt(returns.size))


@njit(cache=True)
def _deepest(units: Float64, window: int, out: Float64) -> None:  # pragma: no cover - compiled
    """Fill in the maximum drawdown of each window of units, one value more than it has returns."""
    for row in range(out.size):
        mark, deepest = units[row], 0.0
        for k in range(row + 1, row + window + 1):
            mark = max(mark, units[k])
            deepest = max(deepest, 1.0 - units[k] / mark)
        out[row] = deepest


def cdar(drawdowns: Sequence[float] | Float64, level: float, minimum: int) -> float:
    """Return the conditional drawdown at risk: the mean of the worst ``1 - level`` of the drawdowns.

    Where that is no whole number of observations, the last one counts by its fraction (Rockafellar & Uryasev 2002).
    """
    if len(drawdowns) < minimum:
        return NAN
    return float(_mean_of_worst(np.asarray(drawdowns, np.float64)[None, :], level)[0])


def _mean_of_worst(rows: Float64, level: float) -> Float64:
    """Return the mean of the worst ``1 - level`` of each row."""
    tail = (1.0 - level) * rows.shape[1]
    # 100 * (1 - 0.95) is a hair over 5 in floats: what is whole to 9 places is whole
    whole = math.floor(tail + 1e-9)
    rest = max(0.0, tail - whole) if tail - whole > 1e-9 else 0.0
    ordered = np.sort(rows, axis=1)[:, ::-1]
    worst = ordered[:, :whole].sum(axis=1) + (rest * ordered[:, whole] if rest else 0.0)
    return np.asarray(worst / (whole + rest), np.float64)


def severities(units: Sequence[float], first: int, policy: DrawdownPolicy) -> list[float]:
    """Return `severity` of the window that ends at each unit value from ``first`` on, whole windows in one go."""
    values, window = np.asarray(units, np.float64), policy.window
    out = [severity(values[: place + 1], policy) for place in range(first, min(window, values.size))]
    begin = max(first, window)
    if begin >= values.size:
        return out
    if window < policy.severity_minimum:
        return [*out, *[NAN] * (values.size - begin)]
    whole = values[begin - window :]
    sigma = np.lib.stride_tricks.sliding_window_view(whole[1:] / whole[:-1] - 1.0, window).std(axis=1, ddof=1)
    worst = np.empty(sigma.size)
    _deepest(whole, window, worst)
    expected = math.sqrt(math.pi / 2.0) * np.where(sigma == 0.0, NAN, sigma) * math.sqrt(window)
    return [*out, *(worst / expected).tolist()]


def cdars(drawdowns: Sequence[float], first: int, policy: DrawdownPolicy) -> list[float]:
    """Return `cdar` of the window that ends at each drawdown from ``first`` on, whole windows in one go."""
    values, window = np.asarray(drawdowns, np.float64), policy.window
    out = [cdar(values[: place + 1], policy.cdar_level, policy.cdar_minimum) for place in range(first, min(window - 1, values.size))]
    begin = max(first, window - 1)
    if begin >= values.size:
        return out
    if window < policy.cdar_minimum:
        return [*out, *[NAN] * (values.size - begin)]
    rows = np.lib.stride_tricks.sliding_window_view(values[begin - window + 1 :], window)
    return [*out, *_mean_of_worst(rows, policy.cdar_level).tolist()]


def next_regime(now: str, drawdown: float, z_5: float, sessions: int, policy: RegimePolicy, may_resume: bool) -> tuple[str, str]:
    """Return the regime after a session and the sentence of its transition, empty where it stays.

    ``drawdown`` is the control drawdown, ``sessions`` how many the portfolio has spent in the regime. One transition
    a session at most; the graver one is looked at first.
    """
    z = z_5 if math.isfinite(z_5) else -math.inf
    if now in (NORMAL, DEFENSIVE):
        if drawdown >= policy.risk_off_drawdown:
            return RISK_OFF, f"drawdown {drawdown:.2%} at or beyond {policy.risk_off_drawdown:.2%}"
        if z >= policy.risk_off_z and drawdown >= policy.risk_off_z_drawdown:
            return RISK_OFF, f"z_5 {z:.2f} at or beyond {policy.risk_off_z:g} in a drawdown of {drawdown:.2%}"
    if now == NORMAL:
        if drawdown >= policy.defensive_drawdown:
            return DEFENSIVE, f"drawdown {drawdown:.2%} at or beyond {policy.defensive_drawdown:.2%}"
        if z >= policy.defensive_z:
            return DEFENSIVE, f"z_5 {z:.2f} at or beyond {policy.defensive_z:g}"
    if now == DEFENSIVE and drawdown < policy.recovered_drawdown and sessions >= policy.defensive_sessions:
        return NORMAL, f"drawdown {drawdown:.2%} below {policy.recovered_drawdown:.2%} after {sessions} sessions"
    if now == RISK_OFF and sessions >= policy.risk_off_sessions and may_resume:
        return PROBATION, f"{sessions} sessions in risk_off"
    if now == PROBATION:
        if drawdown >= policy.risk_off_drawdown:
            return RISK_OFF, f"control drawdown {drawdown:.2%} at or beyond {policy.risk_off_drawdown:.2%}"
        if drawdown < policy.recovered_drawdown and sessions >= policy.probation_sessions:
            return DEFENSIVE, f"control drawdown {drawdown:.2%} below {policy.recovered_drawdown:.2%} after {sessions} sessions"
    return now, ""


def size_multiplier(regime: str, policy: RegimePolicy) -> float:
    """Return the share of its usual size that a regime allows a new position."""
    sizes = {DEFENSIVE: policy.defensive_size, RISK_OFF: policy.risk_off_size, PROBATION: policy.probation_size}
    return sizes.get(regime, 1.0)


def _without_value(unit: float, last: DrawdownDay, reason: str, policy: RegimePolicy) -> DrawdownDay:
    """Return the row of a session that cannot be judged: the regime holds, except that no equity means risk_off."""
    day = replace(
        last,
        unit_value=unit,
        drawdown=NAN,
        velocity_1=NAN,
        velocity_5=NAN,
        velocity_20=NAN,
        z_5=NAN,
        acceleration=NAN,
        mdd_severity=NAN,
        cdar_95=NAN,
        control_drawdown=NAN,
        transition="",
        sessions_in_regime=last.sessions_in_regime + 1,
        reason=reason,
    )
    if reason == "equity_not_positive" and last.regime != RISK_OFF:
        transition = f"{last.regime} to {RISK_OFF}: equity is not positive"
        size = size_multiplier(RISK_OFF, policy)
        return replace(day, regime=RISK_OFF, transition=transition, sessions_in_regime=0, size_multiplier=size, control_high_water_mark=NAN)
    return day


def next_day(
    unit: float,
    value: float,
    last: DrawdownDay,
    before: tuple[Sequence[float], Sequence[float]],
    policy: DrawdownPolicy,
    *,
    windows: tuple[float, float],
    reason: str = "",
    may_resume: bool = True,
) -> DrawdownDay:
    """Return the row of the session after ``last``; ``value`` is its daily return, ``reason`` why it cannot be judged.

    ``before`` are drawdowns and variances of the sessions before it, as a `Trail` has them; ``windows`` severity and CDaR of the
    windows that end with it.
    """
    if reason:
        return _without_value(unit, last, reason, policy.regime)
    variance, seen, squares = last.ewma_variance, last.returns_seen, last.seed_sum_squares
    if math.isfinite(value):
        variance, seen, squares = ewma_variance(value, seen, squares, policy, variance)
    mark = max(last.high_water_mark, unit)
    now = 1.0 - unit / mark
    drawdowns, variances = before
    v_5, v_20 = velocity(drawdowns, now, 5), velocity(drawdowns, now, 20)
    sigma = math.sqrt(variances[-5]) if len(variances) >= 5 else NAN
    z_5 = 5.0 * v_5 / (sigma * math.sqrt(5.0)) if sigma > 0.0 else NAN
    control = NAN if unit >= mark else max(last.control_high_water_mark, unit)
    control_drawdown = 1.0 - unit / control if math.isfinite(control) else now
    severe, at_risk = windows
    stayed = last.sessions_in_regime + 1
    regime, transition = next_regime(last.regime, control_drawdown, z_5, stayed, policy.regime, may_resume)
    if regime == PROBATION and last.regime != PROBATION:
        control = unit / (1.0 - policy.regime.probation_drawdown)
        control_drawdown = 1.0 - unit / control
    return DrawdownDay(
        unit_value=unit,
        drawdown=now,
        high_water_mark=mark,
        under_water_days=0 if now <= 0.0 else last.under_water_days + 1,
        velocity_1=velocity(drawdowns, now, 1),
        velocity_5=v_5,
        velocity_20=v_20,
        z_5=z_5,
        acceleration=v_5 - v_20,
        mdd_severity=severe,
        cdar_95=at_risk,
        regime=regime,
        transition=f"{last.regime} to {regime}: {transition}" if transition else "",
        sessions_in_regime=stayed if regime == last.regime else 0,
        size_multiplier=size_multiplier(regime, policy.regime),
        control_drawdown=control_drawdown,
        control_high_water_mark=control,
        ewma_variance=variance,
        returns_seen=seen,
        seed_sum_squares=squares,
    )


def extend(trail: Trail, day: DrawdownDay, policy: DrawdownPolicy) -> Trail:
    """Return the trail after a session; one that could not be judged is no observation."""
    if day.reason:
        return replace(trail, last=day)
    return Trail(
        (*trail.units, day.unit_value)[-policy.window :],
        (*trail.drawdowns, day.drawdown)[-policy.window :],
        (*trail.variances, day.ewma_variance)[-policy.window :],
        day,
    )


def drawdowns(
    units: Sequence[float],
    returns: Sequence[float],
    reasons: Sequence[str],
    trail: Trail,
    policy: DrawdownPolicy,
    *,
    may_resume: bool | Resume = True,
) -> list[DrawdownDay]:
    """Return a row for each session of a range, going on from ``trail``; equal to the sessions taken one by one.

    ``may_resume`` says whether risk_off may be left, always or by session (see `Resume`).
    """
    rows: list[DrawdownDay] = []
    # the windows of the range in one go: taken session by session they are nearly all of the time
    observed = [unit for unit, reason in zip(units, reasons, strict=True) if not reason]
    marks = np.maximum.accumulate([trail.last.high_water_mark, *observed])[1:]
    below = (1.0 - np.asarray(observed, np.float64) / marks).tolist()
    severe = iter(severities((*trail.units, *observed), len(trail.units), policy))
    at_risk = iter(cdars((*trail.drawdowns, *below), len(trail.drawdowns), policy))
    last = trail.last
    before = (deque(trail.drawdowns, policy.window), deque(trail.variances, policy.window))
    for unit, value, reason in zip(units, returns, reasons, strict=True):
        windows = (NAN, NAN) if reason else (next(severe), next(at_risk))
        resume = may_resume if isinstance(may_resume, bool) else last.regime == RISK_OFF and may_resume(len(rows), last.sessions_in_regime)
        last = next_day(unit, value, last, before, policy, reason=reason, may_resume=resume, windows=windows)
        if not reason:
            # one that could not be judged is no observation
            before[0].append(last.drawdown)
            before[1].append(last.ewma_variance)
        rows.append(last)
    return rows
