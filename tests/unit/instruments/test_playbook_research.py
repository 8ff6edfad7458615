"""What a playbook alone would have done: worked by hand, without a look ahead, and the statistics that ship."""

from collections.abc import Sequence
from datetime import date
from pathlib import Path
from random import Random

import pytest

from portfolio_platform.broker.model import UNIT, Bar
from portfolio_platform.broker.terms import BrokerTerms
from portfolio_platform.days import NANOSECONDS_PER_DAY as DAY
from portfolio_platform.days import to_number
from portfolio_platform.home import Home
from portfolio_platform.instruments.playbook import ALL, Playbook
from portfolio_platform.instruments.playbook_loading import FOLDER, load_playbook, shipped
from portfolio_platform.instruments.research import Researched, as_toml, records, research

MONDAY = to_number(date(2007, 1, 1)) * DAY
FREE = BrokerTerms()
SIMPLE = """
name = "simple"
version = "1"
template = "trend_continuation"
summary = "Always armed, opened by a close above the last five days."
directions = ["long"]
thesis = { timeframe = "1w", long = [{ feature = "close_vs_sma_5", at_least = -1 }] }
activation = { timeframe = "1d", timeout_bars = 20, long = [{ feature = "above_high_5", above = 0 }] }
stop = { kind = "atr", multiple = 1, bars = 5 }
target = { kind = "r", multiple = 2 }
time_exit = { bars = 3 }
risk = { share_pct = 0.5, minimum_r = 1, cooldown_bars = 0 }
holding = { p50 = 2, p90 = 3 }
"""
FLAT = (100, 101, 99, 100)
SETUP = [FLAT] * 42 + [(100, 103, 100, 103)]
"""Six quiet weeks, then a close of 103: the true ranges of five days are four of 2 and one of 3, so that a stop is 2.2 away."""


@pytest.fixture
def simple(tmp_path: Path) -> Playbook:
    path = tmp_path / "simple.toml"
    path.write_text(SIMPLE, encoding="utf-8")
    return load_playbook(path)


def bars_of(prices: Sequence[tuple[float, float, float, float]]) -> tuple[Bar, ...]:
    return tuple(
        Bar("X", MONDAY + place * DAY, MONDAY + (place + 1) * DAY, *(round(price * 1000) * UNIT // 1000 for price in row))
        for place, row in enumerate(prices)
    )


def walked(prices: Sequence[tuple[float, float, float, float]], playbook: Playbook, last: int = 10_000) -> Researched:
    return research({"X": bars_of(prices)}, {"X": "24x7"}, playbook, MONDAY + 30 * DAY, MONDAY + last * DAY, FREE)


@pytest.mark.parametrize(
    ("after", "exit_", "r_ppm"),
    [
        ([(103, 108, 103, 105)], "target", 2_000_000),
        ([(103, 104, 100, 101)], "stop", -1_000_000),
        ([(103, 104, 102, 103), (98, 99, 97, 98)], "stop", -2_272_728),  # opened 5 below: 5 / 2.2
        ([(103, 104, 102, 103)] * 3 + [(104.1, 105, 103, 104)], "time", 500_000),
    ],
)
def test_a_trade_by_hand(simple: Playbook, after: list[tuple[float, float, float, float]], exit_: str, r_ppm: int) -> None:
    found = walked([*SETUP, *after], simple)
    (trade,) = found.trades
    assert (trade.outcome.exit, trade.outcome.direction) == (exit_, "long")
    assert abs(trade.outcome.r_ppm - r_ppm) <= 1
    assert (trade.signal.entry_price, trade.signal.stop_price, trade.signal.target_price) == (
        103 * UNIT, 1008 * UNIT // 10, 1074 * UNIT // 10,
    )  # fmt: skip
    assert found.open == 0


def test_excursions_are_in_units_of_the_risk_at_the_signal(simple: Playbook) -> None:
    (trade,) = walked([*SETUP, (103, 105.2, 101.9, 104), (104, 108, 103, 107)], simple).trades
    assert (trade.mae_ppm, trade.mfe_ppm) == (500_000, 2_272_727)  # 1.1 and 5 over 2.2


def test_a_position_at_the_end_is_in_no_figure(simple: Playbook) -> None:
    found = walked([*SETUP, (103, 104, 102, 103)], simple)
    assert (found.open, found.trades, records(found.trades)) == (1, (), ())
    assert [signal.disposition for signal in found.signals] == ["taken"]


def wandering(seed: int, length: int) -> list[tuple[float, float, float, float]]:
    drawn, price, rows = Random(seed), 100.0, []
    for _ in range(length):
        close = max(5.0, price * (1 + drawn.gauss(0.0005, 0.02)))
        high, low = max(price, close) * (1 + abs(drawn.gauss(0, 0.005))), min(price, close) * (1 - abs(drawn.gauss(0, 0.005)))
        rows.append((price, high, low, close))
        price = close
    return rows


@pytest.mark.parametrize("name", ["donchian_channel", "band_reversion"])
def test_bars_that_are_altered_later_change_no_trade_that_was_over(name: str) -> None:
    playbook, prices = shipped().named(name), wandering(7, 420)
    known = walked(prices[:300], playbook)
    altered = walked([*prices[:300], *wandering(8, 120)], playbook)
    over = MONDAY + 300 * DAY
    assert known.trades, "the case trades nothing"
    assert [trade for trade in altered.trades if trade.outcome.closed_at <= over] == list(known.trades)
    assert walked(prices, playbook, 300).trades == known.trades
    assert walked(prices, playbook) == walked(prices, playbook)


def test_records_count_by_regime_and_their_toml_leaves_small_ones_out(simple: Playbook) -> None:
    (good,) = walked([*SETUP, (103, 108, 103, 105)], simple).trades
    bad = good._replace(outcome=good.outcome._replace(r_ppm=-1_000_000, bars=3, regime="bear_vol_low"))
    good = good._replace(outcome=good.outcome._replace(regime="bull_vol_low", bars=1))
    found = records([*[good] * 10, *[bad] * 5])
    assert [(item.regime, item.wins, item.result.n, item.hold_p50, item.hold_p90) for item in found] == [
        (ALL, 10, 15, 1, 3), ("bear_vol_low", 0, 5, 3, 3), ("bull_vol_low", 10, 10, 1, 1),
    ]  # fmt: skip
    assert abs(found[0].result.mean - 1_000_000) <= 1  # (10 * 2 - 5 * 1) / 15
    text = as_toml(found)
    assert 'regime = "all"\nn = 15\nwin_rate_pct = 66.7\nmean_r = 1.00' in text
    assert "bull_vol_low" in text and "bear_vol_low" not in text


def test_the_statistics_that_ship_are_those_of_research_on_the_samples_first_two_years(sample_home: Home) -> None:
    from portfolio_platform.paper.market import read_market

    market = read_market(sample_home, (), {}, "USD")
    calendars = {symbol: listed.calendar for symbol, listed in market.listed.items()}
    first, last = (to_number(day) * DAY for day in (date(2006, 1, 3), date(2008, 1, 1)))
    found = research(market.bars, calendars, shipped().named("squeeze_breakout"), first, last)
    text = (FOLDER / "squeeze_breakout.toml").read_text(encoding="utf-8")
    told = [line.partition("#")[0].rstrip() for line in text.partition("\n[[expectations]]")[2].splitlines()]
    assert as_toml(records(found.trades)).partition("[[expectations]]")[2].splitlines() == told, (
        "count them anew: portfolio playbooks research NAME --from 2006-01-03 --to 2007-12-31 --toml, for each playbook"
    )
