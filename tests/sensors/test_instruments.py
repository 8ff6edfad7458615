"""The sensor on new closes: one run for all due instruments, partitions that follow the workflows, and none lost under a run."""

from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from unittest.mock import patch

import dagster as dg
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from portfolio_platform.clock import FixedClock
from portfolio_platform.days import nanoseconds
from portfolio_platform.home import Home
from portfolio_platform.instruments import model
from portfolio_platform.instruments.store import InstrumentLog
from portfolio_platform.paper.resuming import behind, of_partition, partition_key, partition_keys
from resources.platform import Platform
from sensors.instruments import FIRST as BEGIN
from sensors.instruments import JOB, Changes, changes, instrument_closes, is_used, run_for
from sensors.instruments import LAST as END
from tests.unit.paper.conftest import LAST
from tests.unit.paper.ran import bars_made, paper_copy, paper_home, paper_made

__all__ = ["bars_made", "paper_copy", "paper_home", "paper_made"]
NOON = datetime(LAST.year, LAST.month, LAST.day, 12, tzinfo=UTC) + timedelta(days=4)


@pytest.fixture
def instance() -> Iterator[dg.DagsterInstance]:
    with dg.DagsterInstance.ephemeral() as made:
        yield made


def tick(home: Home, instance: dg.DagsterInstance, now: datetime = NOON, cursor: str | None = None) -> dg.SensorResult | dg.SkipReason:
    """Return what the sensor says in a home whose clock runs and shows a time."""
    (home.root / "clock.json").unlink(missing_ok=True)
    context = dg.build_sensor_context(instance=instance, cursor=cursor)
    with patch.object(Home, "clock", FixedClock(now)):
        found = instrument_closes(context, platform=Platform(home=str(home.root)))
    assert isinstance(found, dg.SensorResult | dg.SkipReason)
    return found


def obey(instance: dg.DagsterInstance, result: dg.SensorResult) -> None:
    """Do to the partitions what a result asks for, as the daemon does before it starts runs."""
    for request in result.dynamic_partitions_requests or []:
        if isinstance(request, dg.AddDynamicPartitionsRequest):
            instance.add_dynamic_partitions(request.partitions_def_name, list(request.partition_keys))
        else:
            for key in request.partition_keys:
                instance.delete_dynamic_partition(request.partitions_def_name, key)


def test_new_closes_ask_for_one_run_of_all_partitions_and_not_twice(paper_copy: Home, instance: dg.DagsterInstance) -> None:
    result = tick(paper_copy, instance)
    assert isinstance(result, dg.SensorResult)
    obey(instance, result)
    keys = instance.get_dynamic_partitions("instruments")
    assert len(keys) >= 3 and all(key.startswith("paper|") for key in keys)
    (request,) = result.run_requests or []
    assert (request.tags[BEGIN], request.tags[END]) == (keys[0], keys[-1])
    assert f"bars up to {LAST + timedelta(days=3)}" in request.tags["because"]
    again = tick(paper_copy, instance, NOON + timedelta(minutes=30), result.cursor)
    assert isinstance(again, dg.SensorResult) and not again.run_requests
    late = tick(paper_copy, instance, NOON + timedelta(minutes=70), result.cursor)
    assert isinstance(late, dg.SensorResult) and late.run_requests
    assert late.run_requests[0].run_key != request.run_key


def test_no_partition_is_retired_and_no_run_asked_for_while_a_run_may_use_them(paper_copy: Home, instance: dg.DagsterInstance) -> None:
    instance.add_dynamic_partitions("instruments", ["paper|GONE"])
    run = _waiting(instance)
    assert is_used(instance)
    busy = tick(paper_copy, instance)
    assert isinstance(busy, dg.SensorResult) and not busy.run_requests
    assert all(isinstance(request, dg.AddDynamicPartitionsRequest) for request in busy.dynamic_partitions_requests or [])
    instance.report_run_canceled(run)
    assert not is_used(instance)
    free = tick(paper_copy, instance)
    assert isinstance(free, dg.SensorResult)
    obey(instance, free)
    assert "paper|GONE" not in instance.get_dynamic_partitions("instruments")
    (request,) = free.run_requests or []
    assert request.tags[BEGIN] != "paper|GONE"


def _waiting(instance: dg.DagsterInstance) -> dg.DagsterRun:
    from dagster._core.test_utils import create_run_for_test

    return create_run_for_test(instance, job_name=JOB, status=dg.DagsterRunStatus.NOT_STARTED)


def test_a_run_of_other_assets_uses_none_of_them(instance: dg.DagsterInstance) -> None:
    from dagster._core.test_utils import create_run_for_test

    create_run_for_test(instance, job_name="refresh", status=dg.DagsterRunStatus.STARTED)
    assert not is_used(instance)
    selection = frozenset({dg.AssetKey("instrument_states")})
    create_run_for_test(instance, job_name="backfill", status=dg.DagsterRunStatus.STARTED, asset_selection=selection)
    assert is_used(instance)


def test_a_workflow_that_stopped_loses_its_partition_and_one_that_starts_again_gets_it_back(paper_copy: Home) -> None:
    log = InstrumentLog(paper_copy.book)
    running = [key for key, runs in partition_keys(paper_copy).items() if runs]
    idle = next(key for key in running if not _holds(paper_copy, key))
    portfolio, symbol = of_partition(idle)
    now = NOON
    log.advance(portfolio, {symbol: [model.StopRequested(nanoseconds(now), "s1", "ada", "enough")]}, at=now)
    assert changes(running, partition_keys(paper_copy), is_used=False) == Changes((), (idle,))
    assert changes(running, partition_keys(paper_copy), is_used=True) == Changes((), ())
    config = _config(paper_copy, idle)
    log.advance(portfolio, {symbol: [model.Started(nanoseconds(now + timedelta(days=1)), config)]}, at=now)
    rest = [key for key in running if key != idle]
    assert changes(rest, partition_keys(paper_copy), is_used=False) == Changes((idle,), ())


def _holds(home: Home, key: str) -> bool:
    with home.book.reading() as connection:
        portfolio, symbol = of_partition(key)
        state = InstrumentLog(home.book).load(connection, portfolio, [symbol])[symbol].state
    return bool(state.position is not None or state.orders)


def _config(home: Home, key: str) -> model.InstrumentConfig:
    with home.book.reading() as connection:
        portfolio, symbol = of_partition(key)
        config = InstrumentLog(home.book).load(connection, portfolio, [symbol])[symbol].state.config
    assert isinstance(config, model.InstrumentConfig)
    return config


def test_in_a_home_whose_clock_stands_still_nothing_is_started(paper_home: Home, instance: dg.DagsterInstance) -> None:
    context = dg.build_sensor_context(instance=instance)
    found = instrument_closes(context, platform=Platform(home=str(paper_home.root)))
    assert isinstance(found, dg.SkipReason) and "pinned" in str(found.skip_message)


def test_a_portfolio_that_has_seen_every_close_is_not_behind(paper_home: Home) -> None:
    then = Home(paper_home.root, as_of=NOON - timedelta(days=3))
    assert behind(then) == []  # the day after the last session is not over
    later = Home(paper_home.root, as_of=NOON - timedelta(days=2))
    (one,) = behind(later)
    assert (one.seen, one.newest) == (LAST.isoformat(), (LAST + timedelta(days=1)).isoformat())
    assert run_for(then, "rubbish", ["paper|AAPL"])[0] is None
    assert date.fromisoformat(one.newest) > date.fromisoformat(one.seen)


@settings(max_examples=60)
@given(st.text(min_size=1, max_size=8) | st.just("a...b"), st.text(min_size=1, max_size=8) | st.just("..."))
def test_a_partition_s_name_gives_portfolio_and_symbol_back(portfolio: str, symbol: str) -> None:
    assert of_partition(partition_key(portfolio, symbol)) == (portfolio, symbol)
    key = partition_key(portfolio, symbol)
    assert key.count("|") == 1
    assert "..." not in key and key.isprintable()


@settings(max_examples=60)
@given(st.sets(st.sampled_from("ABCDEF")), st.dictionaries(st.sampled_from("ABCDEF"), st.booleans()))
def test_after_the_changes_partitions_are_the_workflows_that_run(known: set[str], workflows: dict[str, bool]) -> None:
    found = changes(sorted(known), workflows, is_used=False)
    after = (known - set(found.retire)) | set(found.add)
    assert after == {key for key, runs in workflows.items() if runs}
    assert not set(found.add) & known and set(found.retire) <= known
