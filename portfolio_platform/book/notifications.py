"""The outbox: messages written in the transaction of what they tell, and what became of each on every channel.

A row is leased before it is sent, so that two deliverers never send it both; a lease of one that died runs out. Who holds
a lease is in the row alone, everything else is in the events too. No address of a channel ever comes here, only its name.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Literal

from sqlalchemy import Connection, func, or_, select, update

from portfolio_platform.book import schema
from portfolio_platform.book.engine import take_log_lock
from portfolio_platform.book.instants import instant_text
from portfolio_platform.book.read_models import Change, all_of, load, load_by_id, write
from portfolio_platform.canonical import canonical_bytes, content_hash

QUEUED, ATTEMPTED, REVIVED = "notification_queued", "notification_attempted", "notification_revived"
"""The types of the events in the stream `notifications/<portfolio>`."""

Status = Literal["pending", "partial", "sent", "dead"]
UNDONE: tuple[Status, ...] = ("pending", "partial")


@dataclass(frozen=True)
class Notification:
    """A message in the outbox. Times are ISO text.

    Attributes:
        id, idempotency_key: the key says what is told of which alerts in which session; a key is queued once.
        kind: `fired`, `escalated`, `repeated`, `resolved` (of several, the gravest) or `test`.
        alert_ids: JSON list of what it tells of.
        title, body: what is told: a line, and the message as canonical JSON.
        due_at: when it is to be tried next.
        attempts: how often it was tried.
        channels: canonical JSON: by name of the channel, `sent` or `failed`, when, and why.
        last_error: what went wrong last, without addresses.
        leased_by, leased_until: who is sending it now.
    """

    id: str
    idempotency_key: str
    portfolio: str
    kind: str
    severity: str
    alert_ids: str
    title: str
    body: bytes
    created_at: str
    due_at: str
    attempts: int = 0
    status: Status = "pending"
    channels: bytes = b"{}"
    last_error: str = ""
    leased_by: str | None = None
    leased_until: str | None = None
    event_seq: int = 0

    @property
    def results(self) -> dict[str, dict[str, str]]:
        """Return what became of it on each channel."""
        found: dict[str, dict[str, str]] = json.loads(self.channels)
        return found

    @property
    def sent_to(self) -> frozenset[str]:
        """Return the channels that have it."""
        return frozenset(name for name, result in self.results.items() if result["status"] == "sent")


def new(
    key: str, portfolio: str, kind: str, severity: str, alert_ids: Sequence[str], title: str, body: Mapping[str, object], at: datetime
) -> Notification:
    """Return a message to queue, due at once."""
    identity = f"notification:{content_hash(key.encode())[:16]}"
    ids, now = json.dumps(sorted(alert_ids), ensure_ascii=False), instant_text(at)
    return Notification(identity, key, portfolio, kind, severity, ids, title, canonical_bytes(body, floats=False), now, now)


def queue(connection: Connection, messages: Sequence[Notification], *, at: datetime) -> list[Notification]:
    """Queue messages in the caller's transaction; those whose key was queued before are left out. Return the others."""
    take_log_lock(connection)
    known = load_by_id(connection, Notification, schema.notifications, [message.id for message in messages])
    fresh = list({message.id: message for message in messages if message.id not in known}.values())
    changes = [
        Change(schema.notifications, f"notifications/{message.portfolio}", QUEUED, [(None, message)], key=f"{message.id}:queued")
        for message in fresh
    ]
    write(connection, changes, at=at)
    return fresh


def lease(connection: Connection, *, holder: str, now: datetime, until: datetime, passed: Sequence[str] = ()) -> Notification | None:
    """Take the message that is due longest, and that nobody is sending; None where there is none.

    Args:
        connection: a writer's transaction; commit it before sending.
        holder: who sends it.
        now: the time.
        until: when the lease runs out.
        passed: messages not to take.
    """
    take_log_lock(connection)
    table, at = schema.notifications.c, instant_text(now)
    free = or_(table.leased_until.is_(None), table.leased_until <= at)
    query = select(schema.notifications).where(table.status.in_(UNDONE), table.due_at <= at, free)
    if passed:
        query = query.where(table.id.not_in(passed))
    found = load(connection, Notification, query.order_by(table.due_at, table.event_seq, table.id).limit(1))
    if not found:
        return None
    taken = replace(found[0], leased_by=holder, leased_until=instant_text(until))
    values = {"leased_by": taken.leased_by, "leased_until": taken.leased_until}
    connection.execute(update(schema.notifications).where(table.id == taken.id).values(values))
    return taken


def settle(connection: Connection, after: Notification, *, holder: str, at: datetime) -> Notification:
    """Record an attempt and let the lease go.

    Where the lease had run out and somebody else was at it, what each of the two sent counts.
    """
    take_log_lock(connection)
    now = load_by_id(connection, Notification, schema.notifications, [after.id])[after.id]
    if now.leased_by != holder:
        results = {**now.results, **{name: item for name, item in after.results.items() if name not in now.sent_to}}
        status = now.status if now.status == "sent" else after.status
        after = replace(after, channels=canonical_bytes(results), attempts=max(now.attempts, after.attempts), status=status)
    stream = f"notifications/{after.portfolio}"
    write(connection, [Change(schema.notifications, stream, ATTEMPTED, [(now, after)])], at=at)
    table = schema.notifications.c
    let_go = update(schema.notifications).where(table.id == after.id, table.leased_by == holder)
    connection.execute(let_go.values({"leased_by": None, "leased_until": None}))
    return after


def revive(connection: Connection, *, at: datetime) -> list[Notification]:
    """Make dead letters due again; return them."""
    take_log_lock(connection)
    dead = listed(connection, ("dead",))
    again = [replace(item, status="partial" if item.sent_to else "pending", attempts=0, due_at=instant_text(at)) for item in dead]
    changes = [
        Change(schema.notifications, f"notifications/{before.portfolio}", REVIVED, [(before, after)])
        for before, after in zip(dead, again, strict=True)
    ]
    write(connection, changes, at=at)
    return again


def listed(connection: Connection, statuses: Sequence[str] = (), portfolio: str | None = None) -> list[Notification]:
    """Return messages in the order in which they were queued; of every status where none is named."""
    table = schema.notifications.c
    wanted = all_of((table.status.in_(statuses) if statuses else None, None if portfolio is None else table.portfolio == portfolio))
    return load(connection, Notification, select(schema.notifications).where(*wanted).order_by(table.created_at, table.event_seq, table.id))


@dataclass(frozen=True)
class Outbox:
    """How the outbox stands: messages waiting, when the oldest of them was queued, and messages given up."""

    waiting: int
    oldest: datetime | None
    dead: int


def outbox(connection: Connection) -> Outbox:
    """Return how the outbox stands."""
    table = schema.notifications.c
    waiting, oldest = connection.execute(
        select(func.count(), func.min(table.created_at)).select_from(schema.notifications).where(table.status.in_(UNDONE))
    ).one()
    dead = connection.execute(select(func.count()).select_from(schema.notifications).where(table.status == "dead")).scalar_one()
    return Outbox(int(waiting), None if oldest is None else datetime.fromisoformat(oldest), int(dead))
