"""What became of signals: hand-worked cases, and a plain walk over random bars."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from portfolio_platform.days import to_date
from portfolio_platform.signals.rows import outcome_rows
from tests.unit.signals.oracle import FIRST, Bar, at, bars_of, fills_of, same, signals_of, walk
from tests.unit.signals.test_excursions import prices, random_bars

QUIET = [Bar(at(k), 100.0, 101.0, 99.0, 100.0) for k in range(1, 9)]


def outcome(bars: list[Bar], row: dict[str, Any] | None = None, until: int = at(30), **others: Any) -> dict[str, Any]:
    found = outcome_rows(signals_of(row or {}), bars_of({"AAA": bars, "ZZZ": QUIET}, **others), fills_of(), until)
    return found.to_pylist()[0]


def bars_with(*changed: Bar) -> list[Bar]:
    by_time = {bar.ts: bar for bar in (*QUIET, *changed)}
    return list(by_time.values())


def test_a_target_is_hit_at_its_price_though_the_bar_opens_beyond_it():
    row = outcome(bars_with(Bar(at(3), 112.0, 115.0, 108.0, 114.0)))
    assert (row["outcome"], row["outcome_ts"], row["r_achieved"]) == ("target_hit", at(3), 2.0)
    assert (row["bars_held"], row["mae_r"], row["mfe_r"], row["ambiguous"]) == (2, 0.2, 3.0, False)
    assert row["outcome_day"] == to_date(FIRST + 2)


def test_a_stop_is_hit_at_its_price_inside_a_bar():
    row = outcome(bars_with(Bar(at(2), 99.0, 100.0, 95.0, 96.0)))
    assert (row["outcome"], row["r_achieved"], row["bars_held"], row["mae_r"]) == ("stop_hit", -1.0, 1, 1.0)


def test_a_gap_through_the_stop_gives_the_result_of_the_open():
    row = outcome(bars_with(Bar(at(2), 90.0, 94.0, 88.0, 93.0)))
    assert (row["outcome"], row["r_achieved"], row["mae_r"]) == ("stop_hit", -2.0, 2.4)


def test_a_bar_with_both_stop_and_target_is_an_ambiguous_stop():
    row = outcome(bars_with(Bar(at(2), 100.0, 111.0, 94.0, 110.0)))
    assert (row["outcome"], row["r_achieved"], row["ambiguous"]) == ("stop_hit", -1.0, True)
    assert (row["mfe_r"], row["mae_r"]) == (2.2, 1.2)


def test_a_short_signal_is_stopped_above_and_reaches_its_target_below():
    short = {"direction": "short", "stop_price": 105.0, "target_price": 90.0}
    assert outcome(bars_with(Bar(at(2), 107.0, 108.0, 104.0, 105.0)), short)["r_achieved"] == pytest.approx(-1.4)
    assert outcome(bars_with(Bar(at(2), 96.0, 97.0, 89.0, 91.0)), short)["r_achieved"] == 2.0


def test_a_bar_at_the_signals_own_time_is_not_used():
    row = outcome([Bar(at(1), 100.0, 200.0, 1.0, 100.0), *QUIET[1:]])
    assert (row["outcome"], row["mae_r"], row["mfe_r"]) == ("expired", 0.2, 0.2)


def test_it_expires_at_the_close_after_the_expected_bars():
    row = outcome(bars_with(Bar(at(4), 100.0, 104.0, 99.0, 103.0)))
    assert (row["outcome"], row["outcome_ts"], row["r_achieved"], row["bars_held"]) == ("expired", at(4), 0.6, 3)


def test_an_early_end_of_validity_does_not_end_the_paper_trade():
    row = outcome(QUIET, {"valid_until": at(2)})
    assert (row["outcome"], row["outcome_ts"]) == ("expired", at(4))


def test_a_validity_beyond_the_expected_bars_ends_it():
    row = outcome(QUIET, {"valid_until": at(6)})
    assert (row["outcome"], row["outcome_ts"], row["bars_held"]) == ("expired", at(6), 5)


def test_between_two_bars_it_expires_at_valid_until_with_the_close_before():
    row = outcome(bars_with(Bar(at(3), 100.0, 103.0, 99.0, 102.0)), {"expected_hold_bars": None, "valid_until": at(3.5)})
    assert (row["outcome"], row["outcome_ts"], row["r_achieved"], row["bars_held"]) == ("expired", at(3.5), 0.4, 2)
    assert outcome(QUIET, {"expected_hold_bars": None, "valid_until": at(3.5)}, until=at(3))["outcome"] == "open"


def test_without_any_expiry_it_stays_open_until_stop_or_target():
    forever = {"expected_hold_bars": None, "valid_until": None}
    row = outcome(QUIET, forever)
    assert (row["outcome"], row["outcome_ts"], row["outcome_day"], row["r_achieved"]) == ("open", None, None, None)
    assert (row["mfe_r"], row["bars_held"], row["reason"]) == (0.2, 7, "open,no_fill")


def test_bars_after_the_end_of_the_build_are_not_looked_at():
    crash = bars_with(Bar(at(4), 90.0, 90.0, 80.0, 80.0))
    assert outcome(crash, until=at(3))["outcome"] == "open"
    assert outcome(crash, until=at(3))["mae_r"] == 0.2
    assert outcome(crash, until=at(4))["outcome"] == "stop_hit"


def test_without_a_stop_there_is_an_outcome_but_no_result_in_its_units():
    row = outcome(bars_with(Bar(at(2), 100.0, 111.0, 80.0, 110.0)), {"stop_price": None})
    assert (row["outcome"], row["r_achieved"], row["mae_r"], row["reason"]) == ("target_hit", None, None, "no_stop,no_fill")


def test_a_stop_or_target_on_the_wrong_side_is_left_out_and_told():
    row = outcome(QUIET, {"stop_price": 100.0, "target_price": 99.0})
    assert (row["outcome"], row["reason"]) == ("expired", "stop_not_beyond_entry,target_not_beyond_entry,no_fill")


def test_a_symbol_without_bars_has_no_excursions():
    row = outcome(QUIET, {"symbol": "QQQ", "valid_until": at(2), "expected_hold_bars": None})
    assert (row["outcome"], row["r_achieved"], row["mfe_r"], row["resolution"]) == ("expired", None, None, None)
    assert row["reason"] == "no_bars,no_fill"


def test_what_the_source_cancelled_is_cancelled_and_has_no_result():
    row = outcome(QUIET, {"disposition": "cancelled"})
    assert (row["outcome"], row["outcome_ts"], row["r_achieved"], row["bars_held"]) == ("cancelled", at(1), None, 0)


def test_a_bar_with_a_close_alone_beyond_the_stop_is_a_gap():
    row = outcome(bars_with(Bar(at(2), None, None, None, 92.5)))
    assert (row["outcome"], row["r_achieved"]) == ("stop_hit", -1.5)


def test_a_split_after_the_signal_hits_no_stop():
    halved = [Bar(at(k), 50.0, 50.5, 49.5, 50.0) if k > 2 else bar for k, bar in enumerate(QUIET, start=1)]
    found = outcome(halved, splits=((at(2.5), "AAA", 2.0),))
    assert (found["outcome"], found["mae_r"], found["mfe_r"]) == ("expired", 0.2, 0.2)
    assert outcome(halved)["outcome"] == "stop_hit"


def test_its_fills_are_those_on_its_own_side_weighted_by_quantity():
    fills = fills_of(
        {"ts": at(1.5), "signal_id": "S0", "quantity": 3.0, "price": 100.2, "decision_price": 100.0, "decision_ts": at(1.25)},
        {"ts": at(5.5), "signal_id": "S0", "quantity": 1.0, "price": 100.6, "decision_price": 100.0, "decision_ts": at(1.25)},
        {"ts": at(6), "signal_id": "S0", "side": "sell", "quantity": 4.0, "price": 50.0, "decision_price": 100.0},
        {"ts": at(0.5), "signal_id": "S0", "quantity": 9.0, "price": 50.0, "decision_price": 100.0},
        {"ts": at(1.5), "signal_id": "other", "quantity": 9.0, "price": 50.0, "decision_price": 100.0},
        {"ts": at(1.5), "quantity": 9.0, "price": 50.0, "decision_price": 100.0},
    )
    row = outcome_rows(signals_of({}), bars_of({"AAA": QUIET}), fills, at(30)).to_pylist()[0]
    assert (row["fill_ts"], row["last_fill_ts"]) == (at(1.5), at(5.5))
    assert row["fill_price"] == pytest.approx(100.3)
    assert row["fill_latency_ms"] == 6 * 3600 * 1000
    assert row["slippage_bps"] == pytest.approx(30.0)
    # it expired on the fourth day: a track record of then knows of the first fill alone
    assert row["slippage_at_outcome_bps"] == pytest.approx(20.0)
    assert row["reason"] == ""
    early = outcome_rows(signals_of({}), bars_of({"AAA": QUIET}), fills, at(2)).to_pylist()[0]
    assert early["slippage_bps"] == pytest.approx(20.0)


def test_a_fill_without_a_decision_price_has_no_slippage_and_its_latency_is_from_the_signal():
    fills = fills_of({"ts": at(1.5), "signal_id": "S0"})
    row = outcome_rows(signals_of({}), bars_of({"AAA": QUIET}), fills, at(30)).to_pylist()[0]
    assert (row["slippage_bps"], row["fill_latency_ms"], row["reason"]) == (None, 12 * 3600 * 1000, "no_decision_price")


def maybe(values: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    return st.none() | values


random_signals = st.fixed_dictionaries(
    {
        "ts": st.integers(0, 12).map(at),
        "direction": st.sampled_from(["long", "short"]),
        "entry_price": prices,
        "stop_price": maybe(prices),
        "target_price": maybe(prices),
        "expected_hold_bars": maybe(st.integers(0, 6)),
        "valid_until": maybe(st.integers(0, 40).map(lambda halves: at(halves / 2))),
    }
)


@given(random_bars(), st.lists(random_signals, min_size=1, max_size=6), st.integers(0, 25))
def test_outcomes_are_those_of_a_plain_walk(bars: list[Bar], rows: list[dict[str, Any]], until_day: int):
    found = outcome_rows(signals_of(*rows), bars_of({"AAA": bars, "ZZZ": QUIET}), fills_of(), at(until_day)).to_pylist()
    for row, ours in zip(rows, found, strict=True):
        sign = 1 if row["direction"] == "long" else -1
        sound = dict(row)
        if row["stop_price"] is not None and sign * (row["entry_price"] - row["stop_price"]) <= 0:
            sound["stop_price"] = None
        if row["target_price"] is not None and sign * (row["target_price"] - row["entry_price"]) <= 0:
            sound["target_price"] = None
        what, ts, price, adverse, favourable, count, ambiguous = walk(bars, sound, at(until_day))
        assert (ours["outcome"], ours["outcome_ts"], ours["bars_held"], ours["ambiguous"]) == (what, ts, count, ambiguous)
        risk = None if sound["stop_price"] is None else abs(row["entry_price"] - sound["stop_price"])
        known = risk is not None and count > 0
        assert same(ours["r_achieved"], sign * (price - row["entry_price"]) / risk if known and price is not None else None)
        assert same(ours["mae_r"], adverse / risk if known else None)
        assert same(ours["mfe_r"], favourable / risk if known else None)


@given(random_bars(), random_signals, st.integers(0, 25), st.integers(0, 25))
def test_what_was_decided_stays_decided(bars: list[Bar], row: dict[str, Any], one: int, other: int):
    laid, signals = bars_of({"AAA": bars, "ZZZ": QUIET}), signals_of(row)
    early, late = (outcome_rows(signals, laid, fills_of(), at(day)).to_pylist()[0] for day in sorted((one, other)))
    if early["outcome"] != "open":
        assert early == late
    else:
        assert late["outcome"] == "open" or late["outcome_ts"] > at(min(one, other))
