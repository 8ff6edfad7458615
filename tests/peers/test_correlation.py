"""Correlations, shrinkage and buckets against numpy, scikit-learn and scipy."""

import numpy as np
import pytest

from portfolio_platform.diagnostics.correlation import stacking
from portfolio_platform.diagnostics.correlation.analysis import Scratch, correlate, correlation_stacking
from portfolio_platform.diagnostics.correlation.buckets import partition
from portfolio_platform.diagnostics.correlation.context import turbulence
from portfolio_platform.diagnostics.correlation.returns import Observed, stretches
from portfolio_platform.diagnostics.correlation.shrinkage import shrunk
from portfolio_platform.policy.diagnostics import CorrelationPolicy
from tests.unit.diagnostics.correlation.books import FIRST, book_of, closes_of, factor

pytestmark = pytest.mark.peers
POLICY = CorrelationPolicy()


def test_every_windows_correlations_are_numpys() -> None:
    returns = factor(np.random.default_rng(1), 300, 25)
    closes = closes_of(returns)
    held = dict.fromkeys(closes.symbols, 1.0)
    book = book_of(closes, [(FIRST + day, held) for day in range(60, 301)])
    observed = Observed(np.zeros(241, np.int64), np.zeros(241, np.int64))
    seen = 0
    for block in stretches(closes, book, 60, 60, np.ones(241, bool), observed):
        for stretch in block:
            found = correlate(stretch, 60, 25, Scratch())
            for session, window in zip(stretch.members.tolist(), stretch.window.tolist(), strict=True):
                theirs = np.corrcoef(returns[session : session + 60], rowvar=False)[np.triu_indices(25, 1)]
                np.testing.assert_allclose(found.table[window], theirs, rtol=0, atol=1e-12)
                seen += 1
    assert seen == 241


@pytest.mark.parametrize("seed", range(20))
def test_buckets_without_a_memory_are_scipys_complete_linkage(seed: int) -> None:
    hierarchy = pytest.importorskip("scipy.cluster.hierarchy")
    rng = np.random.default_rng(seed)
    size = int(rng.integers(3, 40))
    matrix = shrunk(np.corrcoef(factor(rng, 60, size, rng.uniform(0.3, 0.9)), rowvar=False), 60)
    group = np.empty(size, np.int64)
    partition(matrix, np.full(size, -1), 0.70, 0.60, group)
    distance = np.sqrt(0.5 * (1.0 - matrix[np.triu_indices(size, 1)]))
    labels = hierarchy.fcluster(hierarchy.linkage(distance, "complete"), np.sqrt(0.5 * (1.0 - 0.70)), "distance")
    theirs = {frozenset(np.flatnonzero(labels == label).tolist()) for label in np.unique(labels)}
    assert {frozenset(np.flatnonzero(group == head).tolist()) for head in np.unique(group)} == theirs


def test_turbulence_is_sklearns_mahalanobis_distance_over_a_constant() -> None:
    covariance = pytest.importorskip("sklearn.covariance")
    rng = np.random.default_rng(3)
    history, days = rng.normal(size=(250, 5)) @ rng.normal(size=(5, 5)), rng.normal(size=(10, 5))
    theirs = covariance.EmpiricalCovariance().fit(history).mahalanobis(days)
    ratio = np.array([turbulence(history, day)[0] for day in days]) / theirs
    # theirs divides by T, ours by T - 1 and by what is expected of five symbols
    assert ratio == pytest.approx(np.full(10, 249 / 250 * 250 * 243 / (5 * 251 * 249)), rel=1e-9)


def test_an_identity_target_misses_a_stack_that_the_constant_one_sees() -> None:
    """scikit-learn shrinks toward a multiple of the identity: of ten alike it takes away what they share."""
    covariance = pytest.importorskip("sklearn.covariance")
    returns = factor(np.random.default_rng(4), 60, 10, share=0.6)
    scaled = (returns - returns.mean(axis=0)) / returns.std(axis=0)
    theirs = covariance.ledoit_wolf(scaled)[0]
    closes = closes_of(returns)
    ours = correlation_stacking(closes, book_of(closes, [(FIRST + 60, dict.fromkeys(closes.symbols, 1.0))]), POLICY)
    # the plain mean of the sample's correlations is what shrinkage toward it keeps
    mean = np.corrcoef(returns, rowvar=False)[np.triu_indices(10, 1)].mean()
    assert ours.figures[0, stacking.MEAN] == pytest.approx(mean)
    assert theirs[np.triu_indices(10, 1)].mean() < mean
