"""What happened to one portfolio, as the counterfactual replays it: its sessions, intents, fills, marks and risks. Pure data."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import date
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from portfolio_platform.control.model import PortfolioIntent
from portfolio_platform.control.state import Instrument
from portfolio_platform.days import day_number, end_of_day_ns, to_date, to_number
from portfolio_platform.errors import WrongUse
from portfolio_platform.ledger.equity import FlowTiming

Int64 = npt.NDArray[np.int64]
Float64 = npt.NDArray[np.float64]


class Asked(NamedTuple):
    """An intent of the past, and what it was answered then.

    Attributes:
        intent: as the control plane reads it.
        approved: risk that was granted then, minor units.
        code: the answer of that time, in its own words.
    """

    intent: PortfolioIntent
    approved: int
    code: str


class Held(NamedTuple):
    """A position's name and what one unit of it is: the multiplier of its price and its currency (index into the record's)."""

    strategy: str
    symbol: str
    currency: int
    multiplier: float


class Executed(NamedTuple):
    """A fill: quantity signed in units of 1e-18, price and fee in its currency, stop NaN where it has none."""

    execution_id: str
    ts: int
    position: int
    quantity: int
    price: float
    fee: float
    stop: float
    intent_id: str
    template: str
    playbook: str


class Action(NamedTuple):
    """A split (``ratio``, new shares for one old) or a cash dividend (``dividend`` a unit, ratio 1) of a position's symbol."""

    ts: int
    position: int
    ratio: float
    dividend: float


@dataclass(frozen=True, eq=False)
class Risks:
    """A row for each session and open position, ascending by session: risk to the stop and gross exposure in base currency.

    Attributes:
        session: index into the record's sessions.
        position: index into the record's positions.
        risk: risk to the stop; NaN where it is not known.
        exposure: gross exposure, at least 0.
        template: of the oldest open lot.
        playbook: of the oldest open lot.
    """

    session: Int64
    position: Int64
    risk: Float64
    exposure: Float64
    template: tuple[str, ...]
    playbook: tuple[str, ...]

    def first(self, rows: int) -> "Risks":
        """Return the first rows."""
        return Risks(
            self.session[:rows], self.position[:rows], self.risk[:rows], self.exposure[:rows], self.template[:rows], self.playbook[:rows]
        )


@dataclass(frozen=True, eq=False)
class Record:
    """One portfolio's past.

    Attributes:
        portfolio: whose.
        currency: its base currency.
        digits: its minor units.
        live: whether real money is behind it, so that a person has to let it out of risk-off.
        timing: when in its day a cash flow counts.
        instruments: symbols and their groups.
        days: the sessions as day numbers, ascending, shape (sessions,).
        equity: net asset value as recorded, base currency; NaN where it is not known.
        net_flow: deposits less withdrawals since the session before.
        weighted_flow: the same by the part of the day that was left.
        reasons: by session why its drawdown cannot be judged; empty where it can.
        other: what is in equity without any trade, in base currency: flows, interest and other income.
        currencies: those of positions.
        fx: base currency for one unit of each, shape (currencies, sessions).
        positions: what was ever held.
        marks: price of each position at each session, shape (positions, sessions); NaN where there is none.
        asked: the intents, ascending by time.
        fills: in the order of the ledger, by time.
        actions: splits and dividends, ascending by time.
        risks: risk and exposure of what was open.
        buckets: by session the correlation bucket of symbols.
        funded_at: when the first money came, nanoseconds UTC; 0 where none is known.
        funded: how much, base currency.
    """

    portfolio: str
    currency: str
    digits: int
    live: bool
    timing: FlowTiming
    instruments: tuple[tuple[str, Instrument], ...]
    days: Int64
    equity: Float64
    net_flow: Float64
    weighted_flow: Float64
    reasons: tuple[str, ...]
    other: Float64
    currencies: tuple[str, ...]
    fx: Float64
    positions: tuple[Held, ...]
    marks: Float64
    asked: tuple[Asked, ...]
    fills: tuple[Executed, ...]
    actions: tuple[Action, ...]
    risks: Risks
    buckets: tuple[tuple[tuple[str, str], ...], ...]
    funded_at: int = 0
    funded: float = 0.0

    @property
    def sessions(self) -> int:
        """Return the number of sessions."""
        return int(self.days.size)

    def day(self, session: int) -> date:
        """Return the day of a session."""
        return to_date(int(self.days[session]))

    def session_of(self, ts: "Int64 | Sequence[int]") -> Int64:
        """Return the session to which times belong: that of their day, or the next one; `sessions` for those after the last."""
        return np.searchsorted(self.days, day_number(np.asarray(ts, dtype=np.int64)), side="left").astype(np.int64)

    def window(self, first: date | None, last: date | None) -> "Window":
        """Return the sessions from one day to another, both included.

        Raises:
            WrongUse: there is no session between them.
        """
        begin = 0 if first is None else int(np.searchsorted(self.days, to_number(first), side="left"))
        end = self.sessions if last is None else int(np.searchsorted(self.days, to_number(last), side="right"))
        if end <= begin:
            known = f"its sessions go from {self.day(0)} to {self.day(-1)}" if self.sessions else "it has no sessions"
            raise WrongUse(f"{self.portfolio} has no session from {first or 'its beginning'} to {last or 'its end'}; {known}")
        return Window(begin, end - 1)

    def until(self, day: date) -> "Record":
        """Return the record as it was at a day's end: nothing that came later is in it."""
        size = int(np.searchsorted(self.days, to_number(day), side="right"))
        end = end_of_day_ns(day)
        rows = int(np.searchsorted(self.risks.session, size, side="left"))
        return replace(
            self,
            days=self.days[:size],
            equity=self.equity[:size],
            net_flow=self.net_flow[:size],
            weighted_flow=self.weighted_flow[:size],
            reasons=self.reasons[:size],
            other=self.other[:size],
            fx=self.fx[:, :size],
            marks=self.marks[:, :size],
            asked=tuple(one for one in self.asked if one.intent.ts <= end),
            fills=tuple(one for one in self.fills if one.ts <= end),
            actions=tuple(one for one in self.actions if one.ts <= end),
            risks=self.risks.first(rows),
            buckets=self.buckets[:size],
        )


class Window(NamedTuple):
    """Sessions of a record, both included."""

    first: int
    last: int

    @property
    def sessions(self) -> int:
        """Return how many there are."""
        return self.last - self.first + 1
