"""The workflow of an instrument against a paper broker: every transition, and what it does when things go wrong."""

import pytest

from portfolio_platform.broker.model import Cancel
from portfolio_platform.broker.terms import BrokerTerms, Injection
from portfolio_platform.instruments.encoding import command_key, event_key
from portfolio_platform.instruments.model import (
    PHASES,
    AllocationDecided,
    AskJudge,
    CancelOrder,
    CandleClosed,
    EmitSignal,
    Enlist,
    EnvelopeIssued,
    ExitRule,
    FillReported,
    JudgeFeedback,
    OperatorCommand,
    PlaceOrder,
    PlanProvided,
    ReleaseAllocation,
    ReplaceOrder,
    RequestAllocation,
    RequestPlan,
    ScreenerUpdate,
    Started,
    StopRequested,
)
from portfolio_platform.instruments.state import WorkflowTerms
from portfolio_platform.instruments.transitions import AFTER, TRANSITIONS
from portfolio_platform.instruments.workflow import query, replay
from tests.unit.instruments.workflow_examples import (
    CONFIG,
    DAY,
    MONDAY,
    TERMS,
    UNIT,
    World,
    bar,
    envelope,
    fill,
    grant,
    plan,
    refuse,
    silent,
    stored,
    when,
)

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


# --- from idle to an entry


def test_the_start_wants_envelopes_and_a_plan_for_the_template():
    world = World(begin=False)
    commands = world.tell(Started(MONDAY, CONFIG))
    assert commands == (
        Enlist(MONDAY, True, 1),
        RequestPlan(MONDAY, "main:AAA:plan-1", "AAA", "bull_trending", "2023-12-31", ""),
    )
    assert world.state.phase == "idle" and world.state.plan is not None and world.state.plan.day == "2023-12-31"


def test_nothing_is_asked_for_before_a_template_is_known():
    world = World(config=CONFIG._replace(template=""))
    world.days(100, 101, 102)
    assert world.said(RequestPlan) == [] and query(world.state).waits_for == "a template of the screener"


def test_a_thesis_that_holds_at_a_policy_boundary_is_armed():
    world = armed()
    setup = world.state.setup
    assert setup is not None and (setup.setup_id, setup.direction, setup.timeframe) == ("main:AAA:1", "long", "1d")
    assert (setup.low, setup.high, setup.armed_at) == (101 * UNIT, 101 * UNIT, MONDAY + 2 * DAY)
    assert world.said(EmitSignal) == [], "a thesis is not a signal"


def test_no_thesis_is_armed_between_two_closes_of_its_timeframe():
    world = World(plan(thesis=(("long", when("return_1", "above", -(10**7), "1w")),)))
    phases = []
    for number in range(16):
        world.day(100 + number)
        phases.append(world.state.phase)
    # weeks end with the bars of the 7th and the 14th day; a return needs two of them
    assert phases[:13] == ["idle"] * 13 and phases[13] == "thesis_armed"


def test_candles_from_before_the_start_fill_the_windows_and_do_nothing_else():
    world = World(begin=False)
    world.tell(Started(MONDAY + 3 * DAY, CONFIG))
    before = len(world.commands)
    world.days(100, 101)
    assert world.state.phase == "idle" and world.commands[before:] == [] and len(world.state.windows[0].bars) == 2
    world.day(102)
    assert world.state.phase == "thesis_armed", "the candle of the start itself is looked at"


def test_no_thesis_is_armed_in_a_regime_that_is_not_eligible():
    world = World(plan(regimes=("bear_vol_high",)))
    world.days(100, 101, 102)
    assert world.state.phase == "idle" and world.state.declined == "regime unknown is not eligible"


def test_no_short_is_armed_where_shorts_are_not_allowed():
    thesis = (("short", when("return_1", "above", -(10**7))),)
    for shorts, phase in ((True, "thesis_armed"), (False, "idle")):
        world = World(plan(thesis=thesis), CONFIG._replace(shorts=shorts))
        world.days(100, 101)
        assert world.state.phase == phase


def test_an_activation_emits_the_signal_then_asks_and_the_answer_is_an_entry_with_its_exits():
    world = armed()
    before = len(world.commands)
    world.day(102)
    signal, request, taken, placed = world.commands[before:]
    assert isinstance(signal, EmitSignal) and isinstance(request, RequestAllocation) and isinstance(placed, PlaceOrder)
    assert (signal.entry_price, signal.stop_price, signal.target_price) == (102 * UNIT, 101 * UNIT, 104 * UNIT)
    assert (signal.signal_id, signal.setup_id, signal.disposition) == ("main:AAA:1:signal", "main:AAA:1", "requested")
    assert signal.qualified and signal.at == MONDAY + 3 * DAY and signal.valid_until == signal.at + 5 * DAY
    assert taken == signal._replace(disposition="taken")
    # 0.5 % of 100,000 is 500; at a distance of 1 that is 500 units, but half of the equity buys 490 at 102
    assert request.intent.requested_risk == 49_000 and request.intent.requested_notional == 4_998_000
    assert (request.intent.side, request.intent.template, request.intent.ts) == ("long", "bull_trending", signal.at)
    order = placed.order
    assert (order.side, order.kind, order.quantity, order.decided_at) == ("buy", "market", 490 * UNIT, signal.at)
    assert (order.exit_stop, order.exit_target, order.reduces) == (101 * UNIT, 104 * UNIT, False)
    labels = order.labels
    assert (labels.signal_id, labels.intent_id, labels.playbook) == (signal.signal_id, request.intent.intent_id, "example")
    assert (labels.decision_price, labels.stop_price, labels.target_price) == (102 * UNIT, 101 * UNIT, 104 * UNIT)
    assert labels.trigger_id == "example:1:long" and labels.strategy == "instruments"


def test_the_entry_fills_at_the_next_bars_open_and_not_before():
    world = ordered()
    assert world.held == 0
    world.day(103.5, low=102.5, opening=103)
    assert world.state.position is not None and world.state.position.entry_value == 103 * UNIT * 490 * UNIT


def test_what_was_asked_for_and_what_was_got_are_recorded():
    world = armed()
    world.answer = lambda request: grant(request)._replace(code="approved_clipped", approved_risk=10_000, reasons=("constrained:heat",))
    world.day(102)
    ask = world.state.asks[-1]
    assert (ask.wanted_risk, ask.requested_risk, ask.got_risk, ask.code) == (50_000, 49_000, 10_000, "approved_clipped")
    assert ask.bounds == ("notional_limit",) and ask.reasons == ("constrained:heat",) and ask.envelope_version == 1
    assert ask.became == f"ordered {100 * UNIT} at a risk of 10000"
    totals = world.state.totals
    assert (totals.asked, totals.answered, totals.clipped, totals.rejected) == (1, 1, 1, 0)
    assert (totals.asked_risk, totals.got_risk) == (49_000, 10_000)


def test_a_reward_below_the_minimum_is_no_trade_and_the_signal_says_so():
    world = armed(given=plan(target=ExitRule("r", 1_000_000)))
    world.day(102)
    assert world.dispositions == [("not_qualified", "reward 1000000 ppm of the risk is below 1500000")]
    assert not world.said(EmitSignal)[0].qualified
    assert world.said(RequestAllocation) == [] and world.state.phase == "cooldown"


def test_without_a_stop_there_is_no_trade():
    world = armed(given=plan(stop=ExitRule("atr", 2_000_000, 20)))
    world.day(102)
    assert world.dispositions == [("not_qualified", "there is no stop yet: too few bars")] and world.state.phase == "cooldown"


def test_a_refused_intent_spends_its_setup():
    world = armed()
    world.answer = refuse
    world.day(102)
    assert world.dispositions == [("requested", ""), ("rejected", "rejected_heat")]
    assert world.state.phase == "cooldown" and world.orders == []
    assert world.state.asks[-1].became == "rejected" and world.said(ReleaseAllocation) == []


def test_a_grant_that_buys_no_lot_is_given_back():
    world = armed()
    world.answer = lambda request: grant(request)._replace(approved_risk=99)
    world.day(102)
    assert world.state.phase == "cooldown" and world.orders == []
    assert [one.reason for one in world.said(ReleaseAllocation)] == ["too_small"]


def test_a_grant_whose_time_is_over_is_given_back():
    world = armed()
    world.answer = lambda request: grant(request)._replace(expires_at=request.at)
    world.day(102)
    assert world.state.phase == "cooldown" and world.orders == [] and world.said(ReleaseAllocation)[0].reason == "late"


def test_an_answer_that_does_not_come_is_waited_for_and_not_asked_for_again():
    world = armed()
    world.answer = silent
    world.days(102, 103)
    assert world.state.phase == "thesis_armed" and len(world.said(RequestAllocation)) == 1
    world.answer = grant
    intent = world.said(RequestAllocation)[0].intent
    world.tell(AllocationDecided(world.now, intent.intent_id, "approved_full", intent.requested_risk, None, world.now + DAY))
    assert len(world.orders) == 1
    world.day(102)
    assert world.state.phase == "position_open"


def test_an_answer_after_the_market_went_beyond_the_stop_is_given_back():
    world = armed(given=plan(invalidation=()))
    world.answer = silent
    world.days(102, 100.9)
    intent = world.said(RequestAllocation)[0].intent
    world.tell(AllocationDecided(world.now, intent.intent_id, "approved_full", intent.requested_risk, None, world.now + DAY))
    assert world.orders == [] and "beyond stop" in world.said(ReleaseAllocation)[0].reason


def test_an_armed_thesis_without_activation_times_out_and_is_armed_again_only_after_the_cooldown():
    world = armed()
    world.days(101, 101)
    assert world.state.phase == "thesis_armed"
    world.day(101)
    assert world.state.phase == "cooldown" and world.state.totals.timeouts == 1
    world.day(101)
    assert world.state.phase == "cooldown"
    world.day(101)
    assert world.state.phase == "thesis_armed", "the boundary that ends the rest may arm"


def test_an_unanswered_ask_times_out_with_its_thesis_and_a_grant_that_comes_then_is_given_back():
    world = armed()
    world.answer = silent
    world.days(102, 102, 102)
    assert world.state.phase == "cooldown" and [one.reason for one in world.said(ReleaseAllocation)] == ["no answer in time"]
    intent = world.said(RequestAllocation)[0].intent
    world.tell(AllocationDecided(world.now, intent.intent_id, "approved_full", intent.requested_risk, None, world.now + DAY))
    assert world.orders == [] and len(world.said(ReleaseAllocation)) == 2


def test_an_invalidated_thesis_waits_for_the_next_boundary():
    world = armed()
    world.day(90)
    assert world.state.phase == "invalidated" and world.state.totals.invalidations == 1
    world.day(91)
    assert world.state.phase == "thesis_armed"


def test_invalidation_comes_before_activation():
    world = armed(given=plan(invalidation=(("long", when("return_1", "above", 0)),)))
    world.day(102)
    assert world.state.phase == "invalidated" and world.said(EmitSignal) == []


@pytest.mark.parametrize(("kind", "reason"), [("reject", "the entry was rejected"), ("fail", "the entry was failed")])
def test_an_entry_that_never_came_to_be_spends_its_setup(kind, reason):
    world = armed(broker=BrokerTerms(injections=(Injection(kind, reason="no borrow"),)))
    world.day(102)
    assert world.state.phase == "cooldown" and [one.reason for one in world.said(ReleaseAllocation)] == [reason]
    assert world.state.notices[-1].kind in ("order_rejected", "order_failed") and "no borrow" in world.state.asks[-1].became


def test_an_entry_that_nothing_fills_is_cancelled_after_some_closes():
    world = ordered(broker=BrokerTerms(injections=(Injection("unanswered"),)))
    world.days(103, 104)
    assert world.said(CancelOrder) == []
    world.day(105)
    assert [one.order_id for one in world.said(CancelOrder)] == ["main:AAA:1:entry"]
    assert world.state.phase == "cooldown" and world.state.setup is None


# --- what forbids an entry


@pytest.mark.parametrize(
    ("changed", "reason"),
    [
        ({"force_flatten_only": True}, "flatten_only"),
        ({"portfolio_mode": "risk_off"}, "risk_off"),
        ({"expires_at": MONDAY + 3 * DAY}, "envelope_expired"),
        ({"max_new_risk": 0}, "no room: max_new_risk, lot"),
        ({"symbol_max_risk": 50}, "no room: symbol_max_risk, lot"),
        ({"equity": 0}, "no room: lot"),
    ],
)
def test_an_envelope_that_leaves_no_room_blocks_the_activation(changed, reason):
    world = armed(limits=envelope(**{"at": MONDAY, **changed}))
    world.day(102)
    assert world.dispositions == [("blocked", reason)] and world.said(RequestAllocation) == []
    assert world.state.phase == "cooldown" and world.state.asks[-1].became == f"not asked: {reason}"


def test_without_an_envelope_nothing_is_opened_where_one_is_required():
    for required, dispositions in ((True, [("blocked", "no_envelope")]), (False, [("requested", ""), ("taken", "")])):
        world = World(terms=WorkflowTerms(requires_envelope=required, equity=100_000_00), begin=False)
        world.tell(Started(MONDAY, CONFIG))
        world.days(100, 101, 102)
        assert world.dispositions == dispositions


@pytest.mark.parametrize(
    ("changed", "risk"), [({"max_new_risk": 7_000}, 7_000), ({"symbol_max_risk": 3_000}, 3_000), ({"equity": 10_000_00}, 4_900)]
)
def test_no_more_is_asked_for_than_the_envelope_has(changed, risk):
    world = armed(limits=envelope(**{"at": MONDAY, **changed}))
    world.day(102)
    assert world.said(RequestAllocation)[0].intent.requested_risk == risk
    assert world.orders[0].quantity == risk // 100 * UNIT


def test_an_envelope_that_became_narrower_before_the_answer_narrows_the_order():
    world = armed()
    world.answer = silent
    world.day(102)
    tell_envelope(world, symbol_max_risk=5_000)
    intent = world.said(RequestAllocation)[0].intent
    world.tell(AllocationDecided(world.now, intent.intent_id, "approved_full", intent.requested_risk, None, world.now + DAY))
    assert world.orders[0].quantity == 50 * UNIT


def test_the_size_cap_of_the_envelope_holds_whatever_was_granted():
    world = armed(limits=envelope(at=MONDAY, size_multiplier_cap=100_000))
    world.day(102)
    assert world.orders[0].quantity == 50 * UNIT, "a tenth of 500 of risk, at a distance of 1"


def test_the_notional_that_was_granted_bounds_the_quantity():
    world = armed()
    world.answer = lambda request: grant(request)._replace(approved_notional=1_020_00)
    world.day(102)
    assert world.orders[0].quantity == 10 * UNIT


def test_quantities_are_whole_lots_rounded_down():
    world = armed(config=CONFIG._replace(lot=100 * UNIT))
    world.day(102)
    assert world.orders[0].quantity == 400 * UNIT and world.said(RequestAllocation)[0].intent.requested_risk == 40_000


def test_an_operators_block_forbids_thesis_and_activation_until_it_ends():
    world = World()
    operator(world, "block", MONDAY + 3 * DAY)
    world.days(100, 101)
    assert world.state.phase == "idle" and world.state.declined == "an operator's block"
    world.day(102)
    assert world.state.phase == "thesis_armed", "the block ends with its time"
    world = armed()
    operator(world, "block")
    world.day(102)
    assert world.dispositions == [("blocked", "operator_block")]
    world = World()
    operator(world, "block")
    operator(world, "unblock", name="o-2")
    world.days(100, 101)
    assert world.state.phase == "thesis_armed"


def test_the_judge_is_heard_at_the_next_thesis_and_never_enlarges():
    world = armed()
    world.tell(JudgeFeedback(world.now, "j-1", "cautious", 500_000))
    world.day(102)
    assert world.state.asks[-1].wanted_risk == 50_000, "the thesis at hand was armed before"
    world = World()
    world.tell(JudgeFeedback(MONDAY, "j-1", "cautious", 500_000))
    world.days(100, 101, 102)
    assert world.state.asks[-1].wanted_risk == 25_000
    world = World()
    world.tell(JudgeFeedback(MONDAY, "j-1", "favourable", 3_000_000))
    world.days(100, 101, 102)
    assert world.state.asks[-1].wanted_risk == 50_000


def test_the_judges_block_ends_with_its_time():
    world = World()
    world.tell(JudgeFeedback(MONDAY, "j-1", "block", 250_000, MONDAY + 3 * DAY))
    world.days(100, 101)
    assert world.state.phase == "idle" and world.state.declined == "the judge's block"
    world.day(102)
    assert world.state.phase == "thesis_armed"


def test_an_older_word_of_the_judge_changes_nothing():
    world = World()
    world.tell(JudgeFeedback(MONDAY + 5, "j-2", "neutral"))
    world.tell(JudgeFeedback(MONDAY, "j-1", "block", 0, MONDAY + 90 * DAY))
    assert world.state.judgement.feedback_id == "j-2"


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


# --- safety


def test_a_flatten_only_envelope_leaves_at_once_and_rests_in_cooldown():
    world = holding()
    tell_envelope(world, **FLATTEN)
    assert world.state.phase == "flattening" and world.orders[-1].reduces and world.orders[-1].kind == "market"
    world.day(103)
    assert world.state.phase == "cooldown" and world.held == 0 and world.state.outcomes[-1].exit == "flatten"
    assert not world.broker.open_orders("AAA")


@pytest.mark.parametrize("forbidden", ["none", "expired", "risk_off", "flatten", "blocked"])
def test_exits_are_refused_by_nothing(forbidden):
    world = holding(given=plan(time_exit_bars=2))
    if forbidden == "blocked":
        operator(world, "block")
        world.tell(JudgeFeedback(world.now, "j-1", "block", 0, world.now + 90 * DAY))
    elif forbidden != "none":
        changed = {"expired": {"expires_at": world.now}, "risk_off": {"portfolio_mode": "risk_off"}, "flatten": FLATTEN}[forbidden]
        tell_envelope(world, **changed)
    else:
        world.state = world.state._replace(envelope=None)
    world.days(103, 103)
    assert world.held == 0


def test_an_operator_flattens_without_ending_the_workflow():
    world = holding()
    operator(world, "flatten")
    assert world.state.phase == "flattening"
    world.day(103)
    assert world.state.phase == "cooldown" and world.held == 0
    world.days(103, 103)
    assert world.state.phase == "thesis_armed"


def test_a_stop_request_flattens_waits_for_the_ledger_and_only_then_stops():
    world = holding()
    stop(world)
    assert world.state.phase == "flattening" and len(world.said(Enlist)) == 1
    world.tell(CandleClosed(world.now + DAY, bar(world.number, 103)))
    assert world.state.phase == "flattening", "the ledger has said nothing yet"
    world.number += 1
    world.day(103)
    assert world.state.phase == "stopped" and world.held == 0 and world.commands[-1] == Enlist(world.now, False, 2)


@pytest.mark.parametrize("phase", ["idle", "thesis_armed", "asked", "cooldown", "invalidated"])
def test_a_stop_request_where_nothing_is_held_stops_at_once(phase):
    world = World() if phase == "idle" else armed()
    if phase == "asked":
        world.answer = silent
        world.day(102)
    if phase == "cooldown":
        world.days(101, 101, 101)
    if phase == "invalidated":
        world.day(90)
    assert world.state.phase == ("thesis_armed" if phase == "asked" else phase)
    stop(world)
    assert world.state.phase == "stopped" and world.commands[-1] == Enlist(world.now, False, 2)
    assert len(world.said(ReleaseAllocation)) == (1 if phase == "asked" else 0)
    before = len(world.commands)
    world.days(103, 104, 105)
    tell_envelope(world)
    assert world.commands[before:] == [] and world.state.phase == "stopped"


def test_a_stop_request_while_the_entry_rests_cancels_it_and_waits_for_its_end():
    world = ordered()
    world.one(StopRequested(world.now, "s-1", "screener", "out"))
    assert world.state.phase == "flattening" and isinstance(world.commands[-1], CancelOrder)
    world.do(world.commands[-1])
    world.flush()
    assert world.state.phase == "stopped" and world.held == 0


def test_a_fill_that_crosses_the_cancelling_of_its_entry_is_flattened():
    world = ordered()
    world.one(StopRequested(world.now, "s-1", "screener", "out"))
    world.day(103)
    assert world.state.phase == "flattening" and world.held == 490 * UNIT and world.orders[-1].reduces
    world.day(103)
    assert world.state.phase == "stopped" and world.held == 0 and not world.broker.open_orders("AAA")


def test_risk_off_takes_back_what_is_unfilled_and_leaves_what_is_held():
    world = ordered()
    tell_envelope(world, portfolio_mode="risk_off")
    assert world.state.phase == "cooldown" and world.said(CancelOrder)
    world = holding()
    tell_envelope(world, portfolio_mode="risk_off")
    assert world.state.phase == "position_open" and world.said(CancelOrder) == []


@pytest.mark.parametrize("asked", [False, True])
def test_an_order_to_flatten_drops_an_armed_thesis(asked):
    world = armed()
    if asked:
        world.answer = silent
        world.day(102)
    operator(world, "flatten")
    assert world.state.phase == "cooldown" and len(world.said(ReleaseAllocation)) == asked
    world = armed()
    tell_envelope(world, **FLATTEN)
    assert world.state.phase == "cooldown"


@pytest.mark.parametrize("phase", PHASES)
def test_a_fill_that_nobody_asked_for_is_taken_in_and_closed(phase):
    world = {
        "idle": World,
        "thesis_armed": armed,
        "position_open": holding,
        "cooldown": armed,
        "invalidated": armed,
        "flattening": holding,
        "stopped": World,
    }[phase]()
    if phase == "cooldown":
        world.days(101, 101, 101)
    if phase == "invalidated":
        world.day(90)
    if phase == "flattening":
        operator(world, "flatten")
    if phase == "stopped":
        stop(world)
    assert world.state.phase == phase
    world.outside(-30 * UNIT)
    world.tell(fill(world, "somebody-1", "sell", 30 * UNIT, 100.0))
    assert world.state.phase == "flattening" and world.state.notices[-1].kind == "unexpected_fill"
    world.days(100, 100, 100, 100)
    assert world.held == 0 and world.state.position is None
    assert world.state.phase == ("stopped" if phase == "stopped" else world.state.phase) != "flattening"


def test_a_fill_beyond_flat_is_noted_and_closed():
    world = holding()
    world.outside(-500 * UNIT)
    world.tell(fill(world, "main:AAA:1:entry/exit-stop", "sell", 500 * UNIT, 101.0))
    assert world.state.phase == "flattening" and world.state.notices[-1].kind == "beyond_flat"
    assert world.orders[-1].side == "buy" and world.orders[-1].quantity == 10 * UNIT
    world.days(103, 103)
    assert world.held == 0 and world.state.phase != "flattening"


def test_an_exit_that_is_told_before_its_entry_ends_flat():
    world = ordered()
    world.tell(fill(world, "main:AAA:1:entry/exit-stop", "sell", 490 * UNIT, 101.0))
    assert world.state.phase == "flattening"
    world.tell(fill(world, "main:AAA:1:entry", "buy", 490 * UNIT, 103.0))
    assert world.state.position is None and world.state.phase == "cooldown"
    assert world.state.outcomes[-1].r_ppm == -2_000_000


def test_a_stopped_workflow_begins_again_when_it_is_started_anew():
    world = World()
    world.days(100, 101)
    stop(world)
    world.tell(Started(world.now, CONFIG._replace(template="mean_reversion")))
    assert world.state.phase == "idle" and world.state.template == "mean_reversion" and world.state.stopping == ""
    world.days(102, 103)
    assert world.state.setup is not None and world.state.setup.setup_id == "main:AAA:2", "ids go on"


def test_a_block_outlives_a_stop():
    world = World()
    stop(world)
    operator(world, "block")
    world.tell(Started(world.now + 1, CONFIG))
    world.days(100, 101)
    assert world.state.phase == "idle" and world.state.declined == "an operator's block"


@pytest.mark.parametrize(
    ("changed", "fault"),
    [
        ({"symbol": "BBB"}, "plan plan-1 is for BBB, not for AAA"),
        ({"thesis": (("long", when("return_1", "above", 0, "4h")),)}, "plan plan-1 looks at 4h, and there are 1d, 1w"),
        ({"activation": (("long", when("luck", "above", 0)),)}, "plan plan-1 asks for 'luck', which is no feature"),
    ],
)
def test_a_plan_that_cannot_be_gone_by_is_not_taken(changed, fault):
    world = World(plan(**changed))
    world.days(*range(100, 108))
    assert world.state.plan is None and world.state.plan_reason == fault and world.state.notices[0].kind == "unusable_plan"
    assert world.state.phase == "idle" and len(world.said(RequestPlan)) > 1, "it is asked for anew on another day"


def test_bars_that_cannot_be_right_raise_nothing():
    world = holding(given=plan(trail=ExitRule("atr", 1_000_000, 2), time_exit_bars=50))
    for price in (0, -5, 0, 10**30, 1, 100):
        broken = bar(world.number, 1)._replace(open=price, high=price, low=price, close=price)
        world.number += 1
        world.tell(CandleClosed(broken.ts, broken))
    assert world.state.candles == 10 and world.state.position is not None and world.state.position.quantity == world.held


# --- templates and plans


def test_another_template_is_planned_at_once_where_idle_and_later_where_not():
    world = World()
    world.tell(ScreenerUpdate(MONDAY, "p-1", "mean_reversion", 3))
    assert world.said(RequestPlan)[-1].template == "mean_reversion" and world.state.rank == 3
    world = armed()
    before = len(world.said(RequestPlan))
    world.tell(ScreenerUpdate(world.now, "p-1", "mean_reversion", 3))
    assert len(world.said(RequestPlan)) == before and query(world.state).next_template == "mean_reversion"
    world.day(90)
    world.day(91)
    assert world.state.template == "mean_reversion" and world.said(RequestPlan)[-1].template == "mean_reversion"


def test_an_older_word_of_the_screener_changes_nothing():
    world = World()
    world.tell(ScreenerUpdate(MONDAY + 5, "p-2", "mean_reversion"))
    world.tell(ScreenerUpdate(MONDAY, "p-1", "volatile_breakout"))
    assert world.state.template == "mean_reversion"


def test_a_plan_of_another_day_is_asked_for_anew_at_a_boundary_and_the_thesis_waits_for_it():
    world = World()
    world.day(100)
    asked = world.said(RequestPlan)[-1]
    world.provided = lambda request: PlanProvided(request.at, "another request", None)  # type: ignore[method-assign]
    world.day(101)
    assert world.state.phase == "idle" and world.said(RequestPlan)[-1].day == "2024-01-02" and asked.day == "2024-01-01"
    request = world.said(RequestPlan)[-1]
    world.tell(PlanProvided(world.now, request.request_id, plan(day=request.day)))
    assert world.state.phase == "thesis_armed"


def test_a_template_that_waits_never_arms():
    world = World(plan(thesis=(), activation=()), CONFIG._replace(template="uncertain_wait"))
    world.days(100, 101, 102, 103, 104, 105, 106, 107)
    assert world.state.phase == "idle" and "another template" in query(world.state).waits_for
    world = World(config=CONFIG._replace(template="uncertain_wait"))
    world.plan = None
    world.days(100, 101, 102, 103, 104, 105, 106, 107)
    assert world.state.phase == "idle" and query(world.state).waits_for == "another template: no playbook"
    assert [one.day for one in world.said(RequestPlan)] == ["2023-12-31", "2024-01-01", "2024-01-07"]


def test_an_operator_asks_for_a_plan_at_the_next_boundary():
    world = World(plan(thesis=(("long", when("return_1", "above", 10**7)),)))
    world.day(100)
    before = len(world.said(RequestPlan))
    operator(world, "replan")
    assert len(world.said(RequestPlan)) == before
    world.day(101)
    assert len(world.said(RequestPlan)) == before + 1 and not world.state.replan


# --- what comes twice, late, or never


def test_everything_said_twice_is_said_once():
    world = holding()
    world.days(104, 105, 106)
    doubled = [one for event in world.events for one in (event, event)]
    state, again = world.state, replay(TERMS, doubled)
    assert again._replace(totals=state.totals, notices=()) == state._replace(notices=())
    assert again.totals._replace(ignored_candles=0) == state.totals
    assert again.totals.ignored_candles == 7


def test_a_late_candle_is_ignored_and_a_corrected_one_is_noted():
    world = holding()
    before = world.state
    world.tell(CandleClosed(bar(1, 50).ts, bar(1, 50)))
    assert world.state._replace(totals=before.totals) == before and world.state.totals.ignored_candles == 1
    world.tell(CandleClosed(bar(3, 50).ts, bar(3, 50)))
    assert world.state.notices[-1].kind == "corrected_candle" and world.state.windows == before.windows


def test_missing_candles_are_not_counted():
    world = armed()
    world.number += 40
    world.day(101)
    assert world.state.phase == "thesis_armed" and world.state.setup is not None and world.state.setup.bars == 1


def test_an_older_envelope_changes_nothing():
    world = holding()
    world.tell(EnvelopeIssued(world.now, envelope(1, world.now, **FLATTEN)))
    assert world.state.phase == "position_open"


def test_events_before_the_start_change_nothing():
    world = World(begin=False)
    for event in (
        CandleClosed(MONDAY, bar(0, 100)),
        StopRequested(MONDAY, "s", "x", "y"),
        FillReported(MONDAY, "e", "o", "buy", UNIT, UNIT, 0, 0),
        EnvelopeIssued(MONDAY, envelope()),
    ):
        assert world.tell(event) == ()
    assert world.state.config is None


def test_the_state_goes_on_from_its_stored_bytes_at_every_event():
    world = holding()
    world.days(104, 105, 106, 90, 91)
    whole = replay(TERMS, world.events)
    for cut in range(len(world.events)):
        assert replay(TERMS, world.events[cut:], stored(replay(TERMS, world.events[:cut]))) == whole


def test_every_event_has_a_key_of_its_own_and_so_has_every_command():
    world = holding()
    world.days(104, 105, 106, 107)
    keys = [event_key("main", "AAA", one) for one in world.events]
    assert len(set(keys)) == len(keys) and all(one.startswith("instruments/main/AAA/") for one in keys)
    corrected = CandleClosed(bar(3, 1).ts + 5, bar(3, 1))
    assert event_key("main", "AAA", corrected) in keys, "a corrected candle is the same event: the first wins"
    assert len({command_key(one) for one in world.commands}) == len(world.commands)


def test_a_question_is_answered_in_words_in_every_phase():
    assert query(World(begin=False).state).waits_for == "its start"
    assert query(armed().state).waits_for == "activation of the long thesis, within 3 closes, or its invalidation"
    assert query(ordered().state).waits_for == "a fill of its entry"
    view = query(holding().state)
    assert view.waits_for == f"stop {101 * UNIT}, target {104 * UNIT}, or 4 closes" and view.setup_count == 1
    world = holding()
    operator(world, "flatten")
    assert query(world.state).waits_for == "the ledger to say flat (ordered by alice: because)"
    world.day(103)
    assert query(world.state).waits_for == "2 closes of cooldown, then the next policy boundary"
    stop(world)
    assert query(world.state).waits_for == "nothing: it has stopped"


def test_the_table_has_one_way_for_each_cause_and_every_phase_is_left_and_reached():
    assert len(AFTER) == len(TRANSITIONS)
    assert {one.before for one in TRANSITIONS} == {one.after for one in TRANSITIONS} == set(PHASES)
