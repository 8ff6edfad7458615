"""What the book tells of an alert, a recommendation or a report: what people did and said, as nodes."""

from portfolio_platform.book import alerts as book_alerts
from portfolio_platform.book import annotations, events
from portfolio_platform.book import recommendations as book_recommendations
from portfolio_platform.errors import WrongUse
from portfolio_platform.explain.sources import Sources
from portfolio_platform.explain.tree import Draft, listing

SILENT = ("alerts_observed",)


def remarks(of: Sources, identity: str) -> list[Draft]:
    """Return what people remarked on something; nothing where nobody did."""
    with of.home.book.reading() as connection:
        found = annotations.about(connection, identity)
    lines = [Draft(f"{remark.at[:19]} {remark.by}", remark.text, remark.text, evidence_id=remark.id) for remark in found]
    return [listing("remarks", lambda: lines)] if lines else []


def what_happened(of: Sources, stream: str, identity: str) -> list[Draft]:
    """Return the events of a stream that are about one thing, the oldest first; new figures alone are left out."""
    with of.home.book.reading() as connection:
        found = [event for event in events.read(connection, stream) if event.type not in SILENT and _concerns(event, identity)]
    lines = []
    for event in found:
        said = ", ".join(f"{name} {event.data[name]}" for name in ("by", "reason") if event.data.get(name))
        lines.append(Draft(f"{event.recorded_at[:19]} {event.type.replace('_', ' ')}", event.seq, f"event {event.seq}", said))
    return [listing("what happened in the book", lambda: lines)] if lines else []


def _concerns(event: events.StoredEvent, identity: str) -> bool:
    rows = event.data.get("rows")
    return event.data.get("about") == identity or (isinstance(rows, dict) and identity in rows)


def alert_in_book(of: Sources, identity: str) -> book_alerts.Alert | None:
    """Return an alert as the book has it; None where nobody was ever told of it."""
    with of.home.book.reading() as connection:
        return book_alerts.by_ids(connection, [identity]).get(identity)


def recommendation_in_book(of: Sources, identity: str) -> book_recommendations.Recommendation | None:
    """Return a recommendation as the book has it; None where it was never published."""
    with of.home.book.reading() as connection:
        try:
            return book_recommendations.by_id(connection, identity)
        except WrongUse:
            return None
