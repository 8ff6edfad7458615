"""Means of resamples: against a plain loop over the same draws, worked cases, and properties."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from portfolio_platform.evidence.intervals import bootstrap_means


def plain(values, membership, seed, resamples):
    """Resample one draw and one group at a time."""
    n = len(values)
    drawn = np.random.default_rng(seed).integers(0, n, (resamples, n))
    out = np.full((resamples, membership.shape[1]), np.nan)
    for b in range(resamples):
        for group in range(membership.shape[1]):
            picked = [values[i] for i in drawn[b] if membership[i, group] and np.isfinite(values[i])]
            if picked:
                out[b, group] = sum(picked) / len(picked)
    return out


@given(
    hnp.arrays(np.float64, st.integers(1, 25), elements=st.one_of(st.floats(-5, 5), st.just(np.nan))),
    st.integers(1, 5),
    st.integers(0, 2**31),
    st.data(),
)
def test_one_matrix_product_gives_what_a_plain_loop_gives(values, groups, seed, data):
    member = data.draw(hnp.arrays(np.bool_, (values.size, groups)))
    found = bootstrap_means(values, member, seed, 7)
    assert found == pytest.approx(plain(values, member, seed, 7), rel=1e-12, abs=1e-12, nan_ok=True)


def test_a_group_of_equal_values_has_no_spread_and_an_empty_group_no_mean():
    means = bootstrap_means([2.0, 2.0, 5.0], [[1, 0], [1, 0], [0, 0]], 1, 50)
    assert set(np.round(means[np.isfinite(means[:, 0]), 0], 12)) == {2.0}
    assert np.isnan(means[:, 1]).all()
    assert bootstrap_means([], np.empty((0, 2)), 1, 3).shape == (3, 2)


def test_the_spread_of_the_means_is_the_standard_error():
    values = np.random.default_rng(3).normal(0.2, 1.5, 400)
    means = bootstrap_means(values, np.ones((400, 1)), 11, 4000)[:, 0]
    assert means.mean() == pytest.approx(values.mean(), abs=0.01)
    assert means.std() == pytest.approx(values.std() / 20.0, rel=0.05)


def test_a_group_does_not_feel_who_else_is_asked_for():
    values, member = np.arange(9.0), np.eye(9, 3, dtype=bool) | (np.arange(9)[:, None] % 2 == 0)
    alone = bootstrap_means(values, member[:, :1], 5, 40)
    assert bootstrap_means(values, member, 5, 40)[:, :1] == pytest.approx(alone, rel=1e-12, nan_ok=True)
