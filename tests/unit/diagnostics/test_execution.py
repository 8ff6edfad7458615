"""D6: windows, exact intervals, drift and CUSUM against a plain oracle, by hand, and on the sample's incidents."""

import math
import statistics
from datetime import date

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pytest
from hypothesis import given
from hypothesis import strategies as st

from portfolio_platform.diagnostics import execution as d6
from portfolio_platform.diagnostics import execution_inputs as inputs
from portfolio_platform.diagnostics.execution_windows import Further, Windows
from portfolio_platform.diagnostics.pipeline import execution as stage
from portfolio_platform.evidence.intervals import quantile_ranks
from portfolio_platform.lake import derived
from portfolio_platform.lake.progress import Plan
from portfolio_platform.policy.assigned import Assigned
from portfolio_platform.policy.diagnostics import ExecutionPolicy
from portfolio_platform.policy.model import Policy

POLICY = ExecutionPolicy()
NAN = float("nan")
NANOS = 86_400_000_000_000


def seen(values, expected=NAN, group=0, days=None):
    size = len(values)
    numbers = np.full(size, expected, np.float64) if np.isscalar(expected) else np.array(expected, np.float64)
    when = np.arange(size) if days is None else np.array(days)
    return d6.Observations(np.full(size, group), when.astype(np.int64), np.array(values, np.float64), numbers, np.full(size, NAN))


def last(measure, observations, window=20, policy=POLICY, carried=None, pooled=False, day=10_000):
    state = carried or d6.Carried.nothing(1)
    found = d6.profile(measure, observations, np.array([0]), np.array([day]), state, np.array([pooled]), policy, window)
    return {name: getattr(found, name)[0] for name in d6.Profile.__dataclass_fields__}


def test_a_window_by_hand():
    # 12 observations: ranks 3 and 10 of the sorted values bound the median
    values = [9.0, 1.0, 12.0, 3.0, 5.0, 4.0, 60.0, 2.0, 6.0, 7.0, 8.0, 10.0]
    found = last(d6.SLIPPAGE, seen(values, 2.5))
    assert quantile_ranks(12, 0.5) == (3, 10)
    assert (found["realised"], found["low"], found["high"]) == (6.5, 3.0, 10.0)
    assert (found["expected"], found["drift"], found["flagged"], found["n"]) == (2.5, 0.5, 1, 12)
    assert math.isnan(found["p90"])
    assert found["window_start"] == 0


@pytest.mark.parametrize(
    ("measure", "expected", "drift"),
    [
        (d6.SLIPPAGE, 2.0, 1.0),
        (d6.SLIPPAGE, 5.0, 0.0),
        (d6.SLIPPAGE, 20.0, 0.0),
        (d6.HOLDING_TIME, 2.0, 1.0),
        (d6.HOLDING_TIME, 20.0, 10.0),
        (d6.HOLDING_TIME, 10.0, 0.0),
        (d6.MFE, 2.0, 0.0),
        (d6.MFE, 12.0, 2.0),
        (d6.MAE, 2.0, 1.0),
    ],
)
def test_drift_is_the_distance_beyond_the_interval_on_the_bad_side(measure, expected, drift):
    values = [1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0, 9.0, 10.0, 11.0, 12.0]
    assert last(measure, seen(values, expected))["drift"] == drift


def test_below_six_observations_there_is_no_interval_and_no_drift():
    found = last(d6.SLIPPAGE, seen([9.0] * 5, 1.0))
    assert found["realised"] == 9.0
    assert math.isnan(found["low"])
    assert math.isnan(found["drift"])
    assert last(d6.SLIPPAGE, seen([9.0] * 6, 1.0))["drift"] == 8.0


def test_a_rate_has_wilsons_interval_and_no_cusum():
    found = last(d6.WIN_RATE, seen([1.0, 0.0, 0.0, 0.0], 0.9))
    assert found["realised"] == 0.25
    assert found["low"] < 0.25 < found["high"] < 0.9
    assert found["drift"] == pytest.approx(0.9 - found["high"])
    assert math.isnan(found["cusum"])


def test_playbooks_together_expect_the_median_of_what_each_expects():
    expected = [4.0] * 8 + [30.0] * 4
    assert last(d6.HOLDING_TIME, seen([5.0] * 12, expected), pooled=True)["expected"] == 4.0
    assert last(d6.HOLDING_TIME, seen([5.0] * 12, expected))["expected"] == pytest.approx((8 * 4.0 + 4 * 30.0) / 12)
    assert last(d6.WIN_RATE, seen([1.0] * 2, [0.2, 0.6]), pooled=True)["expected"] == pytest.approx(0.4)
    assert math.isnan(last(d6.MAE, seen([5.0] * 12), pooled=True)["expected"])


def test_the_ninetieth_percentile_is_of_the_last_thirty_six_where_the_window_is_shorter():
    """With the window's own 20 or 30 observations it was never known."""
    values = [float(value) for value in range(40)]
    for window in (20, 30, 36):
        assert last(d6.MAE, seen(values), window=window)["p90"] == pytest.approx(np.quantile(values[4:], 0.9))
    assert last(d6.MAE, seen(values), window=38)["p90"] == pytest.approx(np.quantile(values[2:], 0.9))
    assert (last(d6.MAE, seen(values), window=20)["n"], last(d6.MAE, seen(values), window=20)["realised"]) == (20, 29.5)


def test_the_ninetieth_percentile_needs_thirty_six_and_a_rate_has_none():
    values = [1.0] * 36
    assert last(d6.MAE, seen(values))["p90"] == 1.0
    assert math.isnan(last(d6.MAE, seen(values[1:]))["p90"])
    assert math.isnan(last(d6.WIN_RATE, seen(values))["p90"])


def test_what_is_expected_of_the_ninetieth_percentile_is_of_the_same_observations():
    plain = seen([1.0] * 40)
    stated = d6.Observations(plain.group, plain.day, plain.value, plain.expected, np.array([100.0] * 4 + [8.0] * 10 + [17.0] * 26))
    assert last(d6.HOLDING_TIME, stated)["expected_p90"] == pytest.approx((10 * 8.0 + 26 * 17.0) / 36)
    assert math.isnan(last(d6.HOLDING_TIME, stated, pooled=True)["expected_p90"])


def page(values, worse=1):
    """CUSUM as written down: the state after each value."""
    total, firing, states = 0.0, False, []
    for place, value in enumerate(values):
        earlier = values[:place]
        if place >= d6.BASELINE and len(set(earlier)) > 1:
            z = min(worse * (value - statistics.fmean(earlier)) / statistics.stdev(earlier), d6.OUTLIER)
            total = min(max(0.0, total + z - 0.5), d6.CEILING * 5.0)
            firing = total > 5.0 or (firing and total > 0.0)
        states.append((total, firing))
    return states


def oracle(values, expected, window):
    """A slippage window, one list at a time."""
    chosen, norms = values[-window:], [norm for norm in expected[-window:] if not math.isnan(norm)]
    ranks = quantile_ranks(len(chosen), 0.5) if len(chosen) >= 6 else None
    norm = statistics.fmean(norms) if norms else NAN
    low, high = (sorted(chosen)[rank - 1] for rank in ranks) if ranks else (NAN, NAN)
    drift = max(low - norm, 0.0) if ranks and norms else NAN
    return {"realised": statistics.median(chosen), "low": low, "high": high, "expected": norm, "drift": drift}


@given(
    st.lists(st.tuples(st.floats(-100.0, 100.0).map(lambda x: round(x, 3)), st.sampled_from([NAN, 2.0, 3.5])), min_size=1, max_size=70),
    st.sampled_from([1, 7, 20]),
    st.sampled_from([d6.SLIPPAGE, d6.FILL_RATIO]),
)
def test_every_day_is_what_the_plain_oracle_says(rows, window, measure):
    values, expected = [row[0] for row in rows], [row[1] for row in rows]
    days = np.arange(len(rows))
    given_ = seen(values, expected)
    found = d6.profile(measure, given_, np.zeros(days.size, np.int64), days, d6.Carried.nothing(1), np.array([False]), POLICY, window)
    states = page(values, measure.worse)
    for day in days.tolist():
        plain = oracle(values[: day + 1], expected[: day + 1], window)
        if measure is d6.FILL_RATIO and not math.isnan(plain["drift"]):
            plain["drift"] = max(plain["expected"] - plain["high"], 0.0)
        for name, value in plain.items():
            assert getattr(found, name)[day] == pytest.approx(value, rel=1e-9, abs=1e-9, nan_ok=True), name
        if day >= d6.BASELINE:
            assert found.cusum[day] == pytest.approx(states[day][0], rel=1e-6, abs=1e-6)
        else:
            assert math.isnan(found.cusum[day])


@given(st.lists(st.floats(-20.0, 20.0), min_size=2, max_size=80), st.data())
def test_going_on_from_any_day_is_as_going_through(values, data):
    cut = data.draw(st.integers(1, len(values) - 1))
    days, whole = np.arange(len(values)), seen(values, 1.0)
    zero, one = np.zeros(days.size, np.int64), np.array([False])
    through = d6.profile(d6.SLIPPAGE, whole, zero, days, d6.Carried.nothing(1), one, POLICY, 20)
    at = cut - 1
    state = (through.cusum, through.signal, through.seen, through.mean, through.squares)
    carried = d6.Carried(np.array([at]), *(np.nan_to_num(column[[at]]).astype(column.dtype) for column in state))
    # the look-back begins where the stored window does
    start = max(cut - 20, 0)
    part = seen(values[start:], 1.0, days=range(start, len(values)))
    on = d6.profile(d6.SLIPPAGE, part, zero[cut:], days[cut:], carried, one, POLICY, 20)
    for name in ("cusum", "signal", "seen", "mean", "squares", "realised", "low", "high", "drift", "window_start"):
        assert np.array_equal(getattr(on, name), getattr(through, name)[cut:], equal_nan=name not in ("signal",)), name


def test_sessions_may_be_asked_for_in_any_order():
    rng = np.random.default_rng(3)
    days = [np.sort(rng.integers(0, 40, size)) for size in (70, 0, 45)]
    group = np.repeat(np.arange(3), [part.size for part in days])
    nothing = np.full(group.size, NAN)
    given_ = d6.Observations(group, np.concatenate(days), rng.normal(size=group.size), nothing, nothing)
    who, when = rng.integers(0, 3, 200), rng.integers(-2, 45, 200)
    found = d6.profile(d6.MAE, given_, who, when, d6.Carried.nothing(3), np.zeros(3, bool), POLICY, 20)
    assert found.query.tolist() == [place for place in range(200) if (given_.day[group == who[place]] <= when[place]).any()]
    for row, place in enumerate(found.query.tolist()):
        values = given_.value[(group == who[place]) & (given_.day <= when[place])]
        assert (found.n[row], found.seen[row]) == (min(values.size, 20), values.size)
        assert found.realised[row] == pytest.approx(np.median(values[-20:]))
        assert found.p90[row] == pytest.approx(np.quantile(values[-36:], 0.9) if values.size >= 36 else NAN, nan_ok=True)


@given(
    st.lists(st.integers(-5, 5).map(float), min_size=1, max_size=30), st.integers(1, 12), st.integers(1, 30), st.sampled_from([0.5, 0.9])
)
def test_a_quantile_of_more_than_the_window_is_that_of_all_its_observations(values, window, reach, share):
    ends = np.arange(1, len(values) + 1)
    start, further = np.maximum(ends - window, 0), np.maximum(ends - max(window, reach), 0)
    ranks = np.zeros(window + 1, np.int64)
    found = Windows(start, ends, window).order_statistics(np.array(values), ranks, ranks, Further(further, share, reach))[3]
    for end, begin, one in zip(ends.tolist(), further.tolist(), found.tolist(), strict=True):
        expected = np.quantile(values[begin:end], share) if end - begin >= reach else NAN
        assert one == pytest.approx(expected, nan_ok=True)


def test_one_outlier_is_no_persistence_and_a_shift_is():
    calm = [float(value % 5) for value in range(40)]
    assert not last(d6.SLIPPAGE, seen([*calm, 500.0]))["signal"]
    assert last(d6.SLIPPAGE, seen([*calm, 9.0, 9.0, 9.0]))["signal"]
    assert not last(d6.FILL_RATIO, seen([*calm, 9.0, 9.0, 9.0]))["signal"]


def test_a_signal_ends_once_what_caused_it_is_long_gone():
    calm = [float(value % 5) for value in range(40)]
    found = [last(d6.SLIPPAGE, seen([*calm, *[30.0] * 60, *calm[:after]]))["signal"] for after in (0, 1, 20)]
    assert found == [True, True, False]


def fills(*rows):
    """Fills of one position: (time in ns, side, quantity, price, order)."""
    columns = {
        "ts": pa.array([row[0] for row in rows], pa.int64()),
        "side": [row[1] for row in rows],
        "quantity": pa.array([row[2] for row in rows]).cast(pa.decimal128(38, 18)),
        "price": pa.array([float(row[3]) for row in rows]).cast(pa.decimal128(38, 18)),
        "order_id": [row[4] for row in rows],
        "decision_price": pa.array([100.0] * len(rows)).cast(pa.decimal128(38, 18)),
        "decision_ts": pa.array([row[0] - 60_000_000_000 for row in rows], pa.int64()),
        "row_id": [f"r{place:03d}" for place in range(len(rows))],
    }
    same = {"portfolio": "a", "strategy": "s", "symbol": "X", "purpose": "policy"}
    return pa.table({**columns, **{name: [value] * len(rows) for name, value in same.items()}})


def held(quantity=None, until=0):
    size = 0 if quantity is None else 1
    names = {"portfolio": ["a"][:size], "strategy": ["s"][:size], "symbol": ["X"][:size]}
    amounts = pa.array([quantity or 0.0][:size], pa.float64()).cast(pa.decimal128(38, 18))
    texts = {name: pa.array(values, pa.string()) for name, values in names.items()}
    return pa.table({**texts, "quantity": amounts, "until_ts": pa.array([until][:size], pa.int64())})


def splits(*rows):
    ratios = pa.array([float(row[1]) for row in rows], pa.float64()).cast(pa.decimal128(38, 18))
    return pa.table({"ts": pa.array([row[0] for row in rows], pa.int64()), "symbol": pa.array(["X"] * len(rows)), "ratio": ratios})


def test_only_what_enters_counts_and_parts_of_an_order_are_one():
    given_ = fills(
        (10, "buy", 0.1, 100.1, "A"),
        (11, "buy", 0.2, 100.4, "A"),
        (20, "sell", 0.3, 90.0, "B"),  # flat, though 0.1 + 0.2 - 0.3 is not 0 in floats
        (30, "buy", 2.0, 100.0, "C"),
        (40, "sell", 5.0, 99.0, "D"),  # turns: 3 of the 5 enter
    )
    found = inputs.entry_orders(given_, held(), splits(), {"X": 10.0})
    assert found.row.tolist() == [0, 3, 4]
    assert found.slippage.tolist() == pytest.approx([(10.0 * 0.1 + 40.0 * 0.2) / 0.3, 0.0, 100.0])
    assert found.notional.tolist() == pytest.approx([(10.01 + 20.08) * 10.0, 2000.0, 3.0 * 99.0 * 10.0])
    assert found.seconds.tolist() == [60.0, 60.0, 60.0]


def test_what_was_held_before_and_a_split_decide_what_a_fill_is():
    assert inputs.entry_orders(fills((10, "sell", 5.0, 99.0, "A")), held(5.0), splits(), {}).row.size == 0
    # 5 units become 10 between; selling 10 closes
    after = fills((10, "sell", 10.0, 99.0, "A"))
    assert inputs.entry_orders(after, held(5.0), splits((8, 2.0)), {}).row.size == 0
    assert inputs.entry_orders(after, held(5.0), splits(), {}).row.size == 1


def test_an_intent_counts_when_it_is_filled_or_a_week_has_gone_by():
    def money(*values):
        return pa.array(values, pa.float64()).cast(pa.decimal128(38, 18))

    intents = pa.table(
        {
            "ts": pa.array([NANOS, NANOS, NANOS], pa.int64()),
            "requested_risk": money(10.0, 10.0, None),
            "approved_risk": money(10.0, 5.0, None),
            "requested_notional": money(100.0, 100.0, 100.0),
        }
    )
    nothing = np.zeros(3)
    orders = inputs.Orders(np.arange(3), np.array([2, 2, 3]), nothing, nothing, nothing, np.array([30.0, 20.0, 50.0]))
    day, ratio = inputs.fill_ratios(intents, orders, np.array([1, 1, 1]))
    assert ratio.tolist() == [0.0, 1.0, 0.0]
    assert day.tolist() == [inputs.UNFILLED_DAYS, 2, inputs.UNFILLED_DAYS]


@pytest.fixture(scope="module")
def of_sample(sample_home):
    plan = Plan(sample_home.first_day, date(2010, 12, 31), 1, {})
    return stage.compute(sample_home, Assigned(Policy()), plan)[derived.EXECUTION_PROFILE]


def drifting(rows, portfolio):
    chosen = (pc.field("portfolio") == portfolio) & (pc.field("measure") == "slippage") & (pc.field("playbook") == "all")
    return rows.filter(chosen & (pc.field("drift") >= 3.0) & (pc.field("n") >= 12))["day"].to_pylist()


@pytest.mark.parametrize(
    ("portfolio", "first", "until"), [("core", date(2009, 9, 1), date(2010, 1, 31)), ("macro", date(2010, 6, 1), date(2010, 12, 15))]
)
def test_the_samples_slippage_incidents_show_and_no_other_does(of_sample, portfolio, first, until):
    days = drifting(of_sample, portfolio)
    assert len(days) > 30
    assert first <= min(days) <= max(days) <= until


@pytest.mark.parametrize("day", [date(2007, 2, 1), date(2009, 10, 15), date(2010, 12, 31)])
def test_a_day_from_the_stored_one_before_is_that_day_of_the_whole_history(sample_copy, of_sample, day):
    with sample_copy.lake.writing():
        sample_copy.lake.replace_from(derived.EXECUTION_PROFILE, sample_copy.first_day, of_sample.filter(pc.field("day") < day))
    alone = stage.compute(sample_copy, Assigned(Policy()), Plan(day, day, 1, {}))[derived.EXECUTION_PROFILE]
    assert len(alone) > 5
    assert alone.to_pylist() == of_sample.filter(pc.field("day") == day).to_pylist()


def test_a_window_that_a_new_policy_makes_longer_reaches_behind_the_stored_ones(sample_copy, of_sample):
    day = date(2010, 12, 31)
    policies = Assigned(Policy(execution=ExecutionPolicy(slippage_window=45, trip_window=70)))
    with sample_copy.lake.writing():
        sample_copy.lake.replace_from(derived.EXECUTION_PROFILE, sample_copy.first_day, of_sample.filter(pc.field("day") < day))
    alone = stage.compute(sample_copy, policies, Plan(day, day, 1, {}))[derived.EXECUTION_PROFILE]
    whole = stage.compute(sample_copy, policies, Plan(sample_copy.first_day, day, 1, {}))[derived.EXECUTION_PROFILE]
    assert pc.max(alone["n"]).as_py() == 70
    assert alone.to_pylist() == whole.filter(pc.field("day") == day).to_pylist()


def test_rows_are_sorted_by_their_key_and_nulls_have_a_reason(of_sample):
    frame = of_sample.to_pandas()
    key = list(derived.EXECUTION_PROFILE.key)
    assert frame[key].equals(frame[key].sort_values(key).reset_index(drop=True))
    assert not frame.duplicated(key).any()
    assert (frame.loc[frame["drift"].isna(), "reason"] != "").all()
    assert frame.loc[frame["measure"] == "fill_time", "realised"].eq(60.0).all()
    # the percentile is known from 36 observations on, whatever the window of the median is; of a rate there is none
    assert frame["p90"].notna().equals((frame["seen"] >= POLICY.p90_minimum) & (frame["measure"] != "win_rate"))


def test_a_home_without_any_fill_has_no_profile(home):
    found = stage.compute(home, Assigned(Policy()), Plan(date(2010, 1, 1), date(2010, 1, 5), 1, {}))
    assert len(found[derived.EXECUTION_PROFILE]) == 0
