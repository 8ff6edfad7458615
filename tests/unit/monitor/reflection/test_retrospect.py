"""How alerts and recommendations turned out: a history by hand, a plain loop, and nothing from after the period."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from portfolio_platform.evidence.intervals import wilson
from portfolio_platform.monitor.reflection.facts import span_of
from portfolio_platform.monitor.reflection.retrospect import further_loss, recommended, retrospect
from portfolio_platform.policy.alerts import ReflectionPolicy
from tests.unit.monitor.reflection.making import fired, sessions, weekday

RULES = ReflectionPolicy(alert_horizon=5, alert_drawdown=0.03)


def judged(unit, alerts, first, last, minimum=1, rules=RULES):
    line = sessions(unit)
    return retrospect("p", line, fired(alerts), span_of(line, weekday(first), weekday(last), 60), rules, minimum)


def hand_made():
    """Flat at 1; sessions 12 to 14 fall to 0.96, 0.95, 0.95, back to 1 from 15 on; 25 sessions."""
    unit = np.ones(25)
    unit[12:15] = (0.96, 0.95, 0.95)
    return unit


def test_precision_worked_by_hand():
    """Horizon of 5 sessions, loss of 3 %. Alerts at 2 (nothing came), 9 (came at 12), 16 (nothing came, decided at 21), 22 (open)."""
    seen = judged(hand_made(), [(2, "heat"), (9, "heat"), (16, "heat"), (22, "heat")], 20, 24)
    assert (seen.fired, seen.pending, seen.decided_now, seen.right_now) == (1, 1, 1, 0)
    record = seen.rules[0]
    assert (record.rule, record.decided, record.right) == ("heat", 3, 1)
    assert record.precision == pytest.approx(1 / 3)
    low, high = wilson(1, 3)
    assert (record.low, record.high) == (pytest.approx(low), pytest.approx(high))
    # sessions 0..19 are over; a loss of 3 % follows 7..11 (U = 1 then 0.96), and none of the fallen ones
    assert (seen.chance, seen.chance_sessions) == (pytest.approx(5 / 20), 20)


def test_the_alert_that_was_right_is_decided_in_the_session_in_which_the_loss_came():
    seen = judged(hand_made(), [(9, "heat", "x")], 10, 14)
    one = seen.alerts[0]
    assert (one.came, one.fired, one.decided, one.scope) == (True, weekday(9), weekday(12), "x")
    assert one.worst == pytest.approx(0.04)  # what fell after it was decided is not its
    assert one.evidence_id == f"alert_states/p/{weekday(9)}/heat/x/observed"
    # its record waits for the whole horizon, as chance does: else the newest would count only where they were bad
    assert (seen.decided_now, seen.right_now, seen.rules[0].decided) == (1, 1, 1)
    assert judged(hand_made(), [(10, "heat")], 10, 12).rules[0].decided == 0


def test_an_alert_whose_horizon_is_not_over_is_pending():
    seen = judged(hand_made(), [(18, "heat"), (19, "heat")], 15, 19)
    assert (seen.fired, seen.pending, seen.decided_now) == (2, 2, 0)
    assert seen.rules[0].precision is None
    assert seen.rules[0].verdict == "insufficient_sample"


def test_rules_without_news_in_the_period_are_left_out():
    seen = judged(hand_made(), [(0, "heat"), (20, "stack")], 20, 24)
    assert [record.rule for record in seen.rules] == ["stack"]


def test_a_rule_that_is_always_right_beats_chance_and_one_that_never_is_does_not():
    """A saw: every tenth session begins a fall of 4 % that is over ten sessions later."""
    unit = np.ones(205)
    for start in range(5, 200, 10):
        unit[start : start + 3] = 0.96
    falls = [(start - 1, "good") for start in range(5, 195, 10)]
    calm = [(start + 3, "bad") for start in range(5, 185, 10)]
    seen = judged(unit, sorted(falls + calm), 195, 204, rules=ReflectionPolicy(alert_horizon=3, alert_drawdown=0.03))
    verdicts = {record.rule: record.verdict for record in seen.rules}
    assert verdicts == {}  # none fired or was decided in the last ten sessions
    seen = judged(unit, sorted(falls + calm), 180, 194, rules=ReflectionPolicy(alert_horizon=3, alert_drawdown=0.03))
    verdicts = {record.rule: (record.verdict, record.precision) for record in seen.rules}
    assert verdicts == {"good": ("better_than_chance", 1.0), "bad": ("worse_than_chance", 0.0)}


def plain(unit, horizon, threshold):
    out = []
    for place in range(len(unit)):
        decided, worst = place + horizon, 0.0
        for ahead in range(place + 1, min(place + horizon, len(unit) - 1) + 1):
            loss = 1 - unit[ahead] / unit[place]
            worst = max(worst, loss) if np.isfinite(loss) else worst
            if loss >= threshold:
                decided = ahead
                break
        out.append((decided, worst))
    return np.array(out, np.float64).reshape(-1, 2)


units = st.lists(st.one_of(st.floats(0.5, 2.0), st.just(float("nan"))), max_size=30).map(np.array)


@given(units, st.integers(1, 8), st.floats(0.0, 0.5, exclude_min=True))
def test_losses_are_what_a_plain_loop_finds(unit, horizon, threshold):
    decided, worst = further_loss(unit.astype(float), horizon, threshold)
    assert np.stack((decided, worst), axis=1) == pytest.approx(plain(unit, horizon, threshold), rel=1e-12)


@given(st.lists(st.floats(0.8, 1.2), min_size=25, max_size=40), st.lists(st.integers(0, 39), max_size=12, unique=True))
def test_nothing_after_the_period_is_used(unit, places):
    alerts = [(place, "heat") for place in sorted(places) if place < len(unit)]
    early = [row for row in alerts if row[0] <= 24]
    assert judged(unit, alerts, 20, 24) == judged(unit[:25], early, 20, 24)


def states(*rows):
    names = ("recommendation_id", "status", "mode", "supersedes")
    return [dict(zip(names, row[1:], strict=True)) | {"day": weekday(row[0]), "monitor_only": False, "adjustments": 1} for row in rows]


def test_recommendations_end_as_superseded_withdrawn_expired_or_still_stand():
    rows = states(
        (1, "r1", "issued", "normal", ""),
        (6, "r2", "issued", "defensive", "r1"),
        (8, "r2", "withdrawn", "normal", ""),
        (9, "r3", "issued", "risk_off", ""),
        (12, "r3", "expired", "normal", ""),
    )
    found = recommended("p", rows, weekday(5), weekday(9))
    assert [(one.recommendation_id, one.fate, one.ended) for one in found] == [
        ("r1", "superseded", weekday(6)),
        ("r2", "withdrawn", weekday(8)),
        ("r3", "standing", None),  # that it expires is not known yet
    ]
    assert [one.fate for one in recommended("p", rows, weekday(10), weekday(14))] == ["expired"]
    assert recommended("p", rows, weekday(15), weekday(19)) == ()
