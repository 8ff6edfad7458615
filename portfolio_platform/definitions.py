"""The composition root: everything that Dagster is told, put together fresh at each call.

The one module of the platform that knows Dagster. Heavy libraries are imported where they are used, inside assets.
"""

import gc
import warnings

import dagster as dg

# Dagster's half million objects live as long as the process: no later collection need look at them again
gc.freeze()

from assets import checks, diagnostics, ledger, monitor
from portfolio_platform.home import Home
from resources.platform import Platform
from sensors import inbox, jobs, schedules

# single-run backfills are beta in this version and pinned with it; the warning would greet every command
warnings.filterwarnings("ignore", category=dg.BetaWarning)


def build_definitions(home: Home | None = None) -> dg.Definitions:
    """Return the definitions over a home; without one, over the home that the environment names."""
    chosen = home or Home.from_environment()
    partitions = monitor.daily_partitions(chosen)
    reports = monitor.build_monitor_reports(partitions)
    return dg.Definitions(
        assets=[ledger.facts, ledger.accounting, diagnostics.concentration_metrics, diagnostics.drawdown_state, reports],
        asset_checks=[checks.expectations, checks.identities],
        jobs=jobs.build_jobs(),
        schedules=[schedules.daily_monitor_schedule],
        sensors=[inbox.inbox_sensor],
        resources={"platform": Platform(home=str(chosen.root))},
        executor=dg.in_process_executor,
    )


defs = build_definitions()
