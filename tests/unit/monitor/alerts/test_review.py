"""What would have been told: once for a beginning, once for what gets graver, together where the cause is one."""

from datetime import date, timedelta

import pyarrow as pa

from portfolio_platform.monitor.alerts.review import Told, by_month, messages

FIRST = date(2010, 1, 30)


def row(session, rule="drawdown", severity="warning", transition="", state="firing", pages=True, cause="drawdown"):
    return {
        "day": FIRST + timedelta(days=session), "portfolio": "core", "rule": rule, "scope": "", "alert_id": f"{rule}:1", "state": state,
        "severity": severity, "transition": transition, "pages": pages, "cause": cause,
    }  # fmt: skip


def told(*rows):
    return [(message.day.day, message.alerts) for message in messages(pa.Table.from_pylist(list(rows)))]


def test_a_beginning_and_what_gets_graver_are_told_once_each():
    rows = [row(0, transition="fired"), row(1), row(2, severity="critical", transition="escalated"), row(3, severity="critical")]
    fired, graver = Told("drawdown", "", "warning", "fired"), Told("drawdown", "", "critical", "escalated")
    assert told(*rows) == [(30, (fired,)), (1, (graver,))]


def test_what_could_not_be_told_is_told_when_it_can_and_still_fires():
    assert [day for day, _ in told(row(0, transition="fired", pages=False), row(1), row(2))] == [31]
    assert told(row(0, transition="fired", pages=False), row(1, state="resolved", transition="resolved")) == []


def test_a_critical_alert_that_eased_is_told_again_when_it_comes_back():
    rows = [
        row(0, severity="critical", transition="fired"),
        row(1, transition="eased"),
        row(2, severity="critical", transition="escalated"),
    ]
    assert [day for day, _ in told(*rows)] == [30, 1]


def test_rules_of_one_cause_are_one_message_and_others_are_not():
    rows = [row(0, transition="fired"), row(0, "drawdown_regime", transition="fired"), row(0, "heat", transition="fired", cause="heat")]
    found = messages(pa.Table.from_pylist(rows))
    assert [(message.cause, len(message.alerts)) for message in found] == [("drawdown", 2), ("heat", 1)]
    assert by_month(found) == {("core", "2010-01"): 2}
