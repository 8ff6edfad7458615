"""What keeps paper portfolios going: new closes start one run for every due instrument, and workflows have their partitions.

Partitions follow the workflows: one is added when its workflow is started, and retired when that has stopped. None is retired while a run
that may use it is queued or under way: a run of several partitions names them by the first and the last.
"""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import dagster as dg

from assets.instruments import WORKFLOWS
from portfolio_platform.home import Home
from resources.platform import Platform

JOB = "advance_instruments"
FIRST, LAST = "dagster/asset_partition_range_start", "dagster/asset_partition_range_end"
MOST = 500
"""Partitions that one tick adds or retires."""
UNFINISHED = (
    dg.DagsterRunStatus.QUEUED,
    dg.DagsterRunStatus.NOT_STARTED,
    dg.DagsterRunStatus.MANAGED,
    dg.DagsterRunStatus.STARTING,
    dg.DagsterRunStatus.STARTED,
    dg.DagsterRunStatus.CANCELING,
)


class Changes(NamedTuple):
    """Partitions to add and to retire."""

    add: tuple[str, ...]
    retire: tuple[str, ...]


def changes(known: Sequence[str], workflows: Mapping[str, bool], *, is_used: bool) -> Changes:
    """Return what has to be done for partitions to follow the workflows. Pure.

    Args:
        known: partitions that are there.
        workflows: every workflow's key, and whether it runs.
        is_used: whether a run that may use any of them is not over; then none is retired.
    """
    there = set(known)
    add = [key for key, runs in sorted(workflows.items()) if runs and key not in there]
    retire = [] if is_used else [key for key in known if not workflows.get(key, False)]
    return Changes(tuple(add[:MOST]), tuple(retire[:MOST]))


def is_used(instance: dg.DagsterInstance) -> bool:
    """Say whether a run that may use partitions of workflows is queued or under way, of whatever job or backfill."""
    runs = instance.get_runs(dg.RunsFilter(statuses=list(UNFINISHED)))
    states = dg.AssetKey("instrument_states")
    # a run that names no assets runs all of its job's
    return any(run.job_name == JOB or (run.asset_selection is not None and states in run.asset_selection) for run in runs)


def run_for(home: Home, cursor: str | None, keys: Sequence[str]) -> tuple[dg.RunRequest | None, str]:
    """Return the run that new closes ask for now, None where none do, and the next cursor.

    Args:
        home: whose bars and portfolios.
        cursor: what was asked for before; the same is asked again only after an hour.
        keys: all partitions, in their stored order.
    """
    from portfolio_platform.canonical import canonical_bytes, content_hash
    from portfolio_platform.control.pipeline.due import CycleCursor, cycle_wanted
    from portfolio_platform.paper.resuming import behind

    due = behind(home)
    seen = {"closes": content_hash(canonical_bytes([[one.portfolio, one.seen, one.newest] for one in due]))[:32]} if due else {}
    wanted, after = cycle_wanted(CycleCursor.from_text(cursor), seen, home.clock.now())
    if not wanted:
        return None, after.to_text()
    asked = wanted["closes"]
    tags = {"because": "; ".join(one.words for one in due)[:200]}
    return dg.RunRequest(run_key=f"{JOB}:{asked.what}:{asked.times}", tags={**tags, FIRST: keys[0], LAST: keys[-1]}), after.to_text()


@dg.sensor(
    name="instrument_closes",
    job_name=JOB,
    minimum_interval_seconds=30,
    default_status=dg.DefaultSensorStatus.RUNNING,
    description="Starts one run for all due instruments when bars have closed that a paper portfolio has not seen, and lets the partitions "
    "of `instrument_states` follow the workflows that the screener starts and stops.",
)
def instrument_closes(context: dg.SensorEvaluationContext, platform: Platform) -> dg.SensorResult | dg.SkipReason:
    """Let partitions follow the workflows, and ask for a run where closes have not been seen."""
    from portfolio_platform.paper.resuming import partition_keys

    home = platform.open()
    if home.pinned_at is not None:
        return dg.SkipReason(f"this home's clock is pinned to {home.today}; nothing happens there")
    known = context.instance.get_dynamic_partitions(str(WORKFLOWS.name))
    used = is_used(context.instance)
    changed = changes(known, partition_keys(home), is_used=used)
    requests: list[Any] = []
    if changed.add:
        requests.append(WORKFLOWS.build_add_request(list(changed.add)))
    if changed.retire:
        requests.append(WORKFLOWS.build_delete_request(list(changed.retire)))
    keys = [*(key for key in known if key not in changed.retire), *changed.add]
    if used or not keys:
        return dg.SensorResult(
            skip_reason="a run is under way" if used else "no paper portfolio runs here", dynamic_partitions_requests=requests
        )
    request, cursor = run_for(home, context.cursor, keys)
    if request is None:
        return dg.SensorResult(skip_reason="every close has been seen", cursor=cursor, dynamic_partitions_requests=requests)
    return dg.SensorResult(run_requests=[request], cursor=cursor, dynamic_partitions_requests=requests)
