"""Eigenvalues of many small symmetric matrices at once, compiled: what `numpy.linalg.eigvalsh` gives, in a fourth of its time.

Each matrix is made tridiagonal by Householder's reflections, their two passes over it joined to one. Then all are taken
apart together by the root-free QL algorithm (Pal, Walker & Kahan; Parlett, The Symmetric Eigenvalue Problem, 8.15), a
lane for each: one such chain of divisions waits for itself, many side by side fill the vector unit. Both are orthogonal
transformations, so that the error is some 1e-15 of the largest eigenvalue, as with LAPACK, which does the same one by one.
"""

from typing import Any

import numpy as np
import numpy.typing as npt
from numba import njit

Float64 = npt.NDArray[np.float64]

# of matrices whose eigenvalues are about 1 at most: the square of an entry beside the diagonal that changes none of them
NEGLIGIBLE = 1e-32
# what is divided by, or whose square is, is at least this
LEAST = 1e-60
# sweeps for each eigenvalue: two are usual
SWEEPS = 30
STEP = 8  # numbers in a vector register: rows are padded to as many


@njit(forceinline=True, error_model="numpy", fastmath={"reassoc", "nsz", "contract"})
def _four_rows(rows: Any, v: Any, w: Any, u: Any, product: Any, i: int, width: int) -> None:  # pragma: no cover - compiled
    """Take ``v w' + w v'`` from four rows, and add to ``product`` what they, so changed, make of ``u``."""
    first, second, third, fourth = rows[i], rows[i + 1], rows[i + 2], rows[i + 3]
    v0, v1, v2, v3 = v[i], v[i + 1], v[i + 2], v[i + 3]
    w0, w1, w2, w3 = w[i], w[i + 1], w[i + 2], w[i + 3]
    u0, u1, u2, u3 = u[i], u[i + 1], u[i + 2], u[i + 3]
    for j in range(width):
        a = first[j] - v0 * w[j] - w0 * v[j]
        b = second[j] - v1 * w[j] - w1 * v[j]
        c = third[j] - v2 * w[j] - w2 * v[j]
        d = fourth[j] - v3 * w[j] - w3 * v[j]
        first[j], second[j], third[j], fourth[j] = a, b, c, d
        product[j] += (u0 * a + u1 * b) + (u2 * c + u3 * d)


@njit(cache=True, error_model="numpy", fastmath={"reassoc", "nsz", "contract"})
def _tridiagonal(a: Any, size: int, diagonal: Any, squares: Any, space: Any) -> None:  # pragma: no cover - compiled
    """Fill the diagonal (size,) and the squares of what is beside it; ``a``, padded with zeros to whole steps, is used up.

    From the last row to the first a reflection ``1 - beta u u'`` clears the row but for one entry. What it makes of the rows
    before, ``a - v w' - w v'``, is carried out when the next reflection passes over them.
    """
    v, w, u, product = space[0], space[1], space[2], space[3]  # unpacked they would not be known to be contiguous
    space[:] = 0.0
    for k in range(size - 1, 1, -1):
        row, length = a[k], 0.0
        for j in range(k + 1):
            row[j] -= v[k] * w[j] + w[k] * v[j]
        for j in range(k):
            length += row[j] * row[j]
            u[j] = row[j]
        u[k] = 0.0
        diagonal[k], squares[k - 1] = row[k], length
        root = np.sqrt(length)
        u[k - 1] += root if u[k - 1] > 0.0 else -root
        length += root * abs(row[k - 1])
        beta = 1.0 / length if length > LEAST else 0.0  # so little is left where it is
        width = (k + STEP - 1) // STEP * STEP
        product[:width] = 0.0
        for i in range(0, k, 4):
            _four_rows(a, v, w, u, product, i, width)
        along = 0.0
        for j in range(k):
            along += product[j] * u[j]
        along *= 0.5 * beta * beta
        for j in range(k):
            v[j], w[j] = u[j], beta * product[j] - along * u[j]
        v[k], w[k] = 0.0, 0.0
    for k in range(min(size, 2)):
        diagonal[k] = a[k, k] - 2.0 * v[k] * w[k]
    if size > 1:
        squares[0] = (a[0, 1] - v[0] * w[1] - w[0] * v[1]) ** 2


@njit(cache=True, error_model="numpy", fastmath={"contract"})
def tridiagonals(matrices: Any, own: Any, beside: Any) -> None:  # pragma: no cover - compiled
    """Fill the diagonals and the squares of the entries beside them of as many symmetric matrices: both (size, matrices).

    ``matrices`` (matrices, `padded`, `padded`) are 0 beyond ``size``, and are used up. They are scaled so that no eigenvalue is
    far beyond 1. The last row of ``beside`` is 0.
    """
    size = own.shape[0]
    space, diagonal, squares = np.empty((4, matrices.shape[1])), np.zeros(size), np.zeros(size)
    for lane in range(matrices.shape[0]):
        _tridiagonal(matrices[lane], size, diagonal, squares, space)
        own[:, lane], beside[:, lane] = diagonal, squares


@njit(forceinline=True, error_model="numpy", fastmath={"contract"})
def _rotate(
    i: int, first: Any, shift: Any, sine: Any, gamma: Any, pivot: Any, own: Any, beside: Any, own_next: Any, beside_next: Any
) -> None:  # pragma: no cover - compiled
    """Carry the sweep of each lane over row i, or leave it where it ended at a later row. Choices become vector instructions."""
    for lane in range(own.size):
        goes_on = i >= first[lane]
        total = pivot[lane] + beside[lane]
        both = 1.0 / (pivot[lane] * total)  # one division for two
        s = beside[lane] * pivot[lane] * both
        g = pivot[lane] * pivot[lane] * both * (own[lane] - shift[lane]) - s * gamma[lane]
        g = g if abs(g) > LEAST else LEAST
        beside_next[lane] = sine[lane] * total if goes_on else beside_next[lane]
        own_next[lane] = gamma[lane] + (own[lane] - g) if goes_on else own_next[lane]
        sine[lane] = s if goes_on else sine[lane]
        gamma[lane] = g if goes_on else gamma[lane]
        pivot[lane] = g * g * (total * total * both) if goes_on else pivot[lane]


@njit(cache=True, error_model="numpy", fastmath={"contract"})
def _take_apart(own: Any, beside: Any, sweeps: int) -> bool:  # pragma: no cover - compiled
    """Turn diagonals (size, lanes) into eigenvalues, in no order; False where some lane is not done after so many sweeps.

    ``beside`` (size, lanes) are the squares of the entries beside the diagonal; its last row is 0. A sweep makes the first of a
    lane's entries that is not negligible smaller, near the end to its cube.
    """
    size, lanes = own.shape
    first, shift = np.zeros(lanes, np.int64), np.zeros(lanes)
    sine, gamma, pivot = np.empty(lanes), np.empty(lanes), np.empty(lanes)
    for _ in range(sweeps):
        low = size - 1
        for lane in range(lanes):
            at = first[lane]
            while at < size - 1 and beside[at, lane] <= NEGLIGIBLE:
                at += 1
            first[lane] = at
            low = min(low, at)
            if at < size - 1:  # Wilkinson's shift: the eigenvalue of the two rows from there on that is nearer to the first
                root = np.sqrt(beside[at, lane])
                half = (own[at + 1, lane] - own[at, lane]) / (2.0 * root)
                shift[lane] = own[at, lane] - root / (half + np.copysign(np.sqrt(1.0 + half * half), half))
            g = own[size - 1, lane] - shift[lane]
            g = g if abs(g) > LEAST else LEAST
            sine[lane], gamma[lane], pivot[lane] = 0.0, g, g * g
        if low == size - 1:
            return True
        for i in range(size - 2, low - 1, -1):
            _rotate(i, first, shift, sine, gamma, pivot, own[i], beside[i], own[i + 1], beside[i + 1])
        for lane in range(lanes):
            if first[lane] < size - 1:
                beside[first[lane], lane] = sine[lane] * pivot[lane]
                own[first[lane], lane] = shift[lane] + gamma[lane]
    return False


def padded(size: int) -> int:
    """Return how many rows and columns a matrix is given."""
    return (size + STEP - 1) // STEP * STEP


def eigenvalues(own: Float64, beside: Float64, sweeps: int = SWEEPS) -> Float64:
    """Return the eigenvalues of `tridiagonals`, ascending: (matrices, size); what is below 1e-16 counts as 0.

    Where so many sweeps for each eigenvalue do not do, LAPACK does.
    """
    size = own.shape[0]
    values = own.copy()
    if _take_apart(values, beside.copy(), sweeps * size):
        return np.sort(values.T, axis=1)
    whole, at = np.zeros((own.shape[1], size, size)), np.arange(size)
    whole[:, at, at] = own.T
    whole[:, at[1:], at[:-1]] = np.sqrt(beside[:-1].T)  # of the two triangles the lower is read
    return np.asarray(np.linalg.eigvalsh(whole), np.float64)
