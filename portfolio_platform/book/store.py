"""The book as a whole: opens it, hands out transactions, migrates it."""

from collections.abc import Iterator
from contextlib import contextmanager
from types import TracebackType
from typing import Self

from sqlalchemy import Connection
from sqlalchemy.engine import URL

from portfolio_platform.book import migrate
from portfolio_platform.book.engine import WAIT_SECONDS, open_engines
from portfolio_platform.errors import StoreProblem


class Book:
    """One book; nothing is opened before the first transaction. A process that forks makes a new one in the child."""

    def __init__(self, url: str | URL, *, wait_seconds: float = WAIT_SECONDS) -> None:
        """Name the book at `url` (see `location.sqlite_url`).

        Raises:
            WrongUse: the URL is not one of a book.
        """
        self._url = url
        self._wait_seconds = wait_seconds
        self._engines = open_engines(url, wait_seconds=wait_seconds)

    @property
    def name(self) -> str:
        """What messages call the book: its path or server, without secrets."""
        return self._engines.location.name

    def create(self) -> str:
        """Create the book, or migrate it to the version of this code; return that version."""
        return migrate.upgrade(self._url, wait_seconds=self._wait_seconds)

    @contextmanager
    def writing(self) -> Iterator[Connection]:
        """Hand out a transaction that may write: committed at the end, rolled back on an error.

        Only one writes at a time, so compute before and write inside; never open a second one within.

        Raises:
            StoreProblem: the book is missing, locked, damaged, read-only, or of another version than the code.
        """
        with self._readable(), self._engines.writer.begin() as connection:
            migrate.require_version(connection, self._engines.location)
            yield connection

    @contextmanager
    def reading(self) -> Iterator[Connection]:
        """Hand out a transaction that sees one state of the book throughout, and cannot write.

        Raises:
            StoreProblem: the book is missing, damaged, or of another version than the code.
        """
        with self._readable(), self._engines.reader.begin() as connection:
            migrate.require_version(connection, self._engines.location)
            yield connection

    @contextmanager
    def _readable(self) -> Iterator[None]:
        """Say that the book is damaged where what should be text is none: the driver fails on it without a code of its own."""
        try:
            yield
        except UnicodeDecodeError as error:
            raise StoreProblem(f"{self.name}: is damaged; restore it from a backup ({error.reason})") from error

    def close(self) -> None:
        """Close all connections; the book may be used again."""
        self._engines.dispose()

    def __enter__(self) -> Self:
        """Return the book."""
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        """Close all connections."""
        self.close()
