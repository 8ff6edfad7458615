"""A portfolio's stream in the book: reading its events in order, and writing what a batch adds."""

from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

import orjson
from sqlalchemy import Connection, select

from portfolio_platform.book import schema
from portfolio_platform.book.events import NewEvent, StoredEvent
from portfolio_platform.control.events import NAMES, Event, decode, encode, stream_of

_LOG = schema.events.c
_AFTER = select(_LOG.seq, _LOG.version, _LOG.type, _LOG.content).order_by(_LOG.version)
ROWS_AT_ONCE = 2_000


class Logged(NamedTuple):
    """An event of a portfolio's stream and its place: number in the log, version in the stream."""

    seq: int
    version: int
    event: Event


def events_after(connection: Connection, portfolio: str, version: int = 0) -> Iterator[Logged]:
    """Yield the events of a portfolio's stream after a version, in their order; rows are fetched as needed."""
    query = _AFTER.where(_LOG.stream == stream_of(portfolio), _LOG.version > version)
    with connection.execute(query.execution_options(yield_per=ROWS_AT_ONCE)) as rows:
        for seq, at, name, content in rows:
            yield Logged(seq, at, decode(name, orjson.loads(content)["data"]))


def opened_portfolios(connection: Connection) -> list[str]:
    """Return the portfolios that the control plane is in charge of, sorted."""
    query = select(_LOG.content).where(_LOG.type == "control_opened").order_by(_LOG.seq)
    return sorted({_name(orjson.loads(content)["stream"]) for (content,) in connection.execute(query)})


def new_event(portfolio: str, event: Event, key: str) -> NewEvent:
    """Return an event as the log takes it."""
    return NewEvent(stream_of(portfolio), NAMES[type(event)], encode(event), key)


def stored_event(stored: StoredEvent) -> Event:
    """Return the typed event behind a stored one."""
    return decode(stored.type, _data(stored.content))


def _data(content: bytes) -> Mapping[str, Any]:
    data: Mapping[str, Any] = orjson.loads(content)["data"]
    return data


def _name(stream: str) -> str:
    from urllib.parse import unquote

    return unquote(stream.split("/")[1])
