"""The folder of a plan: everything in it follows from the log, byte for byte, and no name leads out of it."""

from pathlib import Path

import pytest

from portfolio_platform.book.events import read
from portfolio_platform.desk import log
from portfolio_platform.desk.events import stream_of
from portfolio_platform.desk.folder import differing, executions, write_folder
from portfolio_platform.desk.prepare import plan_named, prepare
from portfolio_platform.desk.sources import Asked, folder_of
from portfolio_platform.home import Home
from portfolio_platform.orchestrator.papers import folder_name
from tests.unit.desk.desk_examples import SAMPLE, changed


def test_the_folder_is_made_again_from_the_log_byte_for_byte_and_a_changed_file_is_named(desk: Home, tmp_path: Path) -> None:
    made = prepare(desk, SAMPLE)
    papers = {"plan.html", "plan.json", "trade_list.json", "dry_run.md", "execution_guide.md", "rebalancing_directives.json"}
    assert papers <= {path.name for path in made.folder.iterdir()}
    was = {path.name: path.read_bytes() for path in made.folder.iterdir()}
    with desk.book.reading() as connection:
        kept = log.papers_of(connection, made.execution_id)
    assert differing(desk, kept) == []
    (made.folder / "plan.html").write_text("buy nothing")
    (made.folder / "trade_list.json").unlink()
    elsewhere = tmp_path / "elsewhere"
    elsewhere.write_text("mine")
    (made.folder / "dry_run.md").unlink()
    (made.folder / "dry_run.md").symlink_to(elsewhere)
    assert sorted(differing(desk, kept)) == ["dry_run.md", "plan.html", "trade_list.json"]
    assert sorted(write_folder(desk, kept)[1]) == ["dry_run.md", "plan.html", "trade_list.json"]
    assert {path.name: path.read_bytes() for path in made.folder.iterdir()} == was
    assert elsewhere.read_text() == "mine", "a link is replaced, not followed"


@pytest.mark.parametrize("name", ["../../evil", "..", "<script>alert(1)</script>", "=cmd()", "株" * 100])
def test_a_portfolios_name_never_leaves_its_folder_its_stream_or_its_page(desk: Home, name: str) -> None:
    path = changed(desk, "portfolio.json", lambda content: content.update(portfolio=name))
    made = prepare(desk, Asked(snapshot=path))
    assert made.folder.parent == executions(desk) and made.folder.resolve().parent == executions(desk).resolve()
    assert len(made.folder.name) < 200 and not made.folder.name.startswith(".")
    assert plan_named(desk, made.execution_id)[0] == name
    with desk.book.reading() as connection:
        assert {event.stream for event in read(connection)} == {stream_of(name), stream_of(name, made.execution_id)}
    for file in made.folder.glob("*.html"):
        assert "<script>alert" not in file.read_text()
    with desk.book.reading() as connection:
        assert log.portfolios(connection) == [name] and log.portfolio_of(connection, made.execution_id) == name


def test_folders_of_long_names_that_begin_alike_are_two() -> None:
    assert folder_name("é" * 90 + "1") != folder_name("é" * 90 + "2")
    assert folder_name(".x") == "%2Ex"


def test_a_restored_home_has_its_plans_and_its_documents(desk: Home, tmp_path: Path) -> None:
    from portfolio_platform.upkeep.backup import back_up
    from portfolio_platform.upkeep.restore import restore

    made = prepare(desk, SAMPLE)
    (folder_of(desk) / "no document.txt").write_text("left out")
    back_up(desk, tmp_path / "kept.zip")
    other = Home(tmp_path / "other", as_of=desk.as_of)
    restore(tmp_path / "kept.zip", other)
    assert {path.name for path in folder_of(other).iterdir()} == {path.name for path in folder_of(desk).iterdir()} - {"no document.txt"}
    with other.book.reading() as connection:
        kept = log.papers_of(connection, made.execution_id)
    folder, written = write_folder(other, kept)
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == {path.name: path.read_bytes() for path in made.folder.iterdir()}
    assert len(written) == len(list(folder.iterdir()))
