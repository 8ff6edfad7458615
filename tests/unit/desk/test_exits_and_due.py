"""Stops and targets against the bars of the lake, and what falls due after an execution: each is logged and told once."""

from datetime import timedelta
from decimal import Decimal
from pathlib import Path

import pytest

from portfolio_platform.book import alerts as book
from portfolio_platform.desk import exits, notices
from portfolio_platform.desk.due import alert_due, due_items, mark_done
from portfolio_platform.desk.execution_status import execution_report
from portfolio_platform.desk.exits import open_watches, watch_exits
from portfolio_platform.desk.prepare import Prepared
from portfolio_platform.errors import WrongUse
from portfolio_platform.home import Home
from portfolio_platform.sources.pipeline import import_paths
from tests.unit.desk.desk_examples import at
from tests.unit.desk.execution_examples import approved, events, everything, recommended, row, state, told

DAY = 1440
"""Minutes."""


def bars(home: Home, folder: Path, *given: tuple[int, str, str, str]) -> None:
    """Import bars of NVDA: days after the samples' (closing at 21:00), low, high, close; a first one before the entry."""
    days = [(-1, "150", "150", "150"), *given]
    lines = ["symbol,ts,open,high,low,close,volume"]
    for day, low, high, close in days:
        when = (at(home).clock.now().date() + timedelta(days=day)).isoformat()
        lines.append(f"NVDA,{when}T21:00:00Z,{close},{high},{low},{close},1000")
    path = folder / f"bars-{len(given)}-{given[-1][0] if given else 0}.csv"
    path.write_text("\n".join(lines) + "\n")
    import_paths(at(home, 30 * DAY), [path])


def bought(home: Home) -> Prepared:
    """The recommended stock, bought as planned; its stop is 135, its targets 170 and 190."""
    made = recommended(home)
    plan = made.papers.plan
    rows = [row(plan, one.trade_id, stop_price="135", profit_targets="170 190") for one in plan.trades]
    told(at(home, 10), made, *rows)
    return made


def open_alerts(home: Home, rule: str) -> list[str]:
    with home.book.reading() as connection:
        return [one.said["sentence"] for one in book.open_alerts(connection) if one.rule == rule]


def test_a_touched_target_and_then_the_stop_are_logged_and_told_once_each(desk: Home, tmp_path: Path) -> None:
    made = bought(desk)
    bars(desk, tmp_path, (0, "1", "999", "150"), (1, "140", "171", "160"))
    found = watch_exits(at(desk, 2 * DAY))
    assert [(one.kind, one.level, one.both) for one in found] == [("target", Decimal(170), False)]
    bars(desk, tmp_path, (2, "134.5", "195", "150"), (3, "100", "100", "100"))
    assert [(one.kind, one.level, one.both) for one in watch_exits(at(desk, 5 * DAY))] == [("stop", Decimal(135), True)]
    assert watch_exits(at(desk, 6 * DAY)) == []
    assert events(desk).count("exit_touched") == 2
    told_of = open_alerts(desk, notices.EXIT)
    assert len(told_of) == 2 and "NVDA touched the stop-loss 135" in told_of[0] + told_of[1]
    assert open_watches(at(desk, 6 * DAY), state(desk, made)) == ()


def test_killed_between_the_event_and_the_alert_the_alert_comes_with_the_next_look(desk: Home, tmp_path: Path, monkeypatch) -> None:
    bought(desk)
    bars(desk, tmp_path, (0, "150", "150", "150"), (1, "130", "150", "150"))

    def killed(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as broken:
        broken.setattr(exits, "_tell", killed)
        with pytest.raises(KeyboardInterrupt):
            watch_exits(at(desk, 2 * DAY))
    assert open_alerts(desk, notices.EXIT) == []
    assert watch_exits(at(desk, 2 * DAY)) == []
    assert len(open_alerts(desk, notices.EXIT)) == 1


def test_what_was_sold_is_not_watched_any_more(desk: Home, tmp_path: Path) -> None:
    made = bought(desk)
    plan = made.papers.plan
    when = at(desk, 8).clock.now().isoformat()
    sold = [
        {"ticker": "NVDA", "side": "sell", "account": one.account, "quantity": f"{one.quantity:f}", "price": "150", "at": when}
        for one in plan.trades
    ]
    told(at(desk, 10), made, *sold)
    bars(desk, tmp_path, (0, "150", "150", "150"), (1, "130", "150", "150"))
    assert watch_exits(at(desk, 2 * DAY)) == []


def test_the_status_shows_how_far_stop_and_targets_are_from_the_newest_price(desk: Home, tmp_path: Path) -> None:
    made = bought(desk)
    bars(desk, tmp_path, (0, "150", "150", "150"), (1, "140", "171", "160"))
    watch_exits(at(desk, 2 * DAY))
    shown = execution_report(at(desk, 2 * DAY), state(desk, made)).exits
    assert [(one.kind, one.level, one.distance_pct, one.touched_at is not None) for one in shown[:3]] == [
        ("stop", 135, Decimal("15.62"), False), ("target", 170, Decimal("6.25"), True), ("target", 190, Decimal("18.75"), False),
    ]  # fmt: skip


def test_items_fall_due_after_an_execution_alert_once_and_are_marked_as_done_by_somebody(desk: Home) -> None:
    made = approved(desk)
    assert due_items(desk) == []
    everything(at(desk, 30), made)
    found = {one.item.kind: one.item.due_on.isoformat() for one in due_items(at(desk, 30))}
    assert found == {
        "daily_allocation": "2026-01-06", "next_review": "2026-01-06", "weekly_rebalancing": "2026-01-12", "quarterly_thesis": "2026-04-06",
    }  # fmt: skip
    assert alert_due(at(desk, 30)) == []
    tomorrow = at(desk, DAY)
    assert {one.item.kind for one in alert_due(tomorrow)} == {"daily_allocation", "next_review"}
    assert alert_due(tomorrow) == []
    assert len(open_alerts(desk, notices.DUE)) == 2
    daily = next(one.item.item_id for one in due_items(tomorrow) if one.item.kind == "daily_allocation")
    mark_done(tomorrow, daily, by="ann", note="all fine")
    assert len(open_alerts(desk, notices.DUE)) == 1
    assert next(one.item.due_on.isoformat() for one in due_items(tomorrow) if one.item.kind == "daily_allocation") == "2026-01-07"
    with pytest.raises(WrongUse, match="was done by ann on 2026-01-06 already"):
        mark_done(tomorrow, daily, by="bob")
    with pytest.raises(WrongUse, match="is no open item"):
        mark_done(tomorrow, "nothing", by="bob")
    assert events(desk).count("due_done") == 1


def test_stops_that_were_placed_are_tracked(desk: Home) -> None:
    bought(desk)
    assert "stop_tracking" in {one.item.kind for one in due_items(at(desk, DAY))}
