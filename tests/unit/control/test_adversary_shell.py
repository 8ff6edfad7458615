"""What strategies, clocks and stores may do to the shell: nothing raises that should be answered, and nothing stale is decided on."""

import shutil
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from portfolio_platform.book.location import sqlite_url
from portfolio_platform.book.store import Book
from portfolio_platform.control.events import FactsStated
from portfolio_platform.control.intents import read_fill, read_intent
from portfolio_platform.control.model import PortfolioIntent
from portfolio_platform.control.plane import ControlPlane
from portfolio_platform.control.state import Instrument
from portfolio_platform.control.terms import Facts, Order
from portfolio_platform.control.views import limits_view
from portfolio_platform.days import nanoseconds
from portfolio_platform.errors import WrongUse
from portfolio_platform.explain.decisions import why_decided
from portfolio_platform.home import Home
from tests.unit.control.examples import LIMITS, MONEY
from tests.unit.control.test_plane import START, Hands, audited, book, bought, clock, count, opened, plane, wants

__all__ = ["book", "clock", "plane"]

HUGE = 10**5_000
"""A number of more digits than are written out."""


def risk_off(name: str = "o1", **said: Any) -> Order:
    """An order of a day from now on."""
    whole = Order(name, "mode", "operator", "alice", "storm", nanoseconds(START), nanoseconds(START + timedelta(days=1)), mode="risk_off")
    return whole._replace(**said)


# idempotency


def test_the_same_conflict_twice_in_one_batch_is_answered_once_and_spoils_nothing(plane: ControlPlane, book: Book) -> None:
    answers = plane.request_allocations([wants(), wants(risk="1"), wants(risk="1"), wants(risk="2"), wants("i2")], "p")
    assert [one.decision.code for one in answers] == ["approved_full", *["rejected_invalid"] * 3, "approved_full"]
    assert [one.repeated for one in answers] == [False, False, True, False, False]
    assert plane.request_allocations([wants(risk="1"), wants(risk="1")], "p")[1].repeated
    assert audited(book).fault is None


def test_an_intents_id_may_look_like_a_key_of_the_log(plane: ControlPlane, book: Book) -> None:
    names = ["intent/control/p/i1", "i1!00000000000000000000000000000000", "#5", "@1", "%2F", "e\u0301", "\u00e9", "\U0001f600" * 200]
    answers = plane.request_allocations([wants(name, risk="300", strategy=name) for name in names], "p")
    assert not any(one.repeated for one in answers)
    again = plane.request_allocations([wants(name, risk="300", strategy=name) for name in names], "p")
    assert [one.decision for one in again] == [one.decision for one in answers]
    assert audited(book).decisions == len(names)


# what cannot be meant


@pytest.mark.parametrize(
    "wrong",
    [
        {"ts": "9999-12-31T23:59:59-12:00"},
        {"ts": "0001-01-01T00:00:00+12:00"},
        {"ts": "9999-12-31T23:59:59Z"},
        {"ts": START.timestamp()},
        {"ts": int(START.timestamp())},
        {"ts": HUGE},
        {"requested_risk": HUGE},
        {"requested_risk": "1" * 100_000},
        {"requested_notional": 10**17},
        {"intent_id": None, "more": HUGE},
        {"intent_id": "\ud800"},
        {"\ud800": 1},
        {"x" * 100_000: 1},
        {f"field {number}": number for number in range(5_000)},
        {5: 6},
    ],
    ids=lambda wrong: ascii(next(iter(wrong)))[:20],
)
def test_what_cannot_be_meant_is_answered_and_replays_to_the_same(plane: ControlPlane, book: Book, wrong: dict[Any, Any]) -> None:
    answer = plane.request_allocation(wants() | wrong, "p")
    assert answer.decision.code == "rejected_invalid"
    assert len(answer.decision.reasons[0]) <= 2_000
    assert plane.request_allocation(wants() | wrong, "p").repeated
    assert audited(book).fault is None


@pytest.mark.parametrize(
    "wrong",
    [
        {"requested_risk": 1_250.5},
        {"requested_risk": float("nan")},
        {"requested_risk": True},
        {"requested_risk": 10**30},
        {"requested_notional": 10**30},
        {"ts": HUGE},
        {"ts": None},
        {"symbol": None},
        {"symbol": []},
        {"side": 5},
        {"intent_id": "\ud800"},
        {"intent_id": ""},
        {"template": "x" * 300},
        {"regime": "a\x00b"},
        {"fault": 3},
    ],
)
def test_an_intent_made_in_python_is_read_as_strictly_as_one_that_was_sent(plane: ControlPlane, book: Book, wrong: dict[str, Any]) -> None:
    one = PortfolioIntent("i1", "p", "trend", "AAA", "long", 500_000, nanoseconds(START))._replace(**wrong)
    answer = plane.request_allocation(one)
    assert answer.decision.code == ("approved_full" if "fault" in wrong else "rejected_invalid")
    assert plane.request_allocation(one).repeated
    assert audited(book).fault is None


def test_an_intent_made_in_python_that_is_sound_is_taken_as_it_is() -> None:
    one = PortfolioIntent("i1", "p", "trend", "AAA", "long", 500_000, nanoseconds(START), 7, "t", "p", "r", "b")
    assert read_intent(one, "p", 2) is one


@pytest.mark.parametrize(
    "wrong", [{"ts": "yesterday"}, {"ts": None}, {"requested_risk": "NaN"}, {"requested_notional": []}, {"colour": "red"}, {"intent_id": 5}]
)
def test_reducing_is_not_refused_for_what_reducing_does_not_need(plane: ControlPlane, wrong: dict[str, Any]) -> None:
    answer = plane.request_allocation(wants(side="flat") | wrong, "p")
    assert (answer.decision.code, answer.decision.approved_risk) == ("approved_full", 0)
    assert answer.decision.reasons[1].startswith("set aside: ")
    assert plane.request_allocation(wants("i2", side="flat", symbol=5) | wrong, "p").decision.code == "rejected_invalid"


@pytest.mark.parametrize(
    ("wrong", "named"),
    [
        ({"multiplier": -1}, "multiplier"),
        ({"multiplier": 0}, "multiplier"),
        ({"quantity": "1e-20"}, "quantity"),
        ({"quantity": "1e20", "price": "-1e20"}, "absurd"),
        ({"stop_price": "-1e25"}, "absurd"),
        ({"ts": "2026-01-07T00:00:00Z"}, "future"),
        ({"ts": 1_767_614_400_000}, "nanoseconds"),
        ({"ts": HUGE}, "nanoseconds"),
    ],
)
def test_a_fill_that_cannot_be_meant_names_its_fault_and_moves_nothing(plane: ControlPlane, wrong: dict[str, Any], named: str) -> None:
    before = plane.get_portfolio_state("p")
    with pytest.raises(WrongUse, match=named):
        plane.on_fill(bought("x1", 10) | wrong, "p")
    assert plane.get_portfolio_state("p") == before


@pytest.mark.parametrize("wrong", [{"quantity": 0}, {"exposure": -1}, {"risk": -1}, {"risk": 0.5}, {"at": None}])
def test_a_fill_made_in_python_frees_no_risk(plane: ControlPlane, wrong: dict[str, Any]) -> None:
    one = read_fill(bought("x1", 10), 2)._replace(**wrong)
    with pytest.raises(WrongUse, match="whole numbers"):
        plane.on_fill(one, "p")


def test_a_fill_may_have_a_price_below_zero() -> None:
    one = read_fill(bought("x1", 10, price="-5", stop_price="-7"), 2)
    assert (one.exposure, one.risk) == (5_000, 2_000)


# before and around the portfolio


def test_a_portfolio_that_somebody_asked_about_too_early_is_opened_all_the_same(book: Book, clock: Hands) -> None:
    plane = ControlPlane(book, clock)
    assert plane.request_allocation(wants(), "yen").decision.code == "rejected_invalid"
    plane.open_portfolio("yen", LIMITS, currency="JPY", live=True)
    state = plane.get_portfolio_state("yen")
    assert (state.digits, state.live, state.since) == (0, True, nanoseconds(START))
    plane.open_portfolio("yen", LIMITS, currency="JPY", live=True)
    assert plane.get_portfolio_state("yen") == state
    from portfolio_platform.control.log import opened_portfolios

    with book.reading() as connection:
        assert opened_portfolios(connection) == ["yen"]


def test_a_session_that_lies_ahead_of_the_clock_is_refused_for_it_would_stand_for_ever(plane: ControlPlane) -> None:
    before = plane.get_portfolio_state("p")
    ahead = Facts(equity=1, at=nanoseconds(START + timedelta(days=2)), session=2, day="2026-01-07")
    with pytest.raises(WrongUse, match="2026-01-07 lies ahead"):
        plane.state_facts("p", [FactsStated(0, ahead, (), ())])
    assert plane.get_portfolio_state("p") == before


def test_an_order_that_would_change_nothing_is_refused_and_one_under_a_known_id_too(plane: ControlPlane, book: Book) -> None:
    before = count(book, "control/p")
    for wrong in ({"mode": "panic"}, {"kind": "cap", "rule": "heat", "basis": "risk", "scope": "AAA"}):
        with pytest.raises(WrongUse, match="o1"):
            plane.give_order("p", [risk_off(**wrong)])
    assert count(book, "control/p") == before
    plane.give_order("p", [risk_off(), risk_off()])
    plane.give_order("p", [risk_off()])
    for others in ([risk_off(mode="normal")], [risk_off("o2"), risk_off("o2", by="bob")]):
        with pytest.raises(WrongUse, match="another order's"):
            plane.give_order("p", others)
    assert sorted(plane.get_portfolio_state("p").terms.orders) == ["o1"]


def test_giving_a_reservation_up_wants_a_name_and_a_reason(plane: ControlPlane) -> None:
    plane.request_allocation(wants(), "p")
    for by, reason in (("", "no fill"), ("trend", "")):
        with pytest.raises(WrongUse, match="a name and a reason"):
            plane.cancel("p", "i1", by=by, reason=reason)
    assert plane.get_portfolio_state("p").reserved_risk == 5_000 * MONEY


# what symbols are told


def test_an_answer_has_no_envelope_of_terms_that_are_over(plane: ControlPlane) -> None:
    assert plane.request_allocation(wants(), "p").envelope is not None
    plane.cancel("p", "i1", by="trend", reason="no fill")  # no more active, so that it is told no more
    plane.give_order("p", [risk_off()])
    answer = plane.request_allocation(wants("i2"), "p")
    assert (answer.decision.code, answer.envelope) == ("rejected_risk_off", None)


def test_symbols_whose_groups_change_are_told_at_once(plane: ControlPlane) -> None:
    plane.enlist("p", ["CCC"])
    for name, symbol in (("i1", "AAA"), ("i2", "BBB")):
        plane.request_allocation(wants(name, risk="20000", symbol=symbol, template=name, playbook=name), "p")
    told = plane.get_portfolio_state("p").issued["CCC"]
    plane.state_instruments("p", {"CCC": Instrument("tech", "growth")})
    now = plane.get_portfolio_state("p").issued["CCC"]
    assert (told.max_new_risk, now.max_new_risk) == (20_000 * MONEY, 0)


def test_the_count_of_new_positions_is_that_of_its_day(plane: ControlPlane, clock: Hands) -> None:
    def shown() -> str:
        rows = limits_view(plane.get_portfolio_state("p"))
        return next(str(row["used"]) for row in rows if row["rule"] == "new_positions")

    plane.request_allocation(wants(), "p")
    assert shown() == "1"
    clock.at += timedelta(days=1)
    plane.broadcast_constraints("p")
    plane.request_allocation(wants("i2", side="flat", ts=clock.at), "p")
    assert shown() == "0"


# a store that is another one


def test_a_book_that_was_restored_while_a_process_ran_is_read_anew(tmp_path: Path, clock: Hands) -> None:
    path, kept = tmp_path / "book.sqlite", tmp_path / "kept.sqlite"
    with Book(sqlite_url(path)) as first:
        first.create()
        opened(ControlPlane(first, clock)).request_allocation(wants(), "p")
    shutil.copy(path, kept)
    with Book(sqlite_url(path)) as book:
        plane = ControlPlane(book, clock)
        plane.request_allocation(wants("i2", symbol="BBB"), "p")
        assert sorted(plane.get_portfolio_state("p").reservations) == ["i1", "i2"]
        book.close()
        for name in ("book.sqlite-wal", "book.sqlite-shm"):
            (tmp_path / name).unlink(missing_ok=True)
        shutil.copy(kept, tmp_path / "new.sqlite")
        (tmp_path / "new.sqlite").replace(path)
        assert sorted(plane.get_portfolio_state("p").reservations) == ["i1"]
        # as many events as before, and others
        plane.request_allocation(wants("i3", symbol="CCC"), "p")
        assert sorted(plane.get_portfolio_state("p").reservations) == ["i1", "i3"]
        assert audited(book).fault is None


def test_a_book_that_was_made_anew_with_as_many_events_is_not_taken_for_the_old_one(tmp_path: Path, clock: Hands) -> None:
    for name, symbol in (("i1", "AAA"), ("i2", "BBB")):
        with Book(sqlite_url(tmp_path / f"{name}.sqlite")) as made:
            made.create()
            opened(ControlPlane(made, clock)).request_allocation(wants(name, symbol=symbol), "p")
    (tmp_path / "i1.sqlite").rename(tmp_path / "book.sqlite")
    with Book(sqlite_url(tmp_path / "book.sqlite")) as book:
        plane = ControlPlane(book, clock)
        assert sorted(plane.get_portfolio_state("p").reservations) == ["i1"]
        book.close()
        (tmp_path / "i2.sqlite").replace(tmp_path / "book.sqlite")
        assert plane.request_allocation(wants("i3", symbol="CCC"), "p").decision.state_version == plane.versions["p"] - 2
        assert sorted(plane.get_portfolio_state("p").reservations) == ["i2", "i3"]
        assert audited(book).fault is None


# why


def test_a_decision_is_found_though_portfolios_and_intents_have_colons_in_their_names(home: Home, clock: Hands) -> None:
    plane = ControlPlane(home.book, clock)
    for portfolio, name in (("a", "i1"), ("a", "b:i2"), ("a:b", "i3"), ("c", "a:i4")):
        opened(plane, portfolio)
        plane.request_allocation(wants(name), portfolio)
    for identity, title in (
        ("a:i1", "decision:a:i1"),
        ("a:b:i2", "decision:a:b:i2"),
        ("decision:a:b:i3", "decision:a:b:i3"),
        ("i3", "decision:a:b:i3"),
        ("a:i4", "decision:c:a:i4"),
        ("c:a:i4", "decision:c:a:i4"),
    ):
        assert why_decided(home, identity).title == title
    with pytest.raises(WrongUse, match="no decision on an intent 'a:i9'"):
        why_decided(home, "a:i9")
