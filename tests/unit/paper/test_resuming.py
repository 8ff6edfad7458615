"""A paper portfolio where new bars arrive goes on by itself, and what a person asked for meanwhile is done."""

from collections.abc import Callable
from datetime import timedelta

import pytest

from portfolio_platform.broker.model import Bar
from portfolio_platform.cli.control import in_its_time
from portfolio_platform.cli.instruments import release_workflow, stop_workflow
from portfolio_platform.control.pipeline.cycle import run_cycle
from portfolio_platform.control.pipeline.due import seen_by
from portfolio_platform.control.plane import ControlPlane
from portfolio_platform.doctor.control import _portfolios
from portfolio_platform.errors import WrongUse
from portfolio_platform.home import Home
from portfolio_platform.instruments.store import InstrumentLog, symbols_of
from portfolio_platform.paper.loop import PaperLoop
from portfolio_platform.paper.market import read_market
from portfolio_platform.paper.record import read_record
from portfolio_platform.paper.resuming import advance, behind
from tests.unit.paper.conftest import FIRST, LAST, OPTIONS, unwatched, with_bars
from tests.unit.paper.ran import bars_made, paper_copy, paper_made

__all__ = ["bars_made", "paper_copy", "paper_made", "unwatched", "with_bars"]


def _bars(home: Home, symbol: str) -> tuple[Bar, ...]:
    return read_market(home, (symbol,), {}, "USD").bars[symbol]


@pytest.mark.usefixtures("unwatched")
def test_what_a_person_ended_meanwhile_is_flattened_by_the_next_sessions_and_stops(paper_copy: Home) -> None:
    with paper_copy.book.reading() as connection:
        placed = InstrumentLog(paper_copy.book).load(connection, "paper", symbols_of(connection, "paper"))
    symbol = next(name for name, one in sorted(placed.items()) if one.state.position is not None)
    stop_workflow(paper_copy, "paper", symbol, "ada", "thin book")
    later = Home(paper_copy.root)
    later.pin_clock(LAST + timedelta(days=5))
    (done,) = advance(later)
    assert done.sessions >= 4 and done.findings == 0 and behind(later) == []
    with later.book.reading() as connection:
        state = InstrumentLog(later.book).load(connection, "paper", [symbol])[symbol].state
        record = read_record(connection, "paper")
    assert (state.phase, state.position) == ("stopped", None)
    sold = [fill for fill in record.fills if fill.symbol == symbol and fill.at > placed[symbol].state.now]
    assert sum(fill.quantity for fill in sold) == abs(placed[symbol].state.position.quantity)
    # the bar that closes next opened before anybody could act on the order; the one after it fills the exit
    assert {fill.at for fill in sold} == {[bar.ts for bar in _bars(later, symbol) if bar.ts > placed[symbol].state.now][1]}
    assert any(f"{symbol}: stopped" in one.words for one in record.sessions)
    release_workflow(later, "paper", symbol, "ada", "book is back")
    with pytest.raises(WrongUse, match="nobody keeps"):
        release_workflow(later, "paper", symbol, "ada", "book is back")
    assert run_cycle(later).envelopes == (), "a cycle leaves a portfolio alone whose time is that of its bars"


@pytest.mark.usefixtures("unwatched")
def test_the_screener_does_not_start_again_what_a_person_ended(with_bars: Callable[[str], Home]) -> None:
    home = with_bars("home")
    PaperLoop(home, OPTIONS, FIRST, FIRST + timedelta(days=11)).run()
    with home.book.reading() as connection:
        symbols = symbols_of(connection, "paper")
    for symbol in symbols:
        stop_workflow(home, "paper", symbol, "ada", "thin book")
    PaperLoop(home, OPTIONS, None, LAST).run()
    with home.book.reading() as connection:
        placed = InstrumentLog(home.book).load(connection, "paper", symbols)
        words = {word for one in read_record(connection, "paper").sessions for word in one.words}
    assert {one.state.phase for one in placed.values()} == {"stopped"}
    kept = {symbol for symbol in symbols if f"{symbol}: kept out, a person ended its workflow" in words}
    assert kept, "the screener would have started one again"
    home.book.close()


def test_the_clock_of_a_home_is_not_that_of_its_paper_run(paper_copy: Home) -> None:
    paper_copy.pin_clock(LAST + timedelta(days=700))
    with pytest.raises(WrongUse, match="say --as-of"):
        in_its_time(paper_copy, "paper")
    plane = ControlPlane(paper_copy.book, paper_copy.clock)
    before = plane.get_portfolio_state("paper").version
    assert run_cycle(paper_copy, plane=plane).envelopes == () and seen_by(paper_copy, plane) == {}
    assert plane.get_portfolio_state("paper").version == before, "a cycle writes nothing of a portfolio that its bars drive"
    (found,) = [one for one in _portfolios(paper_copy) if "paper" in one.what]
    assert (found.level, "paper status" in found.state) == ("ok", True)
