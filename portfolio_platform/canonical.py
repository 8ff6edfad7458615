"""Canonical bytes: one spelling for equal content, so that equal facts have equal hashes on any machine."""

import hashlib
import json
import math
from collections.abc import Mapping
from datetime import date, datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import orjson

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

SIGNIFICANT_DIGITS = 12


def significant(value: float) -> float | None:
    """Round to 12 significant digits; NaN and infinities are null, negative zero is zero."""
    if not math.isfinite(value):
        return None
    return float(f"{value:.{SIGNIFICANT_DIGITS}g}") + 0.0


def rounded(values: "npt.NDArray[np.float64]") -> list[float | None]:
    """Round an array as `significant` does, and return it as a list.

    A value times a power of ten that is exact, rounded to a whole number, and divided by it again is the double nearest to
    that decimal; beyond those powers each value is rounded by itself.
    """
    import numpy as np

    finite = np.isfinite(values)
    safe = np.where(finite & (values != 0.0), values, 1.0)
    places = SIGNIFICANT_DIGITS - 1 - np.floor(np.log10(np.abs(safe)))
    scale = 10.0 ** np.clip(places, 0.0, 22.0)
    whole = np.rint(safe * scale)
    out: list[float | None] = (np.where(values == 0.0, 0.0, whole / scale) + 0.0).tolist()
    # a logarithm that is a hair off beside a power of ten shows as a digit too many or too few
    odd = (np.abs(whole) > 10.0**SIGNIFICANT_DIGITS) | (np.abs(whole) < 10.0 ** (SIGNIFICANT_DIGITS - 1))
    for place in np.flatnonzero(~finite | odd | (places > 22.0) | (places < 0.0)).tolist():
        out[place] = significant(float(values[place]))
    return out


def _plain(value: Any, floats: bool) -> Any:
    if value is None or isinstance(value, (bool, int, str)):
        return value
    if isinstance(value, float):
        if not floats:
            raise TypeError(f"a float ({value!r}) has no place in an event; use integers or fixed-scale strings")
        return significant(value)
    if isinstance(value, Decimal):
        return format(value, "f")
    if isinstance(value, (date, datetime)):
        return value.isoformat()
    if isinstance(value, Mapping):
        return {str(key): _plain(item, floats) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(item, floats) for item in value]
    raise TypeError(f"{type(value).__name__} has no canonical form")


def canonical_bytes(value: Any, *, floats: bool = True, plain: bool = False) -> bytes:
    """Serialise plain content to its one canonical JSON form.

    Keys are sorted, there is no white space, text is UTF-8, floats are rounded by `significant`. With
    ``floats=False`` a float anywhere raises `TypeError`: that is the rule for everything in the event log. With
    ``plain=True`` the caller vouches that the content is JSON already and its floats are rounded.
    """
    content = value if plain else _plain(value, floats)
    try:
        return orjson.dumps(content, option=orjson.OPT_SORT_KEYS)
    except TypeError:
        # an integer beyond 64 bits: the same form, written by the slower library
        return json.dumps(content, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False).encode()


def content_hash(content: bytes) -> str:
    """SHA-256 of canonical bytes, in hexadecimal."""
    return hashlib.sha256(content).hexdigest()
