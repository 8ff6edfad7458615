"""How stored tables differ from what this version declares, and how a fact's rows take on columns that are new."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from portfolio_platform.errors import StoreProblem
from portfolio_platform.lake.columns import Table
from portfolio_platform.lake.derived import DERIVED, TABLES
from portfolio_platform.lake.store import Lake

if TYPE_CHECKING:
    import pyarrow as pa


@dataclass(frozen=True)
class Difference:
    """A stored table that is not as it is declared: columns it lacks, has too many, or has of another type; other folders."""

    table: Table
    missing: tuple[str, ...]
    extra: tuple[str, ...]
    retyped: tuple[str, ...]
    laid_out_otherwise: bool

    @property
    def is_derived(self) -> bool:
        """Say whether the table follows from the facts, so that it may be built anew."""
        return self.table.name in DERIVED

    @property
    def sentence(self) -> str:
        """Say what differs."""
        parts = [
            f"{word} {', '.join(names)}"
            for word, names in (("lacks", self.missing), ("no longer has", self.extra), ("has another type of", self.retyped))
            if names
        ]
        return "; ".join([*parts, *(["lies in other folders"] if self.laid_out_otherwise else [])])


def differences(lake: Lake) -> list[Difference]:
    """Return the stored tables that are not as they are declared."""
    return list(_differences(lake))


def _differences(lake: Lake) -> Iterator[Difference]:
    for table in TABLES.values():
        stored = lake.stored(table)
        if stored is None:
            continue
        found, partition = stored
        declared = table.arrow_schema()
        missing = tuple(name for name in declared.names if name not in found.names)
        extra = tuple(name for name in found.names if name not in declared.names)
        retyped = tuple(name for name in declared.names if name in found.names and found.field(name).type != declared.field(name).type)
        if missing or extra or retyped or partition != table.partition:
            yield Difference(table, missing, extra, retyped, partition != table.partition)


def require_widenable(difference: Difference) -> None:
    """Refuse a fact table that is not only short of optional columns: facts are never guessed, and never thrown away.

    Raises:
        StoreProblem: it has columns that are not declared, of another type, or lacks one that every row must have.
    """
    required = [column.name for column in difference.table.columns if column.name in difference.missing and column.required]
    if difference.extra or difference.retyped or difference.laid_out_otherwise or required:
        raise StoreProblem(
            f"{difference.table.name} {difference.sentence}: it is of a newer or a foreign version and cannot be widened; "
            f"use the version that wrote it, or import its files into a new home"
        )


def widened(table: Table, rows: "pa.Table") -> "pa.Table":
    """Return a fact's rows with every declared column: one that is missing holds its default, or null where it has none."""
    import pyarrow as pa

    columns = []
    for column in table.columns:
        kind = column.arrow_type()
        if column.name in rows.column_names:
            columns.append(rows[column.name].cast(kind))
        elif column.default is None:
            columns.append(pa.nulls(len(rows), kind))
        else:
            value = pa.array([column.default]).cast(kind)[0]
            columns.append(pa.repeat(value, len(rows)))
    return pa.Table.from_arrays(columns, schema=table.arrow_schema())
