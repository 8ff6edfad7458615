import sqlite3
import subprocess
import sys
import traceback
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from sqlalchemy import insert, select
from sqlalchemy.exc import IntegrityError

from portfolio_platform.book import migrate, schema
from portfolio_platform.book.chain import verify_chain
from portfolio_platform.book.engine import open_engines
from portfolio_platform.book.events import NewEvent, append, read
from portfolio_platform.book.location import locate, sqlite_url
from portfolio_platform.book.store import Book
from portfolio_platform.errors import PortfolioError, StoreProblem, WrongUse
from tests.unit.book.workers import NOW

ROOT = Path(__file__).resolve().parents[3]
SECRET = "hunter2!"


def test_a_writer_on_sqlite_is_durable_and_checks_references(sqlite_book: Book) -> None:
    with sqlite_book.writing() as connection:
        asked = {
            name: connection.exec_driver_sql(f"PRAGMA {name}").scalar_one()
            for name in ("journal_mode", "synchronous", "foreign_keys", "busy_timeout")
        }
    assert asked == {"journal_mode": "wal", "synchronous": 2, "foreign_keys": 1, "busy_timeout": 30_000}


def test_a_report_cannot_cite_an_event_that_is_not_there(book: Book) -> None:
    row = {column.name: "x" for column in schema.reports.columns}
    row |= {"revision": 1, "schema_version": 1, "content": b"", "provenance": b"", "event_seq": 77}
    with pytest.raises(IntegrityError), book.writing() as connection:
        connection.execute(insert(schema.reports), row)


@pytest.mark.parametrize("name", ["with space.db", "ünï🙂.db", "what?.db", "a#b.db", "100%41.db", "file:x.db", "a?mode=ro"])
def test_any_path_is_the_path_of_the_file(tmp_path: Path, name: str) -> None:
    folder = tmp_path / "some folder? #1"
    folder.mkdir()
    with Book(sqlite_url(folder / name)) as book:
        book.create()
        with book.writing() as connection:
            append(connection, [NewEvent("s", "t", {}, "k")], recorded_at=NOW)
        with book.reading() as connection:
            assert len(list(read(connection))) == 1
        assert book.name == str(folder / name)
    assert [path.name for path in folder.iterdir()] == [name]


def test_a_relative_path_is_read_from_the_working_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    migrate.upgrade("sqlite:///book.db")
    assert (tmp_path / "book.db").exists()


@pytest.mark.parametrize("action", ["reading", "writing", "current"])
def test_a_missing_file_is_an_error_and_is_not_created(tmp_path: Path, action: str) -> None:
    path = tmp_path / "book.db"
    with Book(sqlite_url(path)) as book, pytest.raises(StoreProblem, match=r"book\.db: there is no book here yet"):
        if action == "current":
            migrate.current(sqlite_url(path))
        else:
            with getattr(book, action)():
                pass
    assert list(tmp_path.iterdir()) == []


def test_a_missing_folder_and_a_folder_in_place_of_the_file_are_named(tmp_path: Path) -> None:
    with pytest.raises(StoreProblem, match=r"the folder .*nowhere does not exist"):
        migrate.upgrade(sqlite_url(tmp_path / "nowhere" / "book.db"))
    with pytest.raises(StoreProblem, match="is a folder; name a file"):
        migrate.upgrade(sqlite_url(tmp_path))


@pytest.mark.parametrize("content", [b"this is no database, " * 100, b"SQLite format 3\x00" + b"\xff" * 4_000])
def test_a_file_that_is_not_a_database_is_named(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "book.db"
    path.write_bytes(content)
    with Book(sqlite_url(path)) as book:
        for transaction in (book.reading, book.writing):
            with pytest.raises(StoreProblem, match=r"book\.db: is not a SQLite database"), transaction():
                pass
        with pytest.raises(StoreProblem, match=r"book\.db: is not a SQLite database"):
            book.create()
    assert path.read_bytes() == content


def test_a_book_that_another_writer_holds_is_said_to_be_locked(book: Book) -> None:
    url = book._url
    event = NewEvent("s", "t", {}, "k")
    with book.writing() as connection, Book(url, wait_seconds=0.2) as impatient:
        append(connection, [event], recorded_at=NOW)
        with pytest.raises(StoreProblem, match="is locked by another process"), impatient.writing() as second:
            append(second, [event], recorded_at=NOW)
        with pytest.raises(StoreProblem, match="is locked by another process"):
            impatient.create()
        with impatient.reading() as reader:
            assert list(read(reader)) == []


def test_a_second_writer_waits_for_the_first_and_then_appends_after_it(book: Book) -> None:
    # Without its turn the second would read the same end of the log, and one of the two would break on a number taken.
    def second() -> int:
        with book.writing() as connection:
            return append(connection, [NewEvent("s", "t", {}, "second")], recorded_at=NOW)[0].seq

    with ThreadPoolExecutor(1) as pool:
        with book.writing() as connection:
            append(connection, [NewEvent("s", "t", {}, "first")], recorded_at=NOW)
            waiting = pool.submit(second)
            with pytest.raises(TimeoutError):
                waiting.result(0.3)
        assert waiting.result(20) == 2
    with book.reading() as connection:
        assert [event.idempotency_key for event in read(connection)] == ["first", "second"]
        assert verify_chain(connection).ok


def test_the_reader_cannot_write_by_any_statement(book: Book) -> None:
    for statement in ("DELETE FROM events", "CREATE TABLE mine (id INTEGER)", "DROP TABLE policies"):
        with pytest.raises(StoreProblem, match="reading only"), book.reading() as connection:
            connection.exec_driver_sql(statement)


def test_the_reader_of_sqlite_cannot_be_talked_into_writing(sqlite_book: Book) -> None:
    with pytest.raises(StoreProblem, match="reading only"), sqlite_book.reading() as connection:
        connection.exec_driver_sql("PRAGMA query_only = OFF")
        connection.exec_driver_sql("DELETE FROM events")


def test_a_broken_rule_stays_the_database_error_that_it_is(book: Book) -> None:
    row = {"hash": "h", "name": "n", "content": b"", "archived_at": "x"}
    with pytest.raises(IntegrityError) as caught, book.writing() as connection:
        connection.execute(insert(schema.policies), [row, row | {"content": b"secret content"}])
    assert "secret content" not in str(caught.value)


def test_a_closed_book_is_one_file_and_opens_again(sqlite_book: Book, tmp_path: Path) -> None:
    with sqlite_book.writing() as connection:
        append(connection, [NewEvent("s", "t", {}, "k")], recorded_at=NOW)
    with sqlite_book.reading() as connection:
        assert len(list(read(connection))) == 1
    sqlite_book.close()
    assert [path.name for path in tmp_path.iterdir()] == ["book.db"]
    with sqlite_book.reading() as connection:
        assert len(list(read(connection))) == 1


def test_a_book_copied_without_its_log_mode_is_durable_again(sqlite_book: Book, tmp_path: Path) -> None:
    copy = tmp_path / "copy.db"
    with sqlite3.connect(tmp_path / "book.db") as plain:
        plain.execute("VACUUM INTO ?", (str(copy),))
    plain.close()
    with Book(sqlite_url(copy)) as book, book.writing() as connection:
        assert connection.exec_driver_sql("PRAGMA journal_mode").scalar_one() == "wal"
        assert connection.execute(select(schema.events)).all() == []


@pytest.mark.parametrize(
    "url",
    [
        f"postgresql://user:{SECRET}@127.0.0.1:1/books",
        f"postgres://user:{SECRET}@127.0.0.1:1/books",
        f"postgresql:///books?host=/nonexistent&user=user&password={SECRET}",
        f"postgresql://user:{SECRET}@127.0.0.1:1/books?no_such_option=1",
        f"postgresql://user:{SECRET}@127.0.0.1:1/books?sslmode=require&sslpassword={SECRET}",
        f"postgresql://user:x@host:{SECRET}/books",
        f"postgresql://user:{SECRET}@host:port/books",
        f"mysql://user:{SECRET}@host/books",
        f"sqlite://user:{SECRET}@host/books",
        f"{SECRET}",
    ],
)
def test_a_password_is_never_in_an_error(url: str) -> None:
    with pytest.raises(PortfolioError) as caught, Book(url) as book, book.reading():
        pass
    assert SECRET not in "".join(traceback.format_exception(caught.value))
    with pytest.raises(PortfolioError) as caught:
        migrate.upgrade(url)
    assert SECRET not in "".join(traceback.format_exception(caught.value))


def test_a_password_that_the_driver_would_repeat_is_blotted_out() -> None:
    location = locate(f"postgresql://user:{SECRET}@host:5432/books?sslpassword=other-one&connect_timeout=3")
    assert location.scrub(f"invalid dsn near {SECRET} or other-one, 3") == "invalid dsn near *** or ***, 3"
    assert location.name == "postgresql://host:5432/books"


def test_a_server_that_is_not_there_is_a_store_problem_that_names_it() -> None:
    with pytest.raises(StoreProblem, match=r"postgresql://127\.0\.0\.1:1/books: the server cannot be used: .*refused"):
        migrate.current("postgres://user:x@127.0.0.1:1/books")


def test_all_three_names_of_postgres_are_one() -> None:
    drivers = {locate(f"{name}://h/d").url.drivername for name in ("postgres", "postgresql", "postgresql+psycopg2")}
    assert drivers == {"postgresql+psycopg2"}


@pytest.mark.parametrize(
    ("url", "match"),
    [
        ("sqlite://", "needs a file"),
        ("sqlite:///:memory:", "needs a file"),
        ("sqlite://book.db", "three slashes"),
        ("sqlite:////tmp/what?.db", "sqlite_url"),
        ("mysql://host/books", "cannot live in 'mysql'"),
        ("no url", "cannot be read"),
    ],
)
def test_a_url_that_cannot_be_meant_is_refused(url: str, match: str) -> None:
    with pytest.raises(WrongUse, match=match):
        open_engines(url)


def test_importing_the_book_loads_neither_the_frames_nor_the_orchestrator() -> None:
    modules = "store, chain, rebuild, policies, reports, migrate"
    banned = "{'dagster', 'pandas', 'pyarrow', 'numpy', 'alembic', 'psycopg2'}"
    code = f"import sys; from portfolio_platform.book import {modules}; print(sorted({banned} & set(sys.modules)))"
    found = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "[]"


def test_opening_engines_touches_nothing(tmp_path: Path) -> None:
    engines = open_engines(sqlite_url(tmp_path / "book.db"), create=True)
    engines.dispose()
    assert list(tmp_path.iterdir()) == []
