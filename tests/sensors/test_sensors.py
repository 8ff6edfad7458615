"""The schedule and the sensor: what they ask for, and when they stay quiet."""

import os
from datetime import UTC, date, datetime

import dagster as dg
import pytest

from portfolio_platform.home import Home
from portfolio_platform.sources.inbox import import_inbox, waiting
from resources.platform import Platform
from sensors.inbox import inbox_sensor
from sensors.schedules import daily_monitor_schedule


@pytest.fixture
def platform(home: Home) -> Platform:
    return Platform(home=str(home.root))


def drop(home: Home, name: str, text: str, *, at: float = 0.0) -> None:
    path = home.inbox / name
    path.write_text(text)
    os.utime(path, (at, at))


FILLS = "execution_id,ts,symbol,side,quantity,price\nE1,2010-01-04T15:00:00Z,AAA,buy,1,10\n"


def test_an_empty_inbox_asks_for_nothing(platform):
    assert isinstance(inbox_sensor(dg.build_sensor_context(), platform=platform), dg.SkipReason)


def test_the_same_files_ask_once_and_a_changed_file_asks_again(home, platform):
    drop(home, "fills.csv", FILLS)
    first = inbox_sensor(dg.build_sensor_context(), platform=platform)
    second = inbox_sensor(dg.build_sensor_context(), platform=platform)
    drop(home, "fills.csv", FILLS + "E2,2010-01-04T15:00:00Z,AAA,buy,1,10\n")
    third = inbox_sensor(dg.build_sensor_context(), platform=platform)
    assert first.run_key == second.run_key != third.run_key


def test_a_file_that_may_still_grow_waits(home):
    drop(home, "fills.csv", FILLS, at=datetime.now(UTC).timestamp())
    assert waiting(home) == []


@pytest.mark.parametrize("name", [".fills.csv", "fills.csv.part", "notes.txt"])
def test_hidden_partial_and_foreign_files_are_left_alone(home, name):
    drop(home, name, FILLS)
    assert waiting(home) == []


def test_imported_files_leave_the_inbox_and_unknown_ones_stay(home):
    drop(home, "fills.csv", FILLS)
    drop(home, "shopping.csv", "milk,eggs\n1,2\n")
    result = import_inbox(home)
    assert result is not None and result.imported == 1
    assert [path.name for path in home.inbox.iterdir()] == ["shopping.csv"]
    assert [path.name for path in home.imported.rglob("*.csv")] == ["fills.csv"]


def _tick(platform: Platform, at: datetime):
    context = dg.build_schedule_context(scheduled_execution_time=at)
    return daily_monitor_schedule(context, platform=platform)


def test_the_schedule_asks_for_the_day_that_has_ended(home, platform):
    home.pin_clock(None)
    home.remember_first_day(date(2026, 1, 1))
    request = _tick(platform, datetime(2026, 3, 2, 0, 30, tzinfo=UTC))
    assert (request.partition_key, request.run_key) == ("2026-03-01", "daily_monitor:2026-03-01")


def test_the_schedule_is_quiet_before_the_ledger_begins_and_where_the_clock_stands_still(home, platform):
    assert isinstance(_tick(platform, datetime(2026, 3, 2, 0, 30, tzinfo=UTC)), dg.SkipReason)
    home.pin_clock(None)
    home.remember_first_day(date(2026, 5, 1))
    assert isinstance(_tick(platform, datetime(2026, 3, 2, 0, 30, tzinfo=UTC)), dg.SkipReason)


def test_reflections_are_asked_for_the_week_and_the_month_that_have_ended(home, platform):
    from sensors.schedules import monthly_reflection_schedule, weekly_reflection_schedule

    home.pin_clock(None)
    home.remember_first_day(date(2026, 1, 1))
    monday = dg.build_schedule_context(scheduled_execution_time=datetime(2026, 3, 9, 1, 30, tzinfo=UTC))
    first = dg.build_schedule_context(scheduled_execution_time=datetime(2026, 3, 1, 2, 0, tzinfo=UTC))
    assert weekly_reflection_schedule(monday, platform=platform).partition_key == "2026-03-02"
    assert monthly_reflection_schedule(first, platform=platform).partition_key == "2026-02-01"
    home.remember_first_day(date(2026, 4, 1))
    assert isinstance(weekly_reflection_schedule(monday, platform=platform), dg.SkipReason)
    assert isinstance(monthly_reflection_schedule(first, platform=platform), dg.SkipReason)
