"""Dagster's event log with one engine for each file: the same files and events as with Dagster's own, and fewer engines."""

from pathlib import Path

import dagster as dg
import pytest
import yaml
from dagster._core.storage.event_log.sqlite.sqlite_event_log import SqliteEventLogStorage
from dagster._core.storage.sqlite_storage import DagsterSqliteStorage

from resources import storage
from resources.storage import EventLog, Storage

ROOT = Path(__file__).parents[2]


@dg.asset
def made(context: dg.AssetExecutionContext) -> None:
    context.log.info("said by the asset")


def instance_of(folder: Path, name: str) -> dg.DagsterInstance:
    described = {"module": name.rpartition(".")[0], "class": name.rpartition(".")[2], "config": {"base_dir": str(folder)}}
    return dg.DagsterInstance.local_temp(str(folder), overrides={"storage": {"custom": described}})


def said(instance: dg.DagsterInstance, run_id: str) -> list[str]:
    return [record.event_log_entry.message for record in instance.get_records_for_run(run_id).records]


def test_what_it_writes_dagsters_own_storage_reads_and_the_other_way_round(tmp_path: Path) -> None:
    ours, theirs = "resources.storage.Storage", f"{DagsterSqliteStorage.__module__}.{DagsterSqliteStorage.__name__}"
    runs = {}
    for writer in (ours, theirs):
        with instance_of(tmp_path, writer) as instance:
            assert type(instance.event_log_storage) is (EventLog if writer == ours else SqliteEventLogStorage)
            runs[writer] = dg.materialize([made], instance=instance).run_id
    for reader in (ours, theirs):
        with instance_of(tmp_path, reader) as instance:
            for run_id in runs.values():
                told = said(instance, run_id)
                assert "said by the asset" in told
                assert any("Materialized value made" in line for line in told)
            assert {record.run_id for record in instance.fetch_materializations(dg.AssetKey("made"), limit=9).records} == set(runs.values())


def test_a_run_needs_one_engine_for_the_index_and_one_for_itself(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Once an engine was made for each of a run's events, and SQLAlchemy compiled every statement anew."""
    engines: list[str] = []
    real = storage.create_engine
    monkeypatch.setattr(storage, "create_engine", lambda place, **told: engines.append(place) or real(place, **told))
    with instance_of(tmp_path, "resources.storage.Storage") as instance:
        for _ in range(3):
            assert dg.materialize([made], instance=instance).success
    assert len(engines) == len(set(engines)) == 4


def test_a_process_that_was_forked_opens_the_log_for_itself(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    log = EventLog(str(tmp_path))
    assert list(log.get_records_for_run("a").records) == []
    before = dict(log._engines)
    monkeypatch.setattr(log, "_process", 0)
    assert list(log.get_records_for_run("a").records) == []
    assert not set(map(id, before.values())) & set(map(id, log._engines.values()))


def test_after_it_is_disposed_of_nothing_is_open(tmp_path: Path) -> None:
    log = EventLog(str(tmp_path))
    assert not log.has_asset_key(dg.AssetKey("made"))
    (engine,) = log._engines.values()
    assert engine.pool.checkedin() == 1
    log.dispose()
    assert engine.pool.checkedin() == 0 and not log._engines


def test_engines_of_old_runs_are_let_go(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(storage, "KEPT_ENGINES", 2)
    log = EventLog(str(tmp_path))
    for run_id in ("a", "b", "c", "a"):
        assert list(log.get_records_for_run(run_id).records) == []
    assert len(log._engines) == 2


def test_the_projects_configuration_names_it() -> None:
    told = yaml.safe_load((ROOT / "dagster.yaml").read_text(encoding="utf-8"))["storage"]["custom"]
    assert (told["module"], told["class"]) == (Storage.__module__, Storage.__name__)
