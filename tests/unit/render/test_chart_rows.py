"""What charts show, read from tables written by hand."""

from datetime import date, timedelta
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from portfolio_platform.home import Home
from portfolio_platform.lake import derived
from portfolio_platform.lake.columns import Table
from portfolio_platform.render import charts
from portfolio_platform.render.chart_data import Data, Failure, Failures, Matrix, Series
from portfolio_platform.render.chart_rows import chart_data
from portfolio_platform.render.series import History

DAYS = [date(2024, 1, 31), date(2024, 2, 1), date(2024, 2, 2), date(2024, 2, 5)]
UNTIL = {"core": DAYS[2], "macro": DAYS[1]}


def _write(home: Home, table: Table, *rows: dict[str, Any]) -> None:
    """Write rows of core on the first days unless they say otherwise; what a row does not say is null."""
    filled = [
        {"day": day, "portfolio": "core", "month": (row.get("day") or day).strftime("%Y-%m"), **row}
        for day, row in zip(DAYS, rows, strict=False)
    ]
    with home.lake.writing():
        home.lake.replace(table, pa.Table.from_pylist(filled, schema=table.arrow_schema()))


@pytest.fixture
def sessions(home: Home) -> Home:
    """Three sessions of core up to the day and one after it, none of macro."""
    _write(home, derived.PORTFOLIO_EQUITY, *({"equity": 100.0 + place, "unit_value": 1.0} for place in range(4)))
    return home


def _of(home: Home, name: charts.ChartName) -> Data:
    found = chart_data(home, name, UNTIL)
    assert list(found) == ["core", "macro"], "no portfolio is left out"
    assert charts.chart(name, found["macro"]).startswith("<svg"), "without rows the picture says so"
    return found["core"]


@pytest.mark.parametrize("name", charts.NAMES)
def test_a_lake_without_rows_gives_pictures_that_say_so(home: Home, name: charts.ChartName) -> None:
    assert charts.png(name, _of(home, name)).startswith(b"\x89PNG")
    assert chart_data(home, name, {}) == {}


def test_nothing_after_the_day_is_read(sessions: Home) -> None:
    _write(sessions, derived.PORTFOLIO_HEAT, *({"heat": 0.01 * place, "cap": 0.06} for place in range(4)))
    heat = _of(sessions, "heat")
    assert isinstance(heat, Series) and heat.days == DAYS[:3]
    np.testing.assert_allclose(heat["heat"], [0.0, 0.01, 0.02])
    assert np.isnan(heat["imputed_share"]).all()
    account = _of(sessions, "equity")
    assert isinstance(account, History) and account.equity.tolist() == [100.0, 101.0, 102.0]


def test_the_chart_of_concentration_is_by_gross_exposure(sessions: Home) -> None:
    rows = [
        {"day": DAYS[0], "dimension": "symbol", "basis": basis, "effective_n": number} for basis, number in (("gross", 4.0), ("risk", 2.0))
    ]
    _write(sessions, derived.CONCENTRATION_METRICS, *rows)
    found = _of(sessions, "concentration")
    assert isinstance(found, History)
    np.testing.assert_array_equal(found.effective_symbols, [4.0, np.nan, np.nan])


def test_the_thresholds_of_stacking_are_those_of_the_policy(sessions: Home) -> None:
    _write(sessions, derived.CORRELATION_STACKING, {"stack_ratio": 2.5}, {"stack_ratio": None})
    found = _of(sessions, "stack")
    assert isinstance(found, Series) and [limit.label for limit in found.limits] == ["warning", "critical"]
    assert found.limits[0].value < found.limits[1].value
    np.testing.assert_array_equal(found["stack_ratio"], [2.5, np.nan])


def test_what_is_usual_is_drawn_from_a_baseline_that_says_something(sessions: Home) -> None:
    rows = [
        {"turnover_20": 2.0, "turnover_baseline": 9.0, "fills_20": 8, "fills_baseline": 30, "baseline_sessions": held} for held in (2, 60)
    ]
    _write(sessions, derived.TURNOVER_METRICS, *rows)
    found = _of(sessions, "turnover")
    assert isinstance(found, Series)
    np.testing.assert_array_equal(found["fills_usual"], [np.nan, 10.0])
    np.testing.assert_array_equal(found["turnover_baseline"], [np.nan, 9.0])


def test_execution_is_the_slippage_of_all_playbooks(sessions: Home) -> None:
    said = [("slippage", "all", 2.0), ("slippage", "breakout", 9.0), ("mae", "all", 7.0)]
    _write(sessions, derived.EXECUTION_PROFILE, *({"day": DAYS[0], "measure": m, "playbook": p, "realised": r} for m, p, r in said))
    found = _of(sessions, "execution")
    assert isinstance(found, Series) and found["realised"].tolist() == [2.0]


def test_gates_are_shares_that_passed_by_class(sessions: Home) -> None:
    rows = [("a", "census", True), ("b", "census", False), ("c", "estimated", True)]
    _write(sessions, derived.SAMPLE_SUFFICIENCY, *({"day": DAYS[0], "metric": m, "scope": "", "gate": g, "passed": p} for m, g, p in rows))
    found = _of(sessions, "gates")
    assert isinstance(found, Series)
    assert {name: values.tolist() for name, values in found.columns.items()} == {"census": [0.5], "estimated": [1.0]}


def test_pnl_adds_up_and_ends_where_it_is_not_known(sessions: Home) -> None:
    rows = [("trend", DAYS[0], 5.0), ("trend", DAYS[1], -2.0), ("", DAYS[0], 1.0), ("", DAYS[1], None)]
    _write(sessions, derived.PNL_ATTRIBUTION, *({"strategy": s, "day": day, "total": total} for s, day, total in rows))
    found = _of(sessions, "pnl")
    assert isinstance(found, Series)
    np.testing.assert_array_equal(found["trend"], [5.0, 3.0, 3.0])
    np.testing.assert_array_equal(found[""], [1.0, np.nan, np.nan])


def test_failures_are_those_of_the_newest_session_by_mode(sessions: Home) -> None:
    rows = [("late", "a", 2, True, 2), ("late", "b", 1, False, 2), ("tight", "a", 4, False, 2), ("early", "a", 9, False, 1)]
    made = ({"failure_mode": m, "template": t, "cases": n, "recurring": r, "day": DAYS[d]} for m, t, n, r, d in rows)
    _write(sessions, derived.FAILURE_MODES, *made)
    assert _of(sessions, "failures") == Failures("core", DAYS[2], (Failure("tight", 4, 0), Failure("late", 3, 2)))


def test_a_matrix_of_nothing_held_says_so(sessions: Home) -> None:
    found = _of(sessions, "correlation")
    assert isinstance(found, Matrix) and found.day == DAYS[2] and found.symbols == ()


def test_lines_end_with_a_day_that_need_not_be_a_session() -> None:
    made = Series("core", DAYS, {"heat": np.arange(4.0)})
    assert made.until(DAYS[2] + timedelta(days=1))["heat"].tolist() == [0.0, 1.0, 2.0]
    assert made.until(date(2030, 1, 1)) is made
    with pytest.raises(ValueError, match="pass the rows of one portfolio"):
        Series("core", [DAYS[1], DAYS[0]], {})
    with pytest.raises(ValueError, match="heat has 4 values for 3 sessions"):
        Series("core", DAYS[:3], {"heat": np.arange(4.0)})
