"""Crowding worked by hand, against a plain calculation, and over the sample."""

import math
from datetime import date

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pytest
from hypothesis import given
from hypothesis import strategies as st

from portfolio_platform.diagnostics import crowding
from portfolio_platform.diagnostics.crowding import LONG, SHORT, Crowds, Holdings
from portfolio_platform.diagnostics.pipeline import crowding as stage
from portfolio_platform.home import Home
from portfolio_platform.lake import derived
from portfolio_platform.lake.columns import Table
from portfolio_platform.lake.progress import Plan
from portfolio_platform.policy.assigned import assigned_policies
from tests.conftest import LAST_DAY

Row = tuple[int, int, int, int, float]  # session, group, side, strategy, exposure
NAMES = tuple("abcdef")


def crowds(rows: list[Row]) -> Crowds:
    columns = list(zip(*sorted(rows, key=lambda row: (row[0], row[3])), strict=True)) or [()] * 5
    session, group, side, strategy = (np.array(column, np.int64) for column in columns[:4])
    return crowding.crowds(Holdings(session, group, side, strategy, np.array(columns[4], np.float64)), len(NAMES))


def listed(found: Crowds) -> list[tuple[int, int, int, int, float, str]]:
    names = crowding.member_names(found, NAMES)
    columns = (found.session, found.group, found.side, found.strategies, found.exposure, found.crowd)
    return [(s, g, d, n, x, names[c]) for s, g, d, n, x, c in zip(*(column.tolist() for column in columns), strict=True)]


def test_strategies_of_one_side_crowd_and_those_of_the_other_do_not_count() -> None:
    # group 0: a and c long with 10 + 5, b short alone; group 1: a long alone
    rows = [(0, 0, LONG, 0, 10.0), (0, 0, LONG, 2, 5.0), (0, 0, SHORT, 1, 7.0), (0, 1, LONG, 0, 3.0)]
    assert listed(crowds(rows)) == [(0, 0, LONG, 2, 15.0, "a, c")]


def test_one_strategy_with_several_lots_is_no_crowd_and_its_lots_add_up_in_one() -> None:
    assert listed(crowds([(0, 0, LONG, 0, 10.0), (0, 0, LONG, 0, 5.0)])) == []
    assert listed(crowds([(0, 0, LONG, 0, 10.0), (0, 0, LONG, 0, 5.0), (0, 0, LONG, 1, 1.0)])) == [(0, 0, LONG, 2, 16.0, "a, b")]


def test_a_strategy_on_both_sides_of_a_group_counts_on_both() -> None:
    rows = [(0, 0, LONG, 0, 1.0), (0, 0, SHORT, 0, 2.0), (0, 0, LONG, 1, 4.0), (0, 0, SHORT, 2, 8.0)]
    assert listed(crowds(rows)) == [(0, 0, SHORT, 2, 10.0, "a, c"), (0, 0, LONG, 2, 5.0, "a, b")]


def test_what_belongs_to_no_group_crowds_nothing() -> None:
    assert listed(crowds([(0, -1, LONG, 0, 1.0), (0, -1, LONG, 1, 1.0)])) == []
    assert listed(crowds([])) == []


def test_an_exposure_without_a_rate_is_null_and_the_count_stands() -> None:
    (row,) = listed(crowds([(0, 0, LONG, 0, math.nan), (0, 0, LONG, 1, 1.0)]))
    assert row[3] == 2
    assert math.isnan(row[4])


row_ = st.tuples(st.integers(0, 2), st.integers(-1, 3), st.integers(0, 1), st.integers(0, 5), st.integers(1, 100).map(float))


@given(st.lists(row_, max_size=40))
def test_crowds_are_those_of_the_plain_calculation(rows: list[Row]) -> None:
    expected = []
    for session, group, side in sorted({row[:3] for row in rows if row[1] >= 0}):
        mine = [row for row in rows if row[:3] == (session, group, side)]
        strategies = sorted({row[3] for row in mine})
        if len(strategies) >= 2:
            members = ", ".join(NAMES[code] for code in strategies)
            expected.append((session, group, side, len(strategies), sum(row[4] for row in mine), members))
    assert listed(crowds(rows)) == expected


@given(st.lists(row_, max_size=40))
def test_a_session_stands_alone(rows: list[Row]) -> None:
    for session in range(3):
        alone = listed(crowds([row for row in rows if row[0] == session]))
        assert alone == [row for row in listed(crowds(rows)) if row[0] == session]


# --- the stage ---


def run(home: Home, first: date, until: date) -> pa.Table:
    found: dict[Table, pa.Table] = stage.compute(home, assigned_policies(home), Plan(first, until, 1, {}))
    return found[derived.CROWDING].combine_chunks()


def test_crowds_of_the_sample_are_those_of_its_lots(sample_home: Home) -> None:
    rows = run(sample_home, sample_home.first_day, LAST_DAY)
    assert rows.equals(rows.sort_by([(name, "ascending") for name in derived.CROWDING.key]))
    lots = sample_home.lake.read(derived.LOT_EXPOSURES).to_pylist()
    held: dict[tuple[date, str, str, str, str], dict[str, float]] = {}
    for lot in lots:
        for kind in ("symbol", "template"):
            side = "long" if lot["quantity"] > 0 else "short"
            mine = held.setdefault((lot["day"], lot["portfolio"], kind, lot[kind], side), {})
            mine[lot["strategy"]] = mine.get(lot["strategy"], 0.0) + abs(lot["market_value_base"])
    expected = {key: mine for key, mine in held.items() if len(mine) > 1}
    found = {tuple(row[name] for name in derived.CROWDING.key): row for row in rows.to_pylist()}
    assert set(found) == set(expected)
    assert max(row["strategies"] for row in found.values()) == 3
    equity = {(row["day"], row["portfolio"]): row["equity"] for row in sample_home.lake.read(derived.PORTFOLIO_EQUITY).to_pylist()}
    for key, row in found.items():
        assert row["members"] == ", ".join(sorted(expected[key]))
        assert row["strategies"] == len(expected[key])
        assert row["exposure"] == pytest.approx(sum(expected[key].values()))
        assert row["exposure_pct"] == pytest.approx(row["exposure"] / equity[key[:2]])
        assert row["reason"] == ""


def test_a_day_alone_is_that_day_of_the_range(sample_home: Home) -> None:
    whole = run(sample_home, date(2009, 9, 1), date(2009, 9, 30))
    for day in (date(2009, 9, 20), date(2009, 9, 21), date(2009, 9, 30)):
        assert run(sample_home, day, day).equals(whole.filter(pc.field("day") == day))


def lots_of(*rows: tuple[str, str, str, float | None, bool]) -> pa.Table:
    """Return lots of one day from strategy, symbol, template, value and staleness, sorted by strategy and symbol."""
    listed_ = sorted(rows, key=lambda row: row[:3])
    quantity = pa.array([1 if row[3] is None or row[3] > 0 else -1 for row in listed_]).cast(pa.decimal128(38, 18))
    return pa.table(
        {
            "strategy": [row[0] for row in listed_],
            "symbol": [row[1] for row in listed_],
            "template": [row[2] for row in listed_],
            "quantity": quantity,
            "market_value_base": pa.array([row[3] for row in listed_], pa.float64()),
            "stale": [row[4] for row in listed_],
        }
    )


def rows_of(lots: pa.Table, equity: float | None = 100.0) -> list[dict[str, object]]:
    days = pa.table(
        {"day": [date(2010, 1, 4)], "portfolio": ["p"], "month": ["2010-01"], "equity": pa.array([equity], pa.float64())},
    )
    return stage.crowding_rows(lots, np.zeros(len(lots), np.int64), days).to_pylist()


def test_lots_without_a_template_crowd_their_symbol_alone() -> None:
    rows = rows_of(lots_of(("a", "X", "unclassified", -5.0, False), ("b", "X", "unclassified", -6.0, False)))
    assert [(row["kind"], row["group"], row["side"], row["exposure"], row["exposure_pct"]) for row in rows] == [
        ("symbol", "X", "short", 11.0, pytest.approx(0.11))
    ]


def test_a_stale_mark_nulls_the_exposure_of_its_own_crowd_and_what_rests_on_equity_everywhere() -> None:
    rows = rows_of(
        lots_of(("a", "X", "t", 5.0, True), ("b", "X", "u", 6.0, False), ("a", "Y", "v", 1.0, False), ("b", "Y", "w", 2.0, False))
    )
    assert [(row["group"], row["strategies"], row["exposure"], row["exposure_pct"], row["reason"]) for row in rows] == [
        ("X", 2, None, None, "stale_mark"),
        ("Y", 2, 3.0, None, "stale_mark"),
    ]


@pytest.mark.parametrize(("equity", "reason"), [(0.0, "equity_not_positive"), (-1.0, "equity_not_positive"), (None, "missing_fx_rate")])
def test_without_positive_equity_only_what_rests_on_it_is_null(equity: float | None, reason: str) -> None:
    (row,) = rows_of(lots_of(("a", "X", "t", 5.0, False), ("b", "X", "u", 6.0, False)), equity)
    assert (row["exposure"], row["exposure_pct"], row["reason"]) == (11.0, None, reason)
