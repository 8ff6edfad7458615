"""The loop's own state in the book: what cannot be read says so, and what to do."""

from datetime import UTC, datetime
from pathlib import Path

import pytest

from portfolio_platform.book import snapshots
from portfolio_platform.book.events import NewEvent, append
from portfolio_platform.book.location import sqlite_url
from portfolio_platform.book.store import Book
from portfolio_platform.errors import StoreProblem
from portfolio_platform.paper.record import kept_of, stream_of

NOW = datetime(2026, 3, 2, 21, tzinfo=UTC)


def test_a_state_of_another_versions_layout_is_refused_with_the_way_out(tmp_path: Path) -> None:
    book = Book(sqlite_url(tmp_path / "book.sqlite"))
    book.create()
    with book.writing() as connection:
        (stored,) = append(connection, [NewEvent(stream_of("paper"), "paper_opened", {}, "k")], recorded_at=NOW)
        snapshots.keep(connection, [snapshots.Snapshot.of(stream_of("paper"), 1, 1, b"[1,2]", stored.seq)])
    with book.reading() as connection, pytest.raises(StoreProblem, match=r"another version.*--portfolio NAME"):
        kept_of(connection, "paper")
    book.close()
