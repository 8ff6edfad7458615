"""A home in which a paper portfolio has run for a month, made once for all workers; tests that write take a copy of it."""

import shutil
from collections.abc import Iterator
from pathlib import Path
from unittest.mock import patch

import pytest

from portfolio_platform.home import Home
from portfolio_platform.paper.loop import PaperLoop
from portfolio_platform.paper.monitoring import Monitor, Seen
from tests.conftest import made_once
from tests.unit.paper.conftest import FIRST, LAST, OPTIONS, bars_made

__all__ = ["bars_made", "paper_copy", "paper_home", "paper_made"]


def run_month(bars: Path, folder: Path) -> Home:
    """Run the month in a copy of a folder's home that has bars."""
    shutil.copytree(bars / "home", folder / "home")
    home = Home(folder / "home")
    # the comparison with the ledger is most of the time of a short run, and other tests make it
    with patch.object(Monitor, "look", lambda *_: Seen(None, ())):
        PaperLoop(home, OPTIONS, FIRST, LAST).run()
    home.book.close()
    return home


@pytest.fixture(scope="session")
def paper_made(bars_made: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a home with a paper run."""
    return made_once(tmp_path_factory, "paper made", lambda folder: run_month(bars_made, folder))


@pytest.fixture(scope="session")
def paper_home(paper_made: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Home]:
    """A home with a paper run; tests only read it."""
    root = tmp_path_factory.mktemp("paper") / "home"
    shutil.copytree(paper_made / "home", root)
    home = Home(root)
    yield home
    home.book.close()


@pytest.fixture
def paper_copy(paper_made: Path, tmp_path: Path) -> Iterator[Home]:
    """A home with a paper run to write to."""
    shutil.copytree(paper_made / "home", tmp_path / "paper-home")
    home = Home(tmp_path / "paper-home")
    yield home
    home.book.close()
