"""The composition root: everything that Dagster is told, put together fresh at each call.

The one module of the platform that knows Dagster. Heavy libraries are imported where they are used, inside assets.
"""

import gc
import warnings

import dagster as dg

# Dagster's half million objects live as long as the process: no later collection need look at them again; nor is it worth a
# look at all others each time that a few hundred have been made, which is a tenth of a daily run
gc.freeze()
gc.set_threshold(20_000, 20, 50)

from assets import checks, control, diagnostics, instruments, ledger, monitor, orchestration, reflections, signals
from portfolio_platform.home import Home
from resources.platform import Platform
from sensors import breaches, control_cycle, inbox, jobs, operator_jobs, operators, schedules
from sensors import instruments as closes
from sensors import orchestration as orchestration_sensors

# single-run backfills are beta in this version and pinned with it; the warning would greet every command
warnings.filterwarnings("ignore", category=dg.BetaWarning)


def build_definitions(home: Home | None = None) -> dg.Definitions:
    """Return the definitions over a home; without one, over the home that the environment names."""
    chosen = home or Home.from_environment()
    partitions = monitor.daily_partitions(chosen)
    daily: list[dg.AssetsDefinition | dg.AssetSpec] = [
        monitor.day_inputs(partitions),
        monitor.build_monitor_reports(partitions),
        monitor.build_recommendations(partitions),
        reflections.build_weekly_reflections(chosen),
        reflections.build_monthly_reflections(chosen),
    ]
    return dg.Definitions(
        assets=[
            *ledger.ASSETS,
            *signals.ASSETS,
            *diagnostics.ASSETS,
            monitor.alerts,
            *daily,
            *control.ASSETS,
            *instruments.ASSETS,
            *orchestration.ASSETS,
        ],
        asset_checks=[checks.expectations, checks.identities, checks.sample_gates],
        jobs=[*jobs.build_jobs(), *operator_jobs.build_operator_jobs(), operators.deliver_alerts],
        schedules=[
            schedules.daily_monitor_schedule,
            schedules.control_audit_schedule,
            schedules.weekly_reflection_schedule,
            schedules.monthly_reflection_schedule,
        ],
        sensors=[
            inbox.inbox_sensor,
            *breaches.build_breach_sensors(),
            control_cycle.control_cycle,
            control_cycle.decisions_refresh,
            closes.instrument_closes,
            orchestration_sensors.orchestration_watch,
            operators.operator_alerts,
            operators.failed_runs,
            operators.finished_runs,
            operators.heartbeat,
            operators.restated_reports,
        ],
        resources={"platform": Platform(home=str(chosen.root))},
        executor=dg.in_process_executor,
    )


defs = build_definitions()
