"""What keeps the control plane going: a cycle where something is due, and a refresh where decisions have changed what the monitor sees.

What is due, and how often it is asked for, are the rules of `control.pipeline.due`; the cursors are what they remember.
"""

from datetime import timedelta
from functools import lru_cache
from typing import TYPE_CHECKING

import dagster as dg

from portfolio_platform.home import Home
from resources.platform import Platform

if TYPE_CHECKING:
    from portfolio_platform.control.plane import ControlPlane

HOMES = 4


@lru_cache(maxsize=HOMES)
def _kept(root: str, book_url: str) -> "ControlPlane":
    """Return the control plane that this process looks through: it keeps its states, so that a tick reads only what is new."""
    from pathlib import Path

    from portfolio_platform.control.plane import ControlPlane

    home = Home(Path(root), book_url=book_url)
    return ControlPlane(home.book, home.clock)


def plane_of(home: Home) -> "ControlPlane":
    """Return the plane kept for a home; a new one where its book was replaced by one that is behind it."""
    from portfolio_platform.control.pipeline.due import knows_log

    plane = _kept(str(home.root), home.book_url)
    if knows_log(home, plane):
        return plane
    _kept.cache_clear()
    return _kept(str(home.root), home.book_url)


def cycle_for(home: Home, cursor: str | None) -> tuple[dg.RunRequest | None, str]:
    """Return the cycle that is due now, None where none is, and the next cursor."""
    from portfolio_platform.control.pipeline.due import REASONS, CycleCursor, cycle_wanted, run_key, seen_by

    wanted, after = cycle_wanted(CycleCursor.from_text(cursor), seen_by(home, plane_of(home)), home.clock.now())
    if not wanted:
        return None, after.to_text()
    return dg.RunRequest(run_key=run_key(wanted), tags={"because": "; ".join(REASONS[reason] for reason in wanted)}), after.to_text()


def refresh_for(home: Home, cursor: str | None) -> tuple[dg.RunRequest | None, str]:
    """Return the refresh that new decisions ask for now, None where none do, and the next cursor."""
    from portfolio_platform.control.pipeline.due import RefreshCursor, decisions_behind, refresh_wanted

    published, reached = decisions_behind(home)
    pause = timedelta(minutes=home.timeline().last_begun(home.today).policy.alerts.run_cool_down_minutes)
    wanted, after = refresh_wanted(RefreshCursor.from_text(cursor), published, reached, home.clock.now(), pause)
    request = dg.RunRequest(run_key=f"decisions:{after.import_seq}:{after.at.isoformat(timespec='seconds')}") if wanted else None
    return request, after.to_text()


def _result(request: dg.RunRequest | None, cursor: str, nothing: str) -> dg.SensorResult:
    return dg.SensorResult(run_requests=[request], cursor=cursor) if request else dg.SensorResult(skip_reason=nothing, cursor=cursor)


def _still(home: Home) -> dg.SkipReason:
    return dg.SkipReason(f"this home's clock is pinned to {home.today}; nothing happens there")


@dg.sensor(
    name="control_cycle",
    job_name="control_cycle",
    minimum_interval_seconds=30,
    default_status=dg.DefaultSensorStatus.RUNNING,
    description="Starts a cycle of the control plane when there are newer facts, newly approved recommendations, or something is over "
    "on the clock. The same thing is asked for once, and again only where it is still there after an hour.",
)
def control_cycle(context: dg.SensorEvaluationContext, platform: Platform) -> dg.SensorResult | dg.SkipReason:
    """Ask for a cycle where something is due."""
    home = platform.open()
    if home.pinned_at is not None:
        return _still(home)
    return _result(*cycle_for(home, context.cursor), "nothing is due: facts are in, nothing was approved, nothing is over")


@dg.sensor(
    name="decisions_refresh",
    job_name="refresh",
    minimum_interval_seconds=60,
    default_status=dg.DefaultSensorStatus.RUNNING,
    description="Refreshes tables and alerts when the control plane has decided something that they do not know: reserved heat, "
    "rejections, idle capital. No oftener than the policy's cool-down allows.",
)
def decisions_refresh(context: dg.SensorEvaluationContext, platform: Platform) -> dg.SensorResult | dg.SkipReason:
    """Ask for a refresh where decisions are not in the tables yet."""
    home = platform.open()
    if home.pinned_at is not None:
        return _still(home)
    return _result(*refresh_for(home, context.cursor), "the tables know every decision, or the cool-down has not passed")
