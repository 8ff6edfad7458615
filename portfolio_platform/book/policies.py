"""The archive of policies: every one that a decision cites can be read again by its hash."""

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection, insert, select

from portfolio_platform.book import schema
from portfolio_platform.book.engine import take_log_lock
from portfolio_platform.book.events import NewEvent, append
from portfolio_platform.canonical import content_hash
from portfolio_platform.errors import DataProblem, StoreProblem

POLICY_ARCHIVED = "policy_archived"
"""The type of the event that every archived policy has, in the stream `policies`."""


@dataclass(frozen=True)
class ArchivedPolicy:
    """A policy as it was when first archived; `content` is the very bytes that were hashed."""

    hash: str
    name: str
    content: bytes
    archived_at: str


def archive(connection: Connection, name: str, content: bytes, at: datetime) -> str:
    """Archive a policy, unless the book has one with the same content; return its hash.

    Args:
        connection: a writer's transaction.
        name: what the policy is called; content that is known keeps the name it first had.
        content: its canonical bytes.
        at: the time, with a time zone.
    """
    hashed = content_hash(content)
    take_log_lock(connection)
    if connection.execute(select(schema.policies.c.hash).where(schema.policies.c.hash == hashed)).first() is None:
        event = NewEvent("policies", POLICY_ARCHIVED, {"name": name, "hash": hashed}, f"policy:{hashed}")
        stored = append(connection, [event], recorded_at=at)[0]
        row = {"hash": hashed, "name": name, "content": content, "archived_at": stored.recorded_at}
        connection.execute(insert(schema.policies), row)
    return hashed


def load(connection: Connection, policy_hash: str) -> ArchivedPolicy:
    """Return the policy with this hash.

    Raises:
        DataProblem: no such policy is archived.
        StoreProblem: the stored bytes do not have the hash: the book was changed.
    """
    row = connection.execute(select(schema.policies).where(schema.policies.c.hash == policy_hash)).first()
    if row is None:
        raise DataProblem(f"no policy with hash {policy_hash!r} is archived in this book; look for it in another one")
    policy = ArchivedPolicy(**row._mapping)
    if content_hash(policy.content) != policy_hash:
        raise StoreProblem(f"the archived policy {policy_hash} has other content than its hash says; restore a backup")
    return policy
