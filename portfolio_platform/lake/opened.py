"""What a process keeps of the tables that it has opened: the handle, the files as a dataset, the rows of small tables.

What belongs here: how long that may be kept. A table of a folder is the newest version for as long as the log's entry of its
version is the same file and no next entry lies beside it: two looks at the folder, where opening reads the whole log.
"""

import os
import threading
from collections import OrderedDict
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote

from portfolio_platform.lake.columns import Table

if TYPE_CHECKING:
    import pyarrow as pa
    from deltalake import DeltaTable

KEPT_TABLES = 128
"""Tables whose handles a process keeps: those of a few homes."""
HELD_BYTES = 64 << 20
"""Rows of small tables that a process holds, as Arrow keeps them."""
SMALL_BYTES = 2 << 20
"""Files of a table together, at most, for its rows to be held."""
FEW_FILES = 6
"""A read of so few files is cheap, be it of a whole table or of a part of one."""

Seal = tuple[int, int, int]
"""What tells a file from another one of its name: where it lies on the disk, when it was written, its size."""


def _seal(path: str) -> Seal | None:
    """Return the seal of a file, None where there is none."""
    try:
        found = os.stat(path)  # noqa: PTH116  a fifth of what a Path takes, for each file of each read
    except FileNotFoundError:
        return None
    return found.st_ino, found.st_mtime_ns, found.st_size


class Opened:
    """A table at one version, and what was read of it."""

    def __init__(self, delta: "DeltaTable", folder: Path | None) -> None:
        """``folder`` is where the table is, None where that is no folder of this machine."""
        self.delta = delta
        self._folder, self._log = folder, None if folder is None else folder / "_delta_log"
        self._entry = self._look(delta.version())
        self._datasets: dict[frozenset[str], Any] = {}
        self._files: pa.Table | None = None
        self._is_small: bool | None = None
        self._wide_reads = 0
        self._table: Table | None = None
        self._rows: pa.Table | None = None
        self._seal: list[Seal | None] = []
        self.weight = 0
        """Bytes of the rows that are held."""

    def is_newest(self) -> bool:
        """Say whether the folder still has the version that was opened, and none after it."""
        version = self.delta.version()
        return self._entry is not None and self._entry == self._look(version) and self._look(version + 1) is None

    def _look(self, version: int) -> "Seal | None":
        """Return what tells the log's entry of a version from another file of that name, None where there is none."""
        return None if self._log is None else _seal(f"{self._log}/{version:020d}.json")

    def _look_at_files(self) -> "list[Seal | None]":
        return [] if self._folder is None else [_seal(f"{self._folder}/{unquote(path)}") for path in self.files["path"].to_pylist()]

    def held(self, table: Table) -> "pa.Table | None":
        """Return the rows that are held, None where none are, or where a file is another than it was: damage is not hidden.

        Under another declaration of the table nothing is known, for its columns may be others.
        """
        if self._table is not table or (self._rows is not None and self._look_at_files() != self._seal):
            self.let_go()
            self._datasets.clear()
            self._table = table
        return self._rows

    def hold(self, rows: "pa.Table") -> None:
        """Hold the rows that the files have."""
        self._rows, self._seal, self.weight = rows, self._look_at_files(), rows.nbytes

    def let_go(self) -> None:
        """Hold no rows any more."""
        self._rows, self._seal, self.weight = None, [], 0

    @property
    def files(self) -> "pa.Table":
        """Return the files of the version, as the log lists them."""
        import pyarrow as pa

        if self._files is None:
            self._files = pa.table(self.delta.get_add_actions())
        return self._files

    def dataset(self, dictionaries: Sequence[str], make: Callable[[], Any]) -> Any:
        """Return the files as a dataset, made once: it remembers the files' footers."""
        key = frozenset(dictionaries)
        if key not in self._datasets:
            self._datasets[key] = make()
        return self._datasets[key]

    def months(self, partition: str) -> "pa.Array":
        """Return the folder that each file is in, by the values of the column that names the folders."""
        import pyarrow.compute as pc

        return pc.struct_field(self.files["partition"].combine_chunks(), partition)

    def is_small(self) -> bool:
        """Say whether the table's files are small enough, together, for its rows to be held."""
        if self._is_small is None:
            self._is_small = sum(self.files["size_bytes"].to_pylist()) <= SMALL_BYTES
        return self._is_small

    def is_worth_holding(self, partition: str, first: str | None, last: str | None) -> bool:
        """Say whether a small table's rows should be held from now on: it has few files, or it is the second read of many.

        ``first`` and ``last`` are the folders that the read begins and ends with, None where it does not say.
        """
        if not self.is_small():
            return False
        if len(self.files) <= FEW_FILES:
            return True
        if partition and (first or last):
            inside = [month for month in self.months(partition).to_pylist() if (first or "") <= month <= (last or "~")]
            if len(inside) <= FEW_FILES:
                return False
        self._wide_reads += 1
        return self._wide_reads > 1


class Memory:
    """Tables by their place, the least lately used ones let go."""

    def __init__(self) -> None:
        """Keep nothing yet."""
        self._lock = threading.Lock()
        self._opened: OrderedDict[str, Opened] = OrderedDict()

    def newest(self, place: str) -> Opened | None:
        """Return what is kept of a table, None where nothing is, or where there is a newer version."""
        with self._lock:
            found = self._opened.get(place)
            if found is not None:
                self._opened.move_to_end(place)
        return found if found is not None and found.is_newest() else None

    def keep(self, place: str, opened: Opened) -> None:
        """Keep a table in place of what was kept of it."""
        with self._lock:
            self._opened[place] = opened
            self._opened.move_to_end(place)
            while len(self._opened) > KEPT_TABLES:
                self._opened.popitem(last=False)

    def hold(self, opened: Opened, rows: "pa.Table") -> None:
        """Hold a table's rows; where that is too much, the rows of those that were used least lately are let go."""
        with self._lock:
            opened.hold(rows)
            much = sum(one.weight for one in self._opened.values())
            for one in self._opened.values():
                if much <= HELD_BYTES:
                    return
                much -= one.weight
                one.let_go()

    def forget(self, place: str) -> None:
        """Let a table go."""
        with self._lock:
            self._opened.pop(place, None)


MEMORY = Memory()
"""What this process keeps: several objects of one lake share it."""
