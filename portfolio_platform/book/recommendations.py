"""Recommendations in the book: what was proposed, byte for byte, and what became of it.

What is recommended is decided in the lake (`recommendation_states`); the rules of what becomes of it are in
`monitor.lifecycle`. The content is the lake's canonical bytes; its events hold them as text.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

from sqlalchemy import Connection, select

from portfolio_platform.book import schema
from portfolio_platform.book.read_models import Change, all_of, load, load_by_id, write
from portfolio_platform.errors import WrongUse

PROPOSED, APPROVED, REJECTED = "recommendation_proposed", "recommendation_approved", "recommendation_rejected"
EXPIRED, SUPERSEDED, WITHDRAWN = "recommendation_expired", "recommendation_superseded", "recommendation_withdrawn"
"""The types of the events in the stream `recommendations/<portfolio>`."""

State = Literal["proposed", "approved", "rejected", "applied", "expired", "superseded", "withdrawn"]
OPEN: tuple[State, ...] = ("proposed", "approved", "applied")
"""States of a recommendation that still holds, or still may."""


@dataclass(frozen=True)
class Recommendation:
    """A recommendation as the book holds it. Days and times are ISO text.

    Attributes:
        id: portfolio and the day it was issued.
        issued, expires: its day, and the last day it holds.
        mode: the mode it recommends.
        content, content_hash: its canonical bytes and their SHA-256, which an approval names.
        state: what became of it.
        decided_by, decided_at, reason: who or which rule brought it to its state, when, and why.
        event_seq: the last event about it.
    """

    id: str
    portfolio: str
    issued: str
    expires: str
    mode: str
    content: bytes
    content_hash: str
    state: State = "proposed"
    decided_by: str = ""
    decided_at: str | None = None
    reason: str = ""
    event_seq: int = 0

    @property
    def is_open(self) -> bool:
        """Say whether it holds, or may still be approved."""
        return self.state in OPEN

    @property
    def said(self) -> dict[str, Any]:
        """Return the content."""
        content: dict[str, Any] = json.loads(self.content)
        return content


@dataclass(frozen=True)
class Step:
    """What happened to a recommendation: the type of its event, before and after."""

    type: str
    before: Recommendation | None
    after: Recommendation


def record(connection: Connection, steps: Sequence[Step], *, at: datetime) -> None:
    """Write steps, an event each. The same recommendation is proposed once: its id is the event's key."""
    changes = []
    for step in steps:
        key = f"recommendation:{step.after.id}:proposed" if step.before is None else ""
        rows = [(step.before, step.after)]
        changes.append(Change(schema.recommendations, f"recommendations/{step.after.portfolio}", step.type, rows, key=key))
    write(connection, changes, at=at)


def listed(connection: Connection, portfolio: str | None = None, states: Sequence[str] = ()) -> list[Recommendation]:
    """Return recommendations by portfolio and day of issue; of all states where none is named."""
    table = schema.recommendations.c
    wanted = all_of((None if portfolio is None else table.portfolio == portfolio, table.state.in_(states) if states else None))
    query = select(schema.recommendations).where(*wanted).order_by(table.portfolio, table.issued, table.id)
    return load(connection, Recommendation, query)


def by_id(connection: Connection, identity: str) -> Recommendation:
    """Return the recommendation with this id. Raises `WrongUse` where there is none."""
    found = load_by_id(connection, Recommendation, schema.recommendations, [identity]).get(identity)
    if found is None:
        raise WrongUse(f"there is no recommendation {identity!r}; `portfolio recommendations list --all` lists them")
    return found
