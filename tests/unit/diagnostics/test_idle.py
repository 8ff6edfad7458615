"""D7: figures worked by hand, setups told apart by what is known, windows against a plain oracle, and nothing from the future."""

from datetime import date
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pytest
from hypothesis import given
from hypothesis import strategies as st

from portfolio_platform.diagnostics import idle as d7
from portfolio_platform.evidence.intervals import wilson
from portfolio_platform.policy.diagnostics import IdlePolicy

N = d7.NEVER
POLICY = IdlePolicy(window=3, trade_window=4, rejection_window=2, rejection_baseline=3)


def ints(*values: int) -> d7.Int64:
    return np.array(values, np.int64)


def book(heat: list[float], cap: float | list[float] = 0.06, allowed: list[bool] | None = None) -> d7.Sessions:
    size = len(heat)
    caps = np.full(size, cap) if isinstance(cap, float) else np.array(cap)
    hundred = np.full(size, 100.0)
    exposure, usable = np.full(size, 0.4), np.array(allowed or [True] * size)
    return d7.Sessions(np.array(heat), caps, hundred * 10, hundred * 4, hundred * 0.5, hundred, exposure, usable)


def setups(*rows: tuple[int, int, int, int, int, int, int]) -> d7.Setups:
    """Rows of session, setup, filled, reason, answered, answer, expired."""
    table = np.array(sorted(rows), np.int64).reshape(-1, 7)
    return d7.Setups(*(np.ascontiguousarray(column) for column in table.T))


NONE = setups()
NO_TRADES = d7.Trades(ints(), ints())
NO_REQUESTS = d7.Requests(ints(), np.array([], bool), np.array([]))


def run(
    given_book: d7.Sessions, some: d7.Setups = NONE, trades: d7.Trades = NO_TRADES, requests: d7.Requests = NO_REQUESTS, minimum: int = 1
) -> d7.Idle:
    return d7.idle_capital(given_book, some, trades, requests, POLICY, minimum)


def test_idle_is_the_mean_unused_share_and_heat_beyond_the_cap_is_none() -> None:
    found = run(book([0.06, 0.03, 0.09, 0.0]))
    assert found.idle.tolist() == pytest.approx([0.0, 0.25, 0.5 / 3, 1.5 / 3])
    assert found.sessions.tolist() == [1, 2, 3, 3]


def test_sessions_without_a_budget_are_left_out_with_their_setups() -> None:
    some = setups((1, 0, N, d7.CAPACITY, N, 0, N), (2, 1, N, d7.CAPACITY, N, 0, N))
    for without in (book([0.0, 0.06, 0.03], [0.06, 0.0, 0.06]), book([0.0, 0.06, 0.03], allowed=[True, False, True])):
        found = run(without, some)
        assert found.idle.tolist() == pytest.approx([1.0, 1.0, 0.75])
        assert found.setups.tolist() == [0, 0, 1]
        assert found.opportunity_rate[2] == pytest.approx(0.5)
    nothing = run(book([0.0], [0.0]))
    assert nothing.sessions[0] == 0
    assert np.isnan([nothing.idle[0], nothing.opportunity_rate[0], nothing.feasible_use[0]]).all()


def test_idle_cash_leaves_out_buffer_reservations_and_short_sale_proceeds() -> None:
    # cash 400 - 5 % of 1,000 - reserved 50 - shorts 100 = 200
    assert run(book([0.0])).idle_cash_pct[0] == pytest.approx(0.2)


def test_a_setup_is_counted_once_and_by_its_best_signal() -> None:
    some = setups((0, 7, N, d7.CAPACITY, N, 0, N), (1, 7, 2, d7.NO_REASON, N, 0, N), (1, 8, N, d7.BLOCKED, N, 0, N))
    found = run(book([0.0] * 4), some)
    assert found.setups.tolist() == [1, 2, 2, 2]
    # the fill of session 2 is not known before it, and then the setup is no longer missed
    assert found.missed.tolist() == [1, 1, 0, 0]
    assert found.blocked.tolist() == [0, 1, 1, 1]


def test_the_allocators_answer_counts_from_its_own_session_on() -> None:
    found = run(book([0.0] * 3), setups((0, 0, N, d7.NO_REASON, 1, d7.CAPACITY, N)))
    assert found.missed.tolist() == [0, 1, 1]


def test_a_setup_without_reason_is_not_taken_once_its_validity_has_ended() -> None:
    found = run(book([0.0] * 3), setups((0, 0, N, d7.NO_REASON, N, 0, 1)))
    assert found.not_taken.tolist() == [0, 1, 1]
    assert found.setups.tolist() == [1, 1, 1]


def test_the_missed_rate_has_wilsons_interval() -> None:
    some = setups(*((0, k, N, d7.CAPACITY if k < 7 else d7.BLOCKED, N, 0, N) for k in range(10)))
    found = run(book([0.0]), some)
    low, high = wilson(7, 10)
    assert (found.missed_rate[0], found.missed_low[0], found.missed_high[0]) == (0.7, low, high)
    assert low == pytest.approx(0.3968, abs=1e-4)


def test_open_trades_count_with_the_closes_so_far() -> None:
    # open at the closes of 0 and 1 (2 sessions), and from 1 on
    trades = d7.Trades(ints(0, 1), ints(2, N))
    assert d7.mean_hold(trades, 4, 2).tolist() == pytest.approx([1.0, (2 + 1) / 2, (2 + 2) / 2, (2 + 3) / 2])
    # the closed one leaves the window
    assert d7.mean_hold(trades, 5, 2)[4] == 4.0


def test_littles_law_says_what_the_opportunity_could_use() -> None:
    some = setups((0, 0, N, d7.CAPACITY, N, 0, N), (1, 1, N, d7.CAPACITY, N, 0, N), (2, 2, 2, d7.NO_REASON, N, 0, N))
    trades, requests = d7.Trades(ints(0), ints(2)), d7.Requests(ints(0, 1), np.array([False, True]), np.array([15.0, 0.0]))
    found = run(book([0.0] * 3), some, trades, requests)
    # 1 setup a session, 2 closes, risk 15 against a budget of 6 % of 1,000
    assert (found.mean_hold[2], found.mean_risk[2]) == (2.0, 15.0)
    assert found.feasible_use[2] == pytest.approx(1.0 * 2.0 * 15.0 / 60.0)
    richer = run(book([0.0] * 3), some, trades, d7.Requests(ints(0), np.array([False]), np.array([600.0])))
    assert richer.feasible_use[2] == 1.0


def test_without_setups_nothing_could_be_used_and_without_trades_it_is_unknown() -> None:
    assert run(book([0.0])).feasible_use[0] == 0.0
    assert np.isnan(run(book([0.0]), setups((0, 0, N, d7.CAPACITY, N, 0, N))).feasible_use[0])


def test_rejections_are_held_against_the_sessions_before_the_window() -> None:
    session = ints(0, 1, 2, 3, 3, 4, 4)
    requests = d7.Requests(session, np.array([True, False, False, True, True, True, True]), np.full(7, np.nan))
    found = run(book([0.0] * 6), requests=requests)
    assert (found.intents[4], found.rejected[4], found.intents_baseline[4]) == (4, 4, 3)
    assert found.rejection_baseline[4] == pytest.approx(1 / 3)
    assert found.rejection_excess[4] == pytest.approx(wilson(4, 4)[0] - 1 / 3)
    # session 5: the window is 4 and 5, the baseline 1 to 3
    assert (found.intents[5], found.intents_baseline[5], found.rejection_baseline[5]) == (2, 4, 0.5)


def test_a_young_baseline_calls_nothing_an_excess() -> None:
    requests = d7.Requests(ints(0, 2, 3), np.array([False, True, True]), np.array([1.0, np.nan, np.nan]))
    assert not np.isnan(run(book([0.0] * 4), requests=requests).rejection_excess[3])
    assert np.isnan(run(book([0.0] * 4), requests=requests, minimum=2).rejection_excess[3])


Signal = tuple[int, int, int, int, int, int, int]
AT = st.one_of(st.integers(0, 11), st.just(N))
SIGNALS = st.lists(
    st.tuples(st.integers(0, 11), st.integers(0, 4), AT, st.sampled_from([0, 2, 3]), AT, st.sampled_from([0, 2, 3]), AT), max_size=20
)


def oracle(rows: list[Signal], counted: list[bool], window: int, s: int) -> list[int]:
    """Return one session's setups by level, by asking every signal."""
    best: dict[int, int] = {}
    for session, setup, filled, reason, answered, answer, expired in rows:
        if s - window < session <= s and counted[session]:
            level = max(reason, answer if answered <= s else 0) or (1 if expired <= s else 0)
            best[setup] = max(best.get(setup, -1), d7.FILLED if filled <= s else level)
    return [list(best.values()).count(level) for level in range(d7.LEVELS)]


@given(SIGNALS, st.lists(st.booleans(), min_size=12, max_size=12), st.integers(1, 6))
def test_levels_are_those_of_a_plain_count(rows: list[Signal], counted: list[bool], window: int) -> None:
    found = d7.setup_levels(setups(*rows), np.array(counted), window)
    assert found.tolist() == [oracle(rows, counted, window, s) for s in range(12)]


@given(st.lists(st.tuples(st.integers(-5, 11), st.integers(0, 8)), max_size=15), st.integers(1, 6))
def test_the_mean_hold_is_that_of_a_plain_count(spans: list[tuple[int, int]], window: int) -> None:
    opened = np.array([a for a, _ in spans], np.int64)
    closed = np.array([a + length if length < 8 else N for a, length in spans], np.int64)
    found = d7.mean_hold(d7.Trades(opened, closed), 12, window)
    for s in range(12):
        held = [b - a for a, b in zip(opened, closed, strict=True) if max(s - window, -1) < b <= s]
        held += [s - a + 1 for a, b in zip(opened, closed, strict=True) if a <= s < b]
        assert found[s] == pytest.approx(np.mean(held) if held else np.nan, nan_ok=True)


@given(SIGNALS, st.integers(0, 11))
def test_nothing_after_a_session_changes_it(rows: list[Signal], last: int) -> None:
    """What becomes known later (a fill, an answer, an end) is as good as never."""
    known = [(a, b, *(x if place % 2 or x <= last else N for place, x in enumerate(rest))) for a, b, *rest in rows if a <= last]
    whole = d7.setup_levels(setups(*rows), np.ones(12, bool), 5)
    assert d7.setup_levels(setups(*known), np.ones(last + 1, bool), 5).tolist() == whole[: last + 1].tolist()


@given(st.lists(st.floats(-1e6, 1e6), min_size=14, max_size=30), st.integers(1, 6), st.integers(0, 8))
def test_a_windows_sum_does_not_know_what_lies_before_it(values: list[float], window: int, cut: int) -> None:
    whole, part = d7.windowed(np.array(values), window), d7.windowed(np.array(values[cut:]), window)
    assert whole[cut + window - 1 :].tolist() == part[window - 1 :].tolist()


@pytest.fixture(scope="module")
def sample(tmp_path_factory, sample_home, copy_home):  # type: ignore[no-untyped-def]
    from portfolio_platform.diagnostics.pipeline import heat, idle
    from portfolio_platform.signals.pipeline import STAGES
    from portfolio_platform.stage import build_stage

    home = copy_home(sample_home, Path(tmp_path_factory.mktemp("idle")) / "home")
    for stage in (*STAGES, heat.STAGE, idle.STAGE):
        build_stage(home, stage)
    yield home
    home.book.close()


@pytest.fixture(scope="module")
def copy_home():  # type: ignore[no-untyped-def]
    from tests.conftest import copied

    return copied


def compute(home, first: date, until: date) -> pa.Table:  # type: ignore[no-untyped-def]
    from portfolio_platform.diagnostics.pipeline import idle
    from portfolio_platform.lake import derived
    from portfolio_platform.lake.progress import Plan
    from portfolio_platform.policy.assigned import assigned_policies

    return idle.compute(home, assigned_policies(home), Plan(first, until, 0, {}))[derived.IDLE_CAPITAL]


@pytest.mark.parametrize("day", [date(2007, 1, 3), date(2008, 4, 18), date(2009, 6, 26), date(2010, 2, 28), date(2010, 12, 31)])
def test_a_day_alone_is_that_day_of_the_range_and_of_a_range_that_ends_with_it(sample, day: date) -> None:  # type: ignore[no-untyped-def]
    alone = compute(sample, day, day)
    assert len(alone) > 0
    whole = compute(sample, sample.first_day, date(2010, 12, 31)).filter(pc.field("day") == day)
    assert alone.equals(whole)
    assert compute(sample, sample.first_day, day).filter(pc.field("day") == day).equals(whole)


def test_the_samples_idle_summer_shows_and_the_rest_is_quiet(sample) -> None:  # type: ignore[no-untyped-def]
    rows = compute(sample, sample.first_day, date(2010, 12, 31)).to_pandas()
    idle = rows[(rows["idle"] >= 0.5) & (rows["feasible_use"] >= 0.5) & (rows["missed_low"] >= 0.3) & (rows["setups"] >= 10)]
    assert set(idle["portfolio"]) == {"core"}
    # the incident runs to the end of July; windows of 20 sessions follow it
    assert date(2009, 6, 15) < idle["day"].min() < date(2009, 7, 15)
    assert date(2009, 7, 31) < idle["day"].max() < date(2009, 8, 31)
    spike = rows[(rows["rejection_excess"] >= 0.2) & (rows["recent_intents"] >= 10) & (rows["portfolio"] == "core")]
    assert (spike["day"].between(date(2009, 6, 1), date(2009, 7, 31))).sum() >= 10
    # its window of 30 sessions follows it for a few days, and nowhere else is there one
    assert spike["day"].between(date(2009, 6, 1), date(2009, 8, 15)).all()
    assert (rows["reason"] != "").sum() >= rows["missed_rate"].isna().sum()
    assert rows.loc[rows["reason"] == "", ["idle", "missed_rate", "feasible_use", "rejection_excess"]].notna().all(axis=None)


def test_the_mean_exposure_is_known_only_where_the_whole_window_is():
    found = d7.full_mean(np.array([0.2, 0.4, 0.6, np.nan, 0.1, 0.3]), 2)
    assert found.tolist()[1:3] == pytest.approx([0.3, 0.5]) and found[5] == pytest.approx(0.2)
    assert np.isnan(found[[0, 3, 4]]).all()
