"""A small ledger of two symbols over thirty weekdays, built once; what is at stake in each test is a copy of it."""

from collections.abc import Callable, Iterator
from datetime import date, timedelta
from pathlib import Path

import pytest

from portfolio_platform.build import build_all
from portfolio_platform.clock import end_of_day
from portfolio_platform.home import Home
from portfolio_platform.sources.pipeline import import_paths

FIRST = date(2010, 3, 1)
FILLS = "execution_id,ts,portfolio,strategy,symbol,side,quantity,price,fee,stop_price,intent_id"


def weekday(number: int) -> date:
    """Return the number-th weekday from the ledger's first on."""
    return FIRST + timedelta(days=number // 5 * 7 + number % 5)


LAST = weekday(29)


def written(folder: Path, name: str, lines: list[str]) -> Path:
    """Write a file of a source."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / name).write_text("\n".join(lines) + "\n")
    return folder / name


def imported(home: Home, folder: Path, name: str, *lines: str, corrections: bool = False, build: bool = True) -> None:
    """Import a file of these lines, the first being its header, and build what rests on it."""
    import_paths(home, [written(folder, name, list(lines))], corrections=corrections)
    if build:
        build_all(home)


def at(home: Home, day: date) -> Home:
    """Return the home as it is at the end of a day."""
    return Home(home.root, as_of=end_of_day(day))


@pytest.fixture(scope="session")
def small_built(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Home]:
    """The ledger, built up to its last day. Only copied."""
    folder = tmp_path_factory.mktemp("control")
    home = Home(folder / "home")
    home.create()
    home.pin_clock(LAST)
    bars = ["symbol,ts,open,high,low,close,volume"]
    for number in range(30):
        for symbol, price in (("AAA", 100.0 - number), ("BBB", 50.0 + 0.1 * (number % 3))):
            bars.append(f"{symbol},{weekday(number)}T21:00:00Z,{price},{price + 1},{price - 1},{price},1000")
    fills = [FILLS]
    for number in range(0, 30, 5):
        side = "buy" if number % 10 == 0 else "sell"
        fills.append(f"E{number}A,{weekday(number)}T15:00:00Z,main,trend,AAA,buy,40,{100.0 - number},1,60,")
        fills.append(f"E{number}B,{weekday(number)}T15:30:00Z,main,swing,BBB,{side},10.5,50.05,1,,")
    files = {
        "instruments.csv": ["symbol,asset_class,sector,cohort,multiplier", "AAA,equity,tech,large,1", "BBB,equity,,,1"],
        "bars.csv": bars,
        "fills.csv": fills,
        "cash_flows.csv": ["flow_id,ts,portfolio,amount,currency,kind", f"F1,{FIRST}T09:00:00Z,main,100000,USD,initial_funding"],
    }
    import_paths(home, [written(folder / "files", name, lines) for name, lines in files.items()])
    build_all(home)
    yield home
    home.book.close()


@pytest.fixture
def small(small_built: Home, tmp_path: Path, copy_home: Callable[[Home, Path], Home]) -> Iterator[Home]:
    """A copy of the small ledger's home to write to."""
    home = copy_home(small_built, tmp_path / "small")
    yield home
    home.book.close()
