"""Small homes for keeping: one that is filled and built, and what an older version of the code would have left."""

from pathlib import Path

import pytest

from portfolio_platform.book.annotations import annotate
from portfolio_platform.build import build_all
from portfolio_platform.home import Home
from portfolio_platform.sources.pipeline import import_paths
from tests.conftest import copied
from tests.e2e.running import fill, fills
from tests.unit.book.conftest import Postgres, postgres

__all__ = ["Postgres", "postgres"]


@pytest.fixture(scope="session")
def small(tmp_path_factory: pytest.TempPathFactory) -> Home:
    """A month of one symbol, imported and built, with a remark in its book; tests copy it."""
    from datetime import date

    folder = tmp_path_factory.mktemp("small")
    home = Home(folder / "home")
    home.create()
    home.pin_clock(date(2010, 5, 31))
    path = folder / "fills.csv"
    path.write_text(fills(*(fill(number, price=f"{100 + number}.5") for number in range(6))))
    import_paths(home, [path])
    build_all(home)
    with home.book.writing() as connection:
        annotate(connection, "anything", by="Ada", text="größer — und fein", at=home.clock.now())
    home.book.close()
    return home


@pytest.fixture
def kept(small: Home, tmp_path: Path) -> Home:
    """A copy of the small home to write to."""
    return copied(small, tmp_path / "kept")
