"""The durable shell: what is answered is in the book, once; what fails leaves nothing behind; envelopes follow what binds."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import pytest

from portfolio_platform.book.chain import verify_chain
from portfolio_platform.book.events import read
from portfolio_platform.book.location import sqlite_url
from portfolio_platform.book.store import Book
from portfolio_platform.control.audit import audit
from portfolio_platform.control.events import FactsStated, stream_of
from portfolio_platform.control.log import envelopes_of, events_after
from portfolio_platform.control.plane import ControlPlane
from portfolio_platform.control.state import Instrument
from portfolio_platform.control.terms import Facts, Order
from portfolio_platform.days import nanoseconds
from portfolio_platform.errors import WrongUse
from tests.unit.control.examples import GROUPS, LIMITS, MONEY

START = datetime(2026, 1, 5, 12, tzinfo=UTC)


@dataclass
class Hands:
    """A clock that is moved by hand."""

    at: datetime = START

    def now(self):
        return self.at


@pytest.fixture
def clock():
    return Hands()


@pytest.fixture
def book(tmp_path):
    with Book(sqlite_url(tmp_path / "book.sqlite")) as book:
        book.create()
        yield book


@pytest.fixture
def plane(book, clock):
    return opened(ControlPlane(book, clock))


def opened(plane, portfolio="p", at=START, **facts):
    plane.open_portfolio(portfolio, LIMITS)
    plane.state_instruments(portfolio, GROUPS)
    said = Facts(**{"equity": 1_000_000 * MONEY, "at": nanoseconds(at), "session": 1, "day": at.date().isoformat(), **facts})
    plane.state_facts(portfolio, [FactsStated(0, said, (), ())])
    return plane


def wants(name="i1", risk="5000.00", symbol="AAA", **said):
    return {
        "intent_id": name,
        "strategy": "trend",
        "symbol": symbol,
        "side": "long",
        "requested_risk": risk,
        "ts": START.isoformat(),
        **said,
    }


def bought(name, quantity, intent="", **said):
    given = {"execution_id": name, "ts": START.isoformat(), "strategy": "trend", "symbol": "AAA", "side": "buy", "quantity": quantity}
    return {**given, "price": "100", "stop_price": "50", "intent_id": intent, **said}


def audited(book, portfolio="p"):
    with book.reading() as connection:
        assert verify_chain(connection).ok
        return audit(portfolio, events_after(connection, portfolio), envelopes_of(connection, portfolio), every=1)


def count(book, stream):
    with book.reading() as connection:
        return len(list(read(connection, stream)))


def test_an_answer_is_in_the_log_with_its_intent_and_every_headroom(plane, book):
    answer = plane.request_allocation(wants(), "p")
    assert answer.decision.code == "approved_full"
    with book.reading() as connection:
        last = [one.event for one in events_after(connection, "p") if type(one.event).__name__ == "AllocationDecided"]
    assert [one.decision for one in last] == [answer.decision]
    assert last[0].intent.requested_risk == 500_000
    assert audited(book).fault is None


def test_the_same_intent_again_gets_the_same_answer_and_is_in_the_log_once(plane, book, clock):
    first = plane.request_allocation(wants(), "p")
    before = count(book, "control/p")
    clock.at += timedelta(minutes=5)
    again = plane.request_allocation(wants(), "p")
    assert (again.decision, again.repeated) == (first.decision, True)
    assert ControlPlane(book, clock).request_allocation(wants(), "p").decision == first.decision
    assert count(book, "control/p") == before


def test_the_same_id_with_other_content_is_refused_once_and_the_first_answer_stands(plane, book):
    first = plane.request_allocation(wants(), "p")
    other = plane.request_allocation(wants(risk="6000"), "p")
    assert (other.decision.code, other.repeated) == ("rejected_invalid", False)
    assert "was used for another intent" in other.decision.reasons[0]
    assert plane.request_allocation(wants(risk="6000"), "p").repeated
    assert plane.request_allocation(wants(), "p").decision == first.decision
    assert plane.get_portfolio_state("p").reserved_risk == 5_000 * MONEY
    assert audited(book).fault is None


def test_an_intent_twice_in_one_batch_is_answered_once(plane):
    answers = plane.request_allocations([wants(), wants(), wants(risk="1")], "p")
    assert [one.repeated for one in answers] == [False, True, False]
    assert answers[2].decision.code == "rejected_invalid"


@pytest.mark.parametrize(
    "wrong",
    [
        {"requested_risk": float("nan")},
        {"requested_risk": float("inf")},
        {"requested_risk": "1e40"},
        {"requested_risk": None},
        {"requested_risk": True},
        {"requested_risk": [1]},
        {"ts": "yesterday"},
        {"ts": START.replace(tzinfo=None)},
        {"ts": 10**30},
        {"side": 3},
        {"symbol": "A" * 300},
        {"symbol": "A\x00"},
        {"intent_id": ""},
        {"colour": "red"},
        {"portfolio": "nobody"},
    ],
)
def test_whatever_a_strategy_sends_is_answered_and_recorded_and_never_raises(plane, book, wrong):
    answer = plane.request_allocation(wants() | wrong, "p")
    assert answer.decision.code == "rejected_invalid"
    assert answer.decision.reasons
    assert plane.request_allocation(wants() | wrong, "p").repeated
    assert audited(book).fault is None


def test_a_batch_of_several_portfolios_is_a_wrong_use_and_writes_nothing(plane, book):
    before = count(book, "control/p")
    with pytest.raises(WrongUse, match="one portfolio"):
        plane.request_allocations([wants(), wants("i2", portfolio="q")], "p")
    assert count(book, "control/p") == before


def test_what_fails_in_the_middle_of_a_batch_leaves_nothing_behind(plane, book):
    before, state = count(book, "control/p"), plane.get_portfolio_state("p")
    with pytest.raises(WrongUse, match="quantity"):
        plane.on_fills([bought("x1", 10), bought("x2", -1)], "p")
    assert (count(book, "control/p"), plane.get_portfolio_state("p")) == (before, state)
    assert plane.on_fill(bought("x1", 10), "p")


def test_two_processes_see_each_others_decisions(plane, book, clock):
    other = ControlPlane(book, clock)
    for number in range(6):
        (plane if number % 2 else other).request_allocation(wants(f"i{number}", symbol=("AAA", "BBB", "CCC")[number % 3]), "p")
    assert plane.get_portfolio_state("p") == other.get_portfolio_state("p")
    assert plane.get_portfolio_state("p").reserved_risk == 6 * 5_000 * MONEY
    assert audited(book).decisions == 6


def test_a_reservation_expires_on_the_clock_by_an_event(plane, book, clock):
    plane.request_allocation(wants(), "p")
    clock.at += timedelta(days=4)
    plane.broadcast_constraints("p")
    assert plane.get_portfolio_state("p").reserved_risk == 0
    with book.reading() as connection:
        ended = [one for one in read(connection, "control/p") if one.type == "reservation_ended"]
    assert [one.data["expired"] for one in ended] == [True]


def test_a_clock_that_goes_back_ends_nothing_and_breaks_nothing(plane, book, clock):
    plane.request_allocation(wants(), "p")
    clock.at -= timedelta(days=30)
    answer = plane.request_allocation(wants("i2"), "p")
    assert answer.decision.at == nanoseconds(START)
    assert plane.get_portfolio_state("p").reserved_risk == 10_000 * MONEY
    assert audited(book).fault is None


def test_a_fill_is_recorded_once_and_another_quantity_under_its_id_is_disputed(plane, book):
    plane.request_allocation(wants(), "p")
    assert plane.on_fill(bought("x1", 100, "i1"), "p")
    assert not plane.on_fill(bought("x1", 100, "i1"), "p")
    assert not plane.on_fill(bought("x1", 90, "i1"), "p")
    assert not plane.on_fill(bought("x1", 90, "i1"), "p")
    state = plane.get_portfolio_state("p")
    assert (state.active_risk, state.reserved_risk) == (5_000 * MONEY, 0)
    with book.reading() as connection:
        noticed = [one.data["what"] for one in read(connection, "control/p") if one.type == "control_noticed"]
    assert noticed == ["fill_disputed"]


def test_risk_off_reaches_every_active_symbol_within_one_cycle(plane, book):
    plane.enlist("p", ["AAA", "BBB", "CCC"])
    plane.request_allocation(wants(), "p")
    until = nanoseconds(START + timedelta(days=1))
    told = plane.give_order("p", [Order("o1", "mode", "operator", "alice", "storm", nanoseconds(START), until, mode="risk_off")])
    assert sorted(one.symbol for one in told) == ["AAA", "BBB", "CCC"]
    assert {(one.portfolio_mode, one.max_new_risk, one.size_multiplier_cap) for one in told} == {("risk_off", 0, 0)}
    assert plane.request_allocation(wants("i2"), "p").decision.code == "rejected_risk_off"
    with book.reading() as connection:
        for symbol in ("AAA", "BBB", "CCC"):
            assert list(read(connection, stream_of("p", symbol)))[-1].data["portfolio_mode"] == "risk_off"
    assert audited(book).envelopes >= 6


def test_what_was_before_an_order_returns_when_its_time_is_over(plane, clock):
    plane.enlist("p", ["AAA"])
    until = nanoseconds(START + timedelta(hours=1))
    plane.give_order("p", [Order("o1", "flatten", "operator", "alice", "storm", nanoseconds(START), until)])
    assert plane.request_allocation(wants(), "p").decision.code == "rejected_flatten_only"
    clock.at += timedelta(hours=1)
    told = plane.broadcast_constraints("p")
    assert [one.force_flatten_only for one in told] == [False]
    assert plane.request_allocation(wants("i2"), "p").decision.code == "approved_full"


def test_an_envelope_never_outlives_the_facts_or_the_order_that_it_follows(plane, clock):
    until = nanoseconds(START + timedelta(hours=1))
    plane.give_order("p", [Order("o1", "mode", "operator", "alice", "calm", nanoseconds(START), until, mode="defensive")])
    (envelope,) = plane.enlist("p", ["AAA"])
    assert envelope.expires_at == until
    assert envelope.size_multiplier_cap == 500_000


def test_an_envelope_is_not_sent_again_while_nothing_that_binds_has_changed(plane, clock):
    plane.enlist("p", ["AAA"])
    assert plane.broadcast_constraints("p") == []
    clock.at += timedelta(hours=13)
    assert [one.version for one in plane.broadcast_constraints("p")] == [2]


def test_using_the_last_of_the_heat_tells_every_symbol(plane):
    plane.enlist("p", ["AAA", "BBB", "CCC"])
    for number, symbol in enumerate(["AAA", "BBB", "CCC"]):
        plane.request_allocation(wants(f"i{number}", "20000", symbol, template=symbol, playbook=symbol), "p")
    state = plane.get_portfolio_state("p")
    assert {symbol: one.max_new_risk for symbol, one in state.issued.items()} == dict.fromkeys(("AAA", "BBB", "CCC"), 0)


def test_a_changed_policy_is_an_event_and_decisions_name_the_one_they_used(plane, book):
    from dataclasses import replace

    first = plane.request_allocation(wants(), "p").decision
    plane.open_portfolio("p", replace(LIMITS, policy_hash="other", caps=(("risk", "heat", 5_000),)))
    second = plane.request_allocation(wants("i2"), "p").decision
    assert (first.policy_hash, second.policy_hash, second.code) == (LIMITS.policy_hash, "other", "rejected_heat")
    assert audited(book).fault is None


def test_names_with_slashes_have_streams_of_their_own(plane, book):
    plane.state_instruments("p", {"BTC/USD": Instrument("crypto", ""), "BTC": Instrument("crypto", "")})
    plane.enlist("p", ["BTC/USD", "BTC"])
    assert count(book, "control/p/BTC%2FUSD") == count(book, "control/p/BTC") == 1


@pytest.mark.parametrize("missing", ["by", "reason", "until"])
def test_an_order_wants_a_name_a_reason_and_an_end(plane, missing):
    whole = Order("o1", "mode", "operator", "alice", "storm", nanoseconds(START), nanoseconds(START) + 10, mode="risk_off")
    with pytest.raises(WrongUse, match="a name, a reason and an end"):
        plane.give_order("p", [whole._replace(**{missing: "" if missing != "until" else 0})])


def test_a_session_stated_twice_is_stated_once_and_restated_when_its_facts_differ(plane):
    version = plane.get_portfolio_state("p").version
    opened(plane)
    assert plane.get_portfolio_state("p").version == version
    opened(plane, equity=900_000 * MONEY)
    assert plane.get_portfolio_state("p").terms.facts.equity == 900_000 * MONEY


def test_going_live_is_recorded_once_and_nothing_else_of_the_opening_changes(plane, book):
    since = plane.get_portfolio_state("p").since
    plane.open_portfolio("p", LIMITS, live=True)
    plane.open_portfolio("p", LIMITS, live=True)
    state = plane.get_portfolio_state("p")
    assert (state.live, state.since) == (True, since)
    with book.reading() as connection:
        assert [one.data["live"] for one in read(connection, "control/p") if one.type == "control_opened"] == [False, True]
