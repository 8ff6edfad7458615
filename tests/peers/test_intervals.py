"""Intervals and tests against scipy and statsmodels, and skill against published numbers."""

import math

import numpy as np
import pytest
from scipy import stats
from statsmodels.stats.multitest import multipletests
from statsmodels.stats.proportion import proportion_confint

from portfolio_platform.evidence.intervals import (
    benjamini_hochberg,
    binomial_tail,
    normal_quantile,
    quantile_ranks,
    rate_tail,
    wilson,
)
from portfolio_platform.evidence.track_record import skill

pytestmark = pytest.mark.peers


def test_wilson_is_that_of_statsmodels_and_scipy():
    successes, trials = np.array([0, 1, 3, 20, 64, 76]), np.array([5, 4, 10, 20, 76, 76])
    low, high = wilson(successes, trials)
    theirs = proportion_confint(successes, trials, method="wilson")
    assert np.allclose(low, theirs[0], atol=1e-12)
    assert np.allclose(high, theirs[1], atol=1e-12)
    one = stats.binomtest(64, 76).proportion_ci(0.9, method="wilson")
    assert np.allclose(wilson(64, 76, 0.9), (one.low, one.high), atol=1e-12)


def test_the_tails_are_those_of_exact_binomial_tests():
    assert binomial_tail(7, 20, 0.2) == pytest.approx(stats.binomtest(7, 20, 0.2, alternative="greater").pvalue, rel=1e-12)
    expected = stats.binomtest(14, 14 + 90, 20 / 270, alternative="greater").pvalue
    assert rate_tail(14, 20, 90, 250) == pytest.approx(expected, rel=1e-12)


def test_benjamini_hochberg_is_that_of_statsmodels():
    p = np.random.default_rng(4).uniform(size=60) ** 3
    assert np.allclose(benjamini_hochberg(p), multipletests(p, method="fdr_bh")[1], rtol=1e-12)


@pytest.mark.parametrize(("n", "probability"), [(6, 0.5), (12, 0.5), (20, 0.5), (30, 0.5), (36, 0.9), (100, 0.9), (75, 0.25)])
def test_the_ranks_of_a_quantile_are_those_of_scipy(n, probability):
    values = np.arange(1.0, n + 1)
    theirs = stats.quantile_test(values, q=0, p=probability).confidence_interval(0.95)
    assert quantile_ranks(n, probability) == (theirs.low, theirs.high)


@pytest.mark.parametrize(("n", "probability"), [(5, 0.5), (35, 0.9), (1, 0.5)])
def test_a_sample_too_small_has_no_ranks(n, probability):
    assert quantile_ranks(n, probability) is None


def psr(sharpe, n, skewness, kurtosis):
    """The formula as it is printed, the benchmark being 0."""
    return stats.norm.cdf(sharpe * math.sqrt(n - 1) / math.sqrt(1 - skewness * sharpe + (kurtosis - 1) / 4 * sharpe**2))


def test_the_published_example_of_the_probabilistic_sharpe_ratio_is_met():
    """Bailey & Lopez de Prado 2012: 24 months at 0.458 a month, skewness -2.448, kurtosis 10.164."""
    assert psr(0.458, 24, -2.448, 10.164) == pytest.approx(0.913, abs=5e-4)
    assert psr(0.458, 24, 0.0, 3.0) == pytest.approx(0.982, abs=5e-4)


@pytest.mark.parametrize(("periods", "years"), [(252, 2.73), (52, 2.83), (12, 3.24)])
def test_the_published_minimum_track_records_are_met(periods, years):
    """The same: years that prove an annual ratio of 2 above 1 at 95 %, normal returns, daily, weekly, monthly."""
    # three points with the variance, skewness and kurtosis of a standard normal: 1, 0 and 3
    returns = np.tile([3**0.5, 0.0, 0.0, -(3**0.5), 0.0, 0.0], 50) + 2.0 / math.sqrt(periods)
    needed = skill(returns, 1.0 / math.sqrt(periods), 0.95).needed[-1]
    assert needed / periods == pytest.approx(years, abs=0.005)


def test_skill_after_each_return_is_what_scipy_finds_in_the_returns_so_far():
    generator = np.random.default_rng(11)
    noise = generator.standard_t(4, 260) * 0.01
    returns = 0.0008 + noise + 0.3 * np.concatenate(([0.0], noise[:-1]))
    found = skill(returns, 0.0, 0.95)
    for n in (2, 3, 30, 259, 260):
        so_far = returns[:n]
        sharpe = so_far.mean() / so_far.std()
        away = so_far - so_far.mean()
        rho = float(away[1:] @ away[:-1] / (away @ away))
        effective = min(n, n * (1 - rho) / (1 + rho))
        skewness, kurtosis = stats.skew(so_far), stats.kurtosis(so_far, fisher=False)
        assert found.sharpe[n - 1] == pytest.approx(sharpe, rel=1e-9)
        assert found.effective[n - 1] == pytest.approx(effective, rel=1e-9)
        if effective > 1.0:
            assert found.probability[n - 1] == pytest.approx(psr(sharpe, effective, skewness, kurtosis), rel=1e-9)
            term = 1 - skewness * sharpe + (kurtosis - 1) / 4 * sharpe**2
            needed = 1 + term * (stats.norm.ppf(0.95) / sharpe) ** 2 if sharpe > 0 else math.inf
            assert found.needed[n - 1] == pytest.approx(needed, rel=1e-6)


def test_the_normal_quantile_is_scipys():
    assert normal_quantile(0.95) == pytest.approx(stats.norm.ppf(0.95), rel=1e-14)
