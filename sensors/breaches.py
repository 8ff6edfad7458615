"""Breaches within the day: a drawdown threshold, a rejection spike, a correlation cap each start a monitor run of their portfolio.

The newest session's alerts are evaluated at every refresh; what asks for a run, and how often, is the pure rule
`monitor.alerts.breaches.admit`. The cursor is what that rule remembers.
"""

import dagster as dg

from portfolio_platform.home import Home
from resources.platform import Platform

FAMILIES = {
    "drawdown_breach": (("drawdown", "drawdown_velocity", "drawdown_regime"), "a drawdown threshold"),
    "rejection_spike": (("rejection_spike",), "a rejection spike"),
    "correlation_breach": (("stack", "bucket_exposure"), "a correlation cap"),
}
TAG_LENGTH = 60


def build_breach_sensors() -> list[dg.SensorDefinition]:
    """Return a sensor for each family of breaches."""
    return [_sensor(name, rules, words) for name, (rules, words) in FAMILIES.items()]


def runs_for(home: Home, rules: tuple[str, ...], cursor: str | None) -> tuple[list[dg.RunRequest], str]:
    """Return the runs that the newest session's breaches of some rules ask for now, and the next cursor."""
    from datetime import timedelta

    import pyarrow.compute as pc

    from portfolio_platform.lake.derived import ALERT_STATES
    from portfolio_platform.monitor.alerts.breaches import BreachState, admit, breaches_of
    from portfolio_platform.policy.assigned import policies_in_time

    rows = home.lake.read(ALERT_STATES, None, pc.field("rule").isin(rules), from_month=home.lake.newest_month(ALERT_STATES))
    days = dict(zip(rows["alert_id"].to_pylist(), rows["day"].to_pylist(), strict=True))
    newest = rows.group_by("portfolio").aggregate([("day", "max")]).sort_by("portfolio").to_pylist()
    in_time = policies_in_time(home)
    policies = {row["portfolio"]: in_time.of(row["portfolio"], row["day_max"]).alerts for row in newest}
    pauses = {name: timedelta(minutes=policy.run_cool_down_minutes) for name, policy in policies.items()}
    now = home.clock.now()
    runs, state = admit(BreachState.from_text(cursor), breaches_of(rows, policies), now, pauses)
    requests = [
        dg.RunRequest(
            run_key=f"breach:{run.portfolio}:{run.rule}:{now.isoformat(timespec='seconds')}:{'+'.join(run.alert_ids)}",
            partition_key=days[run.alert_ids[0]].isoformat(),
            tags={"portfolio": run.portfolio[:TAG_LENGTH], "rule": run.rule},
        )
        for run in runs
    ]
    return requests, state.to_text()


def _sensor(name: str, rules: tuple[str, ...], words: str) -> dg.SensorDefinition:
    @dg.sensor(
        name=name,
        job_name="daily_monitor",
        minimum_interval_seconds=30,
        default_status=dg.DefaultSensorStatus.RUNNING,
        description=f"Starts a monitor run for a portfolio that passed {words}, no oftener than the policy's cool-down allows.",
    )
    def breach_sensor(context: dg.SensorEvaluationContext, platform: Platform) -> dg.SensorResult | dg.SkipReason:
        home = platform.open()
        if home.pinned_at is not None:
            return dg.SkipReason(f"this home's clock is pinned to {home.today}; nothing happens there")
        requests, cursor = runs_for(home, rules, context.cursor)
        return dg.SensorResult(run_requests=requests, cursor=cursor)

    return breach_sensor
