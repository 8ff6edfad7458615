"""Text columns of generated facts, laid out as bytes: a million unique ids take no Python loop."""

import numpy as np
import numpy.typing as npt
import pyarrow as pa


def _fixed_width(characters: npt.NDArray[np.uint8]) -> pa.Array:
    """Return the rows of a (rows, width) array of ASCII codes as text."""
    rows, width = characters.shape
    offsets = np.arange(rows + 1, dtype=np.int32) * np.int32(width)
    return pa.StringArray.from_buffers(rows, pa.py_buffer(offsets), pa.py_buffer(np.ascontiguousarray(characters)))


def numbered(prefix: str, numbers: npt.NDArray[np.int64], digits: int) -> pa.Array:
    """Return ids such as ``EX-000000042``."""
    out = np.empty((numbers.size, len(prefix) + digits), np.uint8)
    out[:, : len(prefix)] = np.frombuffer(prefix.encode(), np.uint8)
    rest = numbers.copy()
    for place in range(digits - 1, -1, -1):
        rest, digit = np.divmod(rest, 10)
        out[:, len(prefix) + place] = digit + ord("0")
    return _fixed_width(out)


def hashes(rows: int, rng: np.random.Generator) -> pa.Array:
    """Return random text of 64 hexadecimal digits, as incompressible as a SHA-256."""
    nibbles = np.frombuffer(rng.bytes(rows * 32), np.uint8).reshape(rows, 32)
    alphabet = np.frombuffer(b"0123456789abcdef", np.uint8)
    out = np.empty((rows, 64), np.uint8)
    out[:, 0::2] = alphabet[nibbles >> 4]
    out[:, 1::2] = alphabet[nibbles & 15]
    return _fixed_width(out)
