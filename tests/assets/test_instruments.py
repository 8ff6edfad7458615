"""The group of instruments through a real ephemeral instance: one run advances every workflow, and what it brought reaches the ledger."""

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from unittest.mock import patch

import dagster as dg
import pytest

from portfolio_platform.definitions import build_definitions
from portfolio_platform.home import Home
from portfolio_platform.lake.facts import FILLS
from portfolio_platform.paper.monitoring import Monitor, Seen
from portfolio_platform.paper.record import read_record
from portfolio_platform.paper.resuming import partition_keys
from sensors.instruments import FIRST as BEGIN
from sensors.instruments import JOB
from sensors.instruments import LAST as END
from tests.unit.paper.conftest import LAST
from tests.unit.paper.ran import bars_made, paper_copy, paper_made

__all__ = ["bars_made", "paper_copy", "paper_made"]
QUIET = {"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}}
LATER = LAST + timedelta(days=5)


@pytest.fixture
def instance() -> Iterator[dg.DagsterInstance]:
    with dg.DagsterInstance.ephemeral() as made:
        yield made


def run(home: Home, instance: dg.DagsterInstance, tags: dict[str, str]) -> dg.ExecuteInProcessResult:
    job = build_definitions(home).resolve_job_def(JOB)
    with patch.object(Monitor, "look", lambda *_: Seen(None, ())):
        return job.execute_in_process(instance=instance, tags=tags, run_config=QUIET)


def sessions(home: Home) -> list[str]:
    with home.book.reading() as connection:
        return [one.day for one in read_record(connection, "paper").sessions]


def test_one_run_advances_every_workflow_and_brings_the_ledger_what_was_traded(paper_copy: Home, instance: dg.DagsterInstance) -> None:
    paper_copy.pin_clock(LATER)
    keys = [key for key, runs in partition_keys(paper_copy).items() if runs]
    assert len(keys) >= 3
    instance.add_dynamic_partitions("instruments", keys)
    before = sessions(paper_copy)
    result = run(paper_copy, instance, {BEGIN: keys[0], END: keys[-1]})
    after = sessions(paper_copy)
    assert before[-1] == LAST.isoformat() and after[: len(before)] == before and after[-1] == LATER.isoformat()
    events = result.get_asset_materialization_events()
    states = {event.partition: dict(event.materialization.metadata) for event in events if event.asset_key.path == ["instrument_states"]}
    assert set(states) == set(keys)
    assert all(shown["phase"].value and shown["waits for"].value for shown in states.values())
    shown = {event.asset_key.path[0]: dict(event.materialization.metadata) for event in events if event.partition is None}
    assert shown["screener_candidates"]["weight of compression"].value == "0.5"
    assert shown["screener_candidates"]["dagster/row_count"].value == 8
    row = shown["paper_ledger"]["portfolios"].value.records[0].data
    assert (row["portfolio"], row["last"]) == ("paper", LATER.isoformat())
    assert "data:image/png;base64" in shown["paper_ledger"]["phases of paper"].value
    assert Path(shown["paper_ledger"]["page of paper"].value).read_text().startswith("<!DOCTYPE html>")
    with paper_copy.book.reading() as connection:
        fills = list(read_record(connection, "paper").fills)
    assert paper_copy.lake.row_count(FILLS.table) == len(fills) > 0


def test_a_home_without_a_paper_portfolio_shows_candidates_and_says_how_to_begin(
    bars_made: Path, tmp_path: Path, instance: dg.DagsterInstance
) -> None:
    import shutil

    shutil.copytree(bars_made / "home", tmp_path / "home")
    home = Home(tmp_path / "home")
    definitions = build_definitions(home)
    job = definitions.resolve_implicit_global_asset_job_def()
    result = job.execute_in_process(
        instance=instance, asset_selection=[dg.AssetKey("screener_candidates"), dg.AssetKey("paper_ledger")], run_config=QUIET
    )
    shown = {event.asset_key.path[0]: dict(event.materialization.metadata) for event in result.get_asset_materialization_events()}
    assert "portfolio paper run" in shown["paper_ledger"]["portfolios"].value
    assert shown["screener_candidates"]["pass id"].value.startswith("SCR-")
    home.book.close()
