"""The assets of reflections: partitions, what a week rests on, and materialisations through a real ephemeral instance."""

from datetime import date, timedelta

import dagster as dg
import pytest

from assets import monitor, reflections
from portfolio_platform.book.reports import history
from resources.platform import Platform
from sensors import jobs
from tests.conftest import copied


@pytest.fixture(scope="module")
def home(sample_home, tmp_path_factory):
    made = copied(sample_home, tmp_path_factory.mktemp("reflection assets") / "home")
    yield made
    made.book.close()


@pytest.fixture(scope="module")
def definitions(home):
    daily = monitor.daily_partitions(home)
    assets = [
        monitor.day_inputs(daily),
        monitor.build_monitor_reports(daily),
        reflections.build_weekly_reflections(home),
        reflections.build_monthly_reflections(home),
    ]
    made = [job for job in jobs.build_jobs() if job.name in ("weekly_reflection", "monthly_reflection")]
    found = dg.Definitions(assets=assets, jobs=made, resources={"platform": Platform(home=str(home.root))}, executor=dg.in_process_executor)
    dg.Definitions.validate_loadable(found)
    return found


@pytest.fixture(scope="module")
def instance():
    with dg.DagsterInstance.ephemeral() as made:
        yield made


def test_partitions_are_the_whole_weeks_and_months_of_the_ledger(home):
    weeks = reflections.weekly_partitions(home).get_partition_keys()
    assert (weeks[0], weeks[-1]) == ("2007-01-08", "2010-12-20")  # the clock is pinned to 2010-12-31, a Friday
    assert all(date.fromisoformat(week).weekday() == 0 for week in weeks)
    months = reflections.monthly_partitions(home).get_partition_keys()
    assert (months[0], months[-1]) == ("2007-02-01", "2010-12-01")


@pytest.mark.parametrize(
    ("name", "key", "first", "last"),
    [
        ("weekly_reflections", "2007-01-08", "2007-01-08", "2007-01-14"),
        ("weekly_reflections", "2010-12-20", "2010-12-20", "2010-12-26"),
        ("monthly_reflections", "2008-02-01", "2008-02-01", "2008-02-29"),
    ],
)
def test_a_period_rests_on_the_daily_reports_of_its_days(definitions, home, name, key, first, last):
    mine = {"weekly_reflections": reflections.weekly_partitions, "monthly_reflections": reflections.monthly_partitions}[name](home)
    spec = next(iter(definitions.resolve_asset_graph().assets_def_for_key(dg.AssetKey(name)).specs))
    mapping = next(dep.partition_mapping for dep in spec.deps if dep.asset_key == dg.AssetKey("monitor_reports"))
    found = mapping.get_upstream_mapped_partitions_result_for_partitions(
        downstream_partitions_subset=mine.subset_with_partition_keys([key]),
        downstream_partitions_def=mine,
        upstream_partitions_def=monitor.daily_partitions(home),
    )
    days = sorted(found.partitions_subset.get_partition_keys())
    assert (days[0], days[-1]) == (first, last)
    assert len(days) == (date.fromisoformat(last) - date.fromisoformat(first)).days + 1
    assert not found.required_but_nonexistent_subset.get_partition_keys()


def test_a_week_shows_its_text_and_what_to_do(definitions, instance):
    result = definitions.resolve_job_def("weekly_reflection").execute_in_process(instance=instance, partition_key="2010-09-13")
    assert result.success
    shown = result.get_asset_materialization_events()[0].materialization.metadata
    assert shown["core next"].value in ("hold", "replan", "policy_adjust", "research_experiment")
    assert shown["core reflection"].value.startswith("# core, week from 2010-09-13")
    assert shown["core return"].value == pytest.approx(0.0101, abs=1e-4)


def test_a_range_of_weeks_publishes_each_once(definitions, instance, home):
    job = definitions.resolve_job_def("weekly_reflection")
    tags = {"dagster/asset_partition_range_start": "2010-11-01", "dagster/asset_partition_range_end": "2010-12-20"}
    assert job.execute_in_process(instance=instance, tags=tags).success
    with home.book.reading() as connection:
        core = history(connection, "core", "weekly", date(2010, 11, 1), date(2010, 12, 31))
    assert [item.day for item in core] == [date(2010, 11, 1) + timedelta(days=7 * place) for place in range(8)]
    assert {item.revision for item in core} == {1}
    assert len(instance.get_materialized_partitions(dg.AssetKey("weekly_reflections"))) == 9


def test_a_month_is_published_and_one_that_is_not_over_has_no_partition(definitions, instance, home):
    job = definitions.resolve_job_def("monthly_reflection")
    assert job.execute_in_process(instance=instance, partition_key="2010-12-01").success
    with pytest.raises(dg.DagsterUnknownPartitionError):
        job.execute_in_process(instance=instance, partition_key="2011-01-01")


def test_a_week_without_a_session_says_so(home):
    from portfolio_platform.monitor.pipeline.reflections import publish_reflections

    item = publish_reflections(home, "weekly", [date(2006, 5, 1)])[0]
    assert reflections.partition_metadata(item) == {"dagster/partition_row_count": 0, "session": "no_session"}
