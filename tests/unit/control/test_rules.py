"""What the rules answer, with numbers written out: equity 1,000,000, heat 6 %, symbol 2 %, the other groups 4 %."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from portfolio_platform.control import model
from portfolio_platform.control.reduce import apply
from portfolio_platform.control.rules import decide, headrooms
from portfolio_platform.control.terms import MINUTE
from tests.unit.control.examples import DAY, EQUITY, LIMITS, MONEY, NOON, asked, begun, facts, fill, intent, order, room


def test_an_intent_within_every_limit_is_granted_in_full_and_reserved():
    state, decision = asked(begun(), intent(risk=5_000))
    assert decision.code == "approved_full"
    assert decision.approved_risk == 5_000 * MONEY
    assert decision.reasons == ()
    assert decision.expires_at == NOON + 5_760 * MINUTE
    assert (state.reserved_risk, state.active_risk) == (5_000 * MONEY, 0)
    assert decision.reservation_ttl_s == 4 * 86_400


def test_every_rule_shows_limit_use_and_headroom_not_only_the_one_that_bit():
    state, _ = asked(begun(), intent("i0", 5_000))
    decision = decide(state, intent(risk=50_000), NOON)
    assert [one.rule for one in decision.headrooms] == [
        "heat", "symbol", "cohort", "sector", "template", "playbook", "bucket", "positions", "new_positions",
    ]  # fmt: skip
    assert room(decision, "heat") == (60_000 * MONEY, 5_000 * MONEY, 55_000 * MONEY)
    assert room(decision, "symbol") == (20_000 * MONEY, 5_000 * MONEY, 15_000 * MONEY)
    assert room(decision, "cohort") == (40_000 * MONEY, 5_000 * MONEY, 35_000 * MONEY)
    assert room(decision, "sector") == (None, 5_000 * MONEY, 50_000 * MONEY)  # no cap on sectors
    assert room(decision, "positions") == (20, 1, 50_000 * MONEY)
    assert (decision.code, decision.approved_risk) == ("approved_clipped", 15_000 * MONEY)
    assert decision.reasons == ("constrained:symbol",)


def test_heat_counts_active_and_reserved_risk():
    state = begun()
    for number, (symbol, template) in enumerate([("AAA", "a"), ("BBB", "b"), ("CCC", "c")]):
        state, _ = asked(state, intent(f"i{number}", 18_000, symbol, template=template, playbook=template, strategy=f"s{number}"))
    state = apply(state, fill("x", 100, 18_000, intent_id="i0", strategy="s0", template="a", playbook="a"))
    assert (state.active_risk, state.reserved_risk) == (18_000 * MONEY, 36_000 * MONEY)
    decision = decide(state, intent("more", 10_000, "CCC", template="d", playbook="d"), NOON)
    assert room(decision, "heat") == (60_000 * MONEY, 54_000 * MONEY, 6_000 * MONEY)
    assert decision.approved_risk == 2_000 * MONEY  # the symbol has only 2,000 left, which is less than heat's 6,000
    assert decision.reasons == ("constrained:symbol",)


@pytest.mark.parametrize(
    ("rule", "changed", "code"),
    [
        ("heat", {"caps": (("risk", "heat", 10_000),)}, "rejected_heat"),
        ("symbol", {"caps": (("risk", "heat", 60_000), ("risk", "symbol", 10_000))}, "rejected_symbol_cap"),
        ("cohort", {"caps": (("risk", "heat", 60_000), ("risk", "cohort", 10_000))}, "rejected_cohort_cap"),
        ("sector", {"caps": (("risk", "heat", 60_000), ("risk", "sector", 10_000))}, "rejected_sector_cap"),
        ("template", {"caps": (("risk", "heat", 60_000), ("risk", "template", 10_000))}, "rejected_template_cap"),
        ("playbook", {"caps": (("risk", "heat", 60_000), ("risk", "playbook", 10_000))}, "rejected_playbook_cap"),
        ("bucket", {"caps": (("risk", "heat", 60_000), ("risk", "bucket", 10_000))}, "rejected_correlation_cap"),
        ("positions", {"positions": 1}, "rejected_position_count"),
        ("new_positions", {"new_positions": 1}, "rejected_new_positions"),
    ],
)
def test_a_limit_that_is_used_up_refuses_with_its_own_code(rule, changed, code):
    state, first = asked(begun(facts(buckets=(("AAA", "b1"), ("BBB", "b1"))), **changed), intent("i0", 10_000))
    assert first.approved_risk == 10_000 * MONEY
    symbol = "AAA" if rule == "symbol" else "BBB"
    strategy = "other" if rule in ("positions", "new_positions") else "trend"
    decision = decide(state, intent("i1", 3_000, symbol, strategy=strategy), NOON)
    assert (decision.code, decision.approved_risk, decision.expires_at) == (code, 0, 0)
    assert room(decision, rule)[2] == 0


def test_one_minor_unit_of_headroom_is_one_minor_unit_granted():
    state = begun(minimum_ticket=0)
    state, first = asked(state, intent("i0", 20_000)._replace(requested_risk=20_000 * MONEY - 1))
    assert first.code == "approved_full"
    state, second = asked(state, intent("i1", 1))
    assert (second.code, second.approved_risk) == ("approved_clipped", 1)
    _, third = asked(state, intent("i2", 1))
    assert third.code == "rejected_symbol_cap"


def test_the_multiplier_is_applied_before_headrooms_clip():
    state = begun(facts(regime="probation", regime_mode="defensive", regime_size=250_000))
    decision = decide(state, intent(risk=60_000), NOON)
    assert (decision.scaled_risk, decision.approved_risk) == (15_000 * MONEY, 15_000 * MONEY)  # a quarter, below the symbol's 20,000
    assert decision.code == "approved_clipped"
    assert decision.reasons == ("mode:defensive by regime:probation",)
    larger = decide(state, intent(risk=100_000), NOON)
    assert (larger.scaled_risk, larger.approved_risk) == (25_000 * MONEY, 20_000 * MONEY)
    assert larger.reasons == ("mode:defensive by regime:probation", "constrained:symbol")


def test_what_is_left_must_be_worth_a_trade():
    decision = decide(begun(), intent(risk=199), NOON)  # 0.02 % of 1,000,000 is 200
    assert decision.code == "rejected_min_ticket"
    assert decide(begun(), intent(risk=200), NOON).code == "approved_full"


def test_risk_off_refuses_what_is_new_and_never_what_reduces():
    state = begun(facts(regime="risk_off", regime_mode="risk_off", regime_size=0))
    assert decide(state, intent(), NOON).code == "rejected_risk_off"
    flat = decide(state, intent(side="flat", risk=0), NOON)
    assert (flat.code, flat.approved_risk, flat.reasons) == ("approved_full", 0, ("reduces",))


def test_flatten_only_comes_before_risk_off():
    state = begun(facts(regime="risk_off", regime_mode="risk_off", regime_size=0), order("f", "flatten"))
    decision = decide(state, intent(), NOON)
    assert decision.code == "rejected_flatten_only"
    assert decision.reasons == ("flatten_only:operator:alice",)
    assert decision.headrooms  # all of the numbers are shown all the same
    assert decide(state, intent(side="flat", risk=0), NOON).approved


def test_reducing_is_allowed_though_facts_are_stale_and_limits_full():
    state, _ = asked(begun(), intent("i0", 20_000))
    late = NOON + 30 * DAY
    assert decide(state, intent("i1", 100, ts=late), late).code == "rejected_stale_state"
    assert decide(state, intent("i2", 0, side="flat", ts=late), late).code == "approved_full"


def test_facts_hold_as_long_as_the_policy_says_and_not_a_moment_longer():
    edge = NOON + LIMITS.facts_age
    assert decide(begun(), intent(ts=edge), edge).code == "approved_full"
    assert decide(begun(), intent(ts=edge + 1), edge + 1).code == "rejected_stale_state"


def test_an_expired_policy_opens_nothing():
    state = begun(expires=NOON)
    assert decide(state, intent(), NOON).code == "approved_full"
    assert decide(state, intent(ts=NOON + 1), NOON + 1).code == "rejected_stale_state"


@pytest.mark.parametrize(
    ("wrong", "named"),
    [
        ({"symbol": "ZZZ"}, "symbol"),
        ({"side": "up"}, "side"),
        ({"risk": 0}, "requested_risk"),
        ({"risk": -5}, "requested_risk"),
        ({"risk": 10**14}, "requested_risk"),
        ({"ts": NOON + 6_000_000_000}, "ts"),
        ({"ts": NOON - 5 * DAY}, "ts"),
        ({"requested_notional": -1}, "requested_notional"),
        ({"fault": "requested_risk: nan is not finite"}, "requested_risk"),
    ],
)
def test_what_cannot_be_meant_is_invalid_and_says_which_field(wrong, named):
    decision = decide(begun(), intent(**wrong), NOON)
    assert decision.code == "rejected_invalid"
    assert decision.reasons[0].startswith(named + ":")
    assert decision.approved_risk == 0


def test_an_intent_of_another_portfolio_is_invalid():
    assert decide(begun(), intent()._replace(portfolio="q"), NOON).reasons[0].startswith("portfolio:")


def test_a_portfolio_that_was_never_opened_grants_nothing():
    from portfolio_platform.control.state import ControlState

    assert decide(ControlState("p"), intent(), NOON).code == "rejected_invalid"


def test_a_clock_that_fell_behind_counts_as_the_time_of_the_state():
    state = begun(facts(at=NOON + DAY))
    decision = decide(state, intent(ts=NOON), NOON - DAY)
    assert decision.at == NOON + DAY


def test_an_operators_cap_stands_instead_of_the_policys_and_the_decision_says_so():
    state = begun(order("o", "cap", rule="symbol", scope="AAA", basis="risk", amount=1_000 * MONEY, equity=EQUITY))
    decision = decide(state, intent(risk=5_000), NOON)
    assert decision.approved_risk == 1_000 * MONEY
    assert decision.reasons == ("constrained:symbol", "overridden:symbol by alice")
    assert decide(state, intent(risk=5_000, symbol="BBB"), NOON).approved_risk == 5_000 * MONEY


def test_a_recommendation_that_tightens_never_widens_what_the_policy_allows():
    wide = order("o", "cap", source="recommendation", rule="heat", basis="risk", amount=90_000 * MONEY, tightens=True)
    assert room(decide(begun(wide), intent(), NOON), "heat")[0] == 60_000 * MONEY
    narrow = order("o", "cap", source="recommendation", rule="heat", basis="risk", amount=45_000 * MONEY, tightens=True)
    assert room(decide(begun(narrow), intent(), NOON), "heat")[0] == 45_000 * MONEY


def test_a_limit_on_exposure_clips_by_the_risk_of_each_unit_of_exposure():
    state = begun(order("o", "cap", rule="symbol", scope="AAA", basis="exposure", amount=100_000 * MONEY))
    assert decide(state, intent(), NOON).reasons[0].startswith("requested_notional:")
    decision = decide(state, intent(risk=5_000, requested_notional=200_000 * MONEY), NOON)
    assert (decision.approved_risk, decision.approved_notional) == (2_500 * MONEY, 100_000 * MONEY)
    assert decision.reasons[0] == "constrained:symbol exposure"


def test_adding_to_a_position_needs_no_place():
    state, _ = asked(begun(positions=1, new_positions=1), intent("i0", 5_000))
    assert decide(state, intent("i1", 1_000), NOON).code == "approved_full"
    assert decide(state, intent("i2", 1_000, "BBB"), NOON).code == "rejected_position_count"


def test_new_positions_are_counted_by_utc_day_midnight_belonging_to_the_day_that_ends():
    state, _ = asked(begun(new_positions=1), intent("i0", 1_000))
    midnight = 20_001 * DAY
    assert decide(state, intent("i1", 1_000, "BBB", ts=midnight), midnight).code == "rejected_new_positions"
    assert decide(state, intent("i1", 1_000, "BBB", ts=midnight + 1), midnight + 1).code == "approved_full"


@given(
    risks=st.lists(st.tuples(st.integers(1, 3_000_000), st.sampled_from(["AAA", "BBB", "CCC"]), st.sampled_from(["s", "t"])), max_size=12)
)
def test_no_sequence_of_intents_gets_more_than_any_cap(risks):
    state = begun(new_positions=100)
    for number, (risk, symbol, strategy) in enumerate(risks):
        wanted = intent(f"i{number}", 0, symbol, strategy=strategy, template=strategy)._replace(requested_risk=risk)
        state, decision = asked(state, wanted)
        assert 0 <= decision.approved_risk <= decision.scaled_risk <= risk
        assert decision.approved_risk <= min(one.headroom for one in decision.headrooms)
        assert (decision.approved_risk > 0) == decision.approved
    assert state.used.get(("heat", ""), 0) <= EQUITY * 6 // 100
    for symbol in ("AAA", "BBB", "CCC"):
        assert state.used.get(("symbol", symbol), 0) <= EQUITY * 2 // 100
    assert state.used.get(("cohort", "tech"), 0) <= EQUITY * 4 // 100


def test_every_code_that_a_rule_can_refuse_with_is_a_known_code():
    assert set(model.REJECTIONS.values()) <= set(model.CODES)
    assert {one.rule for one in headrooms(begun(), intent(), NOON)} <= set(model.REJECTIONS)


def test_a_request_that_the_mode_makes_nothing_of_is_too_small_and_no_rule_is_blamed():
    state = begun(facts(regime="probation", regime_mode="defensive", regime_size=250_000), minimum_ticket=0)
    assert decide(state, intent(risk=1)._replace(requested_risk=3), NOON).code == "rejected_min_ticket"
