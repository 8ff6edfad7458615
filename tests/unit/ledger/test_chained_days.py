"""Days taken one after the other give what one pass over them gives, bit for bit, whatever the cuts and wherever the state was kept."""

from dataclasses import replace
from datetime import date, timedelta
from decimal import Decimal
from pathlib import Path
from random import Random
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from portfolio_platform.days import to_date, to_number
from portfolio_platform.lake.store import Lake
from portfolio_platform.ledger.pipeline import build
from portfolio_platform.policy.model import AccountingPolicy
from tests.unit.ledger.ledgers import Fill, Flow, Ledger, Rate, at, ledgers, random_ledger
from tests.unit.ledger.running import chained, derived_tables, difference, home, load, run


@settings(deadline=None, max_examples=40)
@given(ledgers(), st.randoms(use_true_random=False))
def test_any_cuts_give_the_one_pass(ledger: Ledger, rng: Random) -> None:
    days = range(ledger.first, ledger.last)
    cuts = sorted(rng.sample(days, rng.randrange(0, min(len(days), 6) + 1)))
    assert difference(chained(ledger, cuts), run(ledger).tables) == []


@pytest.mark.parametrize("timing", ["start", "end", "modified_dietz"])
@pytest.mark.parametrize("seed", [3, 11, 29])
def test_every_single_day_gives_the_one_pass(timing: Any, seed: int) -> None:
    ledger, policy = random_ledger(seed, 50, 20), AccountingPolicy(flow_timing=timing)
    assert difference(chained(ledger, range(ledger.first, ledger.last), policy), run(ledger, policy).tables) == []


@settings(deadline=None, max_examples=6)
@given(ledgers(), st.randoms(use_true_random=False))
def test_a_state_that_was_saved_to_a_lake_and_loaded_gives_the_one_pass(ledger: Ledger, rng: Random) -> None:
    days = range(ledger.first, ledger.last)
    cuts = sorted(rng.sample(days, rng.randrange(1, min(len(days), 4) + 1)))
    with TemporaryDirectory() as folder:
        found = chained(ledger, cuts, lake=Lake(f"{folder}/lake", Path(folder) / "lock"))
    assert difference(found, run(ledger).tables) == []


def _pipelines(tmp_path: Path, ledger: Ledger, cuts: list[int]) -> None:
    """Build a home at once and another in steps; both have the same tables."""
    last = to_date(ledger.last)
    once, steps = home(tmp_path / "once", last), home(tmp_path / "steps", last)
    for place in (once, steps):
        load(place, ledger, tmp_path / "files")
    build(once)
    for cut in [*cuts, ledger.last]:
        build(steps, until=to_date(cut))
    assert difference(derived_tables(steps), derived_tables(once)) == []
    assert build(steps).changed_from is None


@pytest.mark.parametrize("seed", [5, 17])
def test_building_day_after_day_gives_the_single_build(tmp_path: Path, seed: int) -> None:
    ledger = random_ledger(seed, 40, 16)
    _pipelines(tmp_path, ledger, list(range(ledger.first, ledger.last, 2)))


def test_restating_from_a_day_changes_nothing_when_no_fact_changed(tmp_path: Path) -> None:
    ledger = random_ledger(23, 40, 16)
    place = home(tmp_path / "home", to_date(ledger.last))
    load(place, ledger, tmp_path / "files")
    build(place)
    before = derived_tables(place)
    for day in (3, 10, 15):
        built = build(place, restate_from=to_date(ledger.first + day))
        assert built.changed_from == to_date(ledger.first + day)
        assert difference(derived_tables(place), before) == []


@pytest.mark.parametrize("seed", [2, 8])
def test_facts_that_come_late_give_the_tables_of_a_fresh_home(tmp_path: Path, seed: int) -> None:
    """Saved states at and after the day that changed must not be used: the year's end is saved in the middle."""
    ledger, rng = random_ledger(seed, 40, 18), Random(seed)
    late = {
        name: [item for item in getattr(ledger, name) if rng.random() < 0.15] for name in ("fills", "actions", "flows", "bars", "rates")
    }
    early = replace(ledger, **{name: tuple(item for item in getattr(ledger, name) if item not in gone) for name, gone in late.items()})
    last = to_date(ledger.last)
    fresh, old = home(tmp_path / "fresh", last), home(tmp_path / "old", last)
    load(fresh, ledger, tmp_path / "all")
    build(fresh)
    load(old, early, tmp_path / "early")
    build(old, until=to_date(ledger.first + 12))
    build(old)
    for number, (name, gone) in enumerate(late.items()):
        for part, item in enumerate(gone):
            empty = Ledger(instruments={}, bases={}, first=ledger.first, last=ledger.last)
            load(old, replace(empty, **{name: (item,)}), tmp_path / f"late-{number}-{part}")
        if number % 2:
            build(old)
    build(old)
    assert difference(derived_tables(old), derived_tables(fresh)) == []


def _later(ledger: Ledger, day: int) -> Ledger:
    return replace(ledger, fills=tuple(fill for fill in ledger.fills if fill.ts > at("2023-12-22T00:00") + day * 86_400 * 10**9))


def test_a_position_that_opens_after_a_carried_state_and_a_portfolio_that_appears_later_are_as_in_one_pass() -> None:
    ledger = _later(random_ledger(31, 60, 20), 9)
    for cut in range(4, 14):
        assert difference(chained(ledger, [ledger.first + cut]), run(ledger).tables) == []


def test_flows_before_the_first_fill_are_carried_from_a_state_without_positions(tmp_path: Path) -> None:
    ledger = _later(random_ledger(37, 60, 20), 9)
    flows = (Flow("F90", at("2023-12-22T10:00"), Decimal(5000), "initial_funding"), Flow("F91", at("2023-12-23T10:00"), Decimal(70)))
    _pipelines(tmp_path, replace(ledger, flows=(*ledger.flows, *flows)), [ledger.first + 1, ledger.first + 2, ledger.first + 12])


def test_a_day_that_needs_more_decimals_than_the_days_before_does_not_move_a_digit_of_theirs() -> None:
    """Once money was computed in scaled units, and a carried fee or entry value changed its meaning with the scale."""
    first = to_number(date(2023, 12, 26))

    def fill(number: int, day: int, side: str, quantity: str, price: str) -> Fill:
        return Fill(f"E{number}", at(f"2023-12-{day}T12:00"), "COIN", side, Decimal(quantity), Decimal(price), Decimal("0.37"))

    ledger = Ledger(
        (
            fill(1, 26, "buy", "3", "10.01"), fill(2, 26, "buy", "4", "11.07"), fill(3, 27, "sell", "2.5", "12.3"),
            fill(4, 28, "buy", "0.123456789012345678", "12.9"), fill(5, 29, "sell", "4.623456789012345678", "13.1"),
        ), first=first, last=first + 4,
    )  # fmt: skip
    steps = chained(ledger, range(first, first + 4))
    assert difference(steps, run(ledger).tables) == []
    trip = next(row for row in steps["round_trips"].to_pylist() if row["method"] == "flat_to_flat")
    # (3 * 10.01 + 4 * 11.07 + 0.123456789... * 12.9) / 7.123456789...
    assert trip["entry_price"] == pytest.approx((30.03 + 44.28 + 0.123456789012345678 * 12.9) / 7.123456789012345678, rel=1e-12)
    assert trip["fees"] == pytest.approx(5 * 0.37, rel=1e-12)


def test_lots_that_need_more_decimals_than_their_sum_are_carried_exactly() -> None:
    """1.5 and 2.5 are 4: once a carried state was scaled by its sum alone, and the lots lost their halves."""
    first = to_number(date(2023, 12, 26))
    fills = tuple(
        Fill(f"E{day}", at(f"2023-12-{day}T12:00"), "COIN", side, Decimal(quantity), Decimal(price))
        for day, side, quantity, price in ((26, "buy", "1.5", 10), (27, "buy", "2.5", 20), (28, "sell", "3", 30), (29, "sell", "1", 30))
    )
    ledger = Ledger(fills, first=first, last=first + 4)
    steps = chained(ledger, range(first, first + 4))
    assert difference(steps, run(ledger).tables) == []
    fifo = sorted(
        (row["day"].day, row["entry_price"], row["quantity"]) for row in steps["round_trips"].to_pylist() if row["method"] == "fifo"
    )
    assert fifo == [(28, 10.0, Decimal("1.5")), (28, 20.0, Decimal("1.5")), (29, 20.0, Decimal(1))]


def test_a_deposit_whose_rate_comes_later_is_still_no_performance() -> None:
    # 1000 USD on the 26th; 1000 EUR on the 27th, whose rate is first known on the 29th, 1.10: equity is null for two days, then 2100
    first = to_number(date(2023, 12, 26))
    ledger = Ledger(
        flows=(
            Flow("F1", at("2023-12-26T10:00"), Decimal(1000), "initial_funding", currency="USD"),
            Flow("F2", at("2023-12-27T10:00"), Decimal(1000), currency="EUR"),
            Flow("F3", at("2023-12-27T11:00"), Decimal(500), currency="USD"),
        ),
        fills=(Fill("E1", at("2023-12-26T12:00"), "NEW", "buy", Decimal(1), Decimal(10)),),
        rates=(Rate("EUR", "USD", at("2023-12-29T12:00"), Decimal("1.10")),), first=first, last=first + 4,
    )  # fmt: skip
    for tables in (run(ledger).tables, chained(ledger, range(first, first + 4)), chained(ledger, [first + 2])):
        rows = sorted(tables["portfolio_equity"].to_pylist(), key=lambda row: row["day"])
        assert [row["equity"] for row in rows] == [1000.0, None, None, pytest.approx(2600.0)]
        assert [row["reason"] for row in rows] == ["", "missing_fx_rate", "missing_fx_rate", ""]
        assert rows[3]["daily_return"] == pytest.approx(0.0, abs=1e-12)
        assert [row["unit_value"] for row in rows] == pytest.approx([1.0] * 4)


def test_a_dividend_and_a_split_on_a_day_without_a_session_are_not_lost() -> None:
    # 10 EQ bought on Friday the 22nd; on Saturday 1.50 a share is paid and on Sunday the share is split in two
    from tests.unit.ledger.ledgers import Action

    ledger = Ledger(
        (Fill("E1", at("2023-12-22T15:00"), "EQ", "buy", Decimal(10), Decimal(100)),),
        (
            Action("A1", at("2023-12-23T09:00"), "EQ", "cash_dividend", Decimal("1.5")),
            Action("A2", at("2023-12-24T09:00"), "EQ", "split", Decimal(2)),
        ),
        last=to_number(date(2023, 12, 27)),
    )  # fmt: skip
    expected = run(ledger).tables
    cash = {row["day"]: (row["cash"], row["income"]) for row in expected["cash_balances"].to_pylist()}
    assert cash == {
        date(2023, 12, 22): (-1000.0, 0.0), date(2023, 12, 23): (-985.0, 15.0), date(2023, 12, 26): (-985.0, 15.0),
        date(2023, 12, 27): (-985.0, 15.0),
    }  # fmt: skip
    for cut in range(5):
        assert difference(chained(ledger, [ledger.first + cut]), expected) == []
    assert difference(chained(replace(ledger, last=ledger.last), range(ledger.first, ledger.last)), expected) == []


def test_one_more_day_reads_and_writes_one_day(tmp_path: Path) -> None:
    ledger = random_ledger(41, 40, 16)
    place = home(tmp_path / "home", to_date(ledger.last))
    load(place, ledger, tmp_path / "files")
    build(place, until=to_date(ledger.last) - timedelta(days=1))
    seen: list[str] = []
    built = build(place, report=seen.append)
    assert built.changed_from == to_date(ledger.last)
    assert seen[0] == f"accounting from {to_date(ledger.last)} to {to_date(ledger.last)}"
    assert all(
        row["day"] == to_date(ledger.last)
        for row in derived_tables(place)["ledger_snapshots"].to_pylist()[-built.rows["ledger_snapshots"] :]
    )
