"""What a reflection is made from: one portfolio's history as arrays, and rows of the diagnostics on the sessions that end periods.

Rows may be later than a period; every function that reads them leaves out what is after the period's end.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from typing import Any

import numpy as np
import numpy.typing as npt

from portfolio_platform.days import to_date, to_number

Int64 = npt.NDArray[np.int64]
Float64 = npt.NDArray[np.float64]
Flags = npt.NDArray[np.bool_]
Texts = npt.NDArray[np.object_]
Row = Mapping[str, Any]
POLICY, RESEARCH = "policy", "research"


@dataclass(frozen=True)
class Sessions:
    """A portfolio's sessions in their order: (S,) each, NaN where unknown."""

    day: Int64
    unit_value: Float64
    equity: Float64
    net_flow: Float64
    daily_return: Float64
    drawdown: Float64
    regime: Texts

    def until(self, day: date) -> int:
        """Return how many sessions there are up to a day."""
        return int(np.searchsorted(self.day, to_number(day), side="right"))


@dataclass(frozen=True)
class Trades:
    """Closed trades by time of close and id: (T,) each. ``pnl`` is in base currency after fees; ``r`` NaN without a stop."""

    day: Int64
    playbook: Texts
    template: Texts
    regime: Texts
    symbol: Texts
    purpose: Texts
    r: Float64
    pnl: Float64

    def groups(self, dimension: str) -> Texts:
        """Return the group of each trade in a dimension."""
        if dimension == "portfolio":
            return np.full(self.day.size, "", object)
        found: Texts = getattr(self, dimension)
        return found


@dataclass(frozen=True)
class Signals:
    """Qualified policy signals: day of emission and regime."""

    day: Int64
    regime: Texts


@dataclass(frozen=True)
class Fired:
    """Alerts in the session in which they fired, by day and id: (A,) each."""

    day: Int64
    alert_id: Texts
    rule: Texts
    scope: Texts
    severity: Texts


@dataclass(frozen=True)
class History:
    """All of one portfolio. The mappings hold rows by the day of a session, tuples rows in the order of days.

    ``recommendations`` are rows in which something happened, ``firing`` those of the rules that findings speak of.
    """

    portfolio: str
    sessions: Sessions
    trades: Trades
    signals: Signals
    fired: Fired
    crowding: tuple[Row, ...]
    recommendations: tuple[Row, ...]
    execution: Mapping[date, tuple[Row, ...]]
    calibration: Mapping[date, Row]
    allocation: Mapping[date, tuple[Row, ...]]
    failures: Mapping[date, tuple[Row, ...]]
    firing: tuple[Row, ...]


@dataclass(frozen=True)
class Span:
    """A period's place in a portfolio's sessions: ``begin:end``, and ``window:end`` for what is judged.

    ``first`` and ``last`` are the day numbers of the period; trades belong to it by their day, whether that is a session or not.
    """

    begin: int
    end: int
    window: int
    first: int
    last: int
    window_after: int

    @property
    def sessions(self) -> int:
        """Return how many sessions the period has."""
        return self.end - self.begin


def span_of(sessions: Sessions, start: date, until: date, window: int) -> Span:
    """Return where a period lies; its window are the sessions up to its end, the period's own at least."""
    begin = int(np.searchsorted(sessions.day, to_number(start)))
    end = sessions.until(until)
    judged = min(max(0, end - window), begin)
    # a trade after the session before the window belongs to the window; one of the period always does
    after = int(sessions.day[judged - 1]) if judged else np.iinfo(np.int32).min
    return Span(begin, end, judged, to_number(start), to_number(until), min(after, to_number(start) - 1))


def last_session(sessions: Sessions, place: int) -> date | None:
    """Return the day of a session; None before the first."""
    return to_date(int(sessions.day[place])) if place >= 0 else None
