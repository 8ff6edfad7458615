"""One reflection: what it says of a week by hand, findings and actions, and that nothing after the week changes it."""

from datetime import date, timedelta

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from portfolio_platform.errors import WrongUse
from portfolio_platform.monitor.reflection.compose import compose
from portfolio_platform.monitor.reflection.model import PortfolioReflection
from portfolio_platform.monitor.reflection.periods import period_from, period_of
from portfolio_platform.policy.model import Policy
from tests.unit.monitor.reflection.making import history, until, weekday

POLICY = Policy()
WEEK = period_of("weekly", weekday(20))


def made(whole, period=WEEK, policy=POLICY):
    return compose(whole, period, policy, mode="paper", base_currency="USD")


def about(found, kind):
    return {one.subject: one for one in found.findings if one.about == kind}


def test_weeks_begin_on_monday_and_months_on_their_first_day():
    assert (period_of("weekly", date(2010, 9, 19)).start, period_of("weekly", date(2010, 9, 19)).end) == (
        date(2010, 9, 13),
        date(2010, 9, 19),
    )
    assert (period_of("monthly", date(2008, 2, 29)).start, period_of("monthly", date(2008, 2, 29)).end) == (
        date(2008, 2, 1),
        date(2008, 2, 29),
    )
    with pytest.raises(WrongUse, match="begins on 2010-09-13"):
        period_from("weekly", date(2010, 9, 14))


def test_the_weeks_result_is_by_the_unit_value_from_the_close_before_it():
    unit = np.ones(30)
    unit[19:25] = (1.0, 1.1, 1.05, 1.045, 1.1, 1.21)
    found = made(history(unit))
    done = found.performance
    assert done.total_return == pytest.approx(0.21)
    assert done.best == pytest.approx(0.1)
    assert done.worst == pytest.approx(1.05 / 1.1 - 1)
    assert done.deepest_drawdown == pytest.approx(1 - 1.045 / 1.1)
    assert (done.first_session, done.last_session, done.previous_session) == (weekday(20), weekday(24), weekday(19))
    assert (found.action, found.clusters, found.findings) == ("hold", (), ())


def test_a_week_without_a_session_has_no_reflection():
    assert made(history(np.ones(10))) is None


def test_time_in_drawdown_regimes_and_regimes_of_signals_against_their_past():
    whole = history(np.ones(25), signals=[(place, "bull") for place in range(15)] + [(20, "bear"), (21, "bear"), (22, "bull")])
    whole.sessions.regime[22:] = "defensive"
    found = made(whole, policy=Policy.model_validate({"reflection": {"weekly_window": 5}}))
    times = {one.regime: (one.sessions, one.share, one.baseline_share) for one in found.drawdown_regimes}
    assert times == {"normal": (2, 0.4, 1.0), "defensive": (3, 0.6, 0.0)}
    regimes = {one.regime: (one.n, one.of, one.baseline_share, one.baseline_of) for one in found.signal_regimes}
    assert regimes == {"bear": (2, 3, 0.0, 15), "bull": (1, 3, 1.0, 15)}


def execution(measure, playbook, drift, *, n=30, lasting=False, unit="bars"):
    numbers = {"expected": 5.0, "realised": 9.0, "low": 7.0, "high": 11.0, "p90": None, "expected_p90": 8.0, "drift": drift}
    return {"measure": measure, "playbook": playbook, "unit": unit, "n": n, "cusum_signal": lasting, "reason": "", **numbers}


def test_a_lasting_drift_asks_for_a_new_plan_and_a_passing_one_is_shown():
    rows = (
        execution("holding_time", "lasts", 7.0, lasting=True),
        execution("holding_time", "passes", 7.0),
        execution("holding_time", "young", 7.0, n=11, lasting=True),
        execution("holding_time", "all", 7.0, lasting=True),
        execution("holding_time", "near", 1.0, lasting=True),
        execution("slippage", "small", 1.0, lasting=True, unit="bps"),
        execution("slippage", "large", 4.0, lasting=True, unit="bps"),
    )
    found = made(history(np.ones(25), execution={weekday(24): rows}))
    actions = {subject: one.action for subject, one in about(found, "execution").items()}
    assert actions == {"holding_time/lasts": "replan", "holding_time/passes": "hold", "slippage/large": "replan"}
    assert found.action == "replan"
    assert about(found, "execution")["holding_time/lasts"].evidence_ids == (
        f"execution_profile/p/{weekday(24)}/holding_time/lasts/realised",
    )


def calibrated(confidence, hit_rate, n):
    shares = {"hold_below_p50": 0.5, "hold_below_p90": 0.9, "mae_below_p50": 0.5, "mfe_above_p50": None}
    return {"confidence": confidence, "hit_rate": hit_rate, "n": n, "banded": n, **shares}


@pytest.mark.parametrize(
    ("confidence", "hit_rate", "n", "action"),
    [(0.7, 0.4, 100, "replan"), (0.4, 0.7, 100, "hold"), (0.55, 0.5, 100, None), (0.7, 0.4, 19, None)],
)
def test_confidence_outside_the_interval_of_what_came_true_is_a_finding(confidence, hit_rate, n, action):
    found = made(history(np.ones(25), calibration={weekday(24): calibrated(confidence, hit_rate, n)}))
    finding = about(found, "calibration").get("stated confidence")
    assert (finding.action if finding else None) == action
    assert {one.name: one.right for one in found.coverage}["hold_below_p90"] == 0.9


def failure(mode, **values):
    key = {"failure_mode": mode, "template": "t", "regime": "calm", "side": "long", "recurring": True}
    return (
        key | {"cases": 4, "trades": 9, "share": 0.4, "baseline_share": 0.1, "p_adjusted": 0.01, "loss_share": 0.3, "members": "A"} | values
    )


def test_failures_are_new_still_there_or_gone():
    before, now = weekday(19), weekday(24)
    rows = {before: (failure("old"), failure("stays")), now: (failure("stays"), failure("fresh"), failure("odd", recurring=False))}
    found = made(history(np.ones(25), failures=rows))
    assert {one.failure_mode: one.status for one in found.failures} == {"fresh": "new", "stays": "still_there", "old": "gone"}
    assert {one.failure_mode: one.evidence_id.split("/")[2] for one in found.failures}["old"] == before.isoformat()
    actions = {subject.split("/")[0]: one.action for subject, one in about(found, "failure_mode").items()}
    assert actions == {"fresh": "research_experiment", "stays": "replan"}


def firing(place, rule, *, passed=True, severity="critical"):
    said = {
        "severity": severity,
        "sentence": f"{rule} fires.",
        "evidence_ids": "a/b, c/d",
        "sample_size": 250,
        "required": 60,
        "gate_passed": passed,
    }
    return {"day": weekday(place), "rule": rule, "scope": "t", **said}


def test_what_fires_at_the_end_or_on_half_the_sessions_is_a_finding():
    rows = (
        *(firing(place, "template_drift") for place in (20, 21, 22)),
        firing(24, "idle_capital"),
        firing(24, "round_trip_rate", severity="warning"),
        firing(24, "playbook_share", passed=False),
        firing(20, "fills_rate"),
        firing(19, "round_trip_rate"),
    )
    found = made(history(np.ones(25), firing=tuple(sorted(rows, key=lambda row: row["day"]))))
    said = [(one.about, one.verdict, one.action) for one in found.findings]
    assert said == [
        ("allocation", "deviates", "policy_adjust"),
        ("capital", "deviates", "replan"),
        ("turnover", "deviates", "replan"),
        ("allocation", "insufficient_sample", "hold"),
    ]
    assert found.findings[0].evidence_ids == ("a/b", "c/d")
    assert "3 of 5 sessions" in found.findings[0].sentence


def crowd(place, strategies, group="SPX"):
    said = {"kind": "symbol", "group": group, "side": "long", "strategies": strategies, "members": "x, y", "exposure_pct": 0.5}
    return {"day": weekday(place), **said}


def test_a_crowd_of_the_rules_size_on_half_the_sessions_is_a_finding():
    rows = (*(crowd(place, 3) for place in (20, 21, 22)), *(crowd(place, 2, "IBM") for place in range(20, 25)), crowd(19, 4))
    found = made(history(np.ones(25), crowding=rows))
    assert [(one.group, one.sessions, one.strategies) for one in found.crowding] == [("SPX", 3, 3), ("IBM", 5, 2)]
    assert {subject: one.action for subject, one in about(found, "crowding").items()} == {"symbol/SPX/long": "replan"}
    grave = made(history(np.ones(25), crowding=tuple(crowd(place, 4) for place in (20, 21, 22))))
    assert about(grave, "crowding")["symbol/SPX/long"].action == "policy_adjust"


def test_an_allocation_alert_asks_for_a_new_plan_as_a_warning_and_for_another_policy_where_it_is_critical():
    for severity, action in (("warning", "replan"), ("critical", "policy_adjust")):
        found = made(history(np.ones(25), firing=(firing(24, "playbook_share", severity=severity),)))
        assert (found.action, [one.action for one in found.findings]) == (action, [action])
        assert found.why.endswith(": t (allocation).")


def test_a_losing_playbook_asks_for_a_change_of_policy_before_anything_else():
    rng = np.random.default_rng(8)
    lost = [(place % 25, "loser", float(r), float(r)) for place, r in enumerate(rng.normal(-0.9, 0.4, 40))]
    few = [(21, "young", 1.0, 1.0)]
    found = made(history(np.ones(25), sorted(lost + few), execution={weekday(24): (execution("mae", "loser", 1.0, lasting=True),)}))
    assert (found.action, about(found, "playbook")["loser"].verdict) == ("policy_adjust", "failed")
    young = about(found, "playbook")["young"]
    assert (young.verdict, young.action, young.n, young.required) == ("insufficient_sample", "hold", 1, 20)
    assert [one.action for one in found.findings] == sorted(
        (one.action for one in found.findings), key=("policy_adjust", "replan", "research_experiment", "hold").index
    )


def rich_history(seed, size=40):
    """A history in which everything has rows on every session."""
    rng = np.random.default_rng(seed)
    unit = np.cumprod(1 + rng.normal(0, 0.02, size))
    traded = sorted(
        (int(place), "ab"[k % 2], float(r), float(r) * 10, {"symbol": "XY"[k % 2], "purpose": ("policy", "research")[k % 7 == 0]})
        for k, (place, r) in enumerate(zip(rng.integers(0, size, 60), rng.normal(0, 1, 60), strict=True))
    )
    alerts = [(place, rule) for place in range(size) for rule in ("heat", "stack") if rng.random() < 0.2]
    days = [weekday(place) for place in range(size)]
    return history(
        unit,
        [(row[0], row[1], row[2], row[3], row[4]) for row in traded],
        alerts,
        [(place, "xyz"[place % 3]) for place in range(size)],
        execution={day: (execution("mae", "a", float(rng.random()), lasting=True),) for day in days},
        calibration={day: calibrated(0.6, float(rng.random()), 50) for day in days},
        failures={day: tuple(failure(mode) for mode in "abc" if rng.random() < 0.5) for day in days},
        crowding=tuple(crowd(place, int(rng.integers(2, 5))) for place in range(size)),
        firing=tuple(firing(place, "template_drift") for place in range(size) if rng.random() < 0.5),
        recommendations=tuple(
            {"day": day, "recommendation_id": f"r{k}", "status": "issued", "mode": "normal", "monitor_only": False, "adjustments": k}
            | {"supersedes": f"r{k - 1}"}
            for k, day in enumerate(days)
        ),
    )


@settings(max_examples=15)
@given(st.integers(0, 2**31))
def test_facts_after_the_week_change_nothing_and_the_bytes_are_the_same_each_time(seed):
    whole = rich_history(seed)
    found = made(whole)
    known = made(until(whole, WEEK.end))
    assert found.canonical() == known.canonical()
    assert made(rich_history(seed)).hash == found.hash
    # and what came before does matter
    earlier = made(until(whole, WEEK.end - timedelta(days=3)))
    assert earlier.canonical() != found.canonical()


def test_the_content_reads_back_as_the_same_reflection():
    found = made(rich_history(3))
    again = PortfolioReflection.from_bytes(found.canonical())
    assert (again.canonical(), again.hash) == (found.canonical(), found.hash)
    assert found.research
    assert {one.fate for one in found.recommendations} == {"superseded", "standing"}
