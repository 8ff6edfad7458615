"""The one spelling of an instant and of a day in the book: fixed width, so that text order is time order."""

from datetime import UTC, date, datetime

from portfolio_platform.errors import WrongUse


def instant_text(at: datetime) -> str:
    """Spell an instant as ISO 8601 in UTC with microseconds, always 32 characters.

    Raises:
        WrongUse: the instant has no time zone.
    """
    if at.tzinfo is None:
        raise WrongUse(f"the instant {at.isoformat()} has no time zone; give one in UTC")
    return at.astimezone(UTC).isoformat(timespec="microseconds")


def day_text(day: date) -> str:
    """Spell a day as ISO 8601.

    Raises:
        WrongUse: an instant is given where a day belongs.
    """
    if isinstance(day, datetime):
        raise WrongUse(f"{day.isoformat()} is an instant where a day belongs; give a date")
    return day.isoformat()
