"""The gates as expectations: they find exactly the rows whose verdict is no, and each finds the row that breaks it alone."""

from datetime import date

import pyarrow as pa
import pyarrow.compute as pc
import pytest

from portfolio_platform.diagnostics.pipeline import sufficiency
from portfolio_platform.evidence.catalogue import BY_NAME
from portfolio_platform.evidence.expectations import COLUMNS, check_gates, run, to_frame
from portfolio_platform.evidence.gates import Gate, gates_by_class
from portfolio_platform.evidence.metric import GateClass
from portfolio_platform.lake import derived
from portfolio_platform.lake.progress import Plan
from portfolio_platform.policy.assigned import Assigned
from portfolio_platform.policy.model import Policy

POLICY = Policy()
SCHEMA = pa.schema([derived.SAMPLE_SUFFICIENCY.arrow_schema().field(name) for name in COLUMNS])

GOOD = {
    "census": {"metric": "symbol_exposure", "value": 0.2, "threshold": 0.3},
    "estimated": {"metric": "stack_ratio", "value": 2.5, "threshold": 2.0, "low": 2.1, "high": 3.0, "sample_size": 60, "required": 30},
    "capital": {"metric": "capital_gate", "value": 50.0, "threshold": 40.0, "sample_size": 50, "required": 40},
    "skill": {"metric": "skill_gate", "value": 0.97, "threshold": 0.95, "sample_size": 400, "required": 300},
}
OTHERS = {
    "results are positive": {"metric": "capital_mean_r", "value": 0.2, "threshold": 0.0},
    "slippage is within its limit": {"metric": "capital_slippage", "value": 3.0, "threshold": 25.0},
    "the drawdown is within plan": {"metric": "capital_drawdown", "value": 0.02, "threshold": 0.1},
    "the interval excludes the threshold (<=)": {"metric": "missed_rate", "value": 0.1, "threshold": 0.2, "low": 0.05, "high": 0.15},
}
BREAKS = {
    "there is a value": {"value": None},
    "the sample is large enough": {"sample_size": 0},
    "coverage is wide enough": {"coverage": 0.94},
    "the interval excludes the threshold (>=)": {"low": 1.9},
    "the interval excludes the threshold (<=)": {"high": 0.25},
    "results are positive": {"value": 0.0},
    "slippage is within its limit": {"value": 26.0},
    "the drawdown is within plan": {"value": 0.11},
    "all conditions hold": {"coverage": 0.75},
    "skill is likely": {"value": 0.94},
    "a track record can prove it": {"required": None},
    "the track record is long enough": {"sample_size": 299},
}
GATES = [(kind, gate) for kind, gates in gates_by_class(POLICY).items() for gate in gates]


def row(kind: GateClass, gate: Gate | None = None, **changed):
    chosen = OTHERS.get(gate.name, GOOD[kind]) if gate else GOOD[kind]
    usual = {"day": date(2010, 1, 4), "portfolio": "a", "scope": "", "gate": kind, "coverage": 1.0, "passed": True}
    return {**dict.fromkeys(COLUMNS), **usual, "sample_size": 60, "required": 1, **chosen, **changed}


def table(rows):
    return pa.Table.from_pylist(rows, SCHEMA)


def test_every_gate_is_tried():
    assert {gate.name for _, gate in GATES} <= set(BREAKS)


@pytest.mark.parametrize(("kind", "gate"), GATES, ids=lambda item: getattr(item, "name", item))
def test_a_good_row_passes_and_one_that_breaks_a_gate_is_found_by_it(kind, gate):
    frame = to_frame(table([row(kind, gate), row(kind, gate, **BREAKS[gate.name]), row(kind, gate)]))
    found = {item.gate.name: item for item in run(frame, POLICY)}
    assert found[gate.name].stopped == (1,)
    assert found[gate.name].asked == 3
    # what breaks one gate is no breach of another; but a null meets no condition, and a sample of none proves nothing
    others = {name for name, item in found.items() if item.stopped and name != gate.name}
    assert not others or gate.name in ("there is a value", "the sample is large enough")


def test_a_gate_asks_nothing_of_other_metrics():
    """An interval around the threshold is no fault of a value that does not pass it, nor of a metric without a rule."""
    calm = row("estimated", value=1.5, low=1.0, high=3.0)
    other = row("estimated", metric="correlation_score", value=5.0, low=1.0, high=9.0)
    assert check_gates(table([calm, other]), Assigned(POLICY).of).success


def test_a_verdict_that_the_expectations_do_not_share_is_disputed():
    wrong = [row("census"), row("census", passed=False), row("census", coverage=0.5)]
    found = check_gates(table(wrong), Assigned(POLICY).of)
    assert found.disputed == (1, 2)
    assert not found.agrees
    assert not found.success


def test_counts_are_by_gate_and_metric():
    bad = [row("skill", value=0.5, passed=False), row("census", coverage=0.5, passed=False), row("census", coverage=0.4, passed=False)]
    found = check_gates(table(bad), Assigned(POLICY).of)
    assert [(item.kind, item.gate, item.metric, item.stopped) for item in found.counts] == [
        ("census", "coverage is wide enough", "symbol_exposure", 2),
        ("skill", "skill is likely", "skill_gate", 1),
    ]
    assert (found.rows, found.stopped, found.agrees, found.success) == (3, 3, True, False)


def test_portfolios_are_checked_under_their_own_policies():
    strict = Policy.model_validate({"gates": {"coverage": 0.99}})
    rows = [row("census", coverage=0.97), row("census", coverage=0.97, portfolio="b", passed=False)]
    found = check_gates(table(rows), Assigned(POLICY, {"b": strict}).of)
    assert (found.stopped, found.agrees) == (1, True)


def test_no_rows_are_no_failure():
    assert check_gates(table([]), Assigned(POLICY).of).success


def test_expectations_find_exactly_the_rows_of_the_sample_that_failed(sample_home):
    plan = Plan(sample_home.first_day, date(2010, 12, 31), 1, {})
    rows = sufficiency.compute(sample_home, Assigned(POLICY), plan)[derived.SAMPLE_SUFFICIENCY]
    found = check_gates(rows, Assigned(POLICY).of)
    failed = len(rows) - pc.sum(rows["passed"]).as_py()
    assert found.disputed == ()
    assert found.stopped == failed > 1000
    assert {BY_NAME[item.metric].gate for item in found.counts} >= {"census", "capital", "skill"}
