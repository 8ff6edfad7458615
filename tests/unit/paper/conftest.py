"""A home with the sample's bars and nothing else, and short runs over it."""

import gzip
import shutil
from collections.abc import Callable
from datetime import date
from pathlib import Path

import pytest

from portfolio_platform.home import Home
from portfolio_platform.paper.model import PaperOptions
from portfolio_platform.paper.monitoring import Monitor, Seen
from portfolio_platform.sources.pipeline import import_paths
from tests.conftest import LAST_DAY, SAMPLE, made_once

UNIVERSE = ("AAPL", "GOOG", "IBM", "SIM24", "SPX", "WTI")
OPTIONS = PaperOptions(universe=UNIVERSE, monitor="end")
FIRST, LAST = date(2007, 5, 14), date(2007, 6, 15)
FROM, UNTIL = "2006-05-01", "2007-06-20"


def _bars_alone(folder: Path) -> None:
    """Import the bars of the year up to the last session: what a run does not see costs time all the same."""
    home = Home(folder / "home")
    home.create()
    home.pin_clock(LAST_DAY)
    bars = folder / "bars.csv"
    with gzip.open(SAMPLE / "bars.csv.gz", "rt", encoding="utf-8") as packed:
        header, *rows = packed
    bars.write_text(header + "".join(row for row in rows if FROM <= row.split(",")[1][:10] <= UNTIL), encoding="utf-8")
    import_paths(home, [SAMPLE / "instruments.csv", bars])
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


@pytest.fixture
def unwatched(monkeypatch: pytest.MonkeyPatch) -> None:
    """Leave the comparison with the ledger out, which other tests make: it is most of the time of a short run."""
    monkeypatch.setattr(Monitor, "look", lambda *_: Seen(None, ()))
