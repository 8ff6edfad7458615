"""When a cycle is due: what asks for one, how often, and that a day of looks asks for no more than happened."""

from datetime import UTC, date, datetime, timedelta

import pytest

from portfolio_platform.build import build_all
from portfolio_platform.clock import end_of_day
from portfolio_platform.control.pipeline.cycle import run_cycle
from portfolio_platform.control.pipeline.due import (
    AGAIN,
    APPROVED,
    CLOCK,
    FACTS,
    CycleCursor,
    RefreshCursor,
    cycle_wanted,
    decisions_behind,
    knows_log,
    refresh_wanted,
    run_key,
    seen_by,
)
from portfolio_platform.control.pipeline.publish import publish
from portfolio_platform.control.plane import ControlPlane
from portfolio_platform.home import Home
from tests.unit.control.pipeline.conftest import FILLS, LAST, at, imported
from tests.unit.control.pipeline.test_carry import put, recommended

NOON = datetime(2026, 3, 2, 12, 0, tzinfo=UTC)
PAUSE = timedelta(hours=1)


def plane_of(home: Home) -> ControlPlane:
    return ControlPlane(home.book, home.clock)


def test_the_same_thing_is_asked_for_once_and_again_after_an_hour():
    wanted, cursor = cycle_wanted(CycleCursor(), {FACTS: "x"}, NOON)
    assert set(wanted) == {FACTS}
    soon, cursor = cycle_wanted(cursor, {FACTS: "x"}, NOON + timedelta(minutes=59))
    assert soon == {}
    later, cursor = cycle_wanted(cursor, {FACTS: "x"}, NOON + AGAIN)
    assert later[FACTS].times == 2 and run_key(later) != run_key(wanted)


def test_another_thing_is_asked_for_at_once_and_what_is_done_is_forgotten():
    _, cursor = cycle_wanted(CycleCursor(), {FACTS: "x"}, NOON)
    wanted, cursor = cycle_wanted(cursor, {FACTS: "y", CLOCK: "z"}, NOON)
    assert set(wanted) == {FACTS, CLOCK}
    nothing, cursor = cycle_wanted(cursor, {}, NOON)
    assert nothing == {} and cursor == CycleCursor()
    assert set(cycle_wanted(cursor, {FACTS: "y"}, NOON)[0]) == {FACTS}


@pytest.mark.parametrize("text", [None, "", "{", "[]", '{"version": 0}', '{"asked": {"facts": 1}}', "null"])
def test_a_damaged_cursor_is_forgotten(text):
    assert CycleCursor.from_text(text) == CycleCursor() and RefreshCursor.from_text(text) == RefreshCursor()


def test_a_cursor_comes_back_as_it_was_written():
    _, cursor = cycle_wanted(CycleCursor(), {FACTS: "x"}, NOON)
    assert CycleCursor.from_text(cursor.to_text()) == cursor
    _, other = refresh_wanted(RefreshCursor(), 3, 1, NOON, PAUSE)
    assert RefreshCursor.from_text(other.to_text()) == other


def test_decisions_ask_for_a_refresh_once_and_no_oftener_than_the_pause():
    asked, cursor = refresh_wanted(RefreshCursor(), 5, 4, NOON, PAUSE)
    assert asked
    assert refresh_wanted(cursor, 5, 4, NOON + 2 * PAUSE, PAUSE)[0] is False  # the same ones
    waits, cursor = refresh_wanted(cursor, 6, 4, NOON + PAUSE / 2, PAUSE)
    assert not waits
    assert refresh_wanted(cursor, 6, 4, NOON + PAUSE, PAUSE)[0] is True
    assert refresh_wanted(RefreshCursor(), 6, 6, NOON, PAUSE)[0] is False  # the tables know them
    assert refresh_wanted(RefreshCursor(import_seq=9, at=NOON), 2, 1, NOON + PAUSE, PAUSE)[0] is True  # another lake


def test_a_ledger_that_is_not_under_control_is_due_and_then_is_not(small):
    assert set(seen_by(small, plane_of(small))) == {FACTS}
    run_cycle(small)
    assert seen_by(small, plane_of(small)) == {}


def test_a_fill_that_comes_in_is_due(small, tmp_path):
    run_cycle(small)
    imported(small, tmp_path / "more", "fills.csv", FILLS, f"E99,{LAST}T16:00:00Z,main,trend,AAA,buy,1,71,0,60,")
    assert set(seen_by(small, plane_of(small))) == {FACTS}


def test_an_approved_recommendation_is_due_until_it_is_applied_or_over(small):
    run_cycle(small)
    put(small, recommended("defensive"))
    assert set(seen_by(small, plane_of(small))) == {APPROVED}
    run_cycle(small)
    assert seen_by(small, plane_of(small)) == {}
    put(small, recommended("defensive", day=date(2010, 4, 8), days=0))
    assert seen_by(small, plane_of(small)) == {}  # its last day is over


def test_what_is_over_on_the_clock_is_due_when_it_is_over(small):
    plane = plane_of(small)
    run_cycle(small, plane=plane)
    asked = {"intent_id": "a", "strategy": "swing", "symbol": "BBB", "side": "long", "requested_risk": "50", "ts": small.clock.now()}
    assert plane.request_allocation(asked, "main").decision.approved
    later = at(small, LAST + timedelta(days=4))
    assert CLOCK in seen_by(later, plane_of(later))
    run_cycle(later)
    assert CLOCK not in seen_by(later, plane_of(later))


def test_published_decisions_are_behind_until_the_tables_are_built(small):
    plane = plane_of(small)
    run_cycle(small, plane=plane)
    assert decisions_behind(small)[0] == 0
    asked = {"intent_id": "a", "strategy": "swing", "symbol": "BBB", "side": "long", "requested_risk": "50", "ts": small.clock.now()}
    plane.request_allocation(asked, "main")
    publish(small)
    published, reached = decisions_behind(small)
    assert published > reached
    build_all(small)
    assert decisions_behind(small)[0] <= decisions_behind(small)[1]


def test_a_day_of_looks_asks_only_for_what_happened(small):
    """A day in which nothing is imported: envelopes are reissued when half of their time is over."""
    run_cycle(small)
    plane, cursor, asked = plane_of(small), CycleCursor(), 0
    start = end_of_day(LAST)
    for minute in range(0, 24 * 60, 10):
        now = Home(small.root, as_of=start + timedelta(minutes=minute))
        wanted, cursor = cycle_wanted(cursor, seen_by(now, plane), now.clock.now())
        if wanted:
            asked += 1
            run_cycle(now, plane=ControlPlane(now.book, now.clock))
        now.book.close()
    assert asked <= 2


def test_a_plane_that_knows_more_than_the_log_is_not_believed(small, tmp_path, copy_home):
    before = copy_home(small, tmp_path / "before")
    plane = plane_of(small)
    run_cycle(small, plane=plane)
    assert knows_log(small, plane) and not knows_log(before, plane)
