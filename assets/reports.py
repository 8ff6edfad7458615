"""What a partition of `monitor_reports` shows: the revisions it holds, and their text."""

from typing import Any

import dagster as dg

from portfolio_platform.home import Home
from portfolio_platform.monitor.pipeline.reports import DayReports


def partition_metadata(home: Home, reports: DayReports, *, with_text: bool) -> dict[str, Any]:
    """Return the metadata of a day; a day on which no portfolio had a session says just that."""
    shown: dict[str, Any] = {"dagster/partition_row_count": len(reports.published)}
    if not reports.published:
        return shown | {"session": "no_session"}
    shown["session"] = "session"
    for item in reports.published:
        headline = reports.headlines[item.portfolio]
        shown |= {
            f"{item.portfolio} regime": headline.regime,
            f"{item.portfolio} revision": f"{item.revision} ({item.status})",
            f"{item.portfolio} content hash": item.content_hash,
        }
        # numbers, so that the UI draws them over the partitions
        if headline.equity is not None:
            shown[f"{item.portfolio} equity"] = float(headline.equity)
        if headline.drawdown is not None:
            shown[f"{item.portfolio} drawdown"] = float(headline.drawdown)
        if with_text:
            shown[f"{item.portfolio} report"] = dg.MetadataValue.md(_text(home, item.report_id))
    return shown


def _text(home: Home, report_id: str) -> str:
    from portfolio_platform.book.reports import by_id
    from portfolio_platform.render.pipeline import rendered

    with home.book.reading() as connection:
        stored = by_id(connection, report_id)
    return rendered(home, stored, "md") if stored is not None else "the report is no longer in the book"
