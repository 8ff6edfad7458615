"""What a good fact table looks like, as expectations: pure functions of its declaration, run by Great Expectations.

What belongs here: rules about the rows in force of one fact, and whether what they name exists. How a row is judged
while it is read is in `sources`; identities between derived tables are in `ledger.identities`. Great Expectations is
imported where it runs, for that takes seconds.
"""

import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from importlib import import_module
from typing import TYPE_CHECKING, Any, Literal

from portfolio_platform.lake.columns import Column
from portfolio_platform.lake.facts import Fact

if TYPE_CHECKING:
    import pandas as pd

    from portfolio_platform.lake.store import Lake

Severity = Literal["error", "warn"]
Check = Literal["given", "unique", "range", "not_zero", "choice", "order", "resolves", "pattern"]

LARGEST = 1e300
EXAMPLES = 5
CURRENCY_CODE = r"^[A-Z][A-Z0-9]{2,9}$"
LATEST_END_NS = (1 << 63) - 1

_ORDERED = {
    "fills": ("ts", "decision_ts"),
    "signals": ("valid_until", "ts"),
    "bars": ("high", "low"),
}
"""The later (or higher) column of each fact, and the one it is not before."""
_MAY_BE_LATER_THAN_NOW = frozenset({"valid_until"})
_BY_COMPLEMENT = frozenset({"resolves", "not_zero"})
_NUMERIC = frozenset({"decimal", "number", "integer", "timestamp"})
_SHARES = frozenset({"confidence", "win_rate"})
_ONE_AT_A_TIME = threading.Lock()
"""The context knows one frame at a time by one name."""


@dataclass(frozen=True)
class Expectation:
    """One thing that is expected of a fact: which check of which column, how grave a breach is, and the check's terms."""

    name: str
    check: Check
    column: str
    severity: Severity
    terms: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class References:
    """What rows may refer to, and the as-of time that bounds their own; None where nothing of the kind is listed."""

    as_of_ns: int
    symbols: frozenset[str] | None = None
    portfolios: frozenset[str] | None = None
    signals: frozenset[str] | None = None
    currencies: frozenset[str] | None = None

    def of(self, column: str) -> frozenset[str] | None:
        """Return the values that a column may refer to, None where that is not known."""
        known = {
            "symbol": self.symbols,
            "portfolio": self.portfolios,
            "signal_id": self.signals,
            "currency": self.currencies,
        }
        return known.get(column)


@dataclass(frozen=True)
class ExpectationResult:
    """How one expectation went; `crashed` holds the error where the check itself failed, which says nothing of the data."""

    name: str
    column: str
    severity: Severity
    success: bool
    unexpected_count: int = 0
    examples: tuple[str, ...] = ()
    crashed: str = ""


@dataclass(frozen=True)
class Validation:
    """How all expectations of a fact went; warnings do not make it unsuccessful, crashes do."""

    fact: str
    rows: int
    results: tuple[ExpectationResult, ...] = ()

    @property
    def success(self) -> bool:
        """Say whether every expectation of severity ``error`` held."""
        return not self.failures

    @property
    def failures(self) -> tuple[ExpectationResult, ...]:
        """Return the expectations that failed and are errors, and those that could not be checked."""
        return tuple(result for result in self.results if not result.success and (result.severity == "error" or result.crashed))

    @property
    def warnings(self) -> tuple[ExpectationResult, ...]:
        """Return the expectations that failed and are only warnings."""
        return tuple(result for result in self.results if not result.success and result.severity == "warn" and not result.crashed)


def suite_for(fact: Fact, references: References) -> tuple[Expectation, ...]:
    """Return what is expected of the rows in force of a fact; a reference is expected only where its targets are listed."""
    found = [Expectation("row_id is unique", "unique", "row_id", "error")]
    for column in fact.columns:
        found += _of_column(fact, column, references)
    if fact.name in _ORDERED:
        later, earlier = _ORDERED[fact.name]
        word = "before" if earlier.endswith("ts") else "below"
        found.append(Expectation(f"{later} is not {word} {earlier}", "order", later, "error", {"other": earlier}))
    return tuple(found)


def _of_column(fact: Fact, column: Column, references: References) -> list[Expectation]:
    name, found = column.name, []
    if column.required or column.default is not None:
        found.append(Expectation(f"{name} is given", "given", name, "error"))
    if column.choices:
        found.append(Expectation(f"{name} is known", "choice", name, "error", {"choices": list(column.choices)}))
    if column.kind == "timestamp":
        latest = LATEST_END_NS if name in _MAY_BE_LATER_THAN_NOW else references.as_of_ns
        rule = "is after 1970" if name in _MAY_BE_LATER_THAN_NOW else "is between 1970 and the as-of time"
        found.append(Expectation(f"{name} {rule}", "range", name, "error", {"min_value": 0, "max_value": latest}))
    elif column.kind in ("decimal", "number", "integer"):
        found.append(_in_range(column))
        if column.sign == "not_zero":
            found.append(Expectation(f"{name} is not zero", "not_zero", name, "error"))
    if name.endswith("currency"):
        found.append(Expectation(f"{name} looks like a currency code", "pattern", name, "warn", {"regex": CURRENCY_CODE}))
    known = references.of(name)
    if known is not None and not (name in fact.id_columns and fact.name in ("instruments", "portfolios", "signals")):
        found.append(Expectation(f"{name} is listed", "resolves", name, "warn"))
    return found


def _in_range(column: Column) -> Expectation:
    rules: dict[str, tuple[str, dict[str, Any]]] = {
        "positive": ("positive and finite", {"min_value": 0.0, "strict_min": True, "max_value": LARGEST}),
        "not_negative": ("not negative, and finite", {"min_value": 0.0, "max_value": LARGEST}),
    }
    words, terms = rules.get(column.sign, ("finite", {"min_value": -LARGEST, "max_value": LARGEST}))
    if column.name in _SHARES:
        words, terms = "between 0 and 1", {"min_value": 0.0, "max_value": 1.0}
    return Expectation(f"{column.name} is {words}", "range", column.name, "error", terms)


def validate(fact: Fact, frame: "pd.DataFrame", references: References, suite: tuple[Expectation, ...] | None = None) -> Validation:
    """Check a frame of a fact's rows in force (its columns and ``row_id``); an empty one is good.

    ``suite`` stands for the fact's own expectations. A check that raises is told as a crash.
    """
    if frame.empty:
        return Validation(fact.name, 0)
    expectations = suite_for(fact, references) if suite is None else suite
    prepared = _prepared(fact, frame, references, expectations)
    return Validation(fact.name, len(frame), _run(expectations, prepared))


def validate_lake(lake: "Lake", fact: Fact, references: References) -> Validation:
    """Check the rows of a fact that are in force in a lake."""
    from portfolio_platform.lake import active

    columns = ["row_id", *dict.fromkeys(expectation.column for expectation in suite_for(fact, references))]
    columns += [_ORDERED[fact.name][1]] if fact.name in _ORDERED else []
    rows = active.read(lake, fact, tuple(dict.fromkeys(columns)))
    return validate(fact, to_frame(rows), references)


def read_references(lake: "Lake", as_of_ns: int, default_currency: str) -> References:
    """Return what the rows of a lake may refer to."""
    from portfolio_platform.lake import active
    from portfolio_platform.lake.facts import FX_RATES, INSTRUMENTS, PORTFOLIOS, SIGNALS

    def listed(fact: Fact, column: str) -> frozenset[str]:
        return frozenset(value for value in active.read(lake, fact, (column,))[column].unique().to_pylist() if value is not None)

    currencies = listed(PORTFOLIOS, "base_currency") | listed(INSTRUMENTS, "currency") | listed(FX_RATES, "currency")
    return References(
        as_of_ns,
        symbols=listed(INSTRUMENTS, "symbol") or None,
        portfolios=listed(PORTFOLIOS, "portfolio") or None,
        signals=listed(SIGNALS, "signal_id") or None,
        currencies=currencies | listed(FX_RATES, "base_currency") | {default_currency},
    )


def to_frame(rows: Any) -> "pd.DataFrame":
    """Return Arrow rows as a frame; decimals become floats, which is near enough for ranges."""
    import pyarrow as pa

    for place, column in enumerate(rows.schema):
        if pa.types.is_decimal(column.type):
            rows = rows.set_column(place, column.name, rows.column(place).cast(pa.float64()))
    frame: pd.DataFrame = rows.to_pandas()
    return frame


def _aside(expectation: Expectation) -> str:
    """Return the column that holds only a check's unexpected values."""
    return f"{expectation.column} not {expectation.check}"


def _prepared(fact: Fact, frame: "pd.DataFrame", references: References, suite: tuple[Expectation, ...]) -> "pd.DataFrame":
    """Return the columns that the suite looks at, numbers as floats, and beside them what does not resolve.

    A set of a hundred thousand ids as an expectation's own term takes Great Expectations ten seconds to carry about;
    a column of the ids that are unknown, expected to be empty, takes none and gives the same examples.
    """
    used = [*(item.column for item in suite), *(item.terms["other"] for item in suite if "other" in item.terms)]
    prepared = frame[[name for name in dict.fromkeys(used) if name in frame.columns]].copy()
    for column in fact.columns:
        if column.kind in _NUMERIC and column.name in prepared and prepared[column.name].dtype == object:
            values = prepared[column.name]
            whole = column.kind in ("timestamp", "integer") and values.notna().all()
            prepared[column.name] = values.astype("int64" if whole else "float64")
    for item in suite:
        if item.column in prepared and item.check in _BY_COMPLEMENT:
            values = prepared[item.column]
            wrong = values == 0 if item.check == "not_zero" else ~values.isin(references.of(item.column) or ())
            texts: pd.Series[str] = values.astype(object)
            texts[~(wrong & values.notna())] = None
            prepared[_aside(item)] = texts
    return prepared


def _run(suite: tuple[Expectation, ...], frame: "pd.DataFrame") -> tuple[ExpectationResult, ...]:
    """Run expectations over a frame; only of those that do not hold is it asked which values are unexpected, which costs more."""
    outcome = _outcome(dict(enumerate(suite)), frame, {"result_format": "BOOLEAN_ONLY"})
    broken = {place: item for place, item in enumerate(suite) if place not in outcome or not outcome[place].success}
    if broken:
        outcome |= _outcome(broken, frame, {"result_format": "BASIC", "partial_unexpected_count": EXAMPLES})
    return tuple(_told(item, outcome.get(place)) for place, item in enumerate(suite))


def _outcome(suite: Mapping[int, Expectation], frame: "pd.DataFrame", terms: Mapping[str, Any]) -> dict[int, Any]:
    """Return Great Expectations' result of each expectation, by its place."""
    results = outcomes(frame, [_build(item, place) for place, item in suite.items()], terms)
    return {result.expectation_config.meta["place"]: result for result in results}


def outcomes(frame: "pd.DataFrame", expectations: Sequence[Any], terms: Mapping[str, Any]) -> list[Any]:
    """Return Great Expectations' results of its expectations over a frame; ``terms`` are its ``result_format``."""
    great_expectations: Any = import_module("great_expectations")
    suite = great_expectations.ExpectationSuite(name="suite", expectations=list(expectations))
    with _ONE_AT_A_TIME:
        batch = _whole_frame().get_batch(batch_parameters={"dataframe": frame})
        try:
            return list(batch.validate(suite, result_format=dict(terms)).results)
        finally:
            batch.data.execution_engine.batch_manager.reset_batch_cache()  # or the frame would live as long as the context


@cache
def _whole_frame() -> Any:
    """Return what makes a batch of a frame; its context is made once, for that costs as much as ten expectations."""
    great_expectations: Any = import_module("great_expectations")
    context = great_expectations.get_context(mode="ephemeral")
    context.enable_analytics(False)
    context.variables.progress_bars = {"globally": False}
    return context.data_sources.add_pandas("frames").add_dataframe_asset("frame").add_batch_definition_whole_dataframe("whole")


def _build(item: Expectation, place: int) -> Any:
    """Return the Great Expectations object of an expectation."""
    gxe: Any = import_module("great_expectations.expectations")
    meta: dict[str, Any] = {"meta": {"place": place}}
    terms = item.terms
    if item.check == "unique":
        return gxe.ExpectColumnValuesToBeUnique(column=item.column, **meta)
    if item.check == "given":
        return gxe.ExpectColumnValuesToNotBeNull(column=item.column, **meta)
    if item.check == "range":
        return gxe.ExpectColumnValuesToBeBetween(column=item.column, **terms, **meta)
    if item.check == "choice":
        return gxe.ExpectColumnValuesToBeInSet(column=item.column, value_set=terms["choices"], **meta)
    if item.check == "pattern":
        return gxe.ExpectColumnValuesToMatchRegex(column=item.column, regex=terms["regex"], **meta)
    if item.check in _BY_COMPLEMENT:
        return gxe.ExpectColumnValuesToBeNull(column=_aside(item), **meta)
    return gxe.ExpectColumnPairValuesAToBeGreaterThanB(column_A=item.column, column_B=terms["other"], or_equal=True, **meta)


def _told(item: Expectation, outcome: Any) -> ExpectationResult:
    """Return Great Expectations' result in our words."""
    if outcome is None:
        return ExpectationResult(item.name, item.column, item.severity, False, crashed="no result came back")
    crash = _crash(outcome.exception_info)
    if crash:
        return ExpectationResult(item.name, item.column, item.severity, False, crashed=crash)
    examples = tuple(str(value) for value in outcome.result.get("partial_unexpected_list") or ())
    count = int(outcome.result.get("unexpected_count") or 0)
    return ExpectationResult(item.name, item.column, item.severity, bool(outcome.success), count, examples)


def _crash(info: Any) -> str:
    """Return the error of a check, empty where it raised none; Great Expectations tells it flat or by metric."""
    flat = info or {}
    if flat.get("raised_exception"):
        return str(flat.get("exception_message") or "the check raised an exception")
    nested = [value for value in flat.values() if isinstance(value, Mapping)]
    return next((str(value.get("exception_message") or "the check raised an exception") for value in nested), "")
