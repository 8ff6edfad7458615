"""From idle to an entry: theses, activations, what is asked for, and what forbids it."""

import pytest

from portfolio_platform.broker.terms import BrokerTerms, Injection
from portfolio_platform.instruments.model import (
    AllocationDecided,
    CancelOrder,
    EmitSignal,
    Enlist,
    ExitRule,
    JudgeFeedback,
    PlaceOrder,
    ReleaseAllocation,
    RequestAllocation,
    RequestPlan,
    Started,
)
from portfolio_platform.instruments.state import WorkflowTerms
from portfolio_platform.instruments.workflow import query
from tests.unit.instruments.workflow_examples import (
    CONFIG,
    DAY,
    MONDAY,
    UNIT,
    World,
    armed,
    envelope,
    grant,
    operator,
    ordered,
    plan,
    refuse,
    silent,
    tell_envelope,
    when,
)

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
