"""The pictures of the control plane: drawn where there is something, and saying so where there is nothing."""

from datetime import date

import numpy as np

from portfolio_platform.render.chart_data import Series
from portfolio_platform.render.control_charts import decisions_png, limits_png, use_of_limits

PNG = b"\x89PNG"


def test_the_use_of_limits_is_that_of_heat_and_of_the_tightest_other_group(sample_home):
    found = use_of_limits(sample_home, "core")
    assert found.days[-1] == date(2010, 12, 31) and len(found) == 1008
    assert round(found["heat"][-1], 4) == 0.8051  # 96,568 of 119,939
    assert round(found["group"][-1], 4) == 1.1353  # the template trend_continuation: 90,775 of 79,960
    assert limits_png(found).startswith(PNG)


def test_where_nothing_was_decided_or_built_the_picture_says_so(home):
    empty = use_of_limits(home, "nobody")
    assert len(empty) == 0 and limits_png(empty).startswith(PNG)
    assert decisions_png(home, "nobody").startswith(PNG)


def test_a_session_whose_equity_is_not_known_leaves_a_gap():
    days = [date(2026, 3, day) for day in (2, 3, 4)]
    use = np.array([0.5, np.nan, 1.2])
    assert limits_png(Series("p", days, {"heat": use, "group": use})).startswith(PNG)
