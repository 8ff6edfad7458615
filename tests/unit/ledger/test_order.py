"""The order in which facts come never shows."""

from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from portfolio_platform.days import to_date
from portfolio_platform.ledger.pipeline import build
from tests.unit.ledger.ledgers import Fill, Ledger, at, ledgers, random_ledger
from tests.unit.ledger.running import derived_tables, difference, home, load, run


def shuffled(ledger: Ledger, rng: Random) -> Ledger:
    """Return the same facts in another order."""
    names = ("fills", "actions", "flows", "bars", "rates")
    return replace(ledger, **{name: tuple(rng.sample(getattr(ledger, name), len(getattr(ledger, name)))) for name in names})


@settings(deadline=None, max_examples=20)
@given(ledgers(), st.randoms(use_true_random=False))
def test_shuffled_facts_give_the_same_tables_bit_for_bit(ledger: Ledger, rng: Random) -> None:
    assert difference(run(shuffled(ledger, rng)).tables, run(ledger).tables) == []


@pytest.mark.parametrize("seed", [6])
def test_two_files_in_either_order_give_the_same_tables(tmp_path: Path, seed: int) -> None:
    ledger, last = random_ledger(seed, 30, 14), to_date(random_ledger(seed, 30, 14).last)
    halves = [replace(ledger, fills=part, flows=flows) for part, flows in ((ledger.fills[::2], ledger.flows), (ledger.fills[1::2], ()))]
    found = []
    for name, order in (("one", (0, 1)), ("two", (1, 0))):
        place = home(tmp_path / name, last)
        for half in order:
            load(place, halves[half], tmp_path / f"{name}-{half}")
        build(place)
        found.append(derived_tables(place))
    assert difference(*found) == []


def test_fills_of_one_instant_count_by_length_of_id_then_id() -> None:
    # in that order: buy 1 at 10 (E2), buy 1 at 20 (E9), sell 1 at 30 (E10): FIFO closes the lot at 10
    noon = at("2023-12-22T12:00")
    fills = [Fill("E10", noon, "EQ", "sell", Decimal(1), Decimal(30)), Fill("E9", noon, "EQ", "buy", Decimal(1), Decimal(20))]
    fills.append(Fill("E2", noon, "EQ", "buy", Decimal(1), Decimal(10)))
    trips = run(Ledger(tuple(fills))).tables["round_trips"].to_pylist()
    assert [(row["method"], row["opening_row_id"], row["closing_row_id"], row["entry_price"]) for row in trips] == [
        ("fifo", "E2", "E10", 10.0)
    ]


def test_ids_of_one_length_that_differ_in_their_last_character_are_told_apart_in_any_order() -> None:
    noon = at("2023-12-22T12:00")
    fills = tuple(Fill(f"E{name}", noon, "EQ", "buy", Decimal(1), Decimal(price)) for name, price in (("b", 2), ("a", 1), ("c", 3)))
    close = Fill("Z9", noon + 1, "EQ", "sell", Decimal(2), Decimal(4))
    for order in ((0, 1, 2), (2, 1, 0), (1, 2, 0)):
        trips = run(Ledger((*(fills[k] for k in order), close))).tables["round_trips"].to_pylist()
        assert sorted(row["opening_row_id"] for row in trips) == ["Ea", "Eb"]
