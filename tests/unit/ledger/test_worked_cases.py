"""Cases worked by hand; the numbers are in the comments."""

from datetime import date
from decimal import Decimal
from typing import Any, Literal

import numpy as np
import pyarrow as pa
import pytest

from portfolio_platform.days import to_number
from portfolio_platform.ledger.equity import History, period_return, unit_values
from portfolio_platform.policy.model import AccountingPolicy
from tests.unit.ledger.ledgers import Action, Bar, Fill, Flow, Instrument, Ledger, at
from tests.unit.ledger.running import run

Timing = Literal["start", "end", "modified_dietz"]


def fill(name: str, when: str, side: str, quantity: Any, price: Any, fee: Any = 0, symbol: str = "EQ", **more: Any) -> Fill:
    return Fill(name, at(f"2023-12-{when}"), symbol, side, Decimal(str(quantity)), Decimal(str(price)), Decimal(str(fee)), **more)


def bar(when: str, close: Any, symbol: str = "EQ") -> Bar:
    return Bar(symbol, at(f"2023-12-{when}"), Decimal(str(close)))


def flow(when: str, amount: Any, kind: str = "deposit") -> Flow:
    return Flow(f"F{when}", at(f"2023-12-{when}"), Decimal(str(amount)), kind)


def ledger(fills: list[Fill], *, until: int = 29, **more: Any) -> Ledger:
    return Ledger(tuple(fills), last=to_number(date(2023, 12, until)), **{name: tuple(rows) for name, rows in more.items()})


def table(given: Ledger, name: str, timing: Timing = "start") -> list[dict[str, Any]]:
    found: pa.Table = run(given, AccountingPolicy(flow_timing=timing)).tables[name]
    return found.to_pylist()


def on(rows: list[dict[str, Any]], day: int, **where: Any) -> dict[str, Any]:
    """Return the one row of a day in December 2023."""
    (found,) = (row for row in rows if row["day"] == date(2023, 12, day) and all(row[name] == value for name, value in where.items()))
    return found


def trips(given: Ledger, method: str) -> list[dict[str, Any]]:
    return [row for row in table(given, "round_trips") if row["method"] == method]


def test_scaling_in_averages_the_cost_by_quantity() -> None:
    # 10 at 100 and 30 at 120: (1000 + 3600) / 40 = 115; marked at 118: 40 * 3 = 120 unrealised
    given = ledger([fill("E1", "26T15:00", "buy", 10, 100), fill("E2", "27T15:00", "buy", 30, 120)], bars=[bar("27T21:00", 118)])
    row = on(table(given, "ledger_snapshots"), 27)
    assert (row["quantity"], row["average_cost"], row["mark"], row["unrealised_pnl"], row["market_value"]) == (
        40,
        115.0,
        118.0,
        120.0,
        4720.0,
    )


def test_scaling_out_keeps_the_average_and_realises_the_part() -> None:
    # 40 at 115; 10 are sold at 125: 100 realised, 30 left at 115. FIFO sells the lot at 100: 250 realised
    fills = [fill("E1", "26T15:00", "buy", 10, 100), fill("E2", "26T16:00", "buy", 30, 120), fill("E3", "27T15:00", "sell", 10, 125)]
    row = on(table(ledger(fills), "ledger_snapshots"), 27)
    assert (row["quantity"], row["average_cost"], row["realised_pnl"]) == (30, 115.0, 100.0)
    assert [(trip["quantity"], trip["realised_pnl"]) for trip in trips(ledger(fills), "fifo")] == [(10, 250.0)]
    assert trips(ledger(fills), "flat_to_flat") == []


def test_a_flip_closes_and_opens_and_its_fee_is_split_by_quantity() -> None:
    # long 10 at 100 (fee 2), then sell 25 at 110 (fee 5): 10 close (fee 2), 15 open short at 110 (fee 3)
    fills = [
        fill("E1", "26T15:00", "buy", 10, 100, 2),
        fill("E2", "27T15:00", "sell", 25, 110, 5),
        fill("E3", "28T15:00", "buy", 15, 106, 3),
    ]
    row = on(table(ledger(fills), "ledger_snapshots"), 27)
    assert (row["quantity"], row["average_cost"], row["realised_pnl"], row["fees"]) == (-15, 110.0, 100.0, 7.0)
    first, second = trips(ledger(fills), "flat_to_flat")
    assert (first["direction"], first["quantity"], first["realised_pnl"], first["fees"]) == ("long", 10, 100.0, 4.0)
    # the short: 15 * (110 - 106) = 60, fees 3 + 3
    assert (second["direction"], second["quantity"], second["realised_pnl"], second["fees"]) == ("short", 15, 60.0, 6.0)
    assert (second["opening_row_id"], second["closing_row_id"], second["entry_price"], second["exit_price"]) == ("E2", "E3", 110.0, 106.0)


def test_a_short_round_trip_earns_what_the_price_falls() -> None:
    # short 20 at 50, bar 45: +100 unrealised, market value -900; covered at 48: +40
    fills = [fill("E1", "26T15:00", "sell", 20, 50), fill("E2", "27T15:00", "buy", 20, 48)]
    rows = table(ledger(fills, bars=[bar("26T21:00", 45)]), "ledger_snapshots")
    assert (on(rows, 26)["unrealised_pnl"], on(rows, 26)["market_value"]) == (100.0, -900.0)
    after = on(rows, 27)
    assert (after["quantity"], after["average_cost"], after["realised_pnl"], after["market_value"]) == (0, None, 40.0, 0.0)
    (trip,) = trips(ledger(fills), "flat_to_flat")
    assert (trip["direction"], trip["realised_pnl"], trip["holding_seconds"]) == ("short", 40.0, 86_400.0)


def test_a_two_for_one_split_doubles_lots_halves_their_cost_and_an_old_mark_counts_in_new_shares() -> None:
    # 10 at 100 and 10 at 110 on the 26th, bar 120; split 2:1 on the 27th, no bar since: 40 shares, average 52.5, mark 60
    fills = [fill("E1", "26T15:00", "buy", 10, 100, stop_price=Decimal(90)), fill("E2", "26T16:00", "buy", 10, 110, template="reversion")]
    split = Action("A1", at("2023-12-27T09:00"), "EQ", "split", Decimal(2))
    given = ledger([*fills, fill("E3", "28T15:00", "sell", 30, 55)], bars=[bar("26T21:00", 120)], actions=[split])
    row = on(table(given, "ledger_snapshots"), 27)
    assert (row["quantity"], row["average_cost"], row["mark"], row["market_value"], row["unrealised_pnl"]) == (
        40,
        52.5,
        60.0,
        2400.0,
        300.0,
    )
    assert (row["stop_price"], row["mark_age"], row["mark_source"]) == (45.0, 1, "bar")
    lots = {lot["template"]: lot["quantity"] for lot in table(given, "lot_exposures") if lot["day"] == date(2023, 12, 27)}
    assert lots == {"trend": 20, "reversion": 20}
    # FIFO: 20 at 50 and 10 at 55, sold at 55: 100 and 0
    assert [(trip["quantity"], trip["entry_price"], trip["realised_pnl"]) for trip in trips(given, "fifo")] == [
        (20, 50.0, 100.0),
        (10, 55.0, 0.0),
    ]


def test_a_mark_at_a_fill_before_a_split_counts_in_new_shares_too() -> None:
    given = ledger([fill("E1", "26T15:00", "buy", 10, 100)], actions=[Action("A1", at("2023-12-27T09:00"), "EQ", "split", Decimal("0.1"))])
    row = on(table(given, "ledger_snapshots"), 27)
    assert (row["quantity"], row["mark"], row["mark_source"], row["market_value"]) == (1, 1000.0, "fill", 1000.0)


def test_a_fill_at_the_instant_of_a_split_is_in_the_new_shares() -> None:
    fills = [fill("E1", "26T15:00", "buy", 10, 100), fill("E2", "27T09:00", "sell", 20, 55)]
    given = ledger(fills, actions=[Action("A1", at("2023-12-27T09:00"), "EQ", "split", Decimal(2))])
    row = on(table(given, "ledger_snapshots"), 27)
    assert (row["quantity"], row["realised_pnl"]) == (0, 100.0)


def test_a_short_pays_a_cash_dividend_and_it_is_performance() -> None:
    # 1000 funded, short 10 at 50 on the 26th; 0.40 a share on the 27th: -4 income; equity 1000 -> 996
    given = ledger(
        [fill("E1", "26T15:00", "sell", 10, 50)], flows=[flow("26T10:00", 1000)],
        actions=[Action("A1", at("2023-12-27T09:00"), "EQ", "cash_dividend", Decimal("0.40"))],
    )  # fmt: skip
    assert on(table(given, "ledger_snapshots"), 27)["income"] == -4.0
    cash = on(table(given, "cash_balances"), 27)
    assert (cash["cash"], cash["income"], cash["trades"], cash["flows"]) == (1496.0, -4.0, 500.0, 1000.0)
    row = on(table(given, "portfolio_equity"), 27)
    assert (row["equity"], row["net_flow"], row["daily_return"]) == (996.0, 0.0, pytest.approx(-0.004))


def test_a_futures_multiplier_scales_every_amount_and_no_price() -> None:
    # 2 contracts of 50 at 4000, marked 4010: 2 * 50 * 10 = 1000; one sold at 4020: 1 * 50 * 20 = 1000
    fills = [fill("E1", "26T15:00", "buy", 2, 4000, symbol="FUT"), fill("E2", "27T15:00", "sell", 1, 4020, symbol="FUT")]
    given = ledger(fills, bars=[bar("26T21:00", 4010, "FUT"), bar("27T21:00", 4010, "FUT")])
    rows = table(given, "ledger_snapshots")
    assert (on(rows, 26)["market_value"], on(rows, 26)["unrealised_pnl"], on(rows, 26)["average_cost"]) == (401_000.0, 1000.0, 4000.0)
    assert (on(rows, 27)["realised_pnl"], on(rows, 27)["unrealised_pnl"]) == (1000.0, 500.0)
    assert on(table(given, "cash_balances"), 27)["cash"] == -400_000.0 + 201_000.0


@pytest.mark.parametrize(
    ("timing", "expected"),
    # 1000 -> 1320 with a deposit of 200 at 06:00, a quarter of the day gone:
    [("start", 1320 / 1200 - 1), ("end", 1120 / 1000 - 1), ("modified_dietz", (1320 - 1000 - 200) / (1000 + 0.75 * 200))],
)
def test_a_deposit_counts_at_the_start_the_end_or_by_its_time(timing: Timing, expected: float) -> None:
    given = ledger(
        [fill("E1", "26T12:00", "buy", 10, 100)], flows=[flow("26T10:00", 1000), flow("27T06:00", 200)],
        bars=[bar("26T21:00", 100), bar("27T21:00", 112)],
    )  # fmt: skip
    row = on(table(given, "portfolio_equity", timing), 27)
    assert (row["equity"], row["net_flow"], row["weighted_flow"]) == (1320.0, 200.0, 150.0)
    assert row["daily_return"] == pytest.approx(expected)


def test_the_first_days_return_has_the_funding_in_its_base() -> None:
    # funded with 1000, bought 10 at 100 with a fee of 5, closed at 103: 1025 / 1000 - 1
    given = ledger(
        [fill("E1", "26T15:00", "buy", 10, 100, 5)], flows=[flow("26T10:00", 1000, "initial_funding")], bars=[bar("26T21:00", 103)]
    )
    row = on(table(given, "portfolio_equity"), 26)
    assert (row["daily_return"], row["unit_value"], row["session"]) == (pytest.approx(0.025), pytest.approx(1.025), 0)


def test_a_withdrawal_of_nearly_everything_counts_at_the_end() -> None:
    # 1000, of which 950 leave, 60 are left: (1000 - 950) is below 10 % of 1000, so (60 + 950) / 1000 - 1
    assert period_return(1000.0, 60.0, -950.0, -950.0, "start") == (pytest.approx(0.01), True, "")


def test_a_flow_larger_than_equity_counts_at_the_start() -> None:
    # 100, 10000 come in, 10201 at the end: 10201 / 10100 - 1 = 1 %
    assert period_return(100.0, 10_201.0, 10_000.0, 10_000.0, "start") == (pytest.approx(0.01), False, "")
    # the same at the end of the day would make 201 of 100: 101 %
    assert period_return(100.0, 10_201.0, 10_000.0, 0.0, "end") == (pytest.approx(1.01), True, "")


def test_without_capital_before_or_with_equity_not_positive_there_is_no_return_and_the_unit_value_is_carried() -> None:
    assert period_return(0.0, 50.0, 0.0, 0.0, "start")[2] == "no_capital_before"
    assert period_return(100.0, 0.0, 0.0, 0.0, "start")[2] == "equity_not_positive"
    assert period_return(100.0, -5.0, 0.0, 0.0, "start")[2] == "equity_not_positive"
    flows = np.array([100.0, 0.0, 0.0, 200.0, 0.0])
    found = unit_values(np.array([110.0, -10.0, -20.0, 180.0, 198.0]), flows, flows, "start", History())
    # 110/100; null; null; 180 / (-20 + 200); 198/180
    assert found.daily_return.tolist() == pytest.approx([0.1, np.nan, np.nan, 0.0, 0.1], nan_ok=True)
    assert found.unit_value.tolist() == pytest.approx([1.1, 1.1, 1.1, 1.1, 1.21])
    assert found.reason == ["", "equity_not_positive", "equity_not_positive", "", ""]


def test_a_portfolio_that_never_was_funded_has_equity_but_no_return() -> None:
    # bought 10 at 100 on nothing: equity is the profit, 20, and there was no capital before
    rows = table(ledger([fill("E1", "26T15:00", "buy", 10, 100)], bars=[bar("26T21:00", 102)]), "portfolio_equity")
    row = on(rows, 26)
    assert (row["equity"], row["daily_return"], row["reason"], row["unit_value"]) == (20.0, None, "no_capital_before", 1.0)


def test_ratios_are_null_where_equity_is_not_positive() -> None:
    rows = table(ledger([fill("E1", "26T15:00", "buy", 10, 100)], bars=[bar("26T21:00", 98)]), "portfolio_equity")
    row = on(rows, 26)
    assert (row["equity"], row["gross_exposure"], row["gross_exposure_pct"], row["reason"]) == (-20.0, 980.0, None, "equity_not_positive")


def test_a_fill_at_midnight_belongs_to_the_day_that_ends() -> None:
    given = ledger([fill("E1", "27T00:00", "buy", 1, 100), Fill("E2", at("2023-12-27T00:00") + 1, "EQ", "buy", Decimal(1), Decimal(100))])
    rows = table(given, "ledger_snapshots")
    assert [(row["day"].day, row["quantity"]) for row in rows[:2]] == [(26, 1), (27, 2)]


def test_a_bar_that_closes_at_midnight_marks_the_day_that_ends() -> None:
    given = ledger(
        [fill("E1", "26T12:00", "buy", 1, 100, symbol="COIN")], bars=[bar("27T00:00", 130, "COIN"), bar("28T00:00", 140, "COIN")]
    )
    rows = table(given, "ledger_snapshots")
    assert [on(rows, day)["mark"] for day in (26, 27)] == [130.0, 140.0]


def test_sessions_are_the_union_of_the_calendars_of_what_was_traded_up_to_then() -> None:
    # EQ (XNYS) from Friday the 22nd: the weekend and Christmas are no sessions; COIN from Wednesday the 27th: every day is one
    fills = [fill("E1", "22T15:00", "buy", 1, 100), fill("E2", "27T15:00", "buy", 1, 100, symbol="COIN")]
    rows = table(ledger(fills, until=31), "portfolio_equity")
    assert [row["day"].day for row in rows] == [22, 26, 27, 28, 29, 30, 31]
    snapshots = table(ledger(fills, until=31), "ledger_snapshots")
    assert [row["symbol"] for row in snapshots if row["day"].day == 30] == ["COIN", "EQ"]


def test_a_fill_on_a_day_without_a_session_makes_it_one() -> None:
    rows = table(ledger([fill("E1", "23T15:00", "buy", 1, 100)], until=27), "portfolio_equity")
    assert [row["day"].day for row in rows] == [23, 26, 27]


def test_a_deposit_on_a_sunday_counts_on_the_next_session() -> None:
    # 1000 on Friday, 500 on Sunday the 24th; Monday is Christmas, so Tuesday takes it, whole
    given = ledger([fill("E1", "22T15:00", "buy", 1, 100)], flows=[flow("22T10:00", 1000), flow("24T18:00", 500)])
    rows = table(given, "portfolio_equity", "modified_dietz")
    assert [row["day"].day for row in rows[:2]] == [22, 26]
    assert (rows[1]["net_flow"], rows[1]["weighted_flow"], rows[1]["equity"], rows[1]["daily_return"]) == (500.0, 500.0, 1500.0, 0.0)


def test_a_position_is_marked_at_its_last_fill_where_bars_are_missing_or_older() -> None:
    # a bar on the 26th (90), a fill on the 27th (100) and none since: the fill; on the 29th a bar (95) again
    given = ledger(
        [fill("E1", "26T15:00", "buy", 1, 91), fill("E2", "27T15:00", "buy", 1, 100)], bars=[bar("26T21:00", 90), bar("29T21:00", 95)]
    )
    rows = table(given, "ledger_snapshots")
    found = [(on(rows, day)["mark"], on(rows, day)["mark_source"], on(rows, day)["mark_age"]) for day in (26, 27, 28, 29)]
    assert found == [(90.0, "bar", 0), (100.0, "fill", 0), (100.0, "fill", 1), (95.0, "bar", 0)]


def test_strategies_that_hold_one_symbol_share_the_portfolios_last_fill_as_a_mark() -> None:
    fills = [fill("E1", "26T15:00", "buy", 1, 100), fill("E2", "27T15:00", "sell", 2, 104, strategy="s2")]
    rows = table(ledger(fills), "ledger_snapshots")
    assert [(row["strategy"], row["quantity"], row["mark"], row["unrealised_pnl"]) for row in rows if row["day"].day == 27] == [
        ("s1", 1, 104.0, 4.0), ("s2", -2, 104.0, 0.0),
    ]  # fmt: skip


def test_the_age_of_a_mark_counts_the_instruments_own_sessions() -> None:
    # last bar Friday the 22nd; on Tuesday the 26th EQ (Christmas closed) is 1 session old, FUT (weekdays) 2, COIN 4
    names = ("EQ", "FUT", "COIN")
    fills = [fill(f"E{name}", "22T15:00", "buy", 1, 100, symbol=name) for name in names]
    given = ledger(fills, bars=[bar("22T21:00", 100, name) for name in names])
    rows = table(given, "ledger_snapshots")
    assert {name: on(rows, 26, symbol=name)["mark_age"] for name in names} == {"EQ": 1, "FUT": 2, "COIN": 4}


def test_a_mark_older_than_the_policy_allows_is_stale_and_a_flat_position_never_is() -> None:
    # COIN is marked on the 22nd; with at most 5 sessions it is stale from the 28th on; NEW is flat and as old
    fills = [fill("E1", "22T15:00", "buy", 2, 100, symbol="COIN"), fill("E2", "22T15:00", "buy", 1, 10, symbol="NEW")]
    fills.append(fill("E3", "22T16:00", "sell", 1, 10, symbol="NEW"))
    rows = table(ledger(fills), "portfolio_equity")
    assert [(on(rows, day)["stale_positions"], on(rows, day)["stale_exposure"]) for day in (27, 28)] == [(0, 0.0), (1, 200.0)]
    assert {row["day"].day for row in table(ledger(fills), "lot_exposures") if row["stale"]} == {28, 29}


def test_an_unlisted_instrument_trades_on_weekdays_in_the_portfolios_currency() -> None:
    given = ledger([fill("E1", "22T15:00", "buy", 1, 100, symbol="NEW", portfolio="beta")])
    rows = table(given, "ledger_snapshots")
    assert [(row["day"].day, row["currency"]) for row in rows[:2]] == [(22, "EUR"), (25, "EUR")]


def test_a_fill_in_another_currency_than_the_instruments_is_a_position_of_its_own_marked_at_its_fills() -> None:
    given = ledger(
        [fill("E1", "26T15:00", "buy", 1, 100), fill("E2", "26T15:00", "buy", 1, 90, currency="EUR")], bars=[bar("26T21:00", 101)]
    )
    rows = table(given, "ledger_snapshots")
    marks = {row["currency"]: (row["mark"], row["mark_source"], row["market_value_base"]) for row in rows if row["day"].day == 26}
    assert marks == {"USD": (101.0, "bar", 101.0), "EUR": (90.0, "fill", None)}


def test_partial_fills_of_one_instant_make_one_round_trip() -> None:
    fills = [fill(f"E{n}", "26T15:00", "buy", size, 100, 1) for n, size in enumerate(("0.1", "0.2", "0.7"))]
    (trip,) = trips(ledger([*fills, fill("E9", "27T15:00", "sell", 1, 110, 1)]), "flat_to_flat")
    assert (trip["quantity"], trip["realised_pnl"], trip["fees"]) == (1, pytest.approx(10.0), pytest.approx(4.0))


def test_a_rebate_is_a_negative_fee() -> None:
    given = ledger([fill("E1", "26T15:00", "buy", 1, 100, "-0.25")])
    assert on(table(given, "ledger_snapshots"), 26)["fees"] == -0.25
    assert on(table(given, "cash_balances"), 26)["cash"] == -99.75


def test_volatility_and_sharpe_are_those_of_the_last_60_returns() -> None:
    from portfolio_platform.ledger.equity import rolling_moments

    rng = np.random.default_rng(3)
    returns = rng.normal(0.001, 0.01, 90)
    returns[20] = np.nan
    volatility, sharpe = rolling_moments(returns, [], np.full(90, 252))
    known = returns[np.isfinite(returns)]
    assert np.isnan(volatility[:60]).all()
    assert np.isfinite(volatility[60:]).all()
    assert volatility[-1] == pytest.approx(known[-60:].std(ddof=1) * np.sqrt(252))
    assert sharpe[-1] == pytest.approx(known[-60:].mean() / known[-60:].std(ddof=1) * np.sqrt(252))
    assert rolling_moments(returns[70:], known[:69][-59:].tolist(), np.full(20, 252))[0].tolist() == volatility[70:].tolist()


def test_two_portfolios_that_need_a_rate_both_ways_have_it_from_either_statement() -> None:
    """Once a rate stated one way round did not serve the other way where some portfolio needed both."""
    from tests.unit.ledger.ledgers import Rate

    instruments = {"US": Instrument("USD", "weekdays"), "DE": Instrument("EUR", "weekdays")}
    fills = (fill("E1", "26T15:00", "buy", 1, 100, symbol="DE"), fill("E2", "27T15:00", "buy", 1, 100, symbol="US", portfolio="beta"))
    given = Ledger(fills, rates=(Rate("EUR", "USD", at("2023-12-26T12:00"), Decimal("1.25")),), instruments=instruments)
    rows = table(given, "ledger_snapshots")
    assert on(rows, 27, portfolio="alpha")["market_value_base"] == 125.0
    assert on(rows, 27, portfolio="beta")["market_value_base"] == pytest.approx(80.0)
