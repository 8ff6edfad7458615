"""Which row of the expectations speaks of a signal or a trade."""

import numpy as np
import pyarrow as pa

from portfolio_platform.signals.expectations import EXPECTED, norms

STATED = (
    {"regime": "all", "n": 9, "slippage_bps_p50": 3.0, "hold_bars_p50": 5.0},
    {"regime": "calm", "n": 4, "slippage_bps_p50": 1.0, "hold_bars_p50": 2.0},
    {"regime": "wild", "n": 0, "slippage_bps_p50": 8.0, "hold_bars_p50": 8.0},
    {"regime": "odd", "n": 2, "hold_bars_p50": 7.0},
)


def stated():
    names = ("template", "playbook", "regime", "n", *EXPECTED)
    return pa.Table.from_pylist([dict.fromkeys(names) | {"template": "t", "playbook": "p"} | row for row in STATED])


def found(column, *asked):
    texts = [pa.chunked_array([[row[place] for row in asked]], pa.string()) for place in range(3)]
    norm, known = norms(*texts, stated())
    return known.of(column, norm).tolist()


def test_the_regimes_row_counts_where_it_has_a_sample_else_that_of_all_regimes():
    assert found("hold_bars_p50", ("t", "p", "calm"), ("t", "p", "wild"), ("t", "p", "new"), ("t", "p", None)) == [2.0, 5.0, 5.0, 5.0]


def test_what_the_regimes_row_leaves_out_is_that_of_all_regimes():
    assert found("slippage_bps_p50", ("t", "p", "odd"), ("t", "p", "calm")) == [3.0, 1.0]
    assert found("hold_bars_p50", ("t", "p", "odd")) == [7.0]


def test_a_playbook_of_which_nothing_is_stated_has_no_expectation():
    assert np.isnan(found("hold_bars_p50", ("t", "q", "calm"), (None, "p", "calm"))).all()
    assert np.isnan(found("win_rate", ("t", "p", "calm"))).all()


def test_nothing_asked_is_nothing_found():
    assert found("hold_bars_p50") == []
