from datetime import timedelta

import pytest
from sqlalchemy import update

from portfolio_platform.book import schema
from portfolio_platform.book.events import read
from portfolio_platform.book.policies import ArchivedPolicy, archive, load
from portfolio_platform.book.store import Book
from portfolio_platform.canonical import content_hash
from portfolio_platform.errors import DataProblem, StoreProblem
from tests.unit.book.workers import NOW


def test_a_policy_is_archived_once_with_one_event(book: Book) -> None:
    content = b'{"cap":"0.25"}'
    with book.writing() as connection:
        hashed = archive(connection, "default", content, NOW)
        assert archive(connection, "another name", content, NOW + timedelta(days=1)) == hashed
    with book.reading() as connection:
        expected = ArchivedPolicy(content_hash(content), "default", content, "2026-03-02T17:30:00.000005+00:00")
        assert load(connection, hashed) == expected
        events = list(read(connection, "policies"))
    assert [(event.type, event.data) for event in events] == [("policy_archived", {"name": "default", "hash": hashed})]


def test_a_policy_that_was_never_archived_is_named_in_the_error(book: Book) -> None:
    with book.reading() as connection, pytest.raises(DataProblem, match="abc"):
        load(connection, "abc")


def test_a_policy_that_was_changed_is_refused(book: Book) -> None:
    with book.writing() as connection:
        hashed = archive(connection, "default", b"{}", NOW)
        connection.execute(update(schema.policies).values(content=b"forged"))
        with pytest.raises(StoreProblem, match="other content"):
            load(connection, hashed)
