"""D6's CUSUM worked by hand, number by number: the baseline, the bound on a step, the signal, its end, and the ceiling."""

import numpy as np
import pytest

from portfolio_platform.diagnostics import execution as d6
from portfolio_platform.policy.diagnostics import ExecutionPolicy

# mean 1, sum of squared deviations 20: the 20 observations that a CUSUM asks for before it counts
BASELINE = [0.0, 2.0] * 10


def states(values, measure=d6.SLIPPAGE):
    """Return the CUSUM and its signal after each observation beyond the baseline."""
    days = np.arange(len(values))
    nothing = np.full(days.size, np.nan)
    given = d6.Observations(np.zeros(days.size, np.int64), days, np.array(values), nothing, nothing)
    asked = days[len(BASELINE) :]
    found = d6.profile(measure, given, np.zeros_like(asked), asked, d6.Carried.nothing(1), np.array([False]), ExecutionPolicy(), 20)
    return list(zip(found.cusum.tolist(), found.signal.tolist(), strict=True))


def test_each_step_is_in_deviations_of_what_came_before_less_a_half():
    # 3: (3 - 1) / sqrt(20 / 19) = 1.9494, less 1/2; then the mean is 23/21 and the deviation sqrt(23.8095 / 20) = 1.0911
    # 2: (2 - 23/21) / 1.0911 = 0.8292, less 1/2
    (first, _), (second, _) = states([*BASELINE, 3.0, 2.0])
    assert first == pytest.approx(1.9493589 - 0.5, abs=1e-6)
    assert second == pytest.approx(1.4493589 + 0.8292279 - 0.5, abs=1e-6)


def test_one_step_adds_at_most_three_less_a_half_and_the_signal_holds_until_the_sum_is_back_at_0():
    # 10 is 8.2 deviations away, the next one 3.9: each adds 2.5; beyond 5 it signals, and a fall to 0 ends it
    found = states([*BASELINE, 3.0, 10.0, 10.0, 1.9, -100.0])
    assert [total for total, _ in found[:3]] == pytest.approx([1.4493589, 3.9493589, 6.4493589], abs=1e-6)
    assert [signal for _, signal in found] == [False, False, True, True, False]
    assert found[4][0] == 0.0


def test_the_sum_reaches_at_most_twice_h():
    grown = states([*BASELINE, *(10.0 ** np.arange(2, 9)).tolist()])
    assert [total for total, _ in grown] == pytest.approx([2.5, 5.0, 7.5, 10.0, 10.0, 10.0, 10.0])
    assert [signal for _, signal in grown] == [False, False, True, True, True, True, True]


def test_where_less_is_worse_a_fall_adds_and_a_rise_does_not():
    assert states([*BASELINE, -1.0], d6.MFE)[0][0] == pytest.approx(1.9493589 - 0.5, abs=1e-6)
    assert states([*BASELINE, 3.0], d6.MFE)[0][0] == 0.0
