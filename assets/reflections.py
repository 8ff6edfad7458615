"""The assets of reflections: weeks from Monday (UTC) and calendar months, from the tables that the daily reports rest on.

The first partition is the first whole week, or month, of the ledger: so its days all have a daily partition, and a change of one
day's reports reaches exactly the week and the month that it lies in. The part of a week before is a command away.
"""

from collections.abc import Callable
from datetime import date, timedelta
from typing import TYPE_CHECKING, Any

import dagster as dg

from assets.metadata import OWNERS
from portfolio_platform.home import Home
from resources.platform import Platform

if TYPE_CHECKING:
    from portfolio_platform.monitor.pipeline.reflections import PeriodReflections
    from portfolio_platform.monitor.reflection.periods import Kind

GROUP = "monitor"
WITH_TEXT = 8  # the newest periods of a run carry their text in the event log; the book has all of it
REFLECTED = ("alerts", "signal_outcomes", "execution_profile", "failure_modes")
SCHEMA = dg.TableSchema(
    columns=[
        dg.TableColumn("portfolio", "string", "portfolio"),
        dg.TableColumn("day", "date", "first UTC day of the period"),
        dg.TableColumn("revision", "int64", "1 for the first publication of the period"),
        dg.TableColumn("content_hash", "string", "SHA-256 of the canonical content"),
    ]
)
Partitions = dg.WeeklyPartitionsDefinition | dg.MonthlyPartitionsDefinition


def _end(home: Home) -> str | None:
    """Return where partitions end in a home whose clock is pinned: the first day that its clock has not ended."""
    return (home.last_ended_day + timedelta(days=1)).isoformat() if home.pinned_at else None


def weekly_partitions(home: Home) -> dg.WeeklyPartitionsDefinition:
    """Return the whole weeks of the ledger that are over."""
    return dg.WeeklyPartitionsDefinition(start_date=home.first_day.isoformat(), end_date=_end(home), day_offset=1)


def monthly_partitions(home: Home) -> dg.MonthlyPartitionsDefinition:
    """Return the whole months of the ledger that are over."""
    return dg.MonthlyPartitionsDefinition(start_date=home.first_day.isoformat(), end_date=_end(home))


def build_weekly_reflections(home: Home) -> dg.AssetsDefinition:
    """Return the weekly reflections over a home's weeks."""
    return _asset(
        "weekly_reflections",
        "weekly",
        weekly_partitions(home),
        "What each week taught, judged over the 60 sessions up to its end: outcome clusters, what drifted, how alerts and "
        "recommendations turned out, findings on playbooks with their samples, and what to do next. An immutable revision in the book.",
    )


def build_monthly_reflections(home: Home) -> dg.AssetsDefinition:
    """Return the monthly reflections over a home's months."""
    return _asset(
        "monthly_reflections",
        "monthly",
        monthly_partitions(home),
        "What each month taught, judged over the 250 sessions up to its end: as the weekly reflections, on samples that prove more.",
    )


def _asset(name: str, kind: "Kind", partitions: Partitions, description: str) -> dg.AssetsDefinition:
    @dg.asset(
        name=name,
        deps=[dg.AssetDep("monitor_reports", partition_mapping=dg.TimeWindowPartitionMapping()), *REFLECTED],
        partitions_def=partitions,
        backfill_policy=dg.BackfillPolicy.single_run(),
        group_name=GROUP,
        owners=OWNERS,
        kinds={"python", "pydantic", "sqlalchemy"},
        description=description,
        metadata={"dagster/column_schema": SCHEMA},
    )
    def reflections(context: dg.AssetExecutionContext, platform: Platform) -> dg.MaterializeResult:
        from portfolio_platform.monitor.pipeline.reflections import publish_reflections

        home, starts = platform.open(), [date.fromisoformat(key) for key in context.partition_keys]
        done = publish_reflections(home, kind, starts)
        for place, item in enumerate(done):
            text = _texts(home) if place >= len(done) - WITH_TEXT else None
            context.add_asset_metadata(partition_metadata(item, text), partition_key=item.period.start.isoformat())
        return dg.MaterializeResult()

    return reflections


def partition_metadata(item: "PeriodReflections", text: Callable[[str], str] | None = None) -> dict[str, Any]:
    """Return the metadata of a period; one in which no portfolio had a session says just that."""
    shown: dict[str, Any] = {"dagster/partition_row_count": len(item.published)}
    if not item.published:
        return shown | {"session": "no_session"}
    shown["session"] = "session"
    for one in item.published:
        headline = item.headlines[one.portfolio]
        shown |= {
            f"{one.portfolio} next": headline.action,
            f"{one.portfolio} why": dg.MetadataValue.text(headline.why),
            f"{one.portfolio} trades": headline.trades,
            f"{one.portfolio} revision": f"{one.revision} ({one.status})",
            f"{one.portfolio} content hash": one.content_hash,
        }
        if headline.total_return is not None:
            shown[f"{one.portfolio} return"] = float(headline.total_return)
        if text is not None:
            shown[f"{one.portfolio} reflection"] = dg.MetadataValue.md(text(one.report_id))
    return shown


def _texts(home: Home) -> Callable[[str], str]:
    """Return what gives the text of a published reflection by its id."""
    from portfolio_platform.book.reports import by_id
    from portfolio_platform.render.reflection_pipeline import rendered

    def text(report_id: str) -> str:
        with home.book.reading() as connection:
            stored = by_id(connection, report_id)
        return rendered(home, stored, "md") if stored is not None else "the reflection is no longer in the book"

    return text
