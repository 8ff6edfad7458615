"""Rows of alert_states: what an operator reads, who is silent, and a range that equals its days one by one."""

import json

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from portfolio_platform.lake import derived
from portfolio_platform.monitor.alerts.contributors import Contributions, parse_contributors
from portfolio_platform.monitor.alerts.grid import Metrics
from portfolio_platform.monitor.alerts.rows import alert_rows, remembered
from portfolio_platform.monitor.alerts.states import alerts
from portfolio_platform.monitor.alerts.wording import alert_id, facts_of
from tests.unit.monitor.alerts.frames import day, metric_row, only, rule, series, sessions, table

NOBODY = Contributions({}, {})


def rows_of(metrics, first, last, policy, stored=None):
    """Rows of sessions first to last of `core`, going on from stored rows."""
    mine = {"core": sessions(first, last)}
    memory = remembered(stored, {"core": mine["core"].before}) if stored is not None else {}
    found = alerts(Metrics(table(metrics)), mine, lambda _: policy, memory)
    return alert_rows(found, facts_of(found, Metrics(table(metrics))), NOBODY, lambda _: policy)


def test_a_row_says_all_that_an_operator_asks():
    metrics = series([0.5, 0.85, 0.95, 0.1, 0.1])
    found = rows_of(metrics, 1, 5, only(r=rule(cause="heat"))).to_pylist()
    fired, higher, calm, ended = found
    assert fired["alert_id"] == "alert:core:r::2010-03-02"
    assert (fired["state"], fired["severity"], fired["transition"], fired["sessions_firing"]) == ("firing", "warning", "fired", 1)
    assert fired["sentence"] == "core of core at 85.0 % (limit 80.0 %)."
    assert fired["action"] == "Look at no symbol."
    assert (fired["room"], fired["change"], fired["trend"]) == (0.15, 0.35, "worse")
    assert (higher["transition"], higher["worst"], higher["room"]) == ("", 0.95, 0.05)
    assert (calm["observed"], calm["calm_sessions"], calm["trend"], calm["worst"]) == (0.1, 1, "better", 0.95)
    assert (ended["state"], ended["transition"], ended["sessions_firing"]) == ("resolved", "resolved", 4)
    assert ended["sentence"] == "Use of the heat cap of core is back at 10.0 %; the alert ended after 4 sessions, at worst 95.0 %."
    assert ended["evidence_ids"] == "e/heat_use/5"
    assert {row["alert_id"] for row in found} == {fired["alert_id"]}


def test_the_same_alert_says_when_it_fired_before():
    metrics = series([0.9, 0.1, 0.1, 0.1, 0.85])
    last = rows_of(metrics, 1, 5, only(r=rule())).to_pylist()[-1]
    assert last["previous"] == "warning from 2010-03-01 to 2010-03-03, 3 sessions, at worst 90.0 %"
    assert last["alert_id"].endswith("2010-03-05")


def test_a_metric_without_a_value_holds_the_alert_and_says_so():
    found = rows_of(series([0.9, None]), 1, 2, only(r=rule())).to_pylist()[-1]
    assert (found["observed"], found["gate_passed"], found["gate_reason"], found["state"]) == (None, False, "stale_mark", "firing")
    assert found["sentence"] == (
        "Use of the heat cap of core cannot be measured in this session (stale_mark); the alert stays as it was, at worst 90.0 %."
    )


def test_a_value_that_is_back_inside_is_not_said_to_be_beyond_its_limit():
    found = rows_of(series([0.9, 0.75]), 1, 2, only(r=rule(leave=0.5))).to_pylist()[-1]
    assert (found["state"], found["severity"]) == ("firing", "warning")
    assert found["sentence"] == (
        "Use of the heat cap of core is 75.0 %, back inside its limit (>= 80.0 %); "
        "the alert is held until it has been below 40.0 % for 2 sessions."
    )


def test_a_value_that_is_back_inside_critical_alone_says_both():
    found = rows_of(series([1.1, 0.97]), 1, 2, only(r=rule(leave_sessions=1))).to_pylist()[-1]
    assert found["severity"] == "critical"
    assert found["sentence"] == (
        "core of core at 97.0 % (limit 100.0 %). "
        "It is back inside its critical limit (>= 100.0 %), and stays critical until it is below 90.0 %."
    )


def test_a_low_limit_is_left_upward():
    low = rule(metric="size_multiplier", comparison="<=", warning=0.5, critical=None, leave=0.8, leave_sessions=1)
    found = rows_of(series([0.4, 0.55], "size_multiplier"), 1, 2, only(r=low)).to_pylist()[-1]
    assert "back inside its limit (<= 50.0 %); the alert is held until it is above 62.5 %." in found["sentence"]


def test_what_is_beyond_its_limit_without_the_company_that_the_rule_asks_for_says_so():
    both = rule(also=[{"metric": "gross_exposure", "value": 0.5}])
    metrics = series([0.9, 0.9]) + series([0.6, 0.48], "gross_exposure")
    found = rows_of(metrics, 1, 2, only(r=both)).to_pylist()[-1]
    assert found["sentence"].startswith("Use of the heat cap of core is 90.0 %, but what the rule asks for beside it no longer holds")


def test_an_alert_whose_gate_failed_is_not_told_when_its_value_gets_better():
    """Back inside its limit a value has nothing left to prove, so its own gate passes: the alert was told just then."""
    metrics = [metric_row("core", number, "heat_use", "", value, passed=sure) for number, value, sure in ((1, 0.9, False), (2, 0.75, True))]
    found = rows_of(metrics, 1, 2, only(r=rule(leave=0.5))).to_pylist()
    assert [row["pages"] for row in found] == [False, False]
    assert found[1]["gate_reason"] == "it is held from a session in which its gate failed"
    again = [*metrics, metric_row("core", 3, "heat_use", "", 0.9, passed=True), metric_row("core", 4, "heat_use", "", 0.75, passed=True)]
    assert [row["pages"] for row in rows_of(again, 1, 4, only(r=rule(leave=0.5))).to_pylist()] == [False, False, True, True]


def test_a_rule_of_a_slow_window_waits_for_a_second_session():
    slow = only(r=rule(enter_sessions=2))
    assert len(rows_of(series([0.9, 0.5, 0.9, 0.5]), 1, 4, slow)) == 0
    found = rows_of(series([0.9, 0.85, 1.1, 0.95, 1.1, 1.1]), 1, 6, slow).to_pylist()
    assert [row["day"] for row in found] == [day(number) for number in range(2, 7)]
    # one session beyond critical is not enough either
    assert [row["transition"] for row in found] == ["fired", "", "", "", "escalated"]
    assert found[2]["sentence"].startswith("core of core at 95.0 %")


def test_an_id_keeps_its_parts_apart_whatever_they_hold():
    assert alert_id("a:b", "r", "BTC/USD", "2010-01-01") == "alert:a%3Ab:r:BTC%2FUSD:2010-01-01"
    assert alert_id("a", "b", "r:BTC", "2010-01-01") != alert_id("a", "b:r", "BTC", "2010-01-01")


def test_a_critical_alert_silences_the_lesser_ones_of_its_portfolio_and_they_never_page():
    metrics = series([0.5, 0.0, 0.0], "size_multiplier") + series([0.07, 0.12, 0.12], "drawdown") + series([0.9] * 3)
    rules = {
        "regime": rule(metric="size_multiplier", comparison="<=", warning=0.5, critical=0.0),
        "drawdown": rule(metric="drawdown", warning=0.06, critical=0.1),
        "heat": rule(),
    }
    found = rows_of(metrics, 1, 3, only({"regime": ("drawdown",)}, **rules)).to_pylist()
    silent = {(row["rule"], row["day"]): (row["inhibited_by"], row["pages"]) for row in found}
    assert silent[("drawdown", day(1))] == ("", True)  # the regime only warns
    assert silent[("drawdown", day(2))] == ("regime", False)
    assert silent[("regime", day(2))] == ("", True)
    assert silent[("heat", day(2))] == ("", True)


def test_an_alert_whose_gate_failed_silences_nobody_and_does_not_page():
    failed = [metric_row("core", 1, "size_multiplier", "", 0.0, passed=False, reason="2 of 6 observations")]
    rules = {
        "regime": rule(metric="size_multiplier", comparison="<=", warning=0.5, critical=0.0),
        "drawdown": rule(metric="drawdown", warning=0.06, critical=0.1),
    }
    found = rows_of(failed + series([0.12], "drawdown"), 1, 1, only({"regime": ("drawdown",)}, **rules)).to_pylist()
    assert [(row["rule"], row["pages"], row["inhibited_by"]) for row in found] == [("drawdown", True, ""), ("regime", False, "")]


STEPS = st.lists(
    st.tuples(
        st.sampled_from([None, 0.0, 0.6, 0.75, 0.85, 1.05]),
        st.sampled_from([None, "gone", 0.1, 0.28, 0.35, 0.5]),
        st.sampled_from([0.4, 0.46, 0.6]),
    ),
    min_size=2,
    max_size=14,
)


@settings(max_examples=25)
@given(STEPS, st.integers(1, 3), st.integers(0, 3), st.integers(1, 2), st.sets(st.integers(1, 14)))
def test_days_computed_one_by_one_equal_the_range(steps, leave_sessions, cool_down, enter_sessions, unsure):
    """Through stored rows: what the next day needs is in them."""
    metrics = series([step[0] for step in steps]) + series([step[2] for step in steps], "gross_exposure")
    for number, step in enumerate(steps, start=1):
        if step[1] != "gone":
            sure = {"passed": False, "reason": "4 of 6 observations"} if number in unsure else {}
            metrics.append(metric_row("core", number, "symbol_exposure", "AAPL", step[1], **sure))
    shape = {"leave_sessions": leave_sessions, "cool_down": cool_down, "enter_sessions": enter_sessions}
    policy = only(
        heat=rule(**shape),
        symbol=rule(metric="symbol_exposure", warning=0.3, critical=0.45, also=[{"metric": "gross_exposure", "value": 0.5}], **shape),
    )
    whole = rows_of(metrics, 1, len(steps), policy)
    stored = whole.slice(0, 0)
    for number in range(1, len(steps) + 1):
        stored = pa.concat_tables([stored, rows_of(metrics, number, number, policy, stored)])
    order = [(name, "ascending") for name in derived.ALERT_STATES.key]
    assert stored.sort_by(order).to_pylist() == whole.sort_by(order).to_pylist()


def test_no_alert_gives_no_row_with_the_declared_schema():
    found = rows_of(series([0.1, 0.2]), 1, 2, only(r=rule()))
    assert found.schema == derived.ALERT_STATES.arrow_schema()
    assert len(found) == 0


@pytest.mark.parametrize(
    ("unit", "value", "text"),
    [
        ("fraction", 0.0604, "6.0 %"),
        ("sigma", 2.566, "2.57 σ"),
        ("count", 3.0, "3"),
        ("probability", 0.000123456, "0.000123"),
        ("probability", 1e-9, "below 0.000001"),
        ("bps", -3.14, "−3.1 bps"),
        ("1", 2.256, "2.26"),
        ("fraction", float("nan"), "–"),
    ],
)
def test_numbers_are_written_in_their_unit(unit, value, text):
    from portfolio_platform.monitor.alerts.sentences import formatted

    assert formatted(value, unit) == text


def test_stored_contributors_can_be_read_back():
    text = json.dumps([{"share": 0.5, "strategy": "trend", "symbol": "AAPL", "unit": "base currency", "value": 10.0}])
    (only_one,) = parse_contributors(text)
    assert (only_one.strategy, only_one.symbol, only_one.code, only_one.share) == ("trend", "AAPL", "", 0.5)
    assert parse_contributors("") == ()
    assert np.isfinite(only_one.value)
