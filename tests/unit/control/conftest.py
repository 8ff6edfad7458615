"""Homes whose book is in either store: those of `store_home` run on SQLite and on a real Postgres server."""

from collections.abc import Iterator
from datetime import date
from pathlib import Path

import pytest

from portfolio_platform.home import Home
from tests.unit.book.conftest import book, postgres, sqlite_book, store, url

__all__ = ["book", "postgres", "sqlite_book", "store", "url"]


@pytest.fixture
def store_home(url: str, tmp_path: Path) -> Iterator[Home]:
    """A created home whose clock stands at the end of Friday, 31 December 2010; its book is in either store."""
    made = Home(tmp_path / "home", book_url=url)
    made.create()
    made.pin_clock(date(2010, 12, 31))
    yield made
    made.book.close()
