"""Trading calendars: which days are sessions of an instrument, and of a portfolio that holds several."""

from collections.abc import Iterable
from datetime import date, timedelta
from functools import lru_cache

import numpy as np
import numpy.typing as npt

from portfolio_platform.days import to_date, to_number
from portfolio_platform.errors import DataProblem

Days = npt.NDArray[np.int64]
MARGIN = timedelta(days=31)
ALWAYS, WEEKDAYS = "24x7", "weekdays"


def sessions(calendar: str, first: int, last: int) -> Days:
    """Return the sessions of a calendar as day numbers, ``first`` to ``last`` inclusive, ascending.

    Raises `DataProblem` for a calendar that is neither ``24x7``, ``weekdays`` nor known to exchange-calendars.
    """
    days = np.arange(first, last + 1, dtype=np.int64)
    if calendar == ALWAYS:
        return days
    if calendar == WEEKDAYS:
        return days[(days + 3) % 7 < 5]  # 1970-01-01 was a Thursday
    known = _exchange_sessions(calendar, to_date(first).year, to_date(last).year)
    return known[np.searchsorted(known, first) : np.searchsorted(known, last, side="right")]


@lru_cache(maxsize=64)
def _exchange_sessions(calendar: str, first_year: int, last_year: int) -> Days:
    """Return the sessions of whole years: they cost a tenth of a second and more, so that day after day shares them.

    Some calendars are known for some years only (holidays that are announced late); outside them weekdays stand in.
    """
    import exchange_calendars
    from exchange_calendars.errors import InvalidCalendarName

    start, end = date(first_year, 1, 1), date(last_year, 12, 31)
    try:
        rules = type(exchange_calendars.get_calendar(calendar))
    except InvalidCalendarName as error:
        raise DataProblem(f"calendar {calendar!r} is not known; use an exchange code such as XNYS, 24x7, or weekdays") from error
    # the library asks for some sessions in a calendar, so a margin of a month where its bounds allow one
    lowest, highest = rules.bound_min(), rules.bound_max()
    low = max(start - MARGIN, lowest.date()) if lowest is not None else start - MARGIN
    high = min(end + MARGIN, highest.date()) if highest is not None else end + MARGIN
    days = sessions(WEEKDAYS, to_number(start), to_number(end))
    if low > end or high < start:
        return days
    known = exchange_calendars.get_calendar(calendar, start=low.isoformat(), end=high.isoformat())
    numbers: Days = known.sessions.to_numpy().astype("datetime64[D]").astype(np.int64)
    numbers = numbers[(numbers >= to_number(start)) & (numbers <= to_number(end))]
    outside = days[(days < to_number(low)) | (days > to_number(high))]
    return np.sort(np.concatenate((numbers, outside)))


def session_counts(calendar: str, first: int, last: int) -> Days:
    """Return for each day of the range how many sessions there were from its start up to and including that day."""
    is_session = np.zeros(last - first + 1, np.int64)
    is_session[sessions(calendar, first, last) - first] = 1
    return np.cumsum(is_session)


def portfolio_sessions(traded_from: Iterable[tuple[str, int]], active_days: Iterable[Days], last: int) -> Days:
    """Return a portfolio's sessions: each calendar's from the first day the portfolio traded on it, and days of activity.

    ``traded_from`` pairs calendars with first days; a fill, or the first cash flow, makes its day a session whatever
    the calendar says. Ascending, without repeats.
    """
    parts = [sessions(calendar, first, last) for calendar, first in traded_from if first <= last]
    parts += [days[days <= last] for days in active_days]
    return np.unique(np.concatenate(parts)) if parts else np.empty(0, np.int64)


def periods_per_year(has_continuous: bool) -> int:
    """Return the sessions of a year: 365 where a 24x7 calendar is among the portfolio's, else 252."""
    return 365 if has_continuous else 252
