"""What a row of `alert_states` is to the book: a rule that does not page, and a gate that failed, are told to nobody."""

from datetime import date
from typing import Any

import pytest

from portfolio_platform.alerts.model import MONITOR_ONLY, observation

DAY = date(2010, 12, 31)


def row(**given: Any) -> dict[str, Any]:
    base = {"alert_id": "alert:core:heat::2010-12-31", "portfolio": "core", "rule": "heat", "scope": "", "day": DAY, "session": 9}
    base |= {"severity": "critical", "first_seen": DAY, "sessions_firing": 1, "cause": "", "inhibited_by": "", "gate_passed": True}
    return base | {"pages": True} | given


@pytest.mark.parametrize(
    ("given", "severity"),
    [
        ({}, "critical"),
        ({"pages": False}, MONITOR_ONLY),
        ({"pages": False, "gate_passed": False}, MONITOR_ONLY),
        ({"pages": False, "inhibited_by": "drawdown_regime"}, "critical"),  # silent now, and as grave as ever
    ],
)
def test_who_may_be_told_decides_the_severity(given: dict[str, Any], severity: str) -> None:
    assert observation(row(**given)).severity == severity
