"""The orchestration group through a real ephemeral instance: what it shows without a document, with one, and of what was executed."""

from datetime import date
from pathlib import Path

import dagster as dg
import pytest

from portfolio_platform.definitions import build_definitions
from portfolio_platform.desk.sources import put_samples
from portfolio_platform.home import Home
from sensors.jobs import ACCOUNTED, ORCHESTRATED, REPORTED

QUIET = {"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}}
NAMES = {"rebalancing_directives", "trade_list", "dry_run", "trade_recommendations", "execution_log"}


@pytest.fixture(scope="module")
def instance():
    with dg.DagsterInstance.ephemeral() as made:
        yield made


@pytest.fixture
def home(tmp_path: Path) -> Home:
    made = Home(tmp_path / "home")
    made.create()
    made.pin_clock(date(2026, 1, 5))
    return made


def run(home: Home, instance: dg.DagsterInstance, config: dict[str, str] | None = None) -> dict[str, dict[str, dg.MetadataValue]]:
    ops = {"ops": {"trade_list": {"config": config}}} if config else {}
    job = build_definitions(home).resolve_job_def("orchestrate")
    result = job.execute_in_process(instance=instance, run_config={**QUIET, **ops})
    assert result.success
    events = result.get_asset_materialization_events()
    return {event.asset_key.to_user_string(): dict(event.materialization.metadata) for event in events}


def test_a_home_without_a_document_says_so_and_fails_nothing(home: Home, instance: dg.DagsterInstance) -> None:
    shown = run(home, instance)
    assert set(shown) == NAMES
    assert {name: one["dagster/row_count"].value for name, one in shown.items()} == dict.fromkeys(NAMES, 0)
    assert "There is no `orchestrator/portfolio_document.md`" in shown["rebalancing_directives"]["nothing read"].value
    assert "No plan was made yet" in shown["dry_run"]["nothing planned"].value
    assert "No plan was approved yet" in shown["execution_log"]["nothing executed"].value
    assert not (home.root / "executions").exists()


def test_a_document_becomes_a_plan_with_its_folder_table_and_charts(home: Home, instance: dg.DagsterInstance) -> None:
    put_samples(home)
    shown = run(home, instance)
    assert shown["rebalancing_directives"]["dagster/row_count"].value == 4
    assert shown["rebalancing_directives"]["not understood"].value.records[0].data["text"] == "Suggested rebalancing:"
    trades = [record.data["trade"] for record in shown["trade_list"]["trades"].value.records]
    assert trades[:3] == ["S01 sell NEM", "S02 sell FCX", "B01 buy NVDA"]
    rows = {record.data["sector"]: record.data for record in shown["dry_run"]["before and after"].value.records}
    assert (rows["Materials"]["before"], rows["Materials"]["after"], rows["Materials"]["cap"]) == ("46.80 %", "25.00 %", "40 %")
    assert "data:image/png;base64" in shown["dry_run"]["sectors"].value and "data:image/png;base64" in shown["dry_run"]["cash path"].value
    plans = shown["trade_recommendations"]["plans"].value.records
    assert [(one.data["kind"], one.data["verdict"], one.data["status"]) for one in plans] == [("rebalancing", "CONDITIONAL", "open")]
    folder = Path(str(shown["trade_list"]["folder"].value))
    assert (folder / "plan.html").is_file() and shown["dry_run"]["plan"].value == plans[0].data["plan"]
    again = run(home, instance)
    assert [path.name for path in (home.root / "executions").iterdir()] == [folder.name], "the same plan at the same time is one plan"
    assert again["trade_recommendations"]["dagster/row_count"].value == 1


def test_a_portfolio_that_is_not_there_is_said_and_fails_nothing(home: Home, instance: dg.DagsterInstance) -> None:
    put_samples(home)
    shown = run(home, instance, {"portfolio": "nobody"})
    assert "nobody" in shown["trade_list"]["nothing planned"].value


def test_the_jobs_of_the_night_do_not_run_it(home: Home) -> None:
    graph = build_definitions(home).resolve_asset_graph()
    assert {key.to_user_string() for key in ORCHESTRATED.resolve(graph)} == NAMES
    assert not {key.to_user_string() for key in (ACCOUNTED | REPORTED).resolve(graph)} & NAMES
