import gzip
import hashlib
import io
import json
import tarfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import update

from portfolio_platform.book import migrate, schema
from portfolio_platform.book.chain import verify_chain
from portfolio_platform.book.location import sqlite_url
from portfolio_platform.book.store import Book
from portfolio_platform.errors import DataProblem, PortfolioError, WrongUse
from portfolio_platform.home import Home
from portfolio_platform.lake.facts import FILLS
from portfolio_platform.sources.pipeline import import_paths
from portfolio_platform.upkeep import book_rows
from portfolio_platform.upkeep.archive import version_key
from portfolio_platform.upkeep.backup import back_up
from portfolio_platform.upkeep.restore import restore
from tests.conftest import copied
from tests.e2e.running import fill, fills


@pytest.fixture(scope="module")
def made(small: Home, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The backup of the small home; tests only read it."""
    folder = tmp_path_factory.mktemp("made")
    back_up(copied(small, folder / "home"), folder / "b.tar")
    return folder / "b.tar"


def rewritten(made: Path, path: Path, change: Callable[[dict[str, bytes]], None], *, reseal: bool = False) -> Path:
    """Write a backup whose files were changed; `reseal` mends the hashes of manifest and seal."""
    with tarfile.open(made) as tar:
        files = {info.name: tar.extractfile(info).read() for info in tar}
    change(files)
    if reseal:
        manifest = json.loads(files["manifest.json"])
        for member in manifest["members"]:
            if member["name"] in files:
                content = files[member["name"]]
                member["size"], member["sha256"] = len(content), hashlib.sha256(content).hexdigest()
        files["manifest.json"] = json.dumps(manifest).encode()
        files["manifest.sha256"] = hashlib.sha256(files["manifest.json"]).hexdigest().encode()
    with tarfile.open(path, "w") as tar:
        for name, content in files.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            tar.addfile(info, io.BytesIO(content))
    return path


def manifest_of(**changes: object) -> Callable[[dict[str, bytes]], None]:
    def change(files: dict[str, bytes]) -> None:
        files["manifest.json"] = json.dumps(json.loads(files["manifest.json"]) | changes).encode()

    return change


def refused(path: Path, tmp_path: Path, match: str, kind: type[PortfolioError] = DataProblem) -> None:
    """Hold that a backup is refused, and that nothing is left where the home would have been."""
    home = Home(tmp_path / "new")
    with pytest.raises(kind, match=match):
        restore(path, home)
    assert not home.root.exists()


def test_what_was_backed_up_is_there_again(made: Path, small: Home, tmp_path: Path):
    done = restore(made, Home(tmp_path / "new"))
    new = Home(tmp_path / "new")
    by_id = small.lake.read(FILLS.table).sort_by("row_id")
    assert new.lake.read(FILLS.table).sort_by("row_id").equals(by_id) and done.rows["fills"] == 6
    assert (new.pinned_at, new.first_day, new.policy().hash) == (small.pinned_at, small.first_day, small.policy().hash)
    with new.book.reading() as connection:
        verdict = verify_chain(connection)
        text = connection.execute(schema.annotations.select()).one().text
    assert verdict.ok and verdict.head.hash == done.manifest.chain_head and text == "größer — und fein"
    assert new.inbox.is_dir() and not (new.root / ".restoring").exists()


def test_a_table_too_large_to_be_read_at_once_loses_no_row(small: Home, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    from portfolio_platform.upkeep import backup
    from portfolio_platform.upkeep import restore as restoring

    home = copied(small, tmp_path / "home")
    (tmp_path / "fills.csv").write_text(fills(*(fill(number, ts=f"2010-{number - 9:02d}-02T10:00:00Z") for number in range(10, 14))))
    import_paths(home, [tmp_path / "fills.csv"])
    monkeypatch.setattr(backup, "ROWS_AT_ONCE", 2)
    monkeypatch.setattr(restoring, "ROWS_AT_ONCE", 3)
    back_up(home, tmp_path / "b.tar")
    done = restore(tmp_path / "b.tar", Home(tmp_path / "new"))
    assert done.rows["fills"] == 10
    by_id = home.lake.read(FILLS.table).sort_by("row_id")
    assert Home(tmp_path / "new").lake.read(FILLS.table).sort_by("row_id").equals(by_id)


def test_a_home_may_be_restored_into_an_empty_folder_and_into_no_other(made: Path, tmp_path: Path):
    (tmp_path / "empty").mkdir()
    restore(made, Home(tmp_path / "empty"))
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "mine.txt").write_text("mine")
    with pytest.raises(WrongUse, match=r"not empty \(mine.txt\)"):
        restore(made, Home(tmp_path / "full"))
    assert [path.name for path in (tmp_path / "full").iterdir()] == ["mine.txt"]
    with pytest.raises(WrongUse, match="not empty"):
        restore(made, Home(tmp_path / "empty"))


def test_what_a_killed_restoration_left_is_no_home_and_does_not_hinder_the_next(made: Path, tmp_path: Path):
    left = tmp_path / "new" / ".restoring" / "policies"
    left.mkdir(parents=True)
    assert not Home(tmp_path / "new").exists
    restore(made, Home(tmp_path / "new"))
    assert Home(tmp_path / "new").exists


@given(st.data())
def test_a_backup_that_was_cut_off_anywhere_is_refused(made: Path, tmp_path_factory: pytest.TempPathFactory, data: st.DataObject):
    folder = tmp_path_factory.mktemp("cut")
    whole = made.read_bytes()
    with tarfile.open(made) as tar:
        end = tar.getmembers()[-1]
        needed = end.offset_data + end.size
    (folder / "cut.tar").write_bytes(whole[: data.draw(st.integers(0, needed - 1))])
    refused(folder / "cut.tar", folder, "cut.tar")


@given(st.data())
def test_a_byte_that_changed_in_any_file_is_seen(made: Path, tmp_path_factory: pytest.TempPathFactory, data: st.DataObject):
    folder = tmp_path_factory.mktemp("bit")
    content = bytearray(made.read_bytes())
    with tarfile.open(made) as tar:
        member = data.draw(st.sampled_from(tar.getmembers()))
    place = member.offset_data + data.draw(st.integers(0, member.size - 1))
    content[place] ^= data.draw(st.integers(1, 255))
    (folder / "bit.tar").write_bytes(content)
    refused(folder / "bit.tar", folder, "bit.tar")


def test_a_damaged_file_is_named(made: Path, tmp_path: Path):
    path = rewritten(made, tmp_path / "x.tar", lambda files: files.update({"lake/fills.parquet": files["lake/fills.parquet"][:-1] + b"x"}))
    refused(path, tmp_path, "x.tar is damaged: lake/fills.parquet does not have the hash")


def test_a_file_that_is_missing_is_named(made: Path, tmp_path: Path):
    refused(rewritten(made, tmp_path / "x.tar", lambda files: files.pop("lake/fills.parquet")), tmp_path, r"missing, the first lake/fills")
    refused(rewritten(made, tmp_path / "y.tar", lambda files: files.pop("manifest.sha256")), tmp_path, "cut off")


def test_a_file_that_is_no_backup_is_told_so(tmp_path: Path):
    (tmp_path / "text.tar").write_text("hello" * 1000)
    refused(tmp_path / "text.tar", tmp_path, "is no backup")
    refused(tmp_path / "nothing.tar", tmp_path, "there is no file", WrongUse)


@pytest.mark.parametrize("changes", [{"format": 2}, {"book_version": "0999"}, {"code_version": "99.0.0"}], ids=["format", "book", "code"])
def test_a_backup_of_a_newer_version_is_refused_and_says_which(made: Path, tmp_path: Path, changes: dict[str, object]):
    path = rewritten(made, tmp_path / "x.tar", manifest_of(**changes), reseal=True)
    refused(path, tmp_path, "upgrade the package portfolio-platform")


@pytest.mark.parametrize("name", ["../evil.toml", "/etc/evil", "home/policies/../../evil.toml", "home/evil.py", "book/../x.jsonl.gz"])
def test_a_file_that_would_lie_elsewhere_is_refused(made: Path, tmp_path: Path, name: str):
    def smuggle(files: dict[str, bytes]) -> None:
        manifest = json.loads(files["manifest.json"])
        manifest["members"].append({"name": name, "size": 0, "sha256": "", "rows": None})
        files["manifest.json"], seal = json.dumps(manifest).encode(), files.pop("manifest.sha256")
        files[name], files["manifest.sha256"] = b"evil", seal

    refused(rewritten(made, tmp_path / "x.tar", smuggle, reseal=True), tmp_path, "which no backup holds")
    assert not list(tmp_path.rglob("*evil*"))


def test_a_link_in_the_place_of_a_file_is_refused(made: Path, tmp_path: Path):
    with tarfile.open(made) as tar, tarfile.open(tmp_path / "x.tar", "w") as out:
        for info in tar:
            content = tar.extractfile(info).read()
            if info.name == "home/clock.json":
                info.type, info.linkname, info.size, content = tarfile.SYMTYPE, "/etc/passwd", 0, b""
            out.addfile(info, io.BytesIO(content))
    refused(tmp_path / "x.tar", tmp_path, "clock.json")


def test_a_log_that_was_written_anew_is_refused_though_every_hash_of_the_file_is_right(small: Home, tmp_path: Path):
    home = copied(small, tmp_path / "forged")
    with home.book.writing() as connection:
        connection.execute(update(schema.annotations).values(text="other"))
    home.book.close()
    back_up(home, tmp_path / "x.tar")
    refused(tmp_path / "x.tar", tmp_path, "differ from its log")


@pytest.mark.parametrize(
    ("rows", "match"),
    [
        (lambda packed: b"no gzip", "cannot be unpacked"),
        (lambda packed: packed[:-9], "cannot be unpacked"),
        (lambda packed: gzip.compress(gzip.decompress(packed) * 2), "contradict each other"),
        (lambda packed: gzip.compress(b"[]\n"), "cannot be read"),
        (lambda packed: gzip.compress(b'{"seq":1}\n'), "other columns"),
        (lambda packed: gzip.compress(b""), r"0 rows of events|FOREIGN KEY|contradict"),
    ],
    ids=["no-gzip", "cut", "twice", "list", "columns", "empty"],
)
def test_rows_that_cannot_be_are_refused_though_every_hash_of_the_file_is_right(made: Path, tmp_path: Path, rows, match: str):
    name = "book/events.jsonl.gz"
    path = rewritten(made, tmp_path / "x.tar", lambda files: files.update({name: rows(files[name])}), reseal=True)
    refused(path, tmp_path, match)


def test_a_book_of_an_older_version_is_restored_and_brought_to_this_one(small: Home, tmp_path: Path):
    home = copied(small, tmp_path / "old")
    (home.root / "book.sqlite").unlink()
    migrate.upgrade(sqlite_url(home.root / "book.sqlite"), to="0001")
    back_up(home, tmp_path / "x.tar")
    done = restore(tmp_path / "x.tar", Home(tmp_path / "new"))
    assert any("from version 0001" in note for note in done.notes)
    assert migrate.current(sqlite_url(tmp_path / "new" / "book.sqlite")) == schema.VERSION


@pytest.fixture
def database(postgres) -> Iterator[str]:
    with postgres.fresh() as url:
        yield url


def test_a_book_goes_from_sqlite_to_postgres_and_back_to_the_last_byte(made: Path, small: Home, tmp_path: Path, database: str):
    there = Home(tmp_path / "there", book_url=database)
    restore(made, there)
    assert not (there.root / "book.sqlite").exists()
    back_up(there, tmp_path / "back.tar")
    restore(tmp_path / "back.tar", Home(tmp_path / "again"))
    assert contents(Home(tmp_path / "again").book) == contents(there.book) == contents(small.book)
    there.book.close()


def test_a_postgres_that_holds_a_book_is_not_touched_and_one_that_fails_is_left_empty(
    made: Path, small: Home, tmp_path: Path, database: str
):
    home = copied(small, tmp_path / "forged")
    with home.book.writing() as connection:
        connection.execute(update(schema.annotations).values(text="other"))
    home.book.close()
    back_up(home, tmp_path / "x.tar")
    with pytest.raises(DataProblem, match="differ from its log"):
        restore(tmp_path / "x.tar", Home(tmp_path / "new", book_url=database))
    assert migrate.current(database) is None and not (tmp_path / "new").exists()
    Book(database).create()
    with pytest.raises(DataProblem, match="differ from its log"):
        restore(tmp_path / "x.tar", Home(tmp_path / "new", book_url=database))
    restore(made, Home(tmp_path / "new", book_url=database))
    with pytest.raises(WrongUse, match="holds events already"):
        restore(made, Home(tmp_path / "other", book_url=database))
    assert not (tmp_path / "other").exists()


def test_a_lake_elsewhere_is_filled_only_where_it_is_empty_and_emptied_where_the_rest_fails(made: Path, small: Home, tmp_path: Path):
    elsewhere = str(tmp_path / "elsewhere")
    home = copied(small, tmp_path / "forged")
    with home.book.writing() as connection:
        connection.execute(update(schema.annotations).values(text="other"))
    home.book.close()
    back_up(home, tmp_path / "x.tar")
    with pytest.raises(DataProblem):
        restore(tmp_path / "x.tar", Home(tmp_path / "new", lake_url=elsewhere))
    assert Home(tmp_path / "new", lake_url=elsewhere).lake.open(FILLS.table) is None
    restore(made, Home(tmp_path / "new", lake_url=elsewhere))
    with pytest.raises(WrongUse, match="holds tables already"):
        restore(made, Home(tmp_path / "other", lake_url=elsewhere))


def contents(book: Book) -> dict[str, list[tuple[object, ...]]]:
    with book.reading() as connection:
        return {
            table.name: [tuple(row) for row in connection.execute(table.select().order_by(*table.primary_key.columns))]
            for table in book_rows.tables(connection)
        }


@given(st.lists(st.one_of(st.none(), st.integers(-(2**63), 2**63 - 1), st.binary(), st.text())))
def test_any_value_of_a_book_survives_its_way_through_text(values: list[object]):
    told = json.loads(json.dumps([book_rows._told(value) for value in values]))
    assert [book_rows._value(value) for value in told] == values


def test_versions_order_by_their_numbers():
    assert version_key("0.10.0") > version_key("0.9.9") and version_key("1.0.0+local") == version_key("1.0.0")
