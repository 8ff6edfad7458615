"""Attribution sums to the change of equity, is split as the lots were, and a day alone is that day of a range."""

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import replace
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from portfolio_platform.days import to_date, to_number
from portfolio_platform.home import Home
from portfolio_platform.lake import derived
from portfolio_platform.ledger.attribution import Tables, attribution
from portfolio_platform.ledger.attribution_stage import STAGE
from portfolio_platform.ledger.pipeline import build
from portfolio_platform.stage import build_stage
from tests.unit.ledger.ledgers import Action, Bar, Fill, Flow, Ledger, Rate, at, ledgers, random_ledger
from tests.unit.ledger.running import home, load, run, sort
from tests.unit.ledger.test_identities_of_random_ledgers import size_of

Rows = list[dict[str, Any]]
POSITION = ("portfolio", "strategy", "symbol", "currency")
AMOUNTS = ("realised", "unrealised", "income", "fees", "total")


def tables_of(derived_tables: dict[str, pa.Table]) -> Tables:
    names = ("portfolio_equity", "ledger_snapshots", "lot_exposures", "round_trips", "cash_balances")
    return Tables(*(derived_tables[name] for name in names))


def attributed(ledger: Ledger) -> tuple[Rows, dict[str, pa.Table]]:
    tables = run(ledger).tables
    return attribution(tables_of(tables), ledger.first).to_pylist(), tables


def changes(equity: Rows) -> Iterator[tuple[tuple[str, date], float | None]]:
    """Yield what each session's equity changed by less flows; None where it or the one before is not known."""
    before: dict[str, float | None] = {}
    for row in sorted(equity, key=lambda row: row["day"]):
        known = (row["equity"], before.get(row["portfolio"], 0.0), row["net_flow"])
        before[row["portfolio"]] = row["equity"]
        yield (row["portfolio"], row["day"]), None if None in known else known[0] - known[1] - known[2]


def by_session(rows: Rows) -> dict[tuple[str, date], Rows]:
    found: dict[tuple[str, date], Rows] = defaultdict(list)
    for row in rows:
        found[(row["portfolio"], row["day"])].append(row)
    return found


@settings(max_examples=60)
@given(ledgers())
def test_all_rows_of_a_session_sum_to_the_change_of_equity_less_flows(ledger: Ledger) -> None:
    rows, tables = attributed(ledger)
    found, size = by_session(rows), size_of(ledger)
    for place, change in changes(tables["portfolio_equity"].to_pylist()):
        totals = [row["total"] for row in found[place]]
        if change is not None:
            assert None not in totals
            assert sum(totals) == pytest.approx(change, rel=1e-6, abs=1e-9 * size)


@settings(max_examples=40)
@given(ledgers())
def test_a_null_has_its_reason_a_total_is_its_parts_and_no_key_comes_twice(ledger: Ledger) -> None:
    table = attribution(tables_of(run(ledger).tables), ledger.first)
    rows = table.to_pylist()
    for row in rows:
        nulls = [row[name] is None for name in AMOUNTS]
        assert any(nulls) == (row["reason"] != "") == nulls[-1]
        if not nulls[-1]:
            assert row["total"] == pytest.approx(row["realised"] + row["unrealised"] + row["income"] - row["fees"])
        assert row["month"] == row["day"].isoformat()[:7]
        assert (row["template"] == "") == (row["component"] != "position")
    key = derived.PNL_ATTRIBUTION.key
    keys = [tuple(row[name] for name in key) for row in rows]
    assert keys == sorted(set(keys))
    assert table.schema == derived.PNL_ATTRIBUTION.arrow_schema()


def plain(ledger: Ledger, tables: dict[str, pa.Table]) -> dict[tuple[Any, ...], float]:
    """Return every amount by the definitions, row after row, in dictionaries."""
    days: dict[str, list[date]] = defaultdict(list)
    for row in sorted(tables["portfolio_equity"].to_pylist(), key=lambda row: row["day"]):
        days[row["portfolio"]].append(row["day"])
    snapshots = {(row["day"], *(row[name] for name in POSITION)): row for row in tables["ledger_snapshots"].to_pylist()}
    lots: dict[tuple[Any, ...], dict[tuple[str, str], float]] = defaultdict(lambda: defaultdict(float))
    closed: dict[tuple[Any, ...], dict[tuple[str, str], float]] = defaultdict(lambda: defaultdict(float))
    for row in tables["lot_exposures"].to_pylist():
        lots[(row["day"], *(row[name] for name in POSITION))][(row["template"], row["playbook"])] += abs(float(row["quantity"]))
    for row in tables["round_trips"].to_pylist():
        if row["method"] == "fifo":
            closed[(row["day"], *(row[name] for name in POSITION))][(row["template"], row["playbook"])] += float(row["quantity"])
    out: dict[tuple[Any, ...], float] = defaultdict(float)
    for (day, *name), row in snapshots.items():
        place = days[name[0]].index(day)
        last = days[name[0]][place - 1] if place else None
        before = snapshots.get((last, *name))

        def changed(column: str, row: Any = row, before: Any = before) -> float:
            return float(row[column] - (before[column] if before else 0.0))

        opened = row["quantity"] != 0
        was_open = bool(before and before["quantity"] != 0)
        now, then = (row["unrealised_pnl"] if opened else 0.0), (before["unrealised_pnl"] if was_open else 0.0)
        rate = row["fx_rate"] if row["fx_rate"] is not None else float("nan")
        amounts = [value * rate if value else 0.0 for value in (changed("realised_pnl"), now - then, changed("income"), changed("fees"))]
        if was_open:
            old = before["fx_rate"] if before["fx_rate"] is not None else float("nan")
            amounts[1] += before["market_value"] * (rate - old)
        parts = lots.get((last, *name)) or lots.get((day, *name)) or closed.get((day, *name)) or {("unclassified", "unclassified"): 1.0}
        for tag, part in parts.items():
            for label, amount in zip(AMOUNTS, amounts, strict=False):
                out[(day, *name, *tag, label)] += amount * part / sum(parts.values())
    return out


@settings(max_examples=40)
@given(ledgers())
def test_every_row_of_a_position_is_that_of_the_plain_calculation(ledger: Ledger) -> None:
    rows, tables = attributed(ledger)
    expected, size = plain(ledger, tables), size_of(ledger)
    seen = set()
    for row in rows:
        if row["component"] != "position":
            continue
        for label in AMOUNTS[:4]:
            key = (row["day"], *(row[name] for name in POSITION), row["template"], row["playbook"], label)
            seen.add(key)
            got = np.nan if row[label] is None else row[label]
            assert got == pytest.approx(expected[key], abs=1e-9 * size, nan_ok=True)
    # what has no row brought nothing
    assert all(abs(value) <= 1e-9 * size for key, value in expected.items() if key not in seen)


def of(rows: Rows, component: str, day: int) -> list[tuple[Any, ...]]:
    mine = [row for row in rows if row["component"] == component and row["day"].day == day]
    return [(row["currency"], row["template"], *(pytest.approx(row[name]) for name in AMOUNTS), row["shared"]) for row in mine]


def test_a_foreign_position_its_cash_and_interest_worked_by_hand() -> None:
    # 26 Dec: 1000 EUR paid in at 1.10; 10 DAX bought at 50 EUR, fee 2 EUR; close 52.
    #   position 10 * (52 - 50) * 1.10 = 22 less 2.20 fees; equity (1000 - 502 + 520) * 1.10 = 1119.80 = 1100 + 19.80
    # 27 Dec: rate 1.20, close 55; 3 EUR interest.
    #   position 10 * 3 * 1.20 + 520 * 0.10 = 88; cash 3 * 1.20 = 3.60; fx 498 * 0.10 = 49.80; in all 141.40
    #   equity (501 + 550) * 1.20 = 1261.20 = 1119.80 + 141.40
    # 28 Dec: 4 sold at 60 EUR, fee 1; close 60: realised 4 * 10 * 1.2 = 48, unrealised (60 - 50) * 1.2 = 12: 6 at 60 is 60, it was 50
    ledger = Ledger(
        fills=(
            Fill("E1", at("2023-12-26T12:00"), "DAX", "buy", Decimal(10), Decimal(50), Decimal(2)),
            Fill("E2", at("2023-12-28T12:00"), "DAX", "sell", Decimal(4), Decimal(60), Decimal(1)),
        ),
        flows=(
            Flow("F1", at("2023-12-26T10:00"), Decimal(1000), "initial_funding", currency="EUR"),
            Flow("F2", at("2023-12-27T10:00"), Decimal(3), "interest", currency="EUR"),
        ),
        bars=tuple(Bar("DAX", at(f"2023-12-{day}T16:00"), Decimal(close)) for day, close in ((26, 52), (27, 55), (28, 60))),
        rates=(
            Rate("EUR", "USD", at("2023-12-26T09:00"), Decimal("1.10")),
            Rate("EUR", "USD", at("2023-12-27T09:00"), Decimal("1.20")),
        ),
        first=to_number(date(2023, 12, 26)),
        last=to_number(date(2023, 12, 28)),
    )
    rows, tables = attributed(ledger)
    assert of(rows, "position", 26) == [("EUR", "trend", 0.0, 22.0, 0.0, 2.2, 19.8, False)]
    assert (of(rows, "cash", 26), of(rows, "fx", 26)) == ([], [])
    assert of(rows, "position", 27) == [("EUR", "trend", 0.0, 88.0, 0.0, 0.0, 88.0, False)]
    assert of(rows, "cash", 27) == [("EUR", "", 0.0, 0.0, 3.6, 0.0, 3.6, False)]
    assert of(rows, "fx", 27) == [("EUR", "", 0.0, 49.8, 0.0, 0.0, 49.8, False)]
    assert of(rows, "position", 28) == [("EUR", "trend", 48.0, 12.0, 0.0, 1.2, 58.8, False)]
    equity = [row["equity"] for row in sorted(tables["portfolio_equity"].to_pylist(), key=lambda row: row["day"])]
    assert equity == pytest.approx([1119.8, 1261.2, 1261.2 + 58.8])


def test_a_position_of_two_templates_is_split_by_what_each_held_the_session_before_and_flagged() -> None:
    # 3 units of trend and 1 of reversion overnight; the price rises by 2: 6 and 2, and of 4 units sold the next day likewise
    days = (26, 27, 28)
    ledger = Ledger(
        fills=(
            Fill("E1", at("2023-12-26T12:00"), "NEW", "buy", Decimal(3), Decimal(10), template="trend"),
            Fill("E2", at("2023-12-26T13:00"), "NEW", "buy", Decimal(1), Decimal(10), template="reversion", playbook="p2"),
            Fill("E3", at("2023-12-28T13:00"), "NEW", "sell", Decimal(4), Decimal(12), Decimal(4), template="reversion"),
        ),
        flows=(Flow("F1", at("2023-12-26T10:00"), Decimal(1000), "initial_funding"),),
        bars=tuple(Bar("NEW", at(f"2023-12-{day}T16:00"), Decimal(close)) for day, close in zip(days, (10, 12, 12), strict=True)),
        first=to_number(date(2023, 12, 26)),
        last=to_number(date(2023, 12, 28)),
    )
    rows, _ = attributed(ledger)
    assert of(rows, "position", 27) == [
        ("USD", "reversion", 0.0, 2.0, 0.0, 0.0, 2.0, True),
        ("USD", "trend", 0.0, 6.0, 0.0, 0.0, 6.0, True),
    ]
    # what was unrealised becomes realised, and the fee of 4 is shared as the quantities are
    assert of(rows, "position", 28) == [
        ("USD", "reversion", 2.0, -2.0, 0.0, 1.0, -1.0, True),
        ("USD", "trend", 6.0, -6.0, 0.0, 3.0, -3.0, True),
    ]


def test_a_trade_inside_a_session_belongs_to_the_template_of_its_lots() -> None:
    ledger = Ledger(
        fills=(
            Fill("E1", at("2023-12-26T12:00"), "NEW", "buy", Decimal(2), Decimal(10), template="trend"),
            Fill("E2", at("2023-12-26T13:00"), "NEW", "sell", Decimal(2), Decimal(13), Decimal(1), template="reversion"),
        ),
        first=to_number(date(2023, 12, 26)),
        last=to_number(date(2023, 12, 27)),
    )
    rows, _ = attributed(ledger)
    assert of(rows, "position", 26) == [("USD", "trend", 6.0, 0.0, 0.0, 1.0, 5.0, False)]
    assert of(rows, "position", 27) == []  # flat since, and nothing happened


def test_a_dividend_is_the_positions_and_interest_is_the_cashs() -> None:
    ledger = Ledger(
        fills=(Fill("E1", at("2023-12-26T12:00"), "EQ", "buy", Decimal(10), Decimal(100)),),
        actions=(Action("A1", at("2023-12-27T09:00"), "EQ", "cash_dividend", Decimal("1.5")),),
        flows=(Flow("F1", at("2023-12-27T10:00"), Decimal("-2"), "fee"), Flow("F2", at("2023-12-27T11:00"), Decimal(7), "interest")),
        first=to_number(date(2023, 12, 26)),
        last=to_number(date(2023, 12, 27)),
    )
    rows, _ = attributed(ledger)
    assert of(rows, "position", 27) == [("USD", "trend", 0.0, 0.0, 15.0, 0.0, 15.0, False)]
    assert of(rows, "cash", 27) == [("USD", "", 0.0, 0.0, 5.0, 0.0, 5.0, False)]


def test_without_a_rate_the_row_is_null_and_says_so_until_two_sessions_have_one() -> None:
    ledger = Ledger(
        fills=(Fill("E1", at("2023-12-26T12:00"), "DAX", "buy", Decimal(10), Decimal(50)),),
        rates=(Rate("EUR", "USD", at("2023-12-28T09:00"), Decimal("1.10")),),
        bars=(Bar("DAX", at("2023-12-29T16:00"), Decimal(60)),),
        first=to_number(date(2023, 12, 26)),
        last=to_number(date(2023, 12, 29)),
    )
    rows, _ = attributed(ledger)
    mine = {(row["day"].day, row["component"]): (row["total"], row["reason"]) for row in rows}
    assert mine[(27, "position")] == mine[(28, "position")] == mine[(28, "fx")] == (None, "missing_fx_rate")
    assert mine[(29, "position")] == (pytest.approx(110.0), "")


@settings(max_examples=30)
@given(ledgers(), st.integers(1, 21))
def test_a_session_alone_is_that_session_of_the_range_bit_for_bit(ledger: Ledger, cut: int) -> None:
    tables = run(ledger).tables
    whole = attribution(tables_of(tables), ledger.first)
    first = min(ledger.first + cut, ledger.last)
    sessions = tables["portfolio_equity"].filter(pc.field("day") < to_date(first))["day"]
    since = pc.min(
        tables["portfolio_equity"].filter(pc.field("day") < to_date(first)).group_by("portfolio").aggregate([("day", "max")])["day_max"]
    )
    begin = since.as_py() if len(sessions) else to_date(first)
    later = {name: table.filter(pc.field("day") >= begin) for name, table in tables.items()}
    assert attribution(tables_of(later), first).equals(whole.filter(pc.field("day") >= to_date(first)))


@pytest.mark.parametrize("seed", [5, 17])
def test_building_in_steps_gives_the_table_of_one_build(tmp_path: Path, seed: int) -> None:
    ledger = random_ledger(seed, 40, 16)
    last = to_date(ledger.last)
    once, steps = home(tmp_path / "once", last), home(tmp_path / "steps", last)
    for place in (once, steps):
        load(place, ledger, tmp_path / "files")
    build(once)
    build_stage(once, STAGE)
    for day in range(ledger.first + 2, ledger.last + 1, 4):
        build(steps, until=to_date(day))
        build_stage(steps, STAGE)
    build(steps)
    build_stage(steps, STAGE)
    tables = [sort("pnl_attribution", place.lake.read(derived.PNL_ATTRIBUTION)) for place in (once, steps)]
    assert len(tables[0]) > 20
    assert tables[0].equals(tables[1])
    assert build_stage(steps, STAGE).changed_from is None


@pytest.fixture(scope="module")
def sample_rows(sample_home: Home) -> tuple[pa.Table, pa.Table]:
    lake = sample_home.lake
    read = {
        name: lake.read(derived.DERIVED[name])
        for name in ("portfolio_equity", "ledger_snapshots", "lot_exposures", "round_trips", "cash_balances")
    }
    return attribution(tables_of(read), to_number(sample_home.first_day)), read["portfolio_equity"]


def test_the_samples_sessions_all_sum_to_their_change_of_equity(sample_rows: tuple[pa.Table, pa.Table]) -> None:
    found = by_session(sample_rows[0].to_pylist())
    compared = 0
    for place, change in changes(sample_rows[1].to_pylist()):
        assert change is not None
        assert sum(row["total"] for row in found[place]) == pytest.approx(change, rel=1e-6, abs=1e-4)
        compared += 1
    assert compared == 2465


def test_a_part_that_is_changed_in_its_own_table_breaks_the_sum() -> None:
    """The parts come from their own sources: were they made to fit, nothing could be found by adding them up."""
    ledger = random_ledger(5, 50, 16)
    tables = run(ledger).tables
    for name, column in (("ledger_snapshots", "realised_pnl"), ("ledger_snapshots", "fees"), ("cash_balances", "income")):
        values = tables[name][column].to_pylist()
        values[len(values) // 2] += 5.0
        place = tables[name].schema.get_field_index(column)
        wrong = {**tables, name: tables[name].set_column(place, tables[name].schema.field(place), pa.array(values, pa.float64()))}
        found = by_session(attribution(tables_of(wrong), ledger.first).to_pylist())
        apart = [
            abs(sum(row["total"] or 0.0 for row in found[key]) - change)
            for key, change in changes(tables["portfolio_equity"].to_pylist())
            if change is not None
        ]
        assert max(apart) > 1.0, (name, column)


def test_no_sessions_and_no_positions_are_no_error() -> None:
    assert attributed(Ledger())[0] == []
    only_cash = replace(Ledger(), flows=(Flow("F1", at("2023-12-26T10:00"), Decimal(10), "initial_funding"),))
    assert attributed(only_cash)[0] == []
