"""What must hold on every day of every ledger, read off the derived tables alone."""

from collections import defaultdict
from datetime import date
from typing import Any

import pytest
from hypothesis import given, settings

from portfolio_platform.lake import derived
from portfolio_platform.ledger import kernel, layout
from tests.unit.ledger.ledgers import Ledger, ledgers
from tests.unit.ledger.running import run

Rows = list[dict[str, Any]]
POSITION = ("portfolio", "strategy", "symbol", "currency")


def size_of(ledger: Ledger) -> float:
    """Return what was moved in all, the scale of rounding errors."""
    traded = sum(float(fill.quantity * fill.price) * float(ledger.multiplier_of(fill.symbol)) for fill in ledger.fills)
    return 1.0 + traded + sum(abs(float(flow.amount)) for flow in ledger.flows)


def by_day(rows: Rows, *names: str) -> dict[tuple[Any, ...], Rows]:
    """Return rows by day and other columns."""
    found: dict[tuple[Any, ...], Rows] = defaultdict(list)
    for row in rows:
        found[tuple(row[name] for name in ("day", *names))].append(row)
    return found


@settings(deadline=None, max_examples=20)
@given(ledgers())
def test_cash_is_its_flows_income_and_trades_less_fees_and_fees_are_those_of_positions(ledger: Ledger) -> None:
    tables, size = run(ledger).tables, size_of(ledger)
    snapshots = by_day(tables["ledger_snapshots"].to_pylist(), "portfolio", "currency")
    for row in tables["cash_balances"].to_pylist():
        assert row["cash"] == pytest.approx(row["flows"] + row["income"] + row["trades"] - row["fees"], abs=1e-9 * size)
        mine = snapshots[(row["day"], row["portfolio"], row["currency"])]
        assert row["fees"] == pytest.approx(sum(item["fees"] for item in mine), abs=1e-9 * size)


@settings(deadline=None, max_examples=25)
@given(ledgers())
def test_net_asset_value_is_cash_and_market_value_and_exposures_agree(ledger: Ledger) -> None:
    tables, size = run(ledger).tables, size_of(ledger)
    snapshots = by_day(tables["ledger_snapshots"].to_pylist(), "portfolio")
    money = by_day(tables["cash_balances"].to_pylist(), "portfolio")
    for row in tables["portfolio_equity"].to_pylist():
        place = (row["day"], row["portfolio"])
        values, cash = [item["market_value_base"] for item in snapshots[place]], [item["cash_base"] for item in money[place]]
        assert (row["equity"] is None) == (None in values or None in cash)
        assert row["open_positions"] == sum(item["quantity"] != 0 for item in snapshots[place])
        if row["equity"] is None:
            assert (row["reason"], row["daily_return"]) == ("missing_fx_rate", None)
            continue
        assert row["equity"] == pytest.approx(sum(cash) + sum(values), abs=1e-9 * size)
        assert row["equity"] == pytest.approx(row["cash"] + row["market_value"], abs=1e-9 * size)
        assert row["long_exposure"] == pytest.approx(sum(value for value in values if value > 0), abs=1e-9 * size)
        assert row["short_exposure"] == pytest.approx(-sum(value for value in values if value < 0), abs=1e-9 * size)
        assert row["gross_exposure"] == pytest.approx(row["long_exposure"] + row["short_exposure"], abs=1e-9 * size)
        assert row["net_exposure"] == pytest.approx(row["long_exposure"] - row["short_exposure"], abs=1e-9 * size)
        assert (row["gross_exposure_pct"] is None) == (row["equity"] <= 0)
        if row["equity"] > 0:
            assert row["gross_exposure_pct"] == pytest.approx(row["gross_exposure"] / row["equity"])


@settings(deadline=None, max_examples=25)
@given(ledgers(foreign=False))
def test_profit_and_flows_are_the_net_asset_value_in_one_currency(ledger: Ledger) -> None:
    tables, size = run(ledger).tables, size_of(ledger)
    snapshots = by_day(tables["ledger_snapshots"].to_pylist(), "portfolio")
    money = by_day(tables["cash_balances"].to_pylist(), "portfolio")
    for row in tables["portfolio_equity"].to_pylist():
        place = (row["day"], row["portfolio"])
        profit = sum(item["realised_pnl"] + item["unrealised_pnl"] + item["income"] - item["fees"] for item in snapshots[place])
        dividends = sum(item["income"] for item in snapshots[place])
        outside = sum(item["flows"] + item["income"] for item in money[place]) - dividends
        assert row["equity"] == pytest.approx(profit + outside, abs=1e-9 * size)


@settings(deadline=None, max_examples=25)
@given(ledgers())
def test_both_methods_of_round_trips_sum_to_the_positions_profit(ledger: Ledger) -> None:
    step, size = run(ledger), size_of(ledger)
    closed: dict[tuple[Any, ...], float] = defaultdict(float)
    for trip in step.tables["round_trips"].to_pylist():
        closed[(trip["method"], *(trip[name] for name in POSITION))] += trip["realised_pnl"]
    positions, end = step.account.positions, step.account.end
    last = {
        tuple(row[name] for name in POSITION): row
        for row in sorted(step.tables["ledger_snapshots"].to_pylist(), key=lambda row: row["day"])
    }
    for place in range(positions.size):
        key = (positions.portfolio[place], positions.strategy[place], positions.symbol[place], positions.currency[place])
        row = last[key]
        running = end.floats[place, layout.TRIP_REALISED] if row["quantity"] else 0.0
        # after its last session a position may still be split; its marked value stays
        assert closed[("flat_to_flat", *key)] + running == pytest.approx(row["realised_pnl"], abs=1e-9 * size)
        if any(action.symbol == key[2] for action in ledger.actions):
            continue
        lots = slice(end.lot_start[place], end.lot_start[place + 1])
        units = kernel.all_units(end.lot_quantity[lots], positions.places[[place] * (lots.stop - lots.start)])
        open_fifo = float(sum(units * (row["mark"] - end.lot_floats[lots, layout.LOT_PRICE]) * positions.multiplier[place]))
        assert closed[("fifo", *key)] + open_fifo == pytest.approx(row["realised_pnl"] + row["unrealised_pnl"], abs=1e-9 * size)


@settings(deadline=None, max_examples=20)
@given(ledgers())
def test_no_key_comes_twice_rows_are_sorted_by_day_and_nulls_have_a_reason(ledger: Ledger) -> None:
    for name, table in run(ledger).tables.items():
        keys = list(zip(*(table[column].to_pylist() for column in derived.DERIVED[name].key), strict=True))
        assert len(set(keys)) == len(keys)
        days: list[date] = table["day"].to_pylist()
        assert days == sorted(days)
        assert table["month"].to_pylist() == [day.isoformat()[:7] for day in days]
        if "reason" in table.column_names:
            column = {"ledger_snapshots": "market_value_base", "portfolio_equity": "daily_return"}[name]
            assert [value is None for value in table[column].to_pylist()] == [reason != "" for reason in table["reason"].to_pylist()]
