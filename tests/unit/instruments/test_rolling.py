"""What is taken up from the window before equals what is found from the first bar on, whatever was looked at in between."""

from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from portfolio_platform.instruments import rolling
from portfolio_platform.instruments.bars import KEEP
from portfolio_platform.instruments.features import plain_bandwidth_rank, plain_volatility_rank, value
from portfolio_platform.instruments.shock import calm, grown
from tests.unit.instruments.market_examples import daily, px, walk

RANKS = {"volatility_rank_20": plain_volatility_rank, "bandwidth_rank_20": plain_bandwidth_rank}


@pytest.fixture(autouse=True)
def _nothing_is_known():
    rolling.forget()


def both(bars):
    """Return the ranks as they are asked for, and as they are found from the first bar on."""
    return [(value(name, bars), plain(bars)) for name, plain in RANKS.items()]


def agree(bars):
    for asked, plain in both(bars):
        assert asked == plain


@given(st.integers(0, 2**32))
@settings(max_examples=30, deadline=None)
def test_interleaved_symbols_altered_bars_and_windows_that_grow_shrink_and_jump_have_the_ranks_of_the_plain_way(seed):
    draw = Random(seed)
    series = [list(walk(seed + place, 420, step=draw.choice((0.002, 0.02)), symbol=f"S{place}")) for place in range(3)]
    ends = [70, 100, 290]
    for _ in range(18):
        place = draw.randrange(3)
        bars, ends[place] = series[place], min(420, ends[place] + draw.choice((0, 1, 1, 5, 7, 7, 31, 32, 33)))
        if draw.random() < 0.15:
            at = ends[place] - draw.randrange(1, 60)
            bars[at] = bars[at]._replace(close=bars[at].close + px(draw.choice((-0.5, 0.0, 0.5))))
        kept = draw.choice((KEEP, KEEP, KEEP, 60, 61, 90, 119, 120, 270, 271, 400))
        agree(tuple(bars[max(0, ends[place] - kept) : ends[place]]))


@given(st.lists(st.sampled_from([100, 100, 100, 101, 102]), min_size=60, max_size=160))
@settings(max_examples=30, deadline=None)
def test_equal_spreads_share_their_ranks_as_in_the_plain_way(closes):
    bars = daily(closes)
    for count in range(60, len(bars) + 1, 7):
        agree(bars[max(0, count - KEEP) : count])


def test_spreads_with_the_same_float_that_are_not_equal_are_told_apart():
    closes = [100 * 10**18 + (10**18 if place % 2 else 0) for place in range(100)]
    bars = [bar._replace(close=close) for bar, close in zip(daily([100] * 100), closes, strict=True)]
    for more in (-1, 1):
        changed = (*bars[:-1], bars[-1]._replace(close=closes[-1] + more))
        seen = rolling.rolling(changed)
        assert seen is not None and seen.widths.count(seen.widths[-1]) > 40 and len(set(seen.spreads[-2:])) == 2
        agree(changed)
    assert value("bandwidth_rank_20", changed) != value("bandwidth_rank_20", tuple(bars))


def test_a_window_is_taken_up_where_the_one_before_left_off(monkeypatch):
    bars = walk(3, 400)
    agree(bars[:KEEP])
    monkeypatch.setattr(rolling, "begun", lambda bars: pytest.fail("from the first bar on"))
    for end in range(KEEP, 400, 7):
        agree(bars[end - KEEP : end])


@pytest.mark.parametrize("close", [0, -(10**18)])
def test_a_close_that_is_not_positive_is_left_to_the_plain_way(close):
    bars = walk(5, 300)
    agree(bars[:270])
    for place in (271, 275, 200):
        spoilt = (*bars[:place], bars[place]._replace(close=close), *bars[place + 1 :])
        for end in (271, 276, 280, 300):
            agree(spoilt[max(0, end - KEEP) : end])


def test_returns_beyond_what_a_float_holds_have_a_rank_too():
    bars = walk(5, 100)
    for place in (80, 99):
        agree(bars[:80])
        huge = (*bars[:place], bars[place]._replace(close=10**200), *bars[place + 1 :])
        assert rolling.rolling(huge) is None
        agree(huge)


def test_what_is_kept_is_bounded():
    for number in range(rolling.KEPT + 40):
        agree(walk(number, 60, symbol=f"S{number}"))
    assert len(rolling._known) == rolling.KEPT
    rolling.forget()
    assert not rolling._known


@given(st.integers(0, 2**32), st.integers(15, 60), st.sampled_from((0.5, 1, 2, 3, 4, 5, 8)))
@settings(max_examples=60, deadline=None)
def test_bars_that_are_called_calm_are_no_shock_by_its_definition(seed, count, size):
    bars = list(walk(seed, count))
    last = bars[-1]
    bars[-1] = last._replace(high=last.close + round(size * (last.high - last.low)))
    for bar_from, mean_from in ((4_000_000, 2_000_000), (1_500_000, 1_100_000), (0, 2_000_000), (1, 1)):
        bar, mean = value("bar_expansion", bars), value("atr_expansion", bars)
        shock = (bar is not None and bar >= bar_from) or (mean is not None and mean >= mean_from)
        assert grown(bars, bar_from, mean_from) == shock
        assert not (shock and calm(bars, bar_from, mean_from))


@pytest.mark.parametrize("name", ["bar_expansion", "atr_expansion"])
def test_a_shock_begins_exactly_where_the_rounded_feature_reaches_its_threshold(name):
    bars = walk(8, 120, step=0.03)
    for end in range(25, 120):
        seen = value(name, bars[:end])
        other = 10**12
        for threshold in (seen - 1, seen, seen + 1):
            given = (threshold, other) if name == "bar_expansion" else (other, threshold)
            assert grown(bars[:end], *given) == (threshold <= seen)
