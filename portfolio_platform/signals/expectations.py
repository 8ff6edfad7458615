"""What a playbook expects of its signals and trades: the row of `playbook_expectations` that speaks of each.

What belongs here: which row that is. What became of signals and trades is compared with it elsewhere.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from portfolio_platform.ledger.inputs import encode

Float64 = npt.NDArray[np.float64]
Int64 = npt.NDArray[np.int64]

ALL = "all"
EXPECTED = ("win_rate", "hold_bars_p50", "hold_bars_p90", "mae_r_p50", "mfe_r_p50", "slippage_bps_p50")
"""Columns that something is compared with."""
EXCURSIONS = ("mae", "mfe")
NOT_ALIKE = "expected excursions count the deciding bar whole, realised ones the exit's price and not its bar"
"""What has to be said wherever both stand side by side (decision 0014)."""


@dataclass(frozen=True)
class Norms:
    """The distinct template, playbook and regime of observations, and what is expected under each, by column; NaN: nothing."""

    expected: Mapping[str, Float64]

    def of(self, column: str, norm: Int64) -> Float64:
        """Return the expectation of each observation."""
        known = self.expected.get(column)
        return np.full(norm.size, np.nan) if known is None or not known.size else known[norm]


def norms(template: pa.ChunkedArray, playbook: pa.ChunkedArray, regime: pa.ChunkedArray, expectations: pa.Table) -> tuple[Int64, Norms]:
    """Return each row's norm, and what is expected under each: of its regime where that has a sample, else of all regimes.

    What the regime's row does not state is that of all regimes.
    """
    rows: dict[tuple[str, str, str], dict[str, float]] = {}
    for row in expectations.to_pylist():
        if (row["regime"] or ALL) == ALL or (row["n"] or 0) > 0:
            stated = {name: float(row[name]) for name in EXPECTED if row[name] is not None}
            rows[row["template"] or "", row["playbook"] or "", row["regime"] or ALL] = stated
    parts = [encode(column) for column in (template, playbook, regime)]
    combined = np.zeros(len(template), np.int64)
    for codes, names in parts:
        combined = combined * max(len(names), 1) + codes
    distinct, which = np.unique(combined, return_inverse=True)
    expected = {name: np.full(distinct.size, np.nan) for name in EXPECTED}
    for place, code in enumerate(distinct.tolist()):
        rest, regime_code = divmod(code, len(parts[2][1]))
        template_code, playbook_code = divmod(rest, len(parts[1][1]))
        key = (parts[0][1][template_code], parts[1][1][playbook_code])
        for name in EXPECTED:
            of_regime = rows.get((*key, parts[2][1][regime_code]), {})
            expected[name][place] = of_regime.get(name, rows.get((*key, ALL), {}).get(name, np.nan))
    return which, Norms(expected)
