"""What hangs on the clock or on new bars after a plan was approved: orders without a fill, escalations, stops and targets, due items."""

import dagster as dg

from resources.platform import Platform


@dg.sensor(
    name="orchestration_watch",
    minimum_interval_seconds=60,
    default_status=dg.DefaultSensorStatus.RUNNING,
    description="Looks after executions: brings in reported fills that a kill left out, flags orders without a fill, tells of escalations "
    "and of those whose time is over, of stops and targets that bars touched, and of items that fall due. Everything is told once.",
)
def orchestration_watch(platform: Platform) -> dg.SkipReason:
    """Look after every execution of the home."""
    home = platform.open()
    if home.pinned_at is not None:
        return dg.SkipReason(f"this home's clock is pinned to {home.today}; nothing happens there")
    from portfolio_platform.desk.watch import anything_to_watch, watch

    if not anything_to_watch(home):
        return dg.SkipReason("no plan was made and nothing is asked")
    return dg.SkipReason(watch(home).sentence)
