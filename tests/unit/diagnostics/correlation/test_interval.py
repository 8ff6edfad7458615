"""The interval of the stack ratio: what it is of, and how often it covers."""

import numpy as np
import pytest

from portfolio_platform.diagnostics.correlation import interval, stacking
from portfolio_platform.diagnostics.correlation.analysis import correlation_stacking
from portfolio_platform.policy.diagnostics import CorrelationPolicy
from tests.unit.diagnostics.correlation.books import FIRST, book_of, closes_of, factor

POLICY = CorrelationPolicy()


def test_weights_are_blocks_of_consecutive_sessions() -> None:
    drawn = interval.weights(60, 400, 5, 1)
    assert drawn.shape == (60, 400)
    assert (drawn.sum(axis=0) == 60).all()
    # the middle is in five blocks, the first session in one: the mean shows it
    assert drawn.mean(axis=1)[0] < 0.5 * drawn.mean(axis=1)[30]
    assert np.array_equal(interval.weights(60, 400, 5, 1), drawn)
    assert not np.array_equal(interval.weights(60, 400, 5, 2), drawn)
    assert (interval.weights(33, 50, 5, 1).sum(axis=0) == 33).all()


def test_few_blocks_widen_and_many_do_not() -> None:
    assert interval.exponent(60, 5, 0.95) == pytest.approx((12 / 11) ** 0.5 * 1.795885 / 1.644854, rel=1e-5)
    assert interval.exponent(100_000, 1, 0.95) == pytest.approx(1.0, abs=1e-3)


def test_the_paths_give_the_samples_ratio_without_a_matrix() -> None:
    rng = np.random.default_rng(5)
    returns = factor(rng, 60, 7)
    weight = rng.normal(size=7)
    matrix = np.corrcoef(returns, rowvar=False)
    signed = weight * returns.std(axis=0)
    coefficient = (weight / np.abs(signed).sum())[None, :]
    squares, own = stacking.weighted_paths(returns, np.array([59]), np.array([0]), returns.mean(axis=0)[None, :], coefficient, 60)
    assert squares.mean() / own.mean() == pytest.approx(signed @ matrix @ signed / (signed @ signed))


def test_the_ends_are_those_of_resampled_ratios_taken_one_by_one() -> None:
    rng = np.random.default_rng(6)
    squares, own = rng.chisquare(1, (3, 60)), rng.uniform(0.1, 0.3, (3, 60))
    ratio, most = np.array([2.0, 1.0, 3.0]), np.array([5.0, 1.05, 9.0])
    drawn = interval.weights(60, 200, 5, 9)
    low, high = interval.bootstrap(squares, own, ratio, most, drawn, 1.2, 0.95)
    for k in range(3):
        values = []
        for b in range(200):
            picked = np.repeat(np.arange(60), drawn[:, b].astype(int))
            values.append(ratio[k] * (squares[k][picked].mean() / own[k][picked].mean() / (squares[k].mean() / own[k].mean())) ** 1.2)
        values.sort()
        assert low[k] == pytest.approx(min(most[k], values[9]))
        assert high[k] == pytest.approx(min(most[k], values[190]))


@pytest.mark.parametrize(("rho", "symbols", "tails"), [(0.6, 6, 0), (0.0, 6, 0), (0.6, 6, 5), (0.8, 2, 0)])
def test_a_90_percent_interval_covers_the_truth_about_that_often(rho: float, symbols: int, tails: int) -> None:
    """600 sessions of which each has a window of its own; the true ratio of equal bets is 1 + (N - 1) rho."""
    rng, covered, trials = np.random.default_rng(7), [], 600
    values = factor(rng, 61 * trials, symbols, rho)
    if tails:
        values *= np.sqrt(tails / rng.chisquare(tails, (len(values), 1)))
    closes = closes_of(values)
    held = dict.fromkeys(closes.symbols, 1.0)
    book = book_of(closes, [(FIRST + 61 * (k + 1), held) for k in range(trials)])
    out = correlation_stacking(closes, book, POLICY)
    truth = 1.0 + (symbols - 1) * rho
    covered = (out.low <= truth) & (truth <= out.high)
    assert 0.83 <= covered.mean() <= 0.96
    assert ((out.low <= out.figures[:, stacking.RATIO]) & (out.figures[:, stacking.RATIO] <= out.high)).mean() > 0.99
