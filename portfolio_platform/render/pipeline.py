"""From published reports to what a person reads: the current revision, and the history that its charts show."""

import json
from collections.abc import Callable
from datetime import date
from typing import TYPE_CHECKING, Any

import pyarrow.compute as pc

from portfolio_platform.book.reports import StoredReport, newest
from portfolio_platform.errors import DataProblem, WrongUse
from portfolio_platform.home import Home, write_atomically
from portfolio_platform.lake import derived
from portfolio_platform.lake.progress import newest_import_of, read_progress
from portfolio_platform.ledger.pipeline import LEDGER_FACTS
from portfolio_platform.monitor.pipeline.reports import publish_reports
from portfolio_platform.monitor.report import PortfolioMonitorReport

if TYPE_CHECKING:
    from pathlib import Path

    from portfolio_platform.render.chart_data import Data
    from portfolio_platform.render.charts import ChartName
    from portfolio_platform.render.series import History


def newest_sessions(home: Home, until: date) -> dict[str, date]:
    """Return each portfolio's newest session up to a day."""
    rows = home.lake.read(derived.PORTFOLIO_EQUITY, ["portfolio", "day"], pc.field("day") <= until)
    found = rows.group_by("portfolio").aggregate([("day", "max")])
    return dict(sorted(zip(found["portfolio"].to_pylist(), found["day_max"].to_pylist(), strict=True)))


def published_reports(
    home: Home, portfolio: str | None, day: date | None, warn: Callable[[str], None] = lambda text: None
) -> list[StoredReport]:
    """Return the current report of a day (or of each newest session), publishing those whose content is new.

    Raises `DataProblem` where nothing is built or the day had no session, `WrongUse` for an unknown portfolio.
    """
    sessions = newest_sessions(home, day or home.today)
    if not sessions and newest_sessions(home, home.today):
        first = pc.min(home.lake.read(derived.PORTFOLIO_EQUITY, ["day"])["day"]).as_py()
        raise DataProblem(f"{day} is before the first session, {first}")
    if not sessions:
        raise DataProblem("there is no session to report yet; import a ledger and run `portfolio build`")
    if portfolio is not None and portfolio not in sessions:
        raise WrongUse(f"there is no portfolio {portfolio!r} by that day; there is {', '.join(sessions)}")
    ledger = read_progress(home.lake, "ledger")
    if ledger is not None and ledger.import_seq < newest_import_of(home.lake, LEDGER_FACTS):
        warn("facts were imported that are not accounted for yet; run `portfolio build`")
    chosen = {portfolio: sessions[portfolio]} if portfolio is not None else sessions
    if day is not None:
        closed = sorted(name for name, session in chosen.items() if session != day)
        if len(closed) == len(chosen):
            newest_one = max(chosen.values())
            raise DataProblem(f"{day} was no session of {', '.join(closed)}; the newest before it is {newest_one}")
        chosen = {name: session for name, session in chosen.items() if session == day}
    publish_reports(home, sorted(set(chosen.values())))
    with home.book.reading() as connection:
        found = [newest(connection, name, session) for name, session in chosen.items()]
    return [item for item in found if item is not None]


def history(home: Home, portfolio: str, until: date) -> "History":
    """Return the series of one portfolio up to a day that the small lines of a terminal show."""
    from portfolio_platform.render.chart_rows import histories

    return histories(home, {portfolio: until})[portfolio]


def page_charts(home: Home, portfolio: str, day: date) -> "dict[ChartName, Data]":
    """Return what the charts of a page show: of one portfolio, up to its day."""
    from portfolio_platform.render.chart_rows import chart_data
    from portfolio_platform.render.charts import HISTORY, PAGE

    account = history(home, portfolio, day)
    return {name: account if name in HISTORY else chart_data(home, name, {portfolio: day})[portfolio] for name in PAGE}


def standing_recommendation(home: Home, report: PortfolioMonitorReport) -> "dict[str, Any] | None":
    """Return the content of the recommendation that a report names without holding it, from the day of its issue."""
    found = report.recommendation
    if found is None or found.content or found.issued is None:
        return None
    month = found.issued.isoformat()[:7]
    where = (pc.field("portfolio") == report.portfolio) & (pc.field("day") == found.issued) & (pc.field("status") == "issued")
    rows = home.lake.read(derived.RECOMMENDATION_STATES, ["recommendation_id", "content"], where, from_month=month, to_month=month)
    for row in rows.to_pylist():
        if row["recommendation_id"] == found.recommendation_id and row["content"]:
            content: dict[str, Any] = json.loads(row["content"])
            return content
    return None


def rendered(home: Home, stored: StoredReport, wanted: str) -> str:
    """Return a report as markdown (``md``) or as a page (``html``)."""
    report = PortfolioMonitorReport.from_bytes(stored.content)
    standing = standing_recommendation(home, report)
    if wanted == "md":
        from portfolio_platform.render.markdown import to_markdown

        return to_markdown(report, standing)
    from portfolio_platform.render.html import to_html
    from portfolio_platform.render.provenance import Provenance

    provenance = Provenance.from_json(stored.provenance, report_id=stored.id, revision=stored.revision, published_at=stored.published_at)
    return to_html(report, page_charts(home, stored.portfolio, stored.day), provenance, standing)


def write_page(home: Home, stored: StoredReport) -> "Path":
    """Write a report's page into the home's folder of reports; return its path."""
    from urllib.parse import quote

    folder = home.reports / quote(stored.portfolio, safe="")
    folder.mkdir(parents=True, exist_ok=True)
    page = folder / f"{stored.day.isoformat()}.html"
    write_atomically(page, rendered(home, stored, "html"))
    return page
