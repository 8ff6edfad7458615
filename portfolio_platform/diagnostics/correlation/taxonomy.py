"""Where the sample is too short cohorts stand in: correlation 1 inside a cohort, 0 across, and equal volatilities."""

import numpy as np
import numpy.typing as npt

Int64 = npt.NDArray[np.int64]
Float64 = npt.NDArray[np.float64]


def cohort_matrix(cohort: Int64) -> Float64:
    """Return the assumed correlations (n, n) of symbols by cohort; -1 is unclassified, a cohort of its own."""
    same = (cohort[:, None] == cohort[None, :]) & (cohort[:, None] >= 0)
    np.fill_diagonal(same, True)
    matrix: Float64 = same.astype(np.float64)
    return matrix


def cohort_buckets(cohort: Int64) -> Int64:
    """Return for each symbol (sorted) the place of the first one in its cohort."""
    first: Int64 = np.argmax(cohort_matrix(cohort) > 0.0, axis=1).astype(np.int64)
    return first


def figures_of(matrix: Float64, weight: Float64) -> tuple[float, float, float]:
    """Return score, variance and the sum of squares for signed weights (n,) that sum to 1 in absolute value; plainly, one session."""
    product = matrix * np.outer(weight, weight)
    squares = float((weight * weight).sum())
    off = product.sum() - np.trace(product)
    positive = np.maximum(product, 0.0).sum() - np.maximum(np.diag(product), 0.0).sum()
    return float(positive) / (1.0 - squares), squares + float(off), squares


def heat_of(matrix: Float64, long_risk: Float64, short_risk: Float64) -> float:
    """Return ``sum_pq R_p R_q max(0, s_p s_q rho_pq)`` over positions, by symbol: same side where rho > 0, opposite where below."""
    same = np.outer(long_risk, long_risk) + np.outer(short_risk, short_risk)
    cross = np.outer(long_risk, short_risk) + np.outer(short_risk, long_risk)
    return float((np.maximum(matrix, 0.0) * same + np.maximum(-matrix, 0.0) * cross).sum())
