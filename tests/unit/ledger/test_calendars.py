"""Calendars: exchanges, days without end, and exchanges whose holidays are only known for some years."""

from datetime import date

import numpy as np
import pytest

from portfolio_platform.days import to_date, to_number
from portfolio_platform.errors import DataProblem
from portfolio_platform.ledger.calendars import session_counts, sessions


def days_of(calendar: str, first: date, last: date) -> list[date]:
    return [to_date(number) for number in sessions(calendar, to_number(first), to_number(last))]


def test_an_exchange_keeps_its_holidays():
    assert date(2010, 12, 24) not in days_of("XNYS", date(2010, 12, 20), date(2010, 12, 31))
    assert len(days_of("XNYS", date(2007, 1, 1), date(2007, 12, 31))) == 251


def test_weekdays_and_all_days():
    assert len(days_of("weekdays", date(2024, 1, 1), date(2024, 1, 7))) == 5
    assert len(days_of("24x7", date(2024, 1, 1), date(2024, 1, 7))) == 7


@pytest.mark.parametrize("calendar", ["XBOM", "XSHG", "XNYS", "24/7"])
def test_a_calendar_that_ends_gives_weekdays_beyond_and_never_fails(calendar):
    """Some calendars end with the year that is running; asking a month beyond it once failed for every ledger of that year."""
    for year in (1985, 2026, 2035):
        found = sessions(calendar, to_number(date(year, 1, 1)), to_number(date(year, 12, 31)))
        assert 230 <= found.size <= 366
        assert (np.diff(found) > 0).all()


def test_an_unknown_calendar_is_named():
    with pytest.raises(DataProblem, match="XNOPE"):
        sessions("XNOPE", 0, 10)


def test_counts_are_sessions_so_far():
    first, last = to_number(date(2010, 12, 23)), to_number(date(2010, 12, 28))
    assert session_counts("XNYS", first, last).tolist() == [1, 1, 1, 1, 2, 3]
