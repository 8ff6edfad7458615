"""The jobs through a real ephemeral Dagster instance, over the sample."""

import shutil
from datetime import date

import dagster as dg
import pytest

from portfolio_platform.book.reports import history, newest
from portfolio_platform.build import build_all
from portfolio_platform.definitions import build_definitions
from portfolio_platform.home import Home
from portfolio_platform.monitor.pipeline.staleness import stale_days
from portfolio_platform.sources.pipeline import import_paths
from tests.conftest import SAMPLE


@pytest.fixture(scope="module")
def instance():
    with dg.DagsterInstance.ephemeral() as made:
        yield made


@pytest.fixture(scope="module")
def inbox_home(tmp_path_factory: pytest.TempPathFactory) -> Home:
    """A home whose inbox holds the sample, and nothing else."""
    home = Home(tmp_path_factory.mktemp("inbox home"))
    home.create()
    home.pin_clock(date(2010, 12, 31))
    for path in SAMPLE.glob("*.csv*"):
        shutil.copyfile(path, home.inbox / path.name)
        # a copy is new; the inbox waits until a file no longer grows
        import os

        os.utime(home.inbox / path.name, (0, 0))
    return home


@pytest.fixture(scope="module")
def refreshed(inbox_home: Home, instance: dg.DagsterInstance) -> dg.ExecuteInProcessResult:
    return build_definitions(inbox_home).resolve_job_def("refresh").execute_in_process(instance=instance)


def test_refresh_imports_the_inbox_and_every_check_holds(refreshed, inbox_home):
    assert refreshed.success
    checks = refreshed.get_asset_check_evaluations()
    assert len(checks) == 14
    # a sample that does not suffice is no fault of the data: that check warns and stops nothing
    assert [check.check_name for check in checks if not check.passed] == ["sample_gates"]
    assert not list(inbox_home.inbox.iterdir())
    assert len(list(inbox_home.imported.rglob("*.csv*"))) == 7


def test_assets_show_schema_rows_place_and_a_picture(refreshed):
    shown = {event.asset_key.to_user_string(): event.materialization.metadata for event in refreshed.get_asset_materialization_events()}
    assert shown["fills"]["dagster/row_count"].value == 2527
    assert shown["portfolio_equity"]["dagster/row_count"].value == 2465
    assert "data:image/png;base64" in shown["portfolio_equity"]["equity of core"].value
    assert "data:image/png;base64" in shown["drawdown_state"]["underwater of macro"].value
    assert shown["concentration_metrics"]["newest"].records


def test_a_range_run_publishes_each_session_once_and_says_no_session(refreshed, inbox_home, instance):
    job = build_definitions(inbox_home).resolve_job_def("publish_reports")
    tags = {"dagster/asset_partition_range_start": "2010-12-20", "dagster/asset_partition_range_end": "2010-12-31"}
    assert job.execute_in_process(instance=instance, tags=tags).success
    with inbox_home.book.reading() as connection:
        core = history(connection, "core", "daily", date(2010, 12, 20), date(2010, 12, 31))
        macro = history(connection, "macro", "daily", date(2010, 12, 20), date(2010, 12, 31))
    assert [report.revision for report in core] == [1] * 9  # two weekends less, and 24 December was a holiday
    assert len(macro) == 12
    assert instance.get_materialized_partitions(dg.AssetKey("monitor_reports")) == {f"2010-12-{day}" for day in range(20, 32)}


def test_a_single_day_shows_the_report_itself(refreshed, inbox_home, instance):
    job = build_definitions(inbox_home).resolve_job_def("publish_reports")
    result = job.execute_in_process(instance=instance, partition_key="2010-12-31")
    metadata = result.get_asset_materialization_events()[0].materialization.metadata
    assert metadata["core regime"].value == "normal"
    assert metadata["core equity"].value == pytest.approx(1_998_988.42, abs=0.01)
    assert metadata["core report"].value.startswith("# core")


@pytest.fixture
def one_fill(home: Home, tmp_path) -> Home:
    """A home of one fill, with everything built."""
    fills = tmp_path / "fills.csv"
    fills.write_text("ts,symbol,side,quantity,price\n2010-12-23T15:00:00Z,AAA,buy,1,10\n")
    import_paths(home, [fills])
    build_all(home)
    return home


def test_a_day_without_a_session_says_so_and_publishes_nothing(one_fill: Home, instance):
    result = (
        build_definitions(one_fill).resolve_job_def("publish_reports").execute_in_process(instance=instance, partition_key="2010-12-25")
    )
    metadata = result.get_asset_materialization_events()[0].materialization.metadata
    assert metadata["session"].value == "no_session"
    with one_fill.book.reading() as connection:
        assert newest(connection, "main") is None


def test_a_second_refresh_computes_nothing(refreshed, inbox_home, instance):
    before = {table: inbox_home.lake.version(table) for table in _tables()}
    result = build_definitions(inbox_home).resolve_job_def("refresh").execute_in_process(instance=instance)
    assert result.success
    assert {table: inbox_home.lake.version(table) for table in _tables()} == before


def _tables():
    from portfolio_platform.lake import derived

    return (derived.LEDGER_SNAPSHOTS, derived.PORTFOLIO_EQUITY, derived.CONCENTRATION_METRICS, derived.DRAWDOWN_STATE)


def test_a_broken_fact_blocks_what_rests_on_it(one_fill: Home, instance):
    """A fill of no known side cannot come through an import; written past it, the check stops the run before anything is built."""
    import pyarrow as pa
    import pyarrow.compute as pc

    from portfolio_platform.lake.facts import FILLS

    rows = one_fill.lake.read(FILLS.table).slice(0, 1)
    broken = rows.set_column(rows.column_names.index("side"), "side", pa.array(["hold"]))
    broken = broken.set_column(broken.column_names.index("row_id"), "row_id", pa.array(["main|broken"]))
    with one_fill.lake.writing():
        one_fill.lake.append(FILLS.table, broken)
    before = {table: one_fill.lake.version(table) for table in _tables()}
    result = build_definitions(one_fill).resolve_job_def("refresh").execute_in_process(instance=instance, raise_on_error=False)
    assert not result.success
    assert {table: one_fill.lake.version(table) for table in _tables()} == before
    failed = [check for check in result.get_asset_check_evaluations() if not check.passed]
    assert [check.asset_key.to_user_string() for check in failed] == ["fills"]
    assert pc.max(one_fill.lake.read(FILLS.table)["ts"]) is not None


def test_daily_monitor_refreshes_and_reports_one_day(refreshed, inbox_home: Home, instance):
    day = date(2010, 12, 16)
    with inbox_home.book.reading() as connection:
        assert newest(connection, "core", day) is None
    job = build_definitions(inbox_home).resolve_job_def("daily_monitor")
    assert job.execute_in_process(instance=instance, partition_key=day.isoformat()).success
    with inbox_home.book.reading() as connection:
        assert newest(connection, "core", day) is not None
    assert stale_days(inbox_home)  # one day of the history is not all of it
