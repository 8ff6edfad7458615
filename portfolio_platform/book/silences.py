"""Silences: what nobody wants to be told for a while, by whom and why. They change no alert's state in the lake."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from sqlalchemy import Connection, func, select

from portfolio_platform.book import schema
from portfolio_platform.book.engine import take_log_lock
from portfolio_platform.book.events import ConcurrencyConflict
from portfolio_platform.book.instants import instant_text
from portfolio_platform.book.read_models import Change, load, load_by_id, require_name, write
from portfolio_platform.errors import WrongUse

STREAM = "silences"
STARTED, ENDED = "silence_started", "silence_ended"


@dataclass(frozen=True)
class Silence:
    """A silence; an empty portfolio or rule stands for every one, a null scope for every scope. Times are ISO text."""

    id: str
    portfolio: str
    rule: str
    scope: str | None
    until: str
    by: str
    reason: str
    created_at: str
    ended_at: str | None = None
    ended_by: str = ""
    event_seq: int = 0

    def covers(self, portfolio: str, rule: str, scope: str) -> bool:
        """Say whether an alert with these is what it silences."""
        return self.portfolio in ("", portfolio) and self.rule in ("", rule) and self.scope in (None, scope)

    def holds(self, now: datetime) -> bool:
        """Say whether it is in force."""
        return self.ended_at is None and instant_text(now) < self.until


def start(
    connection: Connection, *, portfolio: str, rule: str, scope: str | None, until: datetime, by: str, reason: str, at: datetime
) -> Silence:
    """Start a silence.

    Raises:
        WrongUse: it names neither portfolio nor rule, has no name or reason, or ends before it begins.
    """
    by = require_name(by)
    if not portfolio and not rule:
        raise WrongUse("a silence names a portfolio, a rule or both; silencing everything would hide what nobody thought of")
    if not reason.strip():
        raise WrongUse("a silence wants a reason: say why nobody is to be told")
    if until <= at:
        raise WrongUse(f"the silence would end at {instant_text(until)}, which is over (it is {instant_text(at)}); give a later time")
    take_log_lock(connection)
    number = int(connection.execute(select(func.count()).select_from(schema.silences)).scalar_one()) + 1
    made = Silence(f"silence:{number}", portfolio, rule, scope, instant_text(until), by, reason.strip(), instant_text(at))
    write(connection, [Change(schema.silences, STREAM, STARTED, [(None, made)], {"by": by})], at=at)
    return made


def end(connection: Connection, identity: str, *, by: str, at: datetime) -> Silence:
    """End a silence before its time.

    Raises:
        WrongUse: there is no such silence.
        ConcurrencyConflict: it is over already.
    """
    by = require_name(by)
    take_log_lock(connection)
    before = load_by_id(connection, Silence, schema.silences, [identity]).get(identity)
    if before is None:
        raise WrongUse(f"there is no silence {identity!r}; `portfolio alerts silences` lists them")
    if not before.holds(at):
        how = f"{before.ended_by} ended it at {before.ended_at}" if before.ended_at else f"it ran until {before.until}"
        raise ConcurrencyConflict(f"{identity} is over: {how}")
    after = replace(before, ended_at=instant_text(at), ended_by=by)
    write(connection, [Change(schema.silences, STREAM, ENDED, [(before, after)], {"by": by})], at=at)
    return after


def in_force(connection: Connection, now: datetime) -> list[Silence]:
    """Return the silences in force."""
    return [silence for silence in listed(connection) if silence.holds(now)]


def listed(connection: Connection) -> Sequence[Silence]:
    """Return all silences, the oldest first."""
    return load(connection, Silence, select(schema.silences).order_by(schema.silences.c.event_seq))
