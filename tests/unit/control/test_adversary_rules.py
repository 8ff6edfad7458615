"""Sequences that would take risk beyond a cap, refuse what reduces, or tell a symbol more than a decision would grant."""

from typing import Any

import pytest

from portfolio_platform.control import findings
from portfolio_platform.control.batch import Batch, Known
from portfolio_platform.control.envelopes import due, envelope
from portfolio_platform.control.events import FillRecorded, ReservationEnded, Stated, SymbolEnlisted
from portfolio_platform.control.model import SET_ASIDE
from portfolio_platform.control.reduce import apply, replay, summed
from portfolio_platform.control.rules import decide, headrooms
from portfolio_platform.control.state import ControlState, Reservation
from portfolio_platform.control.terms import Order, fault_of
from portfolio_platform.days import day_number
from tests.unit.control.examples import DAY, EQUITY, LIMITS, MONEY, NOON, asked, begun, facts, fill, intent, order, room

UNKNOWN = Known({}, {})


# reducing is never refused


@pytest.mark.parametrize(
    "said",
    [
        {"ts": NOON - 90 * DAY},
        {"ts": NOON + 90 * DAY},
        {"requested_notional": -5},
        {"risk": -5},
        {"fault": SET_ASIDE + "requested_risk: nan is not finite"},
    ],
)
def test_an_intent_that_reduces_is_answered_whatever_its_time_and_its_numbers_are(said: dict[str, Any]) -> None:
    state = begun(order("f", "flatten"), order("o", "cap", rule="heat", basis="exposure", amount=0), expires=NOON + 1)
    assert decide(state, intent(**{"side": "flat", "risk": 0, **said}), NOON + 2).code == "approved_full"
    assert not decide(state, intent(**said), NOON + 2).approved


def test_what_was_set_aside_is_in_the_reasons() -> None:
    decision = decide(begun(), intent(side="flat", risk=0, fault=SET_ASIDE + "ts: is missing"), NOON)
    assert decision.reasons == ("reduces", "set aside: ts: is missing")


def test_a_position_in_an_instrument_nobody_stated_can_be_reduced_and_not_added_to() -> None:
    state = apply(begun(), fill("x1", 10, 700, symbol="ZZZ"))
    assert decide(state, intent(side="flat", risk=0, symbol="ZZZ"), NOON + 2).code == "approved_full"
    assert decide(state, intent(symbol="ZZZ"), NOON + 2).code == "rejected_invalid"
    assert decide(state, intent(side="flat", risk=0, symbol="YYY"), NOON + 2).code == "rejected_invalid"


# no fill takes from a reservation that is not its own


@pytest.mark.parametrize("wrong", [{"symbol": "BBB"}, {"strategy": "other"}])
def test_a_fill_takes_nothing_from_a_reservation_in_another_symbol_or_of_another_strategy(wrong: dict[str, str]) -> None:
    state, _ = asked(begun(), intent("i1", 20_000))
    event = fill("x1", 10, 20_000, intent_id="i1", **wrong)
    (noticed,) = findings.of_fill(state, event)
    assert (noticed.what, noticed.expected) == ("unreserved_fill", "a reservation of intent i1, which is long AAA of trend")
    state = apply(state, event)
    assert (state.active_risk, state.reserved_risk) == (20_000 * MONEY, 20_000 * MONEY)
    assert decide(state, intent("i2", 20_000), NOON + 2).code == "rejected_symbol_cap"


def test_a_sale_takes_nothing_from_a_reservation_to_buy() -> None:
    state, _ = asked(begun(), intent("i1", 5_000))
    state = apply(state, fill("x1", -10, 5_000, intent_id="i1"))
    assert (state.active_risk, state.reserved_risk) == (5_000 * MONEY, 5_000 * MONEY)


def test_a_fill_that_names_no_strategy_takes_from_the_reservation_of_its_intent() -> None:
    state, _ = asked(begun(), intent("i1", 5_000))
    assert apply(state, fill("x1", 10, 5_000, intent_id="i1", strategy="")).reserved_risk == 0


@pytest.mark.parametrize("wrong", [{"symbol": "BBB"}, {"strategy": "other"}, {"side": "short"}])
def test_a_fill_before_its_decision_leaves_less_to_reserve_only_where_it_is_of_the_same_position(wrong: dict[str, str]) -> None:
    state = apply(begun(), fill("x1", 10, 5_000, intent_id="i1"))
    state, decision = asked(state, intent("i1", 5_000, **wrong), NOON + 2)
    assert decision.approved_risk == 5_000 * MONEY
    assert state.reserved_risk == 5_000 * MONEY


# risk stays in the groups whose caps made room for it


def test_a_fill_that_does_not_repeat_template_and_playbook_counts_for_those_of_its_intent() -> None:
    state, _ = asked(begun(), intent("i1", 20_000))
    state = apply(state, fill("x1", 10, 20_000, intent_id="i1", template="", playbook=""))
    assert (state.used["template", "breakout"], state.used["playbook", "squeeze"]) == (20_000 * MONEY, 20_000 * MONEY)
    without = apply(begun(), fill("x1", 10, 700, template="", playbook=""))
    assert apply(without, fill("x2", 10, 300)).used["template", "breakout"] == 1_000 * MONEY


def test_a_bucket_that_only_the_intent_names_is_used_by_its_fill_too_until_facts_know_better() -> None:
    state = begun()
    for name, symbol in (("i1", "AAA"), ("i2", "BBB")):
        state, _ = asked(state, intent(name, 20_000, symbol, correlation_bucket="b", template=name, playbook=name))
        state = apply(state, fill(f"x{name}", 10, 20_000, symbol=symbol, intent_id=name))
    more = intent("i3", 5_000, "CCC", correlation_bucket="b", template="t", playbook="t")
    assert decide(state, more, NOON + 2).code == "rejected_correlation_cap"
    told = tuple(Stated(*key, one.quantity, one.risk, one.exposure, "", "") for key, one in state.positions.items())
    assert apply(state, facts(NOON + 3, told)).used["bucket", "b"] == 40_000 * MONEY
    assert apply(state, facts(NOON + 3, told, (("AAA", "c"), ("BBB", "c")))).used["bucket", "c"] == 40_000 * MONEY


def test_adding_to_a_position_is_held_against_the_template_that_its_risk_will_count_for() -> None:
    state = replay(begun(), [fill("x1", 10, 10_000), fill("x2", 10, 30_000, symbol="CCC", strategy="s")])  # 40,000 under `breakout`
    wanted = intent("i1", 5_000, template="other", playbook="other")
    decision = decide(state, wanted, NOON + 2)
    assert (decision.code, room(decision, "template")) == ("rejected_template_cap", (40_000 * MONEY, 40_000 * MONEY, 0))
    assert [one.scope for one in decision.headrooms if one.rule == "template"] == ["breakout"]
    assert decide(state, wanted._replace(side="short"), NOON + 2).approved  # that would be a position of its own
    state, _ = asked(replay(begun(), [fill("x1", 10, 10_000)]), wanted, NOON + 2)
    assert state.used["template", "breakout"] == 15_000 * MONEY


# new positions a day


def test_giving_up_the_first_of_two_intents_of_a_position_frees_no_place_of_its_day() -> None:
    state = begun(new_positions=1)
    state, _ = asked(state, intent("i1", 1_000))
    state, _ = asked(state, intent("i2", 1_000))
    state = apply(state, ReservationEnded(NOON, "i1", False, "trend", "no fill"))
    assert decide(state, intent("i3", 1_000, "BBB"), NOON).code == "rejected_new_positions"
    state = apply(state, ReservationEnded(NOON, "i2", False, "trend", "no fill"))
    assert decide(state, intent("i3", 1_000, "BBB"), NOON).approved


def test_giving_up_an_intent_frees_no_place_once_its_position_was_opened_by_another_and_closed() -> None:
    state = begun(new_positions=1)
    state, _ = asked(state, intent("i1", 1_000))
    state, _ = asked(state, intent("i2", 1_000))
    state = replay(state, [fill("x1", 10, 1_000, intent_id="i2"), fill("x2", -10, None)])
    state = apply(state, ReservationEnded(NOON + 2, "i1", False, "trend", "no fill"))
    assert not state.holders
    assert decide(state, intent("i3", 1_000, "BBB"), NOON + 2).code == "rejected_new_positions"


def test_a_position_that_nothing_was_reserved_for_counts_among_the_new_ones_of_its_day() -> None:
    state = apply(begun(new_positions=1), fill("x1", 10, 700, symbol="BBB"))
    assert decide(state, intent(), NOON + 2).code == "rejected_new_positions"
    late = fill("x1", 10, 700, symbol="BBB")
    state = apply(begun(new_positions=1), FillRecorded(NOON + DAY, late.fill))  # told on the day after
    assert decide(state, intent(ts=NOON + DAY), NOON + DAY).approved
    before = fill("x1", 10, 700, symbol="BBB", at=NOON - 1)
    assert decide(apply(begun(new_positions=1), before), intent(), NOON).approved  # history


def test_a_position_that_its_decision_was_counted_for_is_not_counted_again() -> None:
    state, _ = asked(begun(), intent("i1", 5_000))
    state = replay(state, [fill("x1", 10, 2_000, intent_id="i1"), fill("x2", 10, 2_000, intent_id="i1")])
    assert (state.opened, state.day) == (1, day_number(NOON))


# orders


def test_a_tightening_of_one_group_widens_nothing_that_an_operator_ordered_for_all() -> None:
    one = {"rule": "symbol", "basis": "risk"}
    state = begun(
        order("r", "cap", source="recommendation", scope="AAA", amount=15_000 * MONEY, tightens=True, **one),
        order("o", "cap", amount=5_000 * MONEY, **one),
    )
    assert room(decide(state, intent(), NOON), "symbol")[0] == 5_000 * MONEY
    assert headrooms(state, intent(), NOON)[1].source == "operator:alice"
    wide = begun(
        order("r", "cap", source="recommendation", scope="AAA", amount=15_000 * MONEY, tightens=True, **one),
        order("o", "cap", amount=30_000 * MONEY, **one),
    )
    assert room(decide(wide, intent(), NOON), "symbol")[0] == 15_000 * MONEY


@pytest.mark.parametrize(
    ("said", "named"),
    [
        ({"kind": "halt"}, "kind"),
        ({"kind": "mode", "mode": "panic"}, "mode"),
        ({"rule": "haet"}, "rule"),
        ({"rule": "positions", "basis": "risk"}, "basis"),
        ({"rule": "symbol", "basis": "count"}, "basis"),
        ({"rule": "heat", "scope": "tech"}, "scope"),
        ({"rule": "positions", "basis": "count", "scope": "AAA"}, "scope"),
        ({"amount": -1}, "amount"),
        ({"amount": 1.5}, "amount"),
        ({"amount": 10**20}, "amount"),
        ({"until": 10**20}, "end"),
    ],
)
def test_an_order_that_would_change_nothing_is_named(said: dict[str, Any], named: str) -> None:
    whole = Order("o", "cap", "operator", "alice", "storm", NOON, NOON + 1, rule="heat", basis="risk", amount=5)
    assert fault_of(whole, NOON) == ""
    assert fault_of(whole._replace(**said), NOON).startswith(named)


# envelopes


def test_an_envelope_leaves_nothing_where_every_decision_would_be_refused_for_its_facts_or_its_policy() -> None:
    late = NOON + LIMITS.facts_age
    assert envelope(begun(), "AAA", late).max_new_risk > 0
    told = envelope(begun(), "AAA", late + 1)
    assert (told.max_new_risk, told.max_additional_positions, told.binding) == (0, 0, "stale_state")
    assert envelope(begun(expires=NOON + 5), "AAA", NOON).expires_at == NOON + 5
    assert envelope(begun(expires=NOON + 5), "AAA", NOON + 6).max_new_risk == 0


def test_an_envelope_leaves_nothing_where_too_little_for_a_trade_is_left() -> None:
    state, _ = asked(begun(), intent(risk=19_900))
    assert decide(state, intent("i2"), NOON).code == "rejected_min_ticket"
    assert (envelope(state, "AAA", NOON).max_new_risk, envelope(state, "AAA", NOON).binding) == (0, "symbol")


def test_an_envelope_leaves_nothing_where_a_limit_on_exposure_is_used_up() -> None:
    state = apply(begun(), fill("x1", 100, 500, price=100))
    state = apply(state, order("o", "cap", rule="cohort", scope="tech", basis="exposure", amount=10_000 * MONEY))
    assert decide(state, intent("i1", symbol="BBB", requested_notional=500), NOON + 2).code == "rejected_cohort_cap"
    assert (envelope(state, "BBB", NOON + 2).max_new_risk, envelope(state, "BBB", NOON + 2).binding) == (0, "cohort exposure")
    assert envelope(state, "CCC", NOON + 2).max_new_risk > 0


def test_other_symbols_are_told_when_what_is_left_of_a_shared_limit_is_no_trade() -> None:
    state = begun(SymbolEnlisted(NOON, "CCC", True), caps=(("risk", "heat", 20_000),))
    batch = Batch(state, NOON)
    batch.tell(everybody=True)
    batch = Batch(batch.state, NOON)
    batch.decide(intent(risk=19_950), UNKNOWN)
    assert [(one.symbol, one.max_new_risk) for one in batch.tell()] == [("AAA", 0), ("CCC", 0)]


def test_no_symbol_is_promised_risk_that_none_could_get() -> None:
    """Whatever the envelope leaves, an intent of a group without caps of its own gets, and no more."""
    state = begun(caps=(("risk", "heat", 60_000), ("risk", "symbol", 20_000), ("risk", "cohort", 30_000)))
    for number in range(40):
        symbol = ("AAA", "BBB", "CCC")[number % 3]
        told = envelope(state, symbol, NOON)
        wanted = intent(f"i{number}", EQUITY // MONEY, symbol, template="", playbook="")
        decision = decide(state, wanted, NOON)
        assert decision.approved_risk == told.max_new_risk
        state, _ = asked(state, intent(f"i{number}", 777 * (number + 1), symbol, template="", playbook=""))


def test_a_symbol_that_is_due_is_told_once() -> None:
    state = begun(SymbolEnlisted(NOON, "AAA", True))
    batch = Batch(state, NOON + LIMITS.facts_age + 1)
    assert [one.binding for one in batch.tell(everybody=True)] == ["stale_state"]
    assert due(batch.state, batch.now) == []


# costs


def _reserved(count: int, apart: int) -> ControlState:
    state = begun(new_positions=10**6, positions=10**6, minimum_ticket=0)
    for number in range(count):
        wanted = intent(f"i{number}", 0, strategy=f"s{number}", ts=NOON + number * apart)._replace(requested_risk=10)
        state, decision = asked(state, wanted, NOON + number * apart)
        assert decision.approved
    return state


@pytest.mark.parametrize("apart", [0, 1])
def test_what_ends_many_reservations_looks_at_each_a_few_times_and_not_at_all_for_each(apart: int) -> None:
    state, looks = _reserved(400, apart), 0

    class Counted(Reservation):
        @property
        def expires_at(self) -> int:  # type: ignore[override]
            nonlocal looks
            looks += 1
            return self[10]

    assert Reservation._fields[10] == "expires_at"
    watched = {name: Counted(*one) for name, one in state.reservations.items()}
    state = state._replace(reservations=state.reservations.update(watched))
    after = Batch(state, NOON + 10 * DAY).state
    assert not after.reservations
    assert (after.next_expiry, after.opened) == (0, 0)
    assert summed(after) == after
    assert looks < 400 * 30  # every one for every other would be 80,000


def test_the_next_expiry_is_known_after_some_have_ended() -> None:
    state = _reserved(5, 7)
    ends = sorted(one.expires_at for one in state.reservations.values())
    state = Batch(state, ends[2]).state
    assert state.next_expiry == ends[3]
    assert apply(state, ReservationEnded(ends[2], "i4", False, "s4", "no fill")).next_expiry == ends[3]
    assert apply(state, ReservationEnded(ends[2], "i3", False, "s3", "no fill")).next_expiry == ends[4]


def test_a_closing_fill_looks_at_the_reservations_behind_its_position_alone() -> None:
    state, _ = asked(_reserved(50, 0), intent("own", 5_000))
    state = apply(state, fill("x1", 40, 2_000, intent_id="own"))
    assert dict(state.begun) == {("trend", "AAA"): ("own",)}
    batch = Batch(state, NOON + 3)
    batch.fill(fill("x2", -40, None).fill, UNKNOWN)
    assert batch.pending[0].data["left"] == {"own": 0}
    assert (dict(batch.state.begun), len(batch.state.reservations)) == ({}, 50)
