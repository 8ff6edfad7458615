"""Homes of version 0.1.0: other columns in derived tables, fewer in facts, a book at the first migration."""

import json
from dataclasses import replace
from datetime import date

import pyarrow as pa
import pytest
from deltalake import write_deltalake

from portfolio_platform.book import migrate, schema
from portfolio_platform.book.location import sqlite_url
from portfolio_platform.build import build_all
from portfolio_platform.errors import DataProblem, StoreProblem
from portfolio_platform.home import Home
from portfolio_platform.lake.columns import Table
from portfolio_platform.lake.derived import DRAWDOWN_STATE, PORTFOLIO_EQUITY, PROGRESS
from portfolio_platform.lake.facts import FILLS, INSTRUMENTS
from portfolio_platform.lake.progress import read_progress
from portfolio_platform.policy.shipped import shipped
from portfolio_platform.upkeep.schemas import differences, require_widenable, widened
from portfolio_platform.upkeep.upgrade import missing_keys, plan_upgrade, redeclare, upgrade
from portfolio_platform.version import __version__
from tests.e2e.running import portfolio

REBUILT = (DRAWDOWN_STATE, PORTFOLIO_EQUITY)


def rewrite(home: Home, table: Table, change) -> None:
    """Write a table as an older version of the code would have declared it."""
    rows = change(home.lake.read(table))
    partition = [table.partition] if table.partition else None
    write_deltalake(home.lake.uri(table), rows, mode="overwrite", schema_mode="overwrite", partition_by=partition)


def older_progress(rows: pa.Table) -> pa.Table:
    size = len(rows)
    rows = rows.drop_columns(["upstreams", "code_version"])
    return rows.append_column("upstream_generation", pa.array([1] * size, pa.int64())).append_column(
        "code_version", pa.array(["0.1.0"] * size)
    )


@pytest.fixture
def old(kept: Home) -> Home:
    """The small home as version 0.1.0 left it."""
    rewrite(kept, DRAWDOWN_STATE, lambda rows: rows.drop_columns(["size_multiplier"]))
    rewrite(kept, PROGRESS, older_progress)
    rewrite(kept, FILLS.table, lambda rows: rows.drop_columns(["trigger_id", "purpose"]))
    kept.book.close()
    (kept.root / "book.sqlite").unlink()
    migrate.upgrade(sqlite_url(kept.root / "book.sqlite"), to="0001")
    (kept.policies / "default.toml").write_text('name = "default"\nversion = 1\n\n[drawdown]\newma_lambda = 0.94\n')
    return kept


def test_an_old_home_says_what_to_do_when_it_is_used_without_an_upgrade(old: Home):
    built = portfolio("build", "--home", old.root)
    assert built.exit_code == 1 and "portfolio upgrade" in built.text
    imported = portfolio("alerts", "list", "--home", old.root)
    assert imported.exit_code == 1 and "portfolio upgrade" in imported.text
    findings = portfolio("doctor", "--home", old.root)
    assert findings.exit_code == 1 and "drawdown_state lacks size_multiplier" in findings.text.replace("│", "").replace("  ", " ")


def test_a_write_to_a_table_of_another_version_names_table_column_and_command(old: Home):
    migrate.upgrade(sqlite_url(old.root / "book.sqlite"))
    match = r"another version of this code wrote drawdown_state \(it differs in size_multiplier\); run `portfolio upgrade`"
    with old.lake.writing(), pytest.raises(StoreProblem, match=match):
        old.lake.replace_from(DRAWDOWN_STATE, date(2010, 5, 1), DRAWDOWN_STATE.arrow_schema().empty_table())


def test_a_dry_run_tells_everything_and_changes_nothing(old: Home):
    before = {path: path.stat().st_mtime_ns for path in old.root.rglob("*") if path.suffix in (".parquet", ".json", ".toml")}
    told = portfolio("upgrade", "--dry-run", "--json", "--home", old.root).json
    assert told["book"] == {"from": "0001", "to": schema.VERSION} and told["needed"] and told["dry_run"]
    assert set(told["rebuilt"]) == {"drawdown_state", "progress"} and set(told["widened"]) == {"fills"}
    assert told["rebuilt"]["progress"] == "lacks upstreams; no longer has upstream_generation"
    assert "accounting" in told["defaults"] and "drawdown.regime" in told["defaults"] and "drawdown.ewma_lambda" not in told["defaults"]
    assert {path: path.stat().st_mtime_ns for path in before} == before
    assert migrate.current(sqlite_url(old.root / "book.sqlite")) == "0001"


def test_after_an_upgrade_the_home_is_as_if_this_version_had_made_it(old: Home, small: Home):
    policy = (old.policies / "default.toml").read_bytes()
    (old.lake.uri(DRAWDOWN_STATE), old.book.close())
    done = upgrade(old)
    assert {item.table.name for item in done.plan.rebuild} == {"drawdown_state", "progress"}
    assert differences(old.lake) == [] and not plan_upgrade(old).is_needed
    for table in REBUILT:
        assert old.lake.read(table).sort_by("day").equals(small.lake.read(table).sort_by("day")), table.name
    assert old.lake.read(FILLS.table)["purpose"].to_pylist() == ["policy"] * 6
    assert old.lake.read(FILLS.table)["trigger_id"].null_count == 6
    assert (old.policies / "default.toml").read_bytes() == policy
    assert all(built.changed_from is None for built in build_all(old).values())
    with old.book.reading():
        pass


def test_a_second_upgrade_finds_nothing_to_do(kept: Home):
    done = portfolio("upgrade", "--home", kept.root)
    assert done.exit_code == 0 and "every table was up to date" in done.text


def test_an_upgrade_that_was_killed_after_dropping_is_finished_by_the_next_build(kept: Home, small: Home):
    """The marks are written before the tables go, so that no build takes a table that is gone for one that is built."""
    before = read_progress(kept.lake, "drawdown")
    redeclare(kept, [DRAWDOWN_STATE])
    assert kept.lake.open(DRAWDOWN_STATE) is None
    after = read_progress(kept.lake, "drawdown")
    assert after.generation == before.generation + 1 and after.code_version != __version__
    built = build_all(kept)
    assert built["drawdown"].changed_from is not None and built["alerts"].changed_from is not None
    assert built["ledger"].changed_from is None
    assert kept.lake.read(DRAWDOWN_STATE).sort_by("day").equals(small.lake.read(DRAWDOWN_STATE).sort_by("day"))


def test_a_fact_is_never_dropped(kept: Home):
    with pytest.raises(StoreProblem, match="fills is a fact"):
        redeclare(kept, [DRAWDOWN_STATE, FILLS.table])
    assert kept.lake.open(DRAWDOWN_STATE) is not None


def test_a_fact_with_columns_of_a_newer_version_is_refused_and_stays_as_it_is(kept: Home):
    rewrite(kept, FILLS.table, lambda rows: rows.append_column("venue", pa.array(["X"] * len(rows))))
    with pytest.raises(StoreProblem, match="fills no longer has venue"):
        upgrade(kept)
    assert "venue" in kept.lake.stored(FILLS.table)[0].names


def test_a_fact_that_lacks_what_every_row_must_have_is_refused(kept: Home):
    rewrite(kept, FILLS.table, lambda rows: rows.drop_columns(["price"]))
    (found,) = differences(kept.lake)
    with pytest.raises(StoreProblem, match="fills lacks price"):
        require_widenable(found)


def test_a_fact_of_another_type_is_refused(kept: Home):
    def as_float(rows: pa.Table) -> pa.Table:
        return rows.set_column(rows.column_names.index("price"), "price", rows["price"].cast(pa.float64()))

    rewrite(kept, FILLS.table, as_float)
    with pytest.raises(StoreProblem, match="has another type of price"):
        plan_upgrade(kept)


def test_a_policy_with_a_key_that_is_gone_is_named_and_not_rewritten(kept: Home):
    path = kept.policies / "default.toml"
    path.write_text(path.read_text() + "\n[obsolete]\nvalue = 1\n")
    with pytest.raises(DataProblem, match=r"default.toml: obsolete"):
        plan_upgrade(kept)


def test_a_folder_of_the_lake_that_no_table_has_is_told_and_left(kept: Home):
    rewrite(kept, replace(DRAWDOWN_STATE, name="former_table", partition=""), lambda rows: pa.table({"x": [1]}))
    done = portfolio("upgrade", "--home", kept.root)
    assert "former_table" in done.text and (kept.root / "lake" / "former_table").is_dir()


def test_a_column_that_is_new_holds_its_default_typed_or_null():
    rows = pa.table({"symbol": ["AAPL", "BTC"]})
    found = widened(INSTRUMENTS.table, rows)
    assert found.schema.equals(INSTRUMENTS.table.arrow_schema())
    assert [str(value) for value in found["multiplier"].to_pylist()] == ["1.000000000000000000"] * 2
    assert found["sector"].to_pylist() == ["unclassified"] * 2 and found["calendar"].null_count == 2


def test_missing_keys_are_told_once_for_a_section_that_is_missing_as_a_whole():
    whole = {"a": 1, "b": {"c": 2, "d": {"e": 3}}}
    assert list(missing_keys({"b": {"c": 9}}, whole)) == ["a", "b.d"]
    assert list(missing_keys(whole, whole)) == []
    assert list(missing_keys(json.loads(json.dumps(shipped(), default=str)), shipped())) == []
