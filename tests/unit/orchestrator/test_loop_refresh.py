"""Steps 1 and 2C inside the loop: when it asks for a refresh, what it does meanwhile, and what fresh figures settle."""

from typing import Any

import pytest

from portfolio_platform.orchestrator.loop import replay, step
from portfolio_platform.orchestrator.loop_model import AskRefresh, Decided, RefreshReported, SettleEscalation
from portfolio_platform.orchestrator.refresh import Figures, RefreshAnswer
from tests.unit.orchestrator.loop_examples import MINUTE, NINE, SECTORS, TERMS, Desk, figures, trade

HOUR = 60 * MINUTE
DAY = 24 * HOUR


def asked(desk: Desk) -> list[tuple[str, str]]:
    """The refreshes that were asked for, as kind and scope."""
    return [(one.request.kind.value, one.request.scope) for one in desk.commands if isinstance(one, AskRefresh)]


def came(desk: Desk, new: Figures | None, number: int = 1, failure: str = "") -> list[Any]:
    """A refresh comes back."""
    return desk.give(RefreshReported(desk.now, RefreshAnswer(f"X1-R{number}", desk.now, new, failure)))


def old(hours: float = 0, days: int = 0, *trades: Any) -> Desk:
    """An execution that starts with figures of that age."""
    return Desk(*(trades or (trade("t1", 10),)), figures=figures(at=NINE - round(hours * HOUR) - days * DAY))


def test_step_1_and_2c_current_figures_are_used_directly():
    desk = old(2)
    assert asked(desk) == [] and desk.statuses == ["submitted"] and desk.state.caveats == ()


def test_step_2c_stale_within_the_day_asks_for_a_quick_refresh_of_the_account_and_waits():
    desk = old(2.1)
    assert asked(desk) == [("quick_refresh", "A")] and desk.state.phase == "refreshing" and desk.statuses == ["pending"]
    desk.tick(10)
    assert desk.statuses == ["pending"] and desk.triggers == []


def test_step_2c_a_quick_refresh_that_completes_in_time_gives_fresh_figures_to_step_3():
    desk = old(3)
    desk.now += 9 * MINUTE
    came(desk, figures(250, desk.now))
    assert desk.statuses == ["submitted"] and desk.state.caveats == () and desk.state.cash == 25_000_000
    assert desk.state.refreshing is None


def test_step_2c_pending_after_10_minutes_proceeds_with_the_caveat():
    desk = old(3)
    desk.tick(10.1)
    assert desk.statuses == ["submitted"]
    assert desk.state.caveats == ("Portfolio data >2 hours old", "sector allocation may have shifted")


def test_step_2c_a_delay_beyond_15_minutes_is_escalated_once_and_no_further_trade_is_placed():
    desk = old(3, 0, trade("t1", 10), trade("t2", 10))
    desk.tick(10.1)
    desk.tick(4.9)
    assert desk.triggers == []
    desk.tick(0.1)
    assert desk.triggers == ["refresh_delayed"] and desk.statuses == ["submitted", "pending"]
    desk.minutes(2)
    assert desk.statuses == ["executed", "pending"] and desk.state.phase == "halted" and desk.triggers == ["refresh_delayed"]
    desk.answer("approve")
    assert desk.statuses == ["executed", "submitted"]


def test_step_2c_where_nobody_looked_in_between_a_delay_beyond_15_minutes_places_nothing():
    desk = old(3)
    desk.tick(16)
    assert desk.triggers == ["refresh_delayed"] and desk.statuses == ["pending"]


@pytest.mark.parametrize(("answer", "statuses"), [("approve", ["submitted"]), ("defer", ["pending"]), ("halt", ["halted"])])
def test_step_2c_the_answers_are_proceed_with_caveat_wait_for_the_refresh_and_halt(answer, statuses):
    desk = old(3)
    desk.tick(16)
    desk.answer(answer)
    assert desk.statuses == statuses
    assert ("Portfolio data >2 hours old" in desk.state.caveats) == (answer == "approve")
    if answer == "defer":
        assert desk.tick(60) == []
        came(desk, figures(at=desk.now))
        assert desk.statuses == ["submitted"]


def test_step_2c_fresh_figures_settle_an_escalated_delay_by_themselves():
    desk = old(3)
    desk.tick(16)
    outward = came(desk, figures(at=desk.now))
    (settled,) = [one for one in outward if isinstance(one, SettleEscalation)]
    assert (settled.answered.by, settled.answered.answer) == ("rule:refresh", "approve")
    assert desk.statuses == ["submitted"] and desk.state.waiting == ()


def test_step_2c_a_refresh_that_failed_is_escalated_at_once_and_asked_for_again_where_the_answer_is_to_wait():
    desk = old(3)
    came(desk, None, failure="no connection")
    assert desk.triggers == ["refresh_delayed"] and "refresh_failed" in desk.flags
    assert desk.state.escalations[0].violations[0].text == "the refresh failed: no connection"
    desk.answer("defer")
    assert asked(desk) == [("quick_refresh", "A")] * 2
    came(desk, figures(at=desk.now), 2)
    assert desk.statuses == ["submitted"]


def test_step_2c_figures_that_are_stale_themselves_are_no_refresh():
    desk = old(3)
    came(desk, figures(at=NINE - 3 * HOUR))
    assert desk.triggers == ["refresh_delayed"] and desk.statuses == ["pending"]
    desk = old(3)
    came(desk, figures()._replace(value=0))
    assert desk.triggers == ["refresh_delayed"]


def test_step_1_and_2c_too_stale_halts_asks_for_a_full_refresh_and_escalates():
    desk = old(0, 4)  # Friday's figures on Tuesday
    assert asked(desk) == [("full_refresh", "all")] and desk.triggers == ["portfolio_too_stale"]
    assert desk.state.phase == "halted" and desk.statuses == ["pending"]


def test_step_2c_too_stale_goes_on_when_the_full_refresh_comes():
    desk = old(0, 4)
    desk.now += 12 * MINUTE
    came(desk, figures(at=desk.now))
    assert desk.statuses == ["submitted"] and desk.state.caveats == () and desk.state.waiting == ()


def test_step_2c_too_stale_is_never_gone_on_with_after_a_timeout_alone():
    desk = old(0, 4)
    desk.tick(14)
    desk.tick(2)
    desk.tick(600)
    assert desk.triggers == ["portfolio_too_stale", "refresh_delayed"] and desk.statuses == ["pending"]


def test_step_1_too_stale_is_gone_on_with_where_a_person_accepts_the_caveat_and_that_settles_the_delay_too():
    desk = old(0, 4)
    desk.tick(16)
    outward = desk.answer("approve")
    assert [one.answered.by for one in outward if isinstance(one, SettleEscalation)] == ["alice"]
    assert desk.statuses == ["submitted"] and "Portfolio data >2 hours old" in desk.state.caveats


def test_step_1_too_stale_deferred_waits_and_a_failed_full_refresh_is_asked_for_again_without_asking_the_person_twice():
    desk = old(0, 4)
    came(desk, None, failure="down")
    desk.answer("defer")
    desk.answer("defer")
    assert asked(desk) == [("full_refresh", "all")] * 2 and desk.triggers == ["portfolio_too_stale", "refresh_delayed"]
    came(desk, figures(at=desk.now), 2)
    assert desk.statuses == ["submitted"]


def test_step_2c_a_sequence_that_outlives_two_hours_refreshes_between_its_trades():
    desk = old(1.99, 0, trade("t1", 10), trade("t2", 10))
    desk.minutes(2)
    assert desk.statuses == ["executed", "pending"] and asked(desk) == [("quick_refresh", "A")]
    came(desk, figures(290, desk.now, (("Energy", 200_000), ("Materials", 10_000), ("Technology", 300_000))))
    assert desk.statuses == ["executed", "submitted"] and desk.triggers == [] and desk.state.cash == 29_000_000


def test_step_2a_what_the_execution_itself_bought_is_no_shift_and_what_came_on_top_is():
    weights = (("Energy", 200_000), ("Materials", 100_000), ("Technology", 300_000))
    for extra, triggers in ((0, []), (20_000, ["sector_headroom_changed"])):
        desk = old(1.99, 0, trade("t1", 100), trade("t2", 10)).minutes(2)
        live = tuple((name, weight + (extra if name == "Energy" else 0)) for name, weight in weights)
        came(desk, figures(200, desk.now, live))
        assert desk.triggers == triggers


def test_fills_after_the_figures_were_taken_are_counted_on_top_of_them_and_are_no_shift():
    desk = old(1.99, 0, trade("t1", 100), trade("t2", 10)).minutes(2)
    came(desk, figures(300, NINE))  # taken before the fill of the first minute
    assert desk.state.cash == 20_000_000 and desk.triggers == [] and desk.flags == []


def test_step_5_a_fill_that_the_fresh_figures_hold_already_is_not_counted_twice():
    desk = old(1.99, 0, trade("t1", 100), trade("t2", 10)).minutes(2)
    came(desk, figures(200, desk.now, (("Energy", 200_000), ("Materials", 100_000), ("Technology", 300_000))))
    desk.minute()
    assert {one.subject: one.found for one in desk.state.report.sectors}["Materials"] == 110_000


def test_an_answer_to_another_refresh_or_a_second_one_changes_nothing():
    desk = old(3)
    answer = RefreshReported(desk.now, RefreshAnswer("X9-R1", desk.now, figures(at=desk.now)))
    assert step(TERMS, desk.state, answer) == (desk.state, ())
    came(desk, figures(at=desk.now))
    before = desk.state
    came(desk, figures(1, desk.now))
    assert desk.state == before


def test_the_same_events_give_the_same_state_with_refreshes_in_between():
    desk = old(3)
    desk.tick(16)
    desk.answer("approve")
    desk.minutes(2)
    assert any(isinstance(one, Decided) for one in desk.events)
    assert replay(TERMS, desk.events) == desk.state and desk.state.approved == SECTORS
