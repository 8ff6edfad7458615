"""Shrinkage of a correlation matrix toward constant correlation (Ledoit & Wolf 2004; intensity after Schaefer & Strimmer 2005).

``C = (1 - lambda) R + lambda rbar`` off the diagonal, ``lambda = min(1, sum (1 - r^2)^2 / (T - 1) / sum (r - rbar)^2)``, both sums
over the pairs. An identity target would miss stacks: it takes away just what positions have in common.
"""

import numpy as np
import numpy.typing as npt

Float64 = npt.NDArray[np.float64]

# mean squared distance of the correlations from their mean below which they count as equal
EQUAL = 1e-24


def shrinkage(pairs: Float64, count: int) -> tuple[float, float]:
    """Return lambda and the mean of correlations (pairs,) estimated from ``count`` observations; lambda 1 where all are equal."""
    mean = float(pairs.mean())
    spread = float(((pairs - mean) ** 2).sum())
    if spread <= EQUAL * pairs.size:
        return 1.0, mean
    noise = float(((1.0 - pairs * pairs) ** 2).sum()) / (count - 1)
    return min(1.0, noise / spread), mean


def shrunk(matrix: Float64, count: int) -> Float64:
    """Return a correlation matrix (n, n) shrunk toward constant correlation; 1 on the diagonal."""
    size = matrix.shape[0]
    if size < 2:
        return matrix.copy()
    weight, mean = shrinkage(matrix[np.triu_indices(size, 1)], count)
    out: Float64 = (1.0 - weight) * matrix + weight * mean
    np.fill_diagonal(out, 1.0)
    return out
