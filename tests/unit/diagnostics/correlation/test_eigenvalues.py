"""Eigenvalues of many small matrices at once: by hand, against LAPACK, and in the cases that stop such algorithms."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from portfolio_platform.diagnostics.correlation.eigenvalues import eigenvalues, padded, tridiagonals


def found(matrices: np.ndarray, sweeps: int = 30) -> np.ndarray:
    """Return what comes of matrices (matrices, n, n), which stay as they are."""
    count, size = matrices.shape[:2]
    room = np.zeros((count, padded(size), padded(size)))
    room[:, :size, :size] = matrices
    own, beside = np.empty((size, count)), np.empty((size, count))
    tridiagonals(room, own, beside)
    return eigenvalues(own, beside, sweeps)


def grams(rng: np.random.Generator, count: int, size: int, rank: int) -> np.ndarray:
    """Return positive semi-definite matrices with trace 1."""
    values = rng.normal(size=(count, size, rank)) * np.exp(rng.normal(size=rank))
    products = values @ values.transpose(0, 2, 1)
    return products / np.trace(products, axis1=1, axis2=2)[:, None, None]


def test_two_by_two_worked_by_hand() -> None:
    # (2 +- 1) / 4; a diagonal is its own; the trace of the third is 0
    matrices = np.array([[[0.50, 0.25], [0.25, 0.50]], [[0.75, 0.0], [0.0, 0.25]], [[0.0, 1.0], [1.0, 0.0]]])
    np.testing.assert_allclose(found(matrices), [[0.25, 0.75], [0.25, 0.75], [-1.0, 1.0]], rtol=0, atol=1e-15)


@given(st.integers(0, 2**32 - 1), st.integers(1, 70), st.integers(1, 90))
def test_they_are_lapacks(seed: int, size: int, rank: int) -> None:
    matrices = grams(np.random.default_rng(seed), 3, size, rank)
    np.testing.assert_allclose(found(matrices), np.linalg.eigvalsh(matrices), rtol=0, atol=5e-15)


@pytest.mark.parametrize("count", [1, 7, 64, 150])
def test_a_matrix_among_many_is_that_matrix_alone(count: int) -> None:
    """Lanes are done after different numbers of sweeps, and what is done must stay as it is."""
    rng = np.random.default_rng(count)
    matrices = np.concatenate([grams(rng, count, 60, 1 + int(rng.integers(100))), grams(rng, 1, 60, 1), np.zeros((1, 60, 60))])
    matrices = matrices[rng.permutation(count + 2)]
    together = found(matrices)
    np.testing.assert_allclose(together, np.linalg.eigvalsh(matrices), rtol=0, atol=5e-15)
    for place in range(0, count + 2, 11):
        np.testing.assert_allclose(found(matrices[place : place + 1])[0], together[place], rtol=0, atol=5e-15)


@pytest.mark.parametrize(
    "matrix",
    [
        np.zeros((5, 5)),
        np.eye(9) / 9.0,
        np.full((12, 12), 1.0 / 12.0),
        np.diag(10.0 ** -np.arange(0.0, 40.0, 2.0)),
        np.kron(np.eye(3), np.full((4, 4), 1.0 / 12.0)),
        np.diag(np.full(19, 0.5), 1) + np.diag(np.full(19, 0.5), -1),
        np.diag([1.0, 1e-80, 0.0, 1e-160, 0.5]) + 1e-90,
    ],
    ids=["nothing", "all alike", "one factor", "graded", "blocks", "no diagonal", "next to nothing"],
)
def test_matrices_with_equal_or_vanishing_eigenvalues(matrix: np.ndarray) -> None:
    np.testing.assert_allclose(found(matrix[None])[0], np.linalg.eigvalsh(matrix), rtol=0, atol=5e-15)


def test_where_the_sweeps_do_not_do_lapack_does() -> None:
    matrices = grams(np.random.default_rng(1), 4, 20, 30)
    np.testing.assert_allclose(found(matrices, sweeps=0), np.linalg.eigvalsh(matrices), rtol=0, atol=5e-15)
