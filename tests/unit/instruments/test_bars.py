"""Windows of bars: what is seen of each timeframe after each candle, and never before."""

from time import process_time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from portfolio_platform.broker.model import UNIT, Bar
from portfolio_platform.codec import from_bytes, to_bytes
from portfolio_platform.errors import DataProblem, WrongUse
from portfolio_platform.instruments.bars import KEEP, PERIODS, SHIFTS, Window, advance, closes_of, start
from portfolio_platform.instruments.features import FEATURES
from tests.unit.instruments.market_examples import DAY, MONDAY, at, bar, candle, daily, hourly, prices, walk

ALL = ("1h", "4h", "1d", "1w")


def played(bars, timeframes=ALL, keep=KEEP, closes=lambda one: ()):
    windows, seen = start(timeframes, keep), []
    for one in bars:
        windows, closed = advance(windows, candle(one, *closes(one)))
        seen.append(closed)
    return windows, seen


def test_hours_become_four_hours_and_days_by_hand():
    windows, seen = played(hourly(25))
    assert prices(windows[1].bars)[0] == (101, 106, 98, 105)  # hours 1 to 4
    assert prices(windows[2].bars) == [(101, 126, 98, 125)]  # hours 1 to 24
    assert windows[2].bars[0].volume == sum(range(1, 25)) * UNIT
    assert (windows[2].bars[0].opens_at, windows[2].bars[0].ts) == (MONDAY, MONDAY + DAY)
    assert [closed for closed in seen if len(closed) > 1] == [("1h", "4h")] * 5 + [("1h", "4h", "1d")]
    assert windows[2].building.ts == MONDAY + 25 * PERIODS["1h"]


def test_a_bar_stamped_at_the_end_belongs_to_the_period_that_ends():
    windows, seen = played(daily(range(100, 107)), ("1d", "1w"))
    assert seen[-1] == ("1d", "1w")
    assert windows[1].bars[0].ts == MONDAY + 7 * DAY
    assert windows[1].building is None


def test_without_a_calendar_a_week_is_seen_with_the_first_candle_after_its_end():
    friday = daily(range(100, 105))
    windows, _ = played(friday, ("1d", "1w"))
    assert windows[1].bars == () and windows[1].building is not None
    windows, closed = advance(windows, candle(daily([110], start=MONDAY + 7 * DAY)[0]))
    assert closed == ("1d", "1w")
    assert windows[1].bars[-1].close == friday[-1].close
    assert windows[1].bars[-1].ts == friday[-1].ts


def test_a_week_that_the_calendar_closes_is_seen_at_once():
    windows, seen = played(daily(range(100, 105)), ("1d", "1w"), closes=lambda one: ("1w",) if one.ts == MONDAY + 5 * DAY else ())
    assert seen[-1] == ("1d", "1w")
    assert prices(windows[1].bars)[0][3] == 104


def test_a_candle_after_the_calendar_closed_its_week_belongs_to_the_next_one_and_changes_nothing_seen():
    windows, _ = played(daily(range(100, 105)), ("1d", "1w"), closes=lambda one: ("1w",) if one.ts == MONDAY + 5 * DAY else ())
    held = windows[1].bars
    windows, closed = advance(windows, candle(bar(MONDAY + 6 * DAY, 104, 140, 104, 104)))  # a Saturday that the calendar has not
    assert closed == ("1d",) and windows[1].bars == held
    windows, _ = advance(windows, candle(bar(MONDAY + 8 * DAY, 104, 105, 104, 105)))
    windows, closed = advance(windows, candle(bar(MONDAY + 9 * DAY, 105, 106, 105, 106), "1w"))
    assert closed == ("1d", "1w")
    assert windows[1].bars[:-1] == held
    assert prices(windows[1].bars)[-1] == (104, 140, 104, 106)


@pytest.mark.parametrize("late", [0, 1, DAY, 10 * DAY])
def test_a_candle_that_came_before_or_is_older_changes_nothing_and_names_no_timeframe(late):
    windows, _ = played(daily(range(100, 120)), ("1d", "1w"))
    assert advance(windows, candle(bar(MONDAY + 20 * DAY - late, 1, 1, 1, 1), "1w")) == (windows, ())


def test_missing_candles_are_not_made_up():
    whole = daily(range(100, 121))
    windows, _ = played([one for one in whole if one.ts != MONDAY + 3 * DAY], ("1d", "1w"))
    assert len(windows[0].bars) == 20
    assert windows[1].bars[0].volume == 6 * 100 * UNIT


def test_a_week_without_a_candle_leaves_no_bar():
    windows, _ = played((*daily(range(100, 107)), *daily(range(100, 107), start=MONDAY + 14 * DAY)), ("1d", "1w"))
    assert [one.ts for one in windows[1].bars] == [MONDAY + 7 * DAY, MONDAY + 21 * DAY]


def test_an_unknown_volume_makes_that_of_the_higher_bar_unknown():
    bars = [one._replace(volume=None) if number == 2 else one for number, one in enumerate(daily(range(100, 114)))]
    windows, _ = played(bars, ("1d", "1w"))
    assert [one.volume for one in windows[1].bars] == [None, 700 * UNIT]


@pytest.mark.parametrize("keep", [1, 2, 7])
def test_only_so_many_bars_are_kept(keep):
    bars = daily(range(100, 160))
    windows, _ = played(bars, ("1d", "1w"), keep)
    assert windows[0].bars == bars[-keep:]
    assert len(windows[1].bars) == keep


def test_what_is_kept_is_enough_for_every_feature():
    assert max(feature.bars for feature in FEATURES.values()) < KEEP
    bars = walk(3, KEEP + 120)
    for name, feature in FEATURES.items():
        assert feature.of(bars[-KEEP:]) == feature.of(bars), name


def oracle(bars, timeframe):
    """Group all bars by period, whole periods only: those with a later bar, or that end at their last one."""
    period, shift = PERIODS[timeframe], SHIFTS[timeframe]
    groups: dict[int, list[Bar]] = {}
    for one in bars:
        groups.setdefault((one.ts - 1 + shift) // period, []).append(one)
    last = max(groups)
    return tuple(
        Bar("ABC", held[0].opens_at, held[-1].ts, held[0].open, max(b.high for b in held), min(b.low for b in held), held[-1].close,
            sum(b.volume for b in held))
        for number, held in sorted(groups.items())
        if number != last or held[-1].ts == (number + 1) * period - shift
    )  # fmt: skip


@given(st.sets(st.integers(1, 400), min_size=1, max_size=150), st.randoms(use_true_random=False))
@settings(max_examples=40, deadline=None)
def test_every_higher_window_equals_a_plain_grouping_of_the_candles_that_came(hours, random):
    candles = hourly(400)
    kept = [candles[k - 1] for k in sorted(hours)]
    noisy = [again for one in kept for again in (one, *([one] if random.random() < 0.3 else []))]
    windows, _ = played(noisy)
    assert windows[0].bars == tuple(kept)
    for window in windows[1:]:
        assert window.bars == oracle(kept, window.timeframe)


@given(st.integers(1, 80), st.integers(0, 2**32))
@settings(max_examples=30, deadline=None)
def test_nothing_after_a_candle_changes_what_was_seen_at_it(cut, seed):
    bars, other = walk(1, 100), walk(seed, 100)
    before, _ = played(bars[:cut], ("1d", "1w"))
    first, second = before, before
    for one, two in zip(bars[cut:], other[cut:], strict=True):
        first, second = advance(first, candle(one))[0], advance(second, candle(two))[0]
    for now, later, else_ in zip(before, first, second, strict=True):
        assert later.bars[: len(now.bars)] == now.bars == else_.bars[: len(now.bars)]
        assert all(one.ts <= bars[cut - 1].ts for one in now.bars)


def test_windows_survive_the_log():
    windows, _ = played(hourly(50))
    assert from_bytes(to_bytes(windows, tuple[Window, ...]), tuple[Window, ...]) == windows


@pytest.mark.parametrize(
    ("timeframes", "said"), [(("1d", "4h"), "ascending"), (("2h",), "2h"), ((), "none given"), (("1d", "1d"), "ascending")]
)
def test_timeframes_that_cannot_be_meant_are_refused(timeframes, said):
    with pytest.raises(WrongUse, match=said):
        start(timeframes)
    with pytest.raises(WrongUse, match="keep 0"):
        start(("1d",), keep=0)


def test_ten_thousand_candles_take_a_fraction_of_a_second():
    bars = daily([100 + k % 7 for k in range(10_000)])
    begun = process_time()
    played(bars, ("1d", "1w"))
    assert process_time() - begun < 0.5  # a tenth of that on an idle machine


# --- by the trading calendar


def session(text, opened):
    return Bar("ABC", at(opened), at(text), 1, 1, 1, 1, 1)


@pytest.mark.parametrize(
    ("ts", "week"),
    [
        ("2010-03-31T20:00", False),
        ("2010-04-01T20:00", True),  # before Good Friday
        ("2010-04-09T20:00", True),
        ("2010-11-25T21:00", False),  # Thanksgiving: no session
        ("2010-11-26T21:00", True),  # ends early, and is stamped as if it did not
        ("2010-12-24T00:00", True),  # Christmas on a Friday, observed; the Thursday is stamped at its midnight
    ],
)
def test_a_week_of_an_exchange_ends_with_its_last_session_even_before_a_holiday(ts, week):
    assert closes_of("XNYS", ("1d", "1w"), session(ts, "2010-01-01")) == (("1w",) if week else ())


@pytest.mark.parametrize(
    ("ts", "closes"),
    [
        ("2010-03-31T19:00", ()),
        ("2010-03-31T20:00", ("4h", "1d")),
        ("2010-04-01T20:00", ("4h", "1d", "1w")),
        ("2010-04-01T21:00", ()),  # after hours
        ("2010-11-26T18:00", ("4h", "1d", "1w")),  # an early close
        ("2010-11-26T21:00", ()),
    ],
)
def test_the_last_hour_of_a_session_completes_the_day_and_what_is_shorter(ts, closes):
    end = at(ts)
    assert closes_of("XNYS", ALL, Bar("ABC", end - PERIODS["1h"], end, 1, 1, 1, 1, 1)) == closes


def test_a_market_that_never_closes_ends_its_days_and_weeks_at_midnight():
    for number, one in enumerate(hourly(7 * 24), 1):
        expected = ("4h", "1d", "1w") if number == 168 else ("4h", "1d") if number % 24 == 0 else ()
        assert closes_of("24x7", ALL, one) == expected
    assert closes_of("weekdays", ("1d", "1w"), daily(range(5))[4]) == ("1w",)


def test_an_unknown_calendar_is_refused():
    with pytest.raises(DataProblem, match="NOWHERE"):
        closes_of("NOWHERE", ("1d", "1w"), daily([1])[0])
