"""Before a paper run begins or goes on: whose portfolio it is, over which symbols, and whether its control plane's clock is its own."""

from dataclasses import replace
from datetime import date, timedelta
from pathlib import Path

import pytest

from portfolio_platform.book import snapshots
from portfolio_platform.clock import FixedClock, end_of_day
from portfolio_platform.codec import to_bytes
from portfolio_platform.control.plane import ControlPlane
from portfolio_platform.control.terms import Order
from portfolio_platform.days import end_of_day_ns
from portfolio_platform.errors import StoreProblem, WrongUse
from portfolio_platform.home import Home
from portfolio_platform.paper.beginning import require_own
from portfolio_platform.paper.loop import PaperLoop
from portfolio_platform.paper.model import Kept, PaperOptions
from portfolio_platform.paper.record import kept_of, stream_of
from portfolio_platform.paper.run import run
from portfolio_platform.sources.pipeline import import_paths
from tests.unit.paper.conftest import FIRST, LAST, OPTIONS, unwatched
from tests.unit.paper.ran import bars_made, paper_copy, paper_made

__all__ = ["bars_made", "paper_copy", "paper_made", "unwatched"]


def _import(home: Home, folder: Path, name: str, *lines: str) -> None:
    path = folder / name
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    import_paths(home, [path])


def test_no_paper_run_begins_under_the_name_of_a_portfolio_that_the_home_has(paper_copy: Home, tmp_path: Path) -> None:
    _import(paper_copy, tmp_path, "portfolios.csv", "portfolio,mode,base_currency,policy,account", "core,live,USD,default,ib-1")
    with pytest.raises(WrongUse, match="has a portfolio 'core' already"):
        run(paper_copy, replace(OPTIONS, portfolio="core"), first=FIRST, last=LAST)
    # its own portfolio is in the home too, and may go on
    _import(paper_copy, tmp_path, "portfolios-2.csv", "portfolio,mode,base_currency,policy,account", "paper,paper,USD,default,paper")
    require_own(paper_copy, "paper")


@pytest.mark.parametrize("name", ["", " paper", "pa\nper"])
def test_a_portfolio_needs_a_name_that_can_be_printed(name: str, paper_copy: Home) -> None:
    with pytest.raises(WrongUse, match="cannot be the name of a portfolio"):
        run(paper_copy, replace(OPTIONS, portfolio=name), first=FIRST, last=LAST)


@pytest.mark.usefixtures("unwatched")
def test_a_run_over_all_symbols_goes_on_with_those_it_was_begun_with_when_others_come(paper_copy: Home, tmp_path: Path) -> None:
    options = PaperOptions(portfolio="all", monitor="end")
    begun = PaperLoop(paper_copy, options, FIRST, FIRST + timedelta(days=1))
    begun.run()
    _import(paper_copy, tmp_path, "bars.csv", "symbol,ts,open,high,low,close,volume", "NEWS,2007-05-16T20:00:00Z,10,11,9,10,100")
    after = PaperLoop(paper_copy, options, None, FIRST + timedelta(days=3))
    after.run()
    assert after.market.symbols == begun.market.symbols
    assert after.sessions[-1].day == (FIRST + timedelta(days=3)).isoformat()


@pytest.mark.usefixtures("unwatched")
@pytest.mark.parametrize(("acted", "findings"), [(LAST, 0), (date(2010, 12, 31), 1)])
def test_an_order_by_a_clock_that_is_ahead_of_the_sessions_is_found_once(acted: date, findings: int, paper_copy: Home) -> None:
    at = end_of_day_ns(acted)
    order = Order("mode-1", "mode", "operator", "ada", "why", at, at + 10**15, mode="defensive")
    ControlPlane(paper_copy.book, FixedClock(end_of_day(acted))).give_order("paper", [order])
    for days in (3, 4):
        loop = PaperLoop(paper_copy, OPTIONS, None, LAST + timedelta(days=days))
        loop.run()
    assert [one.what for one in loop.kept.findings] == ["control_ahead"] * findings


@pytest.mark.usefixtures("unwatched")
def test_of_two_processes_that_run_a_portfolio_at_once_one_is_told_and_the_other_is_not_disturbed(paper_copy: Home) -> None:
    others: list[PaperLoop] = []

    def meanwhile(point: str) -> None:
        if point.endswith("after commit"):
            others.append(PaperLoop(paper_copy, OPTIONS, None, LAST + timedelta(days=3)))
            others[0].run()

    with pytest.raises(WrongUse, match="another process runs the paper portfolio 'paper'"):
        PaperLoop(paper_copy, OPTIONS, None, LAST + timedelta(days=3), reached=meanwhile).run()
    (quick,) = others
    assert quick.sessions[-1].day == (LAST + timedelta(days=3)).isoformat() and quick.kept.findings == ()


def test_a_kept_state_with_other_money_than_its_fills_add_up_to_is_not_gone_on_with(paper_copy: Home) -> None:
    stream = stream_of("paper")
    with paper_copy.book.writing() as connection:
        found = snapshots.kept(connection, [stream])[stream]
        known = kept_of(connection, "paper")
        assert known is not None
        richer = to_bytes(known[1]._replace(cash=known[1].cash + 1), Kept)
        # whoever can write the bytes can write their hash
        snapshots.keep(connection, [snapshots.Snapshot.of(stream, found.version, found.carried, richer, found.event_seq)])
    with pytest.raises(StoreProblem, match="other cash or positions than the fills"):
        PaperLoop(paper_copy, OPTIONS, None, LAST + timedelta(days=3)).run()


@pytest.mark.usefixtures("unwatched")
def test_a_bar_that_comes_after_the_session_of_its_day_is_found_once(paper_copy: Home, tmp_path: Path) -> None:
    _import(paper_copy, tmp_path, "bars.csv", "symbol,ts,open,high,low,close,volume", f"GOOG,{LAST}T23:00:00Z,500,501,499,500,100")
    for days in (3, 4):
        loop = PaperLoop(paper_copy, OPTIONS, None, LAST + timedelta(days=days))
        loop.run()
    (found,) = loop.kept.findings
    assert found.what == "late_bar" and found.text.startswith(f"GOOG: late bars, 1 from {LAST}T23:00:00")
