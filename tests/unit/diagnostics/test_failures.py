"""D8: counts worked by hand, every row against a plain oracle, and days that no cut and no later trade changes."""

from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.compute as pc
import pytest
from hypothesis import given
from hypothesis import strategies as st

from portfolio_platform.diagnostics import failures as d8
from portfolio_platform.evidence.intervals import benjamini_hochberg, binomial_tail
from portfolio_platform.policy.diagnostics import FailurePolicy

POLICY = FailurePolicy(window=5)
Event = tuple[int, int, int, int, float]
"""Session, stratum, mode (-1 none, -2 a winner), symbol, amount."""


def run(events: list[Event], size: int, first: int = 0, policy: FailurePolicy = POLICY) -> d8.Recurrence:
    """Return the recurrence of trades; a key is mode and stratum."""
    ordered = sorted(events, key=lambda event: event[0])
    lost = [event for event in ordered if event[2] >= -1]

    def column(rows: list[Event], place: int) -> Any:
        return np.array([row[place] for row in rows], np.int64)

    mode, stratum = column(lost, 2), column(lost, 1)
    losses = d8.Losses(
        column(lost, 0), np.array([row[4] for row in lost], float), np.where(mode >= 0, mode * 10 + stratum, -1), stratum, column(lost, 3)
    )
    return d8.recurrence(d8.Closed(column(ordered, 0), column(ordered, 1)), losses, size, first, policy)


def as_rows(found: d8.Recurrence) -> dict[tuple[int, int], tuple[Any, ...]]:
    names = (
        "cases",
        "trades",
        "baseline_cases",
        "baseline_trades",
        "p_value",
        "p_adjusted",
        "loss_share",
        "symbols",
        "members",
        "recurring",
    )
    columns = [list(getattr(found, name)) for name in names]
    keys = zip(found.session.tolist(), found.key.tolist(), strict=True)
    return dict(zip(keys, zip(*columns, strict=True), strict=True))


def test_counts_shares_and_conditions_worked_by_hand() -> None:
    # baseline (sessions 0 to 4): 8 trades of the stratum, none a case; window (5 to 9): 4 trades, 3 cases in 2 symbols
    events: list[Event] = [(k % 5, 0, -2, 0, 0.0) for k in range(8)]
    events += [(6, 0, 1, 0, 10.0), (7, 0, 1, 1, 20.0), (9, 0, 1, 0, 30.0), (8, 0, -1, 2, 40.0), (9, 3, -2, 0, 0.0)]
    found = run(events, 10, first=9)
    assert (found.session.tolist(), found.key.tolist()) == ([9], [10])
    assert (found.cases[0], found.trades[0], found.baseline_cases[0], found.baseline_trades[0]) == (3, 4, 0, 8)
    assert (found.share[0], found.baseline_share[0], found.loss_share[0]) == (0.75, 0.0, 0.6)
    # Laplace: 1 / 10; P(Binomial(4, 0.1) >= 3) = 4 * 0.001 * 0.9 + 0.0001 = 0.0037
    assert found.p_value[0] == pytest.approx(0.0037)
    assert found.p_adjusted[0] == found.p_value[0]
    assert (found.symbols[0], found.members[0], bool(found.recurring[0])) == (2, (0, 1), True)


def test_one_symbol_needs_a_quarter_of_the_losses_and_two_cases_are_too_few() -> None:
    base: list[Event] = [(0, 0, -2, 0, 0.0)] * 20
    cases: list[Event] = [(5, 0, 1, 0, 10.0), (6, 0, 1, 0, 10.0), (7, 0, 1, 0, 10.0)]
    assert run([*base, *cases, (7, 1, -1, 0, 90.0)], 8, 7).recurring.tolist() == [True]  # 30 of 120: exactly a quarter
    assert run([*base, *cases, (7, 1, -1, 0, 91.0)], 8, 7).recurring.tolist() == [False]
    assert run([*base, *cases[:2]], 8, 7).recurring.tolist() == [False]


def test_without_a_trade_before_the_window_there_is_no_test() -> None:
    found = run([(2, 0, 1, 0, 1.0), (3, 0, 1, 1, 1.0), (4, 0, 1, 2, 1.0), (0, 1, -2, 0, 0.0)], 5, 4)
    assert np.isnan([found.p_value[0], found.p_adjusted[0], found.baseline_share[0]]).all()
    assert not found.recurring[0]
    assert found.share[0] == 1.0


def test_an_unlabelled_loss_is_no_key_but_a_trade_and_a_loss() -> None:
    found = run([(0, 0, -1, 0, 3.0), (0, 0, 2, 0, 1.0)], 1)
    assert found.key.tolist() == [20]
    assert (found.trades[0], found.loss_share[0]) == (2, 0.25)


def test_a_trade_that_closes_after_the_last_session_is_in_none() -> None:
    rest: list[Event] = [(0, 0, 1, 0, 1.0), (1, 1, 1, 0, 1.0)]
    assert repr(as_rows(run([*rest, (2, 0, 1, 1, 5.0), (2, 0, -2, 1, 0.0)], 2))) == repr(as_rows(run(rest, 2)))


def oracle(events: list[Event], size: int, policy: FailurePolicy) -> dict[tuple[int, int], tuple[Any, ...]]:
    """Return every row by asking every trade on every session."""
    rows = {}
    for s in range(size):
        inside = [e for e in events if s - policy.window < e[0] <= s]
        before = [e for e in events if e[0] <= s - policy.window]
        keys = sorted({e[2] * 10 + e[1] for e in inside if e[2] >= 0})
        part: dict[tuple[int, int], list[Any]] = {}
        for key in keys:
            mode, stratum = divmod(key, 10)
            cases = [e for e in inside if e[2] == mode and e[1] == stratum]
            counts = [len(cases), sum(e[1] == stratum for e in inside)]
            counts += [sum(e[2] == mode and e[1] == stratum for e in before), sum(e[1] == stratum for e in before)]
            rate = (counts[2] + 1) / (counts[3] + 2) if counts[3] else np.nan
            members = tuple(sorted({e[3] for e in cases}))
            lost = sum(e[4] for e in inside if e[2] >= -1)
            share = sum(e[4] for e in cases) / lost if lost else np.nan
            part[s, key] = [*counts, float(binomial_tail(counts[0], counts[1], rate)), np.nan, share, len(members), members]
        tested = [key for key, row in part.items() if np.isfinite(row[4])]
        for key, value in zip(tested, benjamini_hochberg([part[key][4] for key in tested]), strict=True):
            part[key][5] = value
        for key, row in part.items():
            broad = row[7] >= policy.minimum_symbols or row[6] >= policy.loss_share
            rows[key] = (*row, bool(row[5] <= policy.false_discovery_rate and row[0] >= policy.minimum_cases and broad))
    return rows


EVENTS = st.lists(
    st.tuples(
        st.integers(0, 14), st.integers(0, 2), st.integers(-2, 2), st.integers(0, 2), st.sampled_from([0.5, 1.0, 2.0, 8.0])
    ),
    max_size=40,
)  # fmt: skip


@given(EVENTS, st.integers(1, 8))
def test_every_row_is_that_of_the_oracle(events: list[Event], window: int) -> None:
    policy = FailurePolicy(window=window)
    found, expected = as_rows(run(events, 15, 0, policy)), oracle(events, 15, policy)
    assert list(found) == sorted(expected)
    for key, row in found.items():
        assert row[:4] == expected[key][:4]
        assert row[4:7] == pytest.approx(expected[key][4:7], nan_ok=True)
        assert row[7:] == expected[key][7:]


@given(EVENTS, st.integers(0, 14))
def test_a_session_alone_is_that_session_of_the_range_and_knows_no_later_trade(events: list[Event], s: int) -> None:
    whole = {key: row for key, row in as_rows(run(events, 15)).items() if key[0] == s}
    alone = as_rows(run([event for event in events if event[0] <= s], s + 1, first=s))
    assert repr(alone) == repr(whole)


@given(st.lists(st.floats(0.0, 1.0), min_size=1, max_size=30), st.lists(st.integers(0, 3), min_size=30, max_size=30))
def test_p_values_are_adjusted_within_their_session(p_values: list[float], of: list[int]) -> None:
    session = np.sort(np.array(of[: len(p_values)], np.int64))
    values = np.array(p_values)
    values[::4] = np.nan
    found = d8.adjusted(session, values)
    for s in set(session.tolist()):
        part = (session == s) & np.isfinite(values)
        assert found[part].tolist() == benjamini_hochberg(values[part]).tolist()
    assert np.isnan(found[np.isnan(values)]).all()


def test_where_nothing_changed_few_sessions_claim_a_recurrence() -> None:
    """With the raw share of the baseline as the tested rate it was 7 to 52 % of the sessions, at a false discovery rate of 10 %."""
    flagged = []
    for seed in range(6):
        rng = np.random.default_rng(seed)
        size, count = 600, 500
        session, stratum = np.sort(rng.integers(0, size, count)), rng.integers(0, 12, count)
        mode = np.where(rng.random(count) < 0.42, rng.integers(0, 7, count), -1)
        key, symbol = np.where(mode >= 0, mode * 12 + stratum, -1), rng.integers(0, 6, count)
        losses = d8.Losses(session, np.ones(count), key, stratum, symbol)
        found = d8.recurrence(d8.Closed(session, stratum), losses, size, 120, FailurePolicy())
        flagged.append(np.unique(found.session[found.recurring]).size / (size - 120))
    assert np.mean(flagged) <= 0.10


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory, sample_home: Any) -> Any:
    from portfolio_platform.diagnostics.pipeline import failures
    from portfolio_platform.signals.pipeline import STAGES
    from portfolio_platform.stage import build_stage
    from tests.conftest import copied

    home = copied(sample_home, Path(tmp_path_factory.mktemp("failures")) / "home")
    for stage in (*STAGES, failures.STAGE):
        build_stage(home, stage)
    yield home
    home.book.close()


@pytest.mark.parametrize("day", [date(2007, 3, 9), date(2008, 4, 18), date(2009, 6, 22), date(2010, 12, 31)])
def test_a_stored_day_is_that_day_computed_alone_and_as_the_end_of_a_range(built: Any, day: date) -> None:
    from portfolio_platform.diagnostics.pipeline import failures
    from portfolio_platform.lake.progress import Plan
    from portfolio_platform.policy.assigned import assigned_policies

    policies = assigned_policies(built)
    alone = failures.compute(built, policies, Plan(day, day, 0, {}))
    ending = failures.compute(built, policies, Plan(built.first_day, day, 0, {}))
    for table in failures.STAGE.tables:
        order = [(name, "ascending") for name in table.key]
        stored = built.lake.read(table, None, pc.field("day") == day).sort_by(order)
        assert alone[table].equals(stored), table.name
        assert ending[table].filter(pc.field("day") == day).sort_by(order).equals(stored), table.name


def test_every_mode_occurs_in_the_sample_with_its_words_and_none_swallows_the_rest(built: Any) -> None:
    from portfolio_platform.diagnostics import labels
    from portfolio_platform.lake import derived

    rows = built.lake.read(derived.FAILURE_LABELS).to_pandas()
    counts = rows["failure_mode"].value_counts()
    losers = built.lake.read(derived.TRIP_PROFILES, ["net_pnl"], pc.field("net_pnl") < 0.0)
    assert len(rows) == len(losers) > 500
    assert set(labels.TAXONOMY) <= set(counts.index)
    assert counts.drop(labels.UNLABELLED).max() < 0.25 * len(rows)
    assert (rows["facts"] != "").all()
    assert not rows["facts"].str.contains("nan").any()
    assert not any(mode in also.split(", ") for mode, also in zip(rows["failure_mode"], rows["also"], strict=True))
    modes = built.lake.read(derived.FAILURE_MODES).to_pandas()
    assert labels.UNLABELLED not in set(modes["failure_mode"])
    assert (modes["p_value"].isna() == modes["reason"].str.contains("no_baseline")).all()
    assert 0 < modes["recurring"].sum() < 0.02 * len(modes)


def test_labels_of_a_day_alone_are_those_of_the_whole_history(built: Any) -> None:
    from portfolio_platform.diagnostics.pipeline.failures import label
    from portfolio_platform.lake.derived import FAILURE_LABELS
    from portfolio_platform.lake.progress import Plan
    from portfolio_platform.policy.assigned import assigned_policies

    policies = assigned_policies(built)
    stored = built.lake.read(FAILURE_LABELS).sort_by("round_trip_id")
    days = sorted(set(stored["day"].to_pylist()))
    assert len(days) > 250
    for day in days[::12]:
        assert label(built, policies, Plan(day, day, 0, {})).equals(stored.filter(pc.field("day") == day)), day
