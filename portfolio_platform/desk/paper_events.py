"""What the log keeps of an execution on paper: how it began, and every input since; the rest is worked out from these again.

Each is in the execution's own stream, ``paper/<portfolio>/<execution id>``, with the form of `portfolio_platform.codec`.
"""

from collections.abc import Sequence
from datetime import datetime
from typing import NamedTuple, TypeAlias
from urllib.parse import quote, unquote

import orjson
from sqlalchemy import Connection, select

from portfolio_platform.book import schema
from portfolio_platform.book.events import NewEvent, append, by_keys
from portfolio_platform.broker.model import Bar, Filled
from portfolio_platform.desk.events import decode_event, encode_event
from portfolio_platform.errors import WrongUse
from portfolio_platform.orchestrator.loop_model import Decided, Overdue, Started

Input: TypeAlias = Started | Bar | Decided | Overdue
STEP = "paper_step"


class PaperBegun(NamedTuple):
    """An execution on paper begins.

    Attributes:
        at: of the loop's first event, ns UTC.
        execution_id, portfolio: which, and whose.
        by: who had it begun.
        profile: the policy profile as canonical JSON.
        snapshot: the portfolio that it begins with, as canonical JSON.
        slippage, fee: of the paper broker, parts per million.
        seed: of the paper broker's draws.
        plan: whether it executes a plan of the desk.
    """

    at: int
    execution_id: str
    portfolio: str
    by: str
    profile: str
    snapshot: str
    slippage: int
    fee: int
    seed: int
    plan: bool


class PaperStep(NamedTuple):
    """The inputs of one instant, what was filled by them, and the hash of loop and broker after it."""

    at: int
    execution_id: str
    number: int
    inputs: tuple[Input, ...]
    fills: tuple[Filled, ...]
    after: str


_NAMES = {"paper_begun": PaperBegun, STEP: PaperStep}
_LOG = schema.events.c


def stream_of(portfolio: str, execution_id: str) -> str:
    """Return the stream of an execution on paper."""
    return f"paper/{quote(portfolio, safe='')}/{quote(execution_id, safe='')}"


def begun_key(execution_id: str) -> str:
    """Return the identity of an execution's beginning."""
    return f"paper/{quote(execution_id, safe='')}/begun"


def keep(connection: Connection, portfolio: str, events: Sequence[PaperBegun | PaperStep], *, at: datetime) -> None:
    """Append events, each once."""
    made = []
    for event in events:
        what = begun_key(event.execution_id)
        key = what if isinstance(event, PaperBegun) else f"{what.removesuffix('begun')}step/{event.number}"
        made.append(NewEvent(stream_of(portfolio, event.execution_id), *encode_event(event, _NAMES), key))
    append(connection, made, recorded_at=at)


def found(connection: Connection, execution_id: str) -> PaperBegun | None:
    """Return how an execution on paper began; None where it did not."""
    stored = by_keys(connection, [begun_key(execution_id)]).get(begun_key(execution_id))
    if stored is None:
        return None
    event = decode_event(stored.type, stored.data, _NAMES)
    assert isinstance(event, PaperBegun), "the key is that of a beginning"
    return event


def steps(connection: Connection, begun: PaperBegun) -> list[PaperStep]:
    """Return the steps of an execution, in their order."""
    query = select(_LOG.type, _LOG.content).where(_LOG.stream == stream_of(begun.portfolio, begun.execution_id)).order_by(_LOG.version)
    events = (decode_event(name, orjson.loads(content)["data"], _NAMES) for name, content in connection.execute(query))
    return [event for event in events if isinstance(event, PaperStep)]


def listed(connection: Connection, portfolio: str | None = None) -> list[PaperBegun]:
    """Return the executions on paper, of a portfolio or of all, in the order in which they began."""
    query = select(_LOG.stream, _LOG.content).where(_LOG.type == "paper_begun").order_by(_LOG.seq)
    made = []
    for stream, content in connection.execute(query):
        if portfolio is None or unquote(stream.split("/")[1]) == portfolio:
            event = decode_event("paper_begun", orjson.loads(content)["data"], _NAMES)
            assert isinstance(event, PaperBegun), "the type says so"
            made.append(event)
    return made


def fills_after(connection: Connection, seq: int, most: int) -> list[tuple[int, PaperStep]]:
    """Return the steps after a place of the log that filled something, of every execution, with their places."""
    query = select(_LOG.seq, _LOG.content).where(_LOG.seq > seq, _LOG.type == STEP).order_by(_LOG.seq).limit(most)
    made = []
    for place, content in connection.execute(query):
        event = decode_event(STEP, orjson.loads(content)["data"], _NAMES)
        assert isinstance(event, PaperStep), "the type says so"
        made.append((place, event))
    return made


def named(connection: Connection, execution_id: str) -> PaperBegun:
    """Return how an execution on paper began. Raises `WrongUse` where it did not."""
    begun = found(connection, execution_id)
    if begun is None:
        raise WrongUse(f"there is no execution on paper {execution_id!r}; begin one with `portfolio execution paper --queue FILE`")
    return begun
