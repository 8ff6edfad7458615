"""Workflows in the book: written once, kept now and then, replayed to the same bytes, their commands never lost."""

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from hypothesis import given
from hypothesis import settings as examples
from hypothesis import strategies as st
from sqlalchemy import update

from portfolio_platform.book import schema, snapshots
from portfolio_platform.book.location import sqlite_url
from portfolio_platform.book.store import Book
from portfolio_platform.broker.model import Bar
from portfolio_platform.canonical import canonical_bytes
from portfolio_platform.errors import StoreProblem, WrongUse
from portfolio_platform.instruments.model import CandleClosed, InstrumentConfig, ScreenerUpdate, Started
from portfolio_platform.instruments.store import (
    TYPE,
    InstrumentBatch,
    InstrumentLog,
    Machine,
    Placed,
    get_instrument_state,
    history,
    portfolios_of,
    stream_of,
    symbols_of,
    verify_snapshots,
    workflow_machine,
)

NOW = datetime(2026, 3, 2, 21, tzinfo=UTC)
HOUR = 3_600_000_000_000


class Sum(NamedTuple):
    """A workflow that adds numbers up, and asks for something at each even total."""

    total: int = 0
    seen: int = 0


def _step(state: Sum, event: tuple[str, int]) -> tuple[Sum, tuple[str, ...]]:
    after = Sum(state.total + event[1], state.seen + 1)
    return after, (f"{event[0]}: {after.total}",) if after.total % 2 == 0 else ()


ADDING = Machine(
    initial=Sum(),
    step=_step,
    encode=lambda event: ("added", canonical_bytes({"event": list(event)}, floats=False)),
    decode=lambda name, data: tuple(data["event"]),
    key=lambda event: event[0],
    pack=lambda state: canonical_bytes(list(state), floats=False),
    unpack=lambda content: Sum(*__import__("json").loads(content)),
)


@pytest.fixture
def book(tmp_path: Path) -> Iterator[Book]:
    made = Book(sqlite_url(tmp_path / "book.sqlite"))
    made.create()
    yield made
    made.close()


def numbered(first: int, last: int) -> list[tuple[str, int]]:
    return [(f"e{place}", place) for place in range(first, last + 1)]


def test_many_workflows_advance_in_one_transaction_and_say_what_they_ask_for(book: Book) -> None:
    log = InstrumentLog(book, ADDING)
    asked = log.advance("p", {"A": numbered(1, 3), "B/C": numbered(2, 2)}, at=NOW)
    assert asked == {"A": ("e3: 6",), "B/C": ("e2: 2",)}
    with book.reading() as connection:
        assert symbols_of(connection, "p") == ["A", "B/C"]
        assert portfolios_of(connection) == ["p"]
        assert [event for _, event in history(connection, "p", "B/C", machine=ADDING)] == [("e2", 2)]
        assert InstrumentLog(book, ADDING).load(connection, "p", ["A", "B/C", "D"]).keys() == {"A", "B/C"}


def test_an_event_that_comes_again_changes_nothing_and_asks_for_nothing(book: Book) -> None:
    log = InstrumentLog(book, ADDING)
    log.advance("p", {"A": numbered(1, 4)}, at=NOW)
    again = InstrumentLog(book, ADDING).advance("p", {"A": [("e2", 2), ("e5", 5), ("e5", 5), ("e3", 99)]}, at=NOW)
    assert again == {"A": ()}
    with book.reading() as connection:
        assert log.load(connection, "p", ["A"])["A"].state == Sum(15, 5)


@examples(max_examples=15)
@given(st.lists(st.lists(st.integers(1, 60), max_size=12), max_size=8), st.integers(1, 7))
def test_whatever_is_kept_between_the_state_is_that_of_the_events(calls: list[list[int]], every: int) -> None:
    import tempfile

    with tempfile.TemporaryDirectory() as folder, Book(sqlite_url(Path(folder) / "book.sqlite")) as book:
        book.create()
        known: dict[str, int] = {}
        for call in calls:
            log = InstrumentLog(book, ADDING, every=every)
            log.advance("p", {"A": [(f"e{one}", one) for one in call]}, at=NOW)
            known |= {f"e{one}": one for one in call}
            with book.writing() as connection:
                log.carried_out(connection, "p", ["A"])
        with book.reading() as connection:
            found = InstrumentLog(book, ADDING, every=every).load(connection, "p", ["A"])
            assert verify_snapshots(connection, machine=ADDING) == []
        assert (found["A"].state if found else Sum()) == Sum(sum(known.values()), len(known))


def test_commands_that_were_not_carried_out_are_still_there_for_another_process(book: Book) -> None:
    log = InstrumentLog(book, ADDING, every=2)
    log.advance("p", {"A": numbered(1, 3)}, at=NOW)
    with book.writing() as connection:
        log.carried_out(connection, "p", ["A"])
    log.advance("p", {"A": numbered(4, 8)}, at=NOW)
    with book.reading() as connection:
        assert InstrumentLog(book, ADDING).unfinished(connection, "p", "A") == ("e4: 10", "e7: 28", "e8: 36")
        kept = snapshots.kept(connection, [stream_of("p", "A")])[stream_of("p", "A")]
    # what is kept is never ahead of what was carried out: the commands between could not be found again
    assert (kept.version, kept.carried) == (3, 3)


def test_a_damaged_kept_state_is_found_and_not_used(book: Book) -> None:
    log = InstrumentLog(book, ADDING, every=1)
    log.advance("p", {"A": numbered(1, 3)}, at=NOW)
    with book.writing() as connection:
        log.carried_out(connection, "p", ["A"])
    log.advance("p", {"A": numbered(4, 4)}, at=NOW)
    with book.writing() as connection:
        connection.execute(update(schema.snapshots).values(content=b"[7,7]"))
    with book.reading() as connection:
        assert InstrumentLog(book, ADDING).load(connection, "p", ["A"])["A"].state == Sum(10, 4)
        (fault,) = verify_snapshots(connection, machine=ADDING)
    assert fault.reason == "its bytes do not have the hash that was recorded"
    with book.writing() as connection:
        other = snapshots.Snapshot.of(stream_of("p", "A"), 3, 3, b"[7,7]", 3)
        snapshots.keep(connection, [other])
    with book.reading() as connection:
        (fault,) = verify_snapshots(connection, machine=ADDING)
    assert fault.reason == "the events add up to another state"


def test_a_kept_state_of_another_versions_layout_is_worked_out_from_the_events(book: Book) -> None:
    log = InstrumentLog(book, ADDING, every=1)
    log.advance("p", {"A": numbered(1, 3)}, at=NOW)
    with book.writing() as connection:
        snapshots.keep(connection, [snapshots.Snapshot.of(stream_of("p", "A"), 3, 3, b"[7,7,7]", 3)])
    with book.reading() as connection:
        placed = InstrumentLog(book, ADDING).load(connection, "p", ["A"])["A"]
    assert (placed.state, placed.version) == (Sum(6, 3), 3)


def test_a_stream_that_somebody_else_wrote_to_meanwhile_is_refused(book: Book) -> None:
    log = InstrumentLog(book, ADDING)
    log.advance("p", {"A": numbered(1, 2)}, at=NOW)
    batch = InstrumentBatch(ADDING, "p", {"A": Placed(Sum(1, 1), 1, 0, 1)})
    batch.take("A", ("e9", 9))
    from portfolio_platform.book.events import append

    with pytest.raises(StoreProblem, match="somebody else writes to it"), book.writing() as connection:
        batch.settle(connection, append(connection, batch.pending, recorded_at=NOW), carried=True)
    with book.reading() as connection:
        assert InstrumentLog(book, ADDING).load(connection, "p", ["A"])["A"].version == 2


def candles(count: int) -> list[Any]:
    day = 24 * HOUR
    prices = [(100 + place % 7) * 10**18 for place in range(count)]
    return [
        CandleClosed((place + 1) * day, Bar("A", place * day, (place + 1) * day, price, price + 10**18, price - 10**18, price))
        for place, price in enumerate(prices)
    ]


def test_the_workflow_itself_is_kept_and_comes_back_with_the_same_bytes(book: Book) -> None:
    machine = workflow_machine()
    log = InstrumentLog(book, machine, every=20)
    config = InstrumentConfig("p", "A", template="trend_continuation")
    log.advance("p", {"A": [Started(1, config), *candles(30)]}, at=NOW)
    with book.writing() as connection:
        log.carried_out(connection, "p", ["A"])
    log.advance("p", {"A": [ScreenerUpdate(31 * 24 * HOUR, "pass-1", "mean_reversion")]}, at=NOW)
    with book.reading() as connection:
        placed = InstrumentLog(book, machine).load(connection, "p", ["A"])["A"]
        held = log.load(connection, "p", ["A"])["A"]
        assert (placed.version, placed.kept) == (32, 31)
        assert machine.pack(placed.state) == machine.pack(held.state)
        assert verify_snapshots(connection) == []
        types = {row.type for row in connection.execute(schema.events.select())}
    # the control plane has events of nearly these names, and reads the log by them
    assert all(name.startswith(TYPE) for name in types)
    assert get_instrument_state(book, "p", "A").symbol == "A"
    with pytest.raises(WrongUse, match="has no workflow of 'B'; it has: A"):
        get_instrument_state(book, "p", "B")
