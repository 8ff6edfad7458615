"""The two engines of a book: one that writes, one that can only read; their pragmas, locks and errors.

SQLite: the driver's own transactions are off. Every transaction of the writer begins with BEGIN IMMEDIATE, so that
it waits for its turn at the start and never fails half way; the reader opens the file read-only and sees one
snapshot per transaction. Postgres: the writer takes an advisory lock before it appends (`take_log_lock`), the reader
is a read-only REPEATABLE READ transaction.

A SQLite file that is deleted or replaced while it is open would go on taking writes that nobody sees again. So a connection
remembers which file it opened: one whose file is gone is not used again, and does not commit.
"""

import sqlite3
import time
from collections.abc import Callable
from dataclasses import dataclass
from urllib.parse import quote

from sqlalchemy import Connection, Engine, create_engine, event, func, select
from sqlalchemy.engine import URL, ExceptionContext
from sqlalchemy.engine.interfaces import DBAPIConnection
from sqlalchemy.exc import DBAPIError, DisconnectionError
from sqlalchemy.pool import ConnectionPoolEntry, QueuePool

from portfolio_platform.book.location import Location, locate
from portfolio_platform.book.problems import store_problem
from portfolio_platform.errors import StoreProblem

WAIT_SECONDS = 30.0
"""How long a transaction waits for its turn before it gives up."""

_LOG_LOCK = 0x706F7274_626F6F6B
"""The key of the advisory lock on the log in a Postgres database: `portbook` in ASCII."""


@dataclass(frozen=True)
class Engines:
    """The engines of one book.

    Attributes:
        writer: every transaction has the sole right to write from its start.
        reader: cannot write, and never creates a file.
        location: where the book is.
    """

    writer: Engine
    reader: Engine
    location: Location

    def dispose(self) -> None:
        """Close all connections; a SQLite writer that is the last to close folds the write-ahead log into the file."""
        self.reader.dispose()
        self.writer.dispose()


def open_engines(url: str | URL, *, create: bool = False, wait_seconds: float = WAIT_SECONDS) -> Engines:
    """Make the engines of the book at `url`; nothing is opened before the first use.

    Args:
        url: see `location.locate`.
        create: the writer may create a SQLite file that is missing; only migrating does so.
        wait_seconds: how long a transaction waits for its turn.

    Raises:
        WrongUse: the URL is not one of a book.
        StoreProblem: the driver for Postgres is not installed.
    """
    location = locate(url)
    if location.path is not None:
        writer = _sqlite_engine(location, "rwc" if create else "rw", wait_seconds)
        reader = _sqlite_engine(location, "ro", wait_seconds)
    else:
        writer = _postgres_engine(location, "READ COMMITTED", wait_seconds)
        reader = _postgres_engine(location, "REPEATABLE READ", wait_seconds)
        reader = reader.execution_options(postgresql_readonly=True)
    return Engines(writer, reader, location)


def take_log_lock(connection: Connection) -> None:
    """Wait for the sole right to append, up to the end of the transaction.

    In SQLite the writer has it since its BEGIN IMMEDIATE. In Postgres it is an advisory lock, one for all books of a
    database, taken before anything is read that the append depends on.
    """
    if connection.dialect.name == "postgresql":
        connection.execute(select(func.pg_advisory_xact_lock(_LOG_LOCK)))


def _translate_errors(engine: Engine, location: Location) -> None:
    def translated(context: ExceptionContext) -> StoreProblem | None:
        error = context.sqlalchemy_exception
        return store_problem(error, location) if isinstance(error, DBAPIError) else None

    event.listen(engine, "handle_error", translated)


def _sqlite_engine(location: Location, mode: str, wait_seconds: float) -> Engine:
    engine = create_engine(
        location.url,
        creator=_sqlite_opener(location, mode, wait_seconds),
        poolclass=QueuePool,
        max_overflow=-1,
        hide_parameters=True,
    )
    begin = "BEGIN" if mode == "ro" else "BEGIN IMMEDIATE"

    def begin_transaction(connection: Connection) -> None:
        connection.exec_driver_sql(begin)

    def check_out(connection: DBAPIConnection, _entry: ConnectionPoolEntry, _proxy: object) -> None:
        if not _is_there(connection, location):
            raise DisconnectionError  # the pool opens another one, and says what stands in the way

    def before_commit(connection: Connection) -> None:
        if not _is_there(connection.connection.driver_connection, location):
            raise StoreProblem(f"{location.name}: was moved or deleted while it was written to; nothing of this was recorded")

    _translate_errors(engine, location)
    event.listen(engine, "begin", begin_transaction)
    event.listen(engine, "checkout", check_out)
    if mode != "ro":
        event.listen(engine, "commit", before_commit)
    return engine


class _OpenedFile(sqlite3.Connection):
    """A connection that knows which file it opened: device and number of its inode."""

    file: tuple[int, int] | None = None


def _file_of(location: Location) -> tuple[int, int] | None:
    assert location.path is not None
    try:
        found = location.path.stat()
    except OSError:
        return None
    return found.st_dev, found.st_ino


def _is_there(connection: object, location: Location) -> bool:
    """Say whether the file that a connection opened is still the one with the book's name."""
    return not isinstance(connection, _OpenedFile) or connection.file == _file_of(location)


def _sqlite_opener(location: Location, mode: str, wait_seconds: float) -> Callable[[], sqlite3.Connection]:
    # Python's sqlite3 begins and commits on its own unless isolation_level is None; the "begin" event does it instead.
    def opened() -> sqlite3.Connection:
        connection = sqlite3.connect(
            f"file:{quote(str(location.path))}?mode={mode}",
            uri=True,
            timeout=wait_seconds,
            isolation_level=None,
            check_same_thread=False,
            factory=_OpenedFile,
        )
        try:
            if mode == "ro":
                connection.execute("PRAGMA query_only = ON")
            else:
                _write_ahead(connection, wait_seconds)
            connection.execute("PRAGMA synchronous = FULL")
            connection.execute("PRAGMA foreign_keys = ON")
            connection.file = _file_of(location)
        except BaseException:
            connection.close()
            raise
        return connection

    return opened


def _write_ahead(connection: sqlite3.Connection, wait_seconds: float) -> None:
    # Going over to WAL does not honour the busy timeout when two processes do it to a new file at once: ask again.
    deadline = time.monotonic() + wait_seconds
    while True:
        try:
            connection.execute("PRAGMA journal_mode = WAL")
            return
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode & 0xFF != sqlite3.SQLITE_BUSY or time.monotonic() > deadline:
                raise
            time.sleep(0.02)


def _postgres_engine(location: Location, isolation: str, wait_seconds: float) -> Engine:
    try:
        engine = create_engine(location.url, isolation_level=isolation, hide_parameters=True, pool_pre_ping=True, max_overflow=-1)
    except ModuleNotFoundError as error:
        raise StoreProblem(f"{location.name}: {error.name} is not installed; install psycopg2-binary") from error

    def set_patience(connection: DBAPIConnection, _entry: ConnectionPoolEntry) -> None:
        cursor = connection.cursor()
        cursor.execute("SELECT set_config('lock_timeout', %s, false)", (f"{round(wait_seconds * 1000)}ms",))
        cursor.close()
        connection.commit()

    _translate_errors(engine, location)
    event.listen(engine, "connect", set_patience)
    return engine
