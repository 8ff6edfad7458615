"""Builds under policies in time: each day by the policy then in force, and what a change of policies builds again."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import date, timedelta
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pytest

from portfolio_platform.book.reports import newest
from portfolio_platform.build import build_all, is_behind
from portfolio_platform.explain.verify import verify
from portfolio_platform.home import Home
from portfolio_platform.lake import derived
from portfolio_platform.lake.columns import Table
from portfolio_platform.lake.progress import Plan
from portfolio_platform.monitor.pipeline.reports import publish_reports
from portfolio_platform.monitor.pipeline.staleness import stale_days
from portfolio_platform.policy.assigned import Assigned, policies_in_time
from portfolio_platform.policy.load import default_policy
from portfolio_platform.policy.model import Policy
from portfolio_platform.policy.timeline import NoPolicyInForce
from portfolio_platform.stage import build_stage, plan_stage
from portfolio_platform.stages import BY_NAME, STAGES
from tests.conftest import copied
from tests.unit.explain.conftest import small_ledger, weekday

FIRST, LAST = weekday(0), weekday(29)
TIGHT = """version = 2
[heat]
cap = 0.01
[drawdown.regime]
defensive_drawdown = 0.01
recovered_drawdown = 0.005
[turnover]
window = 5
[correlation]
window = 20
minimum = 10
[execution]
slippage_window = 5
[idle]
window = 5
[failures]
window = 10
[data_quality]
cadence_window = 10
cadence_minimum = 5
[gates.minimum]
idle = 2
[alerts.rules.drawdown]
enabled = false
[alerts.rules.heat]
warning = 0.3
[recommendations]
valid_sessions = 2
"""
STORED = tuple(table for stage in STAGES for table in stage.tables)


def from_on(home: Home, day: date, text: str = TIGHT, label: str = "later") -> None:
    """Put a version into force from a day on."""
    (home.policies / f"default@{label}.toml").write_text(f"effective_from = {day}\n{text}")


def rows(home: Home, table: Table, until: date | None = None) -> pa.Table:
    """A table's rows by key."""
    where = None if until is None or "day" not in table.column_names else pc.field("day") <= until
    return home.lake.read(table, None, where).sort_by([(name, "ascending") for name in table.key])


def assert_same(one: Home, other: Home, until: date | None = None) -> None:
    """Every table that a stage writes is the same, to the last bit."""
    for table in STORED:
        first, second = (rows(home, table, until).to_pylist() for home in (one, other))
        assert repr(first) == repr(second), table.name


@pytest.fixture(scope="module")
def changed(ledger: Home, tmp_path_factory: pytest.TempPathFactory) -> Home:
    """The small ledger with a tight version from its sixteenth session on, everything built in one go from the first day."""
    home = copied(ledger, tmp_path_factory.mktemp("changed") / "home")
    from_on(home, weekday(15))
    build_all(home, restate_from=FIRST)
    return home


def test_each_day_is_judged_by_the_policy_then_in_force(changed: Home, ledger: Home) -> None:
    caps = {row["day"]: row["cap"] for row in rows(changed, derived.PORTFOLIO_HEAT).to_pylist()}
    assert {cap for day, cap in caps.items() if day < weekday(15)} == {0.06}
    assert {cap for day, cap in caps.items() if day >= weekday(15)} == {0.01}
    assert_same(changed, ledger, until=weekday(15) - timedelta(days=1))
    assert repr(rows(changed, derived.ALERT_STATES).to_pylist()) != repr(rows(ledger, derived.ALERT_STATES).to_pylist())


@pytest.mark.parametrize("ends", [(14, 15, 16, 29), (17, 29)])
def test_a_range_across_a_change_is_what_its_days_one_after_another_are(changed: Home, tmp_path: Path, ends: tuple[int, ...]) -> None:
    """Built from nothing day by day around the change, and in strides before, after and across it."""
    chained = Home(tmp_path / "chained")
    chained.create()
    chained.pin_clock(LAST)
    small_ledger(chained, tmp_path / "files")
    from_on(chained, weekday(15))
    for end in ends:
        chained.pin_clock(weekday(end))
        build_all(chained)
    assert not is_behind(chained)
    assert_same(chained, changed)


def test_a_version_that_is_added_builds_again_from_its_first_day_on_and_nothing_before(small: Home, changed: Home) -> None:
    from_on(small, weekday(15))
    assert is_behind(small)
    done = build_all(small)
    assert {name for name, built in done.items() if built.changed_from is None} >= {"ledger", "attribution", "signals", "calibration"}
    assert {built.changed_from for name, built in done.items() if name in BY_NAME and BY_NAME[name].judges} == {weekday(15)}
    assert_same(small, changed)
    assert not is_behind(small)


def test_a_build_that_is_killed_between_two_policies_is_finished_by_the_next(small: Home, changed: Home) -> None:
    from_on(small, weekday(15))
    heat = BY_NAME["heat"]
    parts = []

    def dies(home: Home, policies: Assigned, plan: Plan) -> Mapping[Table, pa.Table]:
        parts.append((plan.first, plan.until))
        if len(parts) > 1:
            raise KeyboardInterrupt
        return heat.compute(home, policies, plan)

    with pytest.raises(KeyboardInterrupt):
        build_stage(small, replace(heat, compute=dies), restate_from=weekday(10))
    assert parts == [(weekday(10), weekday(15) - timedelta(days=1)), (weekday(15), LAST)]
    build_all(small)
    assert_same(small, changed)


def test_taking_a_version_away_or_moving_it_builds_again_from_the_first_day_that_it_changes(small: Home, ledger: Home) -> None:
    from_on(small, weekday(20))
    build_all(small)
    from_on(small, weekday(10))
    assert build_all(small)["heat"].changed_from == weekday(10)
    (small.policies / "default@later.toml").unlink()
    assert build_all(small)["heat"].changed_from == weekday(10)
    assert_same(small, ledger)


def test_changing_the_first_version_builds_again_from_the_first_day(small: Home) -> None:
    from_on(small, weekday(15))
    build_all(small)
    (small.policies / "default.toml").write_text("[heat]\ncap = 0.05\n")
    done = build_all(small)
    assert done["heat"].changed_from == FIRST and done["ledger"].changed_from is None


def test_another_way_to_account_builds_the_ledger_again(small: Home) -> None:
    (small.policies / "default.toml").write_text("[accounting]\nmax_mark_age = 9\n")
    assert build_all(small)["ledger"].changed_from == FIRST


def test_a_version_of_days_to_come_changes_nothing_yet(small: Home) -> None:
    from_on(small, LAST + timedelta(days=30))
    assert not is_behind(small)


def test_an_expired_policy_stops_what_judges_and_not_the_accounting(small: Home) -> None:
    before = {table.name: rows(small, table).to_pylist() for table in (derived.PORTFOLIO_HEAT, derived.ALERT_STATES)}
    (small.policies / "default.toml").write_text(f"expires = {LAST}\n")
    assert build_all(small)["ledger"].changed_from is None
    small.pin_clock(LAST + timedelta(days=1))
    with pytest.raises(NoPolicyInForce, match=f"expired on {LAST}"):
        build_all(small)
    from portfolio_platform.lake.progress import read_progress

    done = read_progress(small.lake, "ledger")
    assert done is not None and done.built_until == LAST + timedelta(days=1)
    for table in (derived.PORTFOLIO_HEAT, derived.ALERT_STATES):
        assert rows(small, table).to_pylist() == before[table.name]


def test_a_stage_that_judges_nothing_reads_no_policy_but_its_accounting(ledger: Home) -> None:
    class Unread(Assigned):
        def of(self, portfolio: str) -> Policy:
            raise AssertionError(f"a policy was read for {portfolio}")

    policies = policies_in_time(ledger)
    for stage in (stage for stage in STAGES if not stage.judges):
        plan = plan_stage(ledger, stage, policies, restate_from=weekday(12))
        assert plan is not None
        found = stage.compute(ledger, Unread(default_policy()), plan)
        assert found.keys() == set(stage.tables)


def test_only_days_whose_policy_changed_are_stale(small: Home) -> None:
    publish_reports(small, [weekday(number) for number in range(30)])
    weekends = set(stale_days(small))
    from_on(small, weekday(15))
    build_all(small)
    stale = set(stale_days(small)) - weekends
    assert stale == {weekday(number) for number in range(15, 30)}


def test_a_report_cites_the_policy_of_its_day_and_recomputes_under_those_up_to_it(small: Home) -> None:
    from_on(small, weekday(15))
    build_all(small)
    days = (weekday(14), weekday(16))
    publish_reports(small, days)
    versions = small.timeline().versions
    with small.book.reading() as connection:
        told = {day: newest(connection, "main", day) for day in days}
    assert [told[day].policy_hash for day in days] == [versions[number].policy.hash for number in (0, 1)]  # type: ignore[union-attr]
    from_on(small, weekday(3), "version = 9\n[heat]\ncap = 0.5\n")
    for day in days:
        found = verify(small, told[day].id)  # type: ignore[union-attr]
        assert found.equal, (day, found.differences)
    assert b"in_time" not in told[days[0]].provenance and b"in_time" in told[days[1]].provenance  # type: ignore[union-attr]


def test_what_another_policy_would_have_said_leaves_the_home_alone(small: Home) -> None:
    from portfolio_platform.explain.what_if import what_if
    from portfolio_platform.policy.load import load_policy

    path = small.root / "tight.toml"
    path.write_text(TIGHT)
    before = {table.name: small.lake.version(table) for table in STORED}
    same = what_if(small, default_policy(), weekday(5), weekday(25))
    assert not same.days and all(item.told == item.instead for item in same.counts)
    other = what_if(small, load_policy(path), weekday(5), weekday(25))
    counts = {(item.of, item.name): (item.told, item.instead) for item in other.counts}
    assert other.days and set(other.days) <= {weekday(number) for number in range(5, 26)}
    told, instead = counts["sessions firing", "heat"]
    assert instead > told
    assert counts["sessions firing", "drawdown"][1] == 0 < counts["sessions firing", "drawdown"][0]
    assert {table.name: small.lake.version(table) for table in STORED} == before
