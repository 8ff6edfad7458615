"""An execution that is easy to work by hand: a portfolio of 1,000,000 with 300,000 in cash, trades of whole shares at 100."""

from dataclasses import replace
from datetime import UTC, date, datetime
from typing import Any

from portfolio_platform.broker.interface import PaperBroker
from portfolio_platform.broker.model import UNIT, Bar
from portfolio_platform.broker.state import Account, opened
from portfolio_platform.broker.terms import BrokerTerms
from portfolio_platform.days import nanoseconds, to_number
from portfolio_platform.ledger.calendars import sessions
from portfolio_platform.orchestrator.escalation import Answered
from portfolio_platform.orchestrator.loop import drive
from portfolio_platform.orchestrator.loop_checks import LoopTerms
from portfolio_platform.orchestrator.loop_model import (
    Command,
    Decided,
    LoopEvent,
    LoopState,
    LoopTrade,
    OpenEscalation,
    Reported,
    Started,
    Ticked,
)
from portfolio_platform.orchestrator.profile import shipped_profile
from portfolio_platform.orchestrator.refresh import MINUTE, Figures, SessionDays

DAYS = SessionDays.of(sessions("XNYS", to_number(date(2025, 12, 1)), to_number(date(2025, 12, 31))).tolist())
TERMS = LoopTerms.of(shipped_profile("v8.0.3"), DAYS)
NINE = nanoseconds(datetime(2025, 12, 9, 15, tzinfo=UTC))
VALUE = 100_000_000
SECTORS = (("Energy", 200_000), ("Technology", 300_000))


def px(price: float) -> int:
    """A price in units of 1e-18."""
    return round(price * 100) * UNIT // 100


def trade(name: str, thousands: int, sector: str = "Materials", **said: Any) -> LoopTrade:
    """A trade over so many thousands of dollars, in a symbol of its own name, at 100 a share."""
    number = int(name[1:]) if name[1:].isdigit() else 0
    plain: dict[str, Any] = {
        "side": "buy",
        "account": "A",
        "conviction": 70,
        "reference": px(100),
        "approved_at": NINE - 9 * MINUTE + number,
        "stop": px(90),
    }
    return LoopTrade(
        trade_id=name,
        symbol=name.upper(),
        sector=sector,
        size=thousands * 100_000,
        quantity=thousands * 10 * UNIT,
        lot=UNIT,
        **{**plain, **said},
    )


def figures(cash: int = 300, at: int = NINE, sectors: tuple[tuple[str, int], ...] = SECTORS) -> Figures:
    """The portfolio's figures with so many thousands in cash."""
    return Figures(at, VALUE, cash * 100_000, sectors)


class Desk:
    """The loop against a paper broker, minute by minute."""

    def __init__(
        self, *trades: LoopTrade, costs: BrokerTerms | None = None, terms: LoopTerms = TERMS, cash: int = 300, **said: Any
    ) -> None:
        self.terms = terms
        self.broker = PaperBroker(costs or BrokerTerms(), opened({"A": Account(10**12), "B": Account(10**12)}, NINE))
        self.now, self.state = NINE, LoopState()
        self.commands: list[Command] = []
        self.events: list[LoopEvent] = []
        self.started = Started(NINE, "X1", "main", said.get("figures", figures(cash)), trades, said.get("approved", SECTORS))
        self.give(self.started)

    def give(self, event: LoopEvent) -> list[Command]:
        """Give the loop an event; return the commands that are not for the broker."""
        self.state, outward, taken = drive(self.terms, self.state, self.broker, event)
        self.commands += outward
        self.events += taken
        return list(outward)

    def minute(self, price: float = 100, low: float | None = None, high: float | None = None) -> None:
        """A minute goes by, and a bar of every symbol closes."""
        opens, self.now = self.now, self.now + MINUTE
        for symbol in sorted(self.broker.state.resting):
            bar = Bar(symbol, opens, self.now, px(price), px(high or price), px(low or price), px(price))
            for said in self.broker.on_bar(bar):
                self.give(Reported(self.now, said))

    def minutes(self, number: int, price: float = 100) -> "Desk":
        """Several of them."""
        for _ in range(number):
            self.minute(price)
        return self

    def tick(self, minutes: float = 0) -> list[Command]:
        """Time goes by without a bar."""
        self.now += round(minutes * MINUTE)
        return self.give(Ticked(self.now))

    def answer(self, answer: str, name: str = "", **said: Any) -> list[Command]:
        """A person answers an escalation: the first that is waited for, unless it is named."""
        given = Answered(self.now, name or self.state.waiting[0], answer, "alice", "because", **said)  # type: ignore[arg-type]
        return self.give(Decided(self.now, given))

    @property
    def triggers(self) -> list[str]:
        """The triggers of all escalations, in their order."""
        return [one.escalation.trigger for one in self.commands if isinstance(one, OpenEscalation)]

    @property
    def statuses(self) -> list[str]:
        """How far each trade is."""
        return [one.status for one in self.state.trades]

    @property
    def flags(self) -> list[str]:
        """The codes of what was flagged."""
        return [one.code for one in self.state.flags]


__all__ = ["DAYS", "MINUTE", "NINE", "SECTORS", "TERMS", "UNIT", "VALUE", "Desk", "figures", "px", "replace", "trade"]
