"""Decimals to scaled integers and floats, and back."""

from decimal import Decimal, localcontext

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from portfolio_platform.ledger import fixed_point

TYPE = pa.decimal128(38, 18)
UNIT = 10**18


def decimal(units: int) -> Decimal:
    """Return units of 1e-18 as a decimal."""
    with localcontext() as context:
        context.prec = 60
        return Decimal(units).scaleb(-18)


def column(*units: int) -> pa.Array:
    return pa.array([decimal(unit) for unit in units], TYPE)


anything = st.one_of(
    st.integers(-(10**38) + 1, 10**38 - 1),
    st.integers(-(2**53) * UNIT + 1, 2**53 * UNIT - 1),
    st.integers(-10, 10),
    st.integers(-100, 100).map(lambda n: n * UNIT),
    st.builds(lambda n, k: n * 10**k, st.integers(-(10**15), 10**15), st.integers(0, 20)),
)


@settings(max_examples=300)
@given(st.lists(anything, min_size=1, max_size=6))
def test_exact_integers_and_decimals_go_round_over_the_whole_range(units: list[int]) -> None:
    found = fixed_point.exact_integers(column(*units))
    assert found.tolist() == units
    assert fixed_point.to_decimals(found, np.full(len(units), 18)).equals(column(*units))


@settings(max_examples=300)
@given(st.lists(anything, min_size=1, max_size=6))
def test_whole_units_and_fractions_are_those_of_the_number_or_none_beyond_two_to_the_53(units: list[int]) -> None:
    parts = fixed_point.split_decimals(column(*units))
    if parts is None:
        assert max(abs(unit) for unit in units) >= (2**53 - 1) * UNIT
    else:
        assert [whole * UNIT + rest for whole, rest in zip(*(part.tolist() for part in parts), strict=True)] == units
        assert all(0 <= rest < UNIT for rest in parts[1].tolist())


@settings(max_examples=300)
@given(st.lists(st.tuples(st.integers(-(2**62), 2**62), st.integers(0, 18)), min_size=1, max_size=5))
def test_scaled_integers_become_decimals_exactly(pairs: list[tuple[int, int]]) -> None:
    values, places = np.array([value for value, _ in pairs]), np.array([place for _, place in pairs])
    expected = column(*(value * 10 ** (18 - place) for value, place in pairs))
    assert fixed_point.to_decimals(values, places).equals(expected)
    assert fixed_point.to_decimals(values.astype(object), places).equals(expected)


@settings(max_examples=300)
@given(st.integers(-(2**60), 2**60), st.integers(0, 18))
def test_a_scaled_integer_comes_back_from_its_parts(value: int, places: int) -> None:
    parts = fixed_point.split_decimals(column(value * 10 ** (18 - places)))
    if parts is None:
        return
    assert fixed_point.scaled(*parts, np.array([places])).tolist() == [value]
    needed = fixed_point.decimal_places(parts[1]).tolist()[0]
    assert needed <= places
    assert needed == 0 or value * 10 ** (18 - places) % 10 ** (18 - needed) == 0 != value * 10 ** (18 - places) % 10 ** (19 - needed)


@settings(max_examples=500)
@given(st.integers(-(10**15) + 1, 10**15 - 1), st.integers(0, 18))
def test_up_to_15_digits_a_float_is_the_one_that_its_text_means(digits: int, places: int) -> None:
    value = decimal(digits * 10 ** (18 - places))
    assert fixed_point.to_floats(pa.array([value], TYPE)).tolist() == [float(str(value))]


def test_16_places_behind_the_point_are_rounded_once() -> None:
    # 0.0999999999999999 has 15 digits in 16 places; rounding its 1e-18 units first once gave the next float
    texts = ["0.0999999999999999", "0.0123456789012345", "-0.0987654321098765", "0.000000000000000001", "9.00719925474099"]
    assert fixed_point.to_floats(pa.array([Decimal(text) for text in texts], TYPE)).tolist() == [float(text) for text in texts]


@settings(max_examples=200)
@given(st.lists(anything, min_size=1, max_size=4))
def test_any_decimal_is_a_float_within_one_unit_of_the_last_place(units: list[int]) -> None:
    for got, unit in zip(fixed_point.to_floats(column(*units)).tolist(), units, strict=True):
        assert got == pytest.approx(float(decimal(unit)), rel=2.3e-16)


def test_null_is_nan_and_slices_and_chunks_are_read_where_they_lie() -> None:
    whole = pa.array([Decimal(1), None, Decimal("-2.5"), Decimal(4)], TYPE)
    assert fixed_point.to_floats(whole)[[0, 2, 3]].tolist() == [1.0, -2.5, 4.0]
    assert np.isnan(fixed_point.to_floats(whole)[1])
    assert fixed_point.to_floats(whole[2:]).tolist() == [-2.5, 4.0]
    chunked = pa.chunked_array([whole[3:], whole[:1]])
    assert fixed_point.to_floats(chunked).tolist() == [4.0, 1.0]
    assert fixed_point.to_floats(pa.chunked_array([], TYPE)).tolist() == []
    assert fixed_point.to_floats(pa.array([], TYPE)).tolist() == []
