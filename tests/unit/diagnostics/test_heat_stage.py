"""D1 over the sample: what the stage reads of the lake and the book."""

import math
import statistics
from collections.abc import Mapping
from datetime import UTC, date, datetime
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pytest

from portfolio_platform.book.events import NewEvent, append
from portfolio_platform.days import NANOSECONDS_PER_DAY, end_of_day_ns, to_number
from portfolio_platform.diagnostics import heat as d1
from portfolio_platform.diagnostics.pipeline import heat as stage
from portfolio_platform.home import Home
from portfolio_platform.lake import active, derived
from portfolio_platform.lake.columns import Table
from portfolio_platform.lake.facts import BARS, PLAYBOOK_EXPECTATIONS
from portfolio_platform.lake.progress import Plan
from portfolio_platform.policy.assigned import assigned_policies
from tests.conftest import LAST_DAY, copied


@pytest.fixture(scope="module")
def built(sample_home: Home) -> tuple[pa.Table, pa.Table]:
    return run(sample_home, sample_home.first_day, LAST_DAY)


def run(home: Home, first: date, until: date) -> tuple[pa.Table, pa.Table]:
    found: Mapping[Table, pa.Table] = stage.compute(home, assigned_policies(home), Plan(first, until, 1, {}))
    return found[derived.POSITION_RISK].combine_chunks(), found[derived.PORTFOLIO_HEAT].combine_chunks()


def test_the_sample_has_a_risk_for_every_open_position_and_a_heat_for_every_session(
    sample_home: Home, built: tuple[pa.Table, pa.Table]
) -> None:
    risk, heat = built
    equity = sample_home.lake.read(derived.PORTFOLIO_EQUITY)
    assert len(heat) == len(equity)
    assert pc.sum(equity["open_positions"]).as_py() == len(risk) == pc.sum(heat["positions"]).as_py()
    for table, rows in ((derived.POSITION_RISK, risk), (derived.PORTFOLIO_HEAT, heat)):
        assert rows.equals(rows.sort_by([(name, "ascending") for name in table.key]))
        assert rows.schema == table.arrow_schema()
    assert set(heat["reason"].to_pylist()) == set(risk["reason"].to_pylist()) == {""}
    assert set(heat["reserved_risk"].to_pylist()) == {0.0}


def test_the_sample_has_one_position_open_beyond_its_stop(sample_home: Home, built: tuple[pa.Table, pa.Table]) -> None:
    (row,) = built[0].filter(pc.field("beyond_stop")).to_pylist()
    assert (row["day"], row["portfolio"], row["symbol"], row["direction"], row["method"]) == (
        date(2008, 10, 5), "macro", "SIM24", "short", "volatility",
    )  # fmt: skip
    listed = active.read(sample_home.lake, BARS, ("symbol", "ts", "close")).filter(pc.field("symbol") == "SIM24").sort_by("ts").to_pylist()
    end = (to_number(row["day"]) + 1) * NANOSECONDS_PER_DAY
    closes = [float(bar["close"]) for bar in listed if bar["ts"] <= end]
    sigma = statistics.stdev([math.log(b / a) for a, b in zip(closes[-61:], closes[-60:], strict=False)])
    assert row["sigma"] == pytest.approx(sigma)
    # nr7_expansion expects 6 bars
    assert row["hold_days"] == 6.0
    assert row["risk"] == pytest.approx(3 * sigma * math.sqrt(6) * abs(row["exposure"]))
    heat = built[1].filter((pc.field("day") == row["day"]) & (pc.field("portfolio") == "macro")).to_pylist()[0]
    assert (heat["beyond_stop"], heat["imputed_positions"]) == (1, 1)


def test_figures_of_the_sample_are_those_of_its_snapshots(sample_home: Home, built: tuple[pa.Table, pa.Table]) -> None:
    day = date(2009, 9, 21)
    snapshots = sample_home.lake.read(
        derived.LEDGER_SNAPSHOTS, None, (pc.field("day") == day) & (pc.field("portfolio") == "core")
    ).to_pylist()
    (equity,) = sample_home.lake.read(derived.PORTFOLIO_EQUITY, ["equity"], (pc.field("day") == day) & (pc.field("portfolio") == "core"))[
        "equity"
    ].to_pylist()
    expected = 0.0
    for row in snapshots:
        quantity = float(row["quantity"])
        if quantity:
            gap = (row["mark"] - row["stop_price"]) * math.copysign(1.0, quantity)
            assert gap >= 0.0
            expected += gap * abs(quantity) + 0.0005 * abs(row["market_value_base"])
    (heat,) = built[1].filter((pc.field("day") == day) & (pc.field("portfolio") == "core")).to_pylist()
    assert heat["active_risk"] == pytest.approx(expected)
    assert heat["heat"] == pytest.approx(expected / equity)
    assert heat["use"] == pytest.approx(expected / equity / 0.06)


def test_a_day_alone_is_that_day_of_the_range(sample_home: Home, built: tuple[pa.Table, pa.Table]) -> None:
    for first, until in (
        (date(2008, 10, 4), date(2008, 10, 5)),
        (date(2008, 10, 5), date(2008, 10, 5)),
        (date(2009, 9, 21), date(2009, 9, 25)),
    ):
        for whole, alone in zip(built, run(sample_home, first, until), strict=True):
            assert alone.equals(whole.filter((pc.field("day") >= first) & (pc.field("day") <= until)))


def without_stops(home: Home) -> None:
    """Take every stop out of the snapshots."""
    rows = home.lake.read(derived.LEDGER_SNAPSHOTS)
    none = pa.nulls(len(rows), pa.float64())
    with home.lake.writing():
        home.lake.replace(derived.LEDGER_SNAPSHOTS, rows.set_column(rows.column_names.index("stop_price"), "stop_price", none))


def test_without_any_stop_all_is_imputed_and_a_day_alone_still_is_that_day_of_the_range(sample_copy: Home) -> None:
    without_stops(sample_copy)
    risk, heat = run(sample_copy, sample_copy.first_day, LAST_DAY)
    assert pc.all(risk["imputed"]).as_py()
    assert set(risk["method"].to_pylist()) == {"volatility"}
    assert set(heat.filter(pc.field("positions") > 0)["imputed_share"].to_pylist()) == {1.0}
    expected = active.read(sample_copy.lake, PLAYBOOK_EXPECTATIONS).filter(pc.field("regime") == "all").to_pylist()
    holds = {row["playbook"]: float(row["hold_bars_p50"]) for row in expected}
    assert {(row["playbook"], row["hold_days"]) for row in risk.to_pylist()} <= set(holds.items())
    for day in (date(2007, 1, 4), date(2008, 11, 7), date(2010, 12, 31)):
        for whole, alone in zip((risk, heat), run(sample_copy, day, day), strict=True):
            assert len(alone)
            assert alone.equals(whole.filter(pc.field("day") == day))


def test_bars_further_back_than_the_look_back_are_found_all_the_same(sample_home: Home) -> None:
    day = date(2012, 6, 1)
    found = stage._returns(sample_home, ["IBM"], day, day, 60)
    assert found.value.size > 1000
    (volatility,) = d1.sigmas(found, *(np.array([value], np.int64) for value in (0, to_number(day), 60, 20)))
    assert volatility == pytest.approx(float(np.std(found.value[-60:], ddof=1)))
    # where the look-back holds enough, no more is read
    near = stage._returns(sample_home, ["IBM"], date(2010, 6, 1), date(2010, 6, 1), 60)
    assert 60 <= near.value.size < 150


def test_a_stale_mark_of_the_lake_nulls_the_session_and_names_itself(sample_copy: Home) -> None:
    day, rows = date(2009, 9, 21), sample_copy.lake.read(derived.LEDGER_SNAPSHOTS)
    late = pc.if_else(pc.and_(pc.equal(rows["day"], pa.scalar(day)), pc.equal(rows["symbol"], "IBM")), 6, rows["mark_age"])
    with sample_copy.lake.writing():
        sample_copy.lake.replace(derived.LEDGER_SNAPSHOTS, rows.set_column(rows.column_names.index("mark_age"), "mark_age", late))
    risk, heat = run(sample_copy, day, day)
    core = [row for row in risk.to_pylist() if row["portfolio"] == "core"]
    assert {row["symbol"] for row in core if row["risk"] is None} == {"IBM"}
    assert {(row["risk_pct"], row["reason"]) for row in core} == {(None, "stale_mark")}
    by_portfolio = {row["portfolio"]: row for row in heat.to_pylist()}
    assert (by_portfolio["core"]["heat"], by_portfolio["core"]["reason"], by_portfolio["macro"]["reason"]) == (None, "stale_mark", "")
    assert 0.5 < by_portfolio["core"]["coverage"] < 1.0


def test_reserved_risk_is_zero_before_anything_is_granted_and_then_what_is_left_at_each_days_end(sample_home: Home, tmp_path: Path) -> None:
    """The log alone is read: a grant of 100 until New Year's Eve, of which a fill leaves 40 a day later."""
    home = copied(sample_home, tmp_path / "reserving")
    days = home.lake.read(derived.PORTFOLIO_EQUITY, ["portfolio", "day"])
    assert set(stage.reserved_risk(home, days)) == {0.0}
    at, expires = (end_of_day_ns(date(2010, 12, day)) for day in (28, 31))
    decision = {"approved_risk": 10_000, "expires_at": expires}
    told = [
        NewEvent("control/core", "control_opened", {"at": 1, "digits": 2}, "a"),
        NewEvent("control/core", "policy_adopted", {"at": 1, "limits": {"reservation": 10**16}}, "b"),
        NewEvent("control/core", "allocation_decided", {"at": at, "intent": {"intent_id": "i"}, "decision": decision}, "c"),
        NewEvent("control/core", "fill_recorded", {"at": at + 1, "left": {"i": 4_000}}, "d"),
    ]
    with home.book.writing() as connection:
        append(connection, told, recorded_at=datetime(2010, 12, 30, 21, 0, tzinfo=UTC))
    found = zip(days.to_pylist(), stage.reserved_risk(home, days).tolist(), strict=True)
    reserved = {(row["portfolio"], row["day"]): amount for row, amount in found}
    # the session before is the 27th; on the 31st it is over
    assert {day: amount for (portfolio, day), amount in reserved.items() if portfolio == "core" and amount} == {
        date(2010, 12, 28): 100.0, date(2010, 12, 29): 40.0, date(2010, 12, 30): 40.0,
    }  # fmt: skip
    assert {amount for (portfolio, _), amount in reserved.items() if portfolio == "macro"} == {0.0}
