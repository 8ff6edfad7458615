"""Who contributes how much, with the numbers written out."""

import json
from datetime import date

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from portfolio_platform.days import to_number
from portfolio_platform.monitor.alerts.contributors import Flow, exploded, items, summed, window_sums, written
from portfolio_platform.monitor.alerts.families import Sources, contributions
from tests.unit.monitor.alerts.frames import day


def asked(scopes, *, number=3, window=1, parts=()):
    """Entries 0, 1, ... of one session of `core`, one for each scope."""
    size = len(scopes)
    columns = {
        "entry": pa.array(range(size), pa.int64()),
        "portfolio": pa.array(["core"] * size),
        "day": pa.array([day(number)] * size, pa.date32()),
        "scope": pa.array(scopes, pa.string()),
        "window_start": pa.array([day(window)] * size, pa.date32()),
    }
    split = parts or [(*scope.split("/"), "", "", "", "")[:4] for scope in scopes]
    return pa.table({**columns, **{f"part_{place}": pa.array([each[place] for each in split]) for place in range(4)}})


POSITIONS = pa.table(
    {
        "day": pa.array([day(3)] * 4, pa.date32()),
        "portfolio": ["core"] * 4,
        "strategy": ["trend", "reversion", "trend", "squeeze"],
        "symbol": ["AAPL", "AAPL", "MSFT", "AAPL"],
        "template": ["t", "m", "t", "c"],
        "playbook": ["p"] * 4,
        "cohort": ["tech"] * 4,
        "sector": ["IT"] * 4,
        "value": [600.0, -300.0, 100.0, 100.0],
        "stale": [False, True, False, False],
    }
)
DAYS = {"core": np.array([to_number(day(number)) for number in (1, 2, 3)])}


def told(metric, rows, **sources):
    """Contributors and symbols of each entry."""
    found = contributions({metric: rows}, Sources(days=DAYS, **sources))
    return {entry: json.loads(text) for entry, text in found.texts.items()}, dict(found.symbols)


def test_an_exposure_names_its_positions_largest_first_with_their_share():
    texts, symbols = told("symbol_exposure", asked(["AAPL", "MSFT"]), positions=POSITIONS)
    assert texts[0] == [
        {"share": 0.6, "strategy": "trend", "symbol": "AAPL", "unit": "base currency", "value": 600.0},
        {"share": 0.3, "strategy": "reversion", "symbol": "AAPL", "unit": "base currency", "value": 300.0},
        {"share": 0.1, "strategy": "squeeze", "symbol": "AAPL", "unit": "base currency", "value": 100.0},
    ]
    assert [item["strategy"] for item in texts[1]] == ["trend"]
    assert symbols == {0: "AAPL", 1: "MSFT"}
    assert told("cohort_exposure", asked(["tech"]), positions=POSITIONS)[1] == {0: "AAPL, MSFT"}


def test_stacking_names_symbols_and_stale_marks_only_the_stale():
    texts, symbols = told("stack_ratio", asked([""]), positions=POSITIONS)
    assert [(item["symbol"], item["value"]) for item in texts[0]] == [("AAPL", 1000.0), ("MSFT", 100.0)]
    assert symbols == {0: "AAPL, MSFT"}
    assert [item["value"] for item in told("stale_share", asked([""]), positions=POSITIONS)[0][0]] == [300.0]


def test_a_bucket_names_its_own_symbols():
    buckets = pa.table({"day": pa.array([day(3)], pa.date32()), "portfolio": ["core"], "bucket": ["AAPL"], "symbols": ["AAPL, GOOG"]})
    texts, symbols = told("bucket_exposure", asked(["AAPL"]), positions=POSITIONS, buckets=buckets)
    assert [(item["symbol"], item["value"]) for item in texts[0]] == [("AAPL", 1000.0)]
    assert symbols == {0: "AAPL"}


def test_crowding_names_the_strategies_on_the_side_that_is_crowded():
    texts, _ = told("crowding", asked(["symbol/AAPL/long", "symbol/AAPL/short", "template/t/long"]), positions=POSITIONS)
    names = {entry: [(item["strategy"], item["symbol"]) for item in found] for entry, found in texts.items()}
    assert names == {
        0: [("trend", "AAPL"), ("squeeze", "AAPL")],
        1: [("reversion", "AAPL")],
        2: [("trend", "AAPL"), ("trend", "MSFT")],
    }


def flow(*rows):
    """A flow of `core`: (session, strategy, symbol, amount)."""
    names = pa.table(
        {"portfolio": ["core"] * len(rows), "strategy": [r[1] for r in rows], "symbol": [r[2] for r in rows], "code": ["c"] * len(rows)}
    )
    return Flow(names, np.array([to_number(day(row[0])) for row in rows]), np.array([row[3] for row in rows]))


def test_a_drawdown_names_what_was_lost_since_the_high_water_mark_and_by_whom():
    """The mark is session 1: its own profit does not count. Trend lost 30, squeeze 10, reversion gained 20."""
    profits = flow((1, "trend", "AAPL", 500.0), (2, "trend", "AAPL", -50.0), (3, "trend", "MSFT", 20.0), (3, "squeeze", "GOOG", -10.0))
    profits = Flow(
        pa.concat_tables([profits.rows, flow((2, "reversion", "IBM", 20.0)).rows]),
        np.append(profits.day, DAYS["core"][1]),
        np.append(profits.amount, 20.0),
    )
    texts, symbols = told("drawdown", asked([""]), profits=profits, marks={"core": DAYS["core"][:1]})
    assert [(item["strategy"], item["value"], item["share"]) for item in texts[0]] == [
        ("trend", -30.0, 0.5),
        ("squeeze", -10.0, 0.166666667),
        ("reversion", 20.0, -0.333333333),
    ]
    assert symbols == {0: "AAPL, GOOG"}  # what lost; MSFT and IBM gained


def test_without_any_mark_a_drawdown_is_counted_from_the_start():
    texts, _ = told("drawdown", asked([""]), profits=flow((1, "trend", "AAPL", -5.0), (3, "trend", "AAPL", -1.0)), marks={})
    assert texts[0][0]["value"] == -6.0


def test_churn_names_the_strategies_that_traded_the_symbol():
    fills = flow((1, "trend", "AAPL", 10.0), (2, "squeeze", "AAPL", 30.0), (3, "trend", "MSFT", 99.0))
    texts, symbols = told("churn", asked(["AAPL"]), fills=fills)
    assert [(item["strategy"], item["value"]) for item in texts[0]] == [("squeeze", 30.0), ("trend", 10.0)]
    assert symbols == {0: "AAPL"}


def test_slippage_names_symbols_by_their_median_in_the_window():
    """Session 1 is before the window of the second entry."""
    rows = [(1, "p", "AAPL", 90.0), (2, "p", "AAPL", 10.0), (3, "p", "AAPL", 20.0), (3, "p", "MSFT", 12.0), (3, "q", "MSFT", 99.0)]
    slippage = pa.table(
        {
            "portfolio": ["core"] * 5,
            "day": pa.array([day(row[0]) for row in rows], pa.date32()),
            "playbook": [row[1] for row in rows],
            "symbol": [row[2] for row in rows],
            "value": [row[3] for row in rows],
        }
    )
    texts, _ = told("slippage_drift", asked(["p"]), slippage=slippage)
    assert [(item["symbol"], item["value"]) for item in texts[0]] == [("AAPL", 20.0), ("MSFT", 12.0)]
    texts, _ = told("slippage_drift", asked(["p"], window=2), slippage=slippage)
    assert [(item["symbol"], item["value"]) for item in texts[0]] == [("AAPL", 15.0), ("MSFT", 12.0)]
    texts, _ = told("slippage_drift", asked(["all"], window=2), slippage=slippage)
    assert [(item["symbol"], item["value"]) for item in texts[0]] == [("MSFT", 55.5), ("AAPL", 15.0)]
    assert "share" not in texts[0][0]


def test_a_recurring_failure_names_the_symbols_of_its_cases_in_the_window():
    labels = pa.table(
        {
            "day": pa.array([day(1), day(2), day(3), day(3)], pa.date32()),
            "portfolio": ["core"] * 4,
            "strategy": ["trend"] * 4,
            "symbol": ["OLD", "AAPL", "AAPL", "MSFT"],
            "failure_mode": ["f", "f", "f", "other"],
            "template": ["t/1"] * 4,
            "regime": ["bull"] * 4,
            "side": ["long"] * 4,
        }
    )
    rows = asked(["f/t/1/bull/long"], window=2, parts=[("f", "t/1", "bull", "long")])
    texts, symbols = told("failure_recurrence", rows, failures=labels)
    assert [(item["symbol"], item["value"]) for item in texts[0]] == [("AAPL", 2.0)]
    assert symbols == {0: "AAPL"}


@given(
    st.lists(st.tuples(st.integers(1, 8), st.sampled_from("ab"), st.floats(-1e6, 1e6, allow_subnormal=False)), min_size=1, max_size=30),
    st.lists(st.tuples(st.integers(0, 7), st.integers(0, 7)), min_size=1, max_size=20),
)
def test_sums_over_windows_equal_sums_by_hand(rows, windows):
    days = np.arange(1, 9)
    names = pa.table({name: [row[1] for row in rows] for name in ("strategy", "symbol", "code")} | {"portfolio": ["core"] * len(rows)})
    given_flow = Flow(names, np.array([row[0] for row in rows]), np.array([row[2] for row in rows]))
    first, last = np.array([min(w) for w in windows]), np.array([max(w) for w in windows])
    found = window_sums(given_flow, ("strategy",), "core", days, first, last, np.arange(len(windows)))
    sums = {(row["entry"], row["strategy"]): row["value"] for row in found.to_pylist()}
    for entry, (start, end) in enumerate(zip(first, last, strict=True)):
        for name in "ab":
            expected = sum(row[2] for row in rows if row[1] == name and start < row[0] <= end + 1)
            assert sums.get((entry, name), 0.0) == pytest.approx(expected, abs=1e-6)


@given(st.permutations(list(range(6))))
def test_the_order_of_rows_never_shows(order):
    values = np.array([0.1, 0.2, 0.3, 1e9, -1e9, 0.7])[order]
    parts = items(np.zeros(6, np.int64), values, strategy=pa.array(["s"] * 6))
    assert (
        summed(parts)["value"].to_pylist()
        == summed(items(np.zeros(6, np.int64), np.sort(values), strategy=pa.array(["s"] * 6)))["value"].to_pylist()
    )


def test_only_the_five_largest_are_named_and_shares_are_of_all():
    names = pa.array([f"s{number}" for number in range(10)])
    parts = items(np.zeros(10, np.int64), np.full(10, 2.0), strategy=names)
    found = json.loads(written(parts, {0: "count"}, {0: True})[0])
    assert [item["strategy"] for item in found] == ["s0", "s1", "s2", "s3", "s4"]
    assert {item["share"] for item in found} == {0.1}


def test_names_of_any_spelling_stay_json():
    parts = items(np.zeros(1, np.int64), np.ones(1), strategy=pa.array(['a "b"\n\\ü']))
    assert json.loads(written(parts, {0: "R"}, {0: True})[0])[0]["strategy"] == 'a "b"\n\\ü'
    assert exploded(pa.table({"entry": [1], "symbols": ["A, B"]}), "symbols")["symbol"].to_pylist() == ["A", "B"]
    assert isinstance(day(1), date)
