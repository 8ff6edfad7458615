"""The interval of what is counted in an estimated sigma."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from portfolio_platform.evidence.scale import scaled_ends, sigma_freedom
from portfolio_platform.policy.model import DrawdownPolicy

POLICY = DrawdownPolicy()


def weights(seen):
    """The weight of each squared return in the EWMA variance, oldest first, as the recursion gives them."""
    found = [1.0 / POLICY.ewma_seed] * POLICY.ewma_seed
    for _ in range(seen - POLICY.ewma_seed):
        found = [POLICY.ewma_lambda * weight for weight in found] + [1.0 - POLICY.ewma_lambda]
    return np.array(found)


@pytest.mark.parametrize("seen", [20, 21, 30, 75, 400])
def test_the_freedom_is_one_over_the_sum_of_squared_weights(seen):
    assert weights(seen).sum() == pytest.approx(1.0)
    assert sigma_freedom(np.array([float(seen)]), POLICY)[0] == pytest.approx(1.0 / (weights(seen) ** 2).sum(), rel=1e-9)


def test_before_the_seed_there_is_no_sigma_and_so_no_freedom():
    assert np.isnan(sigma_freedom(np.array([0.0, 19.0]), POLICY)).all()
    assert sigma_freedom(np.array([20.0]), POLICY)[0] == pytest.approx(20.0)


def test_the_bounds_of_three_sigma_by_hand():
    # chi-squared of 20 degrees of freedom: 12.443 at 10 %, 28.412 at 90 %
    low, high = scaled_ends(np.array([3.0]), np.array([20.0]), 0.9)
    assert low[0] == pytest.approx(3.0 * (12.443 / 20.0) ** 0.5, rel=1e-4)
    assert high[0] == pytest.approx(3.0 * (28.412 / 20.0) ** 0.5, rel=1e-4)


@given(st.floats(-8.0, 8.0), st.floats(5.0, 40.0), st.floats(0.51, 0.99))
def test_bounds_enclose_the_value_on_either_side_of_zero(value, freedom, confidence):
    low, high = scaled_ends(np.array([value]), np.array([freedom]), confidence)
    assert low[0] <= high[0]
    # the median of chi-squared over its mean is a little below 1: near 50 % the bounds lie so, too
    if confidence > 0.6:
        assert low[0] <= value <= high[0]


def test_of_normal_returns_the_lower_bound_covers_as_often_as_asked():
    rng = np.random.default_rng(4)
    squares = rng.normal(size=(20_000, 200)) ** 2
    sigma = np.sqrt(squares @ weights(200))
    low, _ = scaled_ends(2.0 / sigma, np.full(20_000, sigma_freedom(np.array([200.0]), POLICY)[0]), 0.9)
    assert (low <= 2.0).mean() == pytest.approx(0.9, abs=0.01)
