"""Recommendations in the book: what was proposed, byte for byte, and what became of it.

What is recommended is decided in the lake (`recommendation_states`); the rules of what becomes of it are in
`monitor.lifecycle`. The content is the lake's canonical bytes; its events hold them as text.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, Literal

from sqlalchemy import Connection, select

from portfolio_platform.book import schema
from portfolio_platform.book.engine import take_log_lock
from portfolio_platform.book.events import ConcurrencyConflict
from portfolio_platform.book.instants import instant_text
from portfolio_platform.book.read_models import Change, all_of, load, load_by_id, require_name, write
from portfolio_platform.canonical import canonical_bytes
from portfolio_platform.errors import WrongUse

PROPOSED, APPROVED, REJECTED = "recommendation_proposed", "recommendation_approved", "recommendation_rejected"
APPLIED = "recommendation_applied"
EXPIRED, SUPERSEDED, WITHDRAWN = "recommendation_expired", "recommendation_superseded", "recommendation_withdrawn"
"""The types of the events in the stream `recommendations/<portfolio>`."""

State = Literal["proposed", "approved", "rejected", "applied", "expired", "superseded", "withdrawn"]
OPEN: tuple[State, ...] = ("proposed", "approved", "applied")
"""States of a recommendation that still holds, or still may."""
OVER: tuple[State, ...] = ("rejected", "expired", "superseded", "withdrawn")
"""States of one that does not."""


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
        commands: the ids of the control plane's commands that it became, as a JSON list; null where it was never applied.
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
    commands: str | None = None
    event_seq: int = 0

    @property
    def command_ids(self) -> tuple[str, ...]:
        """Return the ids of the commands that it became; none where it was never applied, or asked for nothing."""
        return tuple(json.loads(self.commands)) if self.commands is not None else ()

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


def stream(portfolio: str) -> str:
    """Return the stream of a portfolio's recommendations."""
    return f"recommendations/{portfolio}"


def record(connection: Connection, steps: Sequence[Step], *, at: datetime) -> None:
    """Write steps, an event each. The same recommendation is proposed once: its id is the event's key."""
    changes = []
    for step in steps:
        key = f"recommendation:{step.after.id}:proposed" if step.before is None else ""
        rows = [(step.before, step.after)]
        changes.append(Change(schema.recommendations, stream(step.after.portfolio), step.type, rows, key=key))
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


def apply(connection: Connection, identity: str, *, by: str, reason: str, commands: Sequence[str], at: datetime) -> Recommendation:
    """Record that the control plane has turned an approved recommendation into commands; said twice it is recorded once.

    Args:
        connection: the writer's transaction in which the commands are appended.
        identity: which recommendation.
        by: who applies it, such as `rule:control-plane`.
        reason: why now.
        commands: the ids (idempotency keys) of the command events; kept beside it, so that what it changed can be given back.
        at: the time, with a time zone.

    Raises:
        WrongUse: there is none with this id, or it has no name.
        ConcurrencyConflict: it is not approved, or was applied as other commands.
    """
    by = require_name(by)
    take_log_lock(connection)
    before, told = by_id(connection, identity), canonical_bytes(list(commands)).decode()
    if before.state == "applied" and before.commands == told:
        return before
    if before.state != "approved":
        as_what = f" as {before.commands}" if before.state == "applied" else ""
        raise ConcurrencyConflict(f"{identity} is {before.state}{as_what}; only what is approved can be applied")
    after = replace(before, state="applied", decided_by=by, decided_at=instant_text(at), reason=reason, commands=told)
    record(connection, [Step(APPLIED, before, after)], at=at)
    return by_id(connection, identity)


def ended_after_applied(connection: Connection, portfolio: str | None = None, *, after_seq: int = 0) -> list[Recommendation]:
    """Return those that were applied and are over, in the order in which they ended: what they changed is to be given back.

    Args:
        connection: any transaction.
        portfolio: one portfolio only.
        after_seq: only those whose last event is after this one; 0 for all there ever were.
    """
    table = schema.recommendations.c
    wanted = all_of(
        (
            table.commands.is_not(None),
            table.state.in_(OVER),
            table.event_seq > after_seq,
            None if portfolio is None else table.portfolio == portfolio,
        )
    )
    return load(connection, Recommendation, select(schema.recommendations).where(*wanted).order_by(table.event_seq))
