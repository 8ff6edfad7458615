"""What events do to a state: reservations committed by fills, released by close, cancel and expiry; facts laid under later fills."""

from collections import defaultdict

from hypothesis import given
from hypothesis import strategies as st

from portfolio_platform.control import findings
from portfolio_platform.control.audit import unreconciled
from portfolio_platform.control.events import NAMES, Noticed, OrderEnded, ReservationEnded, Stated, decode, encode
from portfolio_platform.control.reduce import apply, moved, replay
from portfolio_platform.control.state import Position
from tests.unit.control.examples import DAY, EQUITY, MONEY, NOON, UNIT, asked, begun, facts, fill, intent, order


def held(state, strategy="trend", symbol="AAA"):
    position = state.positions.get((strategy, symbol))
    return None if position is None else (position.quantity // UNIT, position.risk // MONEY)


def test_a_fill_moves_its_risk_from_reserved_to_active():
    state, _ = asked(begun(), intent(risk=5_000))
    state = apply(state, fill("x1", 100, 5_000, intent_id="i1"))
    assert (state.active_risk, state.reserved_risk) == (5_000 * MONEY, 0)
    assert state.used["heat", ""] == 5_000 * MONEY
    assert held(state) == (100, 5_000)


def test_partial_fills_commit_in_part_and_keep_the_rest_reserved():
    state, _ = asked(begun(), intent(risk=5_000, requested_notional=50_000 * MONEY))
    state = apply(state, fill("x1", 40, 2_000, intent_id="i1"))
    assert (state.active_risk, state.reserved_risk) == (2_000 * MONEY, 3_000 * MONEY)
    assert state.exposed["symbol", "AAA"] == 50_000 * MONEY  # 4,000 filled, 46,000 still reserved
    state = apply(state, fill("x2", 60, 3_000, intent_id="i1"))
    assert (state.active_risk, state.reserved_risk) == (5_000 * MONEY, 0)


def test_an_over_fill_is_active_in_full_and_noticed():
    state, _ = asked(begun(), intent(risk=5_000))
    event = fill("x1", 120, 6_000, intent_id="i1")
    (noticed,) = findings.of_fill(state, event)
    assert (noticed.what, noticed.subject) == ("overfill", "x1")
    state = apply(state, event)
    assert (state.active_risk, state.reserved_risk) == (6_000 * MONEY, 0)


def test_a_fill_that_nothing_was_reserved_for_is_active_and_noticed():
    state = begun()
    event = fill("x1", 10, 700)
    assert [one.what for one in findings.of_fill(state, event)] == ["unreserved_fill"]
    assert apply(state, event).active_risk == 700 * MONEY


def test_fills_from_before_control_began_are_history_and_not_noticed():
    assert findings.of_fill(begun(), fill("x1", 10, 700, at=NOON - 1)) == []


def test_a_fill_without_a_stop_takes_all_of_its_reservation_or_its_whole_exposure():
    state, _ = asked(begun(), intent(risk=5_000))
    assert apply(state, fill("x1", 10, None, intent_id="i1")).active_risk == 5_000 * MONEY
    assert apply(begun(), fill("x1", 10, None, price=100)).active_risk == 1_000 * MONEY


def test_a_fill_that_comes_before_its_decision_leaves_only_the_rest_to_reserve():
    state = apply(begun(), fill("x1", 40, 2_000, intent_id="i1"))
    state, decision = asked(state, intent("i1", 5_000), NOON + 2)
    assert decision.approved_risk == 5_000 * MONEY
    assert (state.active_risk, state.reserved_risk) == (2_000 * MONEY, 3_000 * MONEY)
    assert not state.early


def test_reducing_takes_its_share_of_risk_and_flat_takes_all():
    state = replay(begun(), [fill("x1", 100, 5_000), fill("x2", -25, None)])
    assert held(state) == (75, 3_750)
    state = apply(state, fill("x3", -75, None))
    assert held(state) is None
    assert (state.active_risk, dict(state.used), dict(state.exposed), dict(state.holders)) == (0, {}, {}, {})


def test_a_flip_closes_all_and_opens_the_rest_on_the_other_side():
    positions, opened, exposure = moved(
        begun().positions.set(("trend", "AAA"), Position(100 * UNIT, 500, 900, "a", "b")), fill("x", -150, 3).fill
    )
    assert positions["trend", "AAA"].quantity == -50 * UNIT
    assert (opened, exposure) == (100, 150 * 100 * MONEY // 3)  # a third of 300 minor units opened
    assert positions["trend", "AAA"].risk == 100


def test_closing_releases_what_is_left_of_the_reservation():
    state, _ = asked(begun(), intent(risk=5_000))
    state = replay(state, [fill("x1", 40, 2_000, intent_id="i1"), fill("x2", -40, None)])
    assert (state.active_risk, state.reserved_risk, dict(state.reservations)) == (0, 0, {})


def test_cancelling_and_expiring_give_the_risk_back_and_the_place_where_nothing_was_filled():
    for expired in (False, True):
        state, _ = asked(begun(), intent(risk=5_000))
        assert state.opened == 1
        state = apply(state, ReservationEnded(NOON + 1, "i1", expired, "trend", "no fill"))
        assert (state.reserved_risk, state.opened, state.next_expiry, dict(state.used)) == (0, 0, 0, {})


def test_ending_what_is_not_reserved_changes_nothing_but_the_version():
    state = begun()
    after = apply(state, ReservationEnded(NOON, "nobody", True, "x", "y"))
    assert after == state._replace(version=state.version + 1)


def test_facts_take_positions_over_and_later_fills_are_laid_on_top():
    state = replay(begun(), [fill("x1", 100, 5_000, at=NOON + 1), fill("x2", 50, 2_000, at=NOON + DAY)])
    state = apply(state, facts(NOON + DAY - 1, (Stated("trend", "AAA", 100 * UNIT, 4_000 * MONEY, 11_000 * MONEY, "breakout", "squeeze"),)))
    assert held(state) == (150, 6_000)  # 4,000 at the session's stop, and 2,000 of the fill after it
    assert state.active_risk == 6_000 * MONEY


def test_quantities_that_differ_are_noticed_and_those_of_later_fills_are_not():
    state = replay(begun(), [fill("x1", 100, 5_000, at=NOON + 1), fill("x2", 50, 2_000, at=NOON + DAY)])
    agrees = facts(NOON + DAY - 1, (Stated("trend", "AAA", 100 * UNIT, 1, 1, "", ""),))
    assert findings.of_facts(state, agrees) == []
    differs = facts(NOON + DAY - 1, (Stated("trend", "AAA", 90 * UNIT, 1, 1, "", ""),))
    (noticed,) = findings.of_facts(state, differs)
    assert (noticed.what, noticed.expected, noticed.found) == ("quantity_drift", "100", "90")


def test_caps_return_when_an_order_ends():
    state = begun(order("o", "cap", rule="heat", basis="risk", amount=1_000 * MONEY))
    assert state.terms.cap("risk", "heat", "").amount == 1_000 * MONEY
    state = apply(state, OrderEnded(NOON + DAY, "o", True, "rule:clock", "over"))
    assert state.terms.cap("risk", "heat", "").amount == EQUITY * 6 // 100


def test_the_graver_of_regime_and_recommendation_counts_and_an_operators_mode_before_both():
    graver = order("r", "mode", source="recommendation", mode="risk_off")
    state = begun(facts(regime="defensive", regime_mode="defensive", regime_size=500_000), graver)
    assert (state.terms.mode, state.terms.multiplier) == ("risk_off", 0)
    state = apply(state, order("o", "mode", mode="normal"))
    assert (state.terms.mode, state.terms.multiplier, state.terms.mode_source) == ("normal", 1_000_000, "operator:alice")


MOVES = st.lists(
    st.tuples(
        st.sampled_from(["ask", "fill", "cancel", "facts", "buckets"]),
        st.integers(1, 400),
        st.sampled_from(["AAA", "BBB", "CCC"]),
        st.sampled_from(["s", "t"]),
        st.booleans(),
    ),
    max_size=25,
)


@given(MOVES)
def test_sums_always_are_what_positions_and_reservations_add_up_to(moves):
    state = begun(new_positions=100, minimum_ticket=0)
    granted, committed = defaultdict(int), defaultdict(int)
    for number, (move, size, symbol, strategy, buys) in enumerate(moves):
        at = NOON + number + 1
        if move == "ask":
            state, decision = asked(state, intent(f"i{number}", size, symbol, strategy=strategy, template=strategy), at)
            granted[f"i{number}"] = decision.approved_risk
        elif move == "fill":
            open_ones = sorted(name for name, one in state.reservations.items() if (one.strategy, one.symbol) == (strategy, symbol))
            named = open_ones[0] if open_ones and size % 3 else ""
            event = fill(f"x{number}", size if buys else -size, size, symbol=symbol, at=at, strategy=strategy, intent_id=named)
            before = state.reservations.get(named)
            state = apply(state, event)
            if before is not None:
                after = state.reservations.get(named)
                committed[named] += before.remaining - (after.remaining if after else 0)
        elif move == "cancel" and state.reservations:
            name = sorted(state.reservations)[size % len(state.reservations)]
            committed[name] += state.reservations[name].remaining
            state = apply(state, ReservationEnded(at, name, buys, "x", "y"))
        elif move == "buckets":
            told = tuple(
                Stated(*key, one.quantity, one.risk, one.exposure, one.template, one.playbook) for key, one in state.positions.items()
            )
            state = apply(state, facts(at, told, (("AAA", "b"), (symbol, "b"))))
        assert unreconciled(state) is None
        assert state.active_risk == sum(one.risk for one in state.positions.values())
        assert state.reserved_risk == sum(one.remaining for one in state.reservations.values())
        assert all(0 <= one.remaining <= one.granted for one in state.reservations.values())
        for name, one in state.reservations.items():
            assert one.remaining + committed[name] == granted[name]


def test_every_event_reads_back_from_its_data_as_it_was():
    import orjson

    state = begun()
    wanted = intent(requested_notional=7 * MONEY)
    _, decision = asked(state, wanted)
    from portfolio_platform.control import events

    samples = [
        events.PortfolioOpened(1, 2, "USD", 2, True),
        events.InstrumentsStated(1, (("A/B", events.Instrument("x", "y")),)),
        events.PolicyAdopted(1, state.terms.limits),
        facts(5, (Stated("s", "AAA", -(10**25), 1, 2, "t", "p"),), (("AAA", "b"),)),
        events.AllocationDecided(1, wanted, decision),
        fill("x", -2.5, None),
        ReservationEnded(1, "i", True, "a", "b"),
        order("o", "cap", rule="heat", basis="risk", amount=4),
        OrderEnded(1, "o", False, "a", "b"),
        events.RiskOffReleased(1, "a", "b"),
        events.SymbolEnlisted(1, "AAA", True),
        events.EnvelopesIssued(1, ("AAA",), "cycle"),
        Noticed(1, "overfill", "s", "AAA", "x", "1", "2"),
    ]
    assert {type(one) for one in samples} == set(NAMES)
    for one in samples:
        assert decode(NAMES[type(one)], orjson.loads(orjson.dumps(encode(one)))) == one
