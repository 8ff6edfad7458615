"""The monitor's assets: what a person looks up, compares and backfills, and the live table of alerts."""

from datetime import date
from typing import Any

import dagster as dg

from assets.metadata import CONSTANT, OWNERS, column_schema, table_metadata
from portfolio_platform.home import Home
from portfolio_platform.lake import derived
from resources.platform import Platform

GROUP = "monitor"
WITH_TEXT = 40  # the newest days of a run carry their reports' text in the event log; the book has all of it
STAGES = ("alerts", "recommendations", "day_inputs")
QUOTED = (
    *("portfolio_equity", "ledger_snapshots", "pnl_attribution", "signal_outcomes", "portfolio_heat", "concentration_metrics"),
    *("correlation_stacking", "drawdown_state", "turnover_metrics", "execution_profile", "idle_capital", "failure_modes"),
    *("sample_sufficiency", "alerts"),
)
DAILY = dg.BackfillPolicy.single_run()


def daily_partitions(home: Home) -> dg.DailyPartitionsDefinition:
    """Return the days of the ledger: from its first to the clock's."""
    end = home.today.fromordinal(home.today.toordinal() + 1) if home.pinned_at else None
    return dg.DailyPartitionsDefinition(start_date=home.first_day.isoformat(), end_date=end.isoformat() if end else None)


def day_inputs(partitions: dg.DailyPartitionsDefinition) -> dg.AssetSpec:
    """Return what each day's reports rest on: not made here, but observed; a new version makes the day's reports stale."""
    return dg.AssetSpec(
        "day_inputs",
        partitions_def=partitions,
        group_name="diagnostics",
        owners=OWNERS,
        kinds={"deltalake"},
        description=derived.DAY_INPUTS.description + " A restatement observes a new version of exactly the days that it changes.",
        metadata={"dagster/column_schema": column_schema(derived.DAY_INPUTS), "dagster/table_name": derived.DAY_INPUTS.name},
    )


@dg.asset(
    deps=["sample_sufficiency", "pnl_attribution", "drawdown_state"],
    group_name=GROUP,
    owners=OWNERS,
    kinds={"python", "deltalake", "sqlalchemy"},
    description="The live table of alerts. Each session's alerts follow from facts and policy (`alert_states`); the newest session's "
    "are brought to the book, where people acknowledge, silence and resolve them, and from where they are sent.",
    metadata={"dagster/column_schema": column_schema(derived.ALERT_STATES), "dagster/table_name": derived.ALERT_STATES.name},
)
def alerts(context: dg.AssetExecutionContext, platform: Platform) -> dg.MaterializeResult:
    """Evaluate the rules, bring the newest session's alerts to the book, and observe what changed for older reports."""
    from assets.alerts import live_table, observe_inputs
    from assets.stages import build
    from portfolio_platform.alerts.pipeline import sync

    home = platform.open()
    for name, sentence in build(home, STAGES).items():
        context.log.info(f"{name}: {sentence}")
    synced = sync(home)
    observed = observe_inputs(home, context.instance)
    metadata: dict[str, Any] = table_metadata(home, derived.ALERT_STATES)
    metadata |= {"queued_messages": len(synced.queued), "days_observed": observed} | live_table(home)
    return dg.MaterializeResult(metadata=metadata, data_version=CONSTANT)


def build_monitor_reports(partitions: dg.DailyPartitionsDefinition) -> dg.AssetsDefinition:
    """Return the daily reports over a home's days."""

    @dg.asset(
        deps=["day_inputs", *QUOTED],
        partitions_def=partitions,
        backfill_policy=DAILY,
        group_name=GROUP,
        owners=OWNERS,
        kinds={"python", "pydantic", "sqlalchemy"},
        description="The daily report of every portfolio: an immutable revision in the book, new only where its content is.",
        metadata={
            "dagster/column_schema": dg.TableSchema(
                columns=[
                    dg.TableColumn("portfolio", "string", "portfolio"),
                    dg.TableColumn("day", "date", "UTC day"),
                    dg.TableColumn("revision", "int64", "1 for the first publication of the day"),
                    dg.TableColumn("content_hash", "string", "SHA-256 of the canonical content"),
                ]
            )
        },
    )
    def monitor_reports(context: dg.AssetExecutionContext, platform: Platform) -> dg.MaterializeResult:
        from assets.reports import partition_metadata
        from portfolio_platform.monitor.pipeline.reports import publish_reports

        home, days = platform.open(), _days(context)
        done = publish_reports(home, days, progress=lambda count, of: context.log.info(f"{count} reports of {of} days"))
        for place, item in enumerate(done):
            text = partition_metadata(home, item, with_text=place >= len(done) - WITH_TEXT)
            context.add_asset_metadata(text, partition_key=item.day.isoformat())
        return dg.MaterializeResult()

    return monitor_reports


def build_recommendations(partitions: dg.DailyPartitionsDefinition) -> dg.AssetsDefinition:
    """Return the daily recommendations over a home's days."""

    @dg.asset(
        deps=["alerts", "drawdown_state", "sample_sufficiency"],
        partitions_def=partitions,
        backfill_policy=DAILY,
        group_name=GROUP,
        owners=OWNERS,
        kinds={"python", "pydantic", "sqlalchemy"},
        description="Recommendations issued on a day: typed changes of mode and caps with their evidence, and what became of them. "
        "On paper a tightening whose gates passed is approved by rule; everything else waits for a person.",
        metadata={
            "dagster/column_schema": column_schema(derived.RECOMMENDATION_STATES),
            "dagster/table_name": derived.RECOMMENDATION_STATES.name,
        },
    )
    def recommendations(context: dg.AssetExecutionContext, platform: Platform) -> dg.MaterializeResult:
        from assets.recommendations import partition_metadata
        from portfolio_platform.monitor.lifecycle import publish_recommendations

        home, days = platform.open(), _days(context)
        decided = publish_recommendations(home, days)
        context.log.info(f"{len(decided.proposed)} proposed, {len(decided.approved)} approved by rule, {len(decided.expired)} expired")
        for day, shown in partition_metadata(home, days).items():
            context.add_asset_metadata(shown, partition_key=day.isoformat())
        return dg.MaterializeResult()

    return recommendations


def _days(context: dg.AssetExecutionContext) -> list[date]:
    return [date.fromisoformat(key) for key in context.partition_keys]
