"""The as-of time of every command and run. Nothing in the platform reads the machine's clock but `SystemClock`."""

from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Protocol


class Clock(Protocol):
    """Says what time it is."""

    def now(self) -> datetime:
        """Return the as-of time, timezone-aware, in UTC."""
        ...


@dataclass(frozen=True)
class SystemClock:
    """The machine's clock."""

    def now(self) -> datetime:
        """Return the current time in UTC."""
        return datetime.now(UTC)


@dataclass(frozen=True)
class FixedClock:
    """A clock that stands still: pinned homes, `--as-of`, tests."""

    at: datetime

    def now(self) -> datetime:
        """Return the fixed time."""
        return self.at


def end_of_day(day: date) -> datetime:
    """Return the last instant of a UTC day, the as-of time that a bare date means: the midnight that ends it."""
    return datetime(day.year, day.month, day.day, tzinfo=UTC) + timedelta(days=1)
