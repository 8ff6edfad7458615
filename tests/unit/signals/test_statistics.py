"""The record of each playbook: against recounting every day from scratch, and who is never mixed with whom."""

from datetime import date, timedelta
from itertools import pairwise
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from portfolio_platform.days import to_number
from portfolio_platform.evidence.intervals import wilson
from portfolio_platform.lake.derived import PLAYBOOK_STATISTICS, SIGNAL_OUTCOMES
from portfolio_platform.signals.statistics import ALL, CLUSTER, COLUMNS, RESOLVED, playbook_statistics, running_quantiles
from tests.unit.signals.oracle import same

START = date(2020, 1, 1)
NAMES = (*COLUMNS, "qualified")


def resolved(**changed: Any) -> dict[str, Any]:
    usual = {
        "ts": 0,
        "outcome": "target_hit",
        "outcome_day": START,
        "ambiguous": False,
        "portfolio": "core",
        "purpose": "policy",
        "engine_version": "1",
        "template": "t",
        "playbook": "p",
        "regime": "calm",
        "r_achieved": 1.0,
        "bars_held": 3,
        "mae_r": 0.5,
        "mfe_r": 1.5,
        "slippage_at_outcome_bps": None,
        "qualified": True,
    }
    return usual | changed


def history(rows: list[dict[str, Any]]) -> pa.Table:
    schema = SIGNAL_OUTCOMES.arrow_schema()
    numbered = [row | {"signal_id": f"S{k:03d}"} for k, row in enumerate(rows)]
    return pa.Table.from_pylist(numbered, pa.schema([schema.field(name) for name in NAMES]))


def statistics(rows: list[dict[str, Any]], first: date = START, until: date = date(2020, 12, 31)) -> list[dict[str, Any]]:
    return playbook_statistics(history(rows), to_number(first), to_number(until)).to_pylist()


def cluster(rows: list[dict[str, Any]], **named: Any) -> list[dict[str, Any]]:
    return [row for row in rows if all(row[name] == value for name, value in named.items())]


def test_a_record_grows_from_day_to_day():
    later = START + timedelta(days=3)
    rows = statistics(
        [
            resolved(r_achieved=2.0, bars_held=2),
            resolved(outcome="stop_hit", r_achieved=-1.0, bars_held=4, outcome_day=later, ambiguous=True),
            resolved(outcome="expired", r_achieved=0.5, bars_held=9, outcome_day=later, slippage_at_outcome_bps=7.0),
        ]
    )
    first, second = cluster(rows, regime="calm", engine_version="1")
    assert (first["day"], first["n"], first["win_rate"], first["average_r"], first["hold_bars_p50"]) == (START, 1, 1.0, 2.0, 2.0)
    assert (second["day"], second["n"], second["targets"], second["stops"], second["expired"]) == (later, 3, 1, 1, 1)
    assert (second["ambiguous"], second["average_r"], second["hold_bars_p50"], second["hold_bars_p90"]) == (1, 0.5, 4.0, 8.0)
    assert second["slippage_bps_p50"] == 7.0
    low, high = wilson(2, 3)
    assert (second["win_rate"], second["win_rate_low"], second["win_rate_high"]) == (2 / 3, float(low), float(high))
    assert first["slippage_bps_p50"] is None


def test_research_is_never_in_the_statistics_of_policy():
    rows = statistics([resolved(), resolved(purpose="research", r_achieved=-9.0)])
    assert {row["average_r"] for row in cluster(rows, purpose="policy")} == {1.0}
    assert {row["average_r"] for row in cluster(rows, purpose="research")} == {-9.0}
    assert {row["purpose"] for row in rows} == {"policy", "research"}


def test_engine_versions_are_mixed_in_the_sum_alone():
    rows = cluster(statistics([resolved(), resolved(engine_version="2", r_achieved=3.0)]), regime="calm")
    assert {row["engine_version"]: (row["n"], row["average_r"]) for row in rows} == {"1": (1, 1.0), "2": (1, 3.0), ALL: (2, 2.0)}


def test_only_qualified_signals_with_a_result_count():
    others = [resolved(qualified=False), resolved(qualified=None), resolved(r_achieved=None), resolved(outcome="cancelled")]
    undecided = resolved(outcome="open", outcome_day=None, r_achieved=None)
    assert {row["n"] for row in statistics([resolved(), *others, undecided])} == {1}


def test_what_states_no_regime_or_version_is_unclassified_and_in_the_sums():
    rows = statistics([resolved(regime=None, engine_version=None)])
    assert {(row["engine_version"], row["regime"]) for row in rows} == {
        ("unclassified", "unclassified"),
        ("unclassified", ALL),
        (ALL, "unclassified"),
        (ALL, ALL),
    }


def test_a_regime_that_calls_itself_all_is_counted_once():
    rows = statistics([resolved(regime=ALL), resolved()])
    assert [row["n"] for row in cluster(rows, regime=ALL, engine_version=ALL)] == [2]


def test_outcomes_after_the_last_day_are_not_known_yet():
    assert statistics([resolved(outcome_day=START + timedelta(days=1))], until=START) == []
    assert statistics([]) == []


random_rows = st.lists(
    st.builds(
        resolved,
        ts=st.integers(0, 3),
        outcome=st.sampled_from([*RESOLVED, "cancelled"]),
        outcome_day=st.integers(0, 6).map(lambda days: START + timedelta(days=days)),
        ambiguous=st.booleans(),
        portfolio=st.sampled_from(["core", "macro"]),
        purpose=st.sampled_from(["policy", "research"]),
        engine_version=st.sampled_from(["1", "2", None]),
        playbook=st.sampled_from(["p", "q"]),
        regime=st.sampled_from(["calm", "wild", None]),
        r_achieved=st.none() | st.integers(-3, 5).map(lambda x: x / 3),
        bars_held=st.integers(0, 9),
        mae_r=st.floats(0, 3),
        slippage_at_outcome_bps=st.none() | st.floats(-5, 50),
        qualified=st.sampled_from([True, True, False]),
    ),
    max_size=25,
)


def recounted(rows: list[dict[str, Any]]) -> dict[tuple[Any, ...], dict[str, Any]]:
    """Count every cluster afresh on every day on which it changed."""
    counted = [row for row in rows if row["qualified"] and row["r_achieved"] is not None and row["outcome"] in RESOLVED]
    clusters: dict[tuple[Any, ...], list[dict[str, Any]]] = {}
    for row in counted:
        for engine in (row["engine_version"] or "unclassified", ALL):
            for regime in (row["regime"] or "unclassified", ALL):
                key = (row["portfolio"], row["purpose"], engine, row["template"], row["playbook"], regime)
                clusters.setdefault(key, []).append(row)
    found = {}
    for key, members in clusters.items():
        for day in {row["outcome_day"] for row in members}:
            known = [row for row in members if row["outcome_day"] <= day]
            results, slips = [row["r_achieved"] for row in known], [row["slippage_at_outcome_bps"] for row in known]
            slips = [slip for slip in slips if slip is not None]
            found[day, *key] = {
                "n": len(known),
                "targets": sum(row["outcome"] == "target_hit" for row in known),
                "ambiguous": sum(row["ambiguous"] for row in known),
                "win_rate": sum(result > 0 for result in results) / len(known),
                "average_r": sum(results) / len(known),
                "hold_bars_p50": np.percentile([row["bars_held"] for row in known], 50),
                "hold_bars_p90": np.percentile([row["bars_held"] for row in known], 90),
                "mae_r_p50": np.median([row["mae_r"] for row in known]),
                "mfe_r_p50": np.median([row["mfe_r"] for row in known]),
                "slippage_bps_p50": np.median(slips) if slips else None,
            }
    return found


@given(random_rows)
def test_the_record_is_that_of_recounting_every_day(rows: list[dict[str, Any]]):
    found, expected = statistics(rows), recounted(rows)
    keys = [tuple(row[name] for name in ("day", *CLUSTER)) for row in found]
    assert keys == sorted(expected)
    for key, row in zip(keys, found, strict=True):
        assert all(same(row[name], value) for name, value in expected[key].items()), (key, row, expected[key])


@given(random_rows, st.integers(0, 6))
def test_a_part_of_the_days_is_that_part_of_all(rows: list[dict[str, Any]], first: int):
    begin = START + timedelta(days=first)
    assert statistics(rows, first=begin) == [row for row in statistics(rows) if row["day"] >= begin]


@given(st.lists(st.lists(st.none() | st.floats(-1e6, 1e6), min_size=1, max_size=12), min_size=1, max_size=4), st.floats(0, 1))
def test_running_quantiles_are_those_of_numpy_to_the_last_bit(groups: list[list[float | None]], probability: float):
    values = np.array([np.nan if value is None else value for group in groups for value in group])
    start = np.concatenate(([0], np.cumsum([len(group) for group in groups])))
    found = running_quantiles(start, values, np.ones(values.size, bool), (probability,))[:, 0]
    for begin, end in pairwise(start.tolist()):
        for k in range(begin, end):
            known = values[begin : k + 1][~np.isnan(values[begin : k + 1])]
            np.testing.assert_array_equal(found[k], np.quantile(known, probability) if known.size else np.nan)


def test_every_column_of_the_table_is_filled():
    table = playbook_statistics(history([resolved()]), to_number(START), to_number(START))
    assert table.schema == PLAYBOOK_STATISTICS.arrow_schema()
    assert table.num_rows == 4


@pytest.mark.parametrize("size", [20_000])
def test_a_long_record_of_one_playbook_takes_no_square_of_time(size: int):
    # with a pass over the whole cluster for each day, this takes minutes
    days = [START + timedelta(days=k // 4) for k in range(size)]
    results = np.random.default_rng(3).normal(size=size).tolist()
    rows = history([resolved(outcome_day=day, r_achieved=r, mae_r=r) for day, r in zip(days, results, strict=True)])
    found = playbook_statistics(rows, to_number(START), to_number(days[-1]))
    assert len(found) == 4 * (size // 4)
