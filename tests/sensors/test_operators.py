"""What operators are told: failed runs, checks that do not hold, silence of the monitor, messages that wait, stale reports."""

from datetime import UTC, date, datetime, timedelta

import dagster as dg
import pytest

from portfolio_platform.alerts.heartbeat import last_run, platform_alert, record_run
from portfolio_platform.book.alerts import PLATFORM, open_alerts
from portfolio_platform.home import Home
from portfolio_platform.monitor.pipeline.reports import publish_reports
from resources.platform import Platform
from sensors.operators import failed_checks, failed_runs, finished_runs, heartbeat, operator_alerts, restated_stretches

NEVER_MIND = {"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}}


@pytest.fixture
def platform(home: Home) -> Platform:
    home.pin_clock(None)
    return Platform(home=str(home.root))


def told(home: Home) -> dict[str, str]:
    """Return the open alerts about the platform: their scope by rule."""
    with home.book.reading() as connection:
        return {alert.rule: alert.scope for alert in open_alerts(connection, PLATFORM)}


@dg.op
def breaks() -> None:
    raise ValueError("broken on purpose")


@dg.op
def holds() -> None:
    pass


@dg.job(name="refresh")
def broken_refresh() -> None:
    breaks()


@dg.job(name="refresh")
def sound_refresh() -> None:
    holds()


@dg.job(name="somebody_elses")
def foreign() -> None:
    breaks()


def fail(job: dg.JobDefinition, instance: dg.DagsterInstance, platform: Platform) -> None:
    result = job.execute_in_process(instance=instance, raise_on_error=False, run_config=NEVER_MIND)
    context = dg.build_run_status_sensor_context(
        sensor_name="failed_runs",
        dagster_instance=instance,
        dagster_run=result.dagster_run,
        dagster_event=result.get_run_failure_event(),
        resources={"platform": platform},
    )
    failed_runs(context.for_run_failure())


def succeed(job: dg.JobDefinition, instance: dg.DagsterInstance, platform: Platform) -> None:
    result = job.execute_in_process(instance=instance, run_config=NEVER_MIND)
    context = dg.build_run_status_sensor_context(
        sensor_name="finished_runs",
        dagster_instance=instance,
        dagster_run=result.dagster_run,
        dagster_event=result.get_run_success_event(),
        resources={"platform": platform},
    )
    finished_runs(context)


def test_a_failed_run_is_told_once_and_ends_with_the_next_success(home, platform):
    with dg.DagsterInstance.ephemeral() as instance:
        fail(broken_refresh, instance, platform)
        fail(broken_refresh, instance, platform)
        assert told(home) == {"run_failed": "refresh"}
        with home.book.reading() as connection:
            assert len(open_alerts(connection, PLATFORM)) == 1
        succeed(sound_refresh, instance, platform)
    assert told(home) == {}
    assert last_run(home) is not None


def test_jobs_of_others_are_no_business_of_ours(home, platform):
    with dg.DagsterInstance.ephemeral() as instance:
        fail(foreign, instance, platform)
    assert told(home) == {}


def test_checks_that_did_not_hold_are_named_and_small_samples_are_not(home):
    @dg.asset
    def thing() -> None:
        pass

    @dg.asset_check(asset=thing)
    def expectations() -> dg.AssetCheckResult:
        return dg.AssetCheckResult(passed=False, severity=dg.AssetCheckSeverity.WARN)

    @dg.asset_check(asset=thing)
    def sample_gates() -> dg.AssetCheckResult:
        return dg.AssetCheckResult(passed=False, severity=dg.AssetCheckSeverity.WARN)

    with dg.DagsterInstance.ephemeral() as instance:
        result = dg.materialize([thing, expectations, sample_gates], instance=instance, run_config=NEVER_MIND)
        assert failed_checks(instance, result.run_id) == ["thing.expectations"]


def test_the_heartbeat_speaks_when_the_monitor_is_quiet_and_falls_silent_when_it_is_heard(home, platform):
    context = dg.build_sensor_context(resources={"platform": platform})
    record_run(Home(home.root, as_of=datetime.now(UTC) - timedelta(hours=30)), "daily_monitor")
    heartbeat(context)
    assert set(told(home)) == {"monitor_quiet"}
    record_run(home, "daily_monitor")
    heartbeat(context)
    assert told(home) == {}


def test_a_message_that_is_due_starts_one_delivery(home, platform):
    context = dg.build_sensor_context(resources={"platform": platform})
    assert isinstance(operator_alerts(context), dg.SkipReason)
    platform_alert(home, "run_failed", "refresh", "critical", "It failed.", "Look.")
    first, second = operator_alerts(context), operator_alerts(context)
    assert first.run_key == second.run_key


def test_a_correction_offers_the_backfill_of_the_days_it_changed_and_of_no_other(sample_copy, tmp_path):
    from portfolio_platform.build import build_all
    from portfolio_platform.sources.pipeline import import_paths

    days = [date(2010, 12, day) for day in range(27, 32)]
    publish_reports(sample_copy, days)
    assert restated_stretches(sample_copy) == []
    header = "execution_id,ts,portfolio,strategy,symbol,side,quantity,price,fee\n"
    (tmp_path / "fills.csv").write_text(header + "LATE-1,2010-12-30T15:00:00Z,core,meanrev_rsi,IBM,buy,10,146.5,1\n")
    import_paths(sample_copy, [tmp_path / "fills.csv"])
    build_all(sample_copy)
    (request,) = restated_stretches(sample_copy)
    assert request.tags["dagster/asset_partition_range_start"] == "2010-12-30"
    assert request.tags["dagster/asset_partition_range_end"] == "2010-12-31"
    publish_reports(sample_copy, days)
    assert restated_stretches(sample_copy) == []
