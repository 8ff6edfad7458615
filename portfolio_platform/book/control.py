"""What the control plane's log says to the diagnostics, which know the book but not the control plane: reservations and releases.

A reservation is made by a decision, until its end. What a fill leaves of it, or a fill that came before its decision, is in the
event (``left``), so that the sums follow from the log alone; expiry needs no event, for the decision says when it is.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from typing import TYPE_CHECKING, Any, NamedTuple
from urllib.parse import quote

import orjson
from sqlalchemy import Connection, func, select

from portfolio_platform.book import schema
from portfolio_platform.days import day_number, to_date

if TYPE_CHECKING:
    from portfolio_platform.book.store import Book

DECIDED, FILLED, ENDED = "allocation_decided", "fill_recorded", "reservation_ended"
RELEASED, OPENED, ADOPTED = "risk_off_released", "control_opened", "policy_adopted"
RESERVING = (DECIDED, FILLED, ENDED)
"""The types of the events that change what is reserved."""
RELEASING = (RELEASED,)
"""The types of the events by which a live portfolio may leave risk-off."""
_LOG = schema.events.c


@dataclass(frozen=True)
class Decisions:
    """Whose decisions count, and up to which event: all of them, or those known when something was built before.

    Attributes:
        book: the book that has them.
        until: by stage, the last event that counts; a stage that is not in it has none. None where all count.
    """

    book: "Book"
    until: Mapping[str, int] | None = None

    def bound(self, stage: str) -> int | None:
        """Return the last event that a stage may see; None where it sees all."""
        return None if self.until is None else self.until.get(stage, 0)


class Touched(NamedTuple):
    """What is new in the log for a stage: its newest event, and the first day that any touches; None where nothing is new."""

    newest: int
    first_day: date | None


class Reserved(NamedTuple):
    """Risk in minor units and how many of them are one: 2 digits for cents."""

    amounts: tuple[int, ...]
    digits: int


@dataclass
class _Open:
    """Reservations by intent id: what is left, and when it ends."""

    held: dict[str, tuple[int, int]] = field(default_factory=dict)

    def take(self, kind: str, data: Mapping[str, Any]) -> None:
        if kind == DECIDED and data["decision"]["approved_risk"]:
            decision, name = data["decision"], data["intent"]["intent_id"]
            self.held[name] = (data.get("left", {}).get(name, decision["approved_risk"]), decision["expires_at"])
        elif kind == FILLED:
            for name, left in data.get("left", {}).items():
                if name in self.held:
                    self.held[name] = (left, self.held[name][1])
        elif kind == ENDED:
            self.held.pop(data["intent_id"], None)

    def at(self, end: int) -> int:
        """Return what is reserved at a time; what is over then is let go."""
        self.held = {name: one for name, one in self.held.items() if one[0] and one[1] > end}
        return sum(left for left, _ in self.held.values())


def stream(portfolio: str) -> str:
    """Return the name of a portfolio's control stream."""
    return f"control/{quote(portfolio, safe='')}"


def touched(connection: Connection, types: Sequence[str], after_seq: int, until_seq: int | None = None) -> Touched:
    """Return what events of these types say that is new after one of the log, up to another.

    A fill that touches no reservation says nothing, nor does a refusal, nor an expiry, which the decision told before.
    """
    query = select(_LOG.seq, _LOG.type, _LOG.content).where(_LOG.seq > after_seq, _LOG.type.in_(types)).order_by(_LOG.seq)
    if until_seq is not None:
        query = query.where(_LOG.seq <= until_seq)
    newest, first = after_seq, None
    with connection.execute(query.execution_options(yield_per=1_000)) as rows:
        for seq, kind, content in rows:
            data = orjson.loads(content)["data"]
            if _says_something(kind, data):
                newest, first = seq, data["at"] if first is None else min(first, data["at"])
    return Touched(newest, None if first is None else to_date(day_number(first)))


def reserved(connection: Connection, portfolio: str, ends: Sequence[int], until_seq: int | None = None) -> Reserved:
    """Return the risk that was reserved at some times, exactly: decided by then, and not filled, given up or over.

    Args:
        connection: any transaction.
        portfolio: whose.
        ends: nanoseconds UTC, ascending.
        until_seq: events of the log after this one do not count.
    """
    of = stream(portfolio)
    digits = _digits(connection, of)
    if digits is None or not len(ends):
        return Reserved((0,) * len(ends), digits or 0)
    # what is reserved at the first time was decided at most the longest reservation before it
    begin = _first_version(connection, of, int(ends[0]) - _longest(connection, of))
    query = select(_LOG.type, _LOG.content).where(_LOG.stream == of, _LOG.version >= begin, _LOG.type.in_(RESERVING))
    query = query.order_by(_LOG.version)
    if until_seq is not None:
        query = query.where(_LOG.seq <= until_seq)
    standing, amounts = _Open(), []
    with connection.execute(query.execution_options(yield_per=1_000)) as rows:
        events: Iterator[tuple[str, dict[str, Any]]] = ((kind, orjson.loads(content)["data"]) for kind, content in rows)
        waiting = next(events, None)
        for end in ends:
            while waiting is not None and waiting[1]["at"] <= end:
                standing.take(*waiting)
                waiting = next(events, None)
            amounts.append(standing.at(int(end)))
    return Reserved(tuple(amounts), digits)


def releases(connection: Connection, portfolio: str, until_seq: int | None = None) -> list[int]:
    """Return the times at which a person let a portfolio out of risk-off, nanoseconds UTC, ascending."""
    query = select(_LOG.content).where(_LOG.stream == stream(portfolio), _LOG.type == RELEASED)
    if until_seq is not None:
        query = query.where(_LOG.seq <= until_seq)
    return sorted(int(orjson.loads(content)["data"]["at"]) for content in connection.execute(query).scalars())


def _says_something(kind: str, data: Mapping[str, Any]) -> bool:
    if kind == DECIDED:
        return bool(data["decision"]["approved_risk"])
    if kind == FILLED:
        return bool(data.get("left"))
    return not (kind == ENDED and data["expired"])


def _digits(connection: Connection, of: str) -> int | None:
    content = connection.execute(select(_LOG.content).where(_LOG.stream == of, _LOG.version == 1)).scalar_one_or_none()
    return None if content is None else int(orjson.loads(content)["data"]["digits"])


def _longest(connection: Connection, of: str) -> int:
    """Return how long a reservation may have held under any policy that was adopted, nanoseconds."""
    query = select(_LOG.content).where(_LOG.stream == of, _LOG.type == ADOPTED)
    return max((int(orjson.loads(content)["data"]["limits"]["reservation"]) for content in connection.execute(query).scalars()), default=0)


def _first_version(connection: Connection, of: str, at: int) -> int:
    """Return the first version of a stream whose event is not before a time; the times of a stream never fall."""
    low, high = 1, (connection.execute(select(func.max(_LOG.version)).where(_LOG.stream == of)).scalar_one() or 0) + 1
    while low < high:
        middle = (low + high) // 2
        content = connection.execute(select(_LOG.content).where(_LOG.stream == of, _LOG.version == middle)).scalar_one()
        low, high = (low, middle) if orjson.loads(content)["data"]["at"] >= at else (middle + 1, high)
    return low
