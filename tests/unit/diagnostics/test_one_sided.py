"""Symbols on one side: by hand, against a slow oracle, and days one by one."""

from datetime import date, timedelta

import numpy as np
import pyarrow.compute as pc
from hypothesis import given
from hypothesis import strategies as st

from portfolio_platform.diagnostics.one_sided import SIDES, one_sided
from portfolio_platform.diagnostics.pipeline import one_sided as stage
from portfolio_platform.home import Home
from portfolio_platform.lake import derived
from portfolio_platform.lake.progress import Plan
from portfolio_platform.policy.assigned import assigned_policies

COUNTS = st.lists(st.tuples(st.integers(0, 6), st.integers(0, 6)), min_size=1, max_size=30)


def test_the_windows_weakest_session_counts_and_only_on_one_and_the_same_side():
    long, short = np.array([5, 5, 4, 6, 0, 1]), np.array([1, 0, 0, 0, 5, 5])
    found = one_sided(long, short, 3)
    assert found.lasting.tolist() == [0, 0, 4, 4, 0, 0]  # the turn of the fifth session ends what lasted
    assert [SIDES[code] for code in found.side.tolist()] == ["", "", "long", "long", "", ""]
    # five of six, five of five, four of four: 5/6 at least
    assert found.lasting_share[2] == 5 / 6


@given(COUNTS, st.integers(1, 6))
def test_it_equals_a_slow_oracle(counts, window):
    long, short = (np.array([pair[side] for pair in counts]) for side in (0, 1))
    found = one_sided(long, short, window)
    for place in range(len(counts)):
        recent = counts[max(0, place - window + 1) : place + 1]
        full = len(recent) == window
        lasting = [min(pair[side] for pair in recent) if full else 0 for side in (0, 1)]
        assert found.lasting[place] == max(lasting)
        if max(lasting):
            side = lasting.index(max(lasting))
            assert found.side[place] == side
            assert found.lasting_share[place] == min(pair[side] / max(sum(pair), 1) for pair in recent)


def test_days_built_one_after_another_equal_the_range(sample_home: Home):
    policies, first, last = assigned_policies(sample_home), date(2009, 9, 1), date(2009, 10, 5)
    whole = stage.compute(sample_home, policies, Plan(first, last, 1, {}))[derived.ONE_SIDED]
    stored = sample_home.lake.read(derived.ONE_SIDED, None, (pc.field("day") >= first) & (pc.field("day") <= last))
    order = [(name, "ascending") for name in derived.ONE_SIDED.key]
    assert whole.to_pylist() == stored.sort_by(order).to_pylist()
    day = first
    for _ in range(10):
        alone = stage.compute(sample_home, policies, Plan(day, day, 1, {}))[derived.ONE_SIDED]
        assert alone.to_pylist() == whole.filter(pc.equal(whole["day"], day)).to_pylist()
        day += timedelta(days=1)
