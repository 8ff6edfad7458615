"""Every test that asks for `url` or `book` runs on SQLite and on a real Postgres server, in a fresh database."""

import itertools
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from psycopg2 import connect, sql
from sqlalchemy.engine import make_url

from portfolio_platform.book.location import sqlite_url
from portfolio_platform.book.store import Book

_numbers = itertools.count(1)


class Postgres:
    """A server of our own, and fresh schemas in it: a new database would take a quarter of a second each time."""

    def __init__(self, uri: str) -> None:
        self.uri = uri

    def run(self, statement: str, schema: str) -> None:
        connection = connect(self.uri)
        try:
            connection.autocommit = True
            with connection.cursor() as cursor:
                cursor.execute(sql.SQL(statement).format(sql.Identifier(schema)))
        finally:
            connection.close()

    @contextmanager
    def fresh(self) -> Iterator[str]:
        schema = f"book_{next(_numbers)}"
        self.run("CREATE SCHEMA {}", schema)
        url = make_url(self.uri).update_query_dict({"options": f"-csearch_path={schema}"})
        yield url.render_as_string(hide_password=False)
        self.run("DROP SCHEMA {} CASCADE", schema)


@pytest.fixture(scope="session")
def postgres() -> Iterator[Postgres]:
    pgserver = pytest.importorskip("pgserver")
    folder = Path(tempfile.mkdtemp(prefix="book_postgres_"))
    server = pgserver.get_server(folder, cleanup_mode="stop")
    try:
        server.psql("ALTER SYSTEM SET fsync = off; ALTER SYSTEM SET full_page_writes = off;")
        server.psql("SELECT pg_reload_conf();")
        yield Postgres(server.get_uri())
    finally:
        server.cleanup()
        shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(params=["sqlite", "postgres"])
def store(request: pytest.FixtureRequest) -> str:
    return request.param


@pytest.fixture
def url(store: str, tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[str]:
    """Where no book is yet."""
    if store == "sqlite":
        yield sqlite_url(tmp_path / "book.db")
    else:
        with request.getfixturevalue("postgres").fresh() as fresh:
            yield fresh


@pytest.fixture
def book(url: str) -> Iterator[Book]:
    """A book that was created and is empty."""
    with Book(url) as book:
        book.create()
        yield book


@pytest.fixture
def sqlite_book(tmp_path: Path) -> Iterator[Book]:
    with Book(sqlite_url(tmp_path / "book.db")) as book:
        book.create()
        yield book
