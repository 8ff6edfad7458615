"""Homes for tests: one with the sample imported and built, made once, and empty ones. Both live at the end of 2010."""

import os
import shutil
from collections.abc import Callable, Iterator
from datetime import date
from pathlib import Path

import pytest
from hypothesis import settings

from portfolio_platform.home import Home

# a worker of pytest has its own idea of a terminal, which a console would keep for ever
os.environ.pop("COLUMNS", None)

# compiling takes seconds, and a busy machine is no bug; where a change is judged, the examples are the same each time
settings.register_profile("project", deadline=None, print_blob=True, derandomize=bool(os.environ.get("CI")))
settings.load_profile("project")

SAMPLE = Path(__file__).parents[1] / "sample_data"
LAST_DAY = date(2010, 12, 31)


@pytest.fixture(autouse=True)
def no_home_of_the_user(monkeypatch: pytest.MonkeyPatch) -> None:
    """Keep tests away from the home, lake and book that the environment may name."""
    for name in ("PORTFOLIO_HOME", "PORTFOLIO_LAKE_URL", "PORTFOLIO_BOOK_URL"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture(scope="session")
def sample_home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Home]:
    """The sample, imported and built. Tests only read it; those that write take `sample_copy`."""
    from portfolio_platform.build import build_all
    from portfolio_platform.sources.pipeline import import_paths

    home = Home(tmp_path_factory.mktemp("sample") / "home")
    home.create()
    home.pin_clock(LAST_DAY)
    import_paths(home, [SAMPLE])
    build_all(home)
    yield home
    home.book.close()


@pytest.fixture
def sample_copy(sample_home: Home, tmp_path: Path) -> Home:
    """A copy of the sample's home to write to."""
    return copied(sample_home, tmp_path / "sample-copy")


@pytest.fixture
def home(tmp_path: Path) -> Home:
    """A created home without any data."""
    made = Home(tmp_path / "home")
    made.create()
    made.pin_clock(LAST_DAY)
    return made


@pytest.fixture
def copy_home() -> Callable[[Home, Path], Home]:
    """Return the function that copies a home."""
    return copied


def copied(home: Home, root: Path) -> Home:
    """Copy a home's folder; return the home there."""
    home.book.close()
    shutil.copytree(home.root, root)
    return Home(root)
