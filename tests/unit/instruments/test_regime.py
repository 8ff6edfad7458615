"""The regime detector: what a regime is called, when it is left, and that it says so of itself."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from portfolio_platform.codec import from_bytes, to_bytes
from portfolio_platform.errors import WrongUse
from portfolio_platform.instruments.bars import advance, start
from portfolio_platform.instruments.cohorts import cohort_regimes, index_bars
from portfolio_platform.instruments.features import MILLION
from portfolio_platform.instruments.regime import (
    AXES,
    LABELS,
    LEAST,
    REASONS,
    Axis,
    Evaluation,
    Regime,
    RegimeState,
    RegimeTerms,
    checked,
    classify,
    conclude,
    distance_from,
    evaluate,
    label,
    label_of,
    normalised,
    observe,
    shocked,
)
from tests.unit.instruments.market_examples import MONDAY, candle, daily, px, walk

TERMS = RegimeTerms(enter=200_000, exit=100_000, dwell=10, cooldown=15, persistence=30)
CALM = {
    "trend_gap": 0, "trend_means": 0, "beyond_high": -1, "beyond_low": -1,
    "volatility_rank_20": 500_000, "bandwidth_rank_20": 500_000, "channel_position_20": 500_000, "efficiency_20": 500_000,
}  # fmt: skip
"""Sideways, mid, neutral."""


def features(**changes):
    return {**CALM, **changes}


UP = features(trend_gap=60_000, trend_means=40_000, channel_position_20=900_000)
"""0.1525 from calm: 0.25 * 0.3 + 0.15 * 0.25 + 0.1 * 0.4."""
FAR = features(trend_gap=100_000, trend_means=80_000, channel_position_20=1_000_000)
"""0.25 from calm: half of 0.25, 0.15 and 0.1."""


def played(steps, terms=TERMS, state=None, shock=()):
    """Return the evaluations of features (with the bars since the one before), from a calm regime that is old enough."""
    if state is None:
        state, _ = conclude(terms, RegimeState(), CALM, 1, passed=0, shock=False)
    said = []
    for number, (seen, passed) in enumerate(steps, 2):
        state, one = conclude(terms, state, seen, number, passed=passed, shock=number - 2 in shock)
        said.append(one)
    return state, said


def codes(said):
    return [one.reason_code for one in said]


def test_a_distance_by_hand():
    _, (one,) = played([(UP, 20)])
    assert one.distance == 152_500 == sum(part for _, part in one.contributions)
    assert dict(one.contributions) == {
        "trend_gap": 75_000, "trend_means": 37_500, "volatility_rank_20": 0, "bandwidth_rank_20": 0, "channel_position_20": 40_000,
        "efficiency_20": 0,
    }  # fmt: skip
    assert (one.reason_code, one.fired, one.threshold, one.candidate) == ("below_enter", False, 200_000, Regime("up"))


def test_a_regime_is_left_where_the_distance_has_reached_the_enter_threshold():
    state, (one,) = played([(FAR, 20)])
    assert (one.reason_code, one.fired, one.distance) == ("transition", True, 250_000)
    assert (one.before, one.after) == (Regime("sideways"), Regime("up")) == (state.left, state.regime)
    assert (state.since, state.dwell, state.cooldown, state.anchor) == (2, 0, 15, normalised(TERMS, FAR))


def test_nothing_flaps_at_the_threshold():
    low, high = features(trend_gap=9_000, trend_means=1_000), features(trend_gap=11_000, trend_means=1_000)
    assert classify(TERMS, low).trend != classify(TERMS, high).trend
    _, said = played([(high if k % 2 else low, 5) for k in range(200)])
    assert sum(one.fired for one in said) == 0
    assert set(codes(said)) == {"no_change", "within_exit"}


def test_a_departure_lasts_until_the_distance_is_back_at_the_exit_threshold():
    near = features(trend_gap=30_000, trend_means=20_000, channel_position_20=600_000)  # 0.06625: below exit
    _, said = played([(FAR, 1), (UP, 1), (near, 8), (UP, 20)])
    assert codes(said) == ["dwell", "dwell", "within_exit", "below_enter"]
    assert [one.threshold for one in said] == [100_000, 100_000, 200_000, 200_000]
    _, said = played([(FAR, 1), (UP, 9)])  # between the thresholds, and departed from before
    assert codes(said) == ["dwell", "transition"]


def test_a_regime_holds_for_its_minimum_dwell():
    _, said = played([(FAR, 1)] * 12)
    assert codes(said) == ["dwell"] * 9 + ["transition"] + ["no_change"] * 2


def test_what_was_left_is_not_gone_back_to_before_the_cool_down_ends_but_another_regime_may_begin():
    _, said = played([(FAR, 20), (CALM, 10), (CALM, 4), (CALM, 1)])
    assert codes(said) == ["transition", "cooldown", "cooldown", "transition"]
    down = features(trend_gap=-100_000, trend_means=-80_000, channel_position_20=0)
    _, said = played([(FAR, 20), (down, 10)])
    assert codes(said) == ["transition", "transition"]


def test_a_shock_overrides_threshold_dwell_and_cool_down():
    state, said = played([(FAR, 20), (FAR, 1)], shock={1})
    assert codes(said) == ["transition", "volatility_shock"]
    assert said[1].after == Regime("up", "extreme") and said[1].fired and said[1].distance == 0
    assert label_of(state) == "bull_vol_high"


def test_a_name_that_persists_is_believed_however_small_the_distance():
    slow = features(trend_gap=15_000, trend_means=1_000)
    _, said = played([(slow, 10)] * 5)
    assert codes(said) == ["within_exit"] * 3 + ["persisted", "no_change"]
    _, said = played([(features(efficiency_20=100_000), 10)] * 5)  # another structure only
    assert codes(said) == ["within_exit"] * 5


def test_far_away_under_the_same_name_distance_is_measured_from_there():
    quiet = RegimeTerms(trend_band=200_000)  # so that nothing here is a trend
    state, said = played([(FAR, 20), (FAR, 5), (UP, 5)], quiet)
    assert codes(said) == ["anchored", "no_change", "no_change"]
    assert [one.distance for one in said] == [250_000, 0, 97_500]
    assert state.anchor == normalised(quiet, FAR) and not state.departed


def test_too_few_bars_are_said_to_be_so_and_the_first_regime_begins_with_enough():
    bars = walk(1, 80)
    state, one = evaluate(TERMS, RegimeState(), bars[: LEAST - 1], 5)
    assert (state, one.reason_code, one.fired, label_of(state)) == (RegimeState(), "warming_up", False, "")
    state, one = evaluate(TERMS, state, bars[:LEAST], bars[LEAST - 1].ts)
    assert (one.reason_code, one.fired) == ("first", True)
    assert state.since == bars[LEAST - 1].ts and label_of(state) in LABELS


def test_evaluated_twice_at_a_bar_nothing_is_counted_twice():
    bars = walk(2, 150)
    state = RegimeState()
    for count in range(60, 150, 5):
        state, _ = evaluate(TERMS, state, bars[:count], bars[count - 1].ts)
    again, one = evaluate(TERMS, state, bars[:count], bars[count - 1].ts)
    assert (again, one.fired) == (state, False)


@given(st.integers(0, 2**32), st.floats(0.002, 0.08))
@settings(max_examples=30, deadline=None)
def test_every_evaluation_is_bounded_adds_up_and_counts_its_bars(seed, step):
    bars, state, fired_at = walk(seed, 160, step=step), RegimeState(), None
    for count in range(55, 160, 5):
        before = state
        state, one = evaluate(TERMS, state, bars[:count], bars[count - 1].ts)
        assert 0 <= one.distance <= MILLION
        assert one.distance == sum(part for _, part in one.contributions)
        assert all(0 <= part <= axis.weight for (_, part), axis in zip(one.contributions, TERMS.axes, strict=False))
        assert one.fired == (one.before != one.after or one.reason_code == "first")
        assert one.reason_code in REASONS
        assert (one.before, one.after) == (before.regime, state.regime)
        if one.reason_code in ("transition", "persisted"):
            assert fired_at is not None and count - fired_at >= TERMS.dwell
        if one.reason_code == "transition":
            assert one.distance > TERMS.exit
        fired_at = count if one.fired else fired_at


@given(st.integers(0, 10**6), st.integers(0, 10**6), st.integers(0, 10**6), st.sampled_from(range(len(AXES))))
@settings(max_examples=60, deadline=None)
def test_the_distance_grows_with_each_features_distance_from_the_anchor(anchor, near, far, place):
    near, far = sorted((near, far), key=lambda one: abs(one - anchor))

    def apart(moved):
        there = [500_000] * len(AXES)
        here = list(there)
        there[place], here[place] = anchor, moved
        return sum(part for _, part in distance_from(TERMS, there, here))

    assert 0 <= apart(near) <= apart(far) <= AXES[place].weight


@given(st.integers(0, 2**32), st.integers(60, 120))
@settings(max_examples=20, deadline=None)
def test_nothing_after_a_bar_changes_what_was_said_at_it(seed, cut):
    bars, other = walk(1, 130), walk(seed, 130)

    def said(series):
        windows, state, found = start(("1d", "1w")), RegimeState(), []
        for one in series:
            windows, closed = advance(windows, candle(one))
            if "1w" in closed or shocked(TERMS, state, windows[0].bars):
                state, evaluation = evaluate(TERMS, state, windows[0].bars, one.ts)
                found.append(evaluation)
        return found

    whole, mixed = said(bars), said((*bars[:cut], *other[cut:]))
    early = [one for one in whole if one.at <= bars[cut - 1].ts]
    assert mixed[: len(early)] == early


@pytest.mark.parametrize(
    ("changes", "regime"),
    [
        ({"trend_gap": 10_001, "trend_means": 1}, Regime("up")),
        ({"trend_gap": 10_000, "trend_means": 1}, Regime("sideways")),
        ({"trend_gap": 90_000, "trend_means": -1}, Regime("sideways")),
        ({"trend_gap": -10_001, "trend_means": -1}, Regime("down")),
        ({"volatility_rank_20": 333_332}, Regime(volatility="low")),
        ({"volatility_rank_20": 666_667}, Regime(volatility="high")),
        ({"volatility_rank_20": 970_000}, Regime(volatility="extreme")),
        ({"beyond_high": 1, "bandwidth_rank_20": 0}, Regime(structure="breakout_active")),
        ({"beyond_low": 1}, Regime(structure="breakdown_active")),
        ({"bandwidth_rank_20": 200_000}, Regime(structure="compression")),
        ({"bandwidth_rank_20": 800_000}, Regime(structure="expansion")),
        ({"efficiency_20": 150_000}, Regime(structure="mean_reverting")),
    ],
)
def test_names_by_hand(changes, regime):
    assert classify(TERMS, features(**changes)) == regime


def test_labels_are_those_of_the_expectations():
    assert label(Regime("up", "extreme")) == "bull_vol_high"
    assert label(Regime("sideways", "mid", "compression")) == "range_vol_mid"
    assert len(LABELS) == 9
    assert {
        label(Regime(trend, volatility)) for trend in ("up", "down", "sideways") for volatility in ("low", "mid", "high", "extreme")
    } == set(LABELS)


def test_trend_and_volatility_are_the_formula_that_the_expectations_were_counted_with():
    bars = walk(9, 140, drift=0.003)
    seen, closes = observe(TERMS, bars), [one.close for one in bars]
    slow, fast = sum(closes[-100:]) / 100, sum(closes[-20:]) / 20
    assert abs(seen["trend_gap"] / MILLION - (closes[-1] / slow - 1)) < 1e-5
    assert abs(seen["trend_means"] / MILLION - (fast / slow - 1)) < 1e-5
    assert classify(TERMS, seen).trend == "up"


def test_a_bar_far_beyond_the_usual_is_a_shock_and_one_like_the_others_is_none():
    calm = list(daily([100 + 0.1 * (k % 3) for k in range(100)], spread=0.005))
    state, _ = evaluate(TERMS, RegimeState(), calm, calm[-1].ts)
    assert not shocked(TERMS, state, calm)
    crash = daily([93], start=MONDAY + 100 * (calm[1].ts - calm[0].ts))[0]._replace(open=px(100), high=px(100), low=px(92))
    assert shocked(TERMS, state, [*calm, crash])
    after, one = evaluate(TERMS, state, [*calm, crash], crash.ts)
    assert (one.reason_code, after.volatility) == ("volatility_shock", "extreme")
    assert not shocked(TERMS, after, [*calm, crash])  # it is extreme already
    assert not shocked(TERMS, RegimeState(), [*calm, crash])


def test_bars_without_movement_have_a_regime():
    still = daily([100] * 120, spread=0.0)
    _, one = evaluate(TERMS, RegimeState(), still, still[-1].ts)
    assert (one.reason_code, one.after.trend) == ("first", "sideways")


@pytest.mark.parametrize(
    ("terms", "said"),
    [
        (RegimeTerms(enter=100_000, exit=100_000), "flaps"),
        (RegimeTerms(axes=AXES[:2]), "together 1000000"),
        (RegimeTerms(axes=(Axis("close", 0, 1, MILLION),)), "'close'"),
        (RegimeTerms(dwell=-1), "none below 0"),
    ],
)
def test_terms_that_contradict_themselves_are_refused(terms, said):
    with pytest.raises(WrongUse, match=said):
        checked(terms)
    assert checked(RegimeTerms()) == RegimeTerms()


def test_state_and_record_survive_the_log():
    bars = walk(3, 150)
    state, one = evaluate(TERMS, RegimeState(), bars, bars[-1].ts)
    state, one = evaluate(TERMS, state, (*bars, *walk(4, 5, start=bars[-1].ts)), bars[-1].ts + 1)
    assert from_bytes(to_bytes(state, RegimeState), RegimeState) == state
    assert from_bytes(to_bytes(one, Evaluation), Evaluation) == one
    assert from_bytes(to_bytes(TERMS, RegimeTerms), RegimeTerms) == TERMS


# --- cohorts


def test_a_cohorts_index_moves_by_the_mean_of_its_members_moves():
    found = index_bars("pair", {"A": daily([100, 110, 121], "A"), "B": daily([50, 50, 45], "B")})
    assert [one.close for one in found] == [px(105), px(105)]  # +10 % and 0, then +10 % and -10 %
    assert (found[0].symbol, found[0].volume, found[0].opens_at) == ("pair", None, MONDAY + (found[0].ts - MONDAY) // 2)
    assert all(one.low <= min(one.open, one.close) <= max(one.open, one.close) <= one.high for one in found)


def test_a_member_that_begins_late_or_misses_a_day_moves_the_index_only_where_it_has_a_bar():
    first = daily([100, 110, 121], "A")
    late = daily([10, 20], "B", start=first[0].ts)
    missing = (daily([10], "C")[0], daily([20], "C", start=first[1].ts)[0]._replace(opens_at=first[0].ts))
    assert [one.close for one in index_bars("x", {"A": first, "B": late})] == [px(110), px(110 * 1.55)]
    assert [one.close for one in index_bars("x", {"A": first, "C": missing})] == [px(110), px(110 * 1.55)]
    found = index_bars("x", {"A": first, "C": missing})
    assert found[1].opens_at == found[0].ts  # not where the bar of C began, on the day before
    assert index_bars("x", {}) == index_bars("x", {"A": first[:1]}) == ()


def test_a_cohorts_detector_sees_no_bar_after_its_time_and_keeps_the_other_cohorts():
    members = {"tech": {name: walk(seed, 150, symbol=name) for seed, name in enumerate("ABC")}}
    at = members["tech"]["A"][99].ts
    cut = {"tech": {name: bars[:100] for name, bars in members["tech"].items()}}
    other = RegimeState("down", since=1)
    states, said = cohort_regimes(TERMS, members, {"oil": other}, at)
    assert (states, said) == cohort_regimes(TERMS, cut, {"oil": other}, at)
    assert said["tech"].reason_code == "first" and states["oil"] == other
