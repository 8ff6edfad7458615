"""The track record after each session: no look-ahead, nothing said where nothing can be said, medians as they were known."""

import statistics

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from portfolio_platform.evidence.track_record import NO_VARIANCE, TOO_SHORT, expanding_medians, resolved, skill


def test_skill_of_a_prefix_is_the_same_as_within_the_whole():
    returns = np.random.default_rng(3).normal(0.001, 0.01, 400)
    whole, part = skill(returns, 0.0, 0.95), skill(returns[:250], 0.0, 0.95)
    assert np.array_equal(whole.probability[:250], part.probability, equal_nan=True)
    assert np.array_equal(whole.needed[:250], part.needed, equal_nan=True)


def test_returns_that_do_not_vary_prove_nothing():
    found = skill(np.full(50, 0.001), 0.0, 0.95)
    assert np.isnan(found.probability).all()
    assert found.reason[0] == TOO_SHORT
    assert set(found.reason[1:]) == {NO_VARIANCE}


def test_a_losing_record_is_never_long_enough():
    found = skill(np.random.default_rng(5).normal(-0.002, 0.01, 300), 0.0, 0.95)
    assert found.needed[-1] == np.inf
    assert found.probability[-1] < 0.05


def test_probability_and_track_record_say_the_same():
    """The probability reaches the confidence exactly where the effective observations reach the minimum track record."""
    returns = np.random.default_rng(8).normal(0.0012, 0.01, 900)
    found = skill(returns, 0.0, 0.95)
    known = np.isfinite(found.probability)
    assert known.sum() > 800
    assert ((found.probability >= 0.95) == (found.effective >= found.needed))[known].all()
    assert 0 < (found.probability >= 0.95).sum() < 900


def test_autocorrelation_costs_observations_and_never_gives_any():
    noise = np.random.default_rng(2).normal(0.0, 0.01, 4001)
    follows, turns = noise[1:] + 0.5 * noise[:-1], noise[1:] - 0.5 * noise[:-1]
    # lag-1 autocorrelation 0.4: (1 - 0.4) / (1 + 0.4) of them are left
    assert skill(follows, 0.0, 0.95).effective[-1] == pytest.approx(4000 * 0.6 / 1.4, rel=0.05)
    assert skill(turns, 0.0, 0.95).effective[-1] == 4000


def test_an_empty_record_is_empty():
    assert skill(np.empty(0), 0.0, 0.95).probability.size == 0


@given(st.lists(st.floats(-50.0, 50.0), max_size=40), st.data())
def test_expanding_medians_are_those_of_the_values_so_far(values, data):
    counts = sorted(data.draw(st.lists(st.integers(0, len(values)), max_size=12)))
    found = expanding_medians(np.array(values), np.array(counts, np.int64))
    for count, median in zip(counts, found.tolist(), strict=True):
        if count:
            assert median == pytest.approx(statistics.median(values[:count]))
        else:
            assert np.isnan(median)


def test_a_signal_counts_from_its_outcome_on():
    days = np.array([9, 10, 11, 20])
    found = resolved(np.array([10, 10, 12]), np.array([1.0, -0.5, np.nan]), np.array([np.nan, 4.0, 8.0]), days)
    assert found.count.tolist() == [0, 2, 2, 3]
    assert np.isnan(found.mean_r[0])
    assert found.mean_r[1:].tolist() == [0.25, 0.25, 0.25]
    assert np.isnan(found.median_slippage[0])
    assert found.median_slippage[1:].tolist() == [4.0, 4.0, 6.0]
