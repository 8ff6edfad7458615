"""Profiles of closed trades: hand-worked cases on bars and fills, and what is told where a figure is missing."""

from datetime import date
from decimal import Decimal
from typing import Any

import pyarrow as pa
import pytest

from portfolio_platform.lake.derived import ROUND_TRIPS
from portfolio_platform.signals.trips import TRIP_COLUMNS, trip_profiles
from tests.unit.signals.oracle import Bar, at, bars_of, fills_of

BARS = {
    "AAA": [
        Bar(at(1), 100.0, 120.0, 80.0, 100.0),
        Bar(at(2), 100.0, 104.0, 98.0, 103.0),
        Bar(at(3), 103.0, 108.0, 101.0, 107.0),
        Bar(at(4), 107.0, 130.0, 70.0, 107.0),
    ]
}
SIGNALS = pa.table({"signal_id": ["S0", "S1"], "regime": pa.array(["calm", None], pa.string())})
OPENING = {"row_id": "A1", "ts": at(1.1), "price": 100.0, "decision_price": 99.9, "stop_price": 96.0, "signal_id": "S0"}
CLOSING = {"row_id": "A2", "ts": at(3.5), "side": "sell", "price": 106.0, "decision_price": 107.0, "stop_price": 96.0, "signal_id": "S0"}


def trip(**changed: Any) -> dict[str, Any]:
    usual = {
        "round_trip_id": "R",
        "day": date(2022, 1, 5),
        "portfolio": "core",
        "strategy": "s",
        "symbol": "AAA",
        "direction": "long",
        "opened_at": at(1.1),
        "closed_at": at(3.5),
        "quantity": Decimal(1),
        "entry_price": 100.0,
        "exit_price": 106.0,
        "realised_pnl": 6.0,
        "fees": 0.5,
        "template": "t",
        "playbook": "p",
        "opening_row_id": "A1",
        "closing_row_id": "A2",
        "month": "2022-01",
    }
    return usual | changed


def profile(fills: list[dict[str, Any]], signals: pa.Table = SIGNALS, bars: dict[str, list[Bar]] = BARS, **changed: Any) -> dict[str, Any]:
    splits = changed.pop("splits", ())
    schema = ROUND_TRIPS.arrow_schema()
    trips = pa.Table.from_pylist([trip(**changed)], pa.schema([schema.field(name) for name in TRIP_COLUMNS]))
    return trip_profiles(trips, fills_of(*fills), signals, bars_of(bars, splits)).to_pylist()[0]


def test_a_trade_is_told_in_units_of_its_risk():
    # entry 100, stop 96: 4 at risk; won 6, was 2 under (98) and 8 over (108); the bar in which it closed is not seen
    row = profile([OPENING, CLOSING])
    assert (row["r"], row["mae_r"], row["mfe_r"], row["hold_bars"]) == (1.5, 0.5, 2.0, 2)
    assert (row["regime"], row["signal_id"], row["initial_stop"], row["net_pnl"]) == ("calm", "S0", 96.0, 5.5)
    assert row["entry_slippage_bps"] == pytest.approx(0.1 / 99.9 * 1e4)
    assert row["exit_slippage_bps"] == pytest.approx(1.0 / 107.0 * 1e4)
    assert (row["resolution"], row["reason"]) == ("1d", "")


def test_a_short_trade_is_told_the_other_way_round():
    opening, closing = OPENING | {"side": "sell", "stop_price": 104.0}, CLOSING | {"side": "buy"}
    row = profile([opening, closing], direction="short", exit_price=106.0)
    assert (row["r"], row["mae_r"], row["mfe_r"]) == (-1.5, 2.0, 0.5)
    assert row["entry_slippage_bps"] < 0 < -row["exit_slippage_bps"]


def test_the_stop_is_that_of_the_opening_fill_and_the_entry_the_average():
    added = {"row_id": "A3", "ts": at(2.5), "price": 104.0, "decision_price": 104.0, "stop_price": 101.0}
    row = profile([OPENING, added, CLOSING | {"quantity": 2.0}], quantity=Decimal(2), entry_price=102.0)
    assert (row["initial_stop"], row["r"]) == (96.0, pytest.approx(4 / 6))
    assert row["entry_slippage_bps"] == pytest.approx(0.1 / 99.9 * 1e4 / 2)


def test_a_fill_that_flips_counts_for_the_part_that_belongs_to_the_trade():
    # 3 sold at the end, 2 of which close: with 1 sold before at no slippage, a third of the exit is that
    partly = {"row_id": "A3", "ts": at(2.5), "side": "sell", "price": 100.0, "decision_price": 100.0}
    flip = CLOSING | {"quantity": 3.0, "price": 99.0, "decision_price": 100.0}
    opening = OPENING | {"quantity": 3.0}
    row = profile([opening, partly, flip], quantity=Decimal(3))
    assert row["exit_slippage_bps"] == pytest.approx(100.0 * 2 / 3)
    # and on the other side: of 3 bought by the flip that opened it, 1 belongs to it, beside 1 bought later at no slippage
    opened = OPENING | {"quantity": 3.0, "price": 101.0, "decision_price": 100.0}
    added = {"row_id": "A3", "ts": at(2.5), "price": 100.0, "decision_price": 100.0}
    row = profile([opened, added, CLOSING | {"quantity": 2.0}], quantity=Decimal(2))
    assert row["entry_slippage_bps"] == pytest.approx(50.0)


def test_another_fill_at_the_closing_instant_belongs_to_the_next_trade():
    after = {"row_id": "A9", "ts": at(3.5), "side": "sell", "price": 1.0, "decision_price": 100.0}
    assert profile([OPENING, CLOSING, after]) == profile([OPENING, CLOSING])


def test_missing_figures_have_their_reasons():
    bare = {"row_id": "A1", "ts": at(1.1)}, {"row_id": "A2", "ts": at(1.2), "side": "sell"}
    row = profile(list(bare), closed_at=at(1.2))
    assert row["reason"] == "no_signal,no_stop,no_bars,no_decision_price"
    assert [row[name] for name in ("regime", "signal_id", "initial_stop", "r", "mae_r", "mfe_r", "entry_slippage_bps")] == [None] * 7
    assert row["hold_bars"] == 0


def test_without_bars_excursions_are_not_known_though_the_result_is():
    row = profile([OPENING, CLOSING], bars={"ZZZ": BARS["AAA"]})
    assert (row["r"], row["mae_r"], row["mfe_r"], row["hold_bars"], row["resolution"]) == (1.5, None, None, None, None)
    assert row["reason"] == "no_bars"


def test_a_stop_on_the_wrong_side_of_the_entry_is_no_measure_of_risk():
    row = profile([OPENING | {"stop_price": 100.5}, CLOSING])
    assert (row["initial_stop"], row["r"], row["mae_r"], row["reason"]) == (100.5, None, None, "stop_not_beyond_entry")


def test_a_signal_without_a_regime_and_an_unknown_signal_are_told_apart():
    assert profile([OPENING | {"signal_id": "S1"}, CLOSING])["reason"] == "no_regime"
    assert profile([OPENING | {"signal_id": "S7"}, CLOSING])["reason"] == "no_signal"


def test_fills_that_are_not_in_force_any_more_are_missed():
    row = profile([CLOSING])
    assert (row["r"], row["signal_id"], row["reason"]) == (None, None, "no_fill")


def test_a_split_while_it_was_open_changes_nothing():
    before, after = BARS["AAA"][:2], BARS["AAA"][2:]
    halved = {"AAA": [*before, *(Bar(bar.ts, *(price / 2 for price in (bar.open, bar.high, bar.low, bar.close))) for bar in after)]}
    closing = CLOSING | {"price": 53.0, "decision_price": 53.5, "quantity": 2.0}
    row = profile([OPENING, closing], bars=halved, splits=((at(2.5), "AAA", 2.0),), quantity=Decimal(2), entry_price=50.0, exit_price=53.0)
    assert row == profile([OPENING, CLOSING])


def test_no_trades_have_no_profiles():
    schema = ROUND_TRIPS.arrow_schema()
    nothing = pa.schema([schema.field(name) for name in TRIP_COLUMNS]).empty_table()
    assert trip_profiles(nothing, fills_of(), SIGNALS, bars_of(BARS)).num_rows == 0
