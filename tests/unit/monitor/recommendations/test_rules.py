"""What a session's alerts, regime and gates call for."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from portfolio_platform.monitor.recommendations.model import GRAVITY, CalledFor
from portfolio_platform.monitor.recommendations.rules import held, propose, tightest
from portfolio_platform.policy.alerts import Remedy
from tests.unit.monitor.recommendations.facts import POLICY, alert, gate, session


def asked(*alerts, **more):
    """Kind, scope, from and to of each adjustment."""
    return [(item.kind, item.scope, item.before, item.after) for item in propose(session(*alerts, **more), POLICY).called_for.adjustments]


@pytest.mark.parametrize(
    ("regime", "mode"), [("normal", "normal"), ("defensive", "defensive"), ("probation", "defensive"), ("risk_off", "risk_off")]
)
def test_the_mode_follows_the_regime(regime, mode):
    assert propose(session(regime=regime), POLICY).called_for == CalledFor(mode=mode)


@pytest.mark.parametrize(
    ("fact", "adjustment"),
    [
        (alert("heat"), ("heat", "", 0.06, 0.045)),  # a quarter of the cap
        (alert("symbol_exposure", scope="AAPL"), ("symbol", "AAPL", 1.2, 0.96)),  # a fifth of the rest
        (alert("cohort_exposure", scope="tech"), ("cohort", "tech", 1.25, 1.0)),
        (alert("sector_exposure", scope="IT"), ("sector", "IT", 1.25, 1.0)),
        (alert("template_drift", "warning", "trend"), ("template", "trend", 0.6, 0.48)),
        (alert("playbook_share", scope="p"), ("playbook", "p", 0.7, 0.56)),
        (alert("stack"), ("bucket", "", 1.25, 1.0)),
        (alert("bucket_exposure", scope="AAPL"), ("bucket", "", 1.25, 1.0)),
        (alert("crowding", scope="symbol/AAPL/long"), ("position_count", "", 20.0, 16.0)),
        (alert("churn", scope="AAPL"), ("new_positions", "", 5.0, 4.0)),
        (alert("slippage_drift", "warning", "all"), ("new_positions", "", 5.0, 4.0)),
    ],
)
def test_each_alert_tightens_the_cap_that_its_remedy_names(fact, adjustment):
    assert asked(fact) == [adjustment]


def test_a_warning_does_not_ask_for_what_only_a_critical_alert_asks_for():
    assert asked(alert("heat", "warning"), alert("symbol_exposure", "warning", "AAPL")) == []


def test_alerts_that_ask_for_one_cap_make_one_adjustment():
    assert asked(alert("stack"), alert("bucket_exposure", scope="A"), alert("churn", scope="A"), alert("trade_rate")) == [
        ("bucket", "", 1.25, 1.0),
        ("new_positions", "", 5.0, 4.0),
    ]


@pytest.mark.parametrize(
    ("more", "because"),
    [
        ({}, "skill gate"),
        ({"skill": None}, "skill gate"),
        ({"skill": gate("skill_gate", 0.99, True), "heat_use": gate("heat_use", 1.0, True)}, "no room under the heat cap"),
        ({"skill": gate("skill_gate", 0.99, True), "heat_use": gate("heat_use", None, False)}, "heat cannot be measured"),
        ({"skill": gate("skill_gate", 0.99, True), "regime": "defensive"}, "in defensive mode"),
    ],
)
def test_nothing_is_loosened_without_skill_and_room_and_that_is_said(more, because):
    found = propose(session(alert("idle_capital", "warning"), **more), POLICY)
    assert found.called_for.adjustments == ()
    (kept,) = found.withheld
    assert kept.adjustment.direction == "loosen"
    assert because in kept.because


def test_with_skill_and_room_the_heat_cap_is_loosened():
    skilled = {"skill": gate("skill_gate", 0.99, True)}
    assert asked(alert("idle_capital", "warning"), **skilled) == [("heat", "", 0.06, 0.075)]
    assert asked(alert("idle_capital", "warning"), alert("stack"), **skilled) == [("bucket", "", 1.25, 1.0)]


def test_an_adjustment_without_evidence_is_withheld_and_does_not_hold_back_the_rest():
    thin = alert("churn", scope="AAPL", gate_passed=False, gate_reason="4 of 6 observations", sample_size=4, required=6, sessions_until=3.0)
    found = propose(session(thin, alert("heat"), regime="risk_off"), POLICY)
    assert (found.called_for.mode, found.called_for.monitor_only) == ("risk_off", False)
    assert [item.kind for item in found.called_for.adjustments] == ["heat"]
    (kept,) = found.withheld
    assert (kept.missing[0].sample_size, kept.missing[0].required, kept.missing[0].sessions_until) == (4, 6, 3.0)


def test_where_nothing_has_evidence_it_is_for_the_monitor_only():
    thin = alert("churn", scope="AAPL", gate_passed=False, gate_reason="4 of 6 observations", sample_size=4, required=6, sessions_until=3.0)
    found = propose(session(thin), POLICY)
    assert found.called_for.monitor_only
    assert [item.kind for item in found.called_for.adjustments] == ["new_positions"]
    assert [item.metric for item in found.missing] == ["churn"]
    assert found.withheld == ()


def test_a_mode_whose_drawdown_cannot_be_judged_is_for_the_monitor_only():
    found = propose(session(regime="risk_off", regime_reason="stale_mark"), POLICY)
    assert (found.called_for.mode, found.called_for.monitor_only, found.missing[0].reason) == ("risk_off", True, "stale_mark")


def test_a_home_may_ask_for_flatten_only_and_other_steps():
    remedies = {"beyond_stop": Remedy(kind="force_flatten_only", at="warning"), "heat": Remedy(kind="heat", at="warning", step=0.5)}
    policy = POLICY.model_copy(update={"recommendations": POLICY.recommendations.model_copy(update={"remedies": remedies})})
    found = propose(session(alert("beyond_stop", "warning"), alert("heat", "warning")), policy).called_for.adjustments
    assert [(item.kind, item.before, item.after) for item in found] == [("force_flatten_only", 0.0, 1.0), ("heat", 0.06, 0.03)]


RULES = st.sampled_from(["heat", "symbol_exposure", "stack", "churn", "crowding", "template_drift", "idle_capital"])
FACTS = st.lists(st.tuples(RULES, st.sampled_from(["warning", "critical"]), st.booleans()), max_size=5, unique_by=lambda fact: fact[0])
REGIMES = st.sampled_from(["normal", "defensive", "probation", "risk_off"])


def at_least_as_tight(graver: CalledFor, milder: CalledFor) -> bool:
    """Say whether one binds nowhere less than the other; what is only for the monitor binds nobody."""
    if milder.monitor_only or milder.nothing:
        return True
    caps = {item.key: item.after for item in graver.adjustments if item.direction == "tighten"}
    wanted = {item.key: item.after for item in milder.adjustments if item.direction == "tighten"}
    return (
        not graver.monitor_only
        and GRAVITY[graver.mode] >= GRAVITY[milder.mode]
        and all(key in caps and caps[key] <= limit for key, limit in wanted.items())
    )


@given(FACTS, REGIMES, RULES)
def test_one_alert_more_or_a_graver_one_never_binds_less(facts, regime, rule):
    alerts = [alert(name, severity, "X", gate_passed=passed) for name, severity, passed in facts]
    more = [fact for fact in alerts if fact.rule != rule] + [alert(rule, "critical", "X")]
    before, after = (propose(session(*given_alerts, regime=regime), POLICY).called_for for given_alerts in (alerts, more))
    assert at_least_as_tight(after, before)


@given(st.permutations([alert("heat"), alert("stack"), alert("churn", scope="A"), alert("symbol_exposure", scope="B")]))
def test_the_order_of_the_alerts_decides_nothing(facts):
    assert propose(session(*facts), POLICY) == propose(session(*reversed(facts)), POLICY)


@given(FACTS, FACTS, REGIMES, REGIMES)
def test_what_is_held_binds_at_least_as_much_as_both(first, second, regime, later):
    standing, wanted = (
        propose(
            session(*(alert(name, severity, "X", gate_passed=passed) for name, severity, passed in facts), regime=mode), POLICY
        ).called_for
        for facts, mode in ((first, regime), (second, later))
    )
    found = held(wanted, standing)
    assert at_least_as_tight(found, standing) and at_least_as_tight(found, wanted)


def test_of_two_tightenings_the_tighter_and_a_tightening_before_a_loosening():
    heat, loose = propose(session(alert("heat")), POLICY).called_for.adjustments[0], None
    loose = heat.model_copy(update={"direction": "loosen", "after": 0.075})
    tighter = heat.model_copy(update={"after": 0.03})
    assert tightest([loose, heat, tighter]) == (tighter,)
    assert tightest([loose]) == (loose,)
