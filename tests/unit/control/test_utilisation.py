"""How much of each limit is used: added up by hand, and never otherwise than the state that decides."""

from hypothesis import given
from hypothesis import strategies as st

from portfolio_platform.control.events import Stated
from portfolio_platform.control.reduce import replay
from portfolio_platform.control.terms import Terms
from portfolio_platform.control.utilisation import NOTHING, Sums, summed_up, utilised
from tests.unit.control.examples import EQUITY, MONEY, UNIT, asked, begun, facts, fill, intent, order

HELD = (
    Stated("trend", "AAA", 10 * UNIT, 8_000 * MONEY, 100_000 * MONEY, "breakout", "squeeze"),
    Stated("swing", "BBB", -5 * UNIT, 3_000 * MONEY, 40_000 * MONEY, "reversal", ""),
)


def rows(state, opened=0, waiting=0):
    found = utilised(state.terms, *summed_up(state, opened, waiting))
    return {(one.rule, one.scope, one.basis): one for one in found}


def test_positions_and_reservations_are_added_up_by_the_groups_of_the_rules():
    state = begun(facts(positions=HELD, buckets=(("AAA", "AAA"), ("BBB", "AAA"))))
    state, decision = asked(state, intent("i1", 2_000, "CCC", template="reversal"))
    assert decision.approved_risk == 2_000 * MONEY
    found = rows(state, opened=1, waiting=1)
    heat = found["heat", "", "risk"]
    assert (heat.limit, heat.active, heat.reserved) == (60_000 * MONEY, 11_000 * MONEY, 2_000 * MONEY)
    assert (heat.used, heat.headroom, heat.source) == (13_000 * MONEY, 47_000 * MONEY, "policy")
    assert found["cohort", "tech", "risk"].active == 11_000 * MONEY
    reversal = found["template", "reversal", "risk"]
    assert (reversal.active, reversal.reserved) == (3_000 * MONEY, 2_000 * MONEY)
    assert found["bucket", "AAA", "risk"].active == 11_000 * MONEY and ("bucket", "CCC", "risk") not in found
    assert ("playbook", "squeeze", "risk") in found and ("playbook", "", "risk") not in found
    positions, new = found["positions", "", "count"], found["new_positions", "", "count"]
    assert (positions.limit, positions.active, positions.reserved, positions.headroom) == (20, 2, 1, 17)
    assert (new.limit, new.used, new.headroom) == (5, 2, 3)


def test_a_limit_that_is_passed_leaves_nothing_and_never_less():
    state = begun(facts(positions=(HELD[0]._replace(risk=25_000 * MONEY),)))
    symbol = rows(state)["symbol", "AAA", "risk"]
    assert (symbol.limit, symbol.used, symbol.headroom) == (20_000 * MONEY, 25_000 * MONEY, 0)


def test_an_order_on_one_group_is_listed_though_nothing_is_held_there():
    given_order = order("o1", "cap", rule="symbol", scope="CCC", basis="risk", amount=1_000 * MONEY, equity=EQUITY)
    found = rows(begun(given_order))
    one = found["symbol", "CCC", "risk"]
    assert (one.limit, one.used, one.source) == (1_000 * MONEY, 0, "operator:alice")


def test_a_limit_on_exposure_counts_exposure():
    given_order = order("o1", "cap", rule="cohort", scope="tech", basis="exposure", amount=150_000 * MONEY, equity=EQUITY)
    one = rows(begun(facts(positions=HELD), given_order))["cohort", "tech", "exposure"]
    assert (one.limit, one.active, one.headroom) == (150_000 * MONEY, 140_000 * MONEY, 10_000 * MONEY)


def test_where_no_policy_is_in_force_there_is_no_limit():
    assert utilised(Terms(), NOTHING) == []


@given(st.lists(st.tuples(st.sampled_from(["AAA", "BBB", "CCC"]), st.integers(100, 9_000), st.booleans()), max_size=12))
def test_what_is_added_up_is_what_the_state_that_decides_has(steps):
    """The register's sums and the reducer's running ones are two bookkeepings of the same events."""
    state = begun(facts(positions=HELD, buckets=(("AAA", "AAA"), ("BBB", "AAA"))))
    for number, (symbol, risk, fills) in enumerate(steps):
        state, decision = asked(state, intent(f"i{number}", risk, symbol))
        if fills and decision.approved_risk:
            state = replay(state, [fill(f"e{number}", 7, risk // 2, symbol=symbol, intent_id=f"i{number}")])
    active, reserved = summed_up(state)
    for kind, sums in (("risk", state.used), ("exposure", state.exposed)):
        mine, theirs = getattr(active, kind), getattr(reserved, kind)
        assert {key: mine.get(key, 0) + theirs.get(key, 0) for key in {*mine, *theirs}} == dict(sums)
    assert active.positions + reserved.positions == len(state.holders)


def test_sums_without_anything_use_nothing():
    assert all(one.used == 0 for one in utilised(begun().terms, Sums({}, {}, 0, 0)))
