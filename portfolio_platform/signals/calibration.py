"""Whether stated confidence came true, and how often outcomes fell inside the expected bands.

What belongs here: statistics of resolved signals over a rolling window of sessions. An outcome counts in the first session of its
portfolio on or after its day, so that nothing is known before it happened; the window of a session are the 60 up to it. The Brier
score is the mean of ``(confidence - came true)^2`` (Brier 1950); a signal came true where its result is positive.

Each window is summed on its own, from its first signal to its last: what came before it cannot change its last digits.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from portfolio_platform.evidence.intervals import wilson

Float64 = npt.NDArray[np.float64]
Int64 = npt.NDArray[np.int64]
WINDOW = 60


@dataclass(frozen=True)
class Resolved:
    """Resolved signals, sorted by portfolio, outcome day and id: what was stated, what was expected, what came; NaN is unknown.

    ``portfolio`` is a code, ``day`` the day number of the outcome; the others are floats of the same length.
    """

    portfolio: Int64
    day: Int64
    confidence: Float64
    r: Float64
    hold: Float64
    mae: Float64
    mfe: Float64
    expected_hold_p50: Float64
    expected_hold_p90: Float64
    expected_mae: Float64
    expected_mfe: Float64


@dataclass(frozen=True)
class Calibration:
    """Figures of each session; NaN is null. ``window_start`` is the day number of the window's first session."""

    n: Int64
    confidence: Float64
    hit_rate: Float64
    hit_low: Float64
    hit_high: Float64
    gap: Float64
    brier: Float64
    banded: Int64
    hold_below_p50: Float64
    hold_below_p90: Float64
    mae_below_p50: Float64
    mfe_above_p50: Float64
    window_start: Int64


def window_sums(values: Float64, low: Int64, high: Int64) -> Float64:
    """Return the sum of ``values[low:high]`` of each pair of places; 0 where the two are equal."""
    if not low.size:
        return np.empty(0)
    padded = np.append(values, 0.0)
    ends = np.stack((low, high), axis=1).ravel()
    return np.where(high > low, np.add.reduceat(padded, ends)[::2], 0.0)


def _share(inside: npt.NDArray[np.bool_], known: npt.NDArray[np.bool_], low: Int64, high: Int64) -> Float64:
    """Return the share of each window's known ones that are inside, NaN where none is known."""
    with np.errstate(invalid="ignore"):
        return window_sums((inside & known).astype(np.float64), low, high) / window_sums(known.astype(np.float64), low, high)


def calibration(given: Resolved, portfolio: Int64, day: Int64, window: int = WINDOW) -> Calibration:
    """Return the calibration of every session.

    Args:
        given: resolved signals with a stated confidence and a result.
        portfolio: code of each session's portfolio; sessions are sorted by portfolio and day.
        day: its day number.
        window: sessions.
    """
    place = np.arange(day.size)
    first_of = np.searchsorted(portfolio, portfolio)
    begin = np.maximum(place - window + 1, first_of)
    # an outcome on a day without a session counts in the next one, and so begins a window the day after the session before it
    before = np.where(begin > first_of, day[np.maximum(begin - 1, 0)], np.iinfo(np.int32).min)
    key = _key(given.portfolio, given.day)
    low = np.searchsorted(key, _key(portfolio, before), side="right").astype(np.int64)
    high = np.searchsorted(key, _key(portfolio, day), side="right").astype(np.int64)
    n = high - low
    hit = (given.r > 0.0).astype(np.float64)
    missed = np.asarray(np.square(given.confidence - hit), np.float64)
    with np.errstate(invalid="ignore"):
        confidence = window_sums(given.confidence, low, high) / n
        hit_rate = window_sums(hit, low, high) / n
        brier = window_sums(missed, low, high) / n
    hit_low, hit_high = wilson(np.rint(window_sums(hit, low, high)), n)
    expected = np.stack((given.expected_hold_p50, given.expected_hold_p90, given.expected_mae, given.expected_mfe))
    banded: Float64 = np.asarray(np.isfinite(expected).any(axis=0), np.float64)
    return Calibration(
        n=n,
        confidence=confidence,
        hit_rate=hit_rate,
        hit_low=hit_low,
        hit_high=hit_high,
        gap=confidence - hit_rate,
        brier=brier,
        banded=window_sums(banded, low, high).astype(np.int64),
        hold_below_p50=_share(given.hold <= expected[0], np.isfinite(given.hold) & np.isfinite(expected[0]), low, high),
        hold_below_p90=_share(given.hold <= expected[1], np.isfinite(given.hold) & np.isfinite(expected[1]), low, high),
        mae_below_p50=_share(given.mae <= expected[2], np.isfinite(given.mae) & np.isfinite(expected[2]), low, high),
        mfe_above_p50=_share(given.mfe >= expected[3], np.isfinite(given.mfe) & np.isfinite(expected[3]), low, high),
        window_start=day[begin] if day.size else day,
    )


def _key(portfolio: Int64, day: Int64) -> Int64:
    """Return a number for portfolio and day that sorts as the two do."""
    return portfolio * (1 << 33) + day
