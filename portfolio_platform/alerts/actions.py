"""What people do about alerts: seen, not wanted for a while, over. Each has a name to it, and is an event.

An action may name the revision of the alert it was decided on; where the alert has changed since, it is refused and says so.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import date, datetime

from sqlalchemy import Connection

from portfolio_platform.alerts.outbox import queue_notices
from portfolio_platform.alerts.sync import in_state, over
from portfolio_platform.book import alerts as book
from portfolio_platform.book import annotations, silences
from portfolio_platform.book.alerts import Alert, AlertChange
from portfolio_platform.book.annotations import Annotation
from portfolio_platform.book.engine import take_log_lock
from portfolio_platform.book.events import ConcurrencyConflict
from portfolio_platform.book.read_models import require_name
from portfolio_platform.book.silences import Silence
from portfolio_platform.errors import WrongUse
from portfolio_platform.home import Home


def acknowledge(home: Home, alert_id: str, *, by: str, note: str = "", revision: int | None = None) -> Alert:
    """Say that somebody is at it: nothing more is told until it escalates or ends.

    Raises:
        WrongUse: there is no such alert, or no name.
        ConcurrencyConflict: it has ended, somebody else has acknowledged it, or it is not at ``revision``.
    """
    by = require_name(by)
    with _locked(home) as connection:
        now = _open(connection, alert_id, revision)
        if now.acknowledged_by:
            raise ConcurrencyConflict(
                f"{alert_id} was acknowledged by {now.acknowledged_by} already; unacknowledge it first to take it over"
            )
        after = replace(now, acknowledged_by=by, note=note.strip(), state="acknowledged", revision=now.revision + 1)
        return _write(connection, home, AlertChange(book.ACKNOWLEDGED, now, after, by=by, reason=note.strip()))


def unacknowledge(home: Home, alert_id: str, *, by: str, note: str = "", revision: int | None = None) -> Alert:
    """Take an acknowledgement back: the alert is told again as if nobody had seen it. Raises as `acknowledge` does."""
    by = require_name(by)
    with _locked(home) as connection:
        now = _open(connection, alert_id, revision)
        if not now.acknowledged_by:
            raise ConcurrencyConflict(f"{alert_id} is not acknowledged; there is nothing to take back")
        free = replace(now, acknowledged_by="", note="", revision=now.revision + 1)
        after = in_state(free, silences.in_force(connection, home.clock.now()))
        return _write(connection, home, AlertChange(book.UNACKNOWLEDGED, now, after, by=by, reason=note.strip()))


def resolve(home: Home, alert_id: str, *, by: str, reason: str, revision: int | None = None) -> Alert:
    """End an alert by hand; who was told that it began is told that it is over.

    While the same spell goes on it does not fire again before its rule's cool-down has passed or it is graver; once it has
    left its threshold, it is another alert. Raises as `acknowledge` does, and `WrongUse` without a reason.
    """
    by = require_name(by)
    if not reason.strip():
        raise WrongUse("resolving by hand wants a reason: say why it is over")
    with _locked(home) as connection:
        now = _open(connection, alert_id, revision)
        after = replace(now, state="resolved", resolved_on=now.last_seen, resolved_by=by)
        day, cause = date.fromisoformat(now.last_seen), str(now.said.get("cause") or now.rule)
        done = over(book.RESOLVED, now, after, day, cause, reason.strip())
        change = done.change(by)
        assert change is not None
        if done.notice is not None:
            queue_notices(connection, [done.notice], home.clock.now(), {now.id: reason.strip()})
        return _write(connection, home, change)


def silence(home: Home, *, portfolio: str = "", rule: str = "", scope: str | None = None, until: datetime, by: str, reason: str) -> Silence:
    """Tell nothing of these alerts until a time; an empty portfolio or rule stands for all. Raises `WrongUse`."""
    now = home.clock.now()
    with _locked(home) as connection:
        made = silences.start(connection, portfolio=portfolio, rule=rule, scope=scope, until=until, by=by, reason=reason, at=now)
        _restate(connection, now, by)
        return made


def end_silence(home: Home, silence_id: str, *, by: str) -> Silence:
    """End a silence: what still fires is told with the next sync. Raises `WrongUse`, and `ConcurrencyConflict` where it is over."""
    now = home.clock.now()
    with _locked(home) as connection:
        ended = silences.end(connection, silence_id, by=by, at=now)
        _restate(connection, now, by)
        return ended


def annotate(home: Home, about: str, *, by: str, text: str) -> Annotation:
    """Write a remark on anything that has an id; it changes nothing. Raises `WrongUse`."""
    with home.book.writing() as connection:
        return annotations.annotate(connection, about, by=by, text=text, at=home.clock.now())


@contextmanager
def _locked(home: Home) -> Iterator[Connection]:
    """Hand out a transaction that has the log's lock before it reads, so that what it decides on cannot change under it."""
    with home.book.writing() as connection:
        take_log_lock(connection)
        yield connection


def _open(connection: Connection, alert_id: str, revision: int | None) -> Alert:
    now = book.by_id(connection, alert_id)
    if not now.is_open:
        how = f"{now.resolved_by} resolved it" if now.resolved_by else "it ended"
        raise ConcurrencyConflict(f"{alert_id} is over: {how} in the session of {now.resolved_on}")
    if revision is not None and revision != now.revision:
        raise ConcurrencyConflict(
            f"{alert_id} has changed meanwhile: it is {now.state}, {now.severity}, at revision {now.revision}, not {revision}; "
            f"look at it again with `portfolio alerts show`"
        )
    return now


def _write(connection: Connection, home: Home, change: AlertChange) -> Alert:
    book.record(connection, [change], at=home.clock.now())
    return book.by_id(connection, change.after.id)


def _restate(connection: Connection, now: datetime, by: str) -> None:
    """Bring the alerts that nobody acknowledged to the state that the silences in force give them."""
    holding, changes = silences.in_force(connection, now), []
    for alert in book.open_alerts(connection):
        after = in_state(alert, holding)
        if after.state != alert.state:
            happened = book.SILENCED if after.state == "silenced" else book.UNSILENCED
            changes.append(AlertChange(happened, alert, replace(after, revision=alert.revision + 1), by=by))
    book.record(connection, changes, at=now)
