import shutil
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import MetaData, Table, insert, inspect

import portfolio_platform.book
from portfolio_platform.book import migrate, recommendations, schema
from portfolio_platform.book.chain import verify_chain
from portfolio_platform.book.engine import open_engines
from portfolio_platform.book.events import NewEvent, append
from portfolio_platform.book.location import sqlite_url
from portfolio_platform.book.rebuild import check_read_models, rebuild_read_models
from portfolio_platform.book.store import Book
from portfolio_platform.errors import StoreProblem
from tests.unit.book.workers import NOW

OWN = Path(portfolio_platform.book.__file__).parent / "migrations"

LATER = """
import sqlalchemy as sa
from alembic import op

revision = "{revision}"
down_revision = "{before}"


def upgrade():
    op.create_table("later_{revision}", sa.Column("id", sa.Integer, primary_key=True))
    op.add_column("reports", sa.Column("added_{revision}", sa.Text))
    {last_step}
"""


@pytest.fixture
def later(tmp_path: Path) -> Path:
    """The package's migrations and one more, as a later version of the package would have."""
    folder = tmp_path / "100% later" / "migrations"
    shutil.copytree(OWN, folder, ignore=shutil.ignore_patterns("__pycache__"))
    add(folder, "0005", schema.VERSION)
    return folder


def add(folder: Path, revision: str, before: str, last_step: str = "pass") -> None:
    text = LATER.format(revision=revision, before=before, last_step=last_step)
    (folder / "versions" / f"v{revision}_later.py").write_text(text)


def tables(url: str) -> set[str]:
    engines = open_engines(url)
    with engines.reader.begin() as connection:
        names = set(inspect(connection).get_table_names())
    engines.dispose()
    return names


def test_a_migrated_book_is_what_the_tables_in_the_code_say(url: str) -> None:
    migrate.upgrade(url)
    engines = open_engines(url)
    with engines.reader.begin() as connection:
        options = {"version_table": schema.VERSION_TABLE, "compare_type": True}
        assert compare_metadata(MigrationContext.configure(connection, opts=options), schema.metadata) == []
    engines.dispose()


def test_the_version_in_the_code_is_the_newest_migration_and_versions_order_as_text() -> None:
    config = Config()
    config.set_main_option("script_location", str(OWN))
    config.set_main_option("path_separator", "os")
    directory = ScriptDirectory.from_config(config)
    assert directory.get_current_head() == schema.VERSION == migrate.head()
    revisions = [script.revision for script in directory.walk_revisions()]
    assert revisions == sorted(revisions, reverse=True)
    assert {len(revision) for revision in revisions} == {4}


def test_upgrading_twice_does_nothing_the_second_time(url: str) -> None:
    assert migrate.upgrade(url) == schema.VERSION
    with Book(url) as book, book.writing() as connection:
        append(connection, [NewEvent("s", "t", {}, "k")], recorded_at=NOW)
    before = tables(url)
    assert migrate.upgrade(url) == migrate.current(url) == schema.VERSION
    assert tables(url) == before == {"events", "reports", "policies", "snapshots", schema.VERSION_TABLE, *schema.READ_MODELS}


@pytest.mark.parametrize("created", [False, True], ids=["creating a book", "upgrading a book"])
def test_a_migration_that_breaks_in_the_middle_leaves_nothing(url: str, later: Path, created: bool) -> None:
    if created:
        migrate.upgrade(url)
        with Book(url) as book, book.writing() as connection:
            append(connection, [NewEvent("s", "t", {}, "k")], recorded_at=NOW)
    before = tables(url) if created else set()
    add(later, "0006", "0005", "op.execute(sa.text('SELECT nonsense FROM nowhere'))")
    with pytest.raises(StoreProblem):
        migrate.upgrade(url, scripts=later)
    add(later, "0006", "0005", "raise ZeroDivisionError('in the middle')")
    with pytest.raises(StoreProblem, match=r"to 0006 broke \(ZeroDivisionError: in the middle\); the book is as before"):
        migrate.upgrade(url, scripts=later)
    assert tables(url) == before
    assert migrate.current(url) == (schema.VERSION if created else None)
    add(later, "0006", "0005")
    assert migrate.upgrade(url, scripts=later) == "0006"
    assert {"later_0005", "later_0006"} <= tables(url)


def test_a_book_newer_than_the_code_is_refused(url: str, later: Path) -> None:
    migrate.upgrade(url, scripts=later)
    match = "version 0005, this code knows 0004 at most; upgrade the package"
    with pytest.raises(StoreProblem, match=match):
        migrate.upgrade(url)
    with Book(url) as book:
        with pytest.raises(StoreProblem, match=match), book.reading():
            pass
        with pytest.raises(StoreProblem, match=match), book.writing():
            pass
    assert migrate.current(url) == "0005"


def test_a_book_older_than_the_code_is_not_used_before_it_is_migrated(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    migrate.upgrade(url)
    monkeypatch.setattr(schema, "VERSION", "0005")
    with Book(url) as book, pytest.raises(StoreProblem, match="needs 0005; migrate it"), book.reading():
        pass


def test_a_migration_by_another_process_is_noticed_by_a_book_that_is_open(url: str, later: Path) -> None:
    migrate.upgrade(url)
    with Book(url) as book:
        with book.writing() as connection:
            append(connection, [NewEvent("s", "t", {}, "k")], recorded_at=NOW)
        migrate.upgrade(url, scripts=later)
        with pytest.raises(StoreProblem, match="upgrade the package"), book.writing():
            pass


def test_a_database_without_a_book_is_told_apart_from_one_with_a_book(url: str, store: str) -> None:
    if store == "postgres":
        assert migrate.current(url) is None
    with Book(url) as book:
        for transaction in (book.reading, book.writing):
            with pytest.raises(StoreProblem, match="no book here yet; create it first"), transaction():
                pass
        book.create()
        with book.reading():
            pass


def test_a_database_of_another_program_is_left_alone(tmp_path: Path) -> None:
    url = sqlite_url(tmp_path / "other.db")
    engines = open_engines(url, create=True)
    with engines.writer.begin() as connection:
        connection.exec_driver_sql("CREATE TABLE photos (id INTEGER)")
    engines.dispose()
    with pytest.raises(StoreProblem, match=r"other tables \(photos\)"):
        migrate.upgrade(url)
    assert tables(url) == {"photos"}


def test_a_book_of_the_first_version_keeps_its_events_and_gains_the_tables(url: str, tmp_path: Path) -> None:
    first = tmp_path / "first"
    shutil.copytree(OWN, first, ignore=shutil.ignore_patterns("__pycache__", "v0002*", "v0003*", "v0004*"))
    assert migrate.upgrade(url, scripts=first) == "0001"
    engines = open_engines(url)
    with engines.writer.begin() as connection:
        append(connection, [NewEvent("s", "t", {"said": 1}, "k")], recorded_at=NOW)
    engines.dispose()
    assert migrate.upgrade(url) == schema.VERSION
    with Book(url) as book, book.reading() as connection:
        assert verify_chain(connection).events == 1
        assert check_read_models(connection) == []
    assert set(schema.READ_MODELS) <= tables(url)


def test_a_book_of_the_second_version_keeps_its_recommendations_to_the_last_column(url: str, tmp_path: Path) -> None:
    second = tmp_path / "second"
    shutil.copytree(OWN, second, ignore=shutil.ignore_patterns("__pycache__", "v0003*", "v0004*"))
    assert migrate.upgrade(url, scripts=second) == "0002"
    row = {
        "portfolio": "core", "issued": "2010-12-04", "expires": "2010-12-09", "mode": "defensive", "content": "{}", "content_hash": "h",
        "state": "proposed", "decided_by": "", "decided_at": None, "reason": "",
    }  # fmt: skip
    engines = open_engines(url)
    with engines.writer.begin() as connection:
        said = {"table": "recommendations", "rows": {"r": row}}
        append(connection, [NewEvent("recommendations/core", "recommendation_proposed", said, "k")], recorded_at=NOW)
        table = Table("recommendations", MetaData(), autoload_with=connection)
        connection.execute(insert(table), {**row, "id": "r", "content": b"{}", "event_seq": 1})
    engines.dispose()
    assert migrate.upgrade(url) == schema.VERSION
    with Book(url) as book:
        with book.reading() as connection:
            assert verify_chain(connection).events == 1
            assert check_read_models(connection) == []
            assert recommendations.by_id(connection, "r").commands is None
        with book.writing() as connection:
            rebuild_read_models(connection)
            assert check_read_models(connection) == []
