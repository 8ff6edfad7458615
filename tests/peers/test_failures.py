"""D8's tests against statsmodels and scipy: Wilson's interval, the exact binomial tail, Benjamini-Hochberg."""

import numpy as np
import pytest

from portfolio_platform.diagnostics import failures as d8
from portfolio_platform.policy.diagnostics import FailurePolicy
from tests.peers.conftest import assert_equal

stats = pytest.importorskip("scipy.stats")
multitest = pytest.importorskip("statsmodels.stats.multitest", reason="statsmodels is not installed: pip install -e '.[peers]'")
proportion = pytest.importorskip("statsmodels.stats.proportion")
pytestmark = pytest.mark.peers


@pytest.fixture(scope="module")
def found() -> d8.Recurrence:
    rng = np.random.default_rng(20061231)
    size, count = 200, 900
    session, stratum = np.sort(rng.integers(0, size, count)), rng.integers(0, 6, count)
    mode = np.where(rng.random(count) < 0.5, rng.integers(0, 4, count), -1)
    losses = d8.Losses(
        session, rng.exponential(100.0, count), np.where(mode >= 0, mode * 6 + stratum, -1), stratum, rng.integers(0, 5, count)
    )
    return d8.recurrence(d8.Closed(session, stratum), losses, size, 0, FailurePolicy())


def test_the_share_has_the_interval_of_statsmodels(found: d8.Recurrence) -> None:
    low, high = proportion.proportion_confint(found.cases, found.trades, alpha=0.05, method="wilson")
    # statsmodels leaves rounding at the ends: 1e-17 for 0
    np.testing.assert_allclose(found.share_low, low, rtol=1e-9, atol=1e-12)
    np.testing.assert_allclose(found.share_high, high, rtol=1e-9, atol=1e-12)


def test_the_tail_is_that_of_the_exact_binomial_test(found: d8.Recurrence) -> None:
    rows = np.flatnonzero(np.isfinite(found.p_value))[::37]
    assert rows.size > 50
    for i in rows.tolist():
        rate = (found.baseline_cases[i] + 1) / (found.baseline_trades[i] + 2)
        tested = stats.binomtest(int(found.cases[i]), int(found.trades[i]), rate, alternative="greater")
        assert found.p_value[i] == pytest.approx(tested.pvalue, rel=1e-9)


def test_the_adjustment_is_benjamini_hochbergs(found: d8.Recurrence) -> None:
    for s in range(70, 200, 10):
        rows = (found.session == s) & np.isfinite(found.p_value)
        assert_equal(found.p_adjusted[rows], multitest.multipletests(found.p_value[rows], method="fdr_bh")[1])
