"""The jobs: what runs together."""

from typing import Any

import dagster as dg

ACCOUNTED = dg.AssetSelection.groups("ledger", "signals", "diagnostics") | dg.AssetSelection.assets("alerts", "limit_utilisation")
REPORTED = dg.AssetSelection.assets("monitor_reports", "recommendations")
WEEKLY = dg.AssetSelection.assets("weekly_reflections")
MONTHLY = dg.AssetSelection.assets("monthly_reflections")
CYCLE = dg.AssetSelection.assets("allocation_decisions", "constraint_envelopes", "limit_utilisation")
AUDIT = dg.AssetSelection.assets("control_audit")
ORCHESTRATED = dg.AssetSelection.groups("orchestration")
ADVANCED = dg.AssetSelection.groups("instruments")


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
        dg.define_asset_job(
            "control_cycle",
            CYCLE,
            description="One cycle of the control plane: fills and sessions come in, what was approved becomes orders, what is over on "
            "the clock ends, symbols are told. Nothing new: nothing is recorded.",
        ),
        dg.define_asset_job(
            "daily_audit",
            AUDIT,
            description="Verify the log, work every decision out again, reconcile what is reserved, and sign the log's end.",
        ),
        dg.define_asset_job(
            "orchestrate",
            ORCHESTRATED,
            description="Make a plan of the home's portfolio document, for a person: directives, trades, dry run, report. It sends no "
            "order. It runs when somebody starts it; its configuration says whose plan it is, where the ledger has several portfolios.",
        ),
        dg.define_asset_job(
            "advance_instruments",
            ADVANCED,
            description="Bring every paper portfolio that is behind the bars up to them, all due instruments in one run, and import what "
            "it brought. Nothing new: nothing is recorded.",
        ),
        dg.define_asset_job("weekly_reflection", WEEKLY, description="The reflection of one week, from tables that are up to date."),
        dg.define_asset_job("monthly_reflection", MONTHLY, description="The reflection of one month, from tables that are up to date."),
    ]
