"""Homes for tests: one with the sample imported and built, made once for all workers, and empty ones. Both live at the end of 2010."""

import json
import os
import shutil
from collections.abc import Callable, Iterator
from datetime import date, timedelta
from pathlib import Path

import pytest
from filelock import FileLock
from hypothesis import settings

from portfolio_platform.home import Home

# a worker of pytest has its own idea of a terminal, which a console would keep for ever
os.environ.pop("COLUMNS", None)

# compiling takes seconds, and a busy machine is no bug; where a change is judged, the examples are the same each time
settings.register_profile("project", deadline=None, print_blob=True, derandomize=bool(os.environ.get("CI")))
settings.load_profile("project")

SAMPLE = Path(__file__).parents[1] / "sample_data"
LAST_DAY = date(2010, 12, 31)
LONGEST = (
    *("e2e/test_make_run.py", "e2e/test_import_faults.py", "assets/test_jobs.py", "e2e/test_bad_input.py", "e2e/test_golden.py"),
    *("unit/explain/test_truth.py", "unit/control/pipeline/test_reserved.py", "unit/policy/test_builds_in_time.py"),
    *("simulation/test_faults.py", "e2e/test_upkeep_commands.py"),
)
"""Files of tests that take twenty seconds and more, the longest first."""


@pytest.fixture(autouse=True)
def no_home_of_the_user(monkeypatch: pytest.MonkeyPatch) -> None:
    """Keep tests away from the home, lake and book that the environment may name."""
    for name in ("PORTFOLIO_HOME", "PORTFOLIO_LAKE_URL", "PORTFOLIO_BOOK_URL"):
        monkeypatch.delenv(name, raising=False)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with the files that take longest: begun last, one of them would keep one worker busy while the others have nothing to do."""
    rank = {name: place for place, name in enumerate(LONGEST)}
    items.sort(key=lambda item: rank.get(item.nodeid.partition("::")[0].removeprefix("tests/"), len(rank)))


def made_once(tmp_path_factory: pytest.TempPathFactory, name: str, make: Callable[[Path], None]) -> Path:
    """Return a folder that one worker makes for all workers of this run; the others wait for it. They only read it."""
    base = tmp_path_factory.getbasetemp()
    base = base.parent if "PYTEST_XDIST_WORKER" in os.environ else base
    folder, done = base / name, base / f"{name} is made"
    with FileLock(base / f"{name}.lock"):
        if not done.exists():
            shutil.rmtree(folder, ignore_errors=True)
            folder.mkdir()
            make(folder)
            done.touch()
    return folder


def _sample_built(folder: Path) -> None:
    """Import the sample and build it, its last day by itself, as in the life of a home; write down what the last day's build did."""
    from portfolio_platform.build import build_all
    from portfolio_platform.sources.pipeline import import_paths

    home = Home(folder / "home")
    home.create()
    home.pin_clock(LAST_DAY)
    import_paths(home, [SAMPLE])
    build_all(home, until=LAST_DAY - timedelta(days=1))
    done = {name: [str(built.changed_from), built.rows] for name, built in build_all(home).items()}
    (folder / "last_day.json").write_text(json.dumps(done))
    home.book.close()


@pytest.fixture(scope="session")
def sample_made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of the sample's home and of what the build of its last day did, the same for all workers."""
    return made_once(tmp_path_factory, "sample made", _sample_built)


@pytest.fixture(scope="session")
def sample_home(sample_made: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Home]:
    """The sample, imported and built. Tests only read it; those that write take `sample_copy`."""
    home = copied(Home(sample_made / "home"), tmp_path_factory.mktemp("sample") / "home")
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
