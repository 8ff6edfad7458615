"""The store's own check: what no hash looks at."""

import sqlite3
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path

from portfolio_platform.book.events import NewEvent, append
from portfolio_platform.book.integrity import damages
from portfolio_platform.book.store import Book


def test_a_store_in_order_has_nothing_to_tell(book: Book) -> None:
    with book.writing() as connection:
        append(connection, [NewEvent("s", "t", {"a": 1}, "k")], recorded_at=datetime(2026, 1, 1, tzinfo=UTC))
    with book.reading() as connection:
        assert damages(connection) == [] == damages(connection, thorough=False)


def test_a_row_that_refers_to_none_is_named(sqlite_book: Book) -> None:
    sqlite_book.close()
    path = Path(sqlite_book.name)
    with closing(sqlite3.connect(path)) as other:
        columns = [row[1] for row in other.execute("PRAGMA table_info(alerts)")]
        values = ["99" if name == "event_seq" else f"'{name}'" for name in columns]
        other.execute(f"INSERT INTO alerts ({', '.join(columns)}) VALUES ({', '.join(values)})")
        other.commit()
    with sqlite_book.reading() as connection:
        found = damages(connection)
    assert found == ["row 1 of alerts refers to a row of events that is not there"]


def test_an_index_that_lost_an_entry_is_found_thoroughly(sqlite_book: Book) -> None:
    with sqlite_book.writing() as connection:
        rows = [NewEvent("s", "t", {"a": number}, f"k{number}") for number in range(3)]
        append(connection, rows, recorded_at=datetime(2026, 1, 1, tzinfo=UTC))
    sqlite_book.close()
    path = Path(sqlite_book.name)
    with closing(sqlite3.connect(path)) as other:
        other.execute("PRAGMA journal_mode = DELETE")
        (index, page) = other.execute("SELECT name, rootpage FROM sqlite_master WHERE type = 'index' AND tbl_name = 'events'").fetchone()
        other.execute("CREATE TABLE empty (a)")
        (other_page,) = other.execute("SELECT rootpage FROM sqlite_master WHERE name = 'empty'").fetchone()
        (size,) = other.execute("PRAGMA page_size").fetchone()
        other.commit()
    assert path.is_file()
    with path.open("r+b") as file:  # an index without entries: the leaf of an index is one that is 10, of a table 13
        file.seek((other_page - 1) * size)
        leaf = bytearray(file.read(size))
        leaf[0] = 10
        file.seek((page - 1) * size)
        file.write(leaf)
    with sqlite_book.reading() as connection:
        assert any("wrong # of entries" in one or "missing from index" in one for one in damages(connection)), index
