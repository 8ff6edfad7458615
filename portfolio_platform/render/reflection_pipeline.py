"""From published reflections to what a person reads: the current revision, and what people decided beside it."""

from datetime import date
from typing import TYPE_CHECKING

from portfolio_platform.book.recommendations import listed
from portfolio_platform.book.reports import StoredReport, newest
from portfolio_platform.errors import DataProblem, WrongUse
from portfolio_platform.home import Home
from portfolio_platform.monitor.pipeline.reflections import publish_reflections
from portfolio_platform.monitor.reflection.model import PortfolioReflection
from portfolio_platform.monitor.reflection.periods import Kind, period_of
from portfolio_platform.render.provenance import Provenance
from portfolio_platform.render.reflection_blocks import no_session

if TYPE_CHECKING:
    from rich.console import Group


def newest_period(home: Home, kind: Kind) -> date:
    """Return the first day of the newest period that is over."""
    last = home.last_ended_day
    found = period_of(kind, last)
    return found.start if found.end <= last else period_of(kind, date.fromordinal(found.start.toordinal() - 1)).start


def published_reflections(home: Home, portfolio: str | None, kind: Kind, day: date | None) -> list[StoredReport]:
    """Return the current reflections of the period that a day lies in (the newest that is over), publishing what is new.

    Raises `DataProblem` where the period is not over, is not built or held no session, `WrongUse` for an unknown portfolio.
    """
    period = period_of(kind, newest_period(home, kind) if day is None else day)
    done = publish_reflections(home, kind, [period.start])[0]
    there = sorted(item.portfolio for item in done.published)
    if portfolio is not None and portfolio not in there:
        known = f"; {', '.join(there)} had one" if there else ""
        raise WrongUse(f"there is no session of {portfolio!r} in the {period.noun} from {period.start} to {period.end}{known}")
    if not there:
        raise DataProblem(f"{no_session(period.noun, period.start)}; name another with --{period.noun}")
    with home.book.reading() as connection:
        found = [newest(connection, name, period.start, kind) for name in there if portfolio in (None, name)]
    return [item for item in found if item is not None]


def decisions(home: Home, portfolio: str) -> dict[str, str]:
    """Return what became of each recommendation of a portfolio in the book, in words; it stands beside the content."""
    with home.book.reading() as connection:
        found = listed(connection, portfolio)
    return {one.id: f"{one.state} by {one.decided_by}" if one.decided_by else one.state for one in found}


def rendered(home: Home, stored: StoredReport, wanted: str) -> str:
    """Return a reflection as markdown (``md``) or as a page (``html``)."""
    from portfolio_platform.render.reflections import to_html, to_markdown

    found = PortfolioReflection.from_bytes(stored.content)
    beside = decisions(home, stored.portfolio)
    if wanted == "md":
        return to_markdown(found, beside)
    provenance = Provenance.from_json(stored.provenance, report_id=stored.id, revision=stored.revision, published_at=stored.published_at)
    return to_html(found, beside, provenance)


def terminal(home: Home, stored: StoredReport) -> "Group":
    """Return a reflection as a terminal shows it."""
    from portfolio_platform.render.reflections import to_terminal

    return to_terminal(PortfolioReflection.from_bytes(stored.content), decisions(home, stored.portfolio))
