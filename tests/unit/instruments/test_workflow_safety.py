"""Flattening, stopping, fills that nobody asked for: what is held may always be left."""

import pytest

from portfolio_platform.instruments.model import (
    PHASES,
    SCREENER,
    CancelOrder,
    CandleClosed,
    Enlist,
    ExitRule,
    JudgeFeedback,
    ReleaseAllocation,
    RequestPlan,
    Started,
    StopRequested,
)
from portfolio_platform.instruments.workflow import kept_out
from tests.unit.instruments.workflow_examples import (
    CONFIG,
    DAY,
    FLATTEN,
    UNIT,
    World,
    armed,
    bar,
    fill,
    holding,
    operator,
    ordered,
    plan,
    silent,
    stop,
    tell_envelope,
    when,
)

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


@pytest.mark.parametrize(("by", "out"), [("ada", True), (SCREENER, False)])
def test_a_symbol_that_a_person_ended_is_kept_out_until_a_person_allows_it(by, out):
    world = World()
    world.tell(StopRequested(world.now + 1, "stop-1", by, "thin book"))
    assert world.state.phase == "stopped" and kept_out(world.state) is out
    operator(world, "unblock")
    assert not kept_out(world.state)


def test_a_person_keeps_out_what_the_screener_has_ended_already():
    world = World()
    world.tell(StopRequested(world.now + 1, "stop-1", SCREENER, "no candidate"))
    before = len(world.commands)
    world.tell(StopRequested(world.now + 1, "stop-2", "ada", "thin book"))
    assert kept_out(world.state) and len(world.commands) == before


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
