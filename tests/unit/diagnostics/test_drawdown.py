"""D4: levels and speeds worked by hand, every transition of the regime by a path that makes it, and nothing that a cut changes."""

import math
from dataclasses import astuple
from datetime import date, timedelta
from typing import Literal

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from portfolio_platform.diagnostics import rows
from portfolio_platform.diagnostics.drawdown import (
    DEFENSIVE,
    NORMAL,
    PROBATION,
    RISK_OFF,
    DrawdownDay,
    Trail,
    cdar,
    drawdowns,
    ewma_variance,
    extend,
    severity,
    velocity,
)
from portfolio_platform.ledger.equity import History, unit_values
from portfolio_platform.policy.model import DrawdownPolicy

POLICY = DrawdownPolicy()
TABLE = {
    (NORMAL, DEFENSIVE), (NORMAL, RISK_OFF), (DEFENSIVE, RISK_OFF), (DEFENSIVE, NORMAL), (RISK_OFF, PROBATION),
    (PROBATION, DEFENSIVE), (PROBATION, RISK_OFF),
}  # fmt: skip


def run(
    units: list[float], *, may_resume: bool = True, reasons: dict[int, str] | None = None, trail: Trail | None = None
) -> list[DrawdownDay]:
    """Return the rows of a path of unit values."""
    start = trail.last.unit_value if trail else 1.0
    before = [start, *units[:-1]]
    returns = [unit / last - 1.0 for unit, last in zip(units, before, strict=True)]
    named = [(reasons or {}).get(place, "") for place in range(len(units))]
    return drawdowns(units, returns, named, trail or Trail(), POLICY, may_resume=may_resume)


def regimes(days: list[DrawdownDay]) -> list[str]:
    return [day.regime for day in days]


def quiet(sessions: int, level: float = 1.0, step: float = 0.001) -> list[float]:
    """Return a path that goes up and down by a tenth of a percent and ends on its level."""
    return [level * (1.0 - (step if place % 2 == 0 and place < sessions - 1 else 0.0)) for place in range(sessions)]


def test_depth_is_from_the_highest_unit_value_the_start_included() -> None:
    days = run([0.98, 1.10, 1.045, 1.0, 1.10, 1.2])
    assert [day.drawdown for day in days] == pytest.approx([0.02, 0.0, 0.05, 1 - 1 / 1.1, 0.0, 0.0])
    assert [day.high_water_mark for day in days] == [1.0, 1.1, 1.1, 1.1, 1.1, 1.2]
    assert [day.under_water_days for day in days] == [1, 0, 1, 2, 0, 0]


def test_velocity_is_the_change_a_session_and_acceleration_its_change() -> None:
    # the drawdown grows by half a point a session for 20 sessions, then by one
    depths = [0.005 * k for k in range(20)] + [0.095 + 0.01 * k for k in range(1, 6)]
    days = run([1.0 - depth for depth in depths])
    assert math.isnan(days[4].velocity_5)
    assert days[5].velocity_5 == pytest.approx(0.005)
    assert (days[1].velocity_1, days[24].velocity_1) == (pytest.approx(0.005), pytest.approx(0.01))
    assert days[24].velocity_5 == pytest.approx(0.01)
    # over 20: from 0.02 (session 4) to 0.145
    assert days[24].velocity_20 == pytest.approx(0.125 / 20)
    assert days[24].acceleration == pytest.approx(0.01 - 0.125 / 20)
    assert math.isnan(velocity([0.1], 0.2, 2))


def test_the_ewma_variance_is_seeded_by_the_first_20_returns() -> None:
    variance, seen, squares = math.nan, 0, 0.0
    for _ in range(19):
        variance, seen, squares = ewma_variance(0.01, seen, squares, POLICY, variance)
        assert math.isnan(variance)
    variance, seen, squares = ewma_variance(0.02, seen, squares, POLICY, variance)
    assert variance == pytest.approx((19 * 0.0001 + 0.0004) / 20)
    after, seen, _ = ewma_variance(-0.03, seen, squares, POLICY, variance)
    assert (after, seen) == (pytest.approx(0.94 * variance + 0.06 * 0.0009), 21)


def test_z_5_uses_sigma_as_it_was_before_the_window() -> None:
    # 25 sessions of +-1 %; then five that lose 2 % each. Sigma is that of session 24, so the shock is not in it
    path = [1.0]
    for place in range(25):
        path.append(path[-1] * (1.01 if place % 2 == 0 else 1 / 1.01))
    for _ in range(5):
        path.append(path[-1] * 0.98)
    days = run(path[1:])
    returns = np.array(path[1:]) / np.array(path[:-1]) - 1.0
    sigma = float(np.mean(returns[:20] ** 2))
    for value in returns[20:25]:
        sigma = 0.94 * sigma + 0.06 * float(value) ** 2
    assert days[29].z_5 == pytest.approx((days[29].drawdown - days[24].drawdown) / math.sqrt(sigma * 5))
    # the five returns of the window do not change it, but for the drawdown that they make
    other = run([*path[1:26], path[25] * 1.05, path[25] * 1.02, path[25] * 0.90, path[25] * 1.01, path[30]])
    scale = (other[29].drawdown - other[24].drawdown) / other[29].z_5
    assert scale == pytest.approx(math.sqrt(sigma * 5))


def test_z_5_is_null_until_sigma_was_known_five_sessions_ago() -> None:
    days = run([0.99, 1.0] * 15)
    assert [math.isnan(day.z_5) for day in days] == [place < 24 for place in range(30)]


def test_normal_becomes_defensive_at_6_percent_and_risk_off_at_10() -> None:
    assert regimes(run([0.95, 0.939, 0.91, 0.899])) == [NORMAL, DEFENSIVE, DEFENSIVE, RISK_OFF]
    assert regimes(run([0.95, 0.89])) == [NORMAL, RISK_OFF]
    assert run([0.89])[0].transition == "normal to risk_off: drawdown 11.00% at or beyond 10.00%"


def test_a_fast_fall_makes_defensive_and_with_5_percent_risk_off() -> None:
    # sigma about 0.1 %: a fall of 0.7 % over 5 sessions is 3.1 sigmas (defensive), of 3 % 13 sigmas (defensive still, D < 5 %)
    base = quiet(30)
    assert regimes(run([*base, 0.993]))[-1] == DEFENSIVE
    assert regimes(run([*base, 0.97]))[-1] == DEFENSIVE
    deep = run([*base, 0.945])
    assert (deep[-1].regime, deep[-1].drawdown < 0.06, deep[-1].z_5 > 3.5) == (RISK_OFF, True, True)
    assert "z_5" in deep[-1].transition
    # from defensive too: 0.97 first, then 0.945
    assert regimes(run([*base, 0.97, 0.945]))[-2:] == [DEFENSIVE, RISK_OFF]


def test_defensive_becomes_normal_below_3_percent_after_5_sessions_there() -> None:
    days = run([0.94] + [0.98] * 6)
    assert regimes(days) == [DEFENSIVE] * 5 + [NORMAL] * 2
    assert [day.sessions_in_regime for day in days] == [0, 1, 2, 3, 4, 0, 1]
    # five sessions, but 4 % below: it stays
    assert regimes(run([0.94] + [0.96] * 8))[-1] == DEFENSIVE


def test_risk_off_becomes_probation_after_20_sessions_with_a_control_mark_5_percent_above() -> None:
    days = run([0.89] + [0.90] * 20)
    assert regimes(days) == [RISK_OFF] * 20 + [PROBATION]
    assert (days[20].control_high_water_mark, days[20].control_drawdown) == (pytest.approx(0.9 / 0.95), pytest.approx(0.05))
    assert (days[20].drawdown, days[20].high_water_mark) == (pytest.approx(0.1), 1.0)
    assert math.isnan(days[19].control_high_water_mark)


def test_a_live_portfolio_waits_in_risk_off_for_an_operators_word() -> None:
    days = run([0.89] + [0.90] * 40, may_resume=False)
    assert regimes(days) == [RISK_OFF] * 41
    trail = Trail()
    for day in days:
        trail = extend(trail, day, POLICY)
    resumed = run([0.90], trail=trail)[0]
    assert (resumed.regime, resumed.sessions_in_regime) == (PROBATION, 0)


PROBATION_PATH = [0.89] + [0.90] * 20  # the control mark is 0.9 / 0.95 = 0.947


def test_probation_becomes_defensive_below_3_percent_of_the_control_mark_after_20_sessions() -> None:
    # 0.925 is 2.4 % below 0.947, and 7.5 % below the reported mark
    days = run([*PROBATION_PATH, *[0.925] * 20])
    assert regimes(days)[21:] == [PROBATION] * 19 + [DEFENSIVE]
    assert days[-1].drawdown == pytest.approx(0.075)
    # from there on D is still the control drawdown: no fall back to risk_off at a reported 7.5 %, and normal after 5 sessions
    more = run([*PROBATION_PATH, *[0.925] * 25])
    assert regimes(more)[-5:] == [DEFENSIVE] * 4 + [NORMAL]


def test_probation_falls_back_at_10_percent_of_the_control_mark() -> None:
    # 0.853 is 9.96 % below 0.947, 0.85 is 10.3 %; the reported drawdown is above 10 % all the time
    days = run([*PROBATION_PATH, 0.853, 0.85])
    assert regimes(days)[20:] == [PROBATION, PROBATION, RISK_OFF]
    assert days[-1].control_high_water_mark == pytest.approx(0.9 / 0.95)


def test_the_control_mark_rises_with_the_unit_value_and_ends_at_a_new_reported_high() -> None:
    days = run([*PROBATION_PATH, 0.96, 0.95, 1.01, 0.95])
    marks = [day.control_high_water_mark for day in days[20:]]
    assert marks[:3] == pytest.approx([0.9 / 0.95, 0.96, 0.96])
    assert all(math.isnan(mark) for mark in marks[3:])
    assert days[-1].control_drawdown == pytest.approx(1 - 0.95 / 1.01)
    assert [day.control_drawdown for day in days[:20]] == [day.drawdown for day in days[:20]]


def test_a_session_that_cannot_be_judged_is_no_observation_and_keeps_the_regime() -> None:
    days = run([0.98, 0.5, 0.97], reasons={1: "stale_mark"})
    blind = days[1]
    assert (blind.regime, blind.reason, blind.transition) == (NORMAL, "stale_mark", "")
    assert all(math.isnan(value) for value in (blind.drawdown, blind.velocity_1, blind.control_drawdown, blind.z_5))
    assert days[2].velocity_1 == pytest.approx(0.01)
    assert (days[2].returns_seen, days[1].returns_seen) == (2, 1)


def test_equity_that_is_not_positive_means_risk_off_and_says_from_where() -> None:
    days = run([1.0, 1.0, 1.0], reasons={1: "equity_not_positive", 2: "equity_not_positive"})
    assert regimes(days) == [NORMAL, RISK_OFF, RISK_OFF]
    assert [day.transition for day in days] == ["", "normal to risk_off: equity is not positive", ""]
    assert [day.sessions_in_regime for day in days][1:] == [0, 1]


def brute_cdar(values: list[float], level: float) -> float:
    """Return the minimum over z of ``z + mean(max(d - z, 0)) / (1 - level)``: the definition."""
    return min(z + sum(max(d - z, 0.0) for d in values) / ((1.0 - level) * len(values)) for z in values)


@settings(max_examples=40, deadline=None)
@given(st.lists(st.floats(0.0, 0.9), min_size=100, max_size=252), st.sampled_from([0.9, 0.95, 0.99]))
def test_cdar_is_what_its_definition_says(values: list[float], level: float) -> None:
    assert cdar(values, level, 100) == pytest.approx(brute_cdar(values, level), abs=1e-12)


def test_cdar_of_a_hundred_is_the_mean_of_the_worst_five_and_null_below() -> None:
    values = [place / 100 for place in range(100)]
    assert cdar(values, 0.95, 100) == pytest.approx((0.99 + 0.98 + 0.97 + 0.96 + 0.95) / 5)
    assert math.isnan(cdar(values[:99], 0.95, 100))


def test_severity_is_the_windows_drawdown_over_that_of_a_driftless_walk() -> None:
    rng = np.random.default_rng(5)
    units = np.cumprod(1.0 + rng.normal(0.0, 0.01, 300))
    days = run(units.tolist())
    assert [math.isnan(day.mdd_severity) for day in days] == [place < 59 for place in range(300)]
    window = np.concatenate(([1.0], units))[-253:]
    returns = window[1:] / window[:-1] - 1
    worst = max(1 - window[b] / window[a] for a in range(253) for b in range(a, 253))
    assert days[-1].mdd_severity == pytest.approx(worst / (math.sqrt(math.pi / 2) * returns.std(ddof=1) * math.sqrt(252)))
    assert math.isnan(severity([1.0] * 100, POLICY))
    depths = [day.drawdown for day in days]
    assert days[-1].cdar_95 == pytest.approx(brute_cdar(depths[-252:], 0.95))
    assert [math.isnan(day.cdar_95) for day in days] == [place < 99 for place in range(300)]


paths = st.lists(st.floats(-0.08, 0.075), min_size=1, max_size=90).map(lambda steps: np.cumprod(1.0 + np.array(steps)).tolist())


@settings(max_examples=60, deadline=None)
@given(
    paths,
    st.booleans(),
    st.dictionaries(st.integers(0, 89), st.sampled_from(["stale_mark", "equity_not_positive", "missing_fx_rate"]), max_size=4),
)
def test_every_transition_is_one_of_the_table_and_names_itself(units: list[float], may_resume: bool, reasons: dict[int, str]) -> None:
    before = NORMAL
    for day in run(units, may_resume=may_resume, reasons=reasons):
        if day.regime != before:
            assert (before, day.regime) in TABLE or day.reason == "equity_not_positive"
            assert (before, day.regime) != (RISK_OFF, PROBATION) or may_resume
            assert day.transition.startswith(f"{before} to {day.regime}: ")
            assert day.sessions_in_regime == 0
        else:
            assert day.transition == ""
        before = day.regime


def stored(days: list[DrawdownDay]) -> list[DrawdownDay]:
    """Send rows through their table and back, as the lake keeps them."""
    dates = [date(2024, 1, 1) + timedelta(days=place) for place in range(len(days))]
    sessions = pa.table({"day": dates, "portfolio": ["p"] * len(days), "month": [day.isoformat()[:7] for day in dates]})
    return rows.drawdown_days(rows.drawdown_rows(days, sessions).sort_by("day"))


def same(one: list[DrawdownDay], two: list[DrawdownDay]) -> bool:
    pairs = zip((astuple(day) for day in one), (astuple(day) for day in two), strict=True)
    return all(a == b or (a != a and b != b) for x, y in pairs for a, b in zip(x, y, strict=True))


@settings(max_examples=40, deadline=None)
@given(paths, st.integers(0, 90), st.dictionaries(st.integers(0, 89), st.sampled_from(["stale_mark", "equity_not_positive"]), max_size=3))
def test_a_range_in_one_pass_is_its_days_taken_from_stored_rows(units: list[float], cut: int, reasons: dict[int, str]) -> None:
    cut, whole = min(cut, len(units)), run(units, reasons=reasons)
    trail = Trail()
    for day in stored(whole[:cut]):
        trail = extend(trail, day, POLICY)
    later = [unit / before - 1 for before, unit in zip([1.0, *units], units, strict=False)][cut:]
    named = [reasons.get(place, "") for place in range(cut, len(units))]
    assert same(drawdowns(units[cut:], later, named, trail, POLICY), whole[cut:])


def test_a_long_path_cut_anywhere_is_the_whole_path() -> None:
    rng = np.random.default_rng(9)
    units = np.cumprod(1.0 + rng.normal(0.0, 0.012, 420)).tolist()
    whole = run(units)
    for cut in (1, 100, 253, 300, 419):
        trail = Trail()
        for day in stored(whole[:cut]):
            trail = extend(trail, day, POLICY)
        later = [unit / before - 1 for before, unit in zip([1.0, *units], units, strict=False)][cut:]
        assert same(drawdowns(units[cut:], later, [""] * (420 - cut), trail, POLICY), whole[cut:])


@settings(max_examples=50, deadline=None)
@given(
    st.lists(st.tuples(st.floats(-0.2, 0.2), st.floats(-0.5, 3.0)), min_size=1, max_size=40),
    st.sampled_from(["start", "end", "modified_dietz"]),
)
def test_a_deposit_or_a_withdrawal_never_changes_a_drawdown(
    steps: list[tuple[float, float]], timing: Literal["start", "end", "modified_dietz"]
) -> None:
    """The same returns with and without flows (as fractions of equity, at the time of day that the policy takes)."""
    equity, flows, last = [], [], 0.0
    for place, (value, flow) in enumerate(steps):
        flows.append(1000.0 if place == 0 else last * flow)
        at_start = timing != "end" or place == 0
        last = (last + flows[-1]) * (1.0 + value) if at_start else last * (1.0 + value) + flows[-1]
        equity.append(last)
    moved = np.array(flows)
    found = unit_values(np.array(equity), moved, moved, timing, History())
    units = np.cumprod([1.0 + value for value, _ in steps])
    assert found.unit_value.tolist() == pytest.approx(units.tolist(), rel=1e-9)
    pairs = zip(run(found.unit_value.tolist()), run(units.tolist()), strict=True)
    assert all(a.drawdown == pytest.approx(b.drawdown, abs=1e-9) for a, b in pairs)
