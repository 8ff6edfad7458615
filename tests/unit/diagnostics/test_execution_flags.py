"""Orders beyond a hard limit: by hand, against a slow oracle, and the sample's gaps."""

from datetime import date

import numpy as np
import pyarrow.compute as pc
import pytest
from hypothesis import given
from hypothesis import strategies as st

from portfolio_platform.diagnostics.execution_flags import KINDS, LIMITS, Fills, orders
from portfolio_platform.diagnostics.pipeline import execution_flags as stage
from portfolio_platform.home import Home
from portfolio_platform.lake import derived
from portfolio_platform.lake.progress import Plan
from portfolio_platform.policy.assigned import assigned_policies
from portfolio_platform.policy.diagnostics import ExecutionPolicy

POLICY = ExecutionPolicy()
NAN = float("nan")


def fills(*rows):
    """Order, buy, quantity, price, decision, stop, target, seconds."""
    columns = [np.array(column) for column in zip(*rows, strict=True)]
    return Fills(columns[0], columns[1].astype(bool), *(column.astype(float) for column in columns[2:]))


def test_an_order_is_the_mean_of_its_executions_and_a_gap_through_its_stop_is_slippage():
    # sold at 97 and 96 where the stop was 100: 96.25 on average, 375 bps worse
    found = orders(fills((0, False, 1, 97.0, 100.0, 100.0, 110.0, 7200.0), (0, False, 3, 96.0, 100.0, 100.0, 110.0, 7260.0)), POLICY)
    assert found.fill_price.tolist() == [96.25] and found.slippage_bps[0] == pytest.approx(375.0)
    assert (KINDS[found.kind[0]], LIMITS[found.limits[0]], found.executions[0], found.quantity[0]) == ("stop", "slippage", 2, 4.0)
    # a stop rests for as long as it rests: two hours are no delay
    assert found.minutes.tolist() == [120.0]


def test_only_an_order_sent_at_the_decision_can_be_late():
    rows = [
        (0, True, 1, 100.0, 100.0, 90.0, NAN, 960.0),
        (1, True, 1, 100.0, 100.0, 90.0, 100.0, 960.0),
        (2, True, 1, 99.0, NAN, NAN, NAN, NAN),
    ]
    found = orders(fills(*rows), POLICY)
    assert [KINDS[code] for code in found.kind] == ["sent", "target", "sent"]
    assert [LIMITS[code] for code in found.limits] == ["late", "", ""]
    assert np.isnan(found.slippage_bps[2])


def test_what_is_exactly_at_the_limit_has_not_passed_it():
    found = orders(fills((0, True, 1, 100.5, 100.0, 90.0, NAN, 900.0)), POLICY)
    assert LIMITS[found.limits[0]] == ""


@given(st.lists(st.tuples(st.integers(0, 3), st.integers(1, 9), st.integers(90, 110)), min_size=1, max_size=20), st.booleans())
def test_it_equals_a_slow_oracle(rows, buy):
    rows.sort()
    codes = sorted({row[0] for row in rows})
    given_fills = fills(*((codes.index(code), buy, quantity, float(price), 100.0, 100.0, NAN, 1.0) for code, quantity, price in rows))
    found = orders(given_fills, POLICY)
    for place, code in enumerate(codes):
        mine = [(quantity, price) for own, quantity, price in rows if own == code]
        price = sum(quantity * price for quantity, price in mine) / sum(quantity for quantity, _ in mine)
        assert found.fill_price[place] == pytest.approx(price)
        assert found.slippage_bps[place] == pytest.approx((price - 100.0) * 100.0 * (1 if buy else -1), abs=1e-9)
        assert found.executions[place] == len(mine)


def test_the_samples_gaps_are_there_and_a_day_alone_equals_the_range(sample_home: Home):
    rows = sample_home.lake.read(derived.EXECUTION_FLAGS)
    worst = rows.sort_by([("slippage_bps", "descending")]).slice(0, 4).to_pylist()
    assert [(row["symbol"], row["day"], round(row["slippage_bps"]), row["kind"]) for row in worst] == [
        ("WTI", date(2008, 9, 22), 1518, "stop"),
        ("GOOG", date(2008, 4, 18), 1484, "stop"),
        ("WTI", date(2009, 4, 20), 676, "stop"),
        ("AAPL", date(2009, 1, 22), 477, "stop"),
    ]
    day = date(2008, 9, 22)
    alone = stage.compute(sample_home, assigned_policies(sample_home), Plan(day, day, 1, {}))[derived.EXECUTION_FLAGS]
    assert len(alone) and alone.to_pylist() == rows.filter(pc.equal(rows["day"], day)).to_pylist()
