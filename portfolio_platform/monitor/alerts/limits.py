"""What a rule's threshold means: when a value meets it, where it is left again, and which version of the rule that is.

Values and limits are rounded to 12 significant digits before they are compared, so that the last bit of a sum decides nothing.
"""

import numpy as np
import numpy.typing as npt

from portfolio_platform.canonical import SIGNIFICANT_DIGITS, canonical_bytes, content_hash
from portfolio_platform.policy.alerts import Comparison, Rule

Float64 = npt.NDArray[np.float64]
Flags = npt.NDArray[np.bool_]
WARNING, CRITICAL = 1, 2
SEVERITIES = ("", "warning", "critical")


def rounded(values: npt.ArrayLike) -> Float64:
    """Return values at 12 significant digits; NaN and infinities stay."""
    given = np.asarray(values, np.float64)
    size = np.abs(given)
    sound = np.isfinite(given) & (size > 0.0)
    power = (SIGNIFICANT_DIGITS - 1) - np.floor(np.log10(np.where(sound, size, 1.0)))
    scale = 10.0 ** np.clip(power, -290.0, 290.0)
    return np.where(sound, np.round(given * scale) / scale, given)


def meets(values: npt.ArrayLike, comparison: Comparison, threshold: float) -> Flags:
    """Say which values are on the bad side of a threshold; NaN is not."""
    given, limit = rounded(values), float(rounded(threshold))
    with np.errstate(invalid="ignore"):
        if comparison == ">=":
            return given >= limit
        if comparison == ">":
            return given > limit
        return given <= limit if comparison == "<=" else given < limit


def leaving_limit(threshold: float, leave: float, comparison: Comparison) -> float:
    """Return the limit beyond which a value is calm: ``leave`` times the threshold, away from the bad side.

    For <= (and for a negative threshold of >=) that is threshold / leave. A threshold of 0 has no scale: it is left where
    it is no longer met.
    """
    upward = comparison.startswith(">")
    return threshold * leave if upward == (threshold >= 0.0) else threshold / leave


def calm(values: npt.ArrayLike, comparison: Comparison, threshold: float, leave: float) -> Flags:
    """Say which values are beyond the leaving limit; NaN is not. With ``leave`` of 1 it is whatever does not meet the threshold."""
    given = rounded(values)
    return np.isfinite(given) & ~meets(given, comparison, leaving_limit(threshold, leave, comparison))


def rule_version(name: str, rule: Rule) -> str:
    """Return the hash of a rule's canonical content: it changes where anything about the rule does."""
    return content_hash(canonical_bytes({"rule": name, **rule.model_dump(mode="json")}))
