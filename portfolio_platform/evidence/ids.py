"""Evidence ids: the address of one number in a derived table, readable and the same for equal facts.

``portfolio_equity/core/2010-12-31/equity`` is a column of the row with that portfolio and day; further parts of the
table's key stand between day and column. Parts are percent-encoded, so that a symbol may hold anything.
``quarantine/core/2010-12-31/rows`` are the rows set aside up to that day: a count, not a cell. Rows whose table is keyed by
one id have shorter addresses: ``fills/core%7CEX-C-01831``, ``trip_profiles/ID/mae_r``.
"""

from dataclasses import dataclass
from datetime import date
from functools import cache
from urllib.parse import quote, unquote

from portfolio_platform.errors import WrongUse
from portfolio_platform.lake.columns import Table
from portfolio_platform.lake.derived import DERIVED, TABLES
from portfolio_platform.lake.facts import FACTS, QUARANTINE

ROWS = "rows"


@dataclass(frozen=True)
class Address:
    """What an evidence id names: a table, the key of a row, and one of its columns."""

    table: Table
    portfolio: str
    day: date
    rest: tuple[str, ...]
    column: str

    @property
    def key(self) -> dict[str, object]:
        """Return the row's key by column name."""
        names = [name for name in self.table.key if name not in ("portfolio", "day")]
        return {"day": self.day, "portfolio": self.portfolio, **dict(zip(names, self.rest, strict=True))}


@cache
def encoded(part: str) -> str:
    """Return a part of an address, percent-encoded."""
    return quote(part, safe="")


def key_of(table: str) -> tuple[str, ...]:
    """Return the parts of a table's key after portfolio and day; none of a table that has no such key."""
    declared = DERIVED.get(table)
    if declared is None or not {"day", "portfolio"} <= set(declared.key):
        return ()
    return tuple(name for name in declared.key if name not in ("day", "portfolio"))


def evidence_id(table: Table, portfolio: str, day: date, column: str, *rest: str) -> str:
    """Return the id of a number; ``rest`` are the parts of the table's key after day and portfolio, in its order."""
    return "/".join((table.name, quote(portfolio, safe=""), day.isoformat(), *(quote(part, safe="") for part in rest), column))


def parse_evidence_id(text: str) -> Address:
    """Return what an id names. Raises `WrongUse` where it names nothing that there is."""
    parts = text.split("/")
    if parts[0] == QUARANTINE.name and len(parts) == 4 and parts[3] == ROWS:
        return Address(QUARANTINE, unquote(parts[1]), _day(parts[2], text), (), ROWS)
    table = DERIVED.get(parts[0])
    if table is None or "day" not in table.key or "portfolio" not in table.key:
        raise WrongUse(f"{text!r} is no evidence id: it begins with the name of a table, such as portfolio_equity")
    if len(parts) != len(table.key) + 2:
        raise WrongUse(f"{text!r} is no evidence id: {table.name} wants portfolio, day, {len(table.key) - 2} more parts and a column")
    if parts[-1] not in table.column_names:
        raise WrongUse(f"{table.name} has no column {parts[-1]!r}")
    return Address(table, unquote(parts[1]), _day(parts[2], text), tuple(unquote(part) for part in parts[3:-1]), parts[-1])


def _day(part: str, text: str) -> date:
    try:
        return date.fromisoformat(part)
    except ValueError as error:
        raise WrongUse(f"{part!r} in {text!r} is no day; write YYYY-MM-DD") from error


@dataclass(frozen=True)
class RowAddress:
    """What names a row whose key is one id: a fact's row id, a round trip, a signal. ``column`` is empty for the whole row."""

    table: Table
    identity: str
    column: str = ""


def identity_column(table: Table) -> str:
    """Return the column that alone names a row of a table; empty where no single one does."""
    if table.name in FACTS:
        return "row_id"
    return table.key[0] if len(table.key) == 1 and table.key[0] != "day" else ""


def row_id(table: Table, identity: str, column: str = "") -> str:
    """Return the id of a row of a table that is keyed by one id, or of one of its columns."""
    return "/".join((table.name, quote(identity, safe=""), *([column] if column else [])))


def parse_row_id(text: str) -> RowAddress:
    """Return what an id names whose table is keyed by one id. Raises `WrongUse` where it names nothing that there is."""
    parts = text.split("/")
    table = TABLES.get(parts[0])
    if table is None or not identity_column(table) or len(parts) not in (2, 3):
        raise WrongUse(f"{text!r} is no id of a row: write a table that is keyed by an id, such as fills, and the id percent-encoded")
    if len(parts) == 3 and parts[2] not in table.column_names:
        raise WrongUse(f"{table.name} has no column {parts[2]!r}")
    return RowAddress(table, unquote(parts[1]), parts[2] if len(parts) == 3 else "")
