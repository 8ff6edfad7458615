"""Thresholds: what meets one, and where it is left."""

import math

import numpy as np
import pytest

from portfolio_platform.monitor.alerts.limits import calm, leaving_limit, meets, rounded, rule_version
from tests.unit.monitor.alerts.frames import rule


@pytest.mark.parametrize(
    ("comparison", "threshold", "leave", "limit"),
    [
        (">=", 0.06, 0.9, 0.054),
        (">=", -1.0, 0.5, -2.0),  # away from the bad side
        ("<=", 0.01, 0.9, 0.01 / 0.9),
        ("<=", -1.0, 0.5, -0.5),
        (">", 0.0, 0.9, 0.0),
        ("<=", 0.0, 0.9, 0.0),
    ],
)
def test_a_limit_is_left_away_from_its_bad_side(comparison, threshold, leave, limit):
    assert leaving_limit(threshold, leave, comparison) == pytest.approx(limit)


def test_a_threshold_of_zero_is_left_where_it_is_no_longer_met():
    assert calm([0.0, 1e-9, -1.0, math.nan], ">", 0.0, 0.9).tolist() == [True, False, True, False]
    assert calm([0.0, 0.25], "<=", 0.0, 0.9).tolist() == [False, True]


def test_the_last_bit_of_a_sum_decides_nothing():
    assert 0.1 + 0.2 != 0.3
    assert meets([0.1 + 0.2], ">", 0.3).tolist() == [False]
    assert meets([0.3 - 1e-17, 0.3 - 1e-6], ">=", 0.1 + 0.2).tolist() == [True, False]


def test_rounding_keeps_twelve_digits_of_any_size():
    given = np.array([1.0, 123456.7890123456, 9.87654321e-9, -2.5e20, 0.0, math.nan, math.inf])
    for value, found in zip(given.tolist(), rounded(given).tolist(), strict=True):
        assert found == pytest.approx(float(f"{value:.12g}"), rel=1e-15, nan_ok=True)


def test_a_rules_version_changes_with_anything_about_it():
    assert rule_version("heat", rule()) == rule_version("heat", rule())
    assert rule_version("heat", rule()) != rule_version("heat", rule(warning=0.81))
    assert rule_version("heat", rule()) != rule_version("other", rule())
