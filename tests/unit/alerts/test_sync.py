"""The book follows the newest session: what is told, what is not, and never twice."""

import json
from dataclasses import replace
from datetime import date, timedelta

import pytest

from portfolio_platform.alerts import actions
from portfolio_platform.alerts.message import Message
from portfolio_platform.alerts.pipeline import sync
from portfolio_platform.book.events import ConcurrencyConflict
from portfolio_platform.errors import DataProblem, WrongUse
from portfolio_platform.home import Home
from tests.unit.alerts.making import alert_row, alerts_of, assert_rebuilds, day, ended, events_of, messages, put, the_alert, told

LATER = date(2011, 12, 31)
SHORT_COOL_DOWN = "[alerts.rules.symbol_exposure]\ncool_down = 1\n"


def follow(home: Home, session: int, *rows: dict, portfolios: tuple[str, ...] = ("core",)) -> None:
    """Write a session's alerts and sync, twice: the second time must find nothing to do."""
    put(home, session, rows, portfolios)
    sync(home)
    before = events_of(home)
    again = sync(home)
    assert events_of(home) == before and again.queued == ()
    assert_rebuilds(home)


def test_an_alert_is_told_when_it_fires_and_when_it_is_over_and_not_in_between(store_home: Home) -> None:
    follow(store_home, 1, alert_row(1))
    assert told(store_home) == ["fired:warning"]
    follow(store_home, 2, alert_row(1), alert_row(2, began=1, observed=0.32))
    follow(store_home, 3, alert_row(2, began=1), ended(3, 1, worst=0.36))
    assert told(store_home) == ["fired:warning", "resolved:warning"]
    alert = the_alert(store_home)
    assert (alert.state, alert.first_seen, alert.resolved_on, alert.sessions) == ("resolved", "2010-12-02", "2010-12-04", 3)
    (item,) = Message.stored(messages(store_home)[-1].body).items
    said = {line.label: line.text for line in item.lines}
    assert said["Lasted"] == "3 sessions, from 2010-12-02 to 2010-12-04" and said["At worst"].startswith("36.0 %")
    assert [event for event in events_of(store_home) if event.startswith("alert")] == ["alert_fired", "alerts_observed", "alert_resolved"]


def test_what_fires_in_older_sessions_alone_never_pages(home: Home) -> None:
    rows = [alert_row(number, f"S{number}") for number in range(30)]
    follow(home, 30, *rows)
    assert told(home) == [] and alerts_of(home) == [] and events_of(home) == []


def test_each_portfolio_has_its_own_newest_session(home: Home) -> None:
    rows = [alert_row(2), alert_row(2, portfolio="macro"), alert_row(5, "MSFT")]
    put(home, 5, rows, ("core", "macro"), ended_at={"macro": 2})
    sync(home)
    assert {(alert.portfolio, alert.scope) for alert in alerts_of(home)} == {("macro", "AAPL"), ("core", "MSFT")}


def test_an_end_that_no_sync_saw_is_caught_up_with_its_own_day(home: Home) -> None:
    follow(home, 1, alert_row(1))
    follow(home, 9, alert_row(1), alert_row(2, began=1), ended(3, 1), alert_row(5), ended(6, 5))
    assert told(home) == ["fired:warning", "resolved:warning"]
    assert the_alert(home).resolved_on == day(3).isoformat()


def test_an_alert_that_ended_and_began_again_unseen_is_told_as_both_in_one_message(home: Home) -> None:
    follow(home, 1, alert_row(1))
    follow(home, 9, ended(3, 1), alert_row(9, began=8))
    assert told(home) == ["fired:warning", "fired:warning+resolved:warning"]


def test_an_alert_that_an_evaluation_no_longer_knows_is_over_and_says_why(home: Home) -> None:
    follow(home, 1, alert_row(1))
    follow(home, 2)
    assert the_alert(home).resolved_on == day(2).isoformat()
    (item,) = Message.stored(messages(home)[-1].body).items
    assert "no longer in the evaluation" in {line.label: line.text for line in item.lines}["Ended"]


def test_a_restated_beginning_is_the_same_alert_and_says_nothing(home: Home) -> None:
    follow(home, 3, alert_row(3, began=2))
    actions.acknowledge(home, the_alert(home).id, by="Ada")
    follow(home, 3, alert_row(3, began=1))
    assert told(home) == ["fired:warning"]
    old, new = sorted(alerts_of(home), key=lambda alert: alert.first_seen, reverse=True)
    assert (old.state, new.state, new.acknowledged_by) == ("resolved", "acknowledged", "Ada")


def test_an_escalation_is_told_and_ends_the_acknowledgement(home: Home) -> None:
    follow(home, 1, alert_row(1))
    actions.acknowledge(home, the_alert(home).id, by="Ada", note="reducing")
    follow(home, 2, alert_row(2, began=1))
    follow(home, 3, alert_row(3, began=1, severity="critical", transition="escalated"))
    assert told(home) == ["fired:warning", "escalated:critical"]
    assert the_alert(home).state == "firing" and the_alert(home).acknowledged_by == ""


def test_easing_is_not_told_and_who_heard_critical_hears_the_end(home: Home) -> None:
    follow(home, 1, alert_row(1, severity="critical"))
    follow(home, 2, alert_row(2, began=1, severity="warning"))
    follow(home, 3, ended(3, 1))
    assert told(home) == ["fired:critical", "resolved:critical"]
    assert "alert_eased" in events_of(home)


def test_an_unacknowledged_warning_is_told_as_critical_after_three_sessions_and_then_repeated(home: Home) -> None:
    for session in range(1, 15):
        follow(home, session, alert_row(session, began=1))
    # told in session 1; three sessions later as critical; then every five
    assert told(home) == ["fired:warning", "escalated:critical", "repeated:critical", "repeated:critical"]
    days = [Message.stored(item.body).session for item in messages(home)]
    assert sorted(days) == [day(number).isoformat() for number in (1, 4, 9, 14)]


def test_an_acknowledged_alert_is_neither_repeated_nor_escalated_by_waiting_but_its_end_is_told(home: Home) -> None:
    follow(home, 1, alert_row(1))
    actions.acknowledge(home, the_alert(home).id, by="Ada")
    for session in range(2, 14):
        follow(home, session, alert_row(session, began=1))
    assert told(home) == ["fired:warning"]
    follow(home, 14, ended(14, 1))
    assert told(home) == ["fired:warning", "resolved:warning"]


def test_a_value_that_flaps_within_a_session_is_told_once_each_way_and_what_it_comes_to_in_the_next(home: Home) -> None:
    for _ in range(5):
        put(home, 1, [alert_row(1)])
        sync(home)
        put(home, 1, [])
        sync(home)
    put(home, 1, [alert_row(1)])
    sync(home)
    assert told(home) == ["fired:warning", "resolved:warning"] and the_alert(home).state == "firing"
    follow(home, 2, alert_row(2, began=1))
    assert told(home) == ["fired:warning", "resolved:warning", "fired:warning"]


def test_a_severity_that_flaps_within_a_session_is_told_once(home: Home) -> None:
    for severity in ("warning", "critical", "warning", "critical", "warning", "critical"):
        put(home, 1, [alert_row(1, severity=severity)])
        sync(home)
    assert told(home) == ["fired:warning", "escalated:critical"]
    follow(home, 2, alert_row(2, began=1, severity="critical"))
    assert told(home)[2:] == ["escalated:critical"]


def test_an_inhibited_alert_is_told_when_its_inhibitor_is_gone(home: Home) -> None:
    follow(home, 1, alert_row(1, rule="drawdown", scope="", inhibited_by="drawdown_regime"))
    assert told(home) == []
    follow(home, 2, alert_row(2, began=1, rule="drawdown", scope=""))
    assert told(home) == ["fired:warning"]


def test_an_alert_whose_gate_failed_is_for_the_monitor_only(home: Home) -> None:
    put(home, 1, [alert_row(1, severity="critical", gate_passed=False, gate_reason="12 of 30 observations")])
    done = sync(home)
    assert done.portfolios[0].monitor_only == (the_alert(home).id,)
    assert told(home) == [] and the_alert(home).severity == "info"
    follow(home, 2, alert_row(2, began=1, severity="critical"))
    assert told(home) == ["fired:critical"]


def test_alerts_of_one_cause_are_one_message_the_gravest_first(home: Home) -> None:
    rows = [
        alert_row(1),
        alert_row(1, "MSFT", severity="critical"),
        alert_row(1, rule="stack", scope="", cause="correlation"),
        alert_row(1, portfolio="macro"),
    ]
    follow(home, 1, *rows, portfolios=("core", "macro"))
    assert sorted(told(home)) == ["fired:critical+fired:warning", "fired:warning", "fired:warning"]
    (first,) = [item for item in messages(home) if item.portfolio == "core" and item.severity == "critical"]
    assert json.loads(first.alert_ids) == sorted(row["alert_id"] for row in rows[:2])


def test_a_silenced_alert_is_told_once_the_silence_is_over(home: Home) -> None:
    put(home, 1, [])
    made = actions.silence(home, portfolio="core", rule="symbol_exposure", scope="AAPL", until=_after(home, 5), by="Ada", reason="known")
    follow(home, 1, alert_row(1), alert_row(1, "MSFT"))
    assert told(home) == ["fired:warning"] and {alert.scope: alert.state for alert in alerts_of(home)} == {
        "AAPL": "silenced",
        "MSFT": "firing",
    }
    home.pin_clock(LATER)
    follow(home, 2, alert_row(2, began=1), alert_row(2, "MSFT", began=1))
    assert told(home) == ["fired:warning", "fired:warning"]
    with pytest.raises(ConcurrencyConflict, match="it ran until"):
        actions.end_silence(home, made.id, by="Ada")


def test_what_is_silenced_while_it_fires_ends_silently_and_a_silence_ended_early_lets_it_speak(home: Home) -> None:
    follow(home, 1, alert_row(1), alert_row(1, "MSFT"))
    made = actions.silence(home, rule="symbol_exposure", until=_after(home, 5), by="Ada", reason="rebalancing")
    assert {alert.state for alert in alerts_of(home)} == {"silenced"}
    follow(home, 2, ended(2, 1), alert_row(2, "MSFT", began=1, severity="critical"))
    assert told(home) == ["fired:warning+fired:warning"]
    actions.end_silence(home, made.id, by="Bob")
    follow(home, 2, ended(2, 1), alert_row(2, "MSFT", began=1, severity="critical"))
    assert told(home)[1:] == ["escalated:critical"]


def test_a_hand_resolved_alert_stays_so_until_the_cool_down_has_passed(home: Home) -> None:
    (home.policies / "default.toml").write_text(SHORT_COOL_DOWN)
    follow(home, 1, alert_row(1))
    actions.resolve(home, the_alert(home).id, by="Ada", reason="a deposit is on its way")
    assert told(home) == ["fired:warning", "resolved:warning"]
    follow(home, 1, alert_row(1))
    follow(home, 2, alert_row(2, began=1))  # the rule's cool-down is one session
    assert the_alert(home).state == "resolved"
    follow(home, 3, alert_row(3, began=1))
    assert the_alert(home).state == "firing" and told(home)[2:] == ["fired:warning"]


def test_a_hand_resolved_alert_whose_beginning_is_restated_keeps_its_cool_down(home: Home) -> None:
    (home.policies / "default.toml").write_text(SHORT_COOL_DOWN)
    follow(home, 4, alert_row(4, began=1))
    actions.resolve(home, the_alert(home).id, by="Ada", reason="seen")
    follow(home, 5, alert_row(5, began=3))
    assert not [alert for alert in alerts_of(home) if alert.is_open]
    follow(home, 6, alert_row(6, began=3))
    assert [alert.first_seen for alert in alerts_of(home) if alert.is_open] == [day(3).isoformat()]


def test_a_hand_resolved_alert_fires_again_at_once_where_it_is_graver_or_had_left_its_threshold(home: Home) -> None:
    follow(home, 1, alert_row(1), alert_row(1, "MSFT"))
    for alert in alerts_of(home):
        actions.resolve(home, alert.id, by="Ada", reason="seen")
    follow(home, 2, alert_row(2, began=1, severity="critical"), alert_row(2, "MSFT"))
    assert [alert.scope for alert in alerts_of(home) if alert.is_open] == ["AAPL", "MSFT"]


def test_alerts_that_are_behind_the_newest_session_are_not_followed(home: Home) -> None:
    follow(home, 1, alert_row(1))
    put(home, 2, [alert_row(1)], built=1)
    with pytest.raises(DataProblem, match=r"built until 2010-12-02.*2010-12-03.*portfolio build"):
        sync(home)
    assert the_alert(home).state == "firing"


def test_an_action_on_an_alert_that_changed_meanwhile_says_so(store_home: Home) -> None:
    home = store_home
    follow(home, 1, alert_row(1))
    seen = the_alert(home)
    follow(home, 2, alert_row(2, began=1, observed=0.5))
    assert the_alert(home).revision == seen.revision  # new figures alone are no change
    follow(home, 3, alert_row(3, began=1, severity="critical"))
    with pytest.raises(ConcurrencyConflict, match=r"changed meanwhile: it is firing, critical"):
        actions.acknowledge(home, seen.id, by="Ada", revision=seen.revision)
    actions.acknowledge(home, seen.id, by="Ada", revision=the_alert(home).revision)
    with pytest.raises(ConcurrencyConflict, match="acknowledged by Ada already"):
        actions.acknowledge(home, seen.id, by="Bob")
    actions.unacknowledge(home, seen.id, by="Bob")
    assert the_alert(home).state == "firing"
    actions.resolve(home, seen.id, by="Bob", reason="done")
    with pytest.raises(ConcurrencyConflict, match="is over: Bob resolved it"):
        actions.acknowledge(home, seen.id, by="Ada")
    assert_rebuilds(home)


@pytest.mark.parametrize("by", ["", "  ", "a\nb"])
def test_every_action_wants_a_name(home: Home, by: str) -> None:
    follow(home, 1, alert_row(1))
    identity = the_alert(home).id
    for act in (
        lambda: actions.acknowledge(home, identity, by=by),
        lambda: actions.resolve(home, identity, by=by, reason="x"),
        lambda: actions.silence(home, rule="r", until=_after(home, 1), by=by, reason="x"),
        lambda: actions.annotate(home, identity, by=by, text="x"),
    ):
        with pytest.raises(WrongUse, match="give the name"):
            act()


def test_a_silence_of_everything_or_without_reason_or_in_the_past_is_refused(home: Home) -> None:
    good = {"rule": "r", "until": _after(home, 1), "by": "Ada", "reason": "x"}
    for wrong in ({"rule": ""}, {"reason": " "}, {"until": home.clock.now()}):
        with pytest.raises(WrongUse):
            actions.silence(home, **(good | wrong))


def test_a_remark_changes_nothing(home: Home) -> None:
    follow(home, 1, alert_row(1))
    before = the_alert(home)
    made = actions.annotate(home, before.id, by="Ada", text="known since Monday")
    assert the_alert(home) == replace(before) and (made.about, made.by) == (before.id, "Ada")
    assert_rebuilds(home)


def test_no_float_is_in_an_alert_and_its_numbers_have_twelve_digits(home: Home) -> None:
    follow(home, 1, alert_row(1, observed=1 / 3))
    said = json.loads(the_alert(home).content, parse_float=pytest.fail)
    assert said["observed"] == "0.333333333333"


def _after(home: Home, days: int):
    return home.clock.now() + timedelta(days=days)
