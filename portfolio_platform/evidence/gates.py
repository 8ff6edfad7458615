"""The sample gates: which conditions evidence has to meet before anything may rest on it. A gate is data.

The same declarations serve the vectorised verdict (`judge`) and the expectations of `expectations`. A condition on a null
does not hold. Sources: the table "Sample gates" of the diagnostics' definition; minima and limits are the policy's.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from string import Formatter
from typing import Literal

import numpy as np
import numpy.typing as npt

from portfolio_platform.evidence.catalogue import BY_NAME, METRICS
from portfolio_platform.evidence.metric import GateClass
from portfolio_platform.policy.alerts import Rule
from portfolio_platform.policy.model import Policy

Float64 = npt.NDArray[np.float64]
Int64 = npt.NDArray[np.int64]
Flags = npt.NDArray[np.bool_]
Comparison = Literal["given", ">=", "<=", ">", "<"]

CAPITAL_CONDITIONS = ("capital_gate", "capital_mean_r", "capital_slippage", "capital_drawdown")
"""Metrics whose verdicts make up the capital gate; its coverage is the share of them that hold."""


@dataclass(frozen=True)
class Condition:
    """A comparison of a column with a number or with another column of the same row; ``given`` says that it is not null."""

    column: str
    comparison: Comparison
    other: str | float = 0.0

    @property
    def columns(self) -> tuple[str, ...]:
        """Return the columns that it looks at."""
        return (self.column, self.other) if isinstance(self.other, str) else (self.column,)


@dataclass(frozen=True)
class Gate:
    """A condition that rows of a class must meet.

    Attributes:
        name: what a check calls it.
        condition: what must hold.
        words: why a row fails, with the row's columns in braces.
        when: rows on which it is asked for; None: on all.
        metrics: metrics of which it is asked for; empty: all of the class.
    """

    name: str
    condition: Condition
    words: str
    when: Condition | None = None
    metrics: tuple[str, ...] = ()

    @property
    def columns(self) -> tuple[str, ...]:
        """Return the columns that it looks at, each once."""
        found = (*self.condition.columns, *(self.when.columns if self.when else ()))
        return tuple(dict.fromkeys(found))


@dataclass(frozen=True)
class Threshold:
    """The threshold of a metric and the side on which it is passed."""

    comparison: Comparison
    value: float


@dataclass(frozen=True)
class Sample:
    """Evidence as arrays over rows: what gates look at. ``metric`` holds codes into ``names``; NaN is null."""

    names: tuple[str, ...]
    metric: Int64
    value: Float64
    sample_size: Float64
    required: Float64
    coverage: Float64
    low: Float64
    high: Float64
    threshold: Float64

    def column(self, name: str) -> Float64:
        """Return a column by name."""
        found: Float64 = getattr(self, name)
        return found


@dataclass(frozen=True)
class Failure:
    """The rows that a gate stops: their places, and why, as texts that repeat (``code`` into ``texts``)."""

    gate: Gate
    place: Int64
    code: Int64
    texts: tuple[str, ...]


_VALUED = Condition("value", "given")
_GIVEN = Gate("there is a value", _VALUED, "")
_ENOUGH = Gate("the sample is large enough", Condition("sample_size", ">=", "required"), "{sample_size} of {required} observations")


def gates_by_class(policy: Policy) -> Mapping[GateClass, tuple[Gate, ...]]:
    """Return the gates of each class under a policy."""
    census = Gate(
        "coverage is wide enough",
        Condition("coverage", ">=", policy.gates.coverage),
        f"{{coverage:share}} of the exposure is covered where {_percent(policy.gates.coverage)} is asked for",
    )
    intervals = tuple(_interval_gates(policy))
    return {
        "census": (_GIVEN, _ENOUGH, census),
        "estimated": (_GIVEN, _ENOUGH, *intervals),
        "capital": (
            _GIVEN,
            _ENOUGH,
            Gate(
                "results are positive",
                Condition("value", ">", "threshold"),
                "the mean result {value} R is not positive",
                _VALUED,
                _named("mean_r"),
            ),
            Gate(
                "slippage is within its limit",
                Condition("value", "<=", "threshold"),
                "median slippage {value} bps is above {threshold} bps",
                _VALUED,
                _named("slippage"),
            ),
            Gate(
                "the drawdown is within plan",
                Condition("value", "<=", "threshold"),
                "drawdown {value:share} is above {threshold:share}",
                _VALUED,
                _named("drawdown"),
            ),
            Gate("all conditions hold", Condition("coverage", ">=", 1.0), "{coverage:share} of the conditions hold", None, _named("gate")),
        ),
        "skill": (
            _GIVEN,
            Gate("skill is likely", Condition("value", ">=", "threshold"), "probability of skill {value} is below {threshold}", _VALUED),
            Gate("a track record can prove it", Condition("required", "given"), "the Sharpe ratio does not exceed its benchmark", _VALUED),
            Gate(
                "the track record is long enough",
                _ENOUGH.condition,
                "{sample_size} effective observations of a minimum track record of {required}",
                Condition("required", "given"),
            ),
        ),
    }


def _named(what: str) -> tuple[str, ...]:
    return (f"capital_{what}",)


def _interval_gates(policy: Policy) -> list[Gate]:
    """Return a gate for each side on which estimated metrics pass a threshold: the interval must lie beyond it too."""
    words = "the interval {low} to {high} contains the threshold {threshold}"
    sides: dict[Comparison, list[str]] = {}
    for metric in METRICS:
        found = threshold_of(policy, metric.name)
        if metric.gate == "estimated" and found is not None and (metric.low or metric.high or metric.in_sigma):
            sides.setdefault(found.comparison, []).append(metric.name)
    return [
        Gate(
            f"the interval excludes the threshold ({comparison})",
            Condition("low" if comparison.startswith(">") else "high", comparison, "threshold"),
            words,
            Condition("value", comparison, "threshold"),
            tuple(sorted(names)),
        )
        for comparison, names in sorted(sides.items())
    ]


def threshold_of(policy: Policy, metric: str) -> Threshold | None:
    """Return the mildest warning threshold that an enabled rule has on a metric (its critical one where it does not warn).

    Of rules that look to different sides, the first by id says which side counts.
    """
    limits = policy.gates
    own: dict[str, Threshold] = {
        "capital_gate": Threshold(">=", float(limits.capital_signals)),
        "capital_mean_r": Threshold(">", 0.0),
        "capital_slippage": Threshold("<=", limits.capital_slippage_bps),
        "capital_drawdown": Threshold("<=", limits.capital_drawdown),
        "skill_gate": Threshold(">=", limits.skill_psr),
    }
    if metric in own:
        return own[metric]
    rules = [rule for _, rule in sorted(policy.alerts.rules.items()) if rule.enabled and rule.metric == metric]
    if not rules:
        return None
    side = rules[0].comparison
    values = [_first_limit(rule) for rule in rules if rule.comparison == side]
    return Threshold(side, min(values) if side.startswith(">") else max(values))


def _first_limit(rule: Rule) -> float:
    limit = rule.warning if rule.warning is not None else rule.critical
    assert limit is not None  # a rule without any threshold is refused by the policy
    return limit


def required_of(policy: Policy, metric: str) -> int:
    """Return how many observations a metric asks for."""
    if metric == "capital_gate":
        return policy.gates.capital_signals
    return policy.gates.minimum.get(metric, 1)


def confidence_of(policy: Policy, metric: str) -> float:
    """Return the one-sided confidence that each end of a metric's interval has to have.

    What tightens asks for less than what loosens; a metric loosens where every remedy that rests on it does.
    """
    rules = [name for name, rule in policy.alerts.rules.items() if rule.metric == metric]
    remedies = policy.recommendations.remedies
    directions = {remedies[name].direction for name in rules if name in remedies and remedies[name].enabled}
    return policy.gates.loosening_confidence if directions == {"loosen"} else policy.gates.tightening_confidence


def judge(rows: Sample, gates: Mapping[GateClass, Sequence[Gate]]) -> tuple[Flags, list[Failure]]:
    """Return the verdict on each row, and what each gate stops, in the gates' order."""
    passed = np.ones(rows.metric.size, np.bool_)
    failures = []
    for kind, of_class in gates.items():
        for gate in of_class:
            asked = np.array([BY_NAME[name].gate == kind and (not gate.metrics or name in gate.metrics) for name in rows.names], np.bool_)
            stopped = asked[rows.metric] & ~_holds(gate.condition, rows)
            if gate.when is not None:
                stopped &= _holds(gate.when, rows)
            place = np.flatnonzero(stopped)
            if place.size:
                passed[place] = False
                failures.append(Failure(gate, place, *_worded(gate.words, rows, place)))
    return passed, failures


def _holds(condition: Condition, rows: Sample) -> Flags:
    left = rows.column(condition.column)
    if condition.comparison == "given":
        return np.isfinite(left)
    right = rows.column(condition.other) if isinstance(condition.other, str) else np.float64(condition.other)
    # a comparison with NaN is false: a null meets no condition
    compare = {">=": np.greater_equal, "<=": np.less_equal, ">": np.greater, "<": np.less}[condition.comparison]
    found: Flags = compare(left, right)
    return found


def _worded(words: str, rows: Sample, place: Int64) -> tuple[Int64, tuple[str, ...]]:
    """Return the words of each row as codes into the distinct texts; numbers in them are rounded."""
    parts = [(name, form or "") for _, name, form, _ in Formatter().parse(words) if name]
    if not parts:
        return np.zeros(place.size, np.int64), (words,)
    known, code = np.zeros((1, 0)), np.zeros(place.size, np.int64)
    for name, _ in parts:
        # column by column, so that only one-dimensional values are sorted
        values, which = np.unique(rows.column(name)[place], return_inverse=True)
        pairs, code = np.unique(code * values.size + which, return_inverse=True)
        earlier, here = np.divmod(pairs, values.size)
        known = np.column_stack((known[earlier], values[here]))
    names = [(name, form) for name, form in parts]
    plain = words.replace(":share", "")
    texts = [plain.format(**{name: _number(value, form) for (name, form), value in zip(names, row, strict=True)}) for row in known.tolist()]
    return code, tuple(texts)


def _number(value: float, form: str) -> str:
    if not np.isfinite(value):
        return "unknown"
    return _percent(value) if form == "share" else f"{value:.4g}" if abs(value) < 1e4 else f"{value:,.0f}"


def _percent(share: float) -> str:
    return f"{100.0 * share:.1f} %"
