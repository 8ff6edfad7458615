from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import Connection, delete, insert, select, update

from portfolio_platform.book import schema
from portfolio_platform.book.chain import ChainVerdict, _fault, _fits, verify_chain
from portfolio_platform.book.events import ChainHead, NewEvent, StoredEvent, append, chain_hash, chain_head
from portfolio_platform.book.store import Book
from tests.unit.book.workers import NOW

COUNT = 12
log = schema.events.c
fuzz = settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
numbers = st.integers(1, COUNT)


class _TakeBackError(Exception):
    pass


@pytest.fixture
def full(book: Book) -> Book:
    with book.writing() as connection:
        batch = [NewEvent(f"s{n % 3}", "counted", {"n": n, "text": "é" * n}, f"k{n}") for n in range(COUNT)]
        append(connection, batch, recorded_at=NOW)
    return book


@contextmanager
def tampering(book: Book) -> Iterator[Connection]:
    """Whatever is done to the log here is taken back at the end."""
    try:
        with book.writing() as connection:
            yield connection
            raise _TakeBackError
    except _TakeBackError:
        return


def verdict_after(book: Book, tamper: Callable[[Connection], object]) -> ChainVerdict:
    with tampering(book) as connection:
        tamper(connection)
        return verify_chain(connection)


def test_a_log_as_it_was_written_verifies(full: Book) -> None:
    with full.reading() as connection:
        head = chain_head(connection)
        assert verify_chain(connection, anchor=head) == ChainVerdict(True, COUNT, None, None, head)


def test_an_empty_log_verifies(book: Book) -> None:
    with book.reading() as connection:
        assert verify_chain(connection) == ChainVerdict(True, 0, None, None, ChainHead(0, "0" * 64))


@fuzz
@given(seq=numbers, data=st.data())
def test_any_flipped_bit_of_a_content_is_found(full: Book, seq: int, data: st.DataObject) -> None:
    with tampering(full) as connection:
        content = bytearray(connection.execute(select(log.content).where(log.seq == seq)).scalar_one())
        place = data.draw(st.integers(0, len(content) - 1))
        content[place] ^= 1 << data.draw(st.integers(0, 7))
        connection.execute(update(schema.events).where(log.seq == seq).values(content=bytes(content)))
        verdict = verify_chain(connection)
    assert not verdict.ok
    assert verdict.broken_at_seq == seq
    assert verdict.events == seq - 1


@fuzz
@given(seq=numbers, column=st.sampled_from(["stream", "type", "idempotency_key", "recorded_at", "previous_hash", "hash"]))
def test_any_changed_column_is_found(full: Book, seq: int, column: str) -> None:
    with tampering(full) as connection:
        value: str = connection.execute(select(log[column]).where(log.seq == seq)).scalar_one()
        changed = ("x" if value[0] != "x" else "y") + value[1:]
        connection.execute(update(schema.events).where(log.seq == seq).values({column: changed}))
        verdict = verify_chain(connection)
    assert not verdict.ok
    assert verdict.broken_at_seq == seq


@fuzz
@given(seq=numbers)
def test_any_changed_version_is_found(full: Book, seq: int) -> None:
    verdict = verdict_after(full, lambda connection: connection.execute(update(schema.events).where(log.seq == seq).values(version=99)))
    assert verdict.broken_at_seq == seq
    assert "version" in (verdict.reason or "")


def test_any_removed_event_but_the_last_is_found(full: Book) -> None:
    for seq in range(1, COUNT):
        with tampering(full) as connection:
            connection.execute(delete(schema.events).where(log.seq == seq))
            verdict = verify_chain(connection)
        assert verdict.broken_at_seq == seq
        assert "missing" in (verdict.reason or "")


def test_a_removed_event_is_found_although_the_rest_moves_up(full: Book) -> None:
    for seq in range(1, COUNT):
        with tampering(full) as connection:
            connection.execute(delete(schema.events).where(log.seq == seq))
            for later in range(seq + 1, COUNT + 1):
                connection.execute(update(schema.events).where(log.seq == later).values(seq=later - 1))
            verdict = verify_chain(connection)
        assert verdict.broken_at_seq == seq


def test_a_log_whose_end_was_cut_off_is_found_with_an_anchor(full: Book) -> None:
    # A chain proves what comes before each event, not that nothing came after: the last event needs a note elsewhere.
    with tampering(full) as connection:
        anchor = chain_head(connection)
        connection.execute(delete(schema.events).where(log.seq == COUNT))
        assert verify_chain(connection).ok
        verdict = verify_chain(connection, anchor)
    assert verdict.broken_at_seq == COUNT
    assert "cut off" in (verdict.reason or "")


def test_a_log_that_was_written_anew_is_found_with_an_anchor(full: Book) -> None:
    with tampering(full) as connection:
        anchor = chain_head(connection)
        last = connection.execute(select(schema.events).where(log.seq == COUNT)).one()
        content = last.content.replace(b'"n":11', b'"n":12')
        forged = {"content": content, "hash": chain_hash(last.previous_hash, content)}
        connection.execute(update(schema.events).where(log.seq == COUNT).values(forged))
        assert verify_chain(connection).ok
        verdict = verify_chain(connection, anchor)
    assert verdict.broken_at_seq == COUNT
    assert "anew" in (verdict.reason or "")


@fuzz
@given(one=numbers, other=numbers)
def test_any_two_swapped_events_are_found(full: Book, one: int, other: int) -> None:
    def tamper(connection: Connection) -> None:
        for old, new in ((one, 1_000), (other, one), (1_000, other)):
            connection.execute(update(schema.events).where(log.seq == old).values(seq=new))

    verdict = verdict_after(full, tamper)
    assert verdict.ok == (one == other)
    if one != other:
        assert verdict.broken_at_seq == min(one, other)


@pytest.mark.parametrize("seq", [-5, 0, COUNT + 1, COUNT + 2])
def test_an_event_put_in_past_the_log_is_found(full: Book, seq: int) -> None:
    def tamper(connection: Connection) -> None:
        row = dict(connection.execute(select(schema.events).where(log.seq == 3)).one()._mapping)
        row |= {"seq": seq, "version": 1_000, "idempotency_key": "smuggled"}
        connection.execute(insert(schema.events), row)

    assert not verdict_after(full, tamper).ok
    with full.reading() as connection:
        assert verify_chain(connection).ok


def test_a_content_that_became_text_is_found(sqlite_book: Book) -> None:
    with sqlite_book.writing() as connection:
        append(connection, [NewEvent("s", "t", {}, "k")], recorded_at=NOW)
        connection.exec_driver_sql("UPDATE events SET content = CAST(content AS TEXT)")
        assert verify_chain(connection).reason == "the content is not bytes"


def test_of_several_notes_the_last_that_fits_says_where_the_writing_anew_may_have_begun(full: Book) -> None:
    with tampering(full) as connection:
        notes = [ChainHead(row.seq, row.hash) for row in connection.execute(select(log.seq, log.hash).where(log.seq.in_([4, 8, 12])))]
        assert verify_chain(connection, anchors=notes).ok
        rewrite(connection, 6)
        assert verify_chain(connection).ok
        verdict = verify_chain(connection, anchors=notes)
    assert (verdict.broken_at_seq, verdict.events) == (8, 7)
    assert verdict.reason is not None and verdict.reason.endswith("written anew, somewhere from event 5 on")


def rewrite(connection: Connection, seq: int) -> None:
    """Change an event as one would who knows how the chain is made: every hash after it is right again."""
    rows = connection.execute(select(schema.events).where(log.seq >= seq).order_by(log.seq)).all()
    previous = rows[0].previous_hash
    for row in rows:
        content = row.content.replace(b'"n":', b'"n":7') if row.seq == seq else row.content
        values = {"content": content, "previous_hash": previous, "hash": chain_hash(previous, content)}
        connection.execute(update(schema.events).where(log.seq == row.seq).values(values))
        previous = values["hash"]


@pytest.mark.parametrize("content", [b"[]", b"no json", b'{"data":{}}', b'{"data":NaN}', b"\xff"])
def test_a_content_that_is_none_of_an_event_is_found_though_its_hash_is_right(full: Book, content: bytes) -> None:
    with tampering(full) as connection:
        last = connection.execute(select(schema.events).where(log.seq == COUNT)).one()
        values = {"content": content, "hash": chain_hash(last.previous_hash, content)}
        connection.execute(update(schema.events).where(log.seq == COUNT).values(values))
        verdict = verify_chain(connection)
    assert (verdict.broken_at_seq, verdict.reason) == (COUNT, "the content is not that of an event")


@fuzz
@given(seq=numbers, column=st.sampled_from(["stream", "type", "idempotency_key", "recorded_at", "version"]))
def test_the_quick_look_and_the_thorough_one_agree(full: Book, seq: int, column: str) -> None:
    with tampering(full) as connection:
        row = connection.execute(select(schema.events).where(log.seq == seq)).one()
        version = row.version - 1
        assert (
            _fits(tuple(row), row.previous_hash, version)
            and _fault(StoredEvent(*row), ChainHead(seq - 1, row.previous_hash), version) is None
        )
        changed = StoredEvent(**{**row._mapping, column: 99 if column == "version" else "other"})
        assert not _fits(tuple(vars(changed).values()), row.previous_hash, version)
        assert _fault(changed, ChainHead(seq - 1, row.previous_hash), version) is not None
