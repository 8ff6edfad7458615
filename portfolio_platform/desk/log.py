"""The desk's streams in the book: writing events once, and reading them back typed. Everything here is called in a transaction.

Who reads, decides and writes takes the right to write first (`book.engine.take_log_lock`), so that what was read still holds.
"""

from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import NamedTuple
from urllib.parse import quote, unquote

import orjson
from immutables import Map
from sqlalchemy import Connection, select

from portfolio_platform.book import schema
from portfolio_platform.book.events import NewEvent, StoredEvent, append, by_keys
from portfolio_platform.desk.events import NAMES, PAPERS, DeskEvent, Names, PapersKept, decode_event, encode_event, stream_of
from portfolio_platform.desk.model import PlanState, replay
from portfolio_platform.errors import DataProblem, WrongUse
from portfolio_platform.orchestrator.papers import PlanPapers

_LOG = schema.events.c
ROWS_AT_ONCE = 500


class Entry(NamedTuple):
    """An event with its place: in the log, in its stream; and when it was recorded, ISO text in UTC."""

    seq: int
    version: int
    recorded_at: str
    event: DeskEvent


def key_of(event: DeskEvent, what: str) -> str:
    """Return the identity of an event that happens once to a plan, such as ``made``; with further text, of one that happens more often."""
    return f"plan/{quote(event.execution_id, safe='')}/{what}"


def write(
    connection: Connection, portfolio: str, events: Sequence[tuple[DeskEvent, str]], *, at: datetime, names: Names = NAMES
) -> list[StoredEvent]:
    """Append events to a portfolio's stream, each with its identity (see `key_of`); one that is there is not written again.

    Args:
        connection: a writer's transaction.
        portfolio: whose.
        events: each with its key.
        at: the time of recording.
        names: the types of these events by their name in the log.

    Raises:
        IdempotencyConflict: a key is known with other content.
    """
    stream = stream_of(portfolio)
    return append(connection, [NewEvent(stream, *encode_event(event, names), key) for event, key in events], recorded_at=at)


def entries(connection: Connection, portfolio: str, names: Names = NAMES, *, after: int = 0) -> Iterator[Entry]:
    """Yield the events of a portfolio's stream after a version, in their order; those of other types as `events.Other`."""
    query = select(_LOG.seq, _LOG.version, _LOG.recorded_at, _LOG.type, _LOG.content)
    query = query.where(_LOG.stream == stream_of(portfolio), _LOG.version > after).order_by(_LOG.version)
    with connection.execute(query.execution_options(yield_per=ROWS_AT_ONCE)) as rows:
        for seq, version, recorded_at, name, content in rows:
            yield Entry(seq, version, recorded_at, decode_event(name, orjson.loads(content)["data"], names))


def plans_of(connection: Connection, portfolio: str) -> "Map[str, PlanState]":
    """Return a portfolio's plans, by execution id."""
    return replay(entry.event for entry in entries(connection, portfolio))


def portfolios(connection: Connection) -> list[str]:
    """Return the portfolios that a plan was ever made for, sorted."""
    query = select(_LOG.stream).where(_LOG.type == "plan_made").distinct()
    return sorted(unquote(stream.partition("/")[2]) for (stream,) in connection.execute(query))


def portfolio_of(connection: Connection, execution_id: str) -> str:
    """Return the portfolio of a plan. Raises `WrongUse` where there is no such plan."""
    key = f"plan/{quote(execution_id, safe='')}/made"
    stored = by_keys(connection, [key]).get(key)
    if stored is None:
        raise WrongUse(f"there is no plan {execution_id!r}; `portfolio orchestrate list` names them")
    return unquote(stored.stream.partition("/")[2])


def keep_papers(connection: Connection, papers: PlanPapers, *, ns: int, at: datetime) -> None:
    """Write the papers of a plan into its own stream, once."""
    event = PapersKept(ns, papers.execution_id, papers.canonical().decode())
    name, data = encode_event(event, {PAPERS: PapersKept})
    stream = stream_of(papers.plan.portfolio, papers.execution_id)
    append(connection, [NewEvent(stream, name, data, key_of(event, "papers"))], recorded_at=at)


def papers_of(connection: Connection, execution_id: str) -> PlanPapers:
    """Return the papers of a plan. Raises `WrongUse` where there is no such plan, `DataProblem` where they are not as they were written."""
    key = f"plan/{quote(execution_id, safe='')}/papers"
    stored = by_keys(connection, [key]).get(key)
    if stored is None:
        raise WrongUse(f"there is no plan {execution_id!r}; `portfolio orchestrate list` names them")
    event = decode_event(stored.type, stored.data, {PAPERS: PapersKept})
    assert isinstance(event, PapersKept), "the key is that of papers"
    papers = PlanPapers.model_validate(orjson.loads(event.papers))
    if papers.canonical().decode() != event.papers or papers.execution_id != execution_id:
        raise DataProblem(f"the papers of plan {execution_id!r} cannot be read back as they were written; make a new plan")
    return papers
