"""Drift of the mix worked by hand, against a plain calculation, and over the sample's incident."""

import math
from datetime import date, timedelta
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pytest
from hypothesis import given
from hypothesis import strategies as st

from portfolio_platform.diagnostics import drift as drifts
from portfolio_platform.diagnostics.pipeline import drift as stage
from portfolio_platform.home import Home
from portfolio_platform.lake import derived
from portfolio_platform.lake.columns import Table
from portfolio_platform.lake.progress import Plan
from portfolio_platform.policy.assigned import assigned_policies
from tests.conftest import LAST_DAY, copied


def drift(rows: list[list[float] | None], window: int, baseline: int, first: int = 0) -> drifts.Drift:
    """Return the drift of sessions given as shares by group, None for one without."""
    groups = max((len(row) for row in rows if row), default=1)
    shares = np.array([row or [0.0] * groups for row in rows], np.float64).reshape(len(rows), groups)
    return drifts.drift(shares, np.array([row is not None for row in rows], bool), first, window, baseline)


def test_the_mean_of_the_window_less_that_of_the_sessions_before_it() -> None:
    # window of 2: (.6 + .8) / 2 = .7; the 3 before it: (.1 + .2 + .3) / 3 = .2; the first session is out of both
    found = drift([[0.9, 0.1], [0.1, 0.9], [0.2, 0.8], [0.3, 0.7], [0.6, 0.4], [0.8, 0.2]], 2, 3)
    assert found.share[5].tolist() == pytest.approx([0.7, 0.3])
    assert found.baseline[5].tolist() == pytest.approx([0.2, 0.8])
    assert (found.sessions[5], found.baseline_sessions[5], found.start[5], found.status[5]) == (2, 3, 4, drifts.OK)


def test_sessions_without_exposure_are_left_out_of_both_means_and_of_the_counts() -> None:
    found = drift([[0.1, 0.9], None, [0.3, 0.7], [1.0, 0.0], None], 2, 3)
    assert found.share[4].tolist() == [1.0, 0.0]
    assert found.baseline[4].tolist() == pytest.approx([0.2, 0.8])
    assert (found.sessions[4], found.baseline_sessions[4]) == (1, 2)


def test_a_group_that_is_not_held_counts_as_nothing_and_is_seen_while_window_or_baseline_hold_it() -> None:
    found = drift([[1.0, 0.0], [0.0, 1.0], [0.0, 1.0], [0.0, 1.0]], 1, 2)
    assert found.seen.tolist() == [[True, False], [True, True], [True, True], [False, True]]
    assert found.share[2].tolist() == [0.0, 1.0]
    assert found.baseline[2].tolist() == [0.5, 0.5]


def test_without_a_baseline_or_without_exposure_drift_is_null_and_says_which() -> None:
    found = drift([[1.0], [1.0], [1.0], None, None], 2, 3)
    assert [drifts.REASONS[status] for status in found.status] == ["no_baseline", "no_baseline", "", "", "no_exposure"]
    assert np.isnan(found.baseline[:, 0]).tolist() == [True, True, False, False, False]
    assert math.isnan(found.share[4, 0])
    assert found.seen[4, 0]


session_ = st.one_of(st.none(), st.lists(st.floats(0.0, 1.0), min_size=3, max_size=3))


@given(st.lists(session_, min_size=1, max_size=30), st.integers(1, 6), st.integers(1, 9))
def test_every_mean_is_that_of_the_plain_calculation(rows: list[list[float] | None], window: int, baseline: int) -> None:
    found = drift(rows, window, baseline)
    for t in range(len(rows)):
        now = [row for row in rows[max(t - window + 1, 0) : t + 1] if row is not None]
        before = [row for row in rows[max(t - window - baseline + 1, 0) : max(t - window + 1, 0)] if row is not None]
        for group in range(found.share.shape[1]):
            for mean, known in ((found.share[t, group], now), (found.baseline[t, group], before)):
                expected = sum(row[group] for row in known) / len(known) if known else math.nan
                assert mean == pytest.approx(expected, nan_ok=True, abs=1e-12)
        assert (found.sessions[t], found.baseline_sessions[t]) == (len(now), len(before))


@given(st.lists(session_, min_size=2, max_size=30), st.integers(1, 6), st.integers(1, 9), st.data())
def test_a_session_with_its_look_back_alone_has_the_digits_that_it_has_in_a_range(
    rows: list[list[float] | None], window: int, baseline: int, data: st.DataObject
) -> None:
    rows[0] = rows[0] or [0.1, 0.2, 0.7]
    t = data.draw(st.integers(0, len(rows) - 1))
    begin = max(t - window - baseline + 1, 0)
    look_back = rows[begin : t + 1]
    shares = np.array([row or [0.0] * 3 for row in look_back], np.float64)
    alone = drifts.drift(shares, np.array([row is not None for row in look_back], bool), t - begin, window, baseline)
    whole = drift(rows, window, baseline)
    assert np.array_equal(alone.share[0], whole.share[t], equal_nan=True)
    assert np.array_equal(alone.baseline[0], whole.baseline[t], equal_nan=True)
    assert alone.start[0] + begin == whole.start[t]


# --- the stage over the sample ---


def run(home: Home, first: date, until: date) -> pa.Table:
    found: dict[Table, pa.Table] = stage.compute(home, assigned_policies(home), Plan(first, until, 1, {}))
    return found[derived.CONCENTRATION_DRIFT].combine_chunks()


@pytest.fixture(scope="module")
def built(with_groups: Home) -> pa.Table:
    return run(with_groups, with_groups.first_day, LAST_DAY)


@pytest.fixture(scope="module")
def with_groups(sample_home: Home, tmp_path_factory: pytest.TempPathFactory) -> Home:
    """The sample with concentration over gross exposure, whatever stages there are yet."""
    from portfolio_platform.diagnostics.pipeline import concentration, heat

    home = copied(sample_home, tmp_path_factory.mktemp("drift") / "home")
    policies, plan = assigned_policies(home), Plan(home.first_day, LAST_DAY, 1, {})
    with home.lake.writing():
        for compute in (heat.compute, concentration.compute):
            for table, rows in compute(home, policies, plan).items():
                home.lake.replace_from(table, plan.first, rows)
    return home


def test_the_sample_drifts_toward_trend_continuation_in_2010(built: pa.Table) -> None:
    """README: trend_continuation holds 75.0 % of core's gross exposure from 2010-01-04 to 2010-10-29, 48.8 % before."""
    rows = built.filter((pc.field("portfolio") == "core") & (pc.field("group") == "trend_continuation")).to_pylist()
    inside = [row for row in rows if date(2010, 1, 4) <= row["day"] <= date(2010, 10, 29)]
    firing = [row["day"] for row in inside if row["drift"] >= 0.12 and row["share"] >= 0.6]
    assert len(firing) > len(inside) / 2
    (first,) = [row for row in rows if row["day"] == date(2010, 1, 4)]
    assert first["baseline"] == pytest.approx(0.488, abs=0.03)
    (last,) = [row for row in rows if row["day"] == date(2010, 10, 29)]
    assert last["share"] > 0.9
    assert last["drift"] == pytest.approx(last["share"] - last["baseline"])


def test_shares_of_a_session_sum_to_one_and_counts_and_dates_are_those_of_its_windows(with_groups: Home, built: pa.Table) -> None:
    assert built.equals(built.sort_by([(name, "ascending") for name in derived.CONCENTRATION_DRIFT.key]))
    days: dict[str, list[date]] = {}
    for row in with_groups.lake.read(derived.PORTFOLIO_EQUITY, ["portfolio", "day"]).sort_by("day").to_pylist():
        days.setdefault(row["portfolio"], []).append(row["day"])
    held = with_groups.lake.read(
        derived.CONCENTRATION_GROUPS, ["portfolio", "day"], (pc.field("basis") == "gross") & (pc.field("dimension") == "template")
    )
    exposed = {(row["portfolio"], row["day"]) for row in held.to_pylist()}
    sums: dict[tuple[str, date, str], list[float]] = {}
    for row in built.to_pylist():
        mine = days[row["portfolio"]]
        at = mine.index(row["day"])
        begin = max(at - 19, 0)
        assert row["window_start"] == mine[begin]
        assert row["sessions"] == sum((row["portfolio"], day) in exposed for day in mine[begin : at + 1])
        assert row["baseline_sessions"] == sum((row["portfolio"], day) in exposed for day in mine[max(begin - 250, 0) : begin])
        if row["share"] is not None:
            sums.setdefault((row["portfolio"], row["day"], row["dimension"]), []).append(row["share"])
    assert min(sum(shares) for shares in sums.values()) == pytest.approx(1.0)
    assert max(sum(shares) for shares in sums.values()) == pytest.approx(1.0)


def test_days_one_by_one_are_those_of_the_range(with_groups: Home, built: pa.Table) -> None:
    for day in [date(2007, 1, 3), date(2007, 1, 31), *(date(2008, 10, 1) + timedelta(days=k) for k in range(6)), LAST_DAY]:
        assert run(with_groups, day, day).equals(built.filter(pc.field("day") == day)), day


def test_a_session_whose_shares_are_null_is_no_observation(with_groups: Home, tmp_path: Path) -> None:
    home, day = copied(with_groups, tmp_path / "nulled"), date(2010, 10, 28)
    rows = home.lake.read(derived.CONCENTRATION_GROUPS)
    share = pc.if_else(pc.equal(rows["day"], pa.scalar(day)), pa.scalar(None, pa.float64()), rows["share"])
    with home.lake.writing():
        home.lake.replace(derived.CONCENTRATION_GROUPS, rows.set_column(rows.column_names.index("share"), "share", share))
    found = run(home, date(2010, 10, 29), date(2010, 10, 29)).filter(pc.field("portfolio") == "core")
    assert set(found["sessions"].to_pylist()) == {19}
    templates = found.filter(pc.field("dimension") == "template")
    assert pc.sum(templates["share"]).as_py() == pytest.approx(1.0)
