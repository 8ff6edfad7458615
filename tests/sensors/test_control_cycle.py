"""The control plane's sensors and forms: what starts a cycle or a refresh, that rejections start one run, and who may order what."""

from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import dagster as dg
import pyarrow.compute as pc
import pytest

from portfolio_platform.book import approvals
from portfolio_platform.build import build_all
from portfolio_platform.clock import end_of_day
from portfolio_platform.control.operators import add_operator
from portfolio_platform.control.orders import Wanted, sign_order
from portfolio_platform.control.pipeline.cycle import run_cycle
from portfolio_platform.control.plane import ControlPlane
from portfolio_platform.control.signing import read_key
from portfolio_platform.home import Home
from portfolio_platform.lake import derived
from portfolio_platform.sources.pipeline import import_paths
from resources.platform import Platform
from sensors.breaches import FAMILIES, runs_for
from sensors.control_cycle import control_cycle, cycle_for, decisions_refresh, plane_of, refresh_for
from sensors.schedules import control_audit_schedule
from tests.sensors.test_operator_jobs import launch
from tests.unit.control.pipeline.conftest import LAST, at, small, small_built, written

__all__ = ["small", "small_built"]
DAY = timedelta(days=1)


def state_of(home: Home):
    return ControlPlane(home.book, home.clock).get_portfolio_state("main")


def wants(home: Home, name: str, risk: object = "50", **said: object) -> dict[str, object]:
    asked = {"intent_id": name, "strategy": "swing", "symbol": "BBB", "side": "long", "requested_risk": risk, "ts": home.clock.now()}
    return {**asked, "template": "breakout", **said}


def test_newer_facts_start_one_cycle_and_none_when_they_are_in(small):
    request, cursor = cycle_for(small, None)
    assert request is not None and request.tags["because"] == "newer facts"
    assert cycle_for(small, cursor)[0] is None  # it is running
    run_cycle(small)
    nothing, cursor = cycle_for(small, cursor)
    assert nothing is None and cycle_for(small, "rubbish")[0] is None


def test_what_is_decided_starts_one_refresh_and_what_follows_waits_for_the_cool_down(small):
    run_cycle(small)
    plane = ControlPlane(small.book, small.clock)
    assert refresh_for(small, None)[0] is None
    plane.request_allocation(wants(small, "a"), "main")
    run_cycle(small)
    request, cursor = refresh_for(small, None)
    assert request is not None and refresh_for(small, cursor)[0] is None
    plane.request_allocation(wants(small, "b"), "main")
    run_cycle(small)
    soon, late = Home(small.root, as_of=end_of_day(LAST) + timedelta(minutes=10)), Home(small.root, as_of=end_of_day(LAST) + DAY)
    assert refresh_for(soon, cursor)[0] is None
    again, _ = refresh_for(late, cursor)
    assert again is not None and again.run_key != request.run_key


def test_a_tick_reads_only_what_is_new_and_a_book_that_was_replaced_is_read_anew(small, tmp_path, copy_home):
    before = copy_home(small, tmp_path / "before")
    run_cycle(small)
    cycle_for(small, None)
    kept = plane_of(small)
    assert plane_of(Home(small.root)) is kept and kept.versions["main"] > 0
    small.book.close()
    for left in small.root.glob("book.sqlite*"):
        left.unlink()
    (small.root / "book.sqlite").write_bytes((before.root / "book.sqlite").read_bytes())
    assert cycle_for(Home(small.root), None)[0] is not None  # it is not under control there


@pytest.mark.parametrize("sensor", [control_cycle, decisions_refresh])
def test_in_a_home_whose_clock_stands_still_nothing_is_started(small, sensor):
    context = dg.build_sensor_context(resources={"platform": Platform(home=str(small.root))})
    assert isinstance(sensor(context), dg.SkipReason)


@pytest.mark.parametrize("sensor", [control_cycle, decisions_refresh])
def test_a_sensor_evaluates_in_a_real_instance(home, sensor):
    home.pin_clock(None)
    with dg.DagsterInstance.ephemeral() as instance:
        context = dg.build_sensor_context(instance=instance, resources={"platform": Platform(home=str(home.root))})
        assert sensor.evaluate_tick(context).run_requests == []


def test_the_audit_is_asked_for_every_night_and_not_where_the_clock_stands_still(home):
    context = dg.build_schedule_context(scheduled_execution_time=datetime(2026, 3, 2, 3, 0, tzinfo=UTC))
    platform = Platform(home=str(home.root))
    assert isinstance(control_audit_schedule(context, platform=platform), dg.SkipReason)
    home.pin_clock(None)
    home.remember_first_day(date(2026, 1, 1))
    assert control_audit_schedule(context, platform=platform).run_key == "daily_audit:2026-03-02"


SOON = """version = 2
[idle]
rejection_window = 1
rejection_baseline = 2
[gates.minimum]
rejection_excess = 1
[alerts.rules.rejection_spike]
enter_sessions = 1
"""
"""A policy whose window is one session against two, so that a small ledger has a baseline."""


def traded(home: Home, tmp_path: Path) -> list[date]:
    """Give the small ledger three more sessions, judged by `SOON`; return their days."""
    days = [LAST + timedelta(days=number) for number in (3, 4, 5)]  # the Monday after, and on
    lines = ["symbol,ts,open,high,low,close,volume"]
    for day in days:
        lines += [f"{symbol},{day}T21:00:00Z,{price},{price},{price},{price},100" for symbol, price in (("AAA", 71), ("BBB", 50))]
    import_paths(home, [written(tmp_path / "bars", "bars.csv", lines)])
    (home.policies / "default@soon.toml").write_text(f"effective_from = {LAST}\n{SOON}")
    return days


def test_intents_refused_by_the_control_plane_start_one_monitor_run(small, tmp_path):
    """From the log to the breach: refused for capacity, published, built, and then one run however often the sensor looks."""
    days = traded(small, tmp_path)
    for day in days:
        now = at(small, day)
        build_all(now)
        plane = ControlPlane(now.book, now.clock)
        run_cycle(now, plane=plane)
        # a past in which everything is granted, then a day on which one intent takes the symbol's whole cap and the rest is refused
        risk = "900000" if day == days[-1] else "44"
        made = [plane.request_allocation(wants(now, f"{day}-{count}", risk, strategy="s"), "main").decision for count in range(20)]
        assert {one.approved for one in made[1:]} == {day != days[-1]}
        assert refresh_for(now, None)[0] is None
        run_cycle(now, plane=plane)
        assert refresh_for(now, None)[0] is not None
        build_all(now)
    last = at(small, days[-1])
    where = (pc.field("rule") == "rejection_spike") & (pc.field("state") == "firing")
    assert last.lake.read(derived.ALERT_STATES, ["day"], where)["day"].to_pylist() == [days[-1]]
    rules, cursor, runs = FAMILIES["rejection_spike"][0], None, []
    for minute in range(0, 24 * 60, 30):  # a day of looks
        requests, cursor = runs_for(Home(small.root, as_of=end_of_day(days[-1]) + timedelta(minutes=minute)), rules, cursor)
        runs += requests
    assert [(one.tags["portfolio"], one.tags["rule"], one.partition_key) for one in runs] == [
        ("main", "rejection_spike", days[-1].isoformat()),
    ]


def until(home: Home, days: int = 2) -> str:
    return (home.clock.now() + days * DAY).isoformat()


def test_a_mode_and_flattening_are_set_and_released_in_the_name_of_who_says_so(small):
    run_cycle(small)
    launch(small, "set_mode", "order_mode", portfolio="main", mode="defensive", until=until(small), by="Ada", reason="storm")
    state = state_of(small)
    assert (state.terms.mode, state.terms.mode_source) == ("defensive", "operator:Ada")
    launch(small, "flatten_only", "order_flatten_only", portfolio="main", until=until(small), by="Ada", reason="storm")
    assert state_of(small).terms.flatten == "operator:Ada"
    launch(small, "release", "order_release", portfolio="main", by="Bob", reason="calm")
    assert not state_of(small).terms.orders and not state_of(small).terms.flatten


def test_a_limit_is_overridden_until_its_end(small):
    run_cycle(small)
    config = {"portfolio": "main", "rule": "symbol", "scope": "AAA", "limit": "1%", "until": until(small), "by": "Ada", "reason": "thin"}
    launch(small, "override_limit", "order_limit", **config)
    state = state_of(small)
    cap = state.terms.cap("risk", "symbol", "AAA")
    assert cap is not None and cap.amount == state.terms.facts.equity // 100 and cap.source == "operator:Ada"
    later = at(small, LAST + 3 * DAY)
    run_cycle(later)
    assert state_of(later).terms.cap("risk", "symbol", "AAA").source == "policy"


@pytest.mark.parametrize(
    ("job", "op", "config"),
    [
        ("set_mode", "order_mode", {"portfolio": "main", "mode": "reckless"}),
        ("set_mode", "order_mode", {"portfolio": "nobody", "mode": "normal"}),
        ("override_limit", "order_limit", {"portfolio": "main", "rule": "symbol", "limit": "much"}),
        ("override_limit", "order_limit", {"portfolio": "main", "rule": "luck", "limit": "1"}),
        ("override_limit", "order_limit", {"portfolio": "main", "rule": "heat", "limit": "-1"}),
    ],
)
def test_what_cannot_be_ordered_is_refused_and_changes_nothing(small, job, op, config):
    run_cycle(small)
    before = state_of(small)
    launch(small, job, op, succeeds=False, **config, until=until(small), by="Ada", reason="r")
    launch(small, "flatten_only", "order_flatten_only", succeeds=False, portfolio="main", until="2010-01-01", by="Ada", reason="r")
    launch(small, "release", "order_release", succeeds=False, portfolio="main", order="none", by="Ada", reason="r")
    assert state_of(small) == before


def test_a_live_portfolio_takes_orders_only_under_a_signature_of_exactly_what_is_ordered(small, tmp_path):
    lines = ["portfolio,mode,base_currency", "main,live,USD"]
    import_paths(small, [written(tmp_path / "live", "portfolios.csv", lines)])
    build_all(small)
    run_cycle(small)
    assert state_of(small).live
    config = {"portfolio": "main", "until": until(small), "by": "Ada", "reason": "storm"}
    launch(small, "flatten_only", "order_flatten_only", succeeds=False, **config)
    add_operator(small, "Ada", key_out=tmp_path / "ada.key")
    key = read_key(tmp_path / "ada.key")
    token = sign_order(small, Wanted("main", "flatten", "storm", config["until"]), key).token
    launch(small, "flatten_only", "order_flatten_only", succeeds=False, **config | {"until": until(small, 5)}, signature=token)
    token = sign_order(small, Wanted("main", "flatten", "storm", config["until"]), key).token
    launch(small, "flatten_only", "order_flatten_only", **config, signature=token)
    assert state_of(small).terms.flatten == "operator:Ada"
    launch(small, "flatten_only", "order_flatten_only", succeeds=False, **config, signature=token)  # it was handed in before
    with small.book.reading() as connection:
        handed_in = approvals.listed(connection, "order:main:flatten")
    assert [(one.state, one.code) for one in handed_in] == [
        *(("refused", "unsigned"), ("refused", "other_hash"), ("accepted", ""), ("refused", "replayed")),
    ]
