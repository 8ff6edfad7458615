"""The loop as a whole: what it leaves is the same whatever interrupts it, rests on nothing later, and agrees with the ledger."""

import re
from collections.abc import Callable
from dataclasses import replace
from datetime import date

import pytest

from portfolio_platform.book.chain import verify_chain
from portfolio_platform.days import end_of_day_ns
from portfolio_platform.errors import WrongUse
from portfolio_platform.home import Home
from portfolio_platform.instruments.screener import ScreenerTerms
from portfolio_platform.instruments.store import get_instrument_state, stream_of, verify_snapshots
from portfolio_platform.paper.loop import PaperLoop
from portfolio_platform.paper.market import Market, read_market
from portfolio_platform.paper.model import Control, PaperOptions
from portfolio_platform.paper.record import read_record
from tests.unit.paper.conftest import FIRST, LAST, OPTIONS, UNIVERSE
from tests.unit.paper.reading import contents, left


class Killed(BaseException):
    """The process is gone."""


def finished(home: Home, options: PaperOptions = OPTIONS, last: date = LAST) -> PaperLoop:
    loop = PaperLoop(home, options, FIRST, last)
    loop.run()
    return loop


def killed_after(points: int) -> Callable[[str], None]:
    """Return what is told each point, and kills at one of them."""
    seen = 0

    def reached(point: str) -> None:
        nonlocal seen
        if point.endswith("begins"):
            return
        seen += 1
        if seen == points:
            raise Killed(point)

    return reached


def test_a_run_trades_agrees_with_the_ledger_to_the_cent_and_leaves_a_sound_log(with_bars: Callable[[str], Home]) -> None:
    home = with_bars("home")
    loop = finished(home, replace(OPTIONS, monitor="monthly"))
    assert loop.kept.counts.fills > 3
    assert loop.kept.counts.monitored == 1
    assert loop.kept.findings == ()
    with home.book.reading() as connection:
        record = read_record(connection, "paper")
        assert verify_chain(connection).ok
        assert verify_snapshots(connection) == []
    assert [one.drift for one in record.monitored] == [0, 0]
    assert abs((record.monitored[-1].equity or 0) - record.sessions[-1].equity) <= 1
    assert sum(len(one.fills) for one in record.sessions) == loop.kept.counts.fills
    assert get_instrument_state(home.book, "paper", "GOOG").symbol == "GOOG"


@pytest.mark.usefixtures("unwatched")
def test_two_runs_leave_the_same_bytes(with_bars: Callable[[str], Home]) -> None:
    one, other = with_bars("one"), with_bars("other")
    finished(one)
    finished(other)
    assert left(one) == left(other)


def test_a_run_that_is_killed_at_every_point_leaves_the_bytes_of_one_that_is_not(with_bars: Callable[[str], Home]) -> None:
    whole, killed = with_bars("whole"), with_bars("killed")
    last = date(2007, 6, 8)
    # few places and no patience: workflows are asked to stop, flatten, stop, and start again
    options = replace(OPTIONS, monitor="monthly", screener=ScreenerTerms(top=3, passes_outside=1))
    done = finished(whole, options, last)
    assert done.kept.counts.stopped >= 1
    assert done.kept.findings == ()
    deaths = 0
    while True:
        try:
            # the first point of each process is before the commit of what is lost, the second after one that is not
            PaperLoop(killed, options, FIRST, last, reached=killed_after(1 + deaths % 3)).run()
            break
        except Killed:
            deaths += 1
            killed.book.close()
            assert deaths < 500
    assert deaths > 30
    assert left(killed) == left(whole)


@pytest.mark.usefixtures("unwatched")
@pytest.mark.parametrize("control", ["on", "off"])
def test_a_run_goes_on_to_a_later_day_as_if_it_had_been_asked_for_at_once(control: Control, with_bars: Callable[[str], Home]) -> None:
    pieces, once = with_bars("pieces"), with_bars("once")
    options = replace(OPTIONS, control=control)
    finished(pieces, options, last=date(2007, 6, 4))
    finished(pieces, options)
    finished(once, options)
    for prefix in ("instruments/", "control/"):
        assert contents(pieces, prefix) == contents(once, prefix)
    assert contents(once, "instruments/")


@pytest.mark.usefixtures("unwatched")
def test_no_session_rests_on_a_later_bar(with_bars: Callable[[str], Home], monkeypatch: pytest.MonkeyPatch) -> None:
    plain, altered = with_bars("plain"), with_bars("altered")
    until = end_of_day_ns(date(2007, 6, 4))
    finished(plain)
    read = read_market

    def doubled(*arguments: object) -> Market:
        market = read(*arguments)  # type: ignore[arg-type]
        bars = {
            symbol: tuple(
                bar if bar.ts <= until else bar._replace(open=bar.open * 2, high=bar.high * 2, low=bar.low * 2, close=bar.close * 2)
                for bar in listed
            )
            for symbol, listed in market.bars.items()
        }
        return Market(market.listed, bars, market.currency, market.digits)

    monkeypatch.setattr("portfolio_platform.paper.loop.read_market", doubled)
    finished(altered)
    for prefix in ("instruments/", "control/", "paper/"):
        before = contents(plain, prefix, until)
        assert before
        assert contents(altered, prefix, until) == before
    assert contents(altered, "paper/") != contents(plain, "paper/")


@pytest.mark.usefixtures("unwatched")
def test_one_symbol_s_stream_knows_nothing_of_another_where_no_envelope_speaks_of_it(with_bars: Callable[[str], Home]) -> None:
    four, three = with_bars("four"), with_bars("three")
    options = replace(OPTIONS, control="alone")
    finished(four, options)
    finished(three, replace(options, universe=tuple(one for one in UNIVERSE if one != "AAPL")))
    told = 0
    for symbol in ("GOOG", "IBM", "WTI"):
        ours = [said(one) for one in contents(four, stream_of("paper", symbol))]
        assert ours == [said(one) for one in contents(three, stream_of("paper", symbol))]
        told += len(ours)
    assert told > 200


def said(event: tuple[str, int, str, bytes]) -> tuple[str, int, str, bytes]:
    """Return an event without the id of the screener's pass and the rank in it, which speak of the whole universe."""
    content = re.sub(rb"screen-[0-9a-f]+|pass-[0-9a-f]+", b"pass", event[3])
    if event[2] in ("instrument_screener_update", "instrument_started"):
        content = b""
    return (*event[:3], content)


@pytest.mark.usefixtures("unwatched")
def test_with_control_off_everything_is_granted_and_the_control_plane_has_no_stream(with_bars: Callable[[str], Home]) -> None:
    home = with_bars("home")
    loop = finished(home, replace(OPTIONS, control="off"))
    whole, clipped, refused = (sum(one.decisions[place] for one in loop.sessions) for place in range(3))
    assert whole > 1
    assert clipped == refused == 0
    assert contents(home, "control/") == []
    assert loop.kept.findings == ()


@pytest.mark.usefixtures("unwatched")
def test_a_run_goes_on_with_its_own_options_alone(with_bars: Callable[[str], Home]) -> None:
    home = with_bars("home")
    finished(home, last=date(2007, 5, 16))
    with pytest.raises(WrongUse, match=r"begun with other options: cash was 100000000, and is 5"):
        PaperLoop(home, replace(OPTIONS, cash=5), FIRST, LAST)
    with pytest.raises(WrongUse, match="began on 2007-05-14"):
        PaperLoop(home, OPTIONS, date(2007, 5, 15), LAST)


def test_a_day_that_has_not_ended_is_refused(with_bars: Callable[[str], Home]) -> None:
    home = with_bars("home")
    home.pin_clock(date(2007, 6, 4))
    with pytest.raises(WrongUse, match="has not ended by the home's clock"):
        PaperLoop(home, OPTIONS, FIRST, LAST)


def test_symbols_without_bars_are_named(with_bars: Callable[[str], Home]) -> None:
    with pytest.raises(WrongUse, match="no bars of NOPE"):
        PaperLoop(with_bars("home"), replace(OPTIONS, universe=("GOOG", "NOPE")), FIRST, LAST)
