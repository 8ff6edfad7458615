"""A workflow against a paper broker: a world that answers it, keeps every event and command, and checks what must always hold."""

import random
from collections.abc import Callable, Iterable

from portfolio_platform.broker.model import Bar, BarClosed, Cancel, Changed, Failed, Filled, Place, Replace
from portfolio_platform.broker.model import Event as BrokerEvent
from portfolio_platform.broker.state import Account, opened
from portfolio_platform.broker.step import step as broker_step
from portfolio_platform.broker.terms import BrokerTerms
from portfolio_platform.control.model import Envelope
from portfolio_platform.instruments.encoding import command_key, decode_event, encode_event, state_bytes, state_of
from portfolio_platform.instruments.model import (
    AllocationDecided,
    CancelOrder,
    CandleClosed,
    Condition,
    Direction,
    EmitSignal,
    EnvelopeIssued,
    ExitRule,
    FillReported,
    InstrumentCommand,
    InstrumentConfig,
    InstrumentEvent,
    OperatorCommand,
    OrderEnded,
    PlaceOrder,
    Plan,
    PlanProvided,
    ReplaceOrder,
    RequestAllocation,
    RequestPlan,
    Started,
    StopRequested,
    Trigger,
)
from portfolio_platform.instruments.state import InstrumentState, WorkflowTerms
from portfolio_platform.instruments.workflow import step

UNIT = 10**18
DAY = 86_400_000_000_000
MONDAY = 19_723 * DAY
"""2024-01-01, a Monday."""
TERMS = WorkflowTerms()
CONFIG = InstrumentConfig("main", "AAA", timeframes=("1d", "1w"), template="bull_trending")


def when(feature: str, relation: str, value: int, timeframe: str = "1d") -> Trigger:
    return Trigger(timeframe, (Condition(feature, relation, value),))  # type: ignore[arg-type]


ALWAYS = ("return_1", "above", -10_000_000)
UP = ("return_1", "above", 0)
DOWN = ("return_1", "below", 0)


def plan(**changed: object) -> Plan:
    """A plan that arms long at every close of a day, enters on a rising close, stops two below, aims four above."""
    made = Plan(
        plan_id="plan-1",
        symbol="AAA",
        template="bull_trending",
        playbook="example",
        version="1",
        day="",
        regimes=(),
        thesis=(("long", when(*ALWAYS)),),
        activation=(("long", when(*UP)),),
        invalidation=(("long", when("return_1", "below", -50_000)),),
        timeout_bars=3,
        stop=ExitRule("range", 0, 2),
        target=ExitRule("r", 2_000_000),
        time_exit_bars=5,
        minimum_r_ppm=1_500_000,
        trail=ExitRule("none"),
        cooldown_bars=2,
        risk_ppm=5_000,
    )
    return made._replace(**changed)  # type: ignore[arg-type]


def envelope(version: int = 1, at: int = 0, **changed: object) -> Envelope:
    made = Envelope("main", "AAA", version, "normal", False, 1_000_000, None, 10**12, 5, "heat", 100_000_00, 1, at, at + 4_000 * DAY)
    return made._replace(**changed)  # type: ignore[arg-type]


def bar(number: int, close: float, low: float | None = None, high: float | None = None, opening: float | None = None) -> Bar:
    """The bar of a day, counted from 2024-01-01."""
    start = MONDAY + number * DAY
    first = close if opening is None else opening
    prices = [first, max(high or 0, close, first), min(close if low is None else low, close, first), close]
    return Bar("AAA", start, start + DAY, *[round(one * 10**6) * 10**12 for one in prices], 10**24)


class World:
    """A workflow, its broker, and somebody who answers what it asks for.

    Attributes:
        state: of the workflow.
        events: told so far.
        commands: asked for so far.
        answer: what the control plane says to an intent; None for no answer.
        plan: what the plan provider provides.
        queue: what is told next.
    """

    def __init__(
        self,
        given: Plan | None = None,
        config: InstrumentConfig = CONFIG,
        terms: WorkflowTerms = TERMS,
        broker: BrokerTerms | None = None,
        limits: Envelope | None = None,
        begin: bool = True,
    ) -> None:
        self.terms, self.config, self.broker_terms = terms, config, broker or BrokerTerms()
        self.plan: Plan | None = given if given is not None else plan()
        self.state = InstrumentState()
        self.events: list[InstrumentEvent] = []
        self.commands: list[InstrumentCommand] = []
        self.keys: set[str] = set()
        self.broker = opened({config.account: Account(10**15)})
        self.answer: Callable[[RequestAllocation], AllocationDecided | None] = grant
        self.queue: list[InstrumentEvent] = []
        self.number = 0
        self.now = MONDAY
        if begin:
            self.tell(Started(MONDAY, config))
            self.tell(EnvelopeIssued(MONDAY, limits or envelope(at=MONDAY)))

    def tell(self, event: InstrumentEvent) -> tuple[InstrumentCommand, ...]:
        """Tell an event and all that follows from it; return the commands of the event itself."""
        commands = self.one(event)
        for command in commands:
            self.do(command)
        while self.queue:
            for command in self.one(self.queue.pop(0)):
                self.do(command)
        return commands

    def one(self, event: InstrumentEvent) -> tuple[InstrumentCommand, ...]:
        self.events.append(event)
        self.now = max(self.now, event.at)
        self.state, commands = step(self.terms, self.state, event)
        for command in commands:
            key = command_key(command)
            assert key not in self.keys, f"{key} was asked for twice"
            self.keys.add(key)
        self.commands += commands
        return commands

    def do(self, command: InstrumentCommand) -> None:
        """Carry a command out."""
        if isinstance(command, RequestPlan):
            self.queue.append(self.provided(command))
        elif isinstance(command, RequestAllocation):
            said = self.answer(command)
            if said is not None:
                self.queue.append(said)
        elif isinstance(command, PlaceOrder):
            self.ask(Place(command.at, command.order))
        elif isinstance(command, CancelOrder):
            self.ask(Cancel(command.at, command.order_id, command.reason))
        elif isinstance(command, ReplaceOrder):
            self.ask(Replace(command.at, command.order_id, price=command.price))

    def provided(self, request: RequestPlan) -> PlanProvided:
        made = None if self.plan is None else self.plan._replace(day=request.day, template=request.template)
        return PlanProvided(request.at, request.request_id, made, "" if made else "no playbook")

    def ask(self, given: Place | Cancel | Replace | BarClosed) -> None:
        self.broker, said = broker_step(self.broker_terms, self.broker, given)
        self.queue += reported(said)

    def day(self, close: float, low: float | None = None, high: float | None = None, opening: float | None = None) -> None:
        """Let a day pass: its bar at the broker, what that filled, its candle."""
        passed = bar(self.number, close, low, high, opening)
        self.number += 1
        self.ask(BarClosed(passed))
        self.flush()
        self.tell(CandleClosed(passed.ts, passed))

    def flush(self) -> None:
        while self.queue:
            for command in self.one(self.queue.pop(0)):
                self.do(command)

    def days(self, *closes: float) -> None:
        for close in closes:
            self.day(close)

    def said(self, kind: type) -> list:
        """Return the commands of a kind so far."""
        return [one for one in self.commands if isinstance(one, kind)]

    @property
    def orders(self) -> list:
        return [one.order for one in self.said(PlaceOrder)]

    @property
    def dispositions(self) -> list[tuple[str, str]]:
        return [(one.disposition, one.block_reason) for one in self.said(EmitSignal)]

    def outside(self, quantity: int) -> None:
        """Let the broker hold more (or less) by a trade that the workflow knows nothing of."""
        key = (self.config.account, self.config.strategy, self.config.symbol)
        self.broker = self.broker._replace(positions=self.broker.positions.set(key, self.held + quantity))

    @property
    def held(self) -> int:
        """What the broker holds."""
        return self.broker.held(self.config.account, self.config.strategy, self.config.symbol)


def grant(request: RequestAllocation) -> AllocationDecided:
    """Grant what is asked for, for four days."""
    intent = request.intent
    return AllocationDecided(
        request.at, intent.intent_id, "approved_full", intent.requested_risk, intent.requested_notional, request.at + 4 * DAY, ()
    )


def refuse(request: RequestAllocation) -> AllocationDecided:
    return AllocationDecided(request.at, request.intent.intent_id, "rejected_heat", 0, None, 0, ("constrained:heat",))


def silent(request: RequestAllocation) -> None:
    del request


def reported(events: Iterable[BrokerEvent]) -> list[InstrumentEvent]:
    """Return what a workflow is told of a broker's events."""
    told: list[InstrumentEvent] = []
    for one in events:
        if isinstance(one, Filled):
            told.append(
                FillReported(
                    one.at, one.execution_id, one.client_order_id, one.side, one.quantity, one.price, one.fee, one.left, one.ambiguous
                )
            )
        elif isinstance(one, Failed):
            told.append(OrderEnded(one.at, one.client_order_id, "failed", one.reason))
        elif isinstance(one, Changed) and one.after in ("rejected", "cancelled", "expired"):
            told.append(OrderEnded(one.at, one.client_order_id, one.after, one.reason))  # type: ignore[arg-type]
    return told


def fill(world: World, order_id: str, side: Direction | str, quantity: int, price: float, left: int = 0, name: str = "") -> FillReported:
    """A fill that no broker made."""
    execution = name or f"{order_id}@{len(world.events)}"
    return FillReported(world.now, execution, order_id, side, quantity, round(price * 10**6) * 10**12, 0, left)  # type: ignore[arg-type]


def again(events: Iterable[InstrumentEvent]) -> list[InstrumentEvent]:
    """Return events as they come back from a log."""
    return [decode_event(*encode_event(one)) for one in events]


def stored(state: InstrumentState) -> InstrumentState:
    """Return a state as it comes back from a store."""
    return state_of(state_bytes(state))


def walk(seed: int, length: int, first: float = 100.0, move: float = 0.02) -> list[Bar]:
    """Bars of a random walk."""
    drawn, close, bars = random.Random(seed), first, []
    for number in range(length):
        opening = close * (1 + drawn.uniform(-move, move) / 4)
        close = max(1.0, opening * (1 + drawn.uniform(-move, move)))
        high, low = max(opening, close) * (1 + drawn.random() * move / 2), min(opening, close) * (1 - drawn.random() * move / 2)
        bars.append(bar(number, close, low, high, opening))
    return bars


FLATTEN = {"force_flatten_only": True}


def armed(**named) -> World:
    """A thesis armed at the close of 101."""
    world = World(**named)
    world.days(100, 101)
    assert world.state.phase == "thesis_armed"
    return world


def ordered(**named) -> World:
    """An entry placed at the close of 102: stop 101, target 104."""
    world = armed(**named)
    world.day(102)
    assert world.state.phase == "thesis_armed" and len(world.orders) == 1
    return world


def holding(**named) -> World:
    """A position opened at 103."""
    world = ordered(**named)
    world.day(103)
    assert world.state.phase == "position_open" and world.held > 0
    return world


def tell_envelope(world: World, **changed) -> None:
    known = world.state.envelope
    world.tell(EnvelopeIssued(world.now, envelope(known.version + 1 if known else 1, world.now, **changed)))


def operator(world: World, command: str, until: int = 0, name: str = "o-1") -> None:
    world.tell(OperatorCommand(world.now, name, command, "alice", "because", until))  # type: ignore[arg-type]


def stop(world: World) -> None:
    world.tell(StopRequested(world.now, "s-1", "screener", "out of the list"))
