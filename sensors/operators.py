"""What keeps operators told: the outbox, failed runs and checks, restated reports, and the heartbeat of the monitor itself."""

import dagster as dg

from portfolio_platform.home import Home
from resources.platform import Platform

HEARD = ("refresh", "publish_reports", "daily_monitor", "weekly_reflection", "monthly_reflection")
"""The jobs that show that the monitor is alive."""
AUDIT = "daily_audit"
WATCHED = (*HEARD, "control_cycle", AUDIT)
"""The jobs whose failures, and checks that do not hold, are told."""
RESTATED = "restated_reports"


@dg.op(tags={"kind": "operator"})
def deliver_outbox(context: dg.OpExecutionContext, platform: Platform) -> None:
    """Send what is due to the channels of the home; what fails is tried again later, and given up visibly."""
    from portfolio_platform.alerts.delivery import deliver

    done = deliver(platform.open())
    context.log.info(f"{len(done.sent)} sent, {len(done.partial)} in part, {len(done.pending)} to try again, {len(done.dead)} given up")


@dg.job(name="deliver_alerts", description="Send the messages about alerts that wait in the outbox.")
def deliver_alerts() -> None:
    """Send what is due."""
    deliver_outbox()


@dg.sensor(
    job=deliver_alerts,
    minimum_interval_seconds=30,
    default_status=dg.DefaultSensorStatus.RUNNING,
    description="Starts a delivery when messages about alerts are due.",
)
def operator_alerts(platform: Platform) -> dg.RunRequest | dg.SkipReason:
    """Ask for a delivery of what is due now; the same messages and attempts ask once."""
    from portfolio_platform.book.instants import instant_text
    from portfolio_platform.book.notifications import UNDONE, listed
    from portfolio_platform.canonical import content_hash
    from portfolio_platform.clock import SystemClock

    with platform.open().book.reading() as connection:
        waiting = listed(connection, UNDONE)
    now = instant_text(SystemClock().now())
    due = [f"{message.id}:{message.attempts}" for message in waiting if message.due_at <= now]
    if not due:
        return dg.SkipReason(f"no message is due; {len(waiting)} wait for a later attempt" if waiting else "the outbox is empty")
    return dg.RunRequest(run_key=f"outbox:{content_hash(chr(10).join(due).encode())[:32]}")


@dg.run_failure_sensor(
    name="failed_runs",
    default_status=dg.DefaultSensorStatus.RUNNING,
    description="Tells operators that a run of monitor or control plane failed; the next run of the job that succeeds ends the alert.",
)
def failed_runs(context: dg.RunFailureSensorContext, platform: Platform) -> None:
    """Raise an alert about the failed run's job."""
    from portfolio_platform.alerts.heartbeat import platform_alert

    job = context.dagster_run.job_name
    if job not in WATCHED:
        return
    sentence = f"The run {context.dagster_run.run_id[:8]} of the job {job} failed."
    platform_alert(platform.open(), "run_failed", job, "critical", sentence, "Open the run in Dagster; then `portfolio doctor`.")


@dg.run_status_sensor(
    run_status=dg.DagsterRunStatus.SUCCESS,
    name="finished_runs",
    default_status=dg.DefaultSensorStatus.RUNNING,
    description="Notes that the monitor finished, ends the alert of a failed run, and tells operators of checks that did not hold.",
)
def finished_runs(context: dg.RunStatusSensorContext, platform: Platform) -> None:
    """Record the success, and raise or end the alert about the run's checks."""
    from portfolio_platform.alerts.heartbeat import platform_alert, platform_resolved, record_run

    job, home = context.dagster_run.job_name, platform.open()
    if job not in WATCHED:
        return
    if job in HEARD:
        record_run(home, f"{job}:{context.dagster_run.run_id}")
    platform_resolved(home, "run_failed", job)
    failed = failed_checks(context.instance, context.dagster_run.run_id)
    if failed:
        sentence = f"{len(failed)} checks did not hold in the job {job}: {', '.join(failed)}."
        action = "Open the checks of these assets in Dagster."
        action += " `portfolio control verify` and `portfolio control replay` name what does not fit." if job == AUDIT else ""
        platform_alert(home, "check_failed", job, "critical" if job == AUDIT else "warning", sentence, action)
    elif checked(context.instance, context.dagster_run.run_id):
        platform_resolved(home, "check_failed", job)


def _evaluations(instance: dg.DagsterInstance, run_id: str) -> list[dg.EventLogRecord]:
    return list(instance.get_records_for_run(run_id, of_type=dg.DagsterEventType.ASSET_CHECK_EVALUATION).records)


def checked(instance: dg.DagsterInstance, run_id: str) -> bool:
    """Say whether a run evaluated any check."""
    return bool(_evaluations(instance, run_id))


def failed_checks(instance: dg.DagsterInstance, run_id: str) -> list[str]:
    """Return the checks of a run that did not hold, those left out that warn about samples: gates are rows, not faults."""
    found = []
    for record in _evaluations(instance, run_id):
        event = record.event_log_entry.dagster_event
        evaluation = event.asset_check_evaluation_data if event else None
        if evaluation is not None and not evaluation.passed and evaluation.check_name != "sample_gates":
            found.append(f"{evaluation.asset_key.to_user_string()}.{evaluation.check_name}")
    return sorted(found)


@dg.sensor(
    name="heartbeat",
    minimum_interval_seconds=300,
    default_status=dg.DefaultSensorStatus.RUNNING,
    description="Tells operators when no run of the monitor has finished for longer than the policy allows.",
)
def heartbeat(platform: Platform) -> dg.SkipReason:
    """Raise or end the alert about the monitor's silence."""
    from portfolio_platform.alerts.heartbeat import check_heartbeat

    alert = check_heartbeat(platform.open())
    return dg.SkipReason("the monitor is quiet: operators are told" if alert else "the monitor has been heard")


@dg.sensor(
    name=RESTATED,
    job_name="publish_reports",
    minimum_interval_seconds=60,
    description="Offers the backfill of reports that a restatement made stale: switched on, it publishes their new revisions.",
)
def restated_reports(platform: Platform) -> dg.SensorResult | dg.SkipReason:
    """Ask for a range run over each stretch of restated days; the same restatement asks once."""
    home = platform.open()
    stretches = restated_stretches(home)
    if not stretches:
        return dg.SkipReason("no published report is stale")
    return dg.SensorResult(run_requests=stretches)


def restated_stretches(home: Home) -> list[dg.RunRequest]:
    """Return a range run for each stretch of consecutive restated days."""
    from portfolio_platform.canonical import content_hash
    from portfolio_platform.monitor.pipeline.staleness import restated_days

    found = restated_days(home)
    days = list(found)
    stretches: list[list[int]] = []
    for place, day in enumerate(days):
        if stretches and (day - days[stretches[-1][-1]]).days == 1:
            stretches[-1].append(place)
        else:
            stretches.append([place])
    requests = []
    for stretch in stretches:
        first, last = days[stretch[0]].isoformat(), days[stretch[-1]].isoformat()
        version = content_hash("".join(found[days[place]] for place in stretch).encode())[:16]
        tags = {"dagster/asset_partition_range_start": first, "dagster/asset_partition_range_end": last}
        requests.append(dg.RunRequest(run_key=f"restated:{first}:{last}:{version}", tags=tags))
    return requests
