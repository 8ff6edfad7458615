"""The identities hold on the sample, and one changed number breaks exactly the one it belongs to."""

from collections.abc import Callable
from datetime import date
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from portfolio_platform.home import Home
from portfolio_platform.lake import derived
from portfolio_platform.ledger.identities import IdentityResult, cash_identity, nav_identity, pnl_identity

Tables = dict[str, pa.Table]
NAMES = ("portfolio_equity", "cash_balances", "ledger_snapshots")


@pytest.fixture(scope="module")
def tables(sample_home: Home) -> Tables:
    return {name: sample_home.lake.read(derived.DERIVED[name]) for name in NAMES}


def _cash(tables: Tables) -> IdentityResult:
    return cash_identity(tables["cash_balances"])


def _nav(tables: Tables) -> IdentityResult:
    return nav_identity(*(tables[name] for name in NAMES))


def _pnl(tables: Tables) -> IdentityResult:
    return pnl_identity(*(tables[name] for name in NAMES))


def changed(tables: Tables, name: str, column: str, row: int, change: Callable[[Any], Any]) -> Tables:
    table = tables[name]
    values = table[column].to_pylist()
    values[row] = change(values[row])
    place = table.schema.get_field_index(column)
    return {**tables, name: table.set_column(place, table.schema.field(place), pa.array(values, table.schema.field(place).type))}


@pytest.mark.parametrize("identity", [_cash, _nav, _pnl])
def test_it_holds_on_every_session_of_the_sample(identity: Callable[[Tables], IdentityResult], tables: Tables) -> None:
    result = identity(tables)
    assert (result.failures, result.skipped, result.checked) == ((), 0, 2465)
    assert result.name == identity.__name__.strip("_")
    assert result.success and result.worst_difference <= result.tolerance


@pytest.mark.parametrize("column", ["cash", "flows", "income", "trades", "fees"])
def test_cash_that_its_movements_do_not_explain_is_found(tables: Tables, column: str) -> None:
    result = _cash(changed(tables, "cash_balances", column, 700, lambda value: value + 0.01))
    row = tables["cash_balances"].slice(700, 1).to_pylist()[0]
    assert result.failed == 1 and not result.success
    assert result.failures[0].startswith(f"{row['day']} {row['portfolio']} USD: cash ")
    assert result.worst_difference == pytest.approx(0.01, rel=1e-4)


@pytest.mark.parametrize(
    ("name", "column"), [("portfolio_equity", "equity"), ("cash_balances", "cash_base"), ("ledger_snapshots", "market_value_base")]
)
def test_equity_that_is_not_cash_and_positions_is_found(tables: Tables, name: str, column: str) -> None:
    wrong = changed(tables, name, column, 900, lambda value: value + 0.01)
    assert _nav(wrong).failed == 1
    assert _cash(wrong).success


@pytest.mark.parametrize(
    ("name", "column"),
    [
        ("portfolio_equity", "equity"),
        ("ledger_snapshots", "realised_pnl"),
        ("ledger_snapshots", "fees"),
        ("cash_balances", "flows"),
        ("cash_balances", "income"),
    ],
)
def test_equity_that_profits_and_flows_do_not_explain_is_found(tables: Tables, name: str, column: str) -> None:
    assert _pnl(changed(tables, name, column, 900, lambda value: value + 0.01)).failed == 1


def test_unrealised_profit_counts_where_a_position_is_open(tables: Tables) -> None:
    snapshots = tables["ledger_snapshots"]
    is_open = int(np.flatnonzero(snapshots["average_cost"].is_valid().to_numpy())[500])
    assert _pnl(changed(tables, "ledger_snapshots", "unrealised_pnl", is_open, lambda value: value + 0.01)).failed == 1


def test_a_row_with_a_null_proves_nothing_and_is_counted(tables: Tables) -> None:
    unknown = changed(tables, "ledger_snapshots", "market_value_base", 900, lambda value: None)
    result = _nav(unknown)
    assert (result.skipped, result.checked, result.success) == (1, 2464, True)
    assert _cash(changed(tables, "cash_balances", "cash", 3, lambda value: None)).skipped == 1


def test_a_difference_inside_the_tolerance_of_large_amounts_is_rounding(tables: Tables) -> None:
    assert _cash(changed(tables, "cash_balances", "cash", 700, lambda value: value + 1e-7)).success


@pytest.mark.parametrize(("column", "value"), [("currency", "EUR"), ("fx_rate", 1.1), ("fx_rate", None)])
def test_a_portfolio_whose_equity_moves_with_rates_is_left_out_of_the_profits(tables: Tables, column: str, value: Any) -> None:
    row = tables["cash_balances"]["portfolio"].to_pylist().index("macro")
    result = _pnl(changed(tables, "cash_balances", column, row, lambda old: value))
    core = sum(name == "core" for name in tables["portfolio_equity"]["portfolio"].to_pylist())
    assert result.checked == (2465 if value is None else core)


def test_only_the_first_ten_failures_are_told_and_all_are_counted(tables: Tables) -> None:
    balances = tables["cash_balances"]
    place = balances.schema.get_field_index("cash")
    shifted = balances.set_column(place, "cash", pa.array(np.asarray(balances["cash"]) + 1.0))
    result = cash_identity(shifted)
    assert (result.failed, len(result.failures)) == (2465, 10)


def test_empty_tables_hold(tables: Tables) -> None:
    empty = {name: table.slice(0, 0) for name, table in tables.items()}
    assert [identity(empty).checked for identity in (_cash, _nav, _pnl)] == [0, 0, 0]
    assert all(identity(empty).success for identity in (_cash, _nav, _pnl))


def test_equity_without_any_cash_or_position_is_zero(tables: Tables) -> None:
    day = tables["portfolio_equity"].slice(0, 1)
    alone = {**{name: table.slice(0, 0) for name, table in tables.items()}, "portfolio_equity": day}
    assert _nav(alone).failed == (1 if day["equity"][0].as_py() else 0)
    assert isinstance(day["day"][0].as_py(), date)
