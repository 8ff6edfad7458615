"""D1 worked by hand and against a plain calculation."""

import itertools
import math
import statistics
from collections.abc import Mapping
from dataclasses import replace
from decimal import Decimal
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from portfolio_platform.days import NANOSECONDS_PER_DAY
from portfolio_platform.diagnostics import heat as d1
from portfolio_platform.diagnostics import heat_rows
from portfolio_platform.ledger.inputs import Actions
from portfolio_platform.ledger.layout import SPLIT

NAN = math.nan


def holdings(*rows: Mapping[str, Any]) -> d1.Holdings:
    """Return positions of session 0 unless they say otherwise: 100 units long at 50, bought at 49, without a stop."""
    usual = {"session": 0, "sign": 1.0, "units": 100.0, "mark": 50.0, "average_cost": 49.0, "stop": NAN, "stale": False}
    full: list[dict[str, Any]] = [{**usual, **row} for row in rows]
    for row in full:
        row.setdefault("exposure", row["sign"] * row["units"] * row["mark"])
    kinds = {"session": np.int64, "stale": np.bool_}
    names = ("session", "sign", "units", "mark", "average_cost", "stop", "exposure", "stale")
    return d1.Holdings(**{name: np.array([row[name] for row in full], dtype=kinds.get(name, np.float64)) for name in names})


def risks(held: d1.Holdings, sigma: float = NAN, hold: float = 4.0, sigmas: float = 3.0, bps: float = 5.0) -> d1.Risks:
    size = held.session.size
    terms = d1.Terms(np.full(size, sigmas), np.full(size, bps * 1e-4), np.full(size, hold))
    return d1.position_risks(held, np.full(size, sigma), terms)


def one(sigma: float = NAN, hold: float = 4.0, **row: Any) -> tuple[float, float, str]:
    """Return risk, capital risk and method of one position."""
    found = risks(holdings(row), sigma, hold)
    return float(found.risk[0]), float(found.capital_risk[0]), d1.METHODS[found.method[0]]


def heat_of(held: d1.Holdings, *, equity: list[float], reserved: list[float] | None = None, cap: float = 0.06) -> d1.Heat:
    size = len(equity)
    zeros = np.zeros(size) if reserved is None else np.array(reserved)
    return d1.portfolio_heat(held, risks(held, 0.02), np.array(equity, np.float64), zeros, np.full(size, cap))


def test_a_long_position_risks_what_lies_between_mark_and_stop_and_the_cost_of_leaving() -> None:
    # (50 - 48) x 100 = 200, and 5 bps of 5000 = 2.5; from the cost of 49 it is (49 - 48) x 100 = 100
    assert one(stop=48.0) == (pytest.approx(202.5), pytest.approx(100.0), "stop")


def test_a_short_position_risks_a_rise_to_its_stop_in_base_currency() -> None:
    # 2 contracts x 10 x 0.5 = 10 base for a point: (53 - 50) x 10 = 30, 5 bps of 500 = 0.25; from 51: (53 - 51) x 10 = 20
    assert one(sign=-1.0, units=10.0, average_cost=51.0, stop=53.0) == (pytest.approx(30.25), pytest.approx(20.0), "stop")


def test_a_trailing_stop_above_entry_leaves_no_capital_at_risk_and_still_something_to_give_back() -> None:
    assert one(average_cost=40.0, stop=45.0) == (pytest.approx(502.5), 0.0, "stop")
    assert one(sign=-1.0, average_cost=60.0, stop=55.0) == (pytest.approx(502.5), 0.0, "stop")


def test_without_a_stop_the_risk_is_three_deviations_over_the_hold() -> None:
    # 3 x 0.02 x sqrt(4) = 0.12 of 5000
    assert one(0.02) == (pytest.approx(600.0), pytest.approx(600.0), "volatility")
    # a hold of 16 days doubles it; what is assumed never exceeds the exposure
    assert one(0.02, 16.0)[0] == pytest.approx(1200.0)
    assert one(0.4)[0] == pytest.approx(5000.0)


def test_without_stop_and_sigma_the_whole_exposure_is_at_risk() -> None:
    assert one() == (5000.0, 5000.0, "notional")
    assert one(sign=-1.0) == (5000.0, 5000.0, "notional")


def test_a_position_open_beyond_its_stop_is_treated_as_one_without() -> None:
    # the distance to the stop would read 0; at 47 it is 0.12 x 4700
    held = holdings({"mark": 47.0, "stop": 48.0}, {"sign": -1.0, "mark": 54.0, "stop": 53.0}, {"mark": 48.0, "stop": 48.0})
    found = risks(held, 0.02)
    assert found.risk.tolist() == pytest.approx([564.0, 648.0, 2.4])
    assert found.beyond_stop.tolist() == found.imputed.tolist() == [True, True, False]
    assert found.capital_risk.tolist() == pytest.approx([564.0, 648.0, 100.0])


def test_heat_is_risk_over_equity_and_its_use_of_the_cap() -> None:
    held = holdings({"stop": 48.0}, {"sign": -1.0, "units": 20.0, "stop": 53.0}, {"units": 10.0})
    # 202.5 + 60 + 0.5 + 0.12 x 500 = 323 of 10000; of it 60 imputed; from entry 100 + 80 + 60 = 240
    found = heat_of(held, equity=[10_000.0], reserved=[177.0])
    assert found.active_risk[0] == pytest.approx(323.0)
    assert (found.active_heat[0], found.reserved_heat[0], found.heat[0]) == pytest.approx((0.0323, 0.0177, 0.05))
    assert found.use[0] == pytest.approx(0.05 / 0.06)
    assert found.capital_heat[0] == pytest.approx(0.024)
    assert found.imputed_share[0] == pytest.approx(60 / 323)
    assert (found.positions[0], found.imputed_positions[0], found.beyond_stop[0], found.coverage[0]) == (3, 1, 0, 1.0)


def test_a_stale_mark_nulls_its_position_and_its_session_and_coverage_says_how_much_is_known() -> None:
    held = holdings({"stop": 48.0}, {"stop": 48.0, "stale": True, "units": 300.0}, {"session": 1, "stop": 48.0})
    found = risks(held)
    assert np.isnan(found.risk).tolist() == [False, True, False]
    whole = heat_of(held, equity=[10_000.0, 10_000.0])
    assert [d1.REASONS[status] for status in whole.status] == ["stale_mark", ""]
    for figure in (
        whole.active_risk,
        whole.active_heat,
        whole.reserved_heat,
        whole.heat,
        whole.use,
        whole.capital_heat,
        whole.imputed_share,
    ):
        assert np.isnan(figure).tolist() == [True, False]
    assert whole.coverage.tolist() == pytest.approx([0.25, 1.0])


def test_a_missing_rate_goes_before_a_stale_mark_and_leaves_no_coverage() -> None:
    held = holdings({"stop": 48.0}, {"units": NAN, "exposure": NAN, "stop": 48.0, "stale": True})
    assert [d1.REASONS[status] for status in risks(held).status] == ["", "missing_fx_rate"]
    whole = heat_of(held, equity=[NAN])
    assert d1.REASONS[whole.status[0]] == "missing_fx_rate"
    assert math.isnan(whole.coverage[0])
    assert math.isnan(whole.active_risk[0])


@pytest.mark.parametrize("equity", [0.0, -1.0])
def test_without_positive_equity_the_ratios_are_null_and_the_risk_stands(equity: float) -> None:
    whole = heat_of(holdings({"stop": 48.0}), equity=[equity])
    assert d1.REASONS[whole.status[0]] == "equity_not_positive"
    assert whole.active_risk[0] == pytest.approx(202.5)
    assert np.isnan([whole.heat[0], whole.use[0], whole.capital_heat[0]]).all()


def test_a_portfolio_that_holds_nothing_has_no_heat_and_nothing_uncovered() -> None:
    empty = holdings()
    whole = heat_of(empty, equity=[100.0, 100.0])
    assert whole.heat.tolist() == whole.imputed_share.tolist() == [0.0, 0.0]
    assert whole.coverage.tolist() == [1.0, 1.0]
    assert whole.positions.tolist() == [0, 0]


# --- properties ---

row_ = st.fixed_dictionaries(
    {
        "session": st.integers(0, 3),
        "sign": st.sampled_from([1.0, -1.0]),
        "units": st.integers(1, 500).map(float),
        "mark": st.integers(1, 200).map(float),
        "average_cost": st.integers(1, 200).map(float),
        "stop": st.one_of(st.just(NAN), st.integers(1, 200).map(float)),
        "stale": st.sampled_from([False] * 9 + [True]),
    }
)
rows_ = st.lists(row_, max_size=12).map(lambda rows: sorted(rows, key=lambda row: row["session"]))
sigma_ = st.one_of(st.just(NAN), st.floats(0.001, 0.6))


def plain_risk(row: dict[str, Any], sigma: float, hold: float) -> tuple[float, float]:
    """Return a position's risk and capital risk by the definition."""
    if row["stale"]:
        return NAN, NAN
    size = row["units"] * row["mark"]
    stop, sign = row["stop"], row["sign"]
    if math.isnan(stop) or (row["mark"] < stop if sign > 0 else row["mark"] > stop):
        assumed = size if math.isnan(sigma) else min(size, 3.0 * sigma * math.sqrt(hold) * size)
        return assumed, assumed
    distance, from_entry = sign * (row["mark"] - stop), sign * (row["average_cost"] - stop)
    return distance * row["units"] + 0.0005 * size, max(0.0, from_entry) * row["units"]


@given(rows_, sigma_, st.floats(0.5, 60.0))
def test_every_risk_is_that_of_the_plain_calculation(rows: list[dict[str, Any]], sigma: float, hold: float) -> None:
    found = risks(holdings(*rows), sigma, hold)
    expected = [plain_risk(row, sigma, hold) for row in rows]
    assert found.risk.tolist() == pytest.approx([risk for risk, _ in expected], nan_ok=True)
    assert found.capital_risk.tolist() == pytest.approx([risk for _, risk in expected], nan_ok=True)


@given(rows_)
def test_heat_is_the_sum_over_positions_and_each_session_stands_alone(rows: list[dict[str, Any]]) -> None:
    held = holdings(*rows)
    whole = heat_of(held, equity=[1000.0, 2000.0, 500.0, 4000.0])
    for session, equity in enumerate((1000.0, 2000.0, 500.0, 4000.0)):
        mine = [{**row, "session": 0} for row in rows if row["session"] == session]
        alone = heat_of(holdings(*mine), equity=[equity])
        for name in ("active_heat", "heat", "use", "capital_heat", "imputed_share", "coverage", "positions"):
            assert np.array_equal(getattr(alone, name), getattr(whole, name)[session : session + 1], equal_nan=True)
        parts = [heat_of(holdings(row), equity=[equity]).heat[0] for row in mine]
        assert whole.heat[session] == pytest.approx(sum(parts), nan_ok=True)


@given(rows_, row_, st.floats(0.0, 500.0))
def test_a_fill_that_opens_moves_active_heat_by_its_own_risk_and_nothing_else(
    rows: list[dict[str, Any]], opened: dict[str, Any], reserved: float
) -> None:
    fresh = [{**row, "session": 0, "stale": False} for row in rows]
    new = {**opened, "session": 0, "stale": False}
    before = heat_of(holdings(*fresh), equity=[1000.0], reserved=[reserved])
    after = heat_of(holdings(*fresh, new), equity=[1000.0], reserved=[reserved])
    assert after.reserved_heat[0] == before.reserved_heat[0]
    assert after.active_risk[0] - before.active_risk[0] == pytest.approx(plain_risk(new, 0.02, 4.0)[0], abs=1e-6)
    # reserved for exactly that much, it only moves from reserved to active: heat is as it was
    own = plain_risk(new, 0.02, 4.0)[0]
    waiting = heat_of(holdings(*fresh), equity=[1000.0], reserved=[reserved + own])
    assert after.heat[0] == pytest.approx(waiting.heat[0])


@given(rows_, st.floats(0.01, 100.0))
def test_scaling_quantities_and_equity_together_leaves_every_ratio(rows: list[dict[str, Any]], factor: float) -> None:
    held = holdings(*rows)
    scaled = replace(held, units=held.units * factor, exposure=held.exposure * factor)
    before = heat_of(held, equity=[1000.0] * 4)
    after = heat_of(scaled, equity=[1000.0 * factor] * 4)
    for name in ("active_heat", "heat", "use", "capital_heat", "imputed_share", "coverage"):
        assert getattr(after, name).tolist() == pytest.approx(getattr(before, name).tolist(), nan_ok=True)


@given(row_, sigma_)
def test_no_position_risks_less_than_nothing_and_an_imputed_one_no_more_than_its_exposure(row: dict[str, Any], sigma: float) -> None:
    found = risks(holdings({**row, "stale": False}), sigma)
    assert found.risk[0] > 0.0
    assert found.capital_risk[0] >= 0.0
    if found.imputed[0]:
        assert found.risk[0] <= row["units"] * row["mark"]


# --- volatility ---

NO_ACTIONS = Actions(np.empty(0, np.int64), np.empty(0, object), np.empty(0, np.int64), np.empty(0), ())


def bars(*closes: tuple[str, float, str]) -> pa.Table:
    """Return bars from symbol, day (a fraction is a time of it) and close."""
    return pa.table(
        {
            "symbol": [symbol for symbol, _, _ in closes],
            "ts": pa.array([int(day * NANOSECONDS_PER_DAY) for _, day, _ in closes], pa.int64()),
            "close": pa.array([Decimal(close) for _, _, close in closes], pa.decimal128(38, 18)),
        }
    )


def sigma_at(found: d1.Returns, symbol: int, day: int, window: int = 60, minimum: int = 2) -> float:
    arrays = [np.array([value], np.int64) for value in (symbol, day, window, minimum)]
    return float(d1.sigmas(found, *arrays)[0])


def test_sigma_is_the_deviation_of_the_daily_closes_up_to_the_day_worked_by_hand() -> None:
    # closes 100, 110, 99, 108.9: returns ln 1.1 = .09531, ln .9 = -.10536, ln 1.1; mean .02842, deviation .11586
    table = bars(("A", 1.5, "100"), ("A", 2.5, "110"), ("A", 3.2, "1"), ("A", 3.9, "99"), ("A", 4.5, "108.9"), ("B", 2.5, "7"))
    found = heat_rows.returns(table, NO_ACTIONS, ["A", "B"])
    assert sigma_at(found, 0, 4) == pytest.approx(0.115857, abs=1e-6)
    # the day before knows two returns; a day without a bar has the newest; one bar has no return
    assert sigma_at(found, 0, 3) == pytest.approx(statistics.stdev([math.log(1.1), math.log(0.9)]))
    assert sigma_at(found, 0, 9) == sigma_at(found, 0, 4)
    assert sigma_at(found, 0, 9, window=2) == pytest.approx(statistics.stdev([math.log(0.9), math.log(1.1)]))
    assert math.isnan(sigma_at(found, 0, 4, minimum=4))
    assert math.isnan(sigma_at(found, 1, 9))
    assert math.isnan(sigma_at(found, -1, 9))


def test_a_close_at_midnight_belongs_to_the_day_that_ends() -> None:
    found = heat_rows.returns(bars(("A", 2.0, "100"), ("A", 3.0, "110"), ("A", 4.0, "99")), NO_ACTIONS, ["A"])
    assert found.day.tolist() == [2, 3]


def test_a_split_is_no_loss() -> None:
    table = bars(("A", 1.5, "100"), ("A", 2.5, "101"), ("A", 3.5, "51"), ("A", 4.5, "50"))
    at = np.array([int(3.1 * NANOSECONDS_PER_DAY)], np.int64)
    split = Actions(at, np.array(["A"], object), np.array([SPLIT]), np.array([2.0]), ())
    found = heat_rows.returns(table, split, ["A"])
    assert found.value.tolist() == pytest.approx([math.log(1.01), math.log(102 / 101), math.log(50 / 51)])


def test_a_price_that_never_moved_gives_no_sigma_instead_of_no_risk() -> None:
    found = heat_rows.returns(bars(*[("A", day + 0.5, "5") for day in range(30)]), NO_ACTIONS, ["A"])
    assert math.isnan(sigma_at(found, 0, 29))


@given(st.lists(st.integers(1, 400), min_size=1, max_size=40), st.integers(2, 12), st.integers(2, 6), st.integers(-1, 45))
def test_sigma_is_that_of_the_statistics_module(closes: list[int], window: int, minimum: int, day: int) -> None:
    found = heat_rows.returns(bars(*[("A", k + 0.5, str(close)) for k, close in enumerate(closes)]), NO_ACTIONS, ["A"])
    known = [math.log(b / a) for a, b in itertools.pairwise(closes)][: max(day, 0)][-window:]
    expected = statistics.stdev(known) if len(known) >= minimum else NAN
    if expected < 1e-12:
        return  # a deviation of rounding errors, or none
    assert sigma_at(found, 0, day, window, minimum) == pytest.approx(expected, nan_ok=True)


def test_a_deviation_is_the_same_whatever_was_asked_before_it() -> None:
    rng = np.random.default_rng(7)
    given = d1.Returns(np.array([0, 60, 60, 130]), np.concatenate((np.arange(60), np.arange(5, 75))), rng.normal(size=130))
    symbol, day = rng.integers(-1, 3, 400), rng.integers(0, 80, 400)
    window, minimum = rng.choice([10, 20], 400), rng.choice([2, 15], 400)
    for order in (np.arange(400), np.argsort(day, kind="stable"), np.argsort(-day, kind="stable")):
        asked = [column[order] for column in (symbol, day, window, minimum)]
        alone = [d1.sigmas(given, *(column[[place]] for column in asked))[0] for place in range(400)]
        assert np.array_equal(d1.sigmas(given, *asked), alone, equal_nan=True)
