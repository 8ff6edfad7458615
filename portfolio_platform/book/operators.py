"""Operators: the people whose signature counts, and their public keys. A removed key stays, so that what it signed can be read.

Who may write to the book may add an operator: the log says who did. What this protects is the word of an operator whose key
is their own, not the choice of who is one; watch the stream `operators`.
"""

from dataclasses import dataclass, replace
from datetime import datetime

from sqlalchemy import Connection, select

from portfolio_platform.book import schema
from portfolio_platform.book.engine import take_log_lock
from portfolio_platform.book.events import ConcurrencyConflict
from portfolio_platform.book.instants import instant_text
from portfolio_platform.book.read_models import Change, load, require_name, write
from portfolio_platform.book.signatures import key_id
from portfolio_platform.errors import WrongUse

STREAM = "operators"
ADDED, REMOVED = "operator_added", "operator_removed"
RULE = "rule:"
"""How the names begin under which rules sign; no operator has one."""


@dataclass(frozen=True)
class Operator:
    """An operator and one key of theirs. Times are ISO text.

    Attributes:
        id: the key's id.
        name: whose it is; one key in use has each name.
        public_key: 64 hexadecimal digits.
        removed_at, removed_by: since when it counts no more; null and empty where it does.
    """

    id: str
    name: str
    public_key: str
    added_at: str
    added_by: str
    removed_at: str | None = None
    removed_by: str = ""
    event_seq: int = 0

    @property
    def is_active(self) -> bool:
        """Say whether its signature counts."""
        return self.removed_at is None


def add(connection: Connection, name: str, public_key: str, *, by: str, at: datetime) -> Operator:
    """Add an operator with a public key.

    Raises:
        WrongUse: the name or the key cannot be one.
        ConcurrencyConflict: the name has a key in use, or the key is or was somebody's already.
    """
    name, by = require_name(name, "name"), require_name(by)
    if name.startswith(RULE):
        raise WrongUse(f"{name!r} is how a rule signs; an operator is a person")
    try:
        identity = key_id(public_key)
    except ValueError as error:
        raise WrongUse(f"the public key of {name} cannot be one: {error}") from error
    take_log_lock(connection)
    for other in listed(connection):
        if other.id == identity:
            raise ConcurrencyConflict(f"the key {identity} is that of {other.name} already; two people need two keys, make another")
        if other.is_active and other.name.casefold() == name.casefold():
            raise ConcurrencyConflict(f"{other.name} has the key {other.id}; remove it first with `portfolio operators remove`")
    made = Operator(identity, name, public_key.lower(), instant_text(at), by)
    write(connection, [Change(schema.operators, STREAM, ADDED, [(None, made)], {"by": by})], at=at)
    return by_key(connection, identity) or made


def remove(connection: Connection, name: str, *, by: str, at: datetime) -> Operator:
    """Remove the key that an operator has in use: what it signed stands, nothing that it signs is taken any more.

    Raises:
        WrongUse: nobody has this name.
        ConcurrencyConflict: the operator's key was removed already.
    """
    by = require_name(by)
    take_log_lock(connection)
    found = named(connection, name)
    if not found:
        raise WrongUse(f"there is no operator {name!r}; `portfolio operators list` names them")
    before = found[0]
    if not before.is_active:
        raise ConcurrencyConflict(f"{name} was removed already, by {before.removed_by} at {before.removed_at}")
    after = replace(before, removed_at=instant_text(at), removed_by=by)
    write(connection, [Change(schema.operators, STREAM, REMOVED, [(before, after)], {"by": by})], at=at)
    return by_key(connection, before.id) or after


def listed(connection: Connection) -> list[Operator]:
    """Return every key that anybody has or had, the oldest first."""
    return load(connection, Operator, select(schema.operators).order_by(schema.operators.c.added_at, schema.operators.c.id))


def named(connection: Connection, name: str) -> list[Operator]:
    """Return the keys of an operator: the one in use first, then those that were removed, the newest first."""
    table = schema.operators.c
    found = load(connection, Operator, select(schema.operators).where(table.name == name))
    return sorted(found, key=lambda one: (one.is_active, one.removed_at or "", one.id), reverse=True)


def by_key(connection: Connection, identity: str) -> Operator | None:
    """Return the operator with this key; None where nobody has or had it."""
    found = load(connection, Operator, select(schema.operators).where(schema.operators.c.id == identity))
    return found[0] if found else None
