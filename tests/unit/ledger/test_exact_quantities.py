"""Quantities of 18 decimals: exact, flat is zero, and the slow path is taken by those alone who need it."""

from dataclasses import replace
from decimal import Decimal, localcontext
from random import Random
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from portfolio_platform.ledger import accounting, inputs, kernel
from portfolio_platform.ledger.advance import Step
from tests.unit.ledger.ledgers import Action, Fill, Ledger, at, ledgers
from tests.unit.ledger.running import chained, difference, run

HUGE = Decimal("1000000.123456789012345678")


def parts_of(total: Decimal, count: int, rng: Random) -> list[Decimal]:
    """Cut an amount into positive parts of 18 decimals that sum to it exactly."""
    with localcontext() as context:
        context.prec = 60
        units = int(total.scaleb(18))
        cuts = sorted(rng.randrange(1, units) for _ in range(count - 1))
        return [Decimal(b - a).scaleb(-18) for a, b in zip([0, *cuts], [*cuts, units], strict=True)]


def in_parts(symbol: str, parts: list[Decimal], sold: list[Decimal], prefix: str) -> list[Fill]:
    start = at("2023-12-23T01:00")
    fills = [Fill(f"{prefix}B{n}", start + n, symbol, "buy", size, Decimal("0.5")) for n, size in enumerate(parts)]
    return fills + [Fill(f"{prefix}S{n}", start + 86_400 * 10**9 + n, symbol, "sell", size, Decimal("0.75")) for n, size in enumerate(sold)]


def exact_symbols(step: Step) -> set[str]:
    positions = step.account.positions
    return set(positions.symbol[positions.exact].tolist())


@pytest.mark.parametrize("seed", range(5))
def test_what_is_bought_in_seven_parts_and_sold_in_three_is_exactly_flat(seed: int) -> None:
    rng = Random(seed)
    fills = in_parts("TOK", parts_of(HUGE, 7, rng), parts_of(HUGE, 3, rng), "")
    step = run(Ledger(tuple(fills), instruments={}))
    quantities = step.tables["ledger_snapshots"]["quantity"].to_pylist()
    assert quantities[0] == HUGE
    assert quantities[-1] == 0
    assert exact_symbols(step) == {"TOK"}
    trips = [row for row in step.tables["round_trips"].to_pylist() if row["method"] == "flat_to_flat"]
    assert [row["quantity"] for row in trips] == [HUGE]
    assert trips[0]["realised_pnl"] == pytest.approx(float(HUGE) * 0.25, rel=1e-12)
    assert difference(chained(Ledger(tuple(fills), instruments={}), [step.state.day - 16]), step.tables) == []


def test_one_symbol_on_the_exact_path_leaves_the_others_compiled_and_changes_nothing_of_theirs() -> None:
    rng = Random(1)
    usual = in_parts("EQ", [Decimal(3), Decimal(4)], [Decimal(7)], "E") + in_parts(
        "COIN", [Decimal("0.10000001")] * 3, [Decimal("0.2")], "C"
    )
    huge = in_parts("TOK", parts_of(HUGE, 7, rng), parts_of(HUGE, 3, rng)[:2], "T")
    mixed, alone = run(Ledger(tuple(usual + huge))), run(Ledger(tuple(usual)))
    assert exact_symbols(mixed) == {"TOK"}
    for name in ("ledger_snapshots", "round_trips", "lot_exposures"):
        rows = [row for row in mixed.tables[name].to_pylist() if row["symbol"] != "TOK"]
        expected = {
            (row["symbol"], row["day"], row.get("round_trip_id"), row.get("template")): row for row in alone.tables[name].to_pylist()
        }
        # the portfolio's sessions are a union: TOK adds none, for COIN trades every day too
        for row in rows:
            assert row == expected.pop((row["symbol"], row["day"], row.get("round_trip_id"), row.get("template")))
        assert not expected


def test_a_quantity_beyond_two_to_the_53_whole_units_sends_its_own_symbol_alone_to_the_exact_path() -> None:
    meme = Decimal("12345678901234567890.5")
    fills = in_parts("NEW", [meme, meme], [meme], "M") + in_parts("EQ", [Decimal(3)], [Decimal(1)], "E")
    step = run(Ledger(tuple(fills)))
    assert exact_symbols(step) == {"NEW"}
    last = {row["symbol"]: row["quantity"] for row in step.tables["ledger_snapshots"].to_pylist()}
    assert last == {"NEW": meme, "EQ": Decimal(2)}


def test_a_split_of_another_symbol_with_terms_beyond_64_bits_stops_nothing() -> None:
    # 33.333333333333333333 is 33333333333333333333 / 10^18: no 64-bit numerator
    fills = in_parts("EQ", [Decimal(3)], [Decimal(1)], "E")
    odd = [
        Action(f"A{k}", at("2023-12-23T12:00"), name, "split", Decimal("33.333333333333333333")) for k, name in enumerate(("TOK", "COIN"))
    ]
    step = run(Ledger(tuple(fills + in_parts("COIN", [Decimal(6)], [Decimal(1)], "C")), tuple(odd)))
    last = {row["symbol"]: row["quantity"] for row in step.tables["ledger_snapshots"].to_pylist()}
    assert last == {"EQ": Decimal(2), "COIN": Decimal("198.999999999999999998")}  # 6 * 33.3... - 1


def _force_exact(monkeypatch: pytest.MonkeyPatch) -> None:
    usual = inputs.scale_positions

    def scale(fills: Any, keys: Any, known: Any, actions: Any, carried: Any, carried_at: Any) -> Any:
        positions, *parts = usual(fills, keys, known, actions, carried, carried_at)
        everything = np.ones(positions.size, bool)
        return (replace(positions, exact=everything, places=np.full(positions.size, 18, np.int64)), *parts)

    monkeypatch.setattr(accounting, "scale_positions", scale)


@settings(deadline=None, max_examples=25)
@given(ledgers(most=40))
def test_the_exact_path_gives_what_the_compiled_path_gives_bit_for_bit(ledger: Ledger) -> None:
    compiled = run(ledger).tables
    with pytest.MonkeyPatch.context() as patch:
        _force_exact(patch)
        exact = run(ledger)
    assert exact.account.positions.exact.all()
    assert difference(exact.tables, compiled) == []


@given(st.integers(-(10**36), 10**36), st.integers(0, 18), st.integers(0, 18))
def test_units_are_the_same_float_however_a_value_is_scaled(value: int, places: int, more: int) -> None:
    more = min(more, 18 - places)
    wide = value * 10**more
    got = kernel.units.py_func(value, places)
    assert got == kernel.units.py_func(wide, places + more)
    assert got == pytest.approx(float(Decimal(value).scaleb(-places)), rel=3e-16)
    if abs(wide) < 2**61:
        assert kernel.units(np.int64(wide), places + more) == got
        assert kernel.all_units(np.array([wide]), np.array([places + more])).tolist() == [got]


def test_decimals_of_a_mixed_state_are_written_exactly() -> None:
    rng = Random(4)
    fills = in_parts("TOK", parts_of(HUGE, 4, rng), [Decimal("0.000000000000000001")], "T") + in_parts(
        "EQ", [Decimal(3)], [Decimal(1)], "E"
    )
    carried = run(Ledger(tuple(fills))).state.positions
    assert carried is not None
    assert carried.quantities.type == pa.decimal128(38, 18)
    assert sorted(carried.quantities.to_pylist()[::3]) == [Decimal(2), HUGE - Decimal("0.000000000000000001")]
