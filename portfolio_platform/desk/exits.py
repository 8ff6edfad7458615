"""Stops and profit targets watched against the bars of the lake, at the cadence of the monitor: what is touched is logged and told once."""

from collections.abc import Iterable
from datetime import datetime, timedelta
from decimal import Decimal

import pyarrow as pa
import pyarrow.compute as pc

from portfolio_platform.book.engine import take_log_lock
from portfolio_platform.days import nanoseconds
from portfolio_platform.desk import notices
from portfolio_platform.desk.after_execution import portfolio_now
from portfolio_platform.desk.execution_events import ExecutionState, ExitTouched, instant, keep, state_of
from portfolio_platform.desk.executions import executions
from portfolio_platform.home import Home
from portfolio_platform.lake import active
from portfolio_platform.lake.facts import BARS
from portfolio_platform.orchestrator.amounts import plain
from portfolio_platform.orchestrator.exits import ExitWatch, PriceBar, Touch, touches, watches_of

BEFORE = timedelta(days=14)
"""How far before an entry bars are read, so that it is known when the first of them opened."""


def watch_exits(home: Home) -> list[Touch]:
    """Hold the stops and targets of every execution against the bars that came since; return what was touched for the first time.

    Each touch is one event, and one alert through the outbox. What the portfolio does not hold any more is not watched.

    Raises:
        StoreProblem: lake or book cannot be read or written.
    """
    found: list[Touch] = []
    for portfolio, plan in executions(home):
        if not plan.begun_at:
            continue
        with home.book.reading() as connection:
            state = state_of(connection, plan.execution_id)
        found += _watch(home, portfolio, state)
    return found


def open_watches(home: Home, state: ExecutionState) -> tuple[ExitWatch, ...]:
    """Return what is still watched of an execution: not touched by its stop or last target, and held."""
    watches = []
    for watch in watches_of(state.executed):
        gone = [one for one in state.touched if one.trade_id == watch.trade_id]
        stopped = any(one.kind == "stop" for one in gone)
        out = bool(watch.targets) and {one.level for one in gone if one.kind == "target"} >= set(watch.targets)
        if not stopped and not out:
            watches.append(watch)
    if not watches:
        return ()
    held = {ticker for _, ticker in portfolio_now(home, state, home.clock.now())[0].quantities}
    return tuple(watch for watch in watches if watch.ticker in held)


def _watch(home: Home, portfolio: str, state: ExecutionState) -> list[Touch]:
    now = home.clock.now()
    watches = open_watches(home, state)
    since = min((watch.entered_at for watch in watches), default=now) - BEFORE
    bars = bars_of(home, {watch.ticker for watch in watches}, since, now)
    fresh = [one for watch in watches for one in touches(watch, bars[watch.ticker], state.touched)]
    for one in fresh:
        event = ExitTouched(
            nanoseconds(one.at), one.execution_id, one.trade_id, one.ticker, one.kind,
            f"{one.level:f}", f"{one.low:f}", f"{one.high:f}", f"{one.close:f}", one.both,
        )  # fmt: skip
        with home.book.writing() as connection:
            take_log_lock(connection)
            known = {touch.key for touch in state_of(connection, state.execution_id).touched}
            if one.key not in known:
                keep(connection, portfolio, event, f"exit/{one.key}", at=now)
    for one in (*state.touched, *fresh):
        _tell(home, portfolio, one)
    return fresh


def _tell(home: Home, portfolio: str, one: Touch) -> None:
    what = "stop-loss" if one.kind == "stop" else "profit target"
    extreme = f"low {one.low:f}" if one.kind == "stop" else f"high {one.high:f}"
    both = "; the bar held a target as well" if one.both else ""
    sentence = (
        f"{portfolio}: {one.ticker} touched the {what} {one.level:f} of {one.trade_id} on {one.at:%Y-%m-%d %H:%M} UTC "
        f"({extreme}, close {one.close:f}{both})."
    )
    action = (
        f"Trade-Executor: see whether the order at the broker was filled, import its fill, and resolve this. Execution {one.execution_id}."
    )
    notices.alert_once(home, notices.EXIT, one.key, "critical" if one.kind == "stop" else "warning", sentence, action)


def bars_of(home: Home, symbols: Iterable[str], since: datetime, until: datetime) -> dict[str, list[PriceBar]]:
    """Return the closed bars of symbols after a time and up to another, by symbol, in their order.

    A bar opens at the earliest when the one before it closed; of the first that is not known, and it counts from ``since``. A bar
    without high or low has those of its close.
    """
    wanted: dict[str, list[PriceBar]] = {symbol: [] for symbol in symbols}
    if not wanted:
        return wanted
    columns = ("symbol", "ts", "high", "low", "close")
    rows = active.read(home.lake, BARS, columns, after_ts=nanoseconds(since), until_ts=nanoseconds(until))
    rows = rows.filter(pc.is_in(rows["symbol"], pa.array(sorted(wanted)))).sort_by("ts")
    for row in rows.to_pylist():
        close = plain(row["close"])
        low, high = plain(row["low"] or close), plain(row["high"] or close)
        own = wanted[row["symbol"]]
        before = own[-1].closed_at if own else since
        own.append(PriceBar(row["symbol"], before, instant(row["ts"]), min(low, close), max(high, close), close))
    return wanted


def newest_prices(home: Home, symbols: Iterable[str]) -> dict[str, Decimal]:
    """Return the newest close of symbols, of the last forty-five days."""
    now = home.clock.now()
    found = bars_of(home, symbols, now - timedelta(days=45), now)
    return {symbol: bars[-1].close for symbol, bars in found.items() if bars}
