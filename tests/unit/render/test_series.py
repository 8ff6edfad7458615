from datetime import date, timedelta

import numpy as np
import pyarrow as pa
import pytest

from portfolio_platform.render.series import History
from tests.unit.render.factory import history

DAYS = [date(2024, 1, 2), date(2024, 1, 3), date(2024, 1, 4)]


def _tables(order: list[int]) -> tuple[pa.Table, pa.Table, pa.Table]:
    equity = pa.table(
        {
            "day": DAYS,
            "equity": [100.0, 90.0, None],
            "net_flow": [100.0, 0.0, 0.0],
            "unit_value": [1.0, 0.9, None],
            "gross_exposure_pct": [0.5, 0.6, None],
            "net_exposure_pct": [0.5, -0.6, None],
        }
    ).take(order)
    state = pa.table(
        {"day": DAYS, "high_water_mark": [1.0, 1.0, 1.0], "drawdown": [0.0, 0.1, None], "regime": ["normal", "risk_off", None]}
    )
    metrics = pa.table(
        {
            "day": [DAYS[1], DAYS[1], DAYS[2]],
            "dimension": ["symbol", "template", "sector"],
            "effective_n": [2.5, 1.5, 9.0],
            "top_share": [0.4, 0.7, 0.9],
        }
    )
    return equity, state.take(order[::-1]), metrics


def test_rows_in_any_order_become_the_same_sessions() -> None:
    for order in ([0, 1, 2], [2, 0, 1]):
        made = History.from_tables("core", *_tables(order))
        assert made.days == DAYS
        np.testing.assert_array_equal(made.equity, [100.0, 90.0, np.nan])
        np.testing.assert_array_equal(made.drawdown, [0.0, 0.1, np.nan])
        assert made.regime == ["normal", "risk_off", ""]
        np.testing.assert_array_equal(made.effective_symbols, [np.nan, 2.5, np.nan])
        np.testing.assert_array_equal(made.top_template_share, [np.nan, 0.7, np.nan])
        np.testing.assert_allclose(made.high_water_equity, [100.0, 100.0, np.nan])


def test_rows_of_two_portfolios_are_refused() -> None:
    equity, state, metrics = _tables([0, 1, 2])
    with pytest.raises(ValueError, match="pass the rows of one portfolio"):
        History.from_tables("core", pa.concat_tables([equity, equity]), state, metrics)


def test_an_empty_lake_is_an_empty_history() -> None:
    made = History.from_tables("core", *(table.slice(0, 0) for table in _tables([0, 1, 2])))
    assert len(made) == 0 == len(History.empty("core"))
    assert list(made.stretches()) == []


def test_a_history_is_cut_at_a_day_that_need_not_be_a_session() -> None:
    made = history(10)
    gap = made.days[4]
    assert made.until(gap).days == made.days[:5]
    assert len(made.until(made.days[0] - timedelta(days=1))) == 0
    assert made.until(made.days[-1] + timedelta(days=9)) is made
    assert made.tail(3).days == made.days[-3:]


def test_stretches_cover_every_session_once() -> None:
    made = history(500)
    covered = [place for _, first, last in made.stretches() for place in range(first, last + 1)]
    assert covered == list(range(500))
