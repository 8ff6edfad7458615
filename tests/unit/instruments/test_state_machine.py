"""What must always hold of a workflow, over schedules that a seed or hypothesis thought of."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from portfolio_platform.broker.model import BarClosed, Cancel
from portfolio_platform.broker.terms import BrokerTerms
from portfolio_platform.instruments.exits import contract_of, trailed
from portfolio_platform.instruments.model import (
    AllocationDecided,
    CandleClosed,
    EnvelopeIssued,
    ExitRule,
    InstrumentEvent,
    JudgeFeedback,
    OperatorCommand,
    RequestAllocation,
    ScreenerUpdate,
    Started,
    StopRequested,
)
from portfolio_platform.instruments.sizing import affordable, value_of, wish
from portfolio_platform.instruments.state import Position
from tests.unit.instruments.workflow_examples import CONFIG, DAY, UNIT, World, bar, envelope, fill, grant, plan, walk
from tests.unit.instruments.workflow_watch import WAYS, Watched, schedule

MOVES = st.sampled_from((-30_000, -9_000, -2_000, 0, 2_000, 9_000, 30_000))
PRICES = st.integers(1, 10**6).map(lambda cents: cents * 10**16)


class WorkflowMachine(RuleBasedStateMachine):
    """A workflow, a broker, a control plane that answers as it likes, and people; events come late, twice, or not."""

    @initialize(
        trouble=st.sampled_from((0, 300_000)), partial=st.sampled_from((0, 500_000)), trail=st.booleans(), shares=st.sampled_from((1, UNIT))
    )
    def begin(self, trouble: int, partial: int, trail: bool, shares: int) -> None:
        rules = plan(trail=ExitRule("range", 0, 2) if trail else ExitRule("none"), time_exit_bars=3)
        broker = BrokerTerms(seed=trouble + partial, partial=partial, reject=trouble, fail=trouble // 2, unanswered=trouble // 2)
        self.world = Watched(rules, CONFIG._replace(lot=shares), broker=broker)
        self.price, self.held_back, self.version, self.number = 100_000_000, list[InstrumentEvent](), 1, 0
        self.share = 1_000_000
        self.world.answer = self.answer

    def answer(self, request: RequestAllocation) -> AllocationDecided | None:
        granted = grant(request)
        if not self.share:
            return granted._replace(code="rejected_heat", approved_risk=0, approved_notional=None, expires_at=0)
        return granted._replace(approved_risk=granted.approved_risk * self.share // 10**6)

    def tell(self, *events: InstrumentEvent) -> None:
        for event in events:
            self.world.tell(event)

    def name(self) -> str:
        self.number += 1
        return f"n-{self.number}"

    @rule(moves=st.lists(MOVES, min_size=1, max_size=4), spread=st.sampled_from((0, 5_000, 20_000)), told=st.sampled_from("yyyyylt"))
    def days_pass(self, moves: list[int], spread: int, told: str) -> None:
        for move in moves:
            first = self.price / 10**6
            self.price = max(10_000_000, self.price + self.price * move // 10**6)
            close, world = self.price / 10**6, self.world
            passed = bar(world.number, close, min(first, close) * (1 - spread / 10**6), max(first, close) * (1 + spread / 10**6), first)
            world.number += 1
            world.ask(BarClosed(passed))
            candle = CandleClosed(passed.ts, passed)
            if told == "l":
                # the candle is told now, what happened at the broker later
                self.held_back, world.queue = [*self.held_back, *world.queue], []
                self.tell(candle)
                continue
            world.flush()
            self.tell(candle, *((candle,) if told == "t" else ()))

    @rule()
    def what_was_held_back_comes(self) -> None:
        late, self.held_back = self.held_back, []
        self.tell(*reversed(late))

    @rule(share=st.sampled_from((0, 1, 300_000, 1_000_000)))
    def the_control_plane_answers_otherwise(self, share: int) -> None:
        self.share = share

    @rule(
        mode=st.sampled_from(("normal", "normal", "defensive", "risk_off")),
        flatten=st.sampled_from((False, False, True)),
        most=st.sampled_from((None, 0, 2_000, 30_000)),
        cap=st.sampled_from((1_000_000, 250_000)),
        days=st.sampled_from((1, 40)),
    )
    def an_envelope_comes(self, mode: str, flatten: bool, most: int | None, cap: int, days: int) -> None:
        self.version += 1
        now = self.world.now
        limits = envelope(
            self.version,
            now,
            portfolio_mode=mode,
            force_flatten_only=flatten,
            symbol_max_risk=most,
            size_multiplier_cap=cap,
            expires_at=now + days * DAY,
        )
        self.tell(EnvelopeIssued(now, limits))

    @rule(command=st.sampled_from(("flatten", "block", "unblock", "replan")), days=st.integers(0, 3))
    def a_person_orders(self, command: str, days: int) -> None:
        now = self.world.now
        self.tell(OperatorCommand(now, self.name(), command, "alice", "because", now + days * DAY))  # type: ignore[arg-type]

    @rule(stance=st.sampled_from(("neutral", "cautious", "block")), size=st.sampled_from((0, 400_000, 1_000_000)), days=st.integers(1, 4))
    def the_judge_speaks(self, stance: str, size: int, days: int) -> None:
        until = self.world.now + days * DAY if stance == "block" else 0
        self.tell(JudgeFeedback(self.world.now, self.name(), stance, size, until))  # type: ignore[arg-type]

    @rule(template=st.sampled_from(("bull_trending", "mean_reversion")))
    def the_screener_speaks(self, template: str) -> None:
        self.tell(ScreenerUpdate(self.world.now, self.name(), template))

    @rule(quantity=st.integers(-40, 40).filter(bool))
    def a_fill_comes_that_nobody_asked_for(self, quantity: int) -> None:
        self.world.outside(quantity * UNIT)
        name = self.name()
        self.tell(fill(self.world, name, "buy" if quantity > 0 else "sell", abs(quantity) * UNIT, 100.0, name=name))

    @rule()
    def the_broker_loses_an_exit(self) -> None:
        for one in self.world.broker.open_orders("AAA"):
            if one.order.kind == "stop":
                self.world.ask(Cancel(self.world.now, one.order.client_order_id, "lost"))
        self.world.flush()

    @rule()
    def it_is_asked_to_end_or_started_again(self) -> None:
        if self.world.state.phase == "stopped":
            self.tell(Started(self.world.now, CONFIG))
        else:
            self.tell(StopRequested(self.world.now, self.name(), "screener", "out of the list"))

    @invariant()
    def the_position_is_that_of_the_fills(self) -> None:
        if hasattr(self, "world"):
            position = self.world.state.position
            assert (position.quantity if position is not None else 0) == sum(self.world.fills.values())


TestWorkflowMachine = WorkflowMachine.TestCase
TestWorkflowMachine.settings = settings(max_examples=25, stateful_step_count=20, deadline=None)


@pytest.mark.parametrize("seed", range(12))
def test_a_schedule_in_which_everything_goes_wrong_ends_stopped_and_flat(seed):
    schedule(seed, steps=40, deep=seed < 4)


def test_the_schedules_go_every_way_of_the_table():
    gone: set[tuple[str, str]] = set()
    for seed in range(100, 200):
        gone |= schedule(seed, steps=40).visited
        if gone >= WAYS:
            return
    assert gone >= WAYS, WAYS - gone


def test_what_comes_after_a_candle_changes_nothing_of_what_was_done_at_it():
    first, second = walk(7, 60), walk(7, 60)
    second[40:] = [one._replace(open=one.open // 2, high=one.high, low=one.low // 3, close=one.close // 2) for one in second[40:]]
    commands = []
    for bars in (first, second):
        world = World(plan(time_exit_bars=3))
        for number, passed in enumerate(bars):
            if number == 40:
                commands.append(list(world.commands))
            world.ask(BarClosed(passed))
            world.flush()
            world.tell(CandleClosed(passed.ts, passed))
    assert commands[0] == commands[1] and len(commands[0]) > 20


@settings(max_examples=60, deadline=None)
@given(price=PRICES, amount=st.integers(0, 10**12), lot=st.sampled_from((1, 10**15, UNIT, 100 * UNIT)), multiplier=st.sampled_from((1, 50)))
def test_what_an_amount_buys_is_whole_lots_within_it_and_one_more_lot_is_not(price, amount, lot, multiplier):
    config = CONFIG._replace(lot=lot, multiplier=multiplier * UNIT)
    quantity = affordable(config, price, amount)
    assert quantity % lot == 0 and value_of(config, price, quantity) <= amount
    assert (quantity + lot) * price * config.multiplier * 100 > amount * 10**54


def test_a_size_worked_out_by_hand():
    # 0.5 % of 100,000.00 is 500.00; 2.00 away from the stop that is 250 units, and 12,500.00 of 50.00 each
    made = wish(CONFIG, plan(), envelope(), 100_000_00, 1_000_000, 50 * UNIT, 48 * UNIT)
    assert (made.risk, made.notional, made.quantity, made.bounds) == (500_00, 12_500_00, 250 * UNIT, ())
    # the judge's half, and a lot of 100: 125 units become 100
    made = wish(CONFIG._replace(lot=100 * UNIT), plan(), envelope(), 100_000_00, 500_000, 50 * UNIT, 48 * UNIT)
    assert (made.wanted_risk, made.risk, made.notional, made.quantity) == (250_00, 200_00, 5_000_00, 100 * UNIT)


@settings(max_examples=60, deadline=None)
@given(
    closes=st.lists(st.integers(50, 200), min_size=8, max_size=8),
    long=st.booleans(),
    stop=st.sampled_from((ExitRule("atr", 1_500_000, 3), ExitRule("range", 0, 3), ExitRule("range", 500_000, 3))),
    target=st.sampled_from((ExitRule("none"), ExitRule("r", 2_000_000), ExitRule("atr", 3_000_000, 3), ExitRule("mean", 0, 5))),
    minimum=st.sampled_from((0, 1_000_000)),
)
def test_a_contract_has_its_stop_on_the_losing_side_and_is_worth_its_risk(closes, long, stop, target, minimum):
    bars = [bar(number, close, close - 1, close + 1) for number, close in enumerate(closes)]
    direction = "long" if long else "short"
    contract, fault = contract_of(plan(stop=stop, target=target), direction, bars, 10**14, minimum)
    if contract is None:
        assert fault
        return
    sign = 1 if long else -1
    risk, reward = (contract.price - contract.stop) * sign, (contract.target - contract.price) * sign
    assert risk > 0 and contract.stop % 10**14 == 0 and contract.price == bars[-1].close
    assert target.kind == "none" or (reward > 0 and reward * 10**6 >= minimum * risk)


def test_contracts_worked_out_by_hand():
    # true ranges of the last two bars: 4 and 6, their mean is 5
    bars = [bar(0, 100, 98, 102), bar(1, 101, 99, 103), bar(2, 105, 100, 106)]
    rules = plan(stop=ExitRule("atr", 2_000_000, 2), target=ExitRule("r", 1_500_000))
    long, _ = contract_of(rules, "long", bars, 10**14, 0)
    short, _ = contract_of(rules, "short", bars, 10**14, 0)
    assert long is not None and (long.price, long.stop, long.target) == (105 * UNIT, 95 * UNIT, 120 * UNIT)
    assert short is not None and (short.stop, short.target, short.reward_ppm) == (115 * UNIT, 90 * UNIT, 1_500_000)
    # the range of the last two bars is 99 to 106; half of it beyond its edges
    rules = plan(stop=ExitRule("range", 500_000, 2), target=ExitRule("range", 1_000_000, 2))
    long, _ = contract_of(rules, "long", bars, 10**14, 0)
    assert long is not None and (long.stop, long.target) == (955 * UNIT // 10, 113 * UNIT)


@settings(max_examples=60, deadline=None)
@given(
    closes=st.lists(st.integers(50, 200), min_size=4, max_size=20),
    long=st.booleans(),
    rule=st.sampled_from((ExitRule("atr", 1_000_000, 2), ExitRule("range", 0, 2), ExitRule("none"))),
)
def test_a_trail_never_loosens_a_stop_and_never_reaches_the_price(closes, long, rule):
    bars = [bar(number, close, close - 1, close + 1) for number, close in enumerate(closes)]
    sign, direction = (1, "long") if long else (-1, "short")
    contract, _ = contract_of(plan(stop=ExitRule("range", 0, 2), target=ExitRule("none")), direction, bars[:3], 10**14, 0)
    if contract is None:
        return
    position = Position("t", direction, contract, contract.stop, sign * UNIT)
    for count in range(3, len(bars)):
        stop = trailed(rule, position, bars[: count + 1], 10**14)
        assert (stop - position.stop) * sign >= 0
        assert stop == position.stop or (bars[count].close - stop) * sign > 0
        position = position._replace(stop=stop)
