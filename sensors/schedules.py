"""The schedules."""

from datetime import date, timedelta

import dagster as dg

from portfolio_platform.home import Home
from resources.platform import Platform


def _quiet(home: Home, period: date) -> dg.SkipReason | None:
    """Return why nothing is asked for a period that begins on a day, if there is a reason."""
    if home.pinned_at is not None:
        return dg.SkipReason(f"this home's clock is pinned to {home.today}; no day ends there")
    if period < home.first_day:
        return dg.SkipReason(f"the ledger begins on {home.first_day}")
    return None


@dg.schedule(
    cron_schedule="30 0 * * *",
    job_name="daily_monitor",
    execution_timezone="UTC",
    default_status=dg.DefaultScheduleStatus.RUNNING,
    description="After the close: the report of the day before.",
)
def daily_monitor_schedule(context: dg.ScheduleEvaluationContext, platform: Platform) -> dg.RunRequest | dg.SkipReason:
    """Ask for the monitor run of the UTC day that has just ended."""
    home, day = platform.open(), context.scheduled_execution_time.date() - timedelta(days=1)
    return _quiet(home, day) or dg.RunRequest(run_key=f"daily_monitor:{day}", partition_key=day.isoformat())


@dg.schedule(
    cron_schedule="0 3 * * *",
    job_name="daily_audit",
    execution_timezone="UTC",
    default_status=dg.DefaultScheduleStatus.RUNNING,
    description="Every night: the log of the control plane is verified, replayed and signed.",
)
def control_audit_schedule(context: dg.ScheduleEvaluationContext, platform: Platform) -> dg.RunRequest | dg.SkipReason:
    """Ask for the audit of everything that was decided until now."""
    home, day = platform.open(), context.scheduled_execution_time.date()
    return _quiet(home, day) or dg.RunRequest(run_key=f"daily_audit:{day}")


@dg.schedule(
    cron_schedule="30 1 * * 1",
    job_name="weekly_reflection",
    execution_timezone="UTC",
    default_status=dg.DefaultScheduleStatus.RUNNING,
    description="Mondays: the reflection of the week that has ended.",
)
def weekly_reflection_schedule(context: dg.ScheduleEvaluationContext, platform: Platform) -> dg.RunRequest | dg.SkipReason:
    """Ask for the reflection of the week that ended on Sunday."""
    monday = context.scheduled_execution_time.date() - timedelta(days=7)
    quiet = _quiet(platform.open(), monday)
    return quiet or dg.RunRequest(run_key=f"weekly_reflection:{monday}", partition_key=monday.isoformat())


@dg.schedule(
    cron_schedule="0 2 1 * *",
    job_name="monthly_reflection",
    execution_timezone="UTC",
    default_status=dg.DefaultScheduleStatus.RUNNING,
    description="The first of the month: the reflection of the month that has ended.",
)
def monthly_reflection_schedule(context: dg.ScheduleEvaluationContext, platform: Platform) -> dg.RunRequest | dg.SkipReason:
    """Ask for the reflection of the month that has just ended."""
    month = (context.scheduled_execution_time.date().replace(day=1) - timedelta(days=1)).replace(day=1)
    quiet = _quiet(platform.open(), month)
    return quiet or dg.RunRequest(run_key=f"monthly_reflection:{month}", partition_key=month.isoformat())
