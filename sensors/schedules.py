"""The schedules."""

from datetime import timedelta

import dagster as dg

from resources.platform import Platform


@dg.schedule(
    cron_schedule="30 0 * * *",
    job_name="daily_monitor",
    execution_timezone="UTC",
    description="After the close: the report of the day before.",
)
def daily_monitor_schedule(context: dg.ScheduleEvaluationContext, platform: Platform) -> dg.RunRequest | dg.SkipReason:
    """Ask for the monitor run of the UTC day that has just ended."""
    home = platform.open()
    if home.pinned_at is not None:
        return dg.SkipReason(f"this home's clock is pinned to {home.today}; no day ends there")
    day = context.scheduled_execution_time.date() - timedelta(days=1)
    if day < home.first_day:
        return dg.SkipReason(f"the ledger begins on {home.first_day}")
    return dg.RunRequest(run_key=f"daily_monitor:{day}", partition_key=day.isoformat())
