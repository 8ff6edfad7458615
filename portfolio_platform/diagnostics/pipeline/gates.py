"""The gates of the newest sessions, checked by their suites of expectations."""

from typing import TYPE_CHECKING

import pyarrow.compute as pc

from portfolio_platform.home import Home
from portfolio_platform.lake import derived
from portfolio_platform.policy.assigned import policies_in_time

if TYPE_CHECKING:
    from portfolio_platform.evidence.expectations import GateCheck


def check_newest(home: Home) -> "GateCheck":
    """Check the verdicts of every portfolio's newest session that has one in the newest month."""
    from portfolio_platform.evidence.expectations import check_gates

    rows = home.lake.read(derived.SAMPLE_SUFFICIENCY, None, from_month=home.lake.newest_month(derived.SAMPLE_SUFFICIENCY))
    newest = rows.group_by("portfolio").aggregate([("day", "max")]).rename_columns(["portfolio", "newest"])
    joined = rows.join(newest, "portfolio")
    policies, days = policies_in_time(home), dict(zip(newest["portfolio"].to_pylist(), newest["newest"].to_pylist(), strict=True))
    checked = joined.filter(pc.equal(joined["day"], joined["newest"])).select(rows.column_names)
    return check_gates(checked, lambda portfolio: policies.of(portfolio, days[portfolio]))
