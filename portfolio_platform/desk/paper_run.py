"""The loop of v8.0.3 over a paper broker: one instant after the other, deterministic, so that the inputs alone bring it back.

Pure but for what it is given: no store, no clock.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import sha256

import orjson
from immutables import Map

from portfolio_platform.broker.interface import PaperBroker
from portfolio_platform.broker.model import UNIT, Bar, Event, Filled
from portfolio_platform.broker.state import Account, BrokerState, opened
from portfolio_platform.broker.terms import BrokerTerms
from portfolio_platform.codec import to_bytes
from portfolio_platform.control.model import MILLION
from portfolio_platform.control.money import quantity_units
from portfolio_platform.days import day_number
from portfolio_platform.desk.paper_events import Input, PaperBegun, PaperStep
from portfolio_platform.errors import DataProblem
from portfolio_platform.ledger.calendars import sessions
from portfolio_platform.orchestrator.loop import drive
from portfolio_platform.orchestrator.loop_checks import LoopTerms
from portfolio_platform.orchestrator.loop_model import (
    AskRefresh,
    Command,
    LoopEvent,
    LoopState,
    Priced,
    RefreshReported,
    Reported,
    Ticked,
)
from portfolio_platform.orchestrator.model import Snapshot
from portfolio_platform.orchestrator.profile import Profile
from portfolio_platform.orchestrator.refresh import Figures, RefreshAnswer, RefreshRequest, SessionDays

STRATEGY = "orchestrator"
BEFORE, AHEAD = 60, 800
"""How many days before the beginning and after it trading days are counted."""


@dataclass(frozen=True)
class Stepped:
    """What one instant made: what was filled, and the commands that are neither for the broker nor for a refresh."""

    fills: tuple[Filled, ...]
    commands: tuple[Command, ...]


class PaperRefresher:
    """A `Refresher` that reads the paper portfolio: its cash and positions at the newest prices. It answers at once."""

    def __init__(self, run: "PaperRun") -> None:
        """Look at a run."""
        self._run = run
        self._asked: set[str] = set()

    def begin(self, request: RefreshRequest) -> None:
        """Start a refresh; the same request again starts nothing."""
        self._asked.add(request.request_id)

    def poll(self, request: RefreshRequest) -> RefreshAnswer | None:
        """Return the figures as they are now; None for what was never begun."""
        if request.request_id not in self._asked:
            return None
        return RefreshAnswer(request.request_id, self._run.at, self._run.figures())


class PaperRun:
    """An execution on paper at work.

    Attributes:
        begun: how it began.
        terms: the loop's numbers.
        broker: on paper.
        state: of the loop.
        at: the time of the newest input, ns UTC.
        number: of the newest step.
    """

    def __init__(self, begun: PaperBegun) -> None:
        """Begin with nothing but the portfolio."""
        self.begun = begun
        self.profile = Profile.model_validate(orjson.loads(begun.profile))
        self.snapshot = Snapshot.model_validate(orjson.loads(begun.snapshot))
        first = day_number(begun.at)
        days = sessions(self.profile.freshness.calendar, first - BEFORE, first + AHEAD)
        self.terms = LoopTerms.of(self.profile, SessionDays.of(int(day) for day in days))
        terms = BrokerTerms(seed=begun.seed, digits=self.snapshot.digits, slippage=begun.slippage, fee=begun.fee)
        self.broker = PaperBroker(terms, self._opened())
        self.state = LoopState()
        self.at, self.number = begun.at, 0
        self.prices = {one.ticker: quantity_units(one.price) for one in self.snapshot.instruments}
        self.refresher = PaperRefresher(self)

    @classmethod
    def resumed(cls, begun: PaperBegun, steps: Sequence[PaperStep]) -> "PaperRun":
        """Return a run that stands where its steps end.

        Raises:
            DataProblem: the inputs do not lead where they led: the log was changed, or the code that reads it.
        """
        run = cls(begun)
        for one in steps:
            run.take(one.inputs)
            if run.digest() != one.after:
                raise DataProblem(
                    f"execution {begun.execution_id}: step {one.number} of the log does not lead where it led; "
                    "`portfolio control verify` checks the log, and the version that wrote it can go on from it"
                )
        return run

    @property
    def symbols(self) -> tuple[str, ...]:
        """Return whose bars it needs: what is held and what is traded, sorted."""
        return tuple(sorted(self.prices))

    @property
    def waits(self) -> bool:
        """Say whether it stands still until somebody decides."""
        return bool(self.state.waiting) and self.state.in_flight is None

    @property
    def over(self) -> bool:
        """Say whether the loop has ended and nothing rests at the broker."""
        return bool(self.state.ended_at) and not self.broker.resting()

    def take(self, inputs: Sequence[Input]) -> Stepped:
        """Take the inputs of one instant: bars first, that of the trade in flight before the others, then prices, decisions, the time."""
        outward: list[Command] = []
        bars = [one for one in inputs if isinstance(one, Bar)]
        place = self.state.in_flight
        first = self.state.trades[place].trade.symbol if place is not None else ""
        said: list[Event] = []
        # all bars of the instant first: the figures that a refresh brings then hold every fill of it
        for bar in sorted(bars, key=lambda bar: (bar.symbol != first, bar.symbol)):
            self.at = max(self.at, bar.ts)
            self.prices[bar.symbol] = bar.close
            said += self.broker.on_bar(bar)
        for one in said:
            outward += self._give(Reported(one.at, one))
        for bar in sorted(bars, key=lambda bar: bar.symbol):
            outward += self._give(Priced(bar.ts, bar.symbol, bar.close))
        for given in inputs:
            if not isinstance(given, Bar):
                self.at = max(self.at, given.at)
                outward += self._give(given)
        if bars:
            outward += self._give(Ticked(self.at))
        self.number += 1
        return Stepped(tuple(one for one in said if isinstance(one, Filled)), tuple(outward))

    def figures(self) -> Figures:
        """Return the paper portfolio's figures now; the weights rounded up, so that no cap is kept by rounding."""
        digits = self.snapshot.digits
        cash = sum(account.cash for account in self.broker.state.accounts.values())
        sectors: dict[str, int] = {}
        for (_, _, symbol), quantity in self.broker.state.positions.items():
            worth = quantity * self.prices[symbol] * 10**digits // UNIT**2
            sector = self._sector(symbol)
            sectors[sector] = sectors.get(sector, 0) + worth
        value = cash + sum(sectors.values())
        if value <= 0:
            return Figures(self.at, value, cash, ())
        return Figures(self.at, value, cash, tuple((name, -(-amount * MILLION // value)) for name, amount in sorted(sectors.items())))

    def digest(self) -> str:
        """Return the hash of loop and broker: equal after equal inputs, in any process."""
        return sha256(to_bytes(self.state, LoopState) + self.broker.content()).hexdigest()

    def _give(self, event: LoopEvent) -> list[Command]:
        """Give the loop an event; what it asks to have refreshed is answered in the same instant."""
        outward: list[Command] = []
        waiting: list[LoopEvent] = [event]
        while waiting:
            self.state, commands, _ = drive(self.terms, self.state, self.broker, waiting.pop(0))
            for command in commands:
                if isinstance(command, AskRefresh):
                    self.refresher.begin(command.request)
                    answer = self.refresher.poll(command.request)
                    waiting += [RefreshReported(answer.at, answer)] if answer is not None else []
                else:
                    outward.append(command)
        return outward

    def _sector(self, symbol: str) -> str:
        known = self.snapshot.by_ticker.get(symbol)
        return known.sector if known is not None else "Unclassified"

    def _opened(self) -> BrokerState:
        accounts = {one.account: Account(one.cash_minor, one.kind) for one in self.snapshot.accounts}
        positions = {
            (account.account, STRATEGY, holding.ticker): quantity_units(holding.quantity)
            for account in self.snapshot.accounts
            for holding in account.holdings
        }
        return opened(accounts, self.begun.at)._replace(positions=Map(positions))
