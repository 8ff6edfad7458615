"""What goes wrong under an append: the store is full, locked, read-only or gone. Nothing is half there, and it is said clearly."""

import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import Connection, text

from portfolio_platform.book.chain import verify_chain
from portfolio_platform.book.events import NewEvent, append, read
from portfolio_platform.book.location import sqlite_url
from portfolio_platform.book.store import Book
from portfolio_platform.errors import StoreProblem
from tests.unit.book.workers import NOW


def batch(name: str, size: int = 300) -> list[NewEvent]:
    return [NewEvent("s", "t", {"text": "x" * 2_000}, f"{name}-{number}") for number in range(size)]


@pytest.fixture
def begun(sqlite_book: Book) -> Iterator[Book]:
    with sqlite_book.writing() as connection:
        append(connection, batch("before", 5), recorded_at=NOW)
    yield sqlite_book


def assert_only_what_was_before(book: Book) -> None:
    with book.reading() as connection:
        verdict = verify_chain(connection)
        keys = [event.idempotency_key for event in read(connection)]
    assert verdict.ok and keys == [f"before-{number}" for number in range(5)]


def test_a_full_disk_is_named_and_leaves_nothing_of_the_batch(begun: Book) -> None:
    with pytest.raises(StoreProblem, match=r"book\.db: cannot be written: the disk is full"), begun.writing() as connection:
        pages = connection.exec_driver_sql("PRAGMA page_count").scalar_one()
        connection.exec_driver_sql(f"PRAGMA max_page_count = {pages + 20}")
        append(connection, batch("lost"), recorded_at=NOW)
    begun.close()
    assert_only_what_was_before(begun)
    with begun.writing() as connection:
        assert append(connection, batch("later", 1), recorded_at=NOW)[0].seq == 6


def test_a_write_ahead_log_that_cannot_grow_is_named_at_the_commit(begun: Book, tmp_path: Path) -> None:
    """The batch fits in memory; the file-size limit of the process stops it when it is written."""
    import resource
    import signal

    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    try:
        with pytest.raises(StoreProblem, match=r"the disk (is full|reports an error)"), begun.writing() as connection:
            append(connection, batch("lost"), recorded_at=NOW)
            resource.setrlimit(resource.RLIMIT_FSIZE, ((tmp_path / "book.db-wal").stat().st_size + 8_192, hard))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
        signal.signal(signal.SIGXFSZ, handler)
    assert_only_what_was_before(begun)


def test_a_store_that_may_only_be_read_refuses_the_whole_batch(begun: Book) -> None:
    with pytest.raises(StoreProblem, match="open for reading only"), begun.writing() as connection:
        connection.exec_driver_sql("PRAGMA query_only = ON")
        append(connection, batch("lost", 3), recorded_at=NOW)
    begun.close()
    assert_only_what_was_before(begun)


def test_a_lock_of_another_program_is_waited_for_and_then_named(begun: Book, tmp_path: Path) -> None:
    other = sqlite3.connect(tmp_path / "book.db", isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    with Book(sqlite_url(tmp_path / "book.db"), wait_seconds=0.1) as impatient:
        with pytest.raises(StoreProblem, match="is locked by another process"), impatient.writing() as connection:
            append(connection, batch("lost", 1), recorded_at=NOW)
        other.execute("ROLLBACK")
        other.close()
        with impatient.writing() as connection:
            assert append(connection, batch("later", 1), recorded_at=NOW)[0].seq == 6


@pytest.mark.parametrize("replaced", [False, True], ids=["deleted", "replaced by another book"])
def test_a_book_that_is_gone_in_the_middle_of_a_batch_is_not_said_to_be_written(begun: Book, tmp_path: Path, replaced: bool) -> None:
    """On Linux a deleted file that is open takes every write, and forgets all of them."""
    path = tmp_path / "book.db"
    with pytest.raises(StoreProblem, match="was moved or deleted while it was written to"), begun.writing() as connection:
        append(connection, batch("lost", 3), recorded_at=NOW)
        path.rename(tmp_path / "elsewhere.db")
        if replaced:
            with Book(sqlite_url(tmp_path / "new.db")) as new:
                new.create()
            (tmp_path / "new.db").rename(path)
    if not replaced:
        with pytest.raises(StoreProblem, match="there is no book here yet"), begun.writing():
            pass


def end_the_session(book: Book, connection: Connection) -> None:
    own = connection.execute(text("SELECT pg_backend_pid()")).scalar_one()
    with Book(book._url) as other, other.writing() as another:
        assert another.execute(text("SELECT pg_terminate_backend(:pid)"), {"pid": own}).scalar_one()


@pytest.mark.parametrize("store", ["postgres"], indirect=True)
@pytest.mark.parametrize("at_commit", [False, True])
def test_a_server_that_is_gone_in_the_middle_of_a_batch_has_nothing_of_it(book: Book, at_commit: bool) -> None:
    with book.writing() as connection:
        append(connection, batch("before", 5), recorded_at=NOW)
    with pytest.raises(StoreProblem, match="the server cannot be used"), book.writing() as connection:
        if at_commit:
            append(connection, batch("lost", 3), recorded_at=NOW)
        end_the_session(book, connection)
        if not at_commit:
            append(connection, batch("lost", 3), recorded_at=NOW)
    assert_only_what_was_before(book)
    with book.writing() as connection:
        assert append(connection, batch("later", 1), recorded_at=NOW)[0].seq == 6


@pytest.mark.parametrize("store", ["postgres"], indirect=True)
def test_a_server_that_lets_nobody_write_refuses_the_whole_batch(book: Book) -> None:
    with book.writing() as connection:
        append(connection, batch("before", 5), recorded_at=NOW)
    with pytest.raises(StoreProblem, match="open for reading only"), book.writing() as connection:
        connection.execute(text("SET TRANSACTION READ ONLY"))
        append(connection, batch("lost", 3), recorded_at=NOW)
    assert_only_what_was_before(book)
