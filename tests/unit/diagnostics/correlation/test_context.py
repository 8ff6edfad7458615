"""Absorption ratio and turbulence: by hand, by plain linear algebra, and that the expectation of turbulence is 1."""

import numpy as np
import pytest

from portfolio_platform.diagnostics.correlation import context
from portfolio_platform.diagnostics.correlation.analysis import correlation_stacking
from portfolio_platform.diagnostics.correlation.context import absorption, turbulence
from portfolio_platform.policy.diagnostics import CorrelationPolicy
from tests.unit.diagnostics.correlation.books import FIRST, book_of, books_of, closes_of, factor

POLICY = CorrelationPolicy()


def test_a_fifth_of_the_eigenvalues_at_least_one() -> None:
    values = np.array([[1.0, 2.0, 3.0, 4.0, 10.0]])
    assert absorption(values, 5, 0.2)[0] == pytest.approx(0.5)
    assert absorption(values, 2, 0.2)[0] == pytest.approx(0.5)
    assert absorption(values, 10, 0.2)[0] == pytest.approx(0.7)
    assert np.isnan(absorption(np.zeros((1, 3)), 3, 0.2)[0])


@pytest.mark.parametrize("symbols", [2, 7, 59, 90])
def test_absorption_is_that_of_the_covariance_matrix_also_where_the_smaller_gram_matrix_is_taken(symbols: int) -> None:
    returns = factor(np.random.default_rng(symbols), 60, symbols, 0.3)
    closes = closes_of(returns)
    book = book_of(closes, [(FIRST + 60, dict.fromkeys(closes.symbols, 1.0))])
    out = correlation_stacking(closes, book, POLICY)
    values = np.sort(np.linalg.eigvalsh(np.cov(returns, rowvar=False)))[::-1]
    top = max(1, int(0.2 * symbols + 0.5))
    assert out.absorption[0] == pytest.approx(values[:top].sum() / values.sum(), rel=1e-9)


def test_absorption_of_many_portfolios_is_that_of_what_each_of_them_holds() -> None:
    """More sessions than are computed together, some with the same symbols, one with a single one, and one that never moves."""
    rng = np.random.default_rng(8)
    returns = factor(rng, 75, 70, 0.3)
    returns[:, 5:7] = 0.0
    closes = closes_of(returns)
    sets = [rng.choice(70, int(rng.integers(2, 70)), replace=False) for _ in range(12)]
    sets += [sets[0], np.array([3]), np.array([5, 6]), np.arange(5, 12)]
    held = {code: dict.fromkeys((closes.symbols[k] for k in chosen), 1.0) for code, chosen in enumerate(sets)}
    out = correlation_stacking(
        closes, books_of(closes, {code: [(FIRST + 70, mine), (FIRST + 75, mine)] for code, mine in held.items()}), POLICY
    )
    for place, (chosen, until) in enumerate((chosen, until) for chosen in sets for until in (70, 75)):
        values = np.sort(np.linalg.eigvalsh(np.cov(returns[until - 60 : until, chosen], rowvar=False).reshape(chosen.size, -1)))[::-1]
        top = max(1, int(0.2 * chosen.size + 0.5))
        expected = values[:top].sum() / values.sum() if chosen.size > 1 and values.sum() > 0.0 else np.nan
        assert out.absorption[place] == pytest.approx(expected, rel=1e-12, nan_ok=True)


def test_turbulence_is_the_mahalanobis_distance_over_its_expectation_and_today_is_not_in_its_own_moments() -> None:
    rng = np.random.default_rng(3)
    history, today = rng.normal(size=(250, 4)) @ rng.normal(size=(4, 4)), 5.0 * rng.normal(size=4)
    apart = today - history.mean(axis=0)
    expected = 4 * 251 * 249 / (250 * (250 - 4 - 2))
    value, code = turbulence(history, today)
    assert value == pytest.approx(apart @ np.linalg.inv(np.cov(history, rowvar=False)) @ apart / expected)
    assert code == context.FOUND
    closes = closes_of(np.vstack((history, today)))
    out = correlation_stacking(closes, book_of(closes, [(FIRST + 251, dict.fromkeys(closes.symbols, 1.0))]), POLICY)
    assert out.turbulence[0] == pytest.approx(value)


def test_on_average_turbulence_is_1_also_with_many_symbols() -> None:
    rng = np.random.default_rng(4)
    mixed = rng.normal(size=(40, 40))
    values = [turbulence(rng.normal(size=(125, 40)) @ mixed, rng.normal(size=40) @ mixed)[0] for _ in range(400)]
    assert np.mean(values) == pytest.approx(1.0, abs=0.05)


def test_turbulence_says_why_there_is_none() -> None:
    rng = np.random.default_rng(5)
    assert turbulence(rng.normal(size=(120, 41)), np.ones(41))[1] == context.MANY_SYMBOLS
    twice = rng.normal(size=(200, 1)) @ np.ones((1, 2))
    assert turbulence(twice, np.ones(2))[1] == context.SINGULAR
    returns = factor(rng, 140, 2)
    closes = closes_of(returns)
    closes.log_close[-1, 1] = np.nan
    held = {"S00": 1.0, "S01": 1.0}
    book = book_of(closes, [(FIRST + 100, held), (FIRST + 139, held), (FIRST + 140, held)])
    out = correlation_stacking(closes, book, POLICY)
    assert [context.TURBULENCE_REASONS[code] for code in out.turbulence_code] == ["short_history", "", "no_common_session"]


def test_a_symbol_that_did_not_move_is_left_out_of_turbulence() -> None:
    rng = np.random.default_rng(6)
    history, today = rng.normal(size=(200, 2)), np.array([1.0, 2.0])
    still = np.insert(history, 1, 0.0, axis=1)
    assert turbulence(still, np.array([1.0, 9.0, 2.0])) == turbulence(history, today)
