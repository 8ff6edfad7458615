"""The control group through a real ephemeral instance: what it shows, and that an audit names the first event that does not fit."""

from datetime import timedelta

import dagster as dg
import pytest

from portfolio_platform.control.plane import ControlPlane
from portfolio_platform.definitions import build_definitions
from portfolio_platform.home import Home
from tests.unit.control.pipeline.conftest import FILLS, LAST, at, imported, small, small_built
from tests.unit.control.pipeline.test_auditing import changed

__all__ = ["small", "small_built"]
QUIET = {"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}}


@pytest.fixture(scope="module")
def instance():
    with dg.DagsterInstance.ephemeral() as made:
        yield made


def run(home: Home, job: str, instance: dg.DagsterInstance) -> dg.ExecuteInProcessResult:
    return build_definitions(home).resolve_job_def(job).execute_in_process(instance=instance, run_config=QUIET)


def shown(result: dg.ExecuteInProcessResult) -> dict[str, dict[str, dg.MetadataValue]]:
    events = result.get_asset_materialization_events()
    return {event.asset_key.to_user_string(): dict(event.materialization.metadata) for event in events}


def decide(home: Home, *risks: str) -> None:
    plane = ControlPlane(home.book, home.clock)
    for number, risk in enumerate(risks):
        asked = {"intent_id": f"i{number}", "strategy": "swing", "symbol": "BBB", "side": "long", "requested_risk": risk}
        plane.request_allocation({**asked, "ts": home.clock.now()}, "main")


def test_a_cycle_takes_control_and_shows_limits_decisions_and_envelopes(small, instance):
    first = shown(run(small, "control_cycle", instance))
    assert first["allocation_decisions"]["portfolios under control"].value == "main"
    assert first["allocation_decisions"]["new sessions"].value == 30
    assert "data:image/png;base64" in first["limit_utilisation"]["use of limits of main"].value
    assert first["limit_utilisation"]["dagster/row_count"].value > 30 * 3
    decide(small, "50", "900000", "-1")
    second = shown(run(small, "control_cycle", instance))
    decisions = second["allocation_decisions"]
    assert (decisions["dagster/row_count"].value, decisions["new decisions"].value) == (3, 3)
    assert decisions["rejected_invalid"].value == 1
    assert "data:image/png;base64" in decisions["decisions of main"].value
    assert [record.data["decision"] for record in decisions["newest"].value.records] == [
        "decision:main:i0",
        "decision:main:i1",
        "decision:main:i2",
    ]
    live = second["constraint_envelopes"]["live"].value.records
    assert {record.data["symbol"] for record in live} >= {"AAA", "BBB"}


def test_an_audit_holds_and_signs_and_a_changed_log_fails_with_its_first_event(small, instance):
    run(small, "control_cycle", instance)
    decide(small, "50", "60")
    result = run(small, "daily_audit", instance)
    checks = {check.check_name: check for check in result.get_asset_check_evaluations()}
    assert set(checks) == {"chain_verifies", "replay_equals", "reservations_reconcile"}
    assert all(check.passed for check in checks.values())
    assert shown(result)["control_audit"]["signed"].value.startswith("event ")
    seq = changed(small, "i1", approved_risk=1)
    result = run(small, "daily_audit", instance)
    assert result.success  # the audit itself is done; operators are told of the checks
    checks = {check.check_name: check for check in result.get_asset_check_evaluations()}
    for name in ("chain_verifies", "replay_equals"):
        assert not checks[name].passed and checks[name].severity == dg.AssetCheckSeverity.ERROR
        assert f"event {seq}" in (checks[name].description or "")
    assert "signed" not in shown(result)["control_audit"]


def test_operators_are_told_of_an_audit_that_does_not_hold(small, instance):
    from portfolio_platform.book.alerts import PLATFORM, open_alerts
    from resources.platform import Platform
    from sensors.operators import finished_runs

    run(small, "control_cycle", instance)
    decide(small, "50")
    changed(small, "i0", approved_risk=1)
    result = run(small, "daily_audit", instance)
    context = dg.build_run_status_sensor_context(
        sensor_name="finished_runs",
        dagster_instance=instance,
        dagster_run=result.dagster_run,
        dagster_event=result.get_run_success_event(),
        resources={"platform": Platform(home=str(small.root))},
    )
    finished_runs(context)
    with small.book.reading() as connection:
        (alert,) = [one for one in open_alerts(connection, PLATFORM) if one.rule == "check_failed"]
    assert (alert.scope, alert.severity) == ("daily_audit", "critical")


def test_what_the_log_noticed_is_an_alert_after_the_cycle(small, instance, tmp_path):
    from portfolio_platform.book.alerts import PLATFORM, open_alerts

    run(small, "control_cycle", instance)
    later = LAST + timedelta(days=3)
    small.pin_clock(later)
    imported(small, tmp_path / "more", "fills.csv", FILLS, f"E99,{later}T16:00:00Z,main,trend,AAA,buy,1,71,0,60,")
    run(small, "control_cycle", instance)
    with at(small, later).book.reading() as connection:
        assert "control_unreserved_fill" in {one.rule for one in open_alerts(connection, PLATFORM)}


def test_a_refresh_builds_the_register_too(small):
    from sensors.jobs import ACCOUNTED

    graph = build_definitions(small).resolve_asset_graph()
    names = {key.to_user_string() for key in ACCOUNTED.resolve(graph)}
    assert "limit_utilisation" in names and not names & {"allocation_decisions", "constraint_envelopes", "control_audit"}
