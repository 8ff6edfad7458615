"""Reflections of the sample: published once, refused where a period is not over, and what they say of its known incidents."""

import json
from datetime import date, timedelta

import pyarrow as pa
import pyarrow.compute as pc
import pytest

from portfolio_platform.book.reports import history, newest
from portfolio_platform.errors import DataProblem, WrongUse
from portfolio_platform.evidence.ids import parse_evidence_id
from portfolio_platform.lake import derived
from portfolio_platform.monitor.pipeline.reflections import compose_reflections, publish_reflections
from portfolio_platform.monitor.reflection.periods import period_of
from portfolio_platform.signals.calibration_stage import STAGE as CALIBRATION
from portfolio_platform.stage import build_stage

WEEKS = [period_of("weekly", day) for day in (date(2008, 5, 14), date(2009, 6, 17), date(2009, 11, 18), date(2010, 9, 15))]


@pytest.fixture(scope="module")
def built(sample_home, tmp_path_factory, copy_home_of_module):
    home = copy_home_of_module(sample_home, tmp_path_factory.mktemp("reflections") / "home")
    build_stage(home, CALIBRATION)
    yield home
    home.book.close()


@pytest.fixture(scope="module")
def copy_home_of_module():
    from tests.conftest import copied

    return copied


@pytest.fixture(scope="module")
def reflections(built):
    return {(found.portfolio, found.day): found for found in compose_reflections(built, WEEKS)}


def test_every_week_has_a_reflection_of_each_portfolio(reflections):
    assert sorted(reflections) == sorted((name, week.start) for name in ("core", "macro") for week in WEEKS)


def test_clusters_are_the_trades_of_the_lake(built, reflections):
    found = reflections["core", date(2010, 9, 13)]
    rows = built.lake.read(derived.TRIP_PROFILES, None, (pc.field("portfolio") == "core") & (pc.field("day") <= found.until)).to_pandas()
    for cluster in found.clusters_of("playbook"):
        mine = rows[rows["playbook"] == cluster.group]
        week = mine[mine["day"] >= found.day]
        window = mine[mine["day"] >= found.window_start]
        assert (cluster.period.n, cluster.period.pnl) == (len(week), pytest.approx(week["net_pnl"].sum()))
        assert (cluster.window.n, cluster.window.wins) == (len(window), (window["net_pnl"] > 0).sum())
        assert cluster.before.n == len(mine) - len(window)
        if cluster.window.mean_r is not None:
            assert cluster.window.mean_r == pytest.approx(window["r"].mean(), rel=1e-10)


def test_each_evidence_id_names_a_row(built, reflections):
    checked = 0
    for found in reflections.values():
        ids = [one for finding in found.findings for one in finding.evidence_ids]
        ids += [one.evidence_id for part in ("expected", "coverage", "allocation", "crowding", "failures") for one in getattr(found, part)]
        ids += [one.evidence_id for one in (*found.retrospect.alerts, *found.recommendations)] + list(found.performance.evidence_ids)
        for text in sorted(set(ids))[::4]:
            address = parse_evidence_id(text)
            where = pc.scalar(True)
            for name, value in address.key.items():
                where = where & (pc.field(name) == value)
            month = address.day.isoformat()[:7]
            assert len(built.lake.read(address.table, [address.column], where, from_month=month, to_month=month)) == 1, text
            checked += 1
    assert checked > 40


def test_the_samples_incidents_show_up(reflections):
    """What the sample's README says a monitor should notice."""

    def found(portfolio, day, about):
        return {one.subject: one for one in reflections[portfolio, day].findings if one.about == about}

    drift = found("core", date(2010, 9, 13), "allocation")
    assert any(one.action in ("policy_adjust", "replan") for one in drift.values())
    fell = reflections["core", date(2010, 9, 13)]
    assert fell.performance.deepest_drawdown == pytest.approx(0.162, abs=1e-3)
    assert {one.regime for one in fell.drawdown_regimes if one.sessions} == {"risk_off"}
    assert any(one.verdict == "failed" for one in fell.clusters)
    assert fell.retrospect.rules  # some rule was fired or decided
    assert all(one.decided >= fell.day for one in fell.retrospect.alerts)


def test_idle_capital_of_the_summer_of_2009_asks_for_a_new_plan(built):
    """The README: 64 of 76 intents rejected in June and July while capital lay idle."""
    weeks = [period_of("weekly", date(2009, 6, 1) + timedelta(days=7 * place)) for place in range(11)]
    found = [one for one in compose_reflections(built, weeks) if one.portfolio == "core"]
    capital = {finding.subject: finding.action for one in found for finding in one.findings if finding.about == "capital"}
    assert capital
    assert set(capital.values()) <= {"replan", "hold"}


def test_alerts_of_a_rule_are_counted_as_the_lake_has_them(built, reflections):
    found = reflections["core", date(2009, 11, 16)]
    fired = built.lake.read(
        derived.ALERT_STATES, ["day", "alert_id"], (pc.field("portfolio") == "core") & (pc.field("transition") == "fired")
    ).filter((pc.field("day") >= found.day) & (pc.field("day") <= found.until))
    assert found.retrospect.fired == len(fired)
    assert sum(record.fired for record in found.retrospect.rules) == len(fired)


def test_publishing_again_changes_nothing_and_a_week_alone_equals_the_week_in_a_range(built):
    starts = [week.start for week in WEEKS[:2]]
    alone = publish_reflections(built, "weekly", starts[1:])[0]
    both = publish_reflections(built, "weekly", starts)
    assert [item.status for item in alone.published] == ["new", "new"]
    assert [item.status for item in both[1].published] == ["unchanged", "unchanged"]
    assert [item.content_hash for item in both[1].published] == [item.content_hash for item in alone.published]
    with built.book.reading() as connection:
        assert [one.day for one in history(connection, "core", "weekly")] == starts
        stored = newest(connection, "core", starts[0], "weekly")
    assert stored is not None
    assert (stored.kind, stored.revision) == ("weekly", 1)
    assert set(json.loads(stored.provenance)) == {"lake_versions", "import_seq", "code_version", "policies"}
    assert set(alone.headlines) == {"core", "macro"}


def test_a_period_that_is_not_over_is_refused(built):
    with pytest.raises(DataProblem, match="2010-12-27 to 2011-01-02 is not over"):
        publish_reflections(built, "weekly", [date(2010, 12, 27)])
    with pytest.raises(WrongUse, match="no week begins on 2010-12-21"):
        publish_reflections(built, "weekly", [date(2010, 12, 21)])
    done = publish_reflections(built, "monthly", [date(2010, 12, 1)])[0]
    assert [item.kind for item in done.published] == ["monthly", "monthly"]


def test_a_period_without_a_session_publishes_nothing(built):
    done = publish_reflections(built, "weekly", [date(2006, 5, 1)])
    assert (done[0].published, done[0].headlines) == ((), {})


def test_reflections_beyond_what_is_built_are_refused(home):
    with pytest.raises(DataProblem, match="portfolio build"):
        publish_reflections(home, "weekly", [date(2010, 12, 20)])


def test_rows_that_come_later_in_the_lake_do_not_change_a_week(built, reflections, tmp_path, copy_home):
    """The week is the same from a lake that was built further: the sample's other four months are such rows."""
    longer = list(compose_reflections(built, [WEEKS[-1], period_of("weekly", date(2010, 12, 20))]))
    again = {found.portfolio: found.hash for found in longer if found.day == WEEKS[-1].start}
    assert again == {name: reflections[name, WEEKS[-1].start].hash for name in again}


def test_the_command_prints_a_week_or_a_month_and_refuses_both(built):
    from typer.testing import CliRunner

    from portfolio_platform.cli.main import app

    def run(*words):
        return CliRunner().invoke(app, ["reflection", "--home", str(built.root), *words])

    week = run("-p", "core", "--week", "2010-09-15", "--json")
    assert week.exit_code == 0
    content = json.loads(week.stdout)
    assert (content["kind"], content["portfolio"], content["day"]) == ("weekly", "core", "2010-09-13")
    assert run("-p", "macro", "--month", "2010-09-15").stdout.startswith("# macro, September 2010")
    assert run("-p", "core", "--format", "text").stdout.startswith("core, week from 2010-12-20 to 2010-12-26")  # the newest that is over
    assert [one["portfolio"] for one in json.loads(run("--week", "2010-09-15", "--json").stdout)] == ["core", "macro"]
    assert run("--week", "2010-09-15", "--month", "2010-09-15").exit_code == 2
    assert run("-p", "nobody", "--week", "2010-09-15").exit_code == 2
    assert run("--week", "2010-12-30").exit_code == 1
    assert run("--week", "2006-05-03").exit_code == 1


def test_research_is_reported_apart(built, tmp_path):
    """Signals of research, as a trade's own signal says, leave every policy cluster."""
    from portfolio_platform.monitor.pipeline import reflections as pipeline

    rows = built.lake.read(derived.TRIP_PROFILES, pipeline.TRIP_COLUMNS)
    assert isinstance(rows, pa.Table)
    traded = pipeline._trades(built, rows)
    assert set(traded["purpose"].to_pylist()) == {"policy"}  # the sample has no research
    assert len(traded) == len(rows)
    assert traded["pnl"].null_count == 0
    assert WEEKS[0].end - WEEKS[0].start == timedelta(days=6)
