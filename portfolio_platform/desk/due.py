"""Due items of a portfolio after its executions: what is open, what was done by whom, and the alerts when a day has come."""

from collections.abc import Iterator
from datetime import date, timedelta
from typing import NamedTuple
from urllib.parse import quote

import orjson
from sqlalchemy import Connection, select

from portfolio_platform.book import schema
from portfolio_platform.book.engine import take_log_lock
from portfolio_platform.book.events import NewEvent, append
from portfolio_platform.book.read_models import require_name
from portfolio_platform.days import nanoseconds, to_number
from portfolio_platform.desk import log, notices
from portfolio_platform.desk.events import decode_event, encode_event
from portfolio_platform.desk.execution_events import ExecutionState, instant, state_of
from portfolio_platform.desk.executions import executions
from portfolio_platform.errors import WrongUse
from portfolio_platform.home import Home
from portfolio_platform.ledger.calendars import sessions
from portfolio_platform.orchestrator.due import Anchor, Done, DueItem, Sessions, items
from portfolio_platform.orchestrator.exits import watches_of

AHEAD = timedelta(days=430)
"""How far ahead trading days are looked up: a year and two months."""
OVER = ("executed", "partly_executed")


class DueDone(NamedTuple):
    """A person did an item: the day, the name, and what they found."""

    at: int
    execution_id: str
    item_id: str
    on: str
    by: str
    note: str


_TYPE = "due_done"
_NAMES = {_TYPE: DueDone}


class Owed(NamedTuple):
    """An open item and the portfolio that it is of."""

    portfolio: str
    item: DueItem
    is_due: bool


def stream_of(portfolio: str) -> str:
    """Return the stream of what was done of a portfolio's due items."""
    return f"due/{quote(portfolio, safe='')}"


def due_items(home: Home, portfolio: str | None = None) -> list[Owed]:
    """Return the open items of a portfolio, or of all, by day."""
    found: dict[str, list[ExecutionState]] = {}
    for name, plan in executions(home, portfolio):
        if plan.closed is not None and plan.closed.outcome in OVER:
            with home.book.reading() as connection:
                found.setdefault(name, []).append(state_of(connection, plan.execution_id))
    owed = []
    for name, states in found.items():
        with home.book.reading() as connection:
            done = list(_done(connection, name))
        anchors = [_anchor(state) for state in states]
        rules = states[-1].papers.profile
        days = _sessions(rules.freshness.calendar, min(anchor.on for anchor in anchors), home.today)
        owed += [Owed(name, item, item.is_due(home.today)) for item in items(anchors, done, days, rules.due)]
    return sorted(owed, key=lambda one: (one.item.due_on, one.portfolio, one.item.item_id))


def _anchor(state: ExecutionState) -> Anchor:
    assert state.plan.closed is not None, "only what is over is counted from"
    bought = any(one.filled and one.trade.side == "buy" for one in state.executed.trades)
    return Anchor(state.execution_id, instant(state.plan.closed.at).date(), bought, bool(watches_of(state.executed)))


def _sessions(calendar: str, first: date, today: date) -> Sessions:
    return Sessions(tuple(int(day) for day in sessions(calendar, to_number(first), to_number(max(first, today) + AHEAD))))


def _done(connection: Connection, portfolio: str) -> Iterator[Done]:
    table = schema.events.c
    query = select(table.type, table.content).where(table.stream == stream_of(portfolio)).order_by(table.version)
    for name, content in connection.execute(query):
        event = decode_event(name, orjson.loads(content)["data"], _NAMES)
        if isinstance(event, DueDone):
            yield Done(event.item_id, date.fromisoformat(event.on), event.by, event.note)


def mark_done(home: Home, item_id: str, *, by: str, note: str = "") -> Owed:
    """Record that a person did an open item, once; return it. The next of its kind is counted from today.

    Raises:
        WrongUse: there is no such open item, or nobody is named.
    """
    name = require_name(by)
    owed = next((one for one in due_items(home) if one.item.item_id == item_id), None)
    if owed is None:
        already = _who(home, item_id)
        said = f"was done by {already.by} on {already.on} already" if already is not None else "is no open item"
        raise WrongUse(f"{item_id!r} {said}; `portfolio execution due` lists what is open")
    now = home.clock.now()
    event = DueDone(nanoseconds(now), owed.item.execution_id, item_id, home.today.isoformat(), name, note.strip())
    kind, data = encode_event(event, _NAMES)
    with home.book.writing() as connection:
        take_log_lock(connection)
        if not any(one.item_id == item_id for one in _done(connection, owed.portfolio)):
            append(connection, [NewEvent(stream_of(owed.portfolio), kind, data, f"due/{quote(item_id, safe='')}/done")], recorded_at=now)
    notices.settled(home, notices.DUE, item_id)
    return owed


def _who(home: Home, item_id: str) -> Done | None:
    with home.book.reading() as connection:
        for portfolio in log.portfolios(connection):
            found = next((one for one in _done(connection, portfolio) if one.item_id == item_id), None)
            if found is not None:
                return found
    return None


def alert_due(home: Home) -> list[Owed]:
    """Tell people of every item whose day has come, once each; return those that were told now. What is superseded is ended."""
    told = []
    owed = due_items(home)
    for one in owed:
        if not one.is_due:
            continue
        sentence = f"{one.portfolio}: {one.item.title} (due on {one.item.due_on}, after execution {one.item.execution_id})."
        action = f"Portfolio-Orchestrator: do it, then `portfolio execution due --done {one.item.item_id} --by NAME`."
        if notices.alert_once(home, notices.DUE, one.item.item_id, "warning", sentence, action):
            told.append(one)
    notices.settle_others(home, notices.DUE, {one.item.item_id for one in owed})
    return told
