"""The jobs: what runs together."""

from typing import Any

import dagster as dg

ACCOUNTED = dg.AssetSelection.groups("ledger", "signals", "diagnostics") | dg.AssetSelection.assets("alerts")
REPORTED = dg.AssetSelection.assets("monitor_reports", "recommendations")
WEEKLY = dg.AssetSelection.assets("weekly_reflections")
MONTHLY = dg.AssetSelection.assets("monthly_reflections")


def build_jobs() -> list[Any]:
    """Return the jobs; those with reports take their days as partitions."""
    return [
        dg.define_asset_job(
            "refresh",
            ACCOUNTED,
            description="Import what waits in the inbox and bring every table and alert up to date. Nothing new: nothing is computed.",
        ),
        dg.define_asset_job(
            "publish_reports",
            REPORTED,
            description="Publish the reports and recommendations of one day or of a range, from tables that are up to date.",
        ),
        dg.define_asset_job(
            "daily_monitor",
            ACCOUNTED | REPORTED,
            description="Refresh, then publish the report of one day: what the schedule runs after the close, and a breach within the day.",
        ),
        dg.define_asset_job("weekly_reflection", WEEKLY, description="The reflection of one week, from tables that are up to date."),
        dg.define_asset_job("monthly_reflection", MONTHLY, description="The reflection of one month, from tables that are up to date."),
    ]
