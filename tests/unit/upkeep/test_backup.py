import hashlib
import json
import os
import sqlite3
import stat
import subprocess
import sys
import tarfile
import threading
from pathlib import Path

import pytest

from portfolio_platform.book.annotations import annotate
from portfolio_platform.book.events import chain_head
from portfolio_platform.errors import StoreProblem, WrongUse
from portfolio_platform.home import Home
from portfolio_platform.lake.derived import PORTFOLIO_EQUITY, PROGRESS
from portfolio_platform.lake.facts import FILLS
from portfolio_platform.upkeep import archive
from portfolio_platform.upkeep.backup import back_up, last_backup
from portfolio_platform.upkeep.restore import restore


def names(path: Path) -> list[str]:
    with tarfile.open(path) as tar:
        return tar.getnames()


def test_a_backup_begins_with_its_manifest_ends_with_its_seal_and_holds_no_table_that_a_build_makes(kept: Home, tmp_path: Path):
    done = back_up(kept, tmp_path / "b.tar")
    found = names(done.file)
    assert found[0] == "manifest.json" and found[-1] == "manifest.sha256"
    assert {"book/events.jsonl.gz", "lake/fills.parquet", "lake/imports.parquet", "home/span.json", "home/policies/default.toml"} <= set(
        found
    )
    assert not any(PORTFOLIO_EQUITY.name in name or PROGRESS.name in name for name in found)
    assert done.rows["lake/fills"] == 6 and done.events == 1
    assert "derived tables" in done.left_out[0]


def test_the_manifest_says_size_hash_and_rows_of_each_file_and_where_the_log_ends(kept: Home, tmp_path: Path):
    done = back_up(kept, tmp_path / "b.tar")
    with tarfile.open(done.file) as tar:
        manifest = json.load(tar.extractfile("manifest.json"))
        for member in manifest["members"]:
            content = tar.extractfile(member["name"]).read()
            assert (len(content), hashlib.sha256(content).hexdigest()) == (member["size"], member["sha256"])
    with kept.book.reading() as connection:
        head = chain_head(connection)
    assert (manifest["events"], manifest["chain_head"]) == (head.seq, head.hash)


def test_with_all_the_derived_tables_come_along_and_nothing_is_left_to_build(kept: Home, tmp_path: Path):
    from portfolio_platform.build import build_all

    back_up(kept, tmp_path / "b.tar", everything=True)
    restore(tmp_path / "b.tar", Home(tmp_path / "new"))
    new = Home(tmp_path / "new")
    assert new.lake.read(PORTFOLIO_EQUITY).sort_by("day").equals(kept.lake.read(PORTFOLIO_EQUITY).sort_by("day"))
    assert all(built.changed_from is None for built in build_all(new).values())


def test_secrets_are_left_out_and_said_to_be_unless_they_are_asked_for(kept: Home, tmp_path: Path):
    path = kept.root / "channels.toml"
    path.write_text('[[channel]]\nname = "desk"\nurl = "json://token@example.org"\n')
    path.chmod(0o600)
    without = back_up(kept, tmp_path / "without.tar")
    assert any("channels.toml" in text for text in without.left_out) and b"token@" not in without.file.read_bytes()
    back_up(kept, tmp_path / "with.tar", with_secrets=True)
    restore(tmp_path / "with.tar", Home(tmp_path / "new"))
    restored = tmp_path / "new" / "channels.toml"
    assert restored.read_text() == path.read_text() and stat.S_IMODE(restored.stat().st_mode) == 0o600


def test_only_its_owner_can_read_a_backup(kept: Home, tmp_path: Path):
    done = back_up(kept, tmp_path / "b.tar")
    assert stat.S_IMODE(done.file.stat().st_mode) == 0o600


def test_a_file_that_is_there_is_not_overwritten_unless_forced(kept: Home, tmp_path: Path):
    target = tmp_path / "b.tar"
    target.write_text("precious")
    with pytest.raises(WrongUse, match="is there already"):
        back_up(kept, target)
    assert target.read_text() == "precious"
    assert back_up(kept, target, force=True).size == target.stat().st_size


@pytest.mark.parametrize("place", ["inbox/b.tar", "lake/b.tar", "nowhere/b.tar", "policies"])
def test_a_place_that_cannot_be_meant_is_refused(kept: Home, place: str):
    with pytest.raises(WrongUse):
        back_up(kept, kept.root / place)


def test_a_backup_that_fails_leaves_nothing_and_keeps_the_one_before(kept: Home, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    target = tmp_path / "out" / "b.tar"
    target.parent.mkdir()
    back_up(kept, target)
    before = target.read_bytes()

    def full(number: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(archive.os, "fsync", full)
    with pytest.raises(OSError, match="No space"):
        back_up(kept, target, force=True)
    assert target.read_bytes() == before and [path.name for path in target.parent.iterdir()] == ["b.tar"]


def test_what_a_killed_backup_left_is_removed_by_the_next(kept: Home, tmp_path: Path):
    ended = subprocess.run([sys.executable, "-c", "import os; print(os.getpid())"], capture_output=True, text=True, check=True)
    dead, living = tmp_path / f".b.tar.{ended.stdout.strip()}.part", tmp_path / f".b.tar.{os.getppid()}.part"
    dead.mkdir()
    (dead / "book.sqlite").touch()
    living.touch()
    back_up(kept, tmp_path / "b.tar")
    assert not dead.exists() and living.exists()


def test_others_read_and_write_the_book_while_it_is_backed_up(kept: Home, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """A remark is written between the book's snapshot and the end; the backup has the log as it was at the snapshot, whole."""
    from portfolio_platform.upkeep import backup

    original = backup._table

    def disturbed(home: Home, table, *rest):
        if table.name == FILLS.name:
            with Home(home.root).book.writing() as connection:
                annotate(connection, "anything", by="Bob", text="meanwhile", at=home.clock.now())
        return original(home, table, *rest)

    monkeypatch.setattr(backup, "_table", disturbed)
    done = back_up(kept, tmp_path / "b.tar")
    assert done.events == 1
    restored = restore(tmp_path / "b.tar", Home(tmp_path / "new"))
    assert restored.manifest.chain_head == done.chain_head
    with kept.book.reading() as connection:
        assert chain_head(connection).seq == 2


def test_no_import_comes_between_the_tables_of_a_backup(kept: Home, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    from portfolio_platform.upkeep import backup

    original, blocked = backup._table, []

    def watched(home: Home, table, *rest):
        def write() -> None:
            try:
                with Home(home.root).lake.writing(timeout=0.05):
                    blocked.append(False)
            except StoreProblem:
                blocked.append(True)

        if table.name == FILLS.name:
            thread = threading.Thread(target=write)
            thread.start()
            thread.join()
        return original(home, table, *rest)

    monkeypatch.setattr(backup, "_table", watched)
    back_up(kept, tmp_path / "b.tar")
    assert blocked == [True]


def test_a_home_remembers_its_newest_backup_and_doctor_tells_its_age(kept: Home, tmp_path: Path):
    from portfolio_platform.doctor import examine

    assert last_backup(kept) is None
    assert {item.what: item.level for item in examine(kept)}["backup"] == "info"
    back_up(kept, tmp_path / "b.tar")
    last = last_backup(kept)
    assert last is not None and last.file == str(tmp_path / "b.tar") and last.size == (tmp_path / "b.tar").stat().st_size
    found = {item.what: item for item in examine(kept)}["backup"]
    assert found.level == "ok" and "0 days old" in found.state
    kept.pin_clock(None)
    (kept.root / "backup.json").write_text(json.dumps({"at": "2011-01-01T00:00:00+00:00", "file": "b.tar", "size": 1}))
    assert {item.what: item.level for item in examine(kept)}["backup"] == "warn"


def test_a_home_without_a_book_is_told_so(kept: Home, tmp_path: Path):
    (kept.root / "book.sqlite").unlink()
    with pytest.raises(StoreProblem, match="no book to back up"):
        back_up(kept, tmp_path / "b.tar")
    assert not (tmp_path / "b.tar").exists()


def test_a_damaged_book_is_told_and_not_backed_up(kept: Home, tmp_path: Path):
    kept.book.close()
    (kept.root / "book.sqlite").write_bytes(b"no database at all" * 500)
    with pytest.raises(StoreProblem, match=r"cannot be copied|not a SQLite"):
        back_up(kept, tmp_path / "b.tar")
    assert not (tmp_path / "b.tar").exists()


def test_the_copy_of_the_book_leaves_no_folder_behind(kept: Home, tmp_path: Path):
    folder = tmp_path / "out"
    folder.mkdir()
    back_up(kept, folder / "b.tar")
    assert [path.name for path in folder.iterdir()] == ["b.tar"]
    with sqlite3.connect(kept.root / "book.sqlite") as connection:
        assert connection.execute("SELECT count(*) FROM events").fetchone() == (1,)
