"""Moving blocks: hand-worked, against a plain oracle, and how often the bounds cover."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from portfolio_platform.evidence.blocks import block_spread, error_of_mean, error_of_next, student_ends


def of_range(values, block, observed=None):
    """The spread of one range of one group."""
    given_ = np.array(values, np.float64)[:, None]
    seen = np.ones(len(values), np.bool_) if observed is None else np.array(observed, np.bool_)
    return block_spread(given_, seen, np.array([0]), np.array([len(values)]), block)


def test_four_sessions_in_blocks_of_two_by_hand():
    # block means 1, 3 and 5 about the mean of all, 3: (4 + 0 + 4) / 3; 2 blocks
    found = of_range([0.0, 2.0, 4.0, 6.0], 2)
    assert found.variance.tolist() == [[pytest.approx(8.0 / 3.0)]]
    assert found.blocks.tolist() == [2.0]
    # the mean of all: sqrt(8/3 x 2/1 x 1/2); a later block less it: sqrt(8/3 x 2/1 x (1 + 1/2))
    assert error_of_mean(found)[0, 0] == pytest.approx((8.0 / 3.0) ** 0.5)
    assert error_of_next(found, np.array([2]), 2)[0, 0] == pytest.approx(8.0**0.5)
    # a later mean of one session varies twice as much as one of a whole block
    assert error_of_next(found, np.array([1]), 2)[0, 0] == pytest.approx((8.0 / 3.0 * 2.0 * 2.5) ** 0.5)


def test_fewer_than_two_blocks_have_no_error_and_a_constant_one_of_nothing():
    assert np.isnan(error_of_mean(of_range([1.0, 2.0, 3.0], 2))).all()
    assert np.isnan(error_of_mean(of_range([1.0], 2))).all()
    assert error_of_mean(of_range([0.5] * 8, 2)).tolist() == [[0.0]]


@given(st.lists(st.tuples(st.floats(-1.0, 1.0), st.booleans()), max_size=30), st.integers(1, 6))
def test_the_spread_is_that_of_the_observed_blocks_taken_one_by_one(rows, block):
    values, observed = [row[0] for row in rows], [row[1] for row in rows]
    found = (
        of_range(values, block, observed)
        if rows
        else block_spread(np.empty((0, 1)), np.empty(0, bool), np.array([0]), np.array([0]), block)
    )
    kept = [value for value, seen in rows if seen]
    assert found.blocks[0] == len(kept) / block
    if len(kept) < block:
        assert np.isnan(found.variance[0, 0])
    else:
        means = [np.mean(kept[first : first + block]) for first in range(len(kept) - block + 1)]
        assert found.variance[0, 0] == pytest.approx(np.mean((np.array(means) - np.mean(kept)) ** 2), abs=1e-12)


def test_ranges_are_judged_together_as_they_are_alone():
    values = np.random.default_rng(1).normal(size=(60, 3))
    seen = np.random.default_rng(2).random(60) < 0.8
    begin, end = np.array([0, 10, 25]), np.array([40, 60, 26])
    whole = block_spread(values, seen, begin, end, 5)
    for row in range(3):
        alone = block_spread(values[begin[row] : end[row]], seen[begin[row] : end[row]], np.array([0]), end[row : row + 1] - begin[row], 5)
        np.testing.assert_array_equal(whole.variance[row], alone.variance[0])


def test_a_later_window_lies_below_its_upper_bound_about_as_often_as_asked_though_sessions_follow_each_other():
    """A series that keeps 0.9 of itself: 250 sessions say how far the mean of the next 20 may lie from theirs."""
    rng, trials, inside = np.random.default_rng(3), 1500, 0
    for _ in range(trials):
        shocks = rng.normal(size=470)
        series = np.empty(470)
        series[0] = shocks[0]
        for k in range(1, 470):
            series[k] = 0.9 * series[k - 1] + shocks[k]
        series = series[200:]
        spread = of_range(series[:250], 20)
        error = error_of_next(spread, np.array([20]), 20)
        drift = np.array([[series[250:].mean() - series[:250].mean()]])
        low, _ = student_ends(drift, error, spread.blocks[:, None], 0.9)
        inside += bool(low[0, 0] <= 0.0)
    assert 0.86 <= inside / trials <= 0.93


def test_the_bounds_are_students():
    low, high = student_ends(np.array([1.0]), np.array([0.5]), np.array([4.0]), 0.95)
    # t of 3 degrees of freedom at 95 %: 2.353
    assert (low[0], high[0]) == (pytest.approx(1.0 - 2.3534 * 0.5, abs=1e-4), pytest.approx(1.0 + 2.3534 * 0.5, abs=1e-4))
