"""The mean of results in R with its bounds, in whole numbers, against Student's interval in floating point."""

from math import sqrt
from statistics import mean, stdev

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import t

from portfolio_platform.instruments.mean_r import LEAST, MeanR, mean_r, t90


@pytest.mark.parametrize("freedom", [1, 2, 5, 12, 30])
def test_the_table_is_students(freedom: int) -> None:
    assert abs(t90(freedom) - t.ppf(0.9, freedom) * 1e6) < 1


@pytest.mark.parametrize("freedom", [31, 45, 99, 500, 5000])
def test_between_the_rows_the_wider_one_holds(freedom: int) -> None:
    assert -1 <= t90(freedom) - t.ppf(0.9, freedom) * 1e6 < 8000


def test_a_bound_by_hand() -> None:
    # results -1, 2, 0, 1, 0: mean 0.4, sd 1.140175; 1.533206 * 1.140175 / sqrt(5) = 0.781786
    found = mean_r([-1_000_000, 2_000_000, 0, 1_000_000, 0])
    assert found == MeanR(5, 400_000, 1_140_176)
    assert (found.lower, found.upper) == (400_000 - 781_786, 400_000 + 781_786)


def test_below_five_results_there_is_no_bound() -> None:
    assert mean_r([1_000_000] * (LEAST - 1)).lower is None
    assert mean_r([1_000_000] * LEAST).lower == 1_000_000
    assert mean_r([250_000]) == MeanR(1, 250_000, 0)


@settings(max_examples=60, deadline=None)
@given(st.lists(st.integers(-3_000_000, 8_000_000), min_size=5, max_size=31))
def test_bounds_are_students_within_a_millionth_or_two(results: list[int]) -> None:
    found = mean_r(results)
    half = t.ppf(0.9, len(results) - 1) * stdev(results) / sqrt(len(results))
    assert found.lower is not None and found.upper is not None
    assert abs(found.lower - (mean(results) - half)) < 4
    assert abs(found.upper - (mean(results) + half)) < 5
