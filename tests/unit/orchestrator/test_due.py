"""What falls due after executions: a calendar rule over trading days, held against a plain walk through the days."""

from datetime import date, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from portfolio_platform.days import to_number
from portfolio_platform.errors import WrongUse
from portfolio_platform.ledger.calendars import sessions
from portfolio_platform.orchestrator.due import Anchor, Done, Sessions, due_on, items, months_after
from portfolio_platform.orchestrator.profile import shipped_profile

RULES = shipped_profile().due
DAYS = Sessions(tuple(int(day) for day in sessions("XNYS", to_number(date(2025, 6, 1)), to_number(date(2027, 12, 31)))))
FRIDAY = date(2026, 1, 2)  # the 1st was a holiday, the 19th is one


@pytest.mark.parametrize(
    ("kind", "since", "due"),
    [
        ("daily_allocation", FRIDAY, date(2026, 1, 5)),
        ("stop_tracking", date(2026, 1, 16), date(2026, 1, 20)),  # over a weekend and Martin Luther King's day
        ("weekly_rebalancing", date(2026, 1, 12), date(2026, 1, 20)),  # a week later is the holiday
        ("weekly_rebalancing", FRIDAY, date(2026, 1, 9)),
        ("quarterly_thesis", date(2026, 1, 31), date(2026, 4, 30)),
        ("quarterly_thesis", date(2025, 11, 30), date(2026, 3, 2)),  # 28 February is a Saturday
        ("next_review", FRIDAY, date(2026, 1, 5)),
    ],
)
def test_an_item_falls_due_on_a_trading_day(kind, since, due):
    assert due_on(kind, since, DAYS, RULES) == due


def open_items(*done: Done, anchors: tuple[Anchor, ...] = (Anchor("X", FRIDAY, True, True),)) -> dict[str, date]:
    return {f"{one.execution_id}:{one.kind}": one.due_on for one in items(anchors, done, DAYS, RULES)}


def test_one_item_of_each_kind_is_open_and_what_was_missed_is_not_multiplied():
    assert open_items() == {
        "X:daily_allocation": date(2026, 1, 5),
        "X:stop_tracking": date(2026, 1, 5),
        "X:next_review": date(2026, 1, 5),
        "X:weekly_rebalancing": date(2026, 1, 9),
        "X:quarterly_thesis": date(2026, 4, 2),
    }


def test_done_late_an_item_is_counted_on_from_the_day_it_was_done_and_a_review_is_over():
    late = [Done(f"X:{kind}:2026-01-05", date(2026, 1, 14), "alice") for kind in ("daily_allocation", "next_review")]
    found = open_items(*late)
    assert found["X:daily_allocation"] == date(2026, 1, 15)
    assert "X:next_review" not in found


def test_done_before_its_day_an_item_is_counted_from_its_day():
    assert open_items(Done("X:weekly_rebalancing:2026-01-09", date(2026, 1, 5), "a"))["X:weekly_rebalancing"] == date(2026, 1, 16)


def test_a_portfolio_is_looked_at_once_however_many_executions_it_had_and_theses_and_reviews_are_each_its_own():
    found = open_items(anchors=(Anchor("X", FRIDAY, True, True), Anchor("Y", date(2026, 1, 6), False)))
    assert set(found) == {
        "X:quarterly_thesis",
        "X:next_review",
        "Y:daily_allocation",
        "Y:weekly_rebalancing",
        "Y:stop_tracking",
        "Y:next_review",
    }


def test_stops_are_tracked_where_there_are_any_and_theses_where_something_was_bought():
    assert set(open_items(anchors=(Anchor("X", FRIDAY, False),))) == {"X:daily_allocation", "X:weekly_rebalancing", "X:next_review"}


def test_a_calendar_that_does_not_reach_far_enough_says_so():
    with pytest.raises(WrongUse, match="does not reach"):
        due_on("daily_allocation", date(2027, 12, 31), DAYS, RULES)


@given(st.dates(date(2025, 6, 2), date(2027, 6, 1)), st.integers(1, 40))
@settings(max_examples=60)
def test_the_day_so_many_sessions_later_is_that_of_a_walk_through_the_calendar(day, count):
    left, walked = count, day
    while left:
        walked += timedelta(days=1)
        left -= to_number(walked) in set(DAYS.days)
    assert DAYS.after(day, count) == walked


@given(st.dates(date(1999, 1, 1), date(2050, 1, 1)), st.integers(1, 30))
@settings(max_examples=60)
def test_months_later_is_the_same_day_or_the_last_of_its_month(day, months):
    found = months_after(day, months)
    assert (found.year * 12 + found.month) - (day.year * 12 + day.month) == months
    assert found.day == day.day or (found.day < day.day and (found + timedelta(days=1)).day == 1)
