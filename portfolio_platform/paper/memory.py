"""A lake that is held in memory: the tables of a run that is under way, by the same reads and writes as those of a folder.

It is no store: what is in it follows from the facts that were imported into it, and is made again from them after a kill.
"""

from collections.abc import Sequence
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.compute as pc

from portfolio_platform.errors import StoreProblem
from portfolio_platform.lake.columns import Table
from portfolio_platform.lake.store import Lake

if TYPE_CHECKING:
    from deltalake import DeltaTable


class MemoryLake(Lake):
    """Tables in memory. A table that was never written is an empty one; the lock file is the only thing on a disk."""

    def __init__(self, lock_path: Path) -> None:
        """Begin with nothing."""
        super().__init__("/memory", lock_path)
        self._tables: dict[str, pa.Table] = {}
        self._versions: dict[str, int] = {}

    def open(self, table: Table) -> "DeltaTable | None":
        """Refuse: there are no files behind a table in memory.

        Raises:
            StoreProblem: always.
        """
        raise StoreProblem(f"{table.name} is held in memory: it has no files to open")

    def version(self, table: Table) -> int | None:
        """Return how often a table was written, less one; None where it never was."""
        return self._versions.get(table.name)

    def stored(self, table: Table) -> "tuple[pa.Schema, str] | None":
        """Return the columns that a table was written with and the column of its folders; None where it has not been written."""
        held = self._tables.get(table.name)
        return None if held is None else (held.schema, table.partition or "")

    def read(
        self,
        table: Table,
        columns: Sequence[str] | None = None,
        where: "pc.Expression | None" = None,
        *,
        from_month: str | None = None,
        to_month: str | None = None,
        dictionaries: Sequence[str] = (),
    ) -> "pa.Table":
        """Read rows as declared, in no promised order; an unwritten table is an empty one."""
        held = self._tables.get(table.name)
        schema = table.arrow_schema()
        names = list(columns) if columns is not None else schema.names
        if held is None:
            found = pa.schema([schema.field(name) for name in names]).empty_table()
        else:
            condition = where
            for bound in self._months(table, from_month, to_month):
                condition = bound if condition is None else condition & bound
            found = (held if condition is None else _filtered(held, condition)).select(names)
        return _encoded(found, dictionaries) if dictionaries else found

    @staticmethod
    def _months(table: Table, first: str | None, last: str | None) -> "list[pc.Expression]":
        if not table.partition:
            return []
        month = pc.field(table.partition)
        return [*([] if first is None else [month >= first]), *([] if last is None else [month <= last])]

    def append(self, table: Table, rows: "pa.Table") -> None:
        """Append rows whose schema must be exactly the declared one."""
        self._require(table, rows)
        held = self._tables.get(table.name)
        self._put(table, rows if held is None else pa.concat_tables([held, rows]))

    def replace(self, table: Table, rows: "pa.Table") -> None:
        """Replace the whole table."""
        self._require(table, rows)
        self._put(table, rows)

    def replace_from(self, table: Table, day: date, rows: "pa.Table") -> None:
        """Replace every row of ``day`` and later."""
        self._require(table, rows)
        held = self._tables.get(table.name)
        kept = None if held is None else _filtered(held, pc.field("day") < pa.scalar(day, pa.date32()))
        self._put(table, rows if kept is None else pa.concat_tables([kept, rows]))

    def drop(self, table: Table) -> None:
        """Take a table away."""
        self._tables.pop(table.name, None)
        self._versions.pop(table.name, None)

    def compact(self, table: Table) -> int:
        """Do nothing: there are no files."""
        del table
        return 0

    def size(self, table: Table) -> tuple[int, int]:
        """Return the number of rows and how often the table was written, less one; 0 and -1 where there is no table."""
        held = self._tables.get(table.name)
        return (0, -1) if held is None else (len(held), self._versions[table.name])

    def largest(self, table: Table, column: str) -> int:
        """Return the largest value of an integer column that is never negative, 0 where there is no row."""
        held = self._tables.get(table.name)
        return 0 if held is None or not len(held) else int(pc.max(held[column]).as_py() or 0)

    def newest_month(self, table: Table) -> str | None:
        """Return the newest month that a partitioned table has rows of."""
        held = self._tables.get(table.name)
        newest: str | None = None if held is None or not table.partition else pc.max(held[table.partition]).as_py()
        return newest

    def file_count(self, table: Table) -> int:
        """Return 0: there are no files."""
        del table
        return 0

    def _require(self, table: Table, rows: "pa.Table") -> None:
        if not self._depth:
            raise StoreProblem(f"a write to {table.name} without the writer lock; use `with lake.writing():`")
        expected = table.arrow_schema()
        if rows.schema.remove_metadata() != expected:
            raise StoreProblem(f"{table.name}: rows of other columns than declared: {rows.schema.remove_metadata()}")

    def _put(self, table: Table, whole: "pa.Table") -> None:
        self._tables[table.name] = whole.combine_chunks()
        self._versions[table.name] = self._versions.get(table.name, -1) + 1


def _filtered(table: "pa.Table", condition: "pc.Expression") -> "pa.Table":
    """Return the rows for which a condition holds, in their order; on this thread, for handing small tables to others costs more."""
    from pyarrow import acero

    source = acero.Declaration("table_source", acero.TableSourceNodeOptions(table))
    wanted = acero.Declaration("filter", acero.FilterNodeOptions(condition))
    return acero.Declaration.from_sequence([source, wanted]).to_table(use_threads=False)


def _encoded(table: "pa.Table", names: Sequence[str]) -> Any:
    """Encode each of these text columns as one dictionary."""
    for name in names:
        place = table.column_names.index(name)
        if pa.types.is_string(table.schema.field(place).type):
            table = table.set_column(place, name, table.column(place).combine_chunks().dictionary_encode())
    return table.unify_dictionaries()
