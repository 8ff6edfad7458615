"""A home with the sample's bars and nothing else, and short runs over it."""

import shutil
from collections.abc import Callable
from datetime import date
from pathlib import Path

import pytest

from portfolio_platform.home import Home
from portfolio_platform.paper.model import PaperOptions
from portfolio_platform.sources.pipeline import import_paths
from tests.conftest import LAST_DAY, SAMPLE, made_once

UNIVERSE = ("AAPL", "GOOG", "IBM", "SIM24", "SPX", "WTI")
OPTIONS = PaperOptions(universe=UNIVERSE, monitor="end")
FIRST, LAST = date(2007, 4, 16), date(2007, 5, 31)


def _bars_alone(folder: Path) -> None:
    home = Home(folder / "home")
    home.create()
    home.pin_clock(LAST_DAY)
    import_paths(home, [SAMPLE / "instruments.csv", SAMPLE / "bars.csv.gz"])
    home.book.close()


@pytest.fixture(scope="session")
def bars_made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a home with the sample's bars, the same for all workers."""
    return made_once(tmp_path_factory, "bars made", _bars_alone)


@pytest.fixture
def with_bars(bars_made: Path, tmp_path: Path) -> Callable[[str], Home]:
    """Return the function that makes a home with the sample's bars, by name."""

    def made(name: str = "home") -> Home:
        shutil.copytree(bars_made / "home", tmp_path / name)
        return Home(tmp_path / name)

    return made
