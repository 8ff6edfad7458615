"""A portfolio's stream in the book: reading its events in order, and writing what a batch adds."""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any
from urllib.parse import quote

import orjson
from sqlalchemy import Connection, select

from portfolio_platform.book import schema, statements
from portfolio_platform.book.events import NewEvent, StoredEvent
from portfolio_platform.control.audit import Placed
from portfolio_platform.control.events import ENVELOPE_ISSUED, NAMES, Event, decode, decode_envelope, encode, stream_of
from portfolio_platform.control.model import Envelope

_LOG = schema.events.c
_AFTER = select(_LOG.seq, _LOG.version, _LOG.type, _LOG.content).order_by(_LOG.version)
ROWS_AT_ONCE = 2_000
PAPER_RUN = "paper/"
"""How the stream of a portfolio's paper run begins; its name follows."""


def events_after(connection: Connection, portfolio: str, version: int = 0, *, brief: bool = False) -> Iterator[Placed]:
    """Yield the events of a portfolio's stream after a version, in their order; rows are fetched as needed.

    ``brief`` leaves the headrooms of decisions out: for a state, which does not need them.
    """
    query = _AFTER.where(_LOG.stream == stream_of(portfolio), _LOG.version > version)
    with connection.execute(query.execution_options(yield_per=ROWS_AT_ONCE)) as rows:
        for seq, at, name, content in rows:
            yield tuple.__new__(Placed, (seq, at, decode(name, orjson.loads(content)["data"], brief=brief)))


def hash_of(connection: Connection, portfolio: str, version: int) -> str:
    """Return the hash of an event of a portfolio's stream by its version; empty where there is none."""
    query = select(_LOG.hash).where(_LOG.stream == stream_of(portfolio), _LOG.version == version)
    return connection.execute(query).scalar_one_or_none() or ""


def newest_first(connection: Connection, portfolio: str) -> Iterator[Placed]:
    """Yield the events of a portfolio's stream from its end back, decisions without headrooms; rows are fetched as needed."""
    query = select(_LOG.seq, _LOG.version, _LOG.type, _LOG.content).where(_LOG.stream == stream_of(portfolio))
    with connection.execute(query.order_by(_LOG.version.desc()).execution_options(yield_per=100)) as rows:
        for seq, at, name, content in rows:
            yield Placed(seq, at, decode(name, orjson.loads(content)["data"], brief=True))


def envelopes_of(connection: Connection, portfolio: str) -> dict[tuple[str, int], Envelope]:
    """Return every envelope that was issued to a symbol of a portfolio, by symbol and version."""
    prefix = stream_of(portfolio, "")
    query = select(_LOG.content).where(_LOG.type == ENVELOPE_ISSUED, _LOG.stream.startswith(prefix, autoescape=True)).order_by(_LOG.seq)
    found = (decode_envelope(_data(content)) for (content,) in connection.execute(query.execution_options(yield_per=ROWS_AT_ONCE)))
    return {(one.symbol, one.version): one for one in found}


def opened_portfolios(connection: Connection) -> list[str]:
    """Return the portfolios that the control plane is in charge of, sorted."""
    query = select(_LOG.content).where(_LOG.type == "control_opened").order_by(_LOG.seq)
    return sorted({_name(orjson.loads(content)["stream"]) for (content,) in connection.execute(query)})


def driven_by_bars(connection: Connection, portfolios: Iterable[str]) -> frozenset[str]:
    """Return which of these portfolios a paper run takes through time: their clock is that of their bars, and no cycle is theirs."""
    streams = {f"{PAPER_RUN}{quote(name, safe='')}": name for name in portfolios}
    return frozenset(streams[one] for one in statements.versions(connection, sorted(streams)))


def new_event(portfolio: str, event: Event, key: str, left: Mapping[str, int] | None = None) -> NewEvent:
    """Return an event as the log takes it; ``left`` says what it leaves of reservations, for those who read the log alone."""
    data = encode(event)
    if left:
        data["left"] = dict(left)
    return NewEvent(stream_of(portfolio), NAMES[type(event)], data, key)


def stored_event(stored: StoredEvent) -> Event:
    """Return the typed event behind a stored one."""
    return decode(stored.type, _data(stored.content))


def _data(content: bytes) -> Mapping[str, Any]:
    data: Mapping[str, Any] = orjson.loads(content)["data"]
    return data


def _name(stream: str) -> str:
    from urllib.parse import unquote

    return unquote(stream.split("/")[1])
