"""Every expectation of every fact holds on a good frame and fails on a frame with one thing wrong."""

import subprocess
import sys
from typing import Any

import pandas as pd
import pytest

from portfolio_platform.lake.expectations import Expectation, References, suite_for, to_frame, validate, validate_lake
from portfolio_platform.lake.facts import FACTS, FILLS, Fact

TS = 1_200_000_000_000_000_000
AS_OF = TS + 10**15
REFERENCES = References(AS_OF, frozenset({"AAPL"}), frozenset({"core"}), frozenset({"S1", "S2"}), frozenset({"USD"}))

_VALUES: dict[str, Any] = {
    "ts": TS, "decision_ts": TS - 5, "valid_until": TS + 5,
    "portfolio": "core", "symbol": "AAPL", "currency": "USD", "base_currency": "USD",
    "signal_id": "S1", "high": 12.0, "low": 9.0, "amount": 5.0, "confidence": 0.5, "win_rate": 0.5,
}  # fmt: skip
_PLAIN = {"text": "x", "decimal": 10.0, "timestamp": TS, "integer": 3, "number": 1.0, "flag": True}


def good(fact: Fact, rows: int = 2) -> pd.DataFrame:
    values = {
        column.name: _VALUES.get(column.name, column.choices[0] if column.choices else _PLAIN[column.kind]) for column in fact.columns
    }
    frame = pd.DataFrame([values] * rows)
    frame["row_id"] = [f"id-{number}" for number in range(rows)]
    return frame


def broken(fact: Fact, expectation: Expectation) -> pd.DataFrame:
    """Return a good frame with one row that breaks one expectation and no other of the same column and severity."""
    frame, name = good(fact, 3), expectation.column
    wrong: dict[str, Any] = {
        "given": None,
        "unique": "id-1",
        "choice": "nonsense",
        "not_zero": 0,
        "resolves": "EUR" if name == "currency" else "elsewhere",
        "pattern": "usd!",
        "order": frame[expectation.terms["other"]].iloc[0] - 1 if expectation.check == "order" else None,
        "range": 2.0 if expectation.terms.get("max_value") == 1.0 else float("inf"),
    }
    value = wrong[expectation.check]
    kinds = {column.name: column.kind for column in fact.columns}
    if expectation.check == "range" and kinds[name] == "timestamp":
        value = -1 if name == "valid_until" else AS_OF + 10**9
    elif expectation.check == "range" and kinds[name] == "integer":
        value = -1
    frame[name] = frame[name].astype(object)
    frame.loc[0, name] = value
    return frame


CASES = [(fact, expectation) for fact in FACTS.values() for expectation in suite_for(fact, REFERENCES)]


@pytest.mark.parametrize("fact", FACTS.values(), ids=lambda fact: fact.name)
def test_a_good_frame_meets_every_expectation(fact: Fact) -> None:
    validation = validate(fact, good(fact), REFERENCES)
    assert [result for result in validation.results if not result.success] == []
    assert validation.success and len(validation.results) == len(suite_for(fact, REFERENCES)) >= 5


@pytest.mark.parametrize(("fact", "expectation"), CASES, ids=[f"{fact.name}: {item.name}" for fact, item in CASES])
def test_an_expectation_fails_on_one_wrong_row(fact: Fact, expectation: Expectation) -> None:
    validation = validate(fact, broken(fact, expectation), REFERENCES, (expectation,))
    (result,) = validation.results
    assert (result.success, result.crashed, result.name) == (False, "", expectation.name)
    assert result.unexpected_count == (2 if expectation.check == "unique" else 1)
    assert result.examples or expectation.check == "given"
    assert validation.success is (expectation.severity == "warn")


def test_one_mutation_fails_only_what_it_breaks() -> None:
    frame = good(FILLS)
    frame.loc[0, "price"] = -1.0
    failed = [result.name for result in validate(FILLS, frame, REFERENCES).results if not result.success]
    assert failed == ["price is positive and finite"]


@pytest.mark.parametrize("value", [float("inf"), -1.0, 0.0])
def test_a_quantity_is_positive_and_finite(value: float) -> None:
    frame = good(FILLS)
    frame.loc[0, "quantity"] = value
    assert [result.name for result in validate(FILLS, frame, REFERENCES).failures] == ["quantity is positive and finite"]


def test_nan_in_a_required_number_is_a_missing_value() -> None:
    frame = good(FILLS)
    frame.loc[0, "price"] = float("nan")
    assert [result.name for result in validate(FILLS, frame, REFERENCES).failures] == ["price is given"]


@pytest.mark.parametrize("fact", FACTS.values(), ids=lambda fact: fact.name)
def test_an_empty_table_is_good(fact: Fact) -> None:
    assert validate(fact, good(fact).head(0), REFERENCES).success


def test_a_check_that_raises_is_a_crash_and_no_finding_about_the_data() -> None:
    frame = good(FILLS).drop(columns="price")
    validation = validate(FILLS, frame, REFERENCES)
    crashed = [result for result in validation.results if result.crashed]
    assert {result.column for result in crashed} == {"price"}
    assert all(not result.success and result.unexpected_count == 0 for result in crashed)
    assert not validation.success and set(validation.failures) == set(crashed)


def test_what_is_not_listed_anywhere_is_not_expected_to_resolve() -> None:
    names = {expectation.name for expectation in suite_for(FILLS, References(AS_OF))}
    assert not {name for name in names if name.endswith("is listed")}


def test_an_unlisted_symbol_is_a_warning_that_names_it() -> None:
    frame = good(FILLS)
    frame.loc[1, "symbol"] = "BRK/B'; --"
    validation = validate(FILLS, frame, REFERENCES)
    (warning,) = validation.warnings
    assert validation.success and warning.name == "symbol is listed" and warning.examples == ("BRK/B'; --",)


def test_a_reference_may_be_empty() -> None:
    frame = good(FILLS)
    frame["signal_id"] = [None, "S2"]
    assert validate(FILLS, frame, REFERENCES).warnings == ()


def test_decimals_of_the_lake_are_checked_as_numbers() -> None:
    from decimal import Decimal

    import pyarrow as pa

    rows = pa.table({"row_id": ["a", "b"], "price": pa.array([Decimal(1), Decimal(-2)], pa.decimal128(38, 18))})
    only = tuple(item for item in suite_for(FILLS, REFERENCES) if item.name == "price is positive and finite")
    assert validate(FILLS, to_frame(rows), REFERENCES, only).failures[0].examples == ("-2.0",)
    assert validate(FILLS, rows.to_pandas(), REFERENCES, only).failures[0].unexpected_count == 1


def test_the_sample_meets_every_expectation(sample_home: Any) -> None:
    from portfolio_platform.days import nanoseconds
    from portfolio_platform.lake.expectations import read_references

    references = read_references(sample_home.lake, nanoseconds(sample_home.clock.now()), "USD")
    assert references.symbols is not None and references.portfolios is None
    for fact in FACTS.values():
        validation = validate_lake(sample_home.lake, fact, references)
        assert [result for result in validation.results if not result.success] == []


def test_great_expectations_is_not_imported_before_it_runs() -> None:
    code = "import sys, portfolio_platform.lake.expectations; sys.exit('great_expectations' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
