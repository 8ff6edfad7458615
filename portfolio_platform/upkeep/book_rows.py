"""The rows of a book as text: one JSON line a row, the same from SQLite and from Postgres, so that either restores into the other."""

import base64
import gzip
import json
import shutil
import sqlite3
import zlib
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import IO, Any
from urllib.parse import quote

from sqlalchemy import Connection, MetaData, Table, inspect

from portfolio_platform.book import schema
from portfolio_platform.book.engine import open_engines
from portfolio_platform.book.location import locate, sqlite_url
from portfolio_platform.errors import DataProblem, StoreProblem
from portfolio_platform.home import Home
from portfolio_platform.upkeep import archive

ROWS_AT_ONCE = 200
COMPRESSION = 3
"""A sixth more bytes than at 6, in a third of the time: the lake is held still meanwhile."""


def book_url(home: Home) -> str:
    """Return the URL of a home's book."""
    return home.book_url or sqlite_url(home.root / "book.sqlite")


@contextmanager
def snapshot(url: str, beside: Path) -> Iterator[Connection]:
    """Hand out one state of the book at `url`, of whatever version, while others go on writing to it.

    SQLite: a copy made by its online backup, so that the book itself is held for as long as the copying takes only.
    Postgres: a read-only REPEATABLE READ transaction.

    Args:
        url: where the book is.
        beside: the copy of a SQLite book lies in a temporary folder beside this path.
    """
    path = locate(url).path
    if path is None:
        engines = open_engines(url)
        try:
            with engines.reader.begin() as connection:
                yield connection
        finally:
            engines.dispose()
        return
    if not path.is_file():
        raise StoreProblem(f"{path}: there is no book to back up; `portfolio init` creates one")
    folder = archive.part_of(beside)
    folder.mkdir(mode=0o700)
    try:
        copy = folder / "book.sqlite"
        _copy(path, copy)
        engines = open_engines(sqlite_url(copy))
        try:
            with engines.reader.begin() as connection:
                yield connection
        finally:
            engines.dispose()
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _copy(path: Path, copy: Path) -> None:
    try:
        with (
            closing(sqlite3.connect(f"file:{quote(str(path))}?mode=ro", uri=True, timeout=30.0)) as source,
            closing(sqlite3.connect(copy)) as target,
        ):
            source.backup(target)  # in one step: a backup in pieces begins anew whenever somebody writes
            target.execute("PRAGMA journal_mode = DELETE")
    except sqlite3.DatabaseError as error:
        raise StoreProblem(f"{path}: the book cannot be copied ({error}); `portfolio doctor` looks at it") from error


def tables(connection: Connection) -> list[Table]:
    """Return the book's tables as the database has them, those first that others refer to."""
    found = set(inspect(connection).get_table_names())
    metadata = MetaData()
    metadata.reflect(connection, only=[name for name in schema.metadata.tables if name in found])
    return [table for table in metadata.sorted_tables if table.name in schema.metadata.tables]


def dump(connection: Connection, table: Table, file: IO[bytes]) -> int:
    """Write a table's rows in the order of its key, compressed; return how many there are."""
    query = table.select().order_by(*table.primary_key.columns).execution_options(yield_per=ROWS_AT_ONCE)
    count = 0
    with (
        gzip.GzipFile(fileobj=file, mode="wb", compresslevel=COMPRESSION, mtime=0, filename="") as packed,
        connection.execute(query) as rows,
    ):
        for row in rows:
            told = {name: _told(value) for name, value in row._mapping.items()}
            packed.write(json.dumps(told, ensure_ascii=False, separators=(",", ":")).encode() + b"\n")
            count += 1
    return count


def load(connection: Connection, table: Table, file: IO[bytes]) -> int:
    """Insert the rows that `dump` wrote; return how many there were. Raises `DataProblem` where a line cannot be read."""
    count, waiting = 0, list[dict[str, Any]]()
    for line in _lines(table, file):
        waiting.append(_row(line, table))
        count += 1
        if len(waiting) == ROWS_AT_ONCE:
            connection.execute(table.insert(), waiting)
            waiting.clear()
    if waiting:
        connection.execute(table.insert(), waiting)
    return count


def _lines(table: Table, file: IO[bytes]) -> Iterator[bytes]:
    try:
        with gzip.GzipFile(fileobj=file, mode="rb") as packed:
            yield from packed
    except (EOFError, gzip.BadGzipFile, zlib.error) as error:
        raise DataProblem(f"the backup's rows of {table.name} cannot be unpacked: {error}") from error


def _told(value: object) -> object:
    """Return a value as JSON can hold it: bytes as their text, those that are none in base 64."""
    if not isinstance(value, bytes | memoryview):
        return value
    content = bytes(value)
    try:
        return {"utf8": content.decode()}
    except UnicodeDecodeError:
        return {"base64": base64.b64encode(content).decode()}


def _row(line: bytes, table: Table) -> dict[str, Any]:
    try:
        told = json.loads(line)
        row = {name: _value(value) for name, value in told.items()}
    except (ValueError, AttributeError, KeyError) as error:
        raise DataProblem(f"the backup's rows of {table.name} cannot be read: {error}") from error
    if set(row) != set(table.columns.keys()):
        raise DataProblem(f"the backup's rows of {table.name} have other columns than the table; it is of another version")
    return row


def _value(value: Any) -> Any:
    if not isinstance(value, dict):
        return value
    return value["utf8"].encode() if "utf8" in value else base64.b64decode(value["base64"], validate=True)
