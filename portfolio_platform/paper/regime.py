"""What is followed from session to session beside the account: the drawdown's regime, and breaches that call for the monitor. Pure.

Both are functions of the sessions so far, so that a process that goes on reads them from the record and has the very same numbers.
"""

import math
from collections import deque
from typing import NamedTuple

from portfolio_platform.diagnostics import drawdown as d4
from portfolio_platform.ledger.equity import FlowTiming, period_return
from portfolio_platform.paper.model import SessionClosed
from portfolio_platform.policy.model import Policy

NO_WINDOWS = (math.nan, math.nan)
"""Severity and CDaR of a session: no rule of the regime looks at them, and they are most of the diagnostic's time."""
GRAVITY = {d4.NORMAL: 0, d4.DEFENSIVE: 1, d4.PROBATION: 1, d4.RISK_OFF: 2}
WATCHED_SESSIONS, ASKED, REFUSED = 20, 10, 0.5
"""A rejection spike: of at least so many intents in so many sessions more than this share was refused."""


class Drawdown:
    """D4 over the equity of a paper run, one session at a time.

    Attributes:
        day: the newest row.
    """

    def __init__(self, timing: FlowTiming, digits: int) -> None:
        """Begin before the first session."""
        self._timing, self._whole = timing, 10.0**digits
        self.day, self._equity, self._unit = d4.Trail().last, 0.0, 1.0
        self._drawdowns: deque[float] = deque()
        self._variances: deque[float] = deque()

    def next(self, equity: int, flow: int, policy: Policy) -> d4.DrawdownDay:
        """Return the row of the next session.

        Args:
            equity: at its end, minor units.
            flow: money that came in during it, minor units.
            policy: in force on its day.
        """
        rules, worth = policy.drawdown, equity / self._whole
        value, _, reason = period_return(self._equity, worth, flow / self._whole, flow / self._whole, self._timing)
        reason = "equity_not_positive" if worth <= 0.0 else ""
        if math.isfinite(value):
            self._unit *= 1.0 + value
        self._equity = worth
        before = (self._drawdowns, self._variances)
        self.day = d4.next_day(self._unit, value, self.day, before, rules, reason=reason, windows=NO_WINDOWS)
        if not reason:
            for held, newest in ((self._drawdowns, self.day.drawdown), (self._variances, self.day.ewma_variance)):
                held.append(newest)
                while len(held) > rules.window:
                    held.popleft()
        return self.day


class Spell(NamedTuple):
    """What a session says for the rejection spike: intents asked and refused."""

    asked: int
    refused: int


class Breaches:
    """What calls for the monitor before its time: a graver regime, more risk than the cap on heat, a rejection spike."""

    def __init__(self) -> None:
        """Begin before the first session."""
        self._regime = d4.NORMAL
        self._hot = self._spiking = False
        self._recent: deque[Spell] = deque(maxlen=WATCHED_SESSIONS)

    def next(self, session: SessionClosed, policy: Policy) -> str:
        """Return why the monitor should run after a session, empty where nothing says so; what goes on is not news."""
        found = []
        if GRAVITY[session.regime] > GRAVITY[self._regime]:
            found.append(f"drawdown regime {self._regime} to {session.regime}")
        self._regime = session.regime
        hot = session.equity > 0 and session.risk + session.reserved > policy.heat.cap * session.equity
        if hot and not self._hot:
            found.append("heat above its cap")
        self._hot = hot
        whole, clipped, refused = session.decisions
        self._recent.append(Spell(whole + clipped + refused, refused))
        asked = sum(one.asked for one in self._recent)
        spiking = asked >= ASKED and sum(one.refused for one in self._recent) > REFUSED * asked
        if spiking and not self._spiking:
            found.append("rejection spike")
        self._spiking = spiking
        return ", ".join(found)
