"""Which UTC day a time belongs to: day D is (D 00:00Z, D+1 00:00Z], so a close at midnight ends the day before."""

from datetime import UTC, date, datetime, timedelta
from typing import TYPE_CHECKING, overload

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

NANOSECONDS_PER_DAY = 86_400_000_000_000
NANOSECONDS_PER_SECOND = 1_000_000_000
EPOCH = date(1970, 1, 1)


@overload
def day_number(ts: int) -> int: ...
@overload
def day_number(ts: "npt.NDArray[np.int64]") -> "npt.NDArray[np.int64]": ...
def day_number(ts: "int | npt.NDArray[np.int64]") -> "int | npt.NDArray[np.int64]":
    """Return the day, counted from 1970-01-01, of nanoseconds UTC; 00:00:00 exactly belongs to the day that ends."""
    return (ts - 1) // NANOSECONDS_PER_DAY


def to_date(number: int) -> date:
    """Return the date of a day number."""
    return EPOCH + timedelta(days=int(number))


def to_number(day: date) -> int:
    """Return the day number of a date."""
    return (day - EPOCH).days


def end_of_day_ns(day: date) -> int:
    """Return the last instant of a day, in nanoseconds UTC: midnight of the day that follows."""
    return (to_number(day) + 1) * NANOSECONDS_PER_DAY


def nanoseconds(at: datetime) -> int:
    """Return a timezone-aware time as nanoseconds UTC, exactly."""
    delta = at.astimezone(UTC) - datetime(1970, 1, 1, tzinfo=UTC)
    return (delta.days * 86_400 + delta.seconds) * NANOSECONDS_PER_SECOND + delta.microseconds * 1_000


def format_timestamp(ts: int) -> str:
    """Return nanoseconds UTC as ISO-8601, with as many decimals as it has."""
    seconds, rest = divmod(int(ts), NANOSECONDS_PER_SECOND)
    text = (datetime(1970, 1, 1, tzinfo=UTC) + timedelta(seconds=seconds)).strftime("%Y-%m-%dT%H:%M:%S")
    return f"{text}{f'.{rest:09d}'.rstrip('0') if rest else ''}Z"
