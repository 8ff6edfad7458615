"""`portfolio doctor` finds what is wrong, says the way out, and never dies of the illness."""

import os
import sqlite3
import subprocess
import sys
from collections import namedtuple
from collections.abc import Callable
from datetime import date
from pathlib import Path

import pytest

from portfolio_platform import doctor
from portfolio_platform.doctor import Finding, examine
from portfolio_platform.errors import DataProblem
from portfolio_platform.home import Home
from portfolio_platform.sources.pipeline import import_paths

FILLS = "execution_id,ts,symbol,side,quantity,price\n1,2010-05-03T14:30:00Z,AAPL,buy,10,100\n"


def found(home: Home, what: str) -> Finding:
    (finding,) = [item for item in examine(home) if item.what == what]
    return finding


def write(path: Path, text: str) -> Path:
    path.write_text(text, encoding="utf-8")
    return path


@pytest.fixture
def filled(home: Home, tmp_path: Path) -> Home:
    home.root.chmod(0o700)
    import_paths(home, [write(tmp_path / "fills.csv", FILLS)])
    return home


def test_a_home_in_order_has_nothing_to_warn_of(sample_copy: Home, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    from portfolio_platform.render.pipeline import published_reports

    monkeypatch.chdir(tmp_path)
    sample_copy.root.chmod(0o700)
    published_reports(sample_copy, None, None)
    findings = examine(sample_copy)
    assert [item for item in findings if item.level in ("warn", "fail")] == []
    looked_at = {item.what for item in findings}
    assert {"python", "packages", "book", "event log", "ledger", "drawdown", "report of core", "lake lock"} <= looked_at


def test_a_home_that_is_not_there_is_one_failure_that_names_init(tmp_path: Path) -> None:
    failed = [item for item in examine(Home(tmp_path / "nowhere")) if item.level == "fail"]
    assert len(failed) == 1 and "portfolio init" in failed[0].remedy
    assert not (tmp_path / "nowhere").exists()


def test_an_unsupported_python_fails(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    version = namedtuple("version", "major minor micro releaselevel serial")
    monkeypatch.setattr(sys, "version_info", version(3, 13, 1, "final", 0))
    assert found(home, "python") == Finding("fail", "python", "3.13.1 is not supported", "make the environment with Python 3.11 to 3.12")


def test_a_home_that_others_may_read_is_a_warning(home: Home) -> None:
    home.root.chmod(0o755)
    assert found(home, "home").level == "warn" and "chmod" in found(home, "home").remedy
    home.root.chmod(0o700)
    assert found(home, "home").level == "ok"


@pytest.mark.parametrize(("free", "level"), [(50 << 20, "fail"), (500 << 20, "warn"), (5 << 30, "ok")])
def test_a_full_disk_is_seen(home: Home, monkeypatch: pytest.MonkeyPatch, free: int, level: str) -> None:
    usage = namedtuple("usage", "total used free")
    monkeypatch.setattr(doctor.machine.shutil, "disk_usage", lambda path: usage(1 << 40, 0, free))
    assert found(home, "disk").level == level


def test_a_pinned_clock_is_told(home: Home) -> None:
    assert "pinned to the end of 2010-12-31" in found(home, "clock").state
    home.pin_clock(None)
    assert found(home, "clock").level == "ok"


def test_a_policy_that_does_not_load_fails_with_its_key_and_the_others_are_still_looked_at(home: Home) -> None:
    write(home.policies / "tight.toml", "[drawdown]\nwindo = 3\n")
    findings = {item.what: item for item in examine(home)}
    assert findings["policy tight"].level == "fail" and "windo" in findings["policy tight"].state
    assert findings["policy default"].level == "ok" and "hash" in findings["policy default"].state


def test_a_missing_default_policy_fails(home: Home) -> None:
    (home.policies / "default.toml").unlink()
    assert found(home, "policy default").level == "fail"


def test_what_is_not_built_or_behind_says_by_how_much(filled: Home, tmp_path: Path) -> None:
    from portfolio_platform.build import build_all

    assert found(filled, "ledger").state == "not built yet"
    build_all(filled, until=date(2010, 12, 1))
    assert "30 days behind the clock" in found(filled, "ledger").state
    build_all(filled)
    assert found(filled, "ledger").level == "ok"
    import_paths(filled, [write(tmp_path / "fills_2.csv", FILLS.replace("\n1,", "\n2,"))])
    assert "1 import behind" in found(filled, "ledger").state
    write(filled.policies / "default.toml", "version = 7\n")
    assert "another policy" in found(filled, "heat").state
    assert "another policy" not in found(filled, "ledger").state, "it accounts as before"
    write(filled.policies / "default.toml", "[accounting]\nmax_mark_age = 9\n")
    assert "another policy" in found(filled, "ledger").state


def test_a_policy_that_has_expired_fails_and_one_that_soon_will_is_told(home: Home) -> None:
    write(home.policies / "default.toml", "expires = 2011-01-15\n")
    soon = found(home, "policy default")
    assert soon.level == "warn" and "its last day is 2011-01-15, and nothing takes over" in soon.state
    write(home.policies / "default@next.toml", "version = 2\neffective_from = 2011-01-10\n")
    assert found(home, "policy default").level == "ok" and "1 of 2 in time" in found(home, "policy default").state
    (home.policies / "default@next.toml").unlink()
    write(home.policies / "default.toml", "expires = 2010-12-01\n")
    over = found(home, "policy default")
    assert over.level == "fail" and "expired on 2010-12-01" in over.state and "move `expires`" in over.remedy


def test_an_import_that_the_ledger_does_not_rest_on_leaves_it_up_to_date(filled: Home, tmp_path: Path) -> None:
    from portfolio_platform.build import build_all

    build_all(filled)
    lines = "signal_id,ts,symbol,direction,entry_price\nS1,2010-05-03T14:00:00Z,AAPL,long,100\n"
    import_paths(filled, [write(tmp_path / "signals.csv", lines)])
    assert found(filled, "ledger").level == "ok"


def test_rows_set_aside_and_in_dispute_are_counted_apart(filled: Home, tmp_path: Path) -> None:
    text = FILLS.replace(",10,100", ",11,100") + "2,2010-05-03T14:30:00Z,AAPL,buy,-1,100\n"
    import_paths(filled, [write(tmp_path / "fills_b.csv", text)])
    assert found(filled, "set aside").state.startswith("1 row")
    assert found(filled, "in dispute").state.startswith("2 rows")


def test_files_that_wait_in_the_inbox_are_named(home: Home) -> None:
    write(home.inbox / "fills.csv", FILLS)
    assert found(home, "inbox").level == "warn" and "fills.csv" in found(home, "inbox").state


def test_many_small_files_are_a_hint_to_compact(filled: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doctor.data, "MANY_FILES", -1000)
    assert "fills 1" in found(filled, "lake files").state


def test_a_lock_held_by_another_process_is_told_and_nothing_waits_for_it(home: Home) -> None:
    code = (
        "import sys\nfrom pathlib import Path\nfrom portfolio_platform.home import Home\n"
        "with Home(Path(sys.argv[1])).lake.writing():\n    print('held', flush=True)\n    sys.stdin.read()\n"
    )
    holder = subprocess.Popen([sys.executable, "-c", code, str(home.root)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert holder.stdin is not None and holder.stdout is not None
    try:
        assert holder.stdout.readline().strip() == "held"
        assert found(home, "lake lock").level == "warn"
    finally:
        holder.stdin.close()
        holder.wait(10)
        holder.stdout.close()
    assert found(home, "lake lock").level == "ok"


def test_a_span_that_disagrees_with_the_facts_fails(filled: Home) -> None:
    assert found(filled, "first day").level == "ok"
    filled.remember_first_day(date(2010, 6, 1))
    assert found(filled, "first day").level == "fail"
    assert "2010-06-01" in found(filled, "first day").state and "2010-05-03" in found(filled, "first day").state


@pytest.mark.parametrize("file", ["span.json", "clock.json"])
def test_a_damaged_file_of_the_home_is_a_failure_with_a_remedy(filled: Home, file: str) -> None:
    write(filled.root / file, "{")
    failed = [item for item in examine(filled) if item.level == "fail"]
    assert failed and all("damaged" in item.state and item.remedy for item in failed)


def test_a_book_that_is_missing_or_damaged_is_a_failure(filled: Home) -> None:
    book = filled.root / "book.sqlite"
    filled.book.close()
    book.write_bytes(b"no database" * 100)
    assert found(Home(filled.root), "book").level == "fail"
    book.unlink()
    assert found(Home(filled.root), "book").level == "fail"


def test_an_event_that_was_changed_breaks_the_chain_where_it_stands(sample_copy: Home) -> None:
    from portfolio_platform.render.pipeline import published_reports

    published_reports(sample_copy, None, None)
    assert found(sample_copy, "event log").level == "ok"
    sample_copy.book.close()
    connection = sqlite3.connect(sample_copy.root / "book.sqlite")
    with connection:
        for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'trigger'").fetchall():
            connection.execute(f'DROP TRIGGER "{name}"')
        connection.execute("UPDATE events SET content = CAST(content || ' ' AS BLOB) WHERE seq = 2")
        connection.execute("DELETE FROM reports WHERE portfolio = 'macro'")
    connection.close()
    broken = {item.what: item for item in examine(Home(sample_copy.root))}
    assert broken["event log"].level == "fail" and "event 2" in broken["event log"].state
    assert broken["reports"].level == "fail"


@pytest.mark.parametrize("error", [DataProblem("fills is odd; mend it"), OSError(13, "Permission denied", "x"), ValueError("no\nway")])
def test_a_check_that_raises_becomes_a_failure(home: Home, monkeypatch: pytest.MonkeyPatch, error: Exception) -> None:
    def fails(home: Home) -> list[Finding]:
        raise error

    monkeypatch.setitem(doctor.CHECKS, "book", fails)
    finding = found(home, "book")
    assert finding.level == "fail" and finding.remedy and "\n" not in finding.state
    assert found(home, "inbox").level == "ok"


def test_a_damaged_table_is_a_failure_and_no_traceback(filled: Home) -> None:
    for file in (filled.root / "lake" / "fills").rglob("*.parquet"):
        file.write_bytes(b"x")
    failed = {item.what for item in examine(filled) if item.level == "fail"}
    assert failed and all(isinstance(item, Finding) for item in examine(filled))


@pytest.mark.parametrize("name", ["assets", "sensors", "resources"])
def test_a_folder_of_the_working_directory_that_hides_ours_is_told(
    home: Home, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    (tmp_path / name).mkdir()
    monkeypatch.chdir(tmp_path)
    finding = found(home, "working directory")
    assert finding.level == "warn" and str(tmp_path / name) in finding.state and "rename" in finding.remedy


def test_a_read_only_home_fails(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    access: Callable[..., bool] = os.access
    monkeypatch.setattr(doctor.machine.os, "access", lambda path, mode: False if path == home.root else access(path, mode))
    assert found(home, "home").level == "fail"
