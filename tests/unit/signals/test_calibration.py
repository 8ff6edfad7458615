"""Calibration: worked by hand, against a plain loop, without look-ahead, and a day alone as in a range."""

import dataclasses
from datetime import date, timedelta

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pytest
from hypothesis import given
from hypothesis import strategies as st

from portfolio_platform.evidence.intervals import wilson
from portfolio_platform.lake import derived
from portfolio_platform.lake.facts import PLAYBOOK_EXPECTATIONS
from portfolio_platform.lake.progress import Plan
from portfolio_platform.policy.assigned import assigned_policies
from portfolio_platform.signals import calibration as cal
from portfolio_platform.signals.calibration_stage import STAGE, compute, rows_of
from portfolio_platform.stage import build_stage

NONE = np.nan


def resolved(rows):
    """Make resolved signals of one portfolio from (day, confidence, r, hold, mae, mfe, four expectations)."""
    table = np.array(rows, np.float64).reshape(-1, 10)
    return cal.Resolved(np.zeros(len(table), np.int64), table[:, 0].astype(np.int64), *table[:, 1:].T)


def test_three_signals_worked_by_hand():
    """Confidence 0.6, 0.8, 0.7; the first and last come true: hits 2/3, mean 0.7, Brier (0.16 + 0.64 + 0.09) / 3."""
    given_ = resolved(
        [
            (10, 0.6, 1.0, 3, 0.2, 1.5, 4, 6, 0.5, 1.0),
            (11, 0.8, -1.0, 9, 1.1, 0.3, 4, 6, 0.5, 1.0),
            (11, 0.7, 0.1, 4, 0.5, 1.0, NONE, NONE, NONE, NONE),
        ]
    )
    found = cal.calibration(given_, np.zeros(3, np.int64), np.array([10, 11, 12]))
    assert found.n.tolist() == [1, 3, 3]
    assert found.confidence[2] == pytest.approx(0.7)
    assert found.hit_rate[2] == pytest.approx(2 / 3)
    assert found.gap[2] == pytest.approx(0.7 - 2 / 3)
    assert found.brier[2] == pytest.approx((0.16 + 0.64 + 0.09) / 3)
    low, high = wilson(2, 3)
    assert (found.hit_low[2], found.hit_high[2]) == (pytest.approx(low), pytest.approx(high))
    assert found.banded[2] == 2
    # of the two with an expectation: holds 3 and 9 against 4 and 6, MAE 0.2 and 1.1 against 0.5, MFE 1.5 and 0.3 against 1
    shares = (found.hold_below_p50[2], found.hold_below_p90[2], found.mae_below_p50[2], found.mfe_above_p50[2])
    assert shares == (0.5, 0.5, 0.5, 0.5)


def test_a_window_ends_and_a_result_of_nothing_is_no_hit():
    given_ = resolved([(1, 0.9, 0.0, 1, 0, 0, NONE, NONE, NONE, NONE), (3, 0.5, 1.0, 1, 0, 0, NONE, NONE, NONE, NONE)])
    found = cal.calibration(given_, np.zeros(4, np.int64), np.array([1, 2, 3, 4]), window=2)
    assert found.n.tolist() == [1, 1, 1, 1]
    assert found.hit_rate.tolist() == [0.0, 0.0, 1.0, 1.0]
    assert found.window_start.tolist() == [1, 1, 2, 3]


def test_an_outcome_on_a_day_without_a_session_counts_in_the_next_one():
    given_ = resolved([(6, 0.9, 1.0, 1, 0, 0, NONE, NONE, NONE, NONE)])
    found = cal.calibration(given_, np.zeros(3, np.int64), np.array([5, 8, 9]), window=1)
    assert found.n.tolist() == [0, 1, 0]


def plain(given_, codes, days, window):
    """Walk every session and every signal."""
    out = []
    for place in range(days.size):
        own = [k for k in range(days.size) if codes[k] == codes[place] and k <= place][-window:]
        before = [k for k in range(days.size) if codes[k] == codes[place] and k < own[0]]
        after = days[before[-1]] if before else -(10**9)
        mine = [k for k in range(given_.day.size) if given_.portfolio[k] == codes[place] and after < given_.day[k] <= days[place]]
        hits = [float(given_.r[k] > 0) for k in mine]
        known = [k for k in mine if np.isfinite(given_.expected_mae[k])]
        out.append(
            (
                len(mine),
                np.mean([given_.confidence[k] for k in mine]) if mine else np.nan,
                np.mean(hits) if mine else np.nan,
                np.mean([(given_.confidence[k] - hit) ** 2 for k, hit in zip(mine, hits, strict=True)]) if mine else np.nan,
                np.mean([given_.mae[k] <= given_.expected_mae[k] for k in known]) if known else np.nan,
            )
        )
    return np.array(out)


@st.composite
def books(draw):
    sessions = sorted(draw(st.sets(st.tuples(st.integers(0, 1), st.integers(0, 30)), min_size=1)))
    codes, days = np.array(sessions, np.int64).T
    keys = sorted(draw(st.lists(st.tuples(st.integers(0, 1), st.integers(0, 32)), max_size=40)))
    of = [tuple(key) for key in keys]
    many = len(of)
    number = st.floats(0, 1).map(lambda x: round(x, 3))
    columns = np.array([[draw(number) for _ in range(9)] for _ in range(many)]).reshape(many, 9)
    columns[:, 1] -= 0.5
    columns[:, 7] = [draw(st.one_of(number, st.just(np.nan))) for _ in range(many)]
    portfolio, day = (np.array(of, np.int64).reshape(many, 2)).T
    return cal.Resolved(portfolio, day, *columns.T), codes, days


@given(books(), st.integers(1, 6))
def test_windows_are_what_a_plain_loop_finds(book, window):
    given_, codes, days = book
    found = cal.calibration(given_, codes, days, window)
    got = np.stack((found.n, found.confidence, found.hit_rate, found.brier, found.mae_below_p50), axis=1)
    assert got == pytest.approx(plain(given_, codes, days, window), rel=1e-12, nan_ok=True)


@given(books(), st.integers(1, 6), st.integers(0, 30))
def test_what_comes_after_a_session_does_not_change_it(book, window, cut):
    given_, codes, days = book
    whole = cal.calibration(given_, codes, days, window)
    kept = given_.day <= cut
    part = cal.Resolved(*(getattr(given_, field.name)[kept] for field in dataclasses.fields(cal.Resolved)))
    sessions = days <= cut
    alone = cal.calibration(part, codes[sessions], days[sessions], window)
    for field in dataclasses.fields(cal.Calibration):
        # to the last digit: a window is summed by itself
        np.testing.assert_array_equal(getattr(alone, field.name), getattr(whole, field.name)[sessions])


def expectations(*rows):
    columns = PLAYBOOK_EXPECTATIONS.table.arrow_schema()
    names = ("template", "playbook", "regime", "n", "hold_bars_p50", "hold_bars_p90", "mae_r_p50", "mfe_r_p50")
    return pa.Table.from_pylist([dict.fromkeys(columns.names) | dict(zip(names, row, strict=True)) for row in rows])


def test_rows_say_why_they_are_null():
    sessions = pa.table({"portfolio": ["a", "a"], "day": pa.array([date(2020, 1, 1), date(2020, 1, 2)])})
    signals = pa.table(
        {
            **{name: ["x"] for name in ("template", "playbook", "regime", "signal_id", "outcome")},
            "portfolio": ["a"],
            "outcome_day": pa.array([date(2020, 1, 2)]),
            **{name: [0.5] for name in ("confidence", "r_achieved", "bars_held", "mae_r", "mfe_r")},
        }
    )
    found = rows_of(sessions, signals, expectations(), date(2020, 1, 1))
    assert found["reason"].to_pylist() == ["no_signals", "no_expectation"]
    assert found["hit_rate"].to_pylist() == [None, 1.0]
    assert found["hold_below_p50"].to_pylist() == [None, None]


def test_the_stage_has_a_row_for_each_session_and_a_day_alone_is_the_day_in_the_range(sample_copy):
    build_stage(sample_copy, STAGE)
    rows = sample_copy.lake.read(derived.CALIBRATION)
    assert len(rows) == sample_copy.lake.row_count(derived.PORTFOLIO_EQUITY)
    for day in (date(2007, 1, 3), date(2008, 5, 16), date(2010, 12, 31)):
        alone = compute(sample_copy, assigned_policies(sample_copy), Plan(day, day, 1, {}))[derived.CALIBRATION]
        ranged = rows.filter(pc.field("day") == day).sort_by("portfolio")
        assert alone.combine_chunks().equals(ranged.combine_chunks())


def test_a_row_of_the_sample_is_what_its_signals_say(sample_copy):
    build_stage(sample_copy, STAGE)
    day = date(2009, 11, 10)
    row = sample_copy.lake.read(derived.CALIBRATION, None, (pc.field("day") == day) & (pc.field("portfolio") == "core")).to_pylist()[0]
    signals = sample_copy.lake.read(derived.SIGNAL_OUTCOMES).to_pandas()
    mine = signals[(signals["portfolio"] == "core") & signals["qualified"] & signals["outcome"].isin(["target_hit", "stop_hit", "expired"])]
    mine = mine[(mine["outcome_day"] >= row["window_start"]) & (mine["outcome_day"] <= day) & mine["r_achieved"].notna()]
    assert row["n"] == len(mine) > 50
    assert row["hit_rate"] == pytest.approx((mine["r_achieved"] > 0).mean(), rel=1e-12)
    assert row["confidence"] == pytest.approx(mine["confidence"].mean(), rel=1e-12)
    assert row["window_start"] < day - timedelta(days=80)
