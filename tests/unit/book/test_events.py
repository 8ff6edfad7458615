import json
import time
from datetime import UTC, date, datetime, timedelta, timezone
from decimal import Decimal

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from portfolio_platform.book import statements
from portfolio_platform.book.chain import verify_chain
from portfolio_platform.book.events import (
    GENESIS_HASH,
    ConcurrencyConflict,
    IdempotencyConflict,
    NewEvent,
    append,
    chain_hash,
    chain_head,
    is_canonical,
    read,
    stream_version,
)
from portfolio_platform.book.store import Book
from portfolio_platform.canonical import canonical_bytes
from portfolio_platform.errors import DataProblem, StoreProblem, WrongUse
from tests.unit.book.workers import NOW

plain = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**70), 2**70) | st.text(st.characters(codec="utf-8")),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(st.characters(codec="utf-8")), inner, max_size=3),
    max_leaves=8,
)


def event(key: str, stream: str = "s", **data: object) -> NewEvent:
    return NewEvent(stream, "happened", data, key)


def test_events_come_back_as_they_were_appended_in_one_order(book: Book) -> None:
    with book.writing() as connection:
        stored = append(connection, [event("a", "x", n=1), event("b", "y", n=2), event("c", "x", n=3)], recorded_at=NOW)
    with book.reading() as connection:
        assert list(read(connection)) == stored
        assert [found.idempotency_key for found in read(connection, "x")] == ["a", "c"]
        assert [found.seq for found in read(connection, after_seq=1, limit=1)] == [2]
        assert stream_version(connection, "x") == 2
        assert chain_head(connection).hash == stored[-1].hash
    assert [(found.seq, found.stream, found.version) for found in stored] == [(1, "x", 1), (2, "y", 1), (3, "x", 2)]
    assert [found.data for found in stored] == [{"n": 1}, {"n": 2}, {"n": 3}]


def test_the_stored_bytes_are_the_hashed_bytes_and_say_all_about_the_event(book: Book) -> None:
    with book.writing() as connection:
        stored = append(connection, [event("a", amount=Decimal("1.50"), day=date(2026, 1, 2))], recorded_at=NOW)[0]
    assert stored.previous_hash == GENESIS_HASH
    assert stored.hash == chain_hash(GENESIS_HASH, stored.content)
    assert json.loads(stored.content) == {
        "stream": "s",
        "version": 1,
        "type": "happened",
        "key": "a",
        "recorded_at": "2026-03-02T17:30:00.000005+00:00",
        "data": {"amount": "1.50", "day": "2026-01-02"},
    }


def test_the_time_of_an_event_is_utc_with_microseconds_whatever_zone_it_came_in(sqlite_book: Book) -> None:
    elsewhere = datetime(2026, 3, 2, 19, 0, tzinfo=timezone(timedelta(hours=2)))
    with sqlite_book.writing() as connection:
        stored = append(connection, [event("a")], recorded_at=elsewhere)[0]
        with pytest.raises(WrongUse, match="time zone"):
            append(connection, [event("b")], recorded_at=datetime(2026, 3, 2))  # noqa: DTZ001
    assert stored.recorded_at == "2026-03-02T17:00:00.000000+00:00"
    assert elsewhere.astimezone(UTC) == datetime.fromisoformat(stored.recorded_at)


def test_the_same_key_with_the_same_content_is_written_once(book: Book) -> None:
    with book.writing() as connection:
        first = append(connection, [event("a", n=1), event("a", n=1)], recorded_at=NOW)
    with book.writing() as connection:
        again = append(connection, [event("a", n=1), event("b", n=2)], recorded_at=NOW + timedelta(days=1))
    assert first[0] == first[1] == again[0]
    assert [found.seq for found in again] == [1, 2]
    with book.reading() as connection:
        assert verify_chain(connection).events == 2


@pytest.mark.parametrize(
    "other",
    [event("a", n=2), event("a", "other", n=1), NewEvent("s", "renamed", {"n": 1}, "a"), event("a", n="1")],
    ids=["data", "stream", "type", "a text for a number"],
)
def test_the_same_key_with_other_content_is_a_conflict_and_nothing_is_written(book: Book, other: NewEvent) -> None:
    with book.writing() as connection:
        append(connection, [event("a", n=1)], recorded_at=NOW)
    with pytest.raises(IdempotencyConflict, match="'a'"), book.writing() as connection:
        append(connection, [event("new"), other], recorded_at=NOW)
    with book.reading() as connection:
        assert verify_chain(connection).events == 1


def test_a_stream_that_moved_on_is_a_conflict(book: Book) -> None:
    with book.writing() as connection:
        append(connection, [event("a"), event("b")], recorded_at=NOW, expected_version=0)
    with pytest.raises(ConcurrencyConflict, match="version 2, not 1"), book.writing() as connection:
        append(connection, [event("c")], recorded_at=NOW, expected_version=1)
    with book.writing() as connection:
        assert append(connection, [event("c")], recorded_at=NOW, expected_version=2)[0].version == 3


def test_a_command_sent_twice_succeeds_twice_although_the_stream_has_moved_on(sqlite_book: Book) -> None:
    with sqlite_book.writing() as connection:
        first = append(connection, [event("a")], recorded_at=NOW, expected_version=0)
        assert append(connection, [event("a")], recorded_at=NOW, expected_version=0) == first


@pytest.mark.parametrize("value", [1.5, float("nan"), [0.1], {"deep": (1, {"er": 2.0})}, {1, 2}, "\ud800"], ids=repr)
def test_a_float_or_anything_without_a_canonical_form_is_refused(sqlite_book: Book, value: object) -> None:
    with sqlite_book.writing() as connection, pytest.raises(DataProblem, match="'bad'"):
        append(connection, [event("good"), event("bad", value=value)], recorded_at=NOW)
    with sqlite_book.reading() as connection:
        assert list(read(connection)) == []


@pytest.mark.parametrize("name", ["", "a\x00b", "line\nbreak"], ids=repr)
def test_names_must_be_printable(sqlite_book: Book, name: str) -> None:
    for bad in (NewEvent(name, "t", {}, "k"), NewEvent("s", name, {}, "k"), NewEvent("s", "t", {}, name)):
        with pytest.raises(WrongUse, match="printable"), sqlite_book.writing() as connection:
            append(connection, [bad], recorded_at=NOW)


def test_an_expected_version_for_several_streams_is_a_mistake(sqlite_book: Book) -> None:
    with sqlite_book.writing() as connection, pytest.raises(WrongUse, match="several"):
        append(connection, [event("a", "x"), event("b", "y")], recorded_at=NOW, expected_version=0)


def test_appending_nothing_writes_nothing(book: Book) -> None:
    with book.writing() as connection:
        assert append(connection, [], recorded_at=NOW) == []
        assert verify_chain(connection).events == 0


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(contents=st.lists(st.dictionaries(st.text(st.characters(codec="utf-8")), plain, max_size=4), max_size=6))
def test_any_data_without_floats_survives_and_is_the_same_when_sent_again(book: Book, contents: list[dict[str, object]]) -> None:
    with book.writing() as connection:
        before = chain_head(connection).seq
        batch = [NewEvent(f"s{number % 2}", "t", content, f"{before}-{number}") for number, content in enumerate(contents)]
        stored = append(connection, batch, recorded_at=NOW)
        assert [found.data for found in stored] == contents
        assert append(connection, batch, recorded_at=NOW) == stored
        assert verify_chain(connection).ok


def test_an_error_in_a_transaction_takes_all_of_it_back(book: Book) -> None:
    with pytest.raises(KeyError), book.writing() as connection:
        append(connection, [event("a")], recorded_at=NOW)
        raise KeyError("the caller's own mistake")
    with book.reading() as connection:
        assert list(read(connection)) == []


def test_three_thousand_events_are_one_quick_batch(book: Book) -> None:
    batch = [event(f"k{number}", f"s{number % 700}", number=number) for number in range(3_000)]
    start = time.perf_counter()
    with book.writing() as connection:
        append(connection, batch, recorded_at=NOW)
    assert time.perf_counter() - start < 5  # 0.15 s when nothing else runs
    with book.reading() as connection:
        assert verify_chain(connection).events == 3_000
        assert len(list(read(connection, limit=10))) == 10


def test_a_reading_transaction_cannot_append(book: Book) -> None:
    with pytest.raises(StoreProblem, match="reading only"), book.reading() as connection:
        append(connection, [event("a")], recorded_at=NOW)


def test_a_reader_sees_one_state_of_the_log_throughout(book: Book) -> None:
    with book.reading() as reader:
        assert list(read(reader)) == []
        with book.writing() as connection:
            append(connection, [event("a")], recorded_at=NOW)
        assert list(read(reader)) == []
    with book.reading() as reader:
        assert len(list(read(reader))) == 1


text = st.text(st.characters(codec="utf-8"))
printable = st.text(st.characters(codec="utf-8"), min_size=1).filter(str.isprintable)


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(names=st.tuples(printable, printable, printable), data=st.dictionaries(text, plain, max_size=4), encoded=st.booleans())
def test_the_stored_bytes_are_canonical_whoever_encoded_the_data(
    sqlite_book: Book, names: tuple[str, str, str], data: dict[str, object], encoded: bool
) -> None:
    stream, kind, key = names
    new = NewEvent(stream, kind, {} if encoded else data, key, canonical_bytes(data, floats=False) if encoded else None)
    with sqlite_book.writing() as connection:
        stored = append(connection, [new], recorded_at=NOW)[0]
        assert stored.data == data and stored.hash == chain_hash(stored.previous_hash, stored.content)
        said = {"stream": stream, "version": 1, "type": kind, "key": key, "recorded_at": stored.recorded_at, "data": data}
        assert stored.content == canonical_bytes(said, floats=False)
        assert append(connection, [NewEvent(stream, kind, data, key)], recorded_at=NOW) == [stored]
        connection.rollback()


def test_data_that_was_encoded_before_is_the_same_event_as_data_that_was_not(book: Book) -> None:
    with book.writing() as connection:
        first = append(connection, [event("a", n=1, text="é")], recorded_at=NOW)
        again = NewEvent("s", "happened", {}, "a", '{"n":1,"text":"é"}'.encode())
        assert append(connection, [again], recorded_at=NOW) == first
        other = NewEvent("s", "happened", {}, "a", b'{"n":2}')
        with pytest.raises(IdempotencyConflict, match="'a'"):
            append(connection, [other], recorded_at=NOW)


@pytest.mark.parametrize(
    ("encoded", "right"),
    [(b'{"a":1,"b":[true,null,"x"]}', True), (b'{"a":1.0}', False), (b'{"a":1e3}', False), (b'{"a":NaN}', False), (b'{"b":1,"a":2}', False),
     (b'{"a": 1}', False), (b"[1]", False), (b"no", False), (b'{"a":{"c":1,"b":2}}', False), (b"{}", True)],
)  # fmt: skip
def test_what_is_canonical_can_be_asked(encoded: bytes, right: bool) -> None:
    assert is_canonical(encoded) is right


def test_an_append_looks_the_end_of_a_stream_up_and_does_not_walk_through_it(book: Book) -> None:
    """The number of events in a stream made every append to it dearer: a look for each stream, not a count of its events."""
    with book.writing() as connection:
        append(connection, [event(f"k{number}", "long", n=number) for number in range(2_000)], recorded_at=NOW)
        append(connection, [event(f"o{number}", f"s{number}", n=number) for number in range(1_200)], recorded_at=NOW)
        assert stream_version(connection, "long") == 2_000 and stream_version(connection, "no such") == 0
        both = append(connection, [event("x", "long"), event("y", "s7"), event("z", "new")], recorded_at=NOW)
    assert [found.version for found in both] == [2_001, 2, 1]
    if connection.dialect.name == "sqlite":
        plan = str(statements._text("versions"))
        with book.reading() as connection:
            steps = [row[-1] for row in connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {plan}", ('["long"]',))]
        assert any("SEARCH events USING COVERING INDEX" in step for step in steps) and not any("SCAN events" in step for step in steps)
