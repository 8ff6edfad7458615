"""Homes for explanations: the sample with two days told, and a small ledger that can be built again in a moment."""

from collections.abc import Callable, Iterator
from datetime import date, timedelta
from pathlib import Path

import pyarrow.compute as pc
import pytest

from portfolio_platform.alerts.pipeline import sync
from portfolio_platform.build import build_all
from portfolio_platform.home import Home
from portfolio_platform.lake.derived import RECOMMENDATION_STATES
from portfolio_platform.monitor.lifecycle import publish_recommendations
from portfolio_platform.monitor.pipeline.reports import publish_reports
from portfolio_platform.sources.pipeline import import_paths

TOLD = (date(2008, 10, 13), date(2010, 12, 31))
FIRST = date(2010, 3, 1)
HEADER = "execution_id,ts,portfolio,strategy,symbol,side,quantity,price,fee,stop_price"


@pytest.fixture(scope="session")
def told(sample_home: Home, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Home]:
    """The sample with the reports of two days published, its alerts in the book and its recommendation decided on. Only read it."""
    from tests.conftest import copied

    home = copied(sample_home, tmp_path_factory.mktemp("told") / "home")
    publish_reports(home, TOLD)
    publish_recommendations(home, [date.fromisoformat(newest_issue(home, "core").rsplit(":", 1)[1])])
    sync(home)
    yield home
    home.book.close()


def newest_issue(home: Home, portfolio: str) -> str:
    """Return the id of the newest recommendation that the lake issues for a portfolio."""
    where = (pc.field("status") == "issued") & (pc.field("portfolio") == portfolio)
    found: str = max(home.lake.read(RECOMMENDATION_STATES, ["recommendation_id"], where)["recommendation_id"].to_pylist())
    return found


def weekday(number: int) -> date:
    """Return the number-th weekday from the first of the small ledger on."""
    return FIRST + timedelta(days=number // 5 * 7 + number % 5)


def written(folder: Path, name: str, header: str, lines: list[str]) -> Path:
    """Write a file of a source."""
    folder.mkdir(parents=True, exist_ok=True)
    file = folder / name
    file.write_text("\n".join((header, *lines)) + "\n")
    return file


def small_ledger(home: Home, folder: Path) -> None:
    """Import thirty sessions of two symbols: one falls, so that a drawdown fires."""
    bars, fills = [], []
    for number in range(30):
        for symbol, price in (("AAA", 100.0 - number), ("BBB", 50.0 + 0.1 * (number % 3))):
            bars.append(f"{symbol},{weekday(number)}T21:00:00Z,{price},{price + 1},{price - 1},{price},1000")
    for number in range(0, 30, 5):
        fills.append(f"E{number}A,{weekday(number)}T15:00:00Z,main,trend,AAA,buy,40,{100.0 - number},1,{80.0}")
        side = "buy" if number % 10 == 0 else "sell"
        fills.append(f"E{number}B,{weekday(number)}T15:30:00Z,main,swing,BBB,{side},10,50.05,1,")
    flow = [f"F1,{FIRST}T09:00:00Z,main,20000,USD,initial_funding"]
    import_paths(
        home,
        [
            written(folder, "bars.csv", "symbol,ts,open,high,low,close,volume", bars),
            written(folder, "fills.csv", HEADER, fills),
            written(folder, "cash_flows.csv", "flow_id,ts,portfolio,amount,currency,kind", flow),
        ],
    )


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Home]:
    """The small ledger, built and told up to its last session. Only read it; `small` is a copy to write to."""
    folder = tmp_path_factory.mktemp("small")
    home = Home(folder / "home")
    home.create()
    home.pin_clock(weekday(29))
    small_ledger(home, folder / "files")
    build_all(home)
    publish_reports(home, [weekday(20), weekday(29)])
    publish_recommendations(home, [weekday(29)])
    sync(home)
    yield home
    home.book.close()


@pytest.fixture
def small(built: Home, tmp_path: Path, copy_home: Callable[[Home, Path], Home]) -> Iterator[Home]:
    """A copy of the small ledger's home to write to."""
    home = copy_home(built, tmp_path / "small-copy")
    yield home
    home.book.close()
