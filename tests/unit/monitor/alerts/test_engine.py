"""The state machine of alerts, day by day, against a slow one, and what it can never do."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from portfolio_platform.monitor.alerts.engine import COUNT, LEVEL, TRANSITION, TRANSITIONS
from portfolio_platform.monitor.alerts.grid import Metrics
from portfolio_platform.monitor.alerts.states import Alerts, alerts
from tests.unit.monitor.alerts.frames import day, metric_row, only, rule, series, sessions, table
from tests.unit.monitor.alerts.oracle import Slow

VALUES = st.lists(
    st.one_of(st.none(), st.sampled_from([0.0, 0.5, 0.7199, 0.72, 0.75, 0.8, 0.85, 0.9, 0.95, 1.0, 1.3])), min_size=1, max_size=40
)
SHAPES = st.fixed_dictionaries(
    {"leave_sessions": st.integers(1, 3), "cool_down": st.integers(0, 3), "leave": st.sampled_from([0.5, 0.9, 1.0])}
)
WHICH = st.sampled_from([{}, {"critical": None}, {"warning": None}])


def run(values, memory=None, **given_rule) -> Alerts:
    """The alerts of one series from session 1 on."""
    policy = only(r=rule(**given_rule))
    return alerts(Metrics(table(series(values))), {"core": sessions(1, len(values))}, lambda _: policy, memory or {})


def said(found: Alerts) -> list[tuple[int, str, str]]:
    """Session (1 the first), severity and transition of each entry."""
    levels, names = ("", "warning", "critical"), [*TRANSITIONS]
    names[1] = "stayed"
    return [
        (session + 1, levels[counts[LEVEL]], names[counts[TRANSITION]])
        for session, counts in zip(found.session.tolist(), found.counts.tolist(), strict=True)
    ]


def test_an_alert_fires_escalates_eases_and_ends_as_worked_by_hand():
    """Warning 0.8, critical 1.0, left at 0.72 and 0.90 for two sessions in a row."""
    values = [0.79, 0.80, 0.95, 1.00, 0.89, 0.91, 0.89, 0.88, 0.72, 0.71, 0.73, 0.70, 0.71, 0.85, 0.85]
    assert said(run(values)) == [
        (2, "warning", "fired"),
        (3, "warning", "stayed"),
        (4, "critical", "escalated"),
        (5, "critical", "stayed"),  # below 0.90 once
        (6, "critical", "stayed"),  # and back: the count starts again
        (7, "critical", "stayed"),
        (8, "warning", "eased"),
        (9, "warning", "stayed"),  # 0.72 is not below 0.72
        (10, "warning", "stayed"),
        (11, "warning", "stayed"),
        (12, "warning", "stayed"),
        (13, "warning", "resolved"),
        # session 14 is the cool-down
        (15, "warning", "fired"),
    ]


def test_a_cool_down_of_none_lets_the_next_session_fire():
    assert said(run([0.9, 0.1, 0.9], leave_sessions=1, cool_down=0))[-1] == (3, "warning", "fired")


def test_a_session_without_a_value_is_neither_calm_nor_a_breach():
    """Two calm sessions with a null between them end the alert; the null itself counts for nothing."""
    found = said(run([0.9, 0.1, None, None, 0.1, None, 0.9]))
    assert found == [
        (1, "warning", "fired"),
        (2, "warning", "stayed"),
        (3, "warning", "stayed"),
        (4, "warning", "stayed"),
        (5, "warning", "resolved"),
        (7, "warning", "fired"),  # session 6 was the cool-down
    ]
    assert said(run([None, None])) == []


def test_a_scope_that_is_gone_is_calm():
    """A position that was closed: its symbol has no row any more."""
    rows = [metric_row("core", number, "symbol_exposure", "AAPL", 0.5) for number in (1, 2)]
    rows += series([0.1] * 5)
    policy = only(r=rule(metric="symbol_exposure", warning=0.3, critical=0.45))
    found = alerts(Metrics(table(rows)), {"core": sessions(1, 5)}, lambda _: policy, {})
    assert said(found) == [(1, "critical", "fired"), (2, "critical", "stayed"), (3, "critical", "stayed"), (4, "critical", "resolved")]
    assert math.isnan(found.observed[2])


def test_a_metric_of_the_portfolio_that_is_missing_is_unknown_not_calm():
    rows = series([0.9]) + [metric_row("core", number, "drawdown", "", 0.0) for number in (2, 3, 4)]
    policy = only(r=rule())
    found = alerts(Metrics(table(rows)), {"core": sessions(1, 4)}, lambda _: policy, {})
    assert said(found)[-1] == (4, "warning", "stayed")


def test_conditions_are_looked_up_in_the_same_scope_and_else_in_the_portfolio():
    """Template drift fires where the template's own share is high; stacking where the portfolio's gross exposure is."""
    rows = [metric_row("core", 1, "template_drift", name, 0.2) for name in ("trend", "squeeze")]
    rows += [metric_row("core", 1, "template_share", "trend", 0.61), metric_row("core", 1, "template_share", "squeeze", 0.59)]
    also = [{"metric": "template_share", "comparison": ">=", "value": 0.6}]
    policy = only(r=rule(metric="template_drift", warning=0.12, critical=None, also=also))
    found = alerts(Metrics(table(rows)), {"core": sessions(1, 1)}, lambda _: policy, {})
    assert [found.scopes[code] for code in found.scope] == ["trend"]
    also = [{"metric": "gross_exposure", "comparison": ">=", "value": 0.5}]
    policy = only(r=rule(metric="template_drift", warning=0.12, critical=None, also=also))
    for gross, fired in ((0.49, 0), (0.5, 2), (None, 0)):
        with_gross = [*rows, metric_row("core", 1, "gross_exposure", "", gross)]
        assert len(alerts(Metrics(table(with_gross)), {"core": sessions(1, 1)}, lambda _: policy, {})) == fired


def test_an_alert_ends_where_its_condition_has_left_though_its_metric_has_not():
    """A stack ratio of 3 in a book of 5 % gross is nobody's problem."""
    rows = series([3.0] * 4, "stack_ratio") + series([0.6, 0.48, 0.44, 0.44], "gross_exposure")
    policy = only(r=rule(metric="stack_ratio", warning=2.0, critical=4.0, also=[{"metric": "gross_exposure", "value": 0.5}]))
    found = alerts(Metrics(table(rows)), {"core": sessions(1, 4)}, lambda _: policy, {})
    assert said(found) == [(1, "warning", "fired"), (2, "warning", "stayed"), (3, "warning", "stayed"), (4, "warning", "resolved")]


@given(VALUES, SHAPES, WHICH)
def test_it_does_what_the_slow_machine_does(values, shape, which):
    slow = Slow(rule(**shape, **which))
    expected = []
    for number, value in enumerate(values, start=1):
        before, change = slow.severity, slow.step(value)
        if change:
            expected.append((number, slow.severity or before, change))
    assert said(run(values, **shape, **which)) == expected


@given(VALUES, SHAPES)
def test_the_mirrored_rule_with_smaller_is_worse_does_the_same(values, shape):
    shape = shape | {"leave": 1.0}
    mirrored = [None if value is None else -value for value in values]
    below = run(mirrored, comparison="<=", warning=-0.8, critical=-1.0, **shape)
    assert said(below) == said(run(values, **shape))


@given(VALUES, SHAPES)
def test_flapping_cannot_make_more_transitions_than_hysteresis_allows(values, shape):
    """Each end costs leave_sessions and the cool-down, each easing leave_sessions: the rest follows."""
    changes = [name for _, _, name in said(run(values, **shape)) if name != "stayed"]
    size, leave = len(values), shape["leave_sessions"]
    assert changes.count("resolved") <= size // (1 + leave)
    assert changes.count("fired") <= 1 + changes.count("resolved")
    assert changes.count("fired") <= -(-size // (1 + leave + shape["cool_down"]))
    assert changes.count("eased") <= size // leave
    assert changes.count("escalated") <= changes.count("fired") + changes.count("eased")


@given(VALUES, VALUES, SHAPES)
def test_a_worse_series_is_never_judged_milder_while_both_fire_from_the_same_session(milder, steps, shape):
    """Without an end between them: severity never falls when every value is at least as bad."""
    size = min(len(milder), len(steps))
    mild = [value if value is not None else 0.85 for value in milder[:size]]
    grave = [max(value, other if other is not None else 0.0) for value, other in zip(mild, steps[:size], strict=True)]
    shape = shape | {"leave_sessions": 50}
    first, second = ({session: level for session, level, _ in said(run(values, **shape))} for values in (mild, grave))
    rank = {"": 0, "warning": 1, "critical": 2}
    assert all(rank[second.get(session, "")] >= rank[level] for session, level in first.items())


def test_portfolios_and_scopes_do_not_touch_each_other():
    rows = series([0.9, 0.9], portfolio="core") + series([0.1, 0.9], portfolio="macro")
    found = alerts(Metrics(table(rows)), {"core": sessions(1, 2), "macro": sessions(1, 2)}, lambda _: only(r=rule()), {})
    assert [(found.portfolios[p], s + 1) for p, s in zip(found.portfolio, found.session, strict=True)] == [
        ("core", 1),
        ("core", 2),
        ("macro", 2),
    ]


@pytest.mark.parametrize("order", [1, 7, 31])
def test_the_order_of_the_rows_decides_nothing(order):
    rows = series([0.9, 0.5, 0.5, 0.9, 1.1]) + series([0.4, 0.2, 0.5], "symbol_exposure", "AAPL")
    shuffled = table([rows[(place * order) % len(rows)] for place in range(len(rows))] if len(rows) % order else rows)
    policy = only(r=rule(), s=rule(metric="symbol_exposure", warning=0.3, critical=0.45))
    one, other = (alerts(Metrics(t), {"core": sessions(1, 5)}, lambda _: policy, {}) for t in (table(rows), shuffled))
    np.testing.assert_array_equal(one.counts, other.counts)
    assert one.scopes == other.scopes
    assert one.counts[:, COUNT].max() > 1
    assert day(1).isoformat() == "2010-03-01"
