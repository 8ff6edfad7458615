"""The jobs: what runs together."""

from typing import Any

import dagster as dg

ACCOUNTED = dg.AssetSelection.groups("ledger", "diagnostics")
REPORTED = dg.AssetSelection.assets("monitor_reports")


def build_jobs() -> list[Any]:
    """Return the jobs; those with reports take their days as partitions."""
    refresh = dg.define_asset_job(
        "refresh",
        ACCOUNTED,
        description="Import what waits in the inbox and bring every table up to date. Nothing new: nothing is computed.",
    )
    publish = dg.define_asset_job(
        "publish_reports",
        REPORTED,
        description="Publish the reports of one day or of a range, from tables that are up to date.",
    )
    daily = dg.define_asset_job(
        "daily_monitor",
        ACCOUNTED | REPORTED,
        description="Refresh, then publish the report of one day: what the schedule runs after the close.",
    )
    return [refresh, publish, daily]
