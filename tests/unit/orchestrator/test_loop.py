"""The sequential loop of v8.0.3 against the paper broker: each test is named by the step and branch of the specification it holds."""

from dataclasses import replace

import pytest

from portfolio_platform.broker.model import Filled, Ignored
from portfolio_platform.broker.terms import BrokerTerms, Injection
from portfolio_platform.errors import WrongUse
from portfolio_platform.orchestrator.escalation import Answered, Change
from portfolio_platform.orchestrator.loop import replay, step
from portfolio_platform.orchestrator.loop_checks import LoopTerms, buffer_state
from portfolio_platform.orchestrator.loop_model import (
    Alert,
    Decided,
    LoopState,
    Overdue,
    Priced,
    PublishReport,
    Reported,
    Route,
    Schedule,
    Started,
    Ticked,
)
from portfolio_platform.orchestrator.loop_trades import shares_of
from portfolio_platform.orchestrator.profile import shipped_profile
from tests.unit.orchestrator.loop_examples import DAYS, MINUTE, NINE, SECTORS, TERMS, UNIT, Desk, figures, px, trade


def fail(name: str) -> BrokerTerms:
    return BrokerTerms(injections=(Injection("fail", client_order_id=f"X1.{name.lower()}.1", reason="timeout"),))


def reject(name: str) -> BrokerTerms:
    return BrokerTerms(injections=(Injection("reject", symbol=name, reason="insufficient buying power"),))


def test_the_numbers_of_the_loop_are_those_of_the_profile():
    terms = LoopTerms.of(shipped_profile("v8.0.3"), DAYS)
    assert (terms.healthy, terms.marginal, terms.sector_cap) == (150_000, 120_000, 350_000)
    assert (terms.slippage, terms.filled, terms.no_fill) == (5_000, 900_000, 15 * MINUTE)
    assert (terms.look_ahead, terms.routing, terms.sla_minutes) == (True, "Master-Architect", 30)
    assert terms.report_to == TERMS.report_to and terms.due == TERMS.due and terms.refresh == TERMS.refresh
    assert LoopTerms.of(shipped_profile("v8.1.1"), DAYS).cap_of("Technology") == 400_000


@pytest.mark.parametrize(
    ("cash", "state"), [(15_000, "healthy"), (14_999, "marginal"), (12_000, "marginal"), (11_999, "at_risk"), (-1, "at_risk")]
)
def test_step_2b_3c_6_the_states_of_the_buffer_at_their_limits(cash, state):
    assert buffer_state(cash, 100_000, TERMS) == state


# step 2B: the aggregate of the pending trades


def test_step_2b_healthy_the_trades_go_on_without_a_word():
    desk = Desk(trade("t1", 50), trade("t2", 50))
    assert desk.triggers == [] and desk.statuses == ["submitted", "pending"]


def test_step_2b_marginal_is_flagged_and_escalated_and_the_trades_go_on():
    desk = Desk(trade("t1", 100), trade("t2", 70))
    assert "pending_marginal" in desk.flags and desk.state.flags[0].text == "Buffer approaching minimum"
    assert desk.triggers == ["buffer_would_breach"] and desk.statuses == ["submitted", "pending"]


def test_step_2b_at_risk_is_escalated_and_nothing_is_placed_before_the_answer():
    desk = Desk(trade("t1", 100), trade("t2", 90))
    assert desk.triggers == ["buffer_would_breach"] and desk.state.phase == "halted" and desk.statuses == ["pending", "pending"]
    assert desk.state.flags[0].text == "Buffer would breach if all pending execute"
    desk.answer("approve", conditions=("deposit follows",))
    assert desk.statuses == ["submitted", "pending"] and desk.state.caveats == ("deposit follows",)


def test_step_2b_the_queue_may_be_adjusted_by_the_answer():
    desk = Desk(trade("t1", 100), trade("t2", 90), trade("t3", 90))
    desk.answer("approve", changes=(Change("t2", drop=True), Change("t3", 100 * UNIT, "B"), Change("t9", drop=True), Change("t1", 10**30)))
    assert desk.statuses == ["submitted", "dropped", "pending"]
    changed = desk.state.trades[2].trade
    assert (changed.quantity, changed.size, changed.account) == (100 * UNIT, 1_000_000, "B")
    assert desk.flags.count("change_ignored") == 2 and desk.state.trades[0].trade.quantity == 1_000 * UNIT


# step 2A: sectors since approval


def test_step_2a_a_sector_that_grew_two_points_since_approval_is_escalated_and_waited_for():
    desk = Desk(trade("t1", 10), approved=(("Energy", 180_000), ("Technology", 300_000)))
    assert desk.triggers == ["sector_headroom_changed"] and desk.statuses == ["pending"]
    (found,) = desk.state.escalations[0].violations
    assert (found.rule, found.limit, found.found) == ("sector_shift", 180_000, 200_000)
    desk.answer("approve")
    assert desk.statuses == ["submitted"]


def test_step_2a_one_that_would_exceed_its_cap_with_the_pending_trades_says_so():
    desk = Desk(trade("t1", 60, "Technology"), approved=(("Energy", 200_000), ("Technology", 270_000)))
    (found,) = desk.state.escalations[0].violations
    assert (found.rule, found.limit, found.found) == ("sector_cap", 350_000, 360_000)


def test_step_2a_one_that_shrank_is_flagged_only_and_less_than_two_points_is_nothing():
    desk = Desk(trade("t1", 10), approved=(("Energy", 220_000), ("Technology", 280_001)))
    assert desk.flags == ["sector_shifted"] and desk.triggers == [] and desk.statuses == ["submitted"]


# step 3A: the queue


def test_step_3a_trades_are_executed_in_the_order_of_approval_not_of_size_or_conviction():
    desk = Desk(trade("t1", 10, conviction=60), trade("t2", 50, conviction=99), trade("t3", 20, conviction=70)).minutes(3)
    assert [one.trade_id for one in desk.state.log] == ["t1", "t2", "t3"]
    assert [one.at for one in desk.state.log] == [NINE + MINUTE, NINE + 2 * MINUTE, NINE + 3 * MINUTE]


@pytest.mark.parametrize(
    ("trades", "text"),
    [
        ((), "queue of approved trades is empty"),
        ((trade("t1", 10), trade("t1", 10)), "twice"),
        ((trade("t2", 10), trade("t1", 10)), "t1 was approved before t2"),
    ],
)
def test_step_3a_a_queue_that_is_none_is_refused(trades, text):
    with pytest.raises(WrongUse, match=text):
        step(TERMS, LoopState(), Started(NINE, "X1", "main", figures(), trades, SECTORS))


def test_step_3b_the_context_is_that_of_the_start_and_another_execution_has_to_wait():
    desk = Desk(trade("t1", 10))
    assert (desk.state.started_at, desk.state.buffer_start, desk.state.phase) == (NINE, 300_000, "awaiting_fill")
    assert desk.give(desk.started) == [] and desk.state.trades[0].attempt == 1
    with pytest.raises(WrongUse, match="X1 is under way"):
        desk.give(desk.started._replace(execution_id="X2"))
    with pytest.raises(WrongUse, match="value"):
        step(TERMS, LoopState(), desk.started._replace(figures=figures()._replace(value=0)))
    assert step(TERMS, LoopState(), Ticked(NINE)) == (LoopState(), ())


# step 3C: the loop


def test_step_3c_buffer_healthy_continues_with_the_next_trade():
    desk = Desk(trade("t1", 50), trade("t2", 50)).minutes(1)
    assert desk.statuses == ["executed", "submitted"] and desk.state.log[0].buffer_state == "healthy"
    assert desk.state.cash == 25_000_000 and desk.state.log[0].buffer == 250_000


def test_step_3c_the_cash_of_one_trade_is_gone_for_the_next():
    desk = Desk(trade("t1", 50), trade("t2", 50)).minutes(2)
    assert [one.buffer for one in desk.state.log] == [250_000, 200_000]


def test_step_3c_buffer_marginal_with_room_for_the_next_trade_continues_with_a_caveat():
    desk = Desk(trade("t1", 160), trade("t2", 10)).minutes(1)
    assert desk.state.caveats == ("Buffer marginal",) and desk.statuses == ["executed", "submitted"]


def test_step_3c_buffer_marginal_and_the_next_trade_would_breach_halts_and_escalates():
    desk = Desk(trade("t1", 160), trade("t2", 30), trade("t3", 1))
    desk.answer("approve")  # the aggregate of step 2B
    desk.minute()
    assert desk.triggers == ["buffer_would_breach", "next_trade_would_breach"]
    assert desk.statuses == ["executed", "halted", "halted"] and desk.state.phase == "halted"
    assert desk.state.escalations[1].violations[0].found == 110_000


def test_step_3c_buffer_marginal_looks_at_the_next_trade_only_where_there_is_one_and_the_profile_says_so():
    desk = Desk(trade("t1", 160)).minutes(1)
    assert desk.triggers == ["buffer_would_breach"] and desk.state.phase == "completed"
    desk = Desk(trade("t1", 160), trade("t2", 30), terms=replace(TERMS, look_ahead=False))
    desk.answer("approve")
    assert desk.minutes(1).statuses == ["executed", "submitted"]


def test_step_3c_from_a_healthy_buffer_a_large_trade_is_not_looked_at_and_breaches():
    desk = Desk(trade("t1", 100), trade("t2", 90), trade("t3", 1))
    desk.answer("approve")
    desk.minutes(2)
    assert desk.triggers == ["buffer_would_breach", "buffer_breach"] and desk.statuses == ["executed", "executed", "halted"]
    assert desk.state.log[1].buffer_state == "at_risk"


def test_step_3c_a_breach_by_slippage_halts_the_remaining_trades():
    desk = Desk(trade("t1", 120), trade("t2", 20)).minutes(1, price=160)
    assert desk.state.cash == 30_000_000 - 19_200_000 and desk.statuses == ["executed", "halted"]
    assert desk.triggers == ["buffer_breach"] and desk.state.phase == "halted"


def test_step_3c_a_breach_by_the_last_trade_is_escalated_once_and_the_execution_ends():
    desk = Desk(trade("t1", 120)).minutes(1, price=160)
    assert desk.triggers == ["buffer_breach"] and desk.state.phase == "completed"


@pytest.mark.parametrize("costs", [fail("T1"), reject("T1")])
def test_step_3c_a_broker_error_is_logged_and_escalated_and_the_next_trade_goes_on(costs):
    desk = Desk(trade("t1", 10), trade("t2", 10), costs=costs)
    assert desk.statuses == ["execution_failed", "submitted"] and desk.triggers == ["execution_failed"]
    assert desk.minutes(1).state.phase == "completed" and desk.state.report.unfilled == (("t1", "execution_failed"),)


def test_step_3c_a_sale_adds_to_the_buffer():
    desk = Desk(trade("t1", 50, side="sell"), trade("t2", 10)).minutes(1)
    assert desk.state.cash == 35_000_000 and desk.state.trades[0].exits == ()


# step 3D: decisions


def halted() -> Desk:
    desk = Desk(trade("t1", 120), trade("t2", 20), trade("t3", 10)).minutes(1, price=160)
    assert desk.triggers == ["buffer_breach"]
    return desk


def test_step_3d_approved_the_loop_goes_on_and_halts_again_after_the_next_breach():
    desk = halted()
    desk.answer("approve")
    assert desk.statuses == ["executed", "submitted", "pending"]
    desk.minute()
    assert desk.statuses == ["executed", "executed", "halted"] and desk.triggers == ["buffer_breach", "buffer_breach"]


@pytest.mark.parametrize(("answer", "status"), [("defer", "deferred"), ("halt", "halted")])
def test_step_3d_deferred_or_halted_the_remaining_trades_are_and_the_execution_is_verified_and_ends(answer, status):
    desk = halted()
    desk.answer(answer)
    assert desk.statuses == ["executed", status, status] and desk.state.phase == "completed"
    stock_analyst = Route(desk.now, "Stock-Analyst", "positions were halted")
    assert (stock_analyst in desk.commands) == (status == "halted")


def test_step_3d_without_an_answer_it_stays_halted_and_an_expired_sla_alerts_once():
    desk = halted()
    before = desk.state
    alerts = [desk.give(Overdue(desk.now + 30 * MINUTE, before.waiting[0])) for _ in range(2)]
    assert [type(one) for one in alerts[0]] == [Alert] and alerts[1] == [] and desk.state.phase == "halted"
    desk.tick(60)
    desk.answer("approve")
    assert desk.statuses[1] == "submitted"


def test_step_3d_an_answer_twice_or_to_nothing_or_too_late_changes_no_trade():
    desk = halted()
    desk.answer("defer")
    name, trades = desk.state.escalations[0].escalation_id, desk.state.trades
    assert desk.answer("defer", name) == []
    desk.answer("approve", name)
    desk.answer("approve", "nobody")
    assert desk.state.trades == trades and desk.flags.count("answer_ignored") == 2
    late = Desk(trade("t1", 10), trade("t2", 10), costs=reject("T1")).minutes(1)
    late.answer("approve", late.state.escalations[0].escalation_id)
    assert "answer_late" in late.flags and late.statuses[0] == "execution_failed"


def test_step_3d_a_trade_that_failed_is_tried_again_at_the_end_with_the_changes_of_the_answer():
    desk = Desk(trade("t1", 20), trade("t2", 10), costs=fail("T1"))
    name = desk.state.escalations[0].escalation_id
    desk.answer("approve", name, changes=(Change("t1", 100 * UNIT, "B"),))
    assert [one.trade.trade_id for one in desk.state.trades] == ["t2", "t1"]
    desk.minutes(2)
    assert [(one.trade_id, one.account, one.quantity) for one in desk.state.log] == [("t2", "A", 100 * UNIT), ("t1", "B", 100 * UNIT)]
    assert desk.state.trades[1].attempt == 2


def test_step_3d_a_trade_that_failed_is_deferred_alone():
    desk = Desk(trade("t1", 20), trade("t2", 10), costs=fail("T1"))
    desk.answer("defer", desk.state.escalations[0].escalation_id)
    assert desk.statuses == ["deferred", "submitted"]


# step 3E: stops and targets


def test_step_3e_stop_and_targets_rest_after_the_fill_and_share_its_quantity():
    desk = Desk(trade("t1", 10, targets=(px(110), px(120))), trade("t2", 10)).minutes(1)
    resting = [(one.order.kind, one.order.quantity // UNIT, one.order.price // UNIT) for one in desk.broker.resting("T1")]
    assert resting == [("stop", 100, 90), ("target", 50, 110), ("target", 50, 120)]
    assert len(desk.state.trades[0].exits) == 3
    desk.minute(111)
    desk.minute(85)
    assert desk.broker.state.held("A", "default", "T1") == 0 and "exit_filled" in desk.flags


def test_step_3e_they_rest_while_the_loop_is_halted():
    desk = halted()
    assert [one.order.kind for one in desk.broker.resting("T1")] == ["stop"]


def test_step_3e_a_trade_without_a_stop_is_flagged_and_one_that_the_broker_refuses_is_escalated():
    assert "no_stop" in Desk(trade("t1", 10, stop=0)).minutes(1).flags
    costs = BrokerTerms(injections=(Injection("reject", client_order_id=f"X1.t1.1.stop.0.{px(90)}", reason="no stops here"),))
    desk = Desk(trade("t1", 10), trade("t2", 10), costs=costs).minutes(1)
    assert desk.triggers == ["execution_failed"] and "unprotected" in desk.flags and desk.statuses == ["executed", "submitted"]


def test_step_3e_targets_share_in_whole_lots_with_the_rest_at_the_last():
    assert shares_of((1, 2, 3), 100 * UNIT, UNIT) == [(1, 33 * UNIT), (2, 33 * UNIT), (3, 34 * UNIT)]
    assert shares_of((1, 2), UNIT, UNIT) == [(2, UNIT)] and shares_of((), UNIT, UNIT) == []


# step 3F and 3G: the log


def test_step_3f_the_log_has_price_quantity_time_account_sector_conviction_exits_and_buffer():
    entry = Desk(trade("t1", 10, targets=(px(110),)), costs=BrokerTerms(fee=1_000)).minutes(1, price=101).state.log[0]
    assert (entry.price, entry.quantity, entry.at) == (px(101), 100 * UNIT, NINE + MINUTE)
    assert (entry.account, entry.sector, entry.conviction) == ("A", "Materials", 70)
    assert (entry.stop, entry.targets, entry.fees) == (px(90), (px(110),), 1_010)
    assert (entry.buffer, entry.buffer_state) == ((30_000_000 - 1_010_000 - 1_010) // 100, "healthy")


# step 4: execution quality


@pytest.mark.parametrize(("slippage", "flagged"), [(5_000, False), (5_100, True)])
def test_step_4_slippage_beyond_50_basis_points_is_flagged(slippage, flagged):
    desk = Desk(trade("t1", 10), costs=BrokerTerms(slippage=slippage)).minutes(1)
    assert ("slippage" in desk.flags) == flagged


def test_step_4_slippage_is_adverse_on_either_side_and_a_better_price_is_no_flag():
    assert "slippage" not in Desk(trade("t1", 10)).minutes(1, price=99).flags
    assert "slippage" in Desk(trade("t1", 10, side="sell")).minutes(1, price=99).flags
    assert "slippage" not in Desk(trade("t1", 10, side="sell")).minutes(1, price=101).flags


def test_step_4_slippage_is_held_against_the_last_known_price_at_submission():
    desk = Desk(trade("t1", 10), trade("t2", 10))
    desk.give(Priced(NINE, "T2", px(110)))
    desk.minutes(1)
    desk.minute(110)
    assert desk.state.trades[1].reference == px(110) and "slippage" not in desk.flags


@pytest.mark.parametrize(("share", "flagged"), [(900_000, False), (890_000, True)])
def test_step_4_less_than_90_percent_filled_is_flagged_and_the_rest_is_cancelled_after_15_minutes(share, flagged):
    costs = BrokerTerms(injections=(Injection("partial", client_order_id="X1.t1.1", share=share),))
    desk = Desk(trade("t1", 10), costs=costs).minutes(1)
    assert desk.statuses == ["submitted"]
    desk.tick(13.9)
    assert desk.statuses == ["submitted"]
    desk.tick(0.1)
    assert desk.statuses == ["partially_executed"] and desk.state.log[0].quantity == share // 10_000 * UNIT
    assert ("partial_fill" in desk.flags) == flagged and desk.triggers == []


def unanswered(*trades) -> Desk:
    return Desk(*trades, costs=BrokerTerms(injections=(Injection("unanswered", client_order_id="X1.t1.1"),)))


def test_step_4_no_fill_after_15_minutes_is_escalated_once_and_waited_for():
    desk = unanswered(trade("t1", 10), trade("t2", 10))
    assert desk.tick(14.99) == [] and desk.triggers == []
    desk.tick(0.01)
    desk.tick(5)
    assert desk.triggers == ["no_fill"] and desk.state.phase == "halted" and "no_fill" in desk.flags


def test_step_4_no_fill_approved_keeps_waiting_for_another_15_minutes():
    desk = unanswered(trade("t1", 10))
    desk.tick(15)
    desk.answer("approve")
    desk.tick(14)
    assert desk.triggers == ["no_fill"]
    desk.tick(1)
    assert desk.triggers == ["no_fill", "no_fill"]


@pytest.mark.parametrize(("answer", "statuses"), [("defer", ["deferred", "submitted"]), ("halt", ["halted", "halted"])])
def test_step_4_no_fill_deferred_cancels_that_trade_and_halted_cancels_it_and_ends(answer, statuses):
    desk = unanswered(trade("t1", 10), trade("t2", 10))
    desk.tick(15)
    desk.answer(answer)
    assert desk.statuses == statuses and (desk.state.phase == "completed") == (answer == "halt")


def test_step_4_a_fill_that_comes_while_it_is_asked_is_booked_and_the_answer_still_awaited():
    desk = Desk(trade("t1", 10), trade("t2", 10))
    desk.tick(15)
    assert desk.triggers == ["no_fill"]
    desk.minute()
    assert desk.statuses == ["executed", "pending"] and desk.state.phase == "halted"
    desk.answer("defer")
    assert desk.statuses == ["executed", "submitted"]


# steps 5 and 6: verification


@pytest.mark.parametrize(("thousands", "result"), [(50, "pass"), (51, "fail")])
def test_step_5_a_sector_at_its_cap_passes_and_beyond_it_fails_and_is_escalated(thousands, result):
    desk = Desk(trade("t1", thousands, "Technology")).minutes(1)
    checked = {one.subject: one for one in desk.state.report.sectors}
    assert checked["Technology"].result == result and checked["Energy"].result == "pass"
    assert desk.triggers == ([] if result == "pass" else ["sector_cap_breach"])


@pytest.mark.parametrize(
    ("cash", "result", "triggers"), [(160, "pass", []), (159, "caution", []), (130, "caution", []), (129, "fail", ["buffer_breach"])]
)
def test_step_6_the_buffer_passes_is_a_caution_or_fails_and_is_escalated(cash, result, triggers):
    desk = Desk(trade("t1", 10), terms=TERMS, cash=cash)
    if desk.state.waiting:
        desk.answer("approve")
    desk.minute()
    assert desk.state.report.buffer.result == result
    assert [one for one in desk.triggers if one != "buffer_would_breach"] == triggers
    assert ("buffer_marginal" in desk.flags) == (result == "caution")


def test_step_6_a_breach_that_was_answered_and_is_still_there_at_the_end_is_escalated_again():
    desk = halted()
    desk.answer("halt")
    assert desk.triggers == ["buffer_breach", "buffer_breach"] and desk.state.phase == "completed"


# steps 7 and 8: report and routing


def test_step_7_the_report_says_everything_that_the_specification_lists():
    desk = Desk(trade("t1", 10), trade("t2", 20), costs=BrokerTerms(slippage=6_000)).minutes(2)
    report = desk.state.report
    assert [type(one) for one in desk.commands if isinstance(one, PublishReport)] == [PublishReport]
    assert (report.at, [one.trade_id for one in report.log], report.unfilled) == (NINE + 2 * MINUTE, ["t1", "t2"], ())
    assert report.cash == 30_000_000 - 3_018_000 and report.buffer.found == 269_820 and report.buffer_start == 300_000
    assert [one.subject for one in report.sectors] == ["Energy", "Materials", "Technology"] and [one.code for one in report.flags] == [
        "slippage"
    ] * 2
    assert report.next_review_at == report.at + 1_440 * MINUTE


def test_step_8_the_report_is_routed_and_the_reviews_are_set():
    desk = Desk(trade("t1", 10)).minutes(1)
    assert [one.recipient for one in desk.commands if isinstance(one, Route)] == ["Quality-Assurance", "Client"]
    due = {one.item: (one.due_at - desk.now) // (1_440 * MINUTE) for one in desk.commands if isinstance(one, Schedule)}
    assert due == {"daily_allocation": 1, "weekly_rebalancing": 7, "stop_tracking": 1, "quarterly_thesis": 91}
    failed = Desk(trade("t1", 10), costs=reject("T1"))
    assert [one.recipient for one in failed.commands if isinstance(one, Route)] == ["Quality-Assurance", "Client", "Master-Architect"]


# what may come in between


def test_events_that_come_twice_change_nothing_and_those_of_others_are_left_alone():
    desk = Desk(trade("t1", 10), trade("t2", 10)).minutes(1)
    fill = next(one for one in desk.events if isinstance(one, Reported) and isinstance(one.event, Filled))
    assert step(TERMS, desk.state, fill) == (desk.state, ())
    foreign = Reported(desk.now, fill.event._replace(client_order_id="other", execution_id="other@1"))
    assert step(TERMS, desk.state, foreign) == (desk.state, ())
    noted = step(TERMS, desk.state, Reported(desk.now, Ignored(desk.now, "X1.t2.1", "?")))[0]
    assert noted.flags[-1].code == "broker_ignored"


def test_the_same_events_give_the_same_state():
    desk = halted()
    desk.answer("approve")
    desk.minutes(3)
    assert replay(TERMS, desk.events) == desk.state


def test_a_late_fill_of_a_trade_that_was_given_up_is_booked_and_protected():
    desk = Desk(trade("t1", 10), trade("t2", 10), costs=fail("T1"))
    late = next(one for one in Desk(trade("t1", 10)).minutes(1).events if isinstance(one, Reported) and isinstance(one.event, Filled))
    desk.give(late)
    assert "late_fill" in desk.flags and desk.state.cash == 29_000_000 and len(desk.state.trades[0].exits) == 1
    desk.answer("approve", desk.state.escalations[0].escalation_id)
    assert desk.statuses[0] == "execution_failed" and "change_ignored" in desk.flags


def test_an_answer_halts_for_good_where_an_order_is_at_the_broker_and_that_order_is_awaited():
    desk = Desk(trade("t1", 10), trade("t2", 10), costs=fail("T1"))
    desk.give(Decided(NINE, Answered(NINE, desk.state.escalations[0].escalation_id, "halt", "alice", "stop")))
    assert desk.state.phase == "awaiting_fill"
    assert desk.minutes(1).state.phase == "completed" and desk.statuses == ["execution_failed", "executed"]
