"""A small ledger that is built in a moment, to put policies into force on."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from portfolio_platform.build import build_all
from portfolio_platform.home import Home
from tests.unit.explain.conftest import small_ledger, weekday


@pytest.fixture(scope="session")
def ledger(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Home]:
    """Thirty sessions that lose money, built under the shipped policy. Only read it."""
    folder = tmp_path_factory.mktemp("policies")
    home = Home(folder / "home")
    home.create()
    home.pin_clock(weekday(29))
    small_ledger(home, folder / "files")
    build_all(home)
    yield home
    home.book.close()


@pytest.fixture
def small(ledger: Home, tmp_path: Path, copy_home: Callable[[Home, Path], Home]) -> Iterator[Home]:
    """A copy of it to write to."""
    home = copy_home(ledger, tmp_path / "small")
    yield home
    home.book.close()
