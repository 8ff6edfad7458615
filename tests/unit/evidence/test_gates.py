"""The gates: what each asks for, what a null does, how a failure is worded, and that the declarations cover every metric."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from portfolio_platform.evidence.catalogue import BY_NAME, GATE_METRICS, METRICS
from portfolio_platform.evidence.gates import Sample, confidence_of, gates_by_class, judge, required_of, threshold_of
from portfolio_platform.evidence.metric import COLUMN, WHOLE
from portfolio_platform.lake.derived import DERIVED
from portfolio_platform.policy.alerts import Rule
from portfolio_platform.policy.model import Policy

POLICY = Policy()
NAN = float("nan")


def sample(metric, value, *, size=100.0, coverage=1.0, low=NAN, high=NAN, policy=POLICY, required=None):
    limit = threshold_of(policy, metric)
    asked = float(required_of(policy, metric)) if required is None else required
    numbers = (value, size, asked, coverage, low, high, NAN if limit is None else limit.value)
    return Sample((metric,), np.zeros(1, np.int64), *(np.array([number], np.float64) for number in numbers))


def verdict(metric, value, **given):
    passed, failures = judge(sample(metric, value, **given), gates_by_class(POLICY))
    return bool(passed[0]), [failure.texts[failure.code[0]] for failure in failures]


@pytest.mark.parametrize(
    ("metric", "value", "given", "passed", "said"),
    [
        ("symbol_exposure", 0.2, {"size": 1.0}, True, []),
        ("symbol_exposure", 0.2, {"size": 1.0, "coverage": 0.95}, True, []),
        ("symbol_exposure", 0.2, {"size": 1.0, "coverage": 0.949}, False, ["94.9 % of the exposure is covered where 95.0 % is asked for"]),
        ("symbol_exposure", NAN, {"size": 1.0}, False, [""]),
        ("symbol_exposure", 0.2, {"size": 1.0, "coverage": NAN}, False, ["unknown of the exposure is covered where 95.0 % is asked for"]),
        ("churn", 0.9, {"size": 5.0}, False, ["5 of 6 observations"]),
        ("churn", 0.9, {"size": 6.0}, True, []),
        ("stack_ratio", 3.4, {"low": 3.1, "high": 3.9}, True, []),
        ("stack_ratio", 3.4, {"low": 3.0, "high": 3.9}, True, []),
        ("stack_ratio", 3.4, {"low": 2.9, "high": 3.9}, False, ["the interval 2.9 to 3.9 contains the threshold 3"]),
        ("stack_ratio", 3.4, {}, False, ["the interval unknown to unknown contains the threshold 3"]),
        ("stack_ratio", 1.4, {"low": 1.2, "high": 2.9}, True, []),
        ("stack_ratio", 3.4, {"low": 3.1, "size": 29.0}, False, ["29 of 30 observations"]),
        ("slippage_drift", 3.5, {"low": 3.5, "size": 12.0}, True, []),
        ("drawdown_z", 3.0, {"size": 30.0, "low": 2.5, "high": 3.5}, True, []),
        ("drawdown_z", 3.0, {"size": 30.0, "low": 2.4, "high": 3.5}, False, ["the interval 2.4 to 3.5 contains the threshold 2.5"]),
        ("idle", 0.6, {"size": 5.0, "low": 0.49, "high": 0.7}, False, ["the interval 0.49 to 0.7 contains the threshold 0.5"]),
        ("template_drift", 0.2, {"size": 120.0, "low": 0.13, "high": 0.3}, True, []),
        ("capital_gate", 40.0, {"size": 40.0}, True, []),
        ("capital_gate", 39.0, {"size": 39.0, "coverage": 0.75}, False, ["39 of 40 observations", "75.0 % of the conditions hold"]),
        ("capital_mean_r", 0.0, {}, False, ["the mean result 0 R is not positive"]),
        ("capital_slippage", 25.0, {}, True, []),
        ("capital_slippage", 25.1, {}, False, ["median slippage 25.1 bps is above 25 bps"]),
        ("capital_drawdown", 0.101, {}, False, ["drawdown 10.1 % is above 10.0 %"]),
        ("skill_gate", 0.96, {"size": 300.0, "required": 280.0}, True, []),
        ("skill_gate", 0.90, {"size": 300.0, "required": 280.0}, False, ["probability of skill 0.9 is below 0.95"]),
        (
            "skill_gate",
            0.96,
            {"size": 300.0, "required": 301.0},
            False,
            ["300 effective observations of a minimum track record of 301"],
        ),
        (
            "skill_gate",
            0.3,
            {"required": NAN},
            False,
            ["probability of skill 0.3 is below 0.95", "the Sharpe ratio does not exceed its benchmark"],
        ),
    ],
)
def test_a_gate_asks_for_what_its_class_says(metric, value, given, passed, said):
    assert verdict(metric, value, **given) == (passed, said)


def test_the_side_of_a_rule_says_which_end_of_an_interval_counts():
    """A rule for low values: the interval's upper end has to lie below the threshold."""
    rule = Rule(metric="missed_rate", comparison="<=", warning=0.2, lookback="", sentence="", action="")
    policy = POLICY.model_copy(update={"alerts": POLICY.alerts.model_copy(update={"rules": {"few": rule}})})
    for high, expected in ((0.19, True), (0.25, False)):
        rows = sample("missed_rate", 0.1, low=0.05, high=high, policy=policy)
        assert judge(rows, gates_by_class(policy))[0].tolist() == [expected]


def test_what_tightens_asks_for_less_confidence_than_what_loosens():
    assert confidence_of(POLICY, "stack_ratio") == confidence_of(POLICY, "drawdown_z") == POLICY.gates.tightening_confidence == 0.90
    assert confidence_of(POLICY, "idle") == POLICY.gates.loosening_confidence == 0.95
    off = {name: remedy.model_copy(update={"enabled": False}) for name, remedy in POLICY.recommendations.remedies.items()}
    policy = POLICY.model_copy(update={"recommendations": POLICY.recommendations.model_copy(update={"remedies": off})})
    assert confidence_of(policy, "idle") == 0.90


def test_every_estimate_that_a_rule_looks_at_has_an_interval_or_is_a_test_itself():
    """A chance, a signal of a test and the distance of one day estimate nothing that an interval could be of."""
    tests = {"trades_tail", "trips_tail", "failure_recurrence", "slippage_cusum", "turbulence"}
    looked_at = {rule.metric for rule in POLICY.alerts.rules.values()}
    without = {item.name for item in METRICS if item.gate == "estimated" and not (item.low or item.high or item.in_sigma)}
    assert without & looked_at == tests


def test_of_several_rules_the_mildest_threshold_counts_and_a_disabled_rule_does_not():
    rules = {
        name: Rule(metric="drawdown", warning=limit, lookback="", sentence="", action="", enabled=enabled)
        for name, limit, enabled in (("a", 0.08, True), ("b", 0.05, True), ("c", 0.01, False))
    }
    policy = POLICY.model_copy(update={"alerts": POLICY.alerts.model_copy(update={"rules": rules})})
    assert threshold_of(policy, "drawdown").value == 0.05
    assert threshold_of(policy, "heat") is None


@given(
    st.lists(
        st.tuples(
            st.sampled_from([metric.name for metric in (*METRICS, *GATE_METRICS)]),
            *(st.one_of(st.just(NAN), st.floats(-5.0, 5.0)) for _ in range(5)),
            st.integers(0, 50),
        ),
        min_size=1,
        max_size=25,
    )
)
def test_rows_are_judged_together_as_they_are_alone(rows):
    names = tuple(sorted({row[0] for row in rows}))
    columns = [np.array([row[place] for row in rows]) for place in range(1, 7)]
    metric = np.array([names.index(row[0]) for row in rows])
    thresholds = np.array([getattr(threshold_of(POLICY, row[0]), "value", NAN) for row in rows])
    required = np.array([float(required_of(POLICY, row[0])) for row in rows])
    value, coverage, low, high, _, size = columns
    together = Sample(names, metric, value, size.astype(np.float64), required, coverage, low, high, thresholds)
    passed, failures = judge(together, gates_by_class(POLICY))
    for place, row in enumerate(rows):
        alone = sample(row[0], value[place], size=float(size[place]), coverage=coverage[place], low=low[place], high=high[place])
        expected, reasons = judge(alone, gates_by_class(POLICY))
        assert passed[place] == expected[0]
        mine = [failure.texts[failure.code[failure.place == place][0]] for failure in failures if (failure.place == place).any()]
        assert mine == [failure.texts[0] for failure in reasons]


def test_every_metric_reads_columns_that_its_table_has():
    for metric in METRICS:
        names = [metric.column, metric.over, metric.low, metric.high, metric.symbols, metric.why, *metric.scope, *metric.where]
        names += [metric.sample if ":" not in metric.sample else "", metric.coverage if metric.coverage != WHOLE else ""]
        names += [text.removeprefix(COLUMN) for text in (metric.method, str(metric.window)) if text.startswith(COLUMN)]
        assert {name for name in names if name} <= set(metric.table.column_names), metric.name
        assert {*metric.scope, *metric.where} <= set(metric.table.key), metric.name
        rest = set(metric.table.key) - {"day", "portfolio", *metric.scope, *metric.where}
        assert rest <= {"basis"}, f"{metric.name} leaves {rest} open"
        if ":" in metric.sample:
            table, column = metric.sample.split(":")
            assert column in DERIVED[table].column_names


def test_rules_and_minima_name_metrics_that_there_are():
    named = {rule.metric for rule in POLICY.alerts.rules.values()} | set(POLICY.gates.minimum)
    named |= {condition.metric for rule in POLICY.alerts.rules.values() for condition in rule.also}
    assert named <= set(BY_NAME)
