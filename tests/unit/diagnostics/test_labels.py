"""D8's labels: each rule holds where its docstring says, not a hair before, in both directions, and never by a later bar."""

from dataclasses import fields, replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from portfolio_platform.days import NANOSECONDS_PER_DAY as DAY
from portfolio_platform.diagnostics import labels
from portfolio_platform.policy.diagnostics import FailurePolicy
from portfolio_platform.signals.bars import Bars, Splits

POLICY = FailurePolicy()
HOUR = DAY // 24
SIZE, SIGNAL = 40, 29
LEVEL = 101.0
NO_OPINIONS = labels.Opinions(np.empty(0, np.int64), np.empty(0, np.int64), np.empty(0))
NO_NUMBERS = labels.Numbers(*(np.full(1, np.nan) for _ in fields(labels.Numbers)))


def market(symbols: int = 1, size: int = SIZE) -> tuple[Bars, labels.Float64]:
    """Bars that go nowhere: close 100, range 99 to 101 (so ATR is 2), volume 1,000, closing at 21:00 of days 0, 1, ..."""
    ts = np.tile(np.arange(size) * DAY + 21 * HOUR, symbols)
    names = tuple(f"S{k}" for k in range(symbols))
    start = np.arange(symbols + 1) * size
    flat = np.full(size * symbols, 100.0)
    splits = Splits(names, np.zeros(symbols + 1, np.int64), np.empty(0, np.int64), np.empty(0))
    bars = Bars(names, start, ts, flat.copy(), flat + 1.0, flat - 1.0, flat.copy(), ("1d",) * symbols, splits)
    return bars, np.full(size * symbols, 1000.0)


def trade(sign: float = 1.0, *, closed_bar: int = 33, **changes: float) -> labels.Losers:
    """A trade seen at bar 29, opened a minute later, closed within bar 33."""

    def one(value: float) -> labels.Float64:
        return np.array([value])

    def whole(value: int) -> labels.Int64:
        return np.array([value], np.int64)

    seen = SIGNAL * DAY + 21 * HOUR
    made = labels.Losers(
        whole(0), one(sign), whole(seen), whole(seen + 60), whole(closed_bar * DAY + 18 * HOUR), whole(closed_bar), one(100.0),
        one(100.0 - 4.0 * sign), one(100.0 + 8.0 * sign), one(100.0), one(100.0 - 4.0 * sign), one(0.9), one(0.2), whole(0),
    )  # fmt: skip
    return replace(made, **{name: one(value) for name, value in changes.items()})


def holding(given: labels.Losers, bars: Bars, volume: labels.Float64, opinions: labels.Opinions = NO_OPINIONS) -> set[str]:
    found = labels.rules(labels.numbers(given, bars, volume, opinions, POLICY), POLICY)
    return {name for name, held in found.items() if held[0]}


def breakout(sign: float, *, back_at: int | None, beyond: float = 0.5) -> tuple[Bars, labels.Float64]:
    """A signal bar that closes beyond 101 (99), and bars that stay out there but for one."""
    bars, volume = market()
    for place in range(SIGNAL, SIZE):
        close = 100.0 + sign * (1.0 + beyond)
        if back_at is not None and place >= SIGNAL + back_at:
            close = 100.0
        bars.close[place], bars.high[place], bars.low[place] = close, close + 1.0, close - 1.0
    return bars, volume


@pytest.mark.parametrize("sign", [1.0, -1.0])
def test_a_breakout_that_closes_back_inside_is_false(sign: float) -> None:
    assert "false_breakout_reversion" in holding(trade(sign), *breakout(sign, back_at=2))
    assert "false_breakout_reversion" not in holding(trade(sign), *breakout(sign, back_at=None))
    assert "false_breakout_reversion" not in holding(trade(-sign), *breakout(sign, back_at=2))
    # a close on the level is no breakout, and a trade that went half its risk in favour did not fail at once
    assert "false_breakout_reversion" not in holding(trade(sign), *breakout(sign, back_at=2, beyond=0.0))
    assert "false_breakout_reversion" not in holding(trade(sign, mfe_r=0.5), *breakout(sign, back_at=2))


def test_a_breakout_that_comes_back_late_or_after_the_close_is_not_false() -> None:
    # back in the fifth bar held, then in the sixth
    assert "false_breakout_reversion" in holding(trade(closed_bar=38), *breakout(1.0, back_at=5))
    assert "false_breakout_reversion" not in holding(trade(closed_bar=38), *breakout(1.0, back_at=6))
    assert "false_breakout_reversion" not in holding(trade(closed_bar=31), *breakout(1.0, back_at=3))


def test_the_level_is_the_extreme_of_the_bars_before_the_signal_bar() -> None:
    bars, volume = breakout(1.0, back_at=2)
    seen = labels.numbers(trade(), bars, volume, NO_OPINIONS, POLICY)
    assert (seen.level[0], seen.beyond_level[0], seen.bars_to_reversion[0]) == (LEVEL, 0.5, 2.0)
    bars.high[SIGNAL - POLICY.breakout_bars] = 102.0
    assert "false_breakout_reversion" not in holding(trade(), bars, volume)
    bars.high[SIGNAL - POLICY.breakout_bars], bars.high[SIGNAL - POLICY.breakout_bars - 1] = 101.0, 102.0
    assert "false_breakout_reversion" in holding(trade(), bars, volume)


@pytest.mark.parametrize(("traded", "held"), [(799.0, True), (800.0, False), (np.nan, False)])
def test_a_breakout_without_volume_failed_for_want_of_it(traded: float, held: bool) -> None:
    bars, volume = breakout(1.0, back_at=None)
    volume[SIGNAL] = traded
    assert ("low_volume_breakout_failure" in holding(trade(), bars, volume)) is held


def test_where_volume_is_not_recorded_the_rule_does_not_hold() -> None:
    bars, _ = breakout(1.0, back_at=None)
    assert "low_volume_breakout_failure" not in holding(trade(), bars, np.zeros(SIZE))


@pytest.mark.parametrize(("close", "held"), [(105.0, True), (104.0, False)])
def test_an_entry_far_beyond_the_mean_is_exhaustion(close: float, held: bool) -> None:
    bars, volume = market()
    bars.close[SIGNAL], bars.high[SIGNAL] = close, close
    # at 105: mean 100.25; ATR (19 * 2 + 6) / 20 = 2.2; 4.75 / 2.2 = 2.16. At 104: 3.8 / 2.15 = 1.77
    seen = labels.numbers(trade(), bars, volume, NO_OPINIONS, POLICY)
    assert seen.extension[0] == pytest.approx(4.75 / 2.2 if held else 3.8 / 2.15)
    assert ("trend_exhaustion_after_extension" in holding(trade(), bars, volume)) is held
    assert "trend_exhaustion_after_extension" not in holding(trade(-1.0), bars, volume)


@pytest.mark.parametrize(("others", "held"), [(2, True), (1, False)])
def test_a_shock_of_the_whole_market_is_a_whipsaw(others: int, held: bool) -> None:
    bars, volume = market(5)
    bars.low[33] = 95.0  # range 6 against an ATR of 2
    for place in range(1, others + 1):
        bars.low[place * SIZE + 33] = 97.5  # 3.5 against 2
    seen = labels.numbers(trade(), bars, volume, NO_OPINIONS, POLICY)
    assert (seen.shock[0], seen.breadth[0], seen.shocked_symbols[0]) == (3.0, (others + 1) / 5, 5.0)
    assert ("macro_news_whipsaw" in holding(trade(), bars, volume)) is held
    assert "macro_news_whipsaw" not in holding(trade(closed_bar=34), bars, volume)


def test_two_symbols_are_no_market() -> None:
    bars, volume = market(2)
    bars.low[[33, SIZE + 33]] = 95.0
    assert "macro_news_whipsaw" not in holding(trade(), bars, volume)


def opinion(days: float, sign: float, book: int = 0) -> labels.Opinions:
    return labels.Opinions(np.array([book]), np.array([int(days * DAY)]), np.array([sign]))


def test_signals_both_ways_in_a_market_that_goes_nowhere_are_chop() -> None:
    bars, volume = market()
    bars.close[1::2] = 100.5  # back and forth: efficiency 0
    assert "signal_conflict_chop" in holding(trade(), bars, volume, opinion(31, -1.0))
    # three bars before the signal bar, and not four; not after the close; not the same way; not another book's
    assert "signal_conflict_chop" in holding(trade(), bars, volume, opinion(SIGNAL - 3 + 21 / 24, -1.0))
    assert "signal_conflict_chop" not in holding(trade(), bars, volume, opinion(SIGNAL - 4 + 21 / 24, -1.0))
    assert "signal_conflict_chop" not in holding(trade(), bars, volume, opinion(33.9, -1.0))
    assert "signal_conflict_chop" not in holding(trade(), bars, volume, opinion(31, 1.0))
    assert "signal_conflict_chop" not in holding(trade(), bars, volume, opinion(31, -1.0, book=1))
    bars.close[:] = 100.0 - np.arange(SIZE)  # one way: efficiency 1
    assert "signal_conflict_chop" not in holding(trade(), bars, volume, opinion(31, -1.0))


@pytest.mark.parametrize("sign", [1.0, -1.0])
def test_an_entry_far_from_the_signal_with_little_left_to_win_is_late(sign: float) -> None:
    # planned: entry 100, stop 96, target 108; entered at 102.5: 5.5 to win, 6.5 to lose, 0.625 planned risks late
    late = trade(sign, entry=100.0 + 2.5 * sign)
    seen = labels.numbers(late, *market(), NO_OPINIONS, POLICY)
    assert (seen.late[0], seen.reward[0]) == (0.625, pytest.approx(5.5 / 6.5))
    assert "late_entry_poor_r_multiple" in holding(late, *market())
    # at 102 the multiple is 6 / 6: not poor
    assert "late_entry_poor_r_multiple" not in holding(trade(sign, entry=100.0 + 2.0 * sign), *market())
    # a target that was near from the start is the plan's fault, not the entry's
    assert "late_entry_poor_r_multiple" not in holding(trade(sign, target=100.0 + 2.0 * sign), *market())


@pytest.mark.parametrize(("best", "held"), [(0.9, True), (1.0, False)])
def test_without_a_target_a_late_entry_is_judged_by_the_best_it_reached(best: float, held: bool) -> None:
    assert ("late_entry_poor_r_multiple" in holding(trade(entry=102.5, target=np.nan, mfe_r=best), *market())) is held


@pytest.mark.parametrize(("stop", "adverse", "close", "held"), [
    (98.5, 1.0, 99.0, True), (98.0, 1.0, 99.0, False), (98.5, 0.9, 99.0, False), (98.5, 1.0, 98.4, False),
])  # fmt: skip
def test_a_stop_inside_the_noise_is_reached_and_closed_back_over(stop: float, adverse: float, close: float, held: bool) -> None:
    bars, volume = market()
    bars.close[33] = close
    assert ("stop_too_tight_noise_out" in holding(trade(stop=stop, mae_r=adverse), bars, volume)) is held


def test_without_bars_stop_or_signal_no_rule_holds() -> None:
    nothing = replace(trade(), symbol=np.array([-1]), stop=np.array([np.nan]), signal_price=np.array([np.nan]))
    assert holding(nothing, *market()) == set()
    empty = Bars((), np.zeros(1, np.int64), *(np.empty(0, np.int64),), *(np.empty(0),) * 4, (), market()[0].splits)  # type: ignore[arg-type]
    assert holding(replace(nothing), empty, np.empty(0)) == set()
    young, volume = market(size=34)
    assert holding(replace(trade(), seen_at=np.array([5 * DAY])), young, volume) == set()


def test_a_close_after_the_last_bar_of_its_day_does_not_see_the_next_days_bar() -> None:
    bars, volume = market(5)
    bars.low[[34, SIZE + 34, 2 * SIZE + 34]] = 90.0
    after = replace(trade(), closed_at=np.array([33 * DAY + 22 * HOUR]), day=np.array([33]))
    assert "macro_news_whipsaw" not in holding(after, bars, volume)


def test_a_close_at_midnight_belongs_to_the_bar_that_ends_then() -> None:
    bars, volume = market(5)
    moved = replace(bars, ts=bars.ts + 3 * HOUR)
    moved.low[[33, SIZE + 33, 2 * SIZE + 33]] = 90.0
    at_midnight = replace(trade(), closed_at=np.array([34 * DAY]), day=np.array([33]))
    assert "macro_news_whipsaw" in holding(at_midnight, moved, volume)


@given(st.integers(0, 2**32 - 1), st.integers(30, 38))
def test_no_later_bar_and_no_far_earlier_one_changes_a_number(seed: int, closed_bar: int) -> None:
    rng = np.random.default_rng(seed)
    bars, volume = market(3)
    for array in (bars.high, bars.low, bars.close):
        array += rng.normal(0.0, 1.0, array.size)
    given_trade, opinions = trade(closed_bar=closed_bar), opinion(31, -1.0)
    whole = labels.numbers(given_trade, bars, volume, opinions, POLICY)
    later = np.tile(np.arange(SIZE) > closed_bar, 3)
    for array in (bars.high, bars.low, bars.close, volume):
        array[later] = 1e6
    changed = labels.numbers(given_trade, bars, volume, opinions, POLICY)
    # not there at all: a window that ends with a symbol's newest bar once reached into the next symbol, and was null
    known = ~later
    cut = replace(
        bars,
        start=np.arange(4) * (closed_bar + 1),
        **{name: getattr(bars, name)[known] for name in ("ts", "open", "high", "low", "close")},
    )
    without = labels.numbers(given_trade, cut, volume[known], opinions, POLICY)
    assert np.isfinite(whole.efficiency[0])
    for field in fields(labels.Numbers):
        for other in (changed, without):
            assert np.array_equal(getattr(whole, field.name), getattr(other, field.name), equal_nan=True), field.name


def test_the_taxonomy_and_the_precedence_name_the_same_modes() -> None:
    assert sorted(labels.TAXONOMY) == sorted(labels.PRECEDENCE) == sorted(labels.rules(NO_NUMBERS, POLICY))
