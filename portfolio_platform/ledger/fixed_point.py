"""Exact decimals and the scaled integers of the kernels.

A stored decimal has 18 places. A kernel counts a symbol's quantities in units of ``10**-places`` of that symbol, so that
flat is zero; `split_decimals` gives whole units and the fraction in units of 1e-18, from which both the scaled integer
and the nearest float follow without a detour through text.
"""

from decimal import Context, Decimal

import numpy as np
import numpy.typing as npt
import pyarrow as pa
from numba import njit

SCALE = 18
_EXACT = Context(prec=60)
Int64 = npt.NDArray[np.int64]
Float64 = npt.NDArray[np.float64]
# Quantities of a batch: 64-bit integers, or Python integers in an object array where 64 bits do not hold the range.
Quantities = npt.NDArray[np.int64] | npt.NDArray[np.object_]

_POWERS = np.array([10**k for k in range(SCALE + 1)], dtype=np.int64)


@njit(cache=True)
def _split(words: Int64, whole: Int64, fraction: Int64) -> bool:  # pragma: no cover - compiled
    """Split little-endian 128-bit integers at 10**18; False where a whole part is beyond 2**53."""
    unit = np.int64(1_000_000_000_000_000_000)
    for i in range(whole.size):
        low = words[2 * i]
        high = words[2 * i + 1]
        unsigned = float(np.uint64(low))
        value = float(high) * 18446744073709551616.0 + unsigned
        if abs(value) >= 9007199254740992.0 * 1e18:
            return False
        guess = np.int64(np.floor(value / 1e18))
        # the remainder is small, so its low 64 bits, which wrap, are all of it
        rest = low - guess * unit
        while rest < 0:
            rest += unit
            guess -= 1
        while rest >= unit:
            rest -= unit
            guess += 1
        whole[i] = guess
        fraction[i] = rest
    return True


@njit(cache=True)
def _places(fraction: Int64, out: npt.NDArray[np.int8]) -> None:  # pragma: no cover - compiled
    # divisors that the compiler knows are multiplied by, which takes half the time of a division
    for i in range(fraction.size):
        rest = fraction[i]
        if rest == 0:
            out[i] = 0
            continue
        places = 18
        if rest % 100_000_000 == 0:
            rest //= 100_000_000
            places -= 8
        if rest % 10_000 == 0:
            rest //= 10_000
            places -= 4
        if rest % 100 == 0:
            rest //= 100
            places -= 2
        if rest % 10 == 0:
            rest //= 10
            places -= 1
        # steps of 8+4+2+1 take away at most 15 zeros; a rest may still end in some
        while places > 0 and rest % 10 == 0:
            rest //= 10
            places -= 1
        out[i] = places


@njit(cache=True)
def _floats(whole: Int64, fraction: Int64, places: npt.NDArray[np.int8], powers: Int64, out: Float64) -> None:  # pragma: no cover
    for i in range(whole.size):
        if places[i] == 0:
            out[i] = float(whole[i])
            continue
        sign, units, rest = 1.0, whole[i], fraction[i]
        if units < 0:
            sign, units, rest = -1.0, -(units + 1), powers[18] - rest
        scale = powers[places[i]]
        digits = np.int64(9007199254740993)
        if units <= 9007199254740992 // scale:
            digits = units * scale + rest // powers[18 - places[i]]
        if digits <= 9007199254740992:
            # an integer up to 2**53 over a power of ten below 10**23: one rounding, so the nearest float
            out[i] = sign * (float(digits) / float(scale))
        else:
            out[i] = sign * (float(units) + float(rest) / 1e18)


def words(column: pa.ChunkedArray | pa.Array) -> Int64:
    """Return the 128-bit words of a decimal column, flat; nulls read as whatever lies there."""
    array = column.combine_chunks() if isinstance(column, pa.ChunkedArray) else column
    if isinstance(array, pa.ChunkedArray):
        array = pa.concat_arrays(array.chunks) if array.num_chunks else pa.array([], array.type)
    if len(array) == 0:
        return np.empty(0, np.int64)
    buffer = array.buffers()[1]
    return np.frombuffer(buffer, dtype=np.int64)[2 * array.offset : 2 * (array.offset + len(array))]


def split_decimals(column: pa.ChunkedArray | pa.Array) -> tuple[Int64, Int64] | None:
    """Return whole units and the fraction in 1e-18 (0 <= fraction < 1e18), or None beyond 2**53 whole units."""
    raw = words(column)
    whole, fraction = np.empty(raw.size // 2, np.int64), np.empty(raw.size // 2, np.int64)
    return (whole, fraction) if _split(raw, whole, fraction) else None


def decimal_places(fraction: Int64) -> npt.NDArray[np.int8]:
    """Return how many decimal places each fraction (in units of 1e-18) needs."""
    out = np.empty(fraction.size, np.int8)
    _places(fraction, out)
    return out


def to_floats(column: pa.ChunkedArray | pa.Array) -> Float64:
    """Return a decimal column as the nearest floats (within one unit in the last place beyond 15 digits); null is NaN."""
    if column.null_count:
        import pyarrow.compute as pc

        missing = column.is_null().to_numpy(zero_copy_only=False) if isinstance(column, pa.Array) else column.is_null().to_numpy()
        values = to_floats(pc.fill_null(column, Decimal(0)))
        values[missing] = np.nan
        return values
    parts = split_decimals(column)
    if parts is None:
        return np.array([float(value) for value in column.to_pylist()], dtype=np.float64)
    whole, fraction = parts
    out = np.empty(whole.size, np.float64)
    _floats(whole, fraction, decimal_places(fraction), _POWERS, out)
    return out


def scaled(whole: Int64, fraction: Int64, places: npt.NDArray[np.int8] | npt.NDArray[np.int64]) -> Int64:
    """Return ``value * 10**places`` as 64-bit integers; the caller has checked that they fit and are exact."""
    exponents = places.astype(np.int64)
    return whole * _POWERS[exponents] + fraction // _POWERS[SCALE - exponents]


def exact_integers(column: pa.ChunkedArray | pa.Array, places: int = SCALE) -> npt.NDArray[np.object_]:
    """Return ``value * 10**places`` as Python integers: any range, slowly."""
    factor = Decimal(10) ** places
    out = np.empty(len(column), dtype=object)
    for index, value in enumerate(column.to_pylist()):
        out[index] = int(_EXACT.multiply(value, factor))
    return out


def to_decimals(quantities: Quantities, places: npt.NDArray[np.int64]) -> pa.Array:
    """Return scaled integers as decimals of 18 places, exactly."""
    if quantities.dtype == object:
        units = [Decimal(int(q)).scaleb(-int(p), context=_EXACT) for q, p in zip(quantities, places, strict=True)]
        return pa.array(units, pa.decimal128(38, SCALE))
    out = np.empty(2 * quantities.size, np.int64)
    _join(np.asarray(quantities, np.int64), _POWERS[SCALE - places], out)
    return pa.Array.from_buffers(pa.decimal128(38, SCALE), quantities.size, [None, pa.py_buffer(out)])


@njit(cache=True)
def _join(values: Int64, factors: Int64, out: Int64) -> None:  # pragma: no cover - compiled
    """Multiply 64-bit by 64-bit integers into little-endian 128-bit ones, by 32-bit limbs."""
    mask = np.uint64(0xFFFFFFFF)
    half = np.uint64(32)
    for i in range(values.size):
        negative = values[i] < 0
        a = np.uint64(-values[i]) if negative else np.uint64(values[i])
        b = np.uint64(factors[i])
        a0, a1, b0, b1 = a & mask, a >> half, b & mask, b >> half
        low = a0 * b0
        middle = a1 * b0 + (low >> half)
        other = a0 * b1 + (middle & mask)
        lo = (other << half) | (low & mask)
        hi = a1 * b1 + (middle >> half) + (other >> half)
        if negative:
            lo = ~lo + np.uint64(1)
            hi = ~hi + (np.uint64(1) if lo == np.uint64(0) else np.uint64(0))
        out[2 * i] = np.int64(lo)
        out[2 * i + 1] = np.int64(hi)
