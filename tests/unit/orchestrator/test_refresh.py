"""Step 2C of v8.0.3, every branch with its limits: which data is current, which refresh is asked for, and what its delay means."""

from datetime import UTC, date, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from portfolio_platform.days import NANOSECONDS_PER_DAY as DAY
from portfolio_platform.days import nanoseconds, to_number
from portfolio_platform.errors import DataProblem
from portfolio_platform.ledger.calendars import sessions
from portfolio_platform.orchestrator.profile import shipped_profile
from portfolio_platform.orchestrator.refresh import (
    HOUR,
    MINUTE,
    DataState,
    Figures,
    RefreshAnswer,
    Refreshing,
    RefreshKind,
    RefreshRequest,
    RefreshRun,
    RefreshTerms,
    SessionDays,
    Verdict,
    assess,
    caveats,
    shifts,
    verdict,
)

TERMS = RefreshTerms.of(shipped_profile("v8.0.3"))
DAYS = SessionDays.of(sessions("XNYS", to_number(date(2025, 12, 1)), to_number(date(2025, 12, 31))).tolist())


def at(day: int, hour: int = 15, minute: int = 0, second: int = 0) -> int:
    """A time in December 2025; the 5th is a Friday, the 25th a holiday."""
    return nanoseconds(datetime(2025, 12, day, hour, minute, second, tzinfo=UTC))


@pytest.mark.parametrize(
    ("taken", "now", "state", "kind", "elapsed"),
    [
        (at(9), at(9), DataState.CURRENT, None, 0),
        (at(9), at(9, 17), DataState.CURRENT, None, 0),  # two hours to the second
        (at(9), at(9, 17, 0, 1), DataState.STALE_WITHIN_DAY, RefreshKind.QUICK, 0),
        (at(8, 21), at(9, 15), DataState.STALE_WITHIN_DAY, RefreshKind.QUICK, 1),  # the session before
        (at(5, 21), at(8, 15), DataState.STALE_WITHIN_DAY, RefreshKind.QUICK, 1),  # Friday on Monday: one trading day
        (at(5, 21), at(7, 15), DataState.STALE_WITHIN_DAY, RefreshKind.QUICK, 0),  # on Sunday nothing traded since
        (at(24, 15), at(26, 15), DataState.STALE_WITHIN_DAY, RefreshKind.QUICK, 1),  # the holiday is no trading day
        (at(5, 21), at(9, 15), DataState.TOO_STALE, RefreshKind.FULL, 2),
        (at(4, 21), at(8, 0, 30), DataState.TOO_STALE, RefreshKind.FULL, 2),
    ],
)
def test_step_2c_the_age_of_the_data_decides_its_state_and_its_refresh(taken, now, state, kind, elapsed):
    fresh = assess(taken, now, DAYS, TERMS)
    assert (fresh.state, fresh.refresh, fresh.trading_days) == (state, kind, elapsed)


def test_step_2c_round_the_clock_an_hour_over_midnight_is_still_current():
    always = SessionDays.of(range(to_number(date(2025, 12, 1)), to_number(date(2025, 12, 31))))
    assert assess(at(8, 23, 30), at(9, 0, 30), always, TERMS).state is DataState.CURRENT
    assert assess(at(7, 23, 59), at(9, 0, 1), always, TERMS).state is DataState.TOO_STALE


def test_data_that_lies_ahead_of_the_clock_is_refused_beyond_the_tolerance():
    assert assess(at(9, 15, 5), at(9, 15), DAYS, TERMS).state is DataState.CURRENT
    with pytest.raises(DataProblem, match=r"2025-12-09T15:05:01Z, after now .*correct the clock"):
        assess(at(9, 15, 5, 1), at(9, 15), DAYS, TERMS)


FRESH = RefreshAnswer("r", at(9), Figures(at(9), 100, 10))
FAILED = RefreshAnswer("r", at(9), None, "no connection")


def waited(kind: RefreshKind, minutes: float, answer: RefreshAnswer | None = None) -> Verdict:
    request = RefreshRequest("r", "p", kind, "A", at(9))
    return verdict(Refreshing(request, answer), at(9) + round(minutes * MINUTE), TERMS)


@pytest.mark.parametrize(
    ("minutes", "expected"),
    [
        (0, Verdict.WAIT),
        (10, Verdict.WAIT),
        (10.01, Verdict.PROCEED_WITH_CAVEAT),
        (15, Verdict.PROCEED_WITH_CAVEAT),
        (15.01, Verdict.ESCALATE),
        (600, Verdict.ESCALATE),
    ],
)
def test_step_2c_a_pending_quick_refresh_is_waited_for_then_gone_on_without_then_escalated(minutes, expected):
    assert waited(RefreshKind.QUICK, minutes) is expected


@pytest.mark.parametrize(("minutes", "expected"), [(0, Verdict.WAIT), (15, Verdict.WAIT), (15.01, Verdict.ESCALATE)])
def test_step_2c_a_pending_full_refresh_halts_and_is_escalated_never_gone_on_without(minutes, expected):
    assert waited(RefreshKind.FULL, minutes) is expected


@pytest.mark.parametrize("kind", list(RefreshKind))
@pytest.mark.parametrize("minutes", [1, 12, 60])
def test_step_2c_an_answer_proceeds_whenever_it_comes_and_a_failure_is_escalated_at_once(kind, minutes):
    assert waited(kind, minutes, FRESH) is Verdict.PROCEED
    assert waited(kind, minutes, FAILED) is Verdict.ESCALATE


def test_step_2c_the_caveat_has_the_words_of_the_specification():
    assert caveats(TERMS) == ("Portfolio data >2 hours old", "sector allocation may have shifted")


def test_step_2a_a_sector_that_moved_two_points_or_more_counts_as_shifted_up_or_down():
    approved = {"Tech": 200_000, "Energy": 100_000, "Banks": 100_000, "Gone": 20_000}
    live = {"Tech": 220_000, "Energy": 119_999, "Banks": 80_000, "New": 20_000}
    found = shifts(approved, live, TERMS)
    assert [(one.sector, one.increased) for one in found] == [("Banks", False), ("Gone", False), ("New", True), ("Tech", True)]


def test_the_terms_are_those_of_the_profile():
    assert RefreshTerms.of(shipped_profile("v8.0.3")) == TERMS


class Clock:
    def __init__(self) -> None:
        self.time = datetime(2025, 12, 9, 15, tzinfo=UTC)

    def now(self) -> datetime:
        return self.time


class After:
    """A refresher that answers after some minutes."""

    def __init__(self, clock: Clock, minutes: int) -> None:
        self.clock, self.ready, self.begun = clock, clock.time + timedelta(minutes=minutes), 0

    def begin(self, request: RefreshRequest) -> None:
        self.begun += 1

    def poll(self, request: RefreshRequest) -> RefreshAnswer | None:
        now = nanoseconds(self.clock.time)
        return RefreshAnswer(request.request_id, now, Figures(now, 1, 1)) if self.clock.time >= self.ready else None


def test_step_2c_a_refresh_on_the_injected_clock_goes_through_all_its_verdicts_and_a_late_answer_ends_it():
    clock = Clock()
    refresher = After(clock, 17)
    run = RefreshRun(refresher, clock, TERMS, RefreshRequest("r", "p", RefreshKind.QUICK, "A", at(9)))
    seen = []
    for _ in range(18):
        seen.append(run.look())
        clock.time += timedelta(minutes=1)
    assert seen == [Verdict.WAIT] * 11 + [Verdict.PROCEED_WITH_CAVEAT] * 5 + [Verdict.ESCALATE, Verdict.PROCEED]
    assert refresher.begun == 1 and run.refreshing.answer is not None


def test_step_2c_a_refresh_that_completes_in_the_tenth_minute_is_used():
    clock = Clock()
    run = RefreshRun(After(clock, 10), clock, TERMS, RefreshRequest("r", "p", RefreshKind.QUICK, "A", at(9)))
    clock.time += timedelta(minutes=10)
    assert run.look() is Verdict.PROCEED


@given(st.integers(0, 5 * DAY), st.integers(0, 5 * DAY))
def test_older_data_is_never_called_fresher(first, second):
    order = [DataState.CURRENT, DataState.STALE_WITHIN_DAY, DataState.TOO_STALE]
    now = at(12)
    young, old = (assess(now - age, now, DAYS, TERMS).state for age in sorted((first, second)))
    assert order.index(young) <= order.index(old)
    assert (min(first, second) <= 2 * HOUR) == (young is DataState.CURRENT)
