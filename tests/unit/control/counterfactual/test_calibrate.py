"""Thresholds are chosen without sight of the window that judges them, by the stated rule."""

from dataclasses import replace
from datetime import date

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from portfolio_platform.control.counterfactual import calibrate as calibrating
from portfolio_platform.control.counterfactual.calibrate import calibrate, choose, rank_correlation
from portfolio_platform.control.counterfactual.thresholds import Candidate, Change, candidates, changed, value_of, without_limits
from portfolio_platform.errors import WrongUse
from portfolio_platform.policy.load import default_policy
from portfolio_platform.render.counterfactual_charts import frontier
from tests.unit.control.counterfactual.examples import FIRST, asked, fill, policy, record

SPLIT = date(2008, 3, 7)


def years():
    """Ten sessions: a trade that gains in the first five, one that loses in the others; half of each is refused by a tighter cap."""
    intents = [asked("i1", 0, 1_000.0), asked("i2", 5, 1_000.0)]
    fills = [
        fill(1, 0, 100, 100.0, "i1", stop=90.0),
        fill(2, 3, -100, 120.0, "i1"),
        fill(3, 5, 100, 120.0, "i2", stop=110.0),
        fill(4, 8, -100, 90.0, "i2"),
    ]
    return record([[100.0, 90.0, 120.0, 120.0, 120.0, 120.0, 100.0, 90.0, 90.0, 90.0]], fills, intents, stops=[80.0])


def tried(*caps):
    base = default_policy()
    some = [Change("control.symbol_risk", cap) for cap in caps]
    return (Candidate("as it is", (), base), *(Candidate(f"symbol {one.value:g}", (one,), changed(base, [one])) for one in some))


def test_the_best_profit_within_the_ceiling_is_chosen_and_judged_on_what_came_later():
    """In full the first trade falls 1 % before it gains 2,000; the second loses 3,000."""
    found = calibrate(years(), default_policy(), split=SPLIT, last=None, tried=tried(0.005))
    assert (found.choice.chosen, found.choice.is_met) == ("as it is", True)
    assert [point.pnl for point in found.choice.seen.points] == pytest.approx([2_000.0, 1_000.0])
    assert [point.forgone for point in found.choice.seen.points] == pytest.approx([0.0, 1_000.0])
    assert [point.pnl for point in found.judged.points] == pytest.approx([-3_000.0, -1_530.0])
    assert (found.choice.seen.last, found.judged.first) == (SPLIT, date(2008, 3, 8))


def test_a_ceiling_rules_out_the_deeper_ones_and_the_shallowest_is_taken_where_none_keeps_it():
    strict = policy(drawdown__regime__risk_off_drawdown=0.007, drawdown__regime__defensive_drawdown=0.006)
    within = choose(years().until(SPLIT), tried(0.005, 0.002), strict.drawdown.regime.risk_off_drawdown)
    assert (within.chosen, within.is_met) == ("symbol 0.005", True)
    none = choose(years().until(SPLIT), tried(0.005, 0.002), 0.0001)
    assert (none.chosen, none.is_met) == ("symbol 0.002", False)


def test_of_equals_the_one_with_the_fewest_changes_is_chosen():
    found = choose(years().until(SPLIT), tried(0.03, 0.025), 0.5)
    assert {point.pnl for point in found.seen.points} == {2_000.0}
    assert found.chosen == "as it is"


@settings(max_examples=25)
@given(st.lists(st.floats(1.0, 1_000.0), min_size=5, max_size=5), st.floats(1.0, 500.0))
def test_nothing_that_came_after_the_split_can_change_the_choice(later, exit_price):
    past = years()
    marks = past.marks.copy()
    marks[0, 5:] = later
    fills = tuple(one if one.ts < past.fills[2].ts else one._replace(price=exit_price) for one in past.fills)
    equity = np.concatenate([past.equity[:5], later])
    other = replace(past, marks=marks, fills=fills, equity=equity, net_flow=np.concatenate([past.net_flow[:5], later]))
    one, two = (calibrate(each, default_policy(), split=SPLIT, tried=tried(0.005)) for each in (past, other))
    assert one.choice == two.choice


def test_the_choice_is_given_a_record_without_the_judging_window(monkeypatch):
    seen = []
    whole = choose
    monkeypatch.setattr(calibrating, "choose", lambda past, *rest: seen.append(past) or whole(past, *rest))
    calibrate(years(), default_policy(), split=SPLIT, tried=tried())
    assert [(int(past.days[-1]), max(one.ts for one in past.fills), past.sessions) for past in seen] == [(FIRST + 4, past_end(), 5)]
    assert [len(past.asked) for past in seen] == [1]


def past_end():
    return years().fills[1].ts


def test_windows_without_sessions_and_candidates_without_the_policy_are_refused():
    with pytest.raises(WrongUse, match="no session"):
        calibrate(years(), default_policy(), split=date(2011, 1, 1), tried=tried())
    with pytest.raises(WrongUse, match="lack the policy as it is"):
        calibrate(years(), default_policy(), split=SPLIT, tried=tried(0.005)[1:])


def test_candidates_are_the_policy_each_threshold_alone_and_a_grid_each_once():
    base = default_policy()
    found = candidates(base, ("heat.cap", "control.sector_risk", "control.positions"), ("heat.cap", "control.symbol_risk"))
    names = [one.name for one in found]
    assert names[0] == "as it is"
    assert len(set(names)) == len(names) == 1 + 4 + 4 + 8 - 2
    assert {"heat.cap 0.03", "control.positions 40", "heat.cap 0.09, control.symbol_risk 0.01"} <= set(names)
    assert not any("sector" in name for name in names)
    assert [value_of(one.policy, "heat.cap") for one in found if one.name == "heat.cap 0.12"] == [0.12]


def test_a_key_that_is_none_is_refused_by_name():
    with pytest.raises(WrongUse, match=r"no key 'heat\.capp'"):
        value_of(default_policy(), "heat.capp")
    with pytest.raises(WrongUse, match="is no number"):
        value_of(default_policy(), "name")


def test_a_policy_without_limits_is_one_that_the_model_allows_and_another_than_the_default():
    assert without_limits(default_policy()).hash != default_policy().hash


@given(st.lists(st.tuples(st.integers(0, 6), st.integers(0, 6)), min_size=2, max_size=12))
def test_the_rank_correlation_is_that_of_scipy(pairs):
    from scipy.stats import spearmanr

    one, other = ([float(pair[place]) for pair in pairs] for place in (0, 1))
    found = rank_correlation(one, other)
    if len(set(one)) == 1 or len(set(other)) == 1:
        assert found is None
    else:
        assert found == pytest.approx(float(spearmanr(one, other).statistic), abs=1e-12)


def test_the_curve_joins_what_nothing_beats():
    points = choose(years().until(SPLIT), tried(0.005, 0.002), 0.5).seen.points
    worse = points[0]._replace(name="worse", max_drawdown=0.02, pnl=1.0)
    assert [one.name for one in frontier([*points, worse])] == ["symbol 0.002", "symbol 0.005", "as it is"]
