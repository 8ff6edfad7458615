"""The versions of a policy in time: which is in force on a day, and what cannot stand beside what."""

from datetime import date, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from portfolio_platform.errors import DataProblem
from portfolio_platform.lake.progress import first_other_day
from portfolio_platform.policy.assigned import NONE, Assigned, PoliciesInTime
from portfolio_platform.policy.model import AccountingPolicy, HeatPolicy, Policy
from portfolio_platform.policy.timeline import NoPolicyInForce, Timeline, Version

START = date(2010, 1, 1)


def day(number: int) -> date:
    return START + timedelta(days=number)


def saying(cap: float, **more: object) -> Policy:
    return Policy(heat=HeatPolicy(cap=cap), **more)  # type: ignore[arg-type]


OLD, NEW, NEWEST = saying(0.06), saying(0.05, version=2), saying(0.04, version=3)


def test_the_version_that_began_last_is_in_force_whatever_the_order_of_the_files() -> None:
    line = Timeline("default", (Version(NEWEST, day(20)), Version(OLD), Version(NEW, day(10))))
    assert [line.on(day(number)).policy for number in (-5000, 9, 10, 19, 20, 5000)] == [OLD, OLD, NEW, NEW, NEWEST, NEWEST]
    assert line.changes == (day(10), day(20))


def test_an_expired_version_is_an_error_with_a_remedy_and_never_the_one_before_it() -> None:
    line = Timeline("default", (Version(OLD), Version(NEW, day(10), day(19), "default@b.toml")))
    assert line.on(day(19)).policy == NEW
    with pytest.raises(NoPolicyInForce, match=r"default@b\.toml expired on 2010-01-20.*effective_from = 2010-01-21"):
        line.on(day(20))
    assert line.last_begun(day(20)).policy == NEW


def test_days_before_the_oldest_version_have_no_policy() -> None:
    line = Timeline("default", (Version(OLD, day(5), source="default.toml"),))
    with pytest.raises(NoPolicyInForce, match=r"default\.toml, begins on 2010-01-06; take effective_from out"):
        line.on(day(4))


@pytest.mark.parametrize(
    ("versions", "said"),
    [
        ((Version(OLD, source="a.toml"), Version(NEW, source="b.toml")), r"a\.toml and b\.toml both begin from the beginning on"),
        ((Version(OLD, day(3)), Version(NEW, day(3))), "both begin on 2010-01-04; give one of them another effective_from"),
        ((Version(OLD, None, day(3)), Version(NEW, day(5))), "nothing is in force from 2010-01-05 to 2010-01-05"),
        ((Version(OLD, day(5), day(4)),), "expires on 2010-01-05, before it begins on 2010-01-06"),
        ((), "has no version"),
        (
            (Version(OLD), Version(saying(0.05, accounting=AccountingPolicy(max_mark_age=9)), day(3))),
            "accounting.max_mark_age is 5 and 9.*one convention",
        ),
    ],
)
def test_versions_that_leave_it_open_what_is_in_force_are_refused(versions: tuple[Version, ...], said: str) -> None:
    with pytest.raises(DataProblem, match=said):
        Timeline("default", versions)


def test_a_version_may_expire_on_the_day_before_the_next_begins_or_later() -> None:
    for last in (4, 400):
        assert Timeline("default", (Version(OLD, None, day(last)), Version(NEW, day(5)))).on(day(5)).policy == NEW


def test_the_days_are_in_the_hash_of_the_timeline_and_not_in_that_of_the_policy() -> None:
    early, late = (Timeline("default", (Version(OLD), Version(NEW, day(number)))) for number in (5, 6))
    assert early.hash != late.hash
    assert early.on(day(9)).policy.hash == late.on(day(9)).policy.hash == NEW.hash


def test_another_policy_for_a_while_gives_way_to_what_is_in_force_then() -> None:
    line = Timeline("default", (Version(OLD), Version(NEW, day(10)), Version(NEWEST, day(20))))
    tried = line.instead(saying(0.5), day(5), day(14))
    found = [tried.on(day(number)).policy.heat.cap for number in (4, 5, 10, 14, 15, 19, 20)]
    assert found == [0.06, 0.5, 0.5, 0.5, 0.05, 0.05, 0.04]
    assert line.instead(saying(0.5), day(5), day(19)).on(day(20)).policy == NEWEST
    ends = Timeline("default", (Version(OLD, None, day(10)),)).instead(NEW, day(5), day(10))
    with pytest.raises(NoPolicyInForce):
        ends.on(day(11))


CAPS = st.sampled_from((0.04, 0.05, 0.06))
BEGINS = st.lists(st.integers(0, 30), max_size=5, unique=True)


@st.composite
def timelines(draw: st.DrawFn) -> Timeline:
    first = Version(saying(draw(CAPS)), draw(st.none() | st.just(day(-1))))
    later = [Version(saying(draw(CAPS)), day(number)) for number in draw(BEGINS)]
    last = max([first, *later], key=lambda version: version.begins)
    ends = draw(st.none() | st.integers(0, 10))
    if ends is not None:
        shortened = Version(last.policy, last.effective_from, (day(0) if last is first else last.begins) + timedelta(days=ends))
        first, later = (shortened, later) if last is first else (first, [shortened if one is last else one for one in later])
    return Timeline("default", tuple(draw(st.permutations([first, *later]))))


def plainly(line: Timeline, on: date) -> str:
    """The hash in force, looked for version by version."""
    begun = [version for version in line.versions if version.effective_from is None or version.effective_from <= on]
    newest = max(begun, key=lambda version: (version.effective_from is not None, version.effective_from or on), default=None)
    if newest is None or (newest.expires is not None and on > newest.expires):
        return NONE
    return newest.policy.hash


@given(timelines(), st.integers(-3, 45))
def test_what_is_in_force_is_what_a_plain_search_finds(line: Timeline, number: int) -> None:
    try:
        found = line.on(day(number)).policy.hash
    except NoPolicyInForce:
        found = NONE
    assert found == plainly(line, day(number))


@given(timelines(), timelines(), st.integers(-3, 20), st.integers(0, 30))
def test_two_trails_first_differ_on_the_first_day_whose_policies_differ(one: Timeline, other: Timeline, first: int, length: int) -> None:
    days = [day(first + offset) for offset in range(length)]
    expected = next((on for on in days if plainly(one, on) != plainly(other, on)), None)
    trails = [PoliciesInTime(line).trail for line in (one, other)]
    assert first_other_day(*trails, days[0] if days else day(first), days[-1] if days else day(first - 1)) == expected


def test_a_policy_without_days_has_the_trail_that_builds_before_versions_had() -> None:
    policies = PoliciesInTime(Timeline.always(OLD), {"core": Timeline.always(NEW)}, frozenset({"core"}))
    assert policies.trail == Assigned(OLD, {"core": NEW}, frozenset({"core"})).hash


def test_a_range_is_cut_where_the_policy_of_any_portfolio_begins() -> None:
    core = Timeline("tight", (Version(OLD), Version(NEW, day(5))))
    policies = PoliciesInTime(Timeline("default", (Version(OLD), Version(NEWEST, day(8)))), {"core": core})
    parts = policies.parts(day(3), day(9))
    assert [(part.first, part.until) for part in parts] == [(day(3), day(4)), (day(5), day(7)), (day(8), day(9))]
    assert [part.policies.of("core") for part in parts] == [OLD, NEW, NEW]
    assert [part.policies.of("macro") for part in parts] == [OLD, OLD, NEWEST]
    assert [(part.first, part.until) for part in policies.parts(day(8), day(9))] == [(day(8), day(9))]
