"""From notices to messages in the outbox, in the transaction that changes the alerts."""

from collections.abc import Mapping, Sequence
from datetime import datetime

from sqlalchemy import Connection

from portfolio_platform.alerts.message import Message, compose
from portfolio_platform.alerts.model import Notice
from portfolio_platform.alerts.sync import Planned
from portfolio_platform.book import alerts, notifications
from portfolio_platform.book.notifications import Notification
from portfolio_platform.canonical import canonical_bytes, content_hash


def write_plan(connection: Connection, planned: Planned, at: datetime) -> list[Notification]:
    """Write the changes of a plan and queue its messages; return these."""
    why = {change.after.id: change.reason for change in planned.changes if change.reason}
    alerts.record(connection, planned.changes, at=at)
    return queue_notices(connection, planned.notices, at, why)


def queue_notices(connection: Connection, notices: Sequence[Notice], at: datetime, why: Mapping[str, str]) -> list[Notification]:
    """Queue one message for each portfolio and cause.

    Args:
        connection: a writer's transaction.
        notices: what to tell.
        at: the time.
        why: by id of an alert, why it ended where no evaluation says so.
    """
    if not notices:
        return []
    return notifications.queue(connection, [_notification(message, at) for message in compose(notices, why)], at=at)


def _notification(message: Message, at: datetime) -> Notification:
    told = [[item.alert_id, item.kind, item.severity] for item in message.items]
    key = f"{message.portfolio}|{message.session}|{content_hash(canonical_bytes(sorted(told)))}"
    ids = [item.alert_id for item in message.items]
    return notifications.new(key, message.portfolio, message.kind, message.severity, ids, message.title, message.body(), at)
