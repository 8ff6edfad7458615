"""Rows of `execution_profile` from profiles, and back to where a CUSUM goes on from."""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from portfolio_platform.days import to_number
from portfolio_platform.diagnostics.execution import Carried, Measure, Profile
from portfolio_platform.diagnostics.execution_inputs import Keys
from portfolio_platform.diagnostics.session_keys import key_order
from portfolio_platform.lake.arrays import assemble, day_column, month_column, named, number_column
from portfolio_platform.lake.derived import EXECUTION_PROFILE

Float64 = npt.NDArray[np.float64]
Int64 = npt.NDArray[np.int64]

TOO_FEW, NO_EXPECTATION = "too_few_observations", "no_expectation"


def carried(rows: pa.Table, measure: Measure, keys: Keys) -> Carried:
    """Return the state that the newest stored rows of a measure hold; ``rows`` has one row for each of its groups at most."""
    state = Carried.nothing(keys.count)
    for row in rows.filter(pc.field("measure") == measure.name).to_pylist():
        if row["portfolio"] not in keys.portfolios or row["playbook"] not in keys.playbooks:
            continue
        place = keys.portfolios.index(row["portfolio"]) * len(keys.playbooks) + keys.playbooks.index(row["playbook"])
        state.day[place] = to_number(row["day"])
        state.cusum[place] = row["cusum"] or 0.0
        state.signal[place] = row["cusum_signal"]
        state.seen[place] = row["seen"]
        state.mean[place], state.squares[place] = row["running_mean"], row["running_squares"]
    return state


def profile_rows(found: Sequence[tuple[Measure, Profile, str]], group: Int64, day: Int64, keys: Keys) -> pa.Table:
    """Return the rows of all measures, sorted by key. ``group`` and ``day`` are what was asked for; the text is the method."""
    if not found:
        return EXECUTION_PROFILE.arrow_schema().empty_table()
    measure = np.repeat(np.arange(len(found)), [item.query.size for _, item, _ in found])
    query = np.concatenate([item.query for _, item, _ in found])
    portfolio, playbook = np.divmod(group[query], len(keys.playbooks))
    names = [item.name for item, _, _ in found]
    order = key_order(
        [
            (day[query] - day.min(initial=0), int(np.ptp(day)) + 1 if day.size else 1),
            (_rank(keys.portfolios)[portfolio], len(keys.portfolios)),
            (_rank(names)[measure], len(names)),
            (_rank(keys.playbooks)[playbook], len(keys.playbooks)),
        ]
    )
    # numbers are put in order, not the texts behind them
    measure, query, portfolio, playbook = (codes[order] for codes in (measure, query, portfolio, playbook))

    def joined(name: str) -> npt.NDArray[np.float64]:
        return np.concatenate([getattr(item, name) for _, item, _ in found])[order]

    expected, low = joined("expected"), joined("low")
    reason = np.where(np.isnan(expected), 1, 0) + np.where(np.isnan(low), 2, 0)
    columns = {
        "day": day_column(day[query]),
        "portfolio": named(keys.portfolios, portfolio),
        "measure": named(names, measure),
        "playbook": named(keys.playbooks, playbook),
        "unit": named([item.unit for item, _, _ in found], measure),
        **{name: number_column(joined(name)) for name in ("expected", "realised", "low", "high", "p90", "expected_p90", "drift", "cusum")},
        "cusum_signal": pa.array(joined("signal").astype(np.bool_)),
        "seen": pa.array(joined("seen").astype(np.int64)),
        "running_mean": number_column(joined("mean")),
        "running_squares": number_column(joined("squares")),
        "n": pa.array(joined("n").astype(np.int64)),
        "flagged": pa.array(joined("flagged").astype(np.int64)),
        "window_start": day_column(joined("window_start").astype(np.int64)),
        "method": named([text for _, _, text in found], measure),
        "reason": named(["", NO_EXPECTATION, TOO_FEW, f"{NO_EXPECTATION}, {TOO_FEW}"], reason),
        "month": month_column(day[query]),
    }
    return assemble(EXECUTION_PROFILE, columns)


def _rank(names: Sequence[str]) -> Int64:
    """Return each name's place in sorted order."""
    return np.argsort(np.argsort(np.array(names, np.object_))) if names else np.empty(0, np.int64)
