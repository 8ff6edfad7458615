"""What the stages read in common."""

from datetime import date

import pyarrow as pa
import pyarrow.compute as pc

from portfolio_platform.home import Home
from portfolio_platform.lake import derived


def sessions(home: Home, first: date, columns: tuple[str, ...] = (), *, until: date | None = None) -> pa.Table:
    """Return the sessions of all portfolios from a day on (portfolio, day, month and the columns asked for), by portfolio and day."""
    names = list(dict.fromkeys(("portfolio", "day", "month", *columns)))
    where = pc.field("day") >= first
    if until is not None:
        where = where & (pc.field("day") <= until)
    to_month = until.isoformat()[:7] if until is not None else None
    found = home.lake.read(derived.PORTFOLIO_EQUITY, names, where, from_month=first.isoformat()[:7], to_month=to_month)
    return found.sort_by([("portfolio", "ascending"), ("day", "ascending")])


def from_day(home: Home, table: "derived.Table", first: date, columns: tuple[str, ...] | None = None) -> pa.Table:
    """Return the rows of a derived table from a day on, in no promised order."""
    names = list(columns) if columns is not None else None
    return home.lake.read(table, names, pc.field("day") >= first, from_month=first.isoformat()[:7])
