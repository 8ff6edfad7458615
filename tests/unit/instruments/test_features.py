"""The vocabulary of features: each against a worked number and a slower spelling of its definition, and what all of them promise."""

from fractions import Fraction
from itertools import pairwise
from statistics import pstdev
from time import process_time

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from portfolio_platform.broker.model import UNIT
from portfolio_platform.errors import WrongUse
from portfolio_platform.instruments import vectorised
from portfolio_platform.instruments.features import FEATURES, MILLION, atr, highest, lowest, mean, mid_rank, value
from portfolio_platform.instruments.universe import UniverseBars
from tests.unit.instruments.market_examples import MONDAY, bar, daily, px, walk

RISING = daily(range(1, 301))
"""Closes 1, 2, ... 300; each opens at the close before, 1 % of range on both sides."""


@pytest.mark.parametrize(
    ("name", "count", "expected"),
    [
        ("close_vs_sma_5", 10, Fraction(10, 8) - 1),
        ("close_vs_sma_20", 20, Fraction(20) / Fraction(21, 2) - 1),
        ("sma_slope_10", 15, Fraction(21, 2) / Fraction(11, 2) - 1),
        ("sma_5_vs_20", 20, Fraction(18) / Fraction(21, 2) - 1),
        ("return_5", 15, Fraction(15, 10) - 1),
        ("efficiency_10", 20, 1),
        ("rsi_14", 15, 1),
        ("atr_expansion", 21, Fraction(4) * sum(Fraction(101, 100) * k - Fraction(99, 100) * (k - 1) for k in range(17, 22))
         / sum(Fraction(101, 100) * k - Fraction(99, 100) * (k - 1) for k in range(2, 22))),
        ("channel_position_10", 20, (20 - Fraction(99, 100) * 10) / (Fraction(101, 100) * 20 - Fraction(99, 100) * 10)),
        ("above_high_5", 20, Fraction(20) / (Fraction(101, 100) * 19) - 1),
        ("below_low_5", 20, 1 - Fraction(20) / (Fraction(99, 100) * 14)),
        ("from_high_20", 40, 1 - Fraction(100, 101)),
        ("from_low_20", 40, Fraction(40) / (Fraction(99, 100) * 20) - 1),
        ("gap", 20, 0),
        ("volatility_rank_20", 60, Fraction(1, 40)),  # returns fall towards nothing: the last deviation is the lowest of 40
        ("bandwidth_rank_20", 59, Fraction(1, 40)),
        ("percent_b_20", 20, Fraction(1, 2) + Fraction(1, 4) * Fraction(19, 2) / Fraction(pstdev(range(1, 21)))),
        ("zscore_20", 20, Fraction(19, 2) / Fraction(pstdev(range(1, 21)))),
        ("bandwidth_20", 20, 4 * Fraction(pstdev(range(1, 21))) / Fraction(21, 2)),
    ],
)  # fmt: skip
def test_features_of_a_steady_rise_by_hand(name, count, expected):
    assert abs(value(name, RISING[:count]) - expected * MILLION) <= 1


def test_a_bar_alone_by_hand():
    one, before = bar(2, 104, 110, 100, 108), bar(1, 99, 101, 98, 100)
    assert value("close_location", [one]) == 800_000
    assert value("gap", [before, one]) == 40_000
    assert value("rsi_2", [before, one, one._replace(ts=3, close=px(106))]) == 800_000  # 8 up, 2 down


def test_true_range_counts_the_gap_from_the_close_before():
    bars = [bar(1, 100, 101, 99, 100), bar(2, 110, 111, 109, 110), bar(3, 110, 110, 104, 105)]
    assert atr(bars, 2) == px((11 + 6) / 2)
    assert value("bar_expansion", [*daily([100] * 21, spread=0.05), bar(MONDAY * 2, 100, 120, 100, 110)]) == 2_000_000


def test_range_expansion_and_volume_by_hand():
    quiet = daily([100] * 24, spread=0.01)  # each range is 2
    lively = bar(MONDAY * 2, 100, 105, 99, 104, volume=300)
    assert value("range_expansion", [*quiet, lively]) == 3_000_000
    assert value("relative_volume_20", [*quiet, lively]) == 3_000_000
    varied = [one._replace(volume=(90 + 20 * (k % 2)) * UNIT) for k, one in enumerate(quiet)]
    assert value("volume_z_20", [*varied, lively]) == 20_000_000  # 200 above the mean of 100, the deviation is 10


@pytest.mark.parametrize("name", ["volume_z_20", "relative_volume_20"])
def test_a_volume_that_says_nothing_has_no_value(name):
    assert value(name, daily([100] * 30, volume=0)) is None
    assert value(name, daily([100] * 30, volume=None)) is None
    bars = list(daily([100] * 30))
    bars[-3] = bars[-3]._replace(volume=None)
    assert value(name, bars) is None


def test_bars_that_do_not_move_have_values_that_say_so_or_none():
    still = daily([100] * 300, spread=0.0)
    found = {name: value(name, still) for name in FEATURES}
    assert (found["volatility_rank_20"], found["bandwidth_rank_20"]) == (502_000, 505_000)  # the mean of 1 to 250 and 1 to 100, as shares
    assert found["rsi_14"] == found["channel_position_20"] == found["close_location"] == 500_000
    assert found["zscore_20"] is found["percent_b_20"] is found["atr_expansion"] is found["range_expansion"] is None
    assert found["efficiency_20"] == found["bandwidth_20"] == found["volatility_20"] == 0


def test_ranks_share_the_mean_of_their_places_among_equals():
    assert mid_rank([1, 2, 3, 4]) == MILLION
    assert mid_rank([4, 3, 2, 1]) == MILLION // 4
    assert mid_rank([5, 5, 5, 5]) == 625_000
    assert mid_rank([1, 2, 2]) == 833_333


@pytest.mark.parametrize("seed", range(4))
def test_ranks_equal_a_slow_spelling_of_their_definition(seed):
    bars = walk(seed, 275)
    closes = [one.close for one in bars]
    returns = [Fraction(b, a) - 1 for a, b in pairwise(closes)]
    deviations = [pstdev([float(one) for one in returns[k - 20 : k]]) for k in range(20, len(returns) + 1)][-250:]
    widths = [pstdev([one / UNIT for one in closes[k - 20 : k]]) / (sum(closes[k - 20 : k]) / UNIT) for k in range(20, len(closes) + 1)][
        -100:
    ]
    for name, values in (("volatility_rank_20", deviations), ("bandwidth_rank_20", widths)):
        below = sum(one < values[-1] for one in values)
        assert value(name, bars) == round((below + 1) * MILLION / len(values)), name


@pytest.mark.parametrize("name", FEATURES)
def test_a_feature_has_a_value_from_exactly_so_many_bars_on_and_rests_on_a_bounded_number(name):
    feature = FEATURES[name]
    bars = walk(11, 600)
    assert value(name, bars[: feature.bars - 1]) is None
    assert isinstance(value(name, bars[: feature.bars]), int)
    assert value(name, bars) == value(name, bars[-275:])
    assert feature.sentence and feature.name == name


@pytest.mark.parametrize("name", FEATURES)
def test_a_feature_does_not_depend_on_the_unit_of_prices(name):
    bars = walk(5, 300)
    other = [one._replace(open=one.open * 1000, high=one.high * 1000, low=one.low * 1000, close=one.close * 1000) for one in bars]
    assert abs(value(name, other) - value(name, bars)) <= 1


@given(st.integers(0, 2**32), st.integers(60, 280))
@settings(max_examples=40, deadline=None)
def test_shares_are_between_nought_and_one(seed, count):
    bars = walk(seed, count, step=0.05)
    for name in ("volatility_rank_20", "bandwidth_rank_20", "channel_position_20", "rsi_14", "efficiency_20", "close_location"):
        assert 0 <= value(name, bars) <= MILLION
    assert min(value("from_high_20", bars), value("from_low_20", bars)) >= 0


@given(st.integers(0, 2**32), st.integers(60, 200))
@settings(max_examples=40, deadline=None)
def test_the_twins_over_many_symbols_equal_the_plain_features(seed, count):
    bars = {f"S{k}": walk(seed + k, count - 7 * k, step=0.02) for k in range(5)}
    bars["THIN"] = walk(seed, 30)
    universe = UniverseBars.of(bars)
    high, low, close = universe.high, universe.low, universe.close
    twins = {
        "atr_expansion": vectorised.atr_expansion(high, low, close),
        "range_expansion": vectorised.range_expansion(high, low),
        "bandwidth_rank_20": vectorised.bandwidth_rank(close),
        "volume_z_20": vectorised.volume_z(universe.volume),
        "close_vs_sma_50": vectorised.close_vs_mean(close, 50),
        "sma_20_vs_50": vectorised.mean_against(close, 20, 50),
    }
    for name, found in twins.items():
        for symbol, one in zip(universe.symbols, vectorised.parts(found).tolist(), strict=True):
            plain = value(name, bars[symbol])
            assert (one == np.iinfo(np.int64).min) if plain is None else abs(one - plain) <= 1, (name, symbol)


def test_the_twins_agree_on_bars_that_do_not_move_and_on_those_without_volume():
    bars = {"A": daily([100.1] * 130, spread=0.0), "B": daily([*range(100, 150), *([33.3] * 80)], volume=0)}
    universe = UniverseBars.of(bars)
    ranks = vectorised.parts(vectorised.bandwidth_rank(universe.close)).tolist()
    assert ranks == [value("bandwidth_rank_20", bars[name]) for name in "AB"]
    assert np.isnan(vectorised.volume_z(universe.volume)).all()
    assert np.isnan(vectorised.atr_expansion(universe.high, universe.low, universe.close)[0])


def test_what_stops_and_targets_are_found_with():
    bars = daily([100, 101, 102, 103])
    assert (mean(bars, 2), highest(bars, 2), lowest(bars, 3)) == (px(102.5), bars[-1].high, bars[1].low)
    assert atr(bars, 4) == mean(bars, 5) == highest(bars, 5) == lowest(bars, 0) == 0
    for pair, half in (((0, 1), 0), ((1, 2), 2), ((2, 3), 2), ((3, 3), 3)):  # half to even
        assert mean([one._replace(close=close) for one, close in zip(bars, pair, strict=False)], 2) == half


def test_an_unknown_feature_is_refused_by_name():
    with pytest.raises(WrongUse, match="'rsi_15' is no feature"):
        value("rsi_15", RISING)


def test_a_feature_takes_microseconds():
    bars = walk(1, 280)
    for name in ("close_vs_sma_50", "rsi_14", "above_high_20", "zscore_20"):
        begun = process_time()
        for _ in range(500):
            value(name, bars)
        assert (process_time() - begun) / 500 < 60e-6, name
