"""The one place that reads and writes Delta tables.

What belongs here: typed reads, writes compared with the declared schema, the writer lock. Which rows are in force is
in `active`; what a table's columns mean is in `facts` and `derived`.
"""

import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import date
from functools import reduce
from operator import and_
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote, urlsplit

from portfolio_platform.errors import StoreProblem
from portfolio_platform.lake.columns import Table
from portfolio_platform.lake.opened import MEMORY, Opened

if TYPE_CHECKING:
    import pyarrow as pa
    import pyarrow.compute as pc
    from deltalake import DeltaTable

LOCK_TIMEOUT_SECONDS = 600.0
LOG_RETENTION = "interval 3650 days"


class Lake:
    """A folder (or an object store's prefix) of Delta tables."""

    def __init__(self, url: str, lock_path: Path) -> None:
        """Remember where the lake is; nothing is opened or created yet."""
        self.is_local = urlsplit(url).scheme in ("", "file")
        """Whether the lake is a folder of this machine."""
        self.url = str(Path(url.removeprefix("file://")).absolute()) if self.is_local else url.rstrip("/")
        self._lock_path = lock_path
        self._depth = 0
        self._thread = threading.RLock()
        self._writer = 0
        self._opened: dict[str, Opened] = {}

    def uri(self, table: Table) -> str:
        """Return where a table is."""
        return f"{self.url}/{table.name}"

    @contextmanager
    def writing(self, timeout: float = LOCK_TIMEOUT_SECONDS) -> Iterator[None]:
        """Hold the lake's one writer lock; re-entrant within a thread of this object."""
        if not self._thread.acquire(timeout=timeout):
            raise StoreProblem(f"another thread has been writing to the lake for {timeout:.0f} s; wait for it to end")
        try:
            with self._alone(timeout):
                self._depth += 1
                self._writer = threading.get_ident()
                try:
                    yield
                finally:
                    self._depth -= 1
                    if not self._depth:
                        self._opened.clear()
        finally:
            self._thread.release()

    @contextmanager
    def _alone(self, timeout: float) -> Iterator[None]:
        """Hold the lock against other processes, where this one does not hold it yet."""
        from filelock import FileLock, Timeout

        if self._depth:
            yield
            return
        self._lock_path.parent.mkdir(parents=True, exist_ok=True)
        lock = FileLock(str(self._lock_path), timeout=timeout)
        try:
            lock.acquire()
        except Timeout as error:
            raise StoreProblem(
                f"another process has been writing to the lake for {timeout:.0f} s; wait for it to end, "
                f"or look for a process that hangs (lock file: {self._lock_path.name})"
            ) from error
        try:
            yield
        finally:
            lock.release()

    def open(self, table: Table) -> "DeltaTable | None":
        """Return the Delta table at its newest version, or None where it has not been written yet."""
        opened = self._open(table)
        return None if opened is None else opened.delta

    def _open(self, table: Table) -> Opened | None:
        """Return a table at its newest version, with what is known of it; None where it has not been written yet.

        A folder's table is kept by the process for as long as it is the newest version. In an object store a look costs as
        much as opening; there, what the holder of the writer lock has open stays the newest version until this thread writes it.
        """
        from deltalake import DeltaTable
        from deltalake.exceptions import TableNotFoundError

        place = self.uri(table)
        alone = self._depth > 0 and self._writer == threading.get_ident()
        kept = MEMORY.newest(place) if self.is_local else self._opened.get(place) if alone else None
        if kept is not None:
            return kept
        if self.is_local and not Path(place, "_delta_log").is_dir():
            return None
        try:
            delta = DeltaTable(place)
        except TableNotFoundError:
            return None
        return self._keep(place, delta)

    def _keep(self, place: str, delta: "DeltaTable") -> Opened:
        """Keep a table that is open at its newest version."""
        opened = Opened(delta, Path(place) if self.is_local else None)
        if self.is_local:
            MEMORY.keep(place, opened)
        elif self._depth > 0 and self._writer == threading.get_ident():
            self._opened[place] = opened
        return opened

    def _forget(self, table: Table) -> None:
        """Let go what is kept of a table: it is about to be another."""
        MEMORY.forget(self.uri(table))
        self._opened.pop(self.uri(table), None)

    def version(self, table: Table) -> int | None:
        """Return the Delta version of a table, its provenance; None where it has not been written."""
        delta = self.open(table)
        return None if delta is None else delta.version()

    def stored(self, table: Table) -> "tuple[pa.Schema, str] | None":
        """Return the columns that a table was written with and the column of its folders; None where it has not been written."""
        import pyarrow as pa

        delta = self.open(table)
        return None if delta is None else (pa.schema(delta.schema().to_arrow()), "".join(delta.metadata().partition_columns))

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
        """Read rows as declared, in no promised order; an unwritten table is an empty one.

        ``where`` is an expression over the columns; the months prune the folders of a partitioned table.
        ``dictionaries`` names the text columns that come dictionary-encoded: those that repeat few values.
        """
        import pyarrow as pa
        import pyarrow.compute as pc

        schema = table.arrow_schema()
        names = list(columns) if columns is not None else schema.names
        wanted = pa.schema([schema.field(name) for name in names])
        opened = self._open(table)
        if opened is None:
            return _as_dictionaries(wanted.empty_table(), dictionaries)
        conditions = [] if where is None else [where]
        if table.partition and from_month is not None:
            conditions.append(pc.field(table.partition) >= from_month)
        if table.partition and to_month is not None:
            conditions.append(pc.field(table.partition) <= to_month)
        condition = reduce(and_, conditions) if conditions else None
        held = opened.held(table)
        if held is None and self.is_local and opened.is_worth_holding(table.partition, from_month, to_month):
            MEMORY.hold(opened, self._dataset(table, opened, ()).to_table(columns=schema.names).cast(schema).combine_chunks())
            held = opened.held(table)
        if held is not None:
            found = _where(held, condition).select(names)
            return _as_dictionaries(found, dictionaries) if dictionaries else found
        found = self._dataset(table, opened, dictionaries).to_table(columns=names, filter=condition)
        return _as_dictionaries(found, dictionaries) if dictionaries else found.cast(wanted)

    def _dataset(self, table: Table, opened: Opened, dictionaries: Sequence[str]) -> Any:
        """Return the files of the table's newest version as an Arrow dataset over a native filesystem.

        The library's own dataset states each file's statistics as an expression, which costs more than reading a file
        of a month; Arrow prunes by the folders' months and reads the statistics that the files carry.
        """
        import pyarrow as pa
        import pyarrow.dataset as ds

        def made() -> Any:
            text = pa.dictionary(pa.int32(), pa.string())
            schema = pa.schema([pa.field(f.name, text if f.name in dictionaries else f.type) for f in table.arrow_schema()])
            # paths in the log are relative to the table, and encoded as in a URL
            files = [unquote(path) for path in opened.files["path"].to_pylist()]
            reading = ds.ParquetFileFormat(read_options=ds.ParquetReadOptions(dictionary_columns=set(dictionaries)))
            folders = ds.partitioning(pa.schema([(table.partition, pa.string())]), flavor="hive") if table.partition else None
            return ds.dataset(files, schema=schema, format=reading, filesystem=self._filesystem(table), partitioning=folders)

        return opened.dataset(dictionaries, made)

    def append(self, table: Table, rows: "pa.Table") -> None:
        """Append rows whose schema must be exactly the declared one."""
        self._write(table, rows, mode="append", predicate=None)

    def replace(self, table: Table, rows: "pa.Table") -> None:
        """Replace the whole table."""
        self._write(table, rows, mode="overwrite", predicate=None)

    def replace_from(self, table: Table, day: date, rows: "pa.Table") -> None:
        """Replace every row of ``day`` and later, in one commit."""
        if self.open(table) is None:
            self._write(table, rows, mode="append", predicate=None)
            return
        predicate = f"day >= '{day.isoformat()}'"
        if table.partition:
            # the folder is named too, so that older months are not even looked at
            predicate = f"{table.partition} >= '{day.isoformat()[:7]}' AND {predicate}"
        self._write(table, rows, mode="overwrite", predicate=predicate, first=day)

    def drop(self, table: Table) -> None:
        """Take a table away, with its history: only for what follows from other tables."""
        if not self._depth:
            raise StoreProblem(f"{table.name} cannot be dropped without the writer lock; use `with lake.writing():`")
        known = self.open(table) is not None
        self._forget(table)
        if known:
            folder = self._filesystem(table)
            folder.delete_dir("_delta_log")  # first, so that no log ever names files that are gone
            folder.delete_dir_contents("", accept_root_dir=True)

    def compact(self, table: Table) -> int:
        """Merge a table's small files; return how many were merged away. Rows and history stay as they are."""
        delta = self.open(table)
        if delta is None:
            return 0
        self._forget(table)
        metrics = delta.optimize.compact()
        return int(metrics.get("numFilesRemoved", 0))

    def size(self, table: Table) -> tuple[int, int]:
        """Return the number of rows, from the log's statistics, and the Delta version; 0 and -1 where there is no table."""
        delta = self.open(table)
        return (0, -1) if delta is None else (int(delta.count()), delta.version())

    def row_count(self, table: Table) -> int:
        """Return the number of rows, from the log's statistics: no data is read."""
        return self.size(table)[0]

    def largest(self, table: Table, column: str) -> int:
        """Return the largest value of an integer column that is never negative, 0 where there is no row.

        Read from the statistics of the log; where a file has none, from the column itself.
        """
        import pyarrow.compute as pc

        opened = self._open(table)
        if opened is None:
            return 0
        if "max" in opened.files.column_names:
            largest = opened.files["max"].combine_chunks()
            if largest.type.get_field_index(column) >= 0:
                values = pc.struct_field(largest, column)
                if not values.null_count:
                    return int(pc.max(values).as_py() or 0)
        return int(pc.max(self.read(table, [column])[column]).as_py() or 0)

    def newest_month(self, table: Table) -> str | None:
        """Return the newest month that a partitioned table has files of."""
        import pyarrow.compute as pc

        opened = self._open(table)
        newest: str | None = None if opened is None else pc.max(opened.months(table.partition)).as_py()
        return newest

    def file_count(self, table: Table) -> int:
        """Return the number of data files that a full read opens."""
        delta = self.open(table)
        return 0 if delta is None else len(delta.file_uris())

    def _write(self, table: Table, rows: "pa.Table", *, mode: Any, predicate: str | None, first: date | None = None) -> None:
        """Write rows in one commit; ``first`` is the day that ``predicate`` speaks of."""
        from deltalake import write_deltalake

        if not self._depth:
            raise StoreProblem(f"a write to {table.name} without the writer lock; use `with lake.writing():`")
        expected = table.arrow_schema()
        if rows.schema.remove_metadata() != expected:
            raise StoreProblem(_schema_difference(table.name, expected, rows.schema))
        if self.is_local:
            Path(self.url).mkdir(parents=True, exist_ok=True)
        opened, place = self._open(table), self.uri(table)
        held = opened.held(table) if opened is not None and self.is_local else None
        self._forget(table)
        try:
            write_deltalake(
                # what is open need not be opened again; the write brings it to the version that it writes
                place if opened is None else opened.delta,
                rows,
                mode=mode,
                predicate=predicate,
                # a table that is replaced as a whole takes on the columns that are declared now
                schema_mode="overwrite" if mode == "overwrite" and predicate is None else None,
                partition_by=[table.partition] if table.partition else None,
                name=table.name,
                description=table.description,
                configuration={"delta.logRetentionDuration": LOG_RETENTION},
            )
        except Exception as error:
            stored = self.stored(table)  # looked at only here: a write that is in order pays nothing for it
            if stored is None or stored[0].equals(expected):
                raise
            names = ", ".join(sorted({field.name for field in {*stored[0]} ^ {*expected}}))
            raise StoreProblem(
                f"another version of this code wrote {table.name} (it differs in {names}); run `portfolio upgrade`"
            ) from error
        if opened is not None:
            self._hold_written(self._keep(place, opened.delta), table, _after(held, rows, mode, first))

    def _hold_written(self, opened: Opened, table: Table, rows: "pa.Table | None") -> None:
        """Hold what a small table of a folder has after a write, where that is known: it need not be read back."""
        if rows is not None and self.is_local and opened.is_small():
            opened.held(table)  # from here on, it is held under this declaration
            MEMORY.hold(opened, rows.cast(table.arrow_schema()).combine_chunks())

    def _filesystem(self, table: Table) -> Any:
        from pyarrow import fs

        if self.is_local:
            return fs.SubTreeFileSystem(self.uri(table), fs.LocalFileSystem())
        filesystem, path = fs.FileSystem.from_uri(self.uri(table))
        return fs.SubTreeFileSystem(path, filesystem)


def _after(held: "pa.Table | None", rows: "pa.Table", mode: str, first: date | None) -> "pa.Table | None":
    """Return what a table has after a write, None where what it had before is not held."""
    import pyarrow as pa
    import pyarrow.compute as pc

    if mode == "overwrite" and first is None:
        return rows
    if held is None:
        return None
    return pa.concat_tables([held if first is None else _where(held, pc.field("day") < first), rows.cast(held.schema)])


def _where(rows: "pa.Table", condition: "pc.Expression | None") -> "pa.Table":
    """Return the rows of a small table that a condition holds of; without threads, which cost more than such a table takes."""
    if condition is None:
        return rows
    from pyarrow import acero

    source = acero.Declaration("table_source", acero.TableSourceNodeOptions(rows))
    return acero.Declaration("filter", acero.FilterNodeOptions(condition), [source]).to_table(use_threads=False)


def _as_dictionaries(table: "pa.Table", names: Sequence[str]) -> "pa.Table":
    """Encode each of these text columns as one dictionary."""
    import pyarrow as pa

    for name in names:
        index = table.column_names.index(name)
        field, column = table.schema.field(index), table.column(index)
        if pa.types.is_dictionary(field.type) and any(chunk.dictionary.null_count for chunk in column.chunks):
            column = column.cast(pa.string())  # a chunk without a value has a null in its dictionary, which cannot be unified
        if pa.types.is_string(column.type):
            table = table.set_column(index, field.name, column.combine_chunks().dictionary_encode())
    return table.unify_dictionaries()


def _schema_difference(name: str, expected: "pa.Schema", found: "pa.Schema") -> str:
    for field in expected:
        if field.name not in found.names:
            return f"{name}: column {field.name} ({field.type}) is missing from the rows to write"
        if found.field(field.name).type != field.type:
            return f"{name}.{field.name}: {found.field(field.name).type} was given where {field.type} is declared"
    extra = sorted(set(found.names) - set(expected.names))
    return f"{name}: columns not declared: {', '.join(extra)}" if extra else f"{name}: columns in another order than declared"
