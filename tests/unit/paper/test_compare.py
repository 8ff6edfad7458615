"""Two runs side by side: they happen elsewhere, differ in what they are asked to, and the same comparison is written to the same place."""

import json
from collections.abc import Callable
from dataclasses import replace

import pytest

from portfolio_platform.cli.paper_compare import sides_of
from portfolio_platform.errors import WrongUse
from portfolio_platform.home import Home
from portfolio_platform.paper.compare import Side, compare, scratch, write
from portfolio_platform.paper.resuming import read_options
from tests.unit.paper.conftest import FIRST, LAST, OPTIONS
from tests.unit.paper.ran import paper_home, paper_made

__all__ = ["paper_home", "paper_made"]


@pytest.mark.usefixtures("unwatched")
def test_a_comparison_leaves_lake_and_book_alone_and_is_written_once(with_bars: Callable[[str], Home]) -> None:
    home = with_bars("home")
    before = sorted(path for path in home.root.rglob("*") if path.is_file())
    content = {path: path.read_bytes() for path in before if "lock" not in path.name}
    found = compare(home, (Side(), Side(control="off")), OPTIONS, first=FIRST, last=LAST)
    assert found.labels == ("default", "control off")
    on, off = found.runs
    assert on.days == off.days and len(on.days) >= 10
    assert (on.control, off.control) == ("on", "off") and {one.mode for one in off.sessions} == {"normal"}
    assert not any(one.limits and one.limits != ("own size limit",) for one in off.answers)
    assert content == {path: path.read_bytes() for path in content}
    written = write(home, found)
    names = {path.name for path in written.folder.iterdir()}
    assert names == {"page.html", "page.md", "compare.json"} and written.folder.name.startswith("compare-")
    assert json.loads((written.folder / "compare.json").read_text())["labels"] == ["default", "control off"]
    assert write(home, found).folder == written.folder


def test_a_scratch_home_has_the_policy_that_was_asked_for(with_bars: Callable[[str], Home]) -> None:
    home = with_bars("home")
    text = (home.policies / "default.toml").read_text()
    tight = home.root.parent / "tight.toml"
    tight.write_text(text.replace('name = "default"', 'name = "tight"'))
    with scratch(home, Side(str(tight))) as (made, name):
        assert name == "tight" and made.timeline("tight").newest.policy.name == "tight"
        assert made.root != home.root and made.book is not home.book
    assert not made.root.exists() and not (home.policies / "tight.toml").exists()
    with pytest.raises(WrongUse, match="names no policy; give one of default, shipped"), scratch(home, Side("nope")):
        pass


def test_two_sides_are_asked_for() -> None:
    assert sides_of(["a", "b"], "on") == (Side("a"), Side("b"))
    assert sides_of([], "off") == (Side(), Side(control="off"))
    for policies, control in ((["a"], "on"), ([], "on"), (["a", "b"], "off"), (["a"], "maybe")):
        with pytest.raises(WrongUse):
            sides_of(policies, control)


def test_equal_sides_are_refused(paper_home: Home) -> None:
    with pytest.raises(WrongUse, match="nothing can differ"):
        compare(paper_home, (Side(), Side()))


@pytest.mark.usefixtures("unwatched")
def test_the_options_of_a_run_are_read_back_and_foreign_ones_are_refused(paper_home: Home, with_bars: Callable[[str], Home]) -> None:
    with paper_home.book.reading() as connection:
        assert read_options(connection, "paper") == OPTIONS
        with pytest.raises(WrongUse, match="there is no paper run of 'other'"):
            read_options(connection, "other")
    from portfolio_platform.paper.loop import PaperLoop

    home = with_bars("foreign")
    odd = replace(OPTIONS, limits=OPTIONS.limits._replace(risk_ppm=1), monitor="end")
    PaperLoop(home, odd, FIRST, FIRST).run()
    with home.book.reading() as connection, pytest.raises(WrongUse, match="has limits of its own"):
        read_options(connection, "paper")
