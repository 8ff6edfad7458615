"""What must hold of a workflow after every event, and schedules in which everything goes wrong."""

import random

from portfolio_platform.broker.model import Bar, BarClosed, Cancel
from portfolio_platform.broker.terms import BrokerTerms
from portfolio_platform.instruments.model import (
    AllocationDecided,
    AskJudge,
    CancelOrder,
    CandleClosed,
    EmitSignal,
    Enlist,
    EnvelopeIssued,
    ExitRule,
    FillReported,
    InstrumentCommand,
    InstrumentEvent,
    JudgeFeedback,
    OperatorCommand,
    PlaceOrder,
    Plan,
    ReleaseAllocation,
    ReplaceOrder,
    RequestAllocation,
    RequestPlan,
    ScreenerUpdate,
    Started,
    StopRequested,
)
from portfolio_platform.instruments.sizing import value_of
from portfolio_platform.instruments.state import InstrumentState
from portfolio_platform.instruments.transitions import TRANSITIONS
from portfolio_platform.instruments.workflow import query, step
from tests.unit.instruments.workflow_examples import CONFIG, DAY, UNIT, World, again, envelope, fill, grant, plan, stored, walk, when

WAYS = {(one.before, one.after) for one in TRANSITIONS}
QUIET = 12
"""Days after a schedule in which all has to come to its end."""
LEAVING = (CancelOrder, PlaceOrder, ReleaseAllocation, ReplaceOrder, EmitSignal, AskJudge, Enlist)


class Watched(World):
    """A world that looks at every step; ``deep`` also steps from what a store would give back, which is slow."""

    def __init__(self, *args: object, deep: bool = True, **named: object) -> None:
        self.deep = deep
        self.granted: dict[str, int] = {}
        self.fills: dict[str, int] = {}
        self.orders_ever: dict[str, PlaceOrder] = {}
        self.visited: set[tuple[str, str]] = set()
        super().__init__(*args, **named)  # type: ignore[arg-type]

    def one(self, event: InstrumentEvent) -> tuple[InstrumentCommand, ...]:
        before = self.state
        commands = super().one(event)
        self.note(event)
        self.look(before, event, commands)
        return commands

    def note(self, event: InstrumentEvent) -> None:
        if isinstance(event, FillReported) and self.state.config is not None:
            self.fills[event.execution_id] = event.quantity if event.side == "buy" else -event.quantity
        if isinstance(event, AllocationDecided) and event.code.startswith("approved"):
            self.granted.setdefault(event.intent_id, event.approved_risk)

    def look(self, before: InstrumentState, event: InstrumentEvent, commands: tuple[InstrumentCommand, ...]) -> None:
        after = self.state
        if self.deep:
            said = step(self.terms, stored(before), again([event])[0])
            assert said == (after, commands), "from a store it goes on otherwise"
        self.transitions(before, after, event)
        self.orders_of(before, event, commands)
        self.holdings(before, after, event)
        if before.phase in ("flattening", "stopped") and not isinstance(event, Started):
            allowed = (*LEAVING, RequestPlan) if after.phase not in ("flattening", "stopped") else LEAVING
            assert all(isinstance(one, allowed) for one in commands), commands
        if before.phase == "stopped" and after.phase == "stopped":
            assert all(isinstance(one, (CancelOrder, ReleaseAllocation)) for one in commands), commands
        if after.phase == "position_open":
            assert not any(isinstance(one, (RequestPlan, RequestAllocation)) for one in commands), "the hold lock"
            if before.phase == "position_open":
                assert (after.plan, after.template) == (before.plan, before.template), "the hold lock"
        assert query(after).waits_for
        repeated = step(self.terms, after, event)
        assert repeated[1] == (), f"said twice, {type(event).__name__} did something twice: {repeated[1]}"
        assert repeated[0].phase == after.phase and repeated[0].position == after.position

    def transitions(self, before: InstrumentState, after: InstrumentState, event: InstrumentEvent) -> None:
        if before.phase != after.phase:
            way = (before.phase, after.phase)
            self.visited.add(way)
            through = {(before.phase, "flattening"), ("flattening", after.phase)} <= WAYS
            rested = {(before.phase, "idle"), ("idle", after.phase)} <= WAYS
            entered = (before.phase, after.phase) == ("thesis_armed", "flattening")
            assert way in WAYS or through or rested or entered, (way, event)

    def orders_of(self, before: InstrumentState, event: InstrumentEvent, commands: tuple[InstrumentCommand, ...]) -> None:
        after, limits = self.state, self.state.envelope
        for command in commands:
            if isinstance(command, RequestAllocation):
                assert limits is not None and 0 < command.intent.requested_risk <= limits.max_new_risk
                assert limits.symbol_max_risk is None or command.intent.requested_risk <= limits.symbol_max_risk
            if not isinstance(command, PlaceOrder):
                continue
            order = command.order
            assert order.quantity > 0
            if order.reduces:
                held = after.position.quantity if after.position is not None else 0
                assert held * order.sign < 0, "an exit leads away from flat"
                continue
            assert before.phase == after.phase == "thesis_armed", "an entry outside of an armed thesis"
            assert not after.stopping and event.at >= after.blocked_until
            assert limits is not None and not limits.force_flatten_only and limits.portfolio_mode != "risk_off"
            assert event.at < limits.expires_at
            price, stop = order.labels.decision_price, order.exit_stop
            assert stop > 0 and (price - stop) * order.sign > 0, "an entry without a stop"
            assert not order.exit_target or (order.exit_target - price) * order.sign > 0
            assert after.setup is not None and after.setup.contract is not None and after.setup.contract.bars > 0
            assert order.quantity % self.config.lot == 0
            risk = value_of(self.config, abs(price - stop), order.quantity)
            assert risk <= self.granted[order.labels.intent_id], "more than was granted"
            assert limits.symbol_max_risk is None or risk <= limits.symbol_max_risk, "more than the envelope in force"
            usual = limits.equity * min(after.plan.risk_ppm, self.config.limits.risk_ppm) // 10**6  # type: ignore[union-attr]
            assert risk <= usual * limits.size_multiplier_cap // 10**6, "more than the envelope's share of the usual size"
            assert value_of(self.config, price, order.quantity) <= limits.equity * self.config.limits.notional_ppm // 10**6

    def holdings(self, before: InstrumentState, after: InstrumentState, event: InstrumentEvent) -> None:
        position = after.position
        held = position.quantity if position is not None else 0
        assert held == sum(self.fills.values()), "not what was reported"
        if position is None or not held:
            return
        assert after.phase in ("position_open", "flattening")
        if after.phase == "position_open":
            contract = position.contract
            assert contract is not None and contract.stop > 0 and contract.bars > 0, "a position without an exit contract"
            if before.position is not None and before.position.contract is not None:
                assert before.position.contract == contract, "a target that was thought of anew"
                sign = 1 if position.direction == "long" else -1
                assert (position.stop - before.position.stop) * sign >= 0, "a stop was loosened"
        if isinstance(event, CandleClosed) and after.candles > before.candles:
            exits = sum(one.left for one in after.orders if one.purpose == "exit" and not one.cancelled and one.sign * held < 0)
            stops = sum(one.left for one in after.orders if one.purpose == "stop" and not one.cancelled)
            leaving = after.phase == "flattening" or position.closing
            assert (exits if leaving else stops) >= abs(held), "nothing stands to leave it"


def schedule(seed: int, steps: int = 60, deep: bool = False) -> Watched:
    """Run a schedule: candles twice, late, reordered and missing, answers that come late, twice, or never, a broker that fails."""
    drawn = random.Random(seed)
    trouble = drawn.choice([0, 0, 100_000, 300_000])
    broker = BrokerTerms(
        seed=seed,
        slippage=drawn.choice([0, 200]),
        partial=drawn.choice([0, 400_000]),
        reject=trouble,
        fail=trouble // 2,
        unanswered=trouble // 2,
    )
    config = CONFIG._replace(shorts=drawn.random() < 0.8, lot=drawn.choice([1, UNIT // 1000, UNIT]))
    world = Watched(_plan(drawn), config, broker=broker, deep=deep)
    world.answer = lambda request: _answered(drawn, request)
    bars = walk(seed, steps + QUIET, move=drawn.choice([0.01, 0.03, 0.08]))
    chaos = Chaos(world, drawn, bars[:steps])
    chaos.run()
    chaos.end(bars[steps:])
    return world


class Chaos:
    """Tells a world what happens, not always in order, not always once."""

    def __init__(self, world: Watched, drawn: random.Random, bars: list[Bar]) -> None:
        self.world, self.drawn, self.bars = world, drawn, bars
        self.orderly = drawn.random() < 0.3
        self.kept: list[InstrumentEvent] = []
        self.past: list[InstrumentEvent] = []
        self.version, self.number = 1, 0

    def run(self) -> None:
        for bar in self.bars:
            if self.drawn.random() < 0.05:
                continue
            self.world.ask(BarClosed(bar))
            candle = CandleClosed(bar.ts, bar, ("1w",) if self.drawn.random() < 0.2 else ())
            told: list[InstrumentEvent] = [*self.kept, *self.world.queue, candle]
            self.kept, self.world.queue = [], []
            if not self.orderly and self.drawn.random() < 0.2:
                self.drawn.shuffle(told)
            for event in told:
                self.tell(event)
            if self.drawn.random() < 0.25:
                self.tell(self.other(bar.ts))

    def end(self, quiet: list[Bar]) -> None:
        """Ask to end, let a good broker have some quiet days, and see that nothing is held by anybody."""
        world, self.orderly = self.world, True
        world.broker_terms = BrokerTerms()
        if world.state.phase != "stopped":
            self.tell(StopRequested(world.now, "the-end", "screener", "out of the list"))
        for bar in quiet:
            world.ask(BarClosed(bar))
            kept = [one for one in self.kept if not isinstance(one, Started)]
            told: list[InstrumentEvent] = [*kept, *world.queue, CandleClosed(bar.ts, bar)]
            self.kept, world.queue = [], []
            for event in told:
                self.tell(event)
        assert world.state.phase == "stopped" and world.state.position is None, (world.state.phase, world.state.flattening)
        assert world.held == 0, "the broker still holds something"
        assert not world.broker.open_orders("AAA"), "an order rests after the end"

    def tell(self, event: InstrumentEvent) -> None:
        chance = self.drawn.random()
        if not self.orderly and chance < 0.06:
            self.kept.append(event)
            return
        waiting = [event]
        while waiting:
            one = waiting.pop(0)
            for command in self.world.one(one):
                self.world.do(command)
            self.past.append(one)
            waiting += self.world.queue
            self.world.queue = []
        if chance > 0.9:
            # once more: this one, or one of long ago
            one = event if chance > 0.95 else self.drawn.choice(self.past[-100:])
            for command in self.world.one(one):
                self.world.do(command)

    def other(self, at: int) -> InstrumentEvent:
        drawn, self.number = self.drawn, self.number + 1
        kind = drawn.randrange(13)
        name = f"{kind}-{self.number}"
        if kind < 3:
            self.version += 1
            return EnvelopeIssued(at, self.envelope(at))
        if kind < 5:
            templates = ("bull_trending", "mean_reversion", "uncertain_wait")
            return ScreenerUpdate(at, name, drawn.choice(templates), drawn.randrange(8))
        if kind < 7:
            stance = drawn.choice(("neutral", "cautious", "block", "favourable"))
            until = at + drawn.randrange(5) * DAY if stance == "block" else 0
            return JudgeFeedback(
                at, name, stance, drawn.choice((1_000_000, 500_000, 0, 2_000_000)), until or (at if stance == "block" else 0)
            )
        if kind < 9:
            command = drawn.choice(("flatten", "block", "unblock", "unblock", "replan"))
            return OperatorCommand(at, name, command, "alice", "why not", at + drawn.randrange(6) * DAY)
        if kind == 9:
            if self.world.state.phase == "stopped":
                return Started(at, self.world.config)
            return StopRequested(at, name, "screener", "out of the list") if drawn.random() < 0.3 else self.other(at)
        if kind == 10:
            side, quantity = drawn.choice(("buy", "sell")), drawn.randrange(1, 50) * UNIT
            self.world.outside(quantity if side == "buy" else -quantity)
            return fill(self.world, f"nobody-{self.number}", side, quantity, 100.0, name=name)
        for one in self.world.broker.open_orders("AAA"):
            if one.order.kind in ("stop", "target"):
                # the broker loses an exit
                self.world.ask(Cancel(at, one.order.client_order_id, "lost"))
        return JudgeFeedback(at, name, "neutral")

    def envelope(self, at: int) -> object:
        drawn = self.drawn
        return envelope(
            self.version - (drawn.random() < 0.2),
            at,
            portfolio_mode=drawn.choice(("normal", "normal", "defensive", "risk_off")),
            force_flatten_only=drawn.random() < 0.15,
            size_multiplier_cap=drawn.choice((1_000_000, 500_000)),
            symbol_max_risk=drawn.choice((None, 20_000, 2_000)),
            max_new_risk=drawn.choice((0, 10_000, 10**9)),
            expires_at=at + drawn.choice((2, 30)) * DAY,
        )


def _answered(drawn: random.Random, request: RequestAllocation) -> AllocationDecided | None:
    granted, chance = grant(request), drawn.random()
    if chance < 0.1:
        return None
    if chance < 0.25:
        return granted._replace(code="rejected_heat", approved_risk=0, approved_notional=None, expires_at=0)
    if chance < 0.6:
        share = drawn.randrange(1, 1_000_000)
        notional = None if granted.approved_notional is None else granted.approved_notional * share // 10**6
        return granted._replace(code="approved_clipped", approved_risk=granted.approved_risk * share // 10**6, approved_notional=notional)
    return granted


def _plan(drawn: random.Random) -> Plan:
    timeframe = drawn.choice(("1d", "1d", "1w"))
    short = (("short", when("return_1", "above", -(10**7), timeframe)),)
    return plan(
        thesis=(("long", when("return_1", "above", drawn.choice((-(10**7), 0)), timeframe)), *short),
        activation=(("long", when("return_1", "above", 0)), ("short", when("return_1", "below", 0))),
        invalidation=(("long", when("return_1", "below", -20_000)), ("short", when("return_1", "above", 20_000))),
        stop=drawn.choice((ExitRule("atr", 1_500_000, 2), ExitRule("range", 100_000, 2))),
        target=drawn.choice((ExitRule("r", 2_000_000), ExitRule("none"), ExitRule("atr", 2_000_000, 2), ExitRule("mean", 0, 3))),
        trail=drawn.choice((ExitRule("none"), ExitRule("atr", 1_000_000, 2), ExitRule("range", 0, 3))),
        time_exit_bars=drawn.randrange(1, 6),
        timeout_bars=drawn.randrange(1, 4),
        cooldown_bars=drawn.randrange(3),
        minimum_r_ppm=drawn.choice((0, 1_000_000)),
    )
