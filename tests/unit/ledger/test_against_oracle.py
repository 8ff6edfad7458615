"""The ledger's tables against the oracle: quantities exactly, money to nine digits."""

from datetime import date
from decimal import Decimal
from fractions import Fraction
from typing import Any

import pytest
from hypothesis import given, settings

from portfolio_platform.days import to_number
from portfolio_platform.policy.model import AccountingPolicy
from tests.unit.ledger import oracle
from tests.unit.ledger.ledgers import Ledger, ledgers
from tests.unit.ledger.running import run


def close(got: float | None, expected: Fraction | float | None, scale: float) -> bool:
    """Say whether a float is what is expected, to 1e-9 of the amounts that went into it."""
    if got is None or expected is None:
        return got is None and expected is None
    return abs(got - float(expected)) <= 1e-9 * max(abs(float(expected)), scale, 1e-9)


def key_of(row: dict[str, Any]) -> oracle.Key:
    return (row["portfolio"], row["strategy"], row["symbol"], row["currency"])


def turnover(ledger: Ledger) -> dict[str, float]:
    """Return by symbol what was traded, the scale of its rounding errors."""
    totals: dict[str, float] = {}
    for fill in ledger.fills:
        size = float(fill.quantity * fill.price) * float(ledger.multiplier_of(fill.symbol)) + abs(float(fill.fee))
        totals[fill.symbol] = totals.get(fill.symbol, 0.0) + size
    return totals


@settings(deadline=None, max_examples=40)
@given(ledgers())
def test_every_position_on_every_session_is_what_the_oracle_says(ledger: Ledger) -> None:
    books, rows = oracle.account(ledger), run(ledger).tables["ledger_snapshots"].to_pylist()
    scale = turnover(ledger)
    portfolios = {key[0] for key in books.first_day}
    expected = {
        (day, key) for name in portfolios for day in oracle.sessions(books, name) for key, first in books.first_day.items()
        if key[0] == name and first <= day
    }  # fmt: skip
    assert {(to_number(row["day"]), key_of(row)) for row in rows} == expected
    assert len(rows) == len(expected)
    for row in rows:
        day, key = to_number(row["day"]), key_of(row)
        state, size = books.at(key, day), scale[row["symbol"]]
        assert Fraction(row["quantity"]) == state.quantity
        is_open = state.quantity != 0
        assert close(row["average_cost"], state.average if is_open else None, 0.0)
        assert close(row["realised_pnl"], state.realised, size)
        assert close(row["fees"], state.fees, 0.01)
        assert close(row["income"], state.income, size)
        assert close(row["stop_price"], state.stop if is_open else None, 0.0)
        mark, source, age = oracle.mark(ledger, key, day)
        assert close(row["mark"], mark, 0.0)
        assert (row["mark_source"], row["mark_age"]) == (source, age)
        value = state.quantity * mark * state.multiplier
        assert close(row["market_value"], value, 0.0)
        assert close(row["unrealised_pnl"], value - state.quantity * state.average * state.multiplier, abs(float(value)) + size)
        rate = oracle.rate(ledger, key[3], ledger.base_of(key[0]), day)
        assert close(row["fx_rate"], rate, 0.0)
        assert close(row["market_value_base"], Fraction(0) if not is_open else None if rate is None else value * rate, 0.0)
        assert row["reason"] == ("missing_fx_rate" if row["market_value_base"] is None else "")
        tags = [lot.tag for lot in state.lots if lot.quantity]
        assert (row["template"], row["playbook"]) == (tags[0] if tags else (None, None))
        assert row["lots_differ"] == (len(set(tags)) > 1)


@settings(deadline=None, max_examples=25)
@given(ledgers())
def test_open_lots_by_tag_are_what_the_oracle_says_and_sum_to_the_position(ledger: Ledger) -> None:
    books, tables = oracle.account(ledger), run(ledger).tables
    found: dict[tuple[int, oracle.Key], dict[tuple[str, str], Fraction]] = {}
    values: dict[tuple[int, oracle.Key], list[float | None]] = {}
    for row in tables["lot_exposures"].to_pylist():
        place = (to_number(row["day"]), key_of(row))
        found.setdefault(place, {})[(row["template"], row["playbook"])] = Fraction(row["quantity"])
        values.setdefault(place, []).append(row["market_value_base"])
    for row in tables["ledger_snapshots"].to_pylist():
        place = (to_number(row["day"]), key_of(row))
        expected: dict[tuple[str, str], Fraction] = {}
        for lot in books.at(place[1], place[0]).lots:
            if lot.quantity:
                expected[lot.tag] = expected.get(lot.tag, Fraction(0)) + lot.quantity
        assert found.pop(place, {}) == expected
        parts = values.get(place, [0.0])
        total = None if None in parts else sum(parts)
        assert close(total, row["market_value_base"], 0.0)
    assert not found


@settings(deadline=None, max_examples=25)
@given(ledgers())
def test_round_trips_are_what_the_oracle_says(ledger: Ledger) -> None:
    books, rows = oracle.account(ledger), run(ledger).tables["round_trips"].to_pylist()
    scale = turnover(ledger)
    assert len(rows) == len({row["round_trip_id"] for row in rows}) == len(books.trips)
    by_key = {(row["method"], key_of(row), row["opening_row_id"], row["closing_row_id"]): row for row in rows}
    for trip in books.trips:
        row, size = by_key[(trip.method, trip.key, trip.opening, trip.closing)], scale[trip.key[2]]
        assert Fraction(row["quantity"]) == trip.quantity
        assert (row["direction"], row["opened_at"], row["closed_at"]) == (trip.direction, trip.opened_at, trip.closed_at)
        assert (row["template"], row["playbook"]) == trip.tag
        assert close(row["entry_price"], trip.entry, 0.0)
        assert close(row["exit_price"], trip.exit, 0.0)
        assert close(row["realised_pnl"], trip.realised, size)
        assert close(row["fees"], trip.fees, 0.01)
        assert row["holding_seconds"] == pytest.approx((trip.closed_at - trip.opened_at) / 1e9)


@pytest.mark.parametrize("timing", ["start", "end", "modified_dietz"])
@settings(deadline=None, max_examples=20)
@given(ledger=ledgers())
def test_equity_flows_and_unit_values_are_what_the_oracle_says(timing: Any, ledger: Ledger) -> None:
    books = oracle.account(ledger)
    rows = run(ledger, AccountingPolicy(flow_timing=timing)).tables["portfolio_equity"].to_pylist()
    size = sum(turnover(ledger).values()) + sum(abs(float(flow.amount)) for flow in ledger.flows)
    for name in {row["portfolio"] for row in rows}:
        mine = sorted((row for row in rows if row["portfolio"] == name), key=lambda row: row["day"])
        expected = oracle.equity(books, name, timing)
        assert [to_number(row["day"]) for row in mine] == [session.day for session in expected]
        assert [row["session"] for row in mine] == list(range(len(mine)))
        before = None
        for row, session in zip(mine, expected, strict=True):
            assert close(row["equity"], session.equity, size)
            if row["daily_return"] is None or session.daily_return is None:
                assert row["daily_return"] == session.daily_return, (row, session)
                assert row["reason"] in ("missing_fx_rate", "equity_not_positive", "no_capital_before")
                assert before is None or row["unit_value"] == before
            elif session.equity and abs(session.equity) > Fraction(size) / 10**5:
                assert row["daily_return"] == pytest.approx(session.daily_return, rel=1e-6, abs=1e-6)
                assert row["reason"] == ""
            before = row["unit_value"]


def test_the_oracle_itself_on_a_ledger_worked_by_hand() -> None:
    # buy 10 at 100, buy 10 at 110 (average 105), sell 25 at 120: 20 * 15 realised, 5 short at 120
    from tests.unit.ledger.ledgers import Fill, at

    fills = tuple(
        Fill(f"E{n}", at(f"2023-12-2{n}T12:00"), "EQ", side, Decimal(quantity), Decimal(price))
        for n, side, quantity, price in ((2, "buy", 10, 100), (6, "buy", 10, 110), (7, "sell", 25, 120))
    )
    books = oracle.account(Ledger(fills))
    state = books.at(("alpha", "s1", "EQ", "USD"), to_number(date(2023, 12, 27)))
    assert (state.quantity, state.average, state.realised) == (-5, 120, 300)
    assert [(trip.method, trip.quantity, trip.realised) for trip in books.trips] == [
        ("fifo", 10, 200),
        ("fifo", 10, 100),
        ("flat_to_flat", 20, 300),
    ]
