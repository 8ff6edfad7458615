"""The sample gates as expectations: one suite for each gate class, built from the declarations that the verdict is built from.

What belongs here: running the gates over rows of `sample_sufficiency` with Great Expectations, an engine of its own, so that a
verdict is never its own only witness. What a gate asks for is in `gates`. Great Expectations is imported where it runs, for
that takes seconds.
"""

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from importlib import import_module
from typing import TYPE_CHECKING, Any

from portfolio_platform.evidence.gates import Condition, Gate, gates_by_class
from portfolio_platform.evidence.metric import GateClass
from portfolio_platform.lake.expectations import outcomes
from portfolio_platform.policy.model import Policy

if TYPE_CHECKING:
    import pandas as pd
    import pyarrow as pa

COLUMNS = (
    "day",
    "portfolio",
    "metric",
    "scope",
    "gate",
    "value",
    "sample_size",
    "required",
    "coverage",
    "low",
    "high",
    "threshold",
    "passed",
)
NUMBERS = ("value", "sample_size", "required", "coverage", "low", "high", "threshold")


@dataclass(frozen=True)
class Expected:
    """How one gate went: the rows it was asked of, and the places in the frame of those that it stops."""

    kind: GateClass
    gate: Gate
    asked: int
    stopped: tuple[int, ...]


@dataclass(frozen=True)
class Count:
    """How many rows of a metric a gate stops."""

    kind: GateClass
    gate: str
    metric: str
    stopped: int


@dataclass(frozen=True)
class GateCheck:
    """What the expectations found in rows, and where they and the stored verdicts differ (places in the rows)."""

    rows: int
    stopped: int
    counts: tuple[Count, ...]
    disputed: tuple[int, ...]

    @property
    def success(self) -> bool:
        """Say whether every row passes its gates; a failure is a warning, for a small sample is no error."""
        return not self.stopped and self.agrees

    @property
    def agrees(self) -> bool:
        """Say whether the stored verdicts are those that the expectations come to."""
        return not self.disputed


def check_gates(rows: "pa.Table", policy_of: Callable[[str], Policy]) -> GateCheck:
    """Check rows of `sample_sufficiency` (`COLUMNS`) against the gates of their portfolios' policies.

    Raises `RuntimeError` where an expectation could not be evaluated: that says nothing of the rows.
    """
    frame = to_frame(rows)
    found: list[Expected] = []
    portfolios = frame["portfolio"].unique().tolist()
    for policy in {policy_of(name).hash: policy_of(name) for name in portfolios}.values():
        mine = [name for name in portfolios if policy_of(name).hash == policy.hash]
        found += run(frame[frame["portfolio"].isin(mine)], policy)
    metric, passed = frame["metric"].to_numpy(), frame["passed"].to_numpy()
    counted: Counter[tuple[GateClass, str, str]] = Counter()
    for item in found:
        counted.update((item.kind, item.gate.name, str(metric[place])) for place in item.stopped)
    stopped = {place for item in found for place in item.stopped}
    said = set((~passed.astype(bool)).nonzero()[0].tolist())
    counts = tuple(Count(kind, gate, name, many) for (kind, gate, name), many in sorted(counted.items()))
    return GateCheck(len(frame), len(stopped), counts, tuple(sorted(stopped ^ said)))


def to_frame(rows: "pa.Table") -> "pd.DataFrame":
    """Return rows as a frame whose index is their place; numbers and counts as floats, null as NaN."""
    frame: pd.DataFrame = rows.select(COLUMNS).to_pandas()
    return frame.astype(dict.fromkeys(NUMBERS, "float64"))


def run(frame: "pd.DataFrame", policy: Policy) -> list[Expected]:
    """Return how each gate went over the frame's rows of its class, one suite for each class."""
    found: list[Expected] = []
    for kind, gates in gates_by_class(policy).items():
        of_class = frame[frame["gate"] == kind]
        if len(of_class):
            found += _run_suite(kind, gates, of_class)
    return found


def suite(kind: GateClass, gates: Sequence[Gate]) -> Any:
    """Return the expectation suite of a gate class."""
    great_expectations: Any = import_module("great_expectations")
    made = [_expectation()(**terms(gate), meta={"place": place, "gate": gate.name}) for place, gate in enumerate(gates)]
    return great_expectations.ExpectationSuite(name=f"{kind} gates", expectations=made)


def terms(gate: Gate) -> dict[str, Any]:
    """Return a gate as the terms of its expectation."""
    told = {"column": gate.condition.column, "comparison": gate.condition.comparison, "other": gate.condition.other}
    when = None if gate.when is None else [gate.when.column, gate.when.comparison, gate.when.other]
    return {"column_list": [*dict.fromkeys(("metric", *gate.columns, "value"))], "holds": told, "when": when, "metrics": list(gate.metrics)}


def _run_suite(kind: GateClass, gates: Sequence[Gate], frame: "pd.DataFrame") -> list[Expected]:
    results = outcomes(frame, suite(kind, gates).expectations, {"result_format": "COMPLETE"})
    by_place = {result.expectation_config.meta["place"]: result for result in results}
    found = []
    for place, gate in enumerate(gates):
        result = by_place.get(place)
        if result is None or "unexpected_index_list" not in result.result:
            raise RuntimeError(f"the gate {gate.name!r} of {kind} could not be checked: {getattr(result, 'exception_info', 'no result')}")
        index = result.result["unexpected_index_list"] or []
        found.append(Expected(kind, gate, int(result.result["element_count"]), tuple(int(row) for row in index)))
    return found


def _met(frame: "pd.DataFrame", condition: Condition) -> "pd.Series[bool]":
    """Say where a condition holds, in pandas; a null meets none."""
    left = frame[condition.column]
    if condition.comparison == "given":
        return left.notna()
    right = frame[condition.other] if isinstance(condition.other, str) else condition.other
    compared: dict[str, Any] = {">=": left.ge, "<=": left.le, ">": left.gt, "<": left.lt}
    met: pd.Series[bool] = compared[condition.comparison](right)
    return met


@lru_cache(maxsize=1)
def _expectation() -> Any:
    """Return the class of the custom expectation, made once: it needs Great Expectations to be loaded."""
    engines: Any = import_module("great_expectations.execution_engine")
    expectations: Any = import_module("great_expectations.expectations.expectation")
    providers: Any = import_module("great_expectations.expectations.metrics.map_metric_provider")
    partial: Any = import_module("great_expectations.expectations.metrics.map_metric_provider.multicolumn_condition_partial")

    class GateHolds(providers.MulticolumnMapMetricProvider):  # type: ignore[misc]
        """Rows that a gate lets through, and rows that it does not ask about."""

        condition_metric_name = "evidence.gate_holds"
        condition_value_keys = ("holds", "when", "metrics")

        @partial.multicolumn_condition_partial(engine=engines.PandasExecutionEngine)  # type: ignore[untyped-decorator]
        def _pandas(cls, column_list: Any, **kwargs: Any) -> Any:  # noqa: N805
            let_through = _met(column_list, Condition(**kwargs["holds"]))
            if kwargs["when"]:
                let_through |= ~_met(column_list, Condition(*kwargs["when"]))
            if kwargs["metrics"]:
                let_through |= ~column_list["metric"].isin(kwargs["metrics"])
            return let_through

    class ExpectGateToHold(expectations.MulticolumnMapExpectation):  # type: ignore[misc]
        """Expect every row that a gate asks about to meet its condition; a null does not."""

        map_metric = "evidence.gate_holds"
        success_keys = ("mostly", "holds", "when", "metrics")
        ignore_row_if: str = "never"
        holds: dict[str, Any]
        when: list[Any] | None = None
        metrics: list[str] = []  # noqa: RUF012

    return ExpectGateToHold
