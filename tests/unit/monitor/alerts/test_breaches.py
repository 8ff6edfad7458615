"""Which breaches ask for a run: a day of ticks may flap as it likes, and asks for no more than the policy allows."""

from datetime import UTC, datetime, timedelta

import numpy as np
import pyarrow as pa
from hypothesis import given
from hypothesis import strategies as st

from portfolio_platform.lake import derived
from portfolio_platform.monitor.alerts.breaches import Breach, BreachState, admit, breaches_of
from portfolio_platform.monitor.alerts.engine import COUNT, FIRST, LEVEL, STAYED, TRANSITION, WORST, Carried, Observed, evaluate
from portfolio_platform.monitor.alerts.limits import SEVERITIES, calm, meets
from portfolio_platform.monitor.alerts.wording import alert_id
from portfolio_platform.policy.alerts import AlertPolicy, Rule
from portfolio_platform.policy.load import default_policy

TICKS = 86_400
START = datetime(2010, 9, 13, tzinfo=UTC)
WAIT = timedelta(minutes=60)


def ticks_of(rule: Rule, values: np.ndarray, carried: Carried) -> np.ndarray:
    """The running session's row at each tick: the state of the session before, and one more session with the tick's value."""
    breach, inside = np.zeros((values.size, 1), np.int8), np.zeros((values.size, 1), np.int8)
    for level, threshold in ((1, rule.warning), (2, rule.critical)):
        breach[meets(values, rule.comparison, threshold), 0] = level
        inside[~calm(values, rule.comparison, threshold, rule.leave), 0] = level
    size = values.size
    ones = np.ones(size, np.int64)
    observed = Observed(
        value=values[:, None],
        breach=breach,
        inside=inside,
        known=np.ones((size, 1), np.bool_),
        days=np.array([14865], np.int64),
        lowest=ones,
        leave_sessions=ones * rule.leave_sessions,
        cool_down=ones * rule.cool_down,
        upward=np.ones(size, np.bool_),
    )
    state = Carried(np.repeat(carried.counts, size, axis=0), np.repeat(carried.values, size, axis=0))
    return evaluate(observed, state).counts[:, 0]


def day_of_ticks(rules: dict[str, Rule], values: dict[str, np.ndarray]) -> list[tuple[datetime, str]]:
    """Evaluate every tick of a day in the engine and admit what breaches; return the runs that were asked for."""
    counts = {name: ticks_of(rule, values[name], Carried.calm(1)) for name, rule in rules.items()}
    state, runs = BreachState(), []
    for tick in range(TICKS):
        now = START + timedelta(seconds=tick)
        breaches = [
            Breach(portfolio="core", rule=name, alert_id=alert_id("core", name, "", "2010-09-13"), severity=SEVERITIES[found[tick, LEVEL]])
            for name, found in counts.items()
            if found[tick, TRANSITION] >= STAYED and found[tick, LEVEL]
        ]
        asked, state = admit(state, breaches, now, WAIT)
        if tick % 10_000 == 0:
            state = BreachState.from_text(state.to_text())
        runs += [(now, run.rule) for run in asked]
    return runs


def test_a_day_of_86400_ticks_around_every_threshold_asks_for_a_run_per_begin_and_escalation():
    """Drawdown, rejections and correlation cross warning every second and critical every minute."""
    policy = default_policy().alerts
    rules = {name: policy.rules[name] for name in ("drawdown", "rejection_spike", "stack")}
    assert all(rule.starts_run for rule in rules.values())
    clock, values = np.arange(TICKS), {}
    for name, rule in rules.items():
        flapping = np.where(clock % 2 == 0, rule.warning * 1.001, rule.warning * 0.5)
        values[name] = np.where(clock % 60 == 59, rule.critical * 1.001, flapping)
    runs = day_of_ticks(rules, values)
    for name in rules:
        mine = [at for at, rule in runs if rule == name]
        # it begins in the first second; the escalation of the first minute waits for the cool-down, and is the last of the day
        assert mine == [START, START + timedelta(seconds=3659)]
    assert len(runs) <= len(rules) * (TICKS // WAIT.seconds)


def test_a_running_session_makes_one_transition_whatever_its_last_tick():
    """An alert of the session before: each tick is one session more, never two, and calm needs two sessions."""
    rule = default_policy().alerts.rules["drawdown"]
    carried = Carried.calm(1)
    carried.counts[0, [LEVEL, COUNT, FIRST]] = 1, 3, 14860
    carried.values[0, WORST] = 0.07
    counts = ticks_of(rule, np.where(np.arange(TICKS) % 2 == 0, 0.07, 0.01), carried)
    assert set(counts[:, TRANSITION].tolist()) == {STAYED}
    assert set(counts[:, COUNT].tolist()) == {4}


BREACHES = st.lists(
    st.lists(
        st.builds(
            Breach,
            portfolio=st.sampled_from(["core", "macro"]),
            rule=st.sampled_from(["drawdown", "stack"]),
            alert_id=st.sampled_from(["a", "b", "c"]),
            severity=st.sampled_from(["warning", "critical"]),
        ),
        max_size=4,
    ),
    max_size=60,
)


@given(BREACHES, st.integers(1, 30), st.integers(1, 20))
def test_runs_of_a_rule_are_a_cool_down_apart_and_never_more_than_begins_and_escalations(ticks, minutes, wait):
    state, last, count = BreachState(), {}, {}
    for number, breaches in enumerate(ticks):
        now = START + timedelta(minutes=number * minutes)
        runs, state = admit(state, breaches, now, timedelta(minutes=wait))
        assert BreachState.from_text(state.to_text()) == state
        for run in runs:
            key = (run.portfolio, run.rule)
            assert key not in last or now - last[key] >= timedelta(minutes=wait)
            last[key] = now
            count[key] = count.get(key, 0) + 1
    # three ids of two severities each
    assert all(number <= 6 for number in count.values())


def test_a_breach_that_waits_is_granted_when_it_still_holds_and_forgotten_when_it_does_not():
    first = Breach(portfolio="core", rule="bucket_exposure", alert_id="x", severity="warning")
    second = Breach(portfolio="core", rule="bucket_exposure", alert_id="y", severity="warning")
    runs, state = admit(BreachState(), [first], START, WAIT)
    assert [run.alert_ids for run in runs] == [("x",)]
    runs, state = admit(state, [first, second], START + timedelta(minutes=10), WAIT)
    assert runs == ()
    assert admit(state, [first], START + WAIT, WAIT)[0] == ()
    assert [run.alert_ids for run in admit(state, [first, second], START + WAIT, WAIT)[0]] == [("y",)]


def test_a_state_that_cannot_be_read_costs_a_run_at_most():
    assert BreachState.from_text("{no json") == BreachState() == BreachState.from_text(None)


def test_only_the_newest_session_and_rules_that_start_runs_are_breaches():
    policy = AlertPolicy.model_validate({})
    names = derived.ALERT_STATES.column_names

    def row(day: int, rule: str, state: str) -> dict[str, object]:
        given = {"portfolio": "core", "rule": rule, "state": state, "severity": "warning", "alert_id": f"{rule}{day}"}
        return dict.fromkeys(names) | given | {"day": datetime(2010, 9, day).date()}  # noqa: DTZ001

    rows = [row(12, "drawdown", "firing"), row(13, "drawdown", "firing"), row(13, "churn", "firing"), row(13, "stack", "resolved")]
    table = pa.Table.from_pylist(rows, schema=derived.ALERT_STATES.arrow_schema())
    assert [breach.alert_id for breach in breaches_of(table, {"core": policy})] == ["drawdown13"]
    assert breaches_of(table.slice(0, 0), {}) == ()
