"""The state machine of alerts: one for each series, a series being (portfolio, rule, scope), over the portfolio's sessions.

An alert begins where its threshold is met, escalates at once, eases and ends after `leave_sessions` calm sessions in a row,
and may not begin again in the `cool_down` sessions after its end. A session without a value holds everything but the time.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from numba import njit

Ints = npt.NDArray[np.int64]
Float64 = npt.NDArray[np.float64]

# columns of a series' state and of what is known after each session
LEVEL, CALM, EASING, COUNT, FIRST, WORST_LEVEL, P_FIRST, P_LAST, P_COUNT, P_LEVEL, COOL, TRANSITION = range(12)
WIDTH = 12
WORST, P_WORST = range(2)
NOTHING, STAYED, FIRED, ESCALATED, EASED, RESOLVED = range(6)
TRANSITIONS = ("", "", "fired", "escalated", "eased", "resolved")


@dataclass(frozen=True)
class Observed:
    """What the machine looks at, by series (K) and session (S).

    Attributes:
        value: the metric, NaN where null; (K, S).
        breach: 0, or the level whose threshold is met with all conditions, for long enough to begin: 1 warning, 2 critical; (K, S).
        inside: the highest level whose leaving limit the value has not passed, 0 where it is calm; (K, S).
        known: false where the state has to be held; (K, S).
        days: day numbers of the sessions; (S,).
        lowest: the rule's lowest level; (K,).
        leave_sessions, cool_down: of the rule; (K,).
        upward: whether larger is worse; (K,).
    """

    value: Float64
    breach: npt.NDArray[np.int8]
    inside: npt.NDArray[np.int8]
    known: npt.NDArray[np.bool_]
    days: Ints
    lowest: Ints
    leave_sessions: Ints
    cool_down: Ints
    upward: npt.NDArray[np.bool_]


@dataclass(frozen=True)
class Carried:
    """The state of each series after the session before: counts (K, WIDTH) and values (K, 2). A new one is calm."""

    counts: Ints
    values: Float64

    @classmethod
    def calm(cls, series: int) -> "Carried":
        """Return the state of series that never fired."""
        counts = np.zeros((series, WIDTH), np.int64)
        counts[:, [FIRST, P_FIRST, P_LAST]] = -1
        return cls(counts, np.full((series, 2), np.nan))


@dataclass(frozen=True)
class Evaluated:
    """The state of each series after each session: counts (K, S, WIDTH), values (K, S, 2).

    There is an alert where TRANSITION is not NOTHING; its level stays that before it in the session that resolves it.
    """

    counts: Ints
    values: Float64


def evaluate(given: Observed, carried: Carried) -> Evaluated:
    """Return the state of every series after every session, going on from what is carried; pure."""
    series, sessions = given.value.shape
    counts = np.zeros((series, sessions, WIDTH), np.int64)
    values = np.full((series, sessions, 2), np.nan)
    _run(
        given.value,
        given.breach,
        given.inside,
        given.known,
        given.days,
        given.lowest,
        given.leave_sessions,
        given.cool_down,
        given.upward,
        carried.counts.copy(),
        carried.values.copy(),
        counts,
        values,
    )
    return Evaluated(counts, values)


@njit(cache=True)
def _run(
    value: Any,
    breach: Any,
    inside: Any,
    known: Any,
    days: Any,
    lowest: Any,
    leave_sessions: Any,
    cool_down: Any,
    upward: Any,
    state: Any,
    worst: Any,
    counts: Any,
    values: Any,
) -> None:
    for k in range(value.shape[0]):
        now, bad = state[k], worst[k]
        for s in range(value.shape[1]):
            now[TRANSITION] = _step(
                now,
                bad,
                value[k, s],
                breach[k, s],
                inside[k, s],
                known[k, s],
                days[s],
                lowest[k],
                leave_sessions[k],
                cool_down[k],
                upward[k],
            )
            counts[k, s] = now
            values[k, s] = bad
            if now[TRANSITION] == RESOLVED:
                now[P_FIRST], now[P_LAST], now[P_COUNT], now[P_LEVEL] = now[FIRST], days[s], now[COUNT], now[WORST_LEVEL]
                bad[P_WORST] = bad[WORST]
                now[LEVEL] = 0


@njit(cache=True)
def _step(
    now: Any,
    bad: Any,
    value: Any,
    breach: Any,
    inside: Any,
    known: Any,
    day: Any,
    lowest: Any,
    leave_sessions: Any,
    cool_down: Any,
    upward: Any,
) -> Any:
    """Move one series by one session; return its transition."""
    if now[LEVEL] == 0:
        if now[COOL] > 0:
            now[COOL] -= 1
            return NOTHING
        if not known or breach == 0:
            return NOTHING
        now[LEVEL], now[WORST_LEVEL], now[FIRST] = breach, breach, day
        now[COUNT], now[CALM], now[EASING] = 1, 0, 0
        bad[WORST] = value
        return FIRED
    now[COUNT] += 1
    if not known:
        return STAYED
    if not np.isnan(value) and (np.isnan(bad[WORST]) or (value > bad[WORST]) == upward):
        bad[WORST] = value
    now[CALM] = 0 if inside >= lowest else now[CALM] + 1
    now[EASING] = 0 if inside == 2 else now[EASING] + 1
    if breach > now[LEVEL]:
        now[LEVEL] = breach
        now[WORST_LEVEL] = max(now[WORST_LEVEL], breach)
        return ESCALATED
    if now[CALM] >= leave_sessions:
        now[COOL] = cool_down
        return RESOLVED
    if now[LEVEL] == 2 and lowest == 1 and now[EASING] >= leave_sessions:
        now[LEVEL] = 1
        return EASED
    return STAYED
