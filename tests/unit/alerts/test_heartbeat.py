"""The platform about itself: one alert for a silence or a failure, resolved when it is back."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from portfolio_platform.alerts import actions
from portfolio_platform.alerts.heartbeat import check_heartbeat, platform_alert, platform_resolved, quiet, record_run
from portfolio_platform.alerts.pipeline import sync
from portfolio_platform.clock import FixedClock
from portfolio_platform.doctor import examine
from portfolio_platform.home import Home
from tests.unit.alerts.making import alert_row, alerts_of, assert_rebuilds, put, the_alert, told

MORNING = datetime(2026, 3, 2, 6, 0, tzinfo=UTC)


@pytest.fixture
def living(store_home: Home, monkeypatch: pytest.MonkeyPatch) -> "Living":
    store_home.pin_clock(None)
    return Living(store_home, monkeypatch)


class Living:
    """A home whose clock is not pinned, and the machine's clock that it sees."""

    def __init__(self, home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
        self.home, self.monkeypatch = home, monkeypatch
        self.at(MORNING)

    def at(self, now: datetime) -> "Living":
        self.monkeypatch.setattr("portfolio_platform.home.SystemClock", lambda: FixedClock(now))
        return self


@given(st.integers(0, 10_000), st.floats(0.1, 100))
def test_quiet_means_longer_than_the_limit(minutes: int, limit: float) -> None:
    assert quiet(MORNING - timedelta(minutes=minutes), MORNING, limit) == (timedelta(minutes=minutes) > timedelta(hours=limit))
    assert not quiet(None, MORNING, limit)


def test_a_monitor_that_falls_silent_is_one_alert_and_is_over_when_it_is_back(living: Living) -> None:
    home = living.home
    record_run(home, "daily_monitor")
    living.at(MORNING + timedelta(hours=26))
    assert check_heartbeat(home) is None
    living.at(MORNING + timedelta(hours=27))
    alert = check_heartbeat(home)
    assert alert is not None and (alert.portfolio, alert.rule, alert.severity) == ("platform", "monitor_quiet", "critical")
    assert "2026-03-02 at 06:00 UTC" in str(alert.said["sentence"])
    for minutes in range(10):
        living.at(MORNING + timedelta(hours=27, minutes=minutes))
        check_heartbeat(home)
    assert told(home) == ["fired:critical"]
    assert [item.level for item in examine(home) if item.what == "heartbeat"] == ["warn"]
    record_run(home, "daily_monitor")
    assert check_heartbeat(home) is None and told(home) == ["fired:critical", "resolved:critical"]
    assert the_alert(home).state == "resolved"
    assert_rebuilds(home)


def test_a_monitor_that_never_ran_is_missed_from_the_first_event_on(living: Living) -> None:
    assert check_heartbeat(living.home) is None
    actions.annotate(living.home, "report:x", by="Ada", text="the first event")
    living.at(MORNING + timedelta(hours=27))
    alert = check_heartbeat(living.home)
    assert alert is not None and "none has finished since" in str(alert.said["sentence"])


def test_a_home_whose_clock_stands_still_is_never_quiet(home: Home) -> None:
    record_run(home, "daily_monitor")
    assert check_heartbeat(home) is None
    assert check_heartbeat(Home(home.root, as_of=datetime(2030, 1, 1, tzinfo=UTC))) is None


def test_a_failed_run_is_told_once_for_each_key_escalates_and_resolves(living: Living) -> None:
    home = living.home
    for number in range(3):
        living.at(MORNING + timedelta(minutes=number))
        platform_alert(home, "run_failed", "refresh", "warning", "The run of refresh failed.", "Look at its log.")
    platform_alert(home, "run_failed", "publish", "warning", "The run of publish failed.", "Look at its log.")
    assert told(home) == ["fired:warning", "fired:warning"]
    platform_alert(home, "run_failed", "refresh", "critical", "The run of refresh failed again.", "Look at its log.")
    platform_resolved(home, "run_failed", "refresh")
    platform_resolved(home, "run_failed", "refresh")
    assert told(home)[2:] == ["escalated:critical", "resolved:critical"]
    assert {alert.scope: alert.state for alert in alerts_of(home)} == {"refresh": "resolved", "publish": "firing"}
    assert_rebuilds(home)


def test_a_hand_resolved_failure_stays_so_that_day_and_is_a_new_alert_the_next(living: Living) -> None:
    home, alert = living.home, ("run_failed", "refresh", "warning", "It failed.", "Look.")
    first = platform_alert(home, *alert)
    assert first is not None
    actions.resolve(home, first.id, by="Ada", reason="known")
    assert platform_alert(home, *alert) is None
    living.at(MORNING + timedelta(days=1))
    second = platform_alert(home, *alert)
    assert second is not None and second.id != first.id


def test_syncing_portfolios_leaves_the_platforms_alerts_alone_also_beside_a_portfolio_of_that_name(home: Home) -> None:
    platform_alert(home, "check_failed", "prices", "warning", "A check failed.", "Look.")
    put(home, 1, [alert_row(1, portfolio="platform")], portfolios=("platform",))
    sync(home)
    assert {alert.rule: alert.state for alert in alerts_of(home)} == {"check_failed": "firing", "symbol_exposure": "firing"}
    put(home, 2, [], portfolios=("platform",))
    sync(home)
    assert {alert.rule: alert.state for alert in alerts_of(home)} == {"check_failed": "firing", "symbol_exposure": "resolved"}
