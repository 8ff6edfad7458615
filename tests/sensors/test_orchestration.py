"""The sensor that looks after executions: quiet without plans and in a pinned home, and safe to tick as often as it likes."""

from dataclasses import replace

import dagster as dg
import pytest

from portfolio_platform.desk.escalations import cases_of
from portfolio_platform.home import Home
from resources.platform import Platform
from sensors.orchestration import orchestration_watch
from tests.unit.desk.desk_examples import at, with_samples
from tests.unit.desk.execution_examples import approved, events


def tick(home: Home) -> str:
    result = orchestration_watch(platform=Platform(home=str(home.root)))
    assert isinstance(result, dg.SkipReason)
    return str(result.skip_message)


def test_nothing_happens_in_a_home_whose_clock_is_pinned(home: Home) -> None:
    assert "pinned" in tick(home)


def test_a_home_without_plans_is_left_alone(home: Home) -> None:
    home.pin_clock(None)
    assert tick(home) == "no plan was made and nothing is asked"


def test_orders_without_a_fill_are_asked_about_once_however_often_it_ticks(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    desk = with_samples(home)
    approved(desk)
    home.pin_clock(None)
    monkeypatch.setattr(Platform, "open", lambda platform: replace(Home(home.root), as_of=at(desk, 20).clock.now()))
    assert tick(home) == "nothing new in 1 executions under way"
    before = events(desk)
    for _ in range(3):
        tick(home)
    assert (len(cases_of(desk)), events(desk)) == (1, before)
