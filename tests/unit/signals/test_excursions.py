"""Excursions of trades over bars."""

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from portfolio_platform.signals.excursions import Trades, excursions
from tests.unit.signals.oracle import Bar, at, bars_of, same

WORLD = {
    "AAA": [
        Bar(at(1), 100.0, 130.0, 70.0, 100.0),
        Bar(at(2), 100.0, 106.0, 99.0, 104.0),
        Bar(at(3), 104.0, 105.0, 97.0, 98.0),
        Bar(at(4), 98.0, 150.0, 50.0, 98.0),
    ],
    "BBB": [Bar(at(2), 1.0, 2.0, 0.5, 1.0)],
}


def trades(*rows: tuple[int, int, int, float, float, float, float]) -> Trades:
    columns = list(zip(*rows, strict=True))
    return Trades(*(np.array(c, np.int64) for c in columns[:3]), *(np.array(c, np.float64) for c in columns[3:]))


def test_a_long_trade_sees_the_bars_after_its_opening_up_to_its_close():
    # from 100, risk 4: low 97 is 3 against, high 106 is 6 for; the bars at its opening and after its close are not seen
    found = excursions(bars_of(WORLD), trades((0, at(1), at(3), 100.0, 98.0, 1.0, 4.0)))
    assert (found.adverse[0], found.favourable[0], found.bars[0]) == (0.75, 1.5, 2)


def test_a_short_trade_sees_the_same_bars_the_other_way_round():
    found = excursions(bars_of(WORLD), trades((0, at(1), at(3), 100.0, 98.0, -1.0, 4.0)))
    assert (found.adverse[0], found.favourable[0], found.bars[0]) == (1.5, 0.75, 2)


def test_entry_and_exit_prices_count_as_seen():
    found = excursions(bars_of(WORLD), trades((0, at(1.1), at(1.9), 100.0, 90.0, 1.0, 5.0), (0, at(1.1), at(1.9), 100.0, 90.0, -1.0, 5.0)))
    assert found.adverse.tolist() == [2.0, 0.0]
    assert found.favourable.tolist() == [0.0, 2.0]
    assert found.bars.tolist() == [0, 0]


def test_another_symbols_bars_are_not_looked_at():
    found = excursions(bars_of(WORLD), trades((1, at(1), at(4), 1.0, 1.0, 1.0, 1.0), (-1, at(1), at(4), 7.0, 7.0, 1.0, 1.0)))
    assert found.adverse.tolist() == [0.5, 0.0]
    assert found.bars.tolist() == [1, 0]


def test_without_a_risk_there_is_no_excursion_in_units_of_it():
    found = excursions(bars_of(WORLD), trades((0, at(1), at(3), 100.0, 98.0, 1.0, np.nan)))
    assert np.isnan(found.adverse[0]) and np.isnan(found.favourable[0]) and found.bars[0] == 2


def test_no_trades_have_no_excursions():
    nothing = np.empty(0)
    found = excursions(bars_of(WORLD), Trades(*[nothing.astype(np.int64)] * 3, *[nothing] * 4))
    assert found.bars.size == 0


prices = st.integers(50, 150).map(float)
days = st.integers(0, 40).map(lambda halves: at(halves / 2))


@st.composite
def random_bars(draw: st.DrawFn, days_at_most: int = 20) -> list[Bar]:
    chosen = sorted(draw(st.sets(st.integers(1, days_at_most), max_size=days_at_most)))
    bars = []
    for day in chosen:
        four = [draw(prices) for _ in range(4)]
        bars.append(Bar(at(day), four[0], max(four), min(four), four[1]))
    return bars


@given(st.fixed_dictionaries({"AAA": random_bars(), "BBB": random_bars()}), st.data())
def test_excursions_are_those_of_a_plain_walk(world: dict[str, list[Bar]], data: st.DataObject):
    bars = bars_of(world)
    names = data.draw(st.lists(st.sampled_from(["AAA", "BBB"]), min_size=1, max_size=5))
    rows = []
    for name in names:
        code = bars.symbols.index(name) if name in bars.symbols else -1
        opened, closed = data.draw(days), data.draw(days)
        rows.append((code, opened, closed, data.draw(prices), data.draw(prices), data.draw(st.sampled_from([1.0, -1.0])), 7.0))
    found = excursions(bars, trades(*rows))
    for k, (name, row) in enumerate(zip(names, rows, strict=True)):
        _, opened, closed, entry, leaving, sign, risk = row
        seen = [bar for bar in world[name] if opened < bar.ts <= closed]
        moves = [sign * (price - entry) for bar in seen for price in (bar.high, bar.low)] + [0.0, sign * (leaving - entry)]
        assert same(found.adverse[k], -min(moves) / risk)
        assert same(found.favourable[k], max(moves) / risk)
        assert found.bars[k] == len(seen)


@given(random_bars(), days, days, prices, st.floats(0.5, 20.0))
def test_a_later_close_never_makes_an_excursion_smaller(bars: list[Bar], opened: int, later: int, entry: float, risk: float):
    laid = bars_of({"AAA": bars, "BBB": WORLD["BBB"]})
    code, longer = int(laid.codes(pa.array(["AAA"]))[0]), later + at(5) - at(0)
    found = excursions(laid, trades(*[(code, opened, closed, entry, entry, 1.0, risk) for closed in (later, longer)]))
    assert found.adverse[0] <= found.adverse[1]
    assert found.favourable[0] <= found.favourable[1]
    assert found.bars[0] <= found.bars[1]


def test_a_split_between_opening_and_closing_is_no_excursion():
    # two for one on the morning of the third day: 100 becomes 50, and 49 is 2 % below it
    world = {"AAA": [Bar(at(1), 100.0, 100.0, 100.0, 100.0), Bar(at(2), 100.0, 102.0, 100.0, 100.0), Bar(at(3), 50.0, 50.0, 49.0, 50.0)]}
    bars = bars_of(world, ((at(2.5), "AAA", 2.0),))
    found = excursions(bars, trades((0, at(1), at(3), 100.0, 100.0, 1.0, 10.0)))
    assert found.adverse[0] == pytest.approx(0.2)
    assert found.favourable[0] == pytest.approx(0.2)


def test_bars_without_a_range_have_that_of_open_and_close_and_tell_their_spacing():
    friday, monday = Bar(at(1), 9.0, None, None, 11.0), Bar(at(4), None, None, None, 10.0)
    bars = bars_of({"AAA": [friday, monday], "BBB": [Bar(at(1), 1.0, 1.0, 1.0, 1.0)]})
    assert (bars.low[:2].tolist(), bars.high[:2].tolist(), bars.open[:2].tolist()) == ([9.0, 10.0], [11.0, 10.0], [9.0, 10.0])
    assert bars.resolution == ("1d", "")  # a weekend between two daily bars is no timeframe


@pytest.mark.parametrize(("days_apart", "name"), [(1 / 24, "1h"), (1 / 1440, "1m"), (4 / 24, "4h"), (1, "1d"), (7, "1w"), (30, "1mo")])
def test_the_time_between_bars_has_a_name(days_apart: float, name: str):
    world = {"AAA": [Bar(at(1 + k * days_apart), 1.0, 1.0, 1.0, 1.0) for k in range(6)]}
    assert bars_of(world).resolution == (name,)
