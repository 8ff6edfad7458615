"""What an operator launches: each form does its action, records who did it, and refuses what it must not do."""

from datetime import UTC, date, datetime

import dagster as dg
import pytest

from portfolio_platform.alerts.heartbeat import platform_alert
from portfolio_platform.book import approvals
from portfolio_platform.book.alerts import PLATFORM, by_id, open_alerts
from portfolio_platform.book.recommendations import listed
from portfolio_platform.book.silences import in_force
from portfolio_platform.control.operators import add_operator, sign_recommendation
from portfolio_platform.control.signing import read_key
from portfolio_platform.definitions import build_definitions
from portfolio_platform.home import Home
from portfolio_platform.monitor.lifecycle import publish_recommendations


def launch(home: Home, job: str, op: str, *, succeeds: bool = True, **config: str) -> dg.ExecuteInProcessResult:
    """Launch an operator's job as the Launchpad does: by its form."""
    run_config = {"ops": {op: {"config": config}}, "loggers": {"console": {"config": {"log_level": "CRITICAL"}}}}
    with dg.DagsterInstance.ephemeral() as instance:
        definition = build_definitions(home).resolve_job_def(job)
        result = definition.execute_in_process(instance=instance, run_config=run_config, raise_on_error=False)
    assert result.success is succeeds
    return result


@pytest.fixture
def alert(home: Home) -> str:
    raised = platform_alert(home, "run_failed", "refresh", "critical", "It failed.", "Look.")
    assert raised is not None
    return raised.id


def test_an_alert_is_acknowledged_in_the_name_of_who_says_so(home, alert):
    launch(home, "acknowledge", "acknowledge_alert", alert_id=alert, by="Ada", note="looking")
    with home.book.reading() as connection:
        found = by_id(connection, alert)
    assert (found.state, found.acknowledged_by, found.note) == ("acknowledged", "Ada", "looking")


def test_without_a_name_nothing_is_done(home, alert):
    with pytest.raises(dg.DagsterInvalidConfigError), dg.DagsterInstance.ephemeral() as instance:
        definition = build_definitions(home).resolve_job_def("acknowledge")
        definition.execute_in_process(instance=instance, run_config={"ops": {"acknowledge_alert": {"config": {"alert_id": alert}}}})
    launch(home, "acknowledge", "acknowledge_alert", succeeds=False, alert_id=alert, by="")
    with home.book.reading() as connection:
        assert by_id(connection, alert).state == "firing"


def test_an_alert_is_resolved_by_hand_with_its_reason(home, alert):
    launch(home, "resolve", "resolve_alert", alert_id=alert, by="Ada", reason="mended")
    with home.book.reading() as connection:
        assert open_alerts(connection, PLATFORM) == []
        assert by_id(connection, alert).resolved_by == "Ada"


def test_a_silence_holds_until_its_end(home):
    launch(home, "silence", "silence_alerts", until="2011-01-05", by="Ada", reason="known", portfolio="core")
    with home.book.reading() as connection:
        (before,) = in_force(connection, datetime(2011, 1, 4, tzinfo=UTC))
        assert (before.portfolio, before.by) == ("core", "Ada")
        assert in_force(connection, datetime(2011, 1, 6, tzinfo=UTC)) == []


def test_a_recommendation_is_decided_on_once_by_who_read_it(sample_copy):
    publish_recommendations(sample_copy, [date(2010, 12, day) for day in range(20, 32)])
    with sample_copy.book.reading() as connection:
        waiting = [one for one in listed(connection) if one.state == "proposed"]
    one = waiting[0]
    launch(
        sample_copy,
        "approve",
        "approve_recommendation",
        succeeds=False,
        recommendation_id=one.id,
        content_hash="0" * 64,
        by="A",
        reason="r",
    )
    config = {"recommendation_id": one.id, "content_hash": one.content_hash, "by": "Ada", "reason": "agreed"}
    launch(sample_copy, "approve", "approve_recommendation", **config)
    launch(sample_copy, "reject", "reject_recommendation", succeeds=False, **config)
    with sample_copy.book.reading() as connection:
        decided = {found.id: found for found in listed(connection)}[one.id]
    assert (decided.state, decided.decided_by) == ("approved", "Ada")


def test_a_decision_is_signed_elsewhere_and_handed_in_by_its_form(sample_copy, tmp_path):
    publish_recommendations(sample_copy, [date(2010, 12, day) for day in range(20, 32)])
    with sample_copy.book.reading() as connection:
        one = next(one for one in listed(connection) if one.state == "proposed")
    add_operator(sample_copy, "Ada", key_out=tmp_path / "ada.key")
    key = read_key(tmp_path / "ada.key")
    signed = sign_recommendation(sample_copy, one.id, key, decision="reject", reason="not now", expected_hash=one.content_hash)
    config = {"recommendation_id": one.id, "signature": signed.token}
    launch(sample_copy, "reject", "reject_recommendation", succeeds=False, by="Bob", **config)
    other = sign_recommendation(sample_copy, one.id, key, decision="reject", reason="not now", expected_hash=one.content_hash)
    launch(sample_copy, "reject", "reject_recommendation", by="Ada", **config | {"signature": other.token})
    with sample_copy.book.reading() as connection:
        decided = {found.id: found for found in listed(connection)}[one.id]
        handed_in = approvals.listed(connection, one.id)
    assert (decided.state, decided.decided_by, decided.reason) == ("rejected", "Ada", "not now")
    assert [(found.state, found.code) for found in handed_in] == [("refused", "forged"), ("accepted", "")]


def test_a_restatement_computes_again_from_its_day_and_changes_nothing_where_nothing_changed(sample_copy):
    from portfolio_platform.lake import derived

    before = sample_copy.lake.read(derived.DAY_INPUTS).sort_by("day")
    launch(sample_copy, "restate", "restate_tables", first_day="2010-12-20", by="Ada", reason="to be sure")
    assert sample_copy.lake.read(derived.DAY_INPUTS).sort_by("day").equals(before)
