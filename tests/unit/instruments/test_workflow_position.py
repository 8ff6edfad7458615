"""What is held, and how it is left: stop, target, time, and orders that go wrong."""

from portfolio_platform.broker.model import Cancel
from portfolio_platform.broker.terms import BrokerTerms, Injection
from portfolio_platform.instruments.model import (
    AskJudge,
    CancelOrder,
    ExitRule,
    ReleaseAllocation,
    ReplaceOrder,
    ScreenerUpdate,
)
from portfolio_platform.instruments.workflow import query
from tests.unit.instruments.workflow_examples import (
    UNIT,
    World,
    holding,
    operator,
    ordered,
    plan,
    when,
)

# --- what is held


def test_the_target_ends_the_trade_and_the_judge_is_asked():
    world = holding()
    world.day(104)
    outcome = world.state.outcomes[-1]
    assert (outcome.exit, outcome.trade_id, outcome.bars) == ("target", "main:AAA:1", 1)
    assert outcome.pnl_minor == 490_00 and outcome.r_ppm == 1_000_000, "bought at 103, sold at 104, at risk was 1"
    assert world.said(AskJudge) == [AskJudge(world.now, "main:AAA:1:judge", (outcome,))]
    assert world.state.phase == "cooldown" and world.held == 0 and world.state.position is None


def test_the_stop_ends_the_trade():
    world = holding()
    world.day(100, opening=102)
    outcome = world.state.outcomes[-1]
    assert (outcome.exit, outcome.r_ppm) == ("stop", -2_000_000), "bought at 103 instead of 102, and stopped at 101"
    assert world.state.phase == "cooldown" and world.held == 0


def test_the_time_exit_leaves_at_the_next_open():
    world = holding(given=plan(time_exit_bars=3))
    world.days(102, 102.5)
    order = world.orders[-1]
    assert (order.kind, order.side, order.quantity, order.reduces) == ("market", "sell", 490 * UNIT, True)
    assert world.state.position is not None and world.state.position.closing == "time" and world.held == 490 * UNIT
    world.day(102)
    assert world.state.outcomes[-1].exit == "time" and world.held == 0 and not world.broker.open_orders("AAA")


def test_a_short_position_is_left_as_a_long_one_is():
    short = plan(
        thesis=(("short", when("return_1", "above", -(10**7))),),
        activation=(("short", when("return_1", "below", 0)),),
        invalidation=(),
        time_exit_bars=2,
    )
    world = World(short)
    world.days(100, 99, 98)
    order = world.orders[0]
    assert (order.side, order.exit_stop, order.exit_target) == ("sell", 99 * UNIT, 96 * UNIT)
    world.days(97.5, 97.6)
    assert world.orders[-1].side == "buy" and world.orders[-1].reduces
    world.day(97.5)
    assert world.state.outcomes[-1].exit == "time" and world.held == 0 and world.state.outcomes[-1].r_ppm == 0


def test_a_trailing_stop_only_ever_tightens():
    world = holding(given=plan(target=ExitRule("none"), trail=ExitRule("range", 0, 2), time_exit_bars=50))
    for close in (106, 108, 107, 107.5, 110):
        world.day(close)
    prices = [one.price for one in world.said(ReplaceOrder)]
    assert prices == sorted(set(prices)) and prices[-1] == 107_500_000 * 10**12
    assert world.state.position is not None and world.state.position.stop == prices[-1]
    resting = world.broker.open_orders("AAA")
    assert [one.order.price for one in resting] == [prices[-1]], "the broker has it too"


def test_while_a_position_is_held_there_is_no_plan_no_thesis_and_no_judge():
    world = holding(given=plan(time_exit_bars=50, target=ExitRule("none")))
    before = len(world.commands)
    held = world.state.plan
    world.tell(ScreenerUpdate(world.now, "p-2", "mean_reversion", 1))
    operator(world, "replan")
    world.days(103, 104, 105, 106, 107, 108, 109)
    assert world.commands[before:] == [] and world.state.plan == held and world.state.template == "bull_trending"
    assert query(world.state).next_template == "mean_reversion"


def test_a_partial_entry_is_a_position_and_grows_under_the_same_contract():
    world = ordered(broker=BrokerTerms(injections=(Injection("partial", client_order_id="main:AAA:1:entry", share=500_000),)))
    world.day(103)
    position = world.state.position
    assert position is not None and position.quantity == 245 * UNIT and world.state.phase == "position_open"
    world.broker_terms = BrokerTerms()
    world.day(103)
    assert world.state.position is not None and world.state.position.quantity == 490 * UNIT
    assert [(one.purpose, one.quantity) for one in world.state.orders] == [("stop", 490 * UNIT), ("target", 490 * UNIT)]
    world.day(104)
    assert world.state.phase == "cooldown" and world.held == 0


def test_what_is_unfilled_of_an_entry_is_cancelled_once_the_position_is_being_left():
    world = ordered(broker=BrokerTerms(injections=(Injection("partial", client_order_id="main:AAA:1:entry", share=500_000),)))
    world.day(103)
    world.day(100.5, opening=101.5)
    assert world.held == 0 and world.state.phase == "cooldown" and not world.broker.open_orders("AAA")
    assert "main:AAA:1:entry" in [one.order_id for one in world.said(CancelOrder)]
    assert [one.reason for one in world.said(ReleaseAllocation)] == ["the entry was cancelled"]


def test_a_partial_exit_is_followed_by_the_rest():
    world = holding()
    world.broker_terms = BrokerTerms(injections=(Injection("partial", share=500_000),))
    world.day(100, opening=100)
    assert 0 < world.held < 490 * UNIT and world.state.phase == "position_open"
    world.broker_terms = BrokerTerms()
    world.day(100)
    assert world.held == 0 and world.state.outcomes[-1].exit == "stop"


def test_a_stop_that_the_broker_lost_is_placed_again_and_after_that_the_position_is_closed():
    world = holding()
    for attempt in (1, 2):
        lost = next(one.order_id for one in world.state.orders if one.purpose == "stop")
        world.ask(Cancel(world.now, lost, "lost"))
        world.flush()
        again = world.orders[-1]
        assert (again.kind, again.price, again.quantity) == ("stop", 101 * UNIT, 490 * UNIT), attempt
    world.ask(Cancel(world.now, world.orders[-1].client_order_id, "lost"))
    world.flush()
    assert world.orders[-1].kind == "market" and world.orders[-1].reduces
    world.day(103)
    assert world.held == 0 and world.state.phase == "cooldown" and world.state.notices[-1].kind == "no_stop"


def test_a_target_that_the_broker_lost_is_placed_again():
    world = holding()
    lost = next(one.order_id for one in world.state.orders if one.purpose == "target")
    world.ask(Cancel(world.now, lost, "lost"))
    world.flush()
    again = world.orders[-1]
    assert (again.kind, again.price, again.quantity, again.reduces) == ("target", 104 * UNIT, 490 * UNIT, True)
    world.day(104)
    assert world.held == 0 and world.state.outcomes[-1].exit == "target" and not world.broker.open_orders("AAA")


def test_an_exit_that_is_rejected_is_placed_again_at_the_next_close():
    world = holding(
        given=plan(time_exit_bars=1), broker=BrokerTerms(injections=(Injection("reject", client_order_id="main:AAA:1:exit-1"),))
    )
    assert [one.client_order_id for one in world.orders] == ["main:AAA:1:entry", "main:AAA:1:exit-1"]
    world.day(103)
    assert world.orders[-1].client_order_id == "main:AAA:1:exit-2"
    world.day(103)
    assert world.held == 0


def test_an_exit_that_does_nothing_is_replaced_by_another():
    world = holding(
        given=plan(time_exit_bars=1), broker=BrokerTerms(injections=(Injection("unanswered", client_order_id="main:AAA:1:exit-1"),))
    )
    world.days(103, 103)
    assert world.orders[-1].client_order_id == "main:AAA:1:exit-2"
    world.day(103)
    assert world.held == 0 and not world.broker.open_orders("AAA")
