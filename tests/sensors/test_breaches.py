"""Breach sensors: a breach starts one run, however often it is looked at, and a flapping metric none beyond the cool-down."""

from datetime import UTC, date, datetime, timedelta

import dagster as dg
import pyarrow as pa
import pytest

from portfolio_platform.home import Home
from portfolio_platform.lake.derived import ALERT_STATES
from resources.platform import Platform
from sensors.breaches import FAMILIES, build_breach_sensors, runs_for

DRAWDOWN = FAMILIES["drawdown_breach"][0]
TODAY = date(2026, 3, 2)


def write(home: Home, *, firing: bool, severity: str = "warning", day: date = TODAY, first: date = TODAY, rule: str = "drawdown") -> None:
    """Let an alert of the newest session fire, or be resolved."""
    row = dict.fromkeys(ALERT_STATES.column_names) | {
        "day": day,
        "portfolio": "core",
        "rule": rule,
        "scope": "",
        "alert_id": f"alert:core:{rule}::{first}",
        "state": "firing" if firing else "resolved",
        "severity": severity,
        "transition": "",
        "month": day.isoformat()[:7],
    }
    with home.lake.writing():
        home.lake.replace(ALERT_STATES, pa.Table.from_pylist([row], schema=ALERT_STATES.arrow_schema()))


def at(home: Home, moment: datetime) -> Home:
    return Home(home.root, as_of=moment)


def test_a_breach_asks_for_one_run_of_its_day_and_portfolio(home):
    write(home, firing=True)
    now = datetime(2026, 3, 2, 10, 0, tzinfo=UTC)
    requests, cursor = runs_for(at(home, now), DRAWDOWN, None)
    assert [(request.partition_key, request.tags["portfolio"], request.tags["rule"]) for request in requests] == [
        ("2026-03-02", "core", "drawdown")
    ]
    again, _ = runs_for(at(home, now + timedelta(hours=5)), DRAWDOWN, cursor)
    assert again == []


def test_a_graver_breach_asks_again_once_the_cool_down_has_passed(home):
    write(home, firing=True)
    now = datetime(2026, 3, 2, 10, 0, tzinfo=UTC)
    _, cursor = runs_for(at(home, now), DRAWDOWN, None)
    write(home, firing=True, severity="critical")
    soon, cursor = runs_for(at(home, now + timedelta(minutes=10)), DRAWDOWN, cursor)
    later, cursor = runs_for(at(home, now + timedelta(minutes=61)), DRAWDOWN, cursor)
    assert (len(soon), len(later)) == (0, 1)


def test_a_day_of_ticks_that_flap_starts_no_more_runs_than_the_cool_down_allows(home):
    """The alert comes and goes at every look; its id holds the day it began, so it is known."""
    start, cursor, runs = datetime(2026, 3, 2, 0, 0, tzinfo=UTC), None, 0
    for look in range(48):  # the sensor looks every 30 seconds; here at every half hour of the day, the metric having flapped between
        write(home, firing=look % 2 == 0, severity="critical" if look % 4 == 0 else "warning")
        requests, cursor = runs_for(at(home, start + timedelta(minutes=30 * look)), DRAWDOWN, cursor)
        runs += len(requests)
    assert 1 <= runs <= 2


def test_rules_of_other_families_are_left_to_their_sensors(home):
    write(home, firing=True, rule="rejection_spike")
    requests, _ = runs_for(at(home, datetime(2026, 3, 2, 10, 0, tzinfo=UTC)), DRAWDOWN, None)
    assert requests == []


@pytest.mark.parametrize("cursor", ["", "{", "[]", '{"version": 0}', "null"])
def test_a_damaged_cursor_is_forgotten(home, cursor):
    write(home, firing=True)
    requests, _ = runs_for(at(home, datetime(2026, 3, 2, 10, 0, tzinfo=UTC)), DRAWDOWN, cursor)
    assert len(requests) == 1


def test_each_specified_breach_has_its_sensor_and_a_pinned_home_starts_nothing(home):
    sensors = {sensor.name: sensor for sensor in build_breach_sensors()}
    assert set(sensors) == {"drawdown_breach", "rejection_spike", "correlation_breach"}
    home.pin_clock(TODAY)
    write(home, firing=True)
    for sensor in sensors.values():
        context = dg.build_sensor_context(resources={"platform": Platform(home=str(home.root))})
        assert isinstance(sensor(context), dg.SkipReason)
