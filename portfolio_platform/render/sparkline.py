"""A line of block characters: the shape of a series where no picture can be shown."""

import math
from collections.abc import Iterable

BLOCKS = "▁▂▃▄▅▆▇█"
GAP = " "


def sparkline(values: Iterable[float]) -> str:
    """Return one block for each value, scaled from the lowest to the highest; a gap where a value is NaN."""
    series = list(values)
    known = [value for value in series if math.isfinite(value)]
    if not known:
        return ""
    low, high = min(known), max(known)
    scale = (len(BLOCKS) - 1) / (high - low) if high > low else 0.0
    middle = len(BLOCKS) // 2
    return "".join(
        GAP if not math.isfinite(value) else BLOCKS[round((value - low) * scale)] if scale else BLOCKS[middle] for value in series
    )
