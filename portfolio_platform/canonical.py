"""Canonical bytes: one spelling for equal content, so that equal facts have equal hashes on any machine."""

import hashlib
import json
import math
from collections.abc import Mapping
from datetime import date, datetime
from decimal import Decimal
from typing import Any

SIGNIFICANT_DIGITS = 12


def significant(value: float) -> float | None:
    """Round to 12 significant digits; NaN and infinities are null, negative zero is zero."""
    if not math.isfinite(value):
        return None
    return float(f"{value:.{SIGNIFICANT_DIGITS}g}") + 0.0


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


def canonical_bytes(value: Any, *, floats: bool = True) -> bytes:
    """Serialise plain content to its one canonical JSON form.

    Keys are sorted, there is no white space, text is UTF-8, floats are rounded by `significant`. With
    ``floats=False`` a float anywhere raises `TypeError`: that is the rule for everything in the event log.
    """
    plain = _plain(value, floats)
    return json.dumps(plain, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False).encode()


def content_hash(content: bytes) -> str:
    """SHA-256 of canonical bytes, in hexadecimal."""
    return hashlib.sha256(content).hexdigest()
