"""Intervals: hand-worked cases, coverage, and what there is to say where nothing can be said."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from portfolio_platform.evidence.intervals import (
    benjamini_hochberg,
    binomial_tail,
    quantile_ranks,
    rate_tail,
    wilson,
)


def test_wilson_of_a_half_by_hand():
    # 5 of 10 at z = 1.96: centre 1/2, half width 1.96 sqrt(0.025 + 1.96^2 / 400) / (1 + 1.96^2 / 10)
    low, high = wilson(5, 10)
    z = 1.959963984540054
    half = z * math.sqrt(0.025 + z * z / 400.0) / (1.0 + z * z / 10.0)
    assert (float(low), float(high)) == pytest.approx((0.5 - half, 0.5 + half), abs=1e-12)


def test_wilson_ends_exactly_at_0_and_1_and_knows_nothing_without_a_trial():
    low, high = wilson([0, 7, 0], [7, 7, 0])
    assert (low[0], high[1]) == (0.0, 1.0)
    assert np.isnan(low[2])
    assert np.isnan(high[2])


@given(n=st.integers(1, 120), probability=st.floats(0.05, 0.95))
def test_ranks_hold_the_quantile_as_often_as_they_say_and_are_as_narrow_as_tails_allow(n, probability):
    found = quantile_ranks(n, probability)
    below = [math.comb(n, k) * probability**k * (1.0 - probability) ** (n - k) for k in range(n + 1)]

    def at_most(k):
        return math.fsum(below[: k + 1]) if k >= 0 else 0.0

    # P(X_(r) > q) = P(fewer than r below q); P(X_(r) < q) = P(at least r below q)
    if found is None:
        assert at_most(0) > 0.025 - 1e-9 or 1.0 - at_most(n - 1) > 0.025 - 1e-9
        return
    low, high = found
    assert at_most(low - 1) <= 0.025 + 1e-9
    assert 1.0 - at_most(high - 1) <= 0.025 + 1e-9
    assert at_most(low) > 0.025 - 1e-9


def test_the_median_needs_six_and_the_ninetieth_percentile_thirty_six():
    assert quantile_ranks(5, 0.5) is None
    assert quantile_ranks(6, 0.5) == (1, 6)
    assert quantile_ranks(35, 0.9) is None
    assert quantile_ranks(36, 0.9) is not None
    assert quantile_ranks(20, 0.5) == (6, 15)


def test_rates_without_time_have_no_tail_and_no_event_is_no_surprise():
    assert np.isnan(rate_tail(3, 0, 1, 10))
    assert rate_tail(0, 20, 50, 250) == 1.0
    # 2 events against none before, in equal times: one half squared
    assert rate_tail(2, 10, 0, 10) == pytest.approx(0.25)


def test_binomial_tail_by_hand():
    assert binomial_tail(2, 3, 0.5) == pytest.approx(0.5)
    assert binomial_tail(0, 3, 0.1) == 1.0
    assert np.isnan(binomial_tail(1, 3, np.nan))


def test_adjusted_p_values_by_hand_in_the_order_given():
    assert benjamini_hochberg([0.04, 0.01, 0.03]).tolist() == pytest.approx([0.04, 0.03, 0.04])
    assert benjamini_hochberg([]).size == 0


@given(st.lists(st.floats(0.0, 1.0), min_size=1, max_size=30))
def test_adjusting_never_makes_a_p_value_smaller_and_keeps_the_order(p):
    adjusted = benjamini_hochberg(p)
    assert (adjusted >= np.array(p) - 1e-15).all()
    assert (np.diff(adjusted[np.argsort(p, kind="stable")]) >= -1e-15).all()
