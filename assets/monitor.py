"""The monitor's assets: what a person looks up, compares and backfills, a partition for each UTC day."""

from datetime import date

import dagster as dg

from assets.metadata import OWNERS
from portfolio_platform.home import Home
from resources.platform import Platform

GROUP = "monitor"
WITH_TEXT = 40  # the newest days of a run carry their reports' text in the event log; the book has all of it


def daily_partitions(home: Home) -> dg.DailyPartitionsDefinition:
    """Return the days of the ledger: from its first to the clock's."""
    end = home.today.fromordinal(home.today.toordinal() + 1) if home.pinned_at else None
    return dg.DailyPartitionsDefinition(start_date=home.first_day.isoformat(), end_date=end.isoformat() if end else None)


def build_monitor_reports(partitions: dg.DailyPartitionsDefinition) -> dg.AssetsDefinition:
    """Return the asset over a home's days."""

    @dg.asset(
        deps=["ledger_snapshots", "portfolio_equity", "concentration_metrics", "drawdown_state"],
        partitions_def=partitions,
        backfill_policy=dg.BackfillPolicy.single_run(),
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

        home, days = platform.open(), [date.fromisoformat(key) for key in context.partition_keys]
        done = publish_reports(home, days, progress=lambda count, of: context.log.info(f"{count} reports of {of} days"))
        for place, item in enumerate(done):
            text = partition_metadata(home, item, with_text=place >= len(done) - WITH_TEXT)
            context.add_asset_metadata(text, partition_key=item.day.isoformat())
        return dg.MaterializeResult()

    return monitor_reports
