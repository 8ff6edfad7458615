"""Why figures of a row are null: several reasons at once, joined by a comma in the order in which they are named."""

from collections.abc import Mapping
from itertools import compress, product

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from portfolio_platform.lake.arrays import named


def joined(reasons: Mapping[str, npt.NDArray[np.bool_]]) -> pa.Array:
    """Return the reasons that hold of each row, joined by a comma; the empty text where none does."""
    names = list(reasons)
    texts = [",".join(compress(names, chosen)) for chosen in product((False, True), repeat=len(names))]
    code = np.zeros(len(next(iter(reasons.values()))), np.int64)
    for holds in reasons.values():
        code = 2 * code + holds
    return named(texts, code)
