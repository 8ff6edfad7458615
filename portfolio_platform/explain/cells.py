"""A stored number as a draft of a node: its value, its formula in words, and what its table says it rests on.

What each table's numbers rest on is declared in `explain.tables` with `explains`.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from portfolio_platform.explain.shown import column_of, plain_decimal, shown
from portfolio_platform.explain.sources import Row, Sources
from portfolio_platform.explain.tree import Draft, listing
from portfolio_platform.lake.columns import Table

Explain = Callable[[Sources, Row, str], Iterable[Draft]]
EXPLAINERS: dict[str, Explain] = {}
FORMULAS: dict[str, Mapping[str, str]] = {}
QUIET = frozenset(
    {"month", "reason", "revision", "bust", "content_hash", "import_seq", "recorded_at", "source_file", "source_line", "row_id"}
)
"""Columns that the fallback leaves out: what they say stands elsewhere in the tree."""


def explains(table: Table, formulas: Mapping[str, str] | None = None) -> Callable[[Explain], Explain]:
    """Declare what the numbers of a table rest on, and their formulas in words by column.

    Raises `ValueError` where the table has been explained already: one of the two would never be seen.
    """

    def declare(explain: Explain) -> Explain:
        if table.name in EXPLAINERS:
            raise ValueError(f"{table.name} is explained twice: by {EXPLAINERS[table.name].__name__} and {explain.__name__}")
        EXPLAINERS[table.name] = explain
        FORMULAS[table.name] = formulas or {}
        return explain

    return declare


def about(row: Row) -> str:
    """Return what a row is about: portfolio, day and the other parts of its key."""
    parts = [str(row[name]) for name in row.table.key if name not in ("day", "portfolio") and row[name] not in (None, "")]
    head = [row.portfolio, row.day.isoformat()] if {"day", "portfolio"} <= set(row.table.key) else []
    return ", ".join([*head, *parts])


def cell(of: Sources, row: Row, column: str, *, title: str = "", words: str = "") -> Draft:
    """Return a number of a row, with its formula and what it rests on."""
    declared = column_of(row.table, column)
    if not declared.unit and row.values.get("unit"):
        declared = replace(declared, unit=row["unit"])
    value = row[column]
    formula = words or FORMULAS.get(row.table.name, {}).get(column, "") or declared.description
    reasons = [str(row[name]) for name in ("reason", "bets_reason", "context_reason") if row.values.get(name)]
    if value is None:
        formula += f"; null because: {'; '.join(reasons) or 'no reason is given'}"
    explain = EXPLAINERS.get(row.table.name, _other_columns)
    return Draft(
        title or f"{column.replace('_', ' ')} of {about(row)}", value, shown(value, declared), formula, row.id(column),
        parts=lambda: explain(of, row, column),
    )  # fmt: skip


def cells(of: Sources, row: Row, columns: Sequence[str]) -> list[Draft]:
    """Return numbers of one row, by their columns' names."""
    return [cell(of, row, name, title=name.replace("_", " ")) for name in columns]


def same(of: Sources, row: Row | None, column: str, title: str) -> list[Draft]:
    """Return one number of a row, or say that the row is not there."""
    return [cell(of, row, column, title=title)] if row is not None else [Draft(title, words="there is no such row")]


def earlier(of: Sources, row: Row | None, column: str, title: str) -> list[Draft]:
    """Return a number of a session before, which is not followed: the chain would go back to the start."""
    return [replace(draft, closed=True) for draft in same(of, row, column, title)]


def rows_of(of: Sources, title: str, found: Callable[[], Iterable[Row]], column: str, name: Callable[[Row], str], words: str = "") -> Draft:
    """Return a list of rows, each with the number that counts; ``name`` says what a row is about."""
    return listing(title, lambda: [cell(of, row, column, title=name(row)) for row in found()], words)


def by_session(of: Sources, title: str, found: Callable[[], Iterable[Row]], column: str, words: str = "") -> Draft:
    """Return a number session by session; each session has to be asked for alone."""

    def drafts() -> list[Draft]:
        return [replace(cell(of, row, column, title=row.day.isoformat()), closed=True) for row in found()]

    return listing(title, drafts, words)


def whole(of: Sources, row: Row, title: str = "", words: str = "") -> Draft:
    """Return a row as a whole: its columns below it."""
    return Draft(title or f"{row.table.name}: {about(row)}", words=words or row.table.description, evidence_id=row.id(),
                 parts=lambda: _every_column(of, row))  # fmt: skip


def _every_column(of: Sources, row: Row) -> list[Draft]:
    names = [name for name in row.table.column_names if name not in QUIET and name not in row.table.key]
    return [cell(of, row, name, title=name.replace("_", " ")) for name in names if not _empty(row[name])]


def _other_columns(of: Sources, row: Row, column: str) -> list[Draft]:
    """Return the rest of a row whose table declares nothing, as plain values."""
    names = [name for name in row.table.column_names if name not in QUIET and name not in row.table.key and name != column]
    return [plain(row, name) for name in names if not _empty(row[name])]


def plain(row: Row, column: str, title: str = "") -> Draft:
    """Return a value of a row that is not followed any further."""
    declared = column_of(row.table, column)
    return Draft(title or column.replace("_", " "), row[column], shown(row[column], declared), declared.description, row.id(column))


def _empty(value: Any) -> bool:
    return value is None or value == ""


def by_size(rows: Iterable[Row], column: str) -> list[Row]:
    """Return rows by the size of a number, largest first, nulls last; ties stay in the order of their key."""
    return sorted(rows, key=lambda row: -abs(row[column]) if row[column] is not None else 1.0)


def decimal(row: Row, column: str) -> str:
    """Return an exact number of a row as text; an en dash where it is null."""
    return "–" if row[column] is None else plain_decimal(row[column])
