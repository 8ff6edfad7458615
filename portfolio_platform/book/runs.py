"""The runs of the monitor that finished: what the heartbeat listens to."""

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection, func, select

from portfolio_platform.book import schema
from portfolio_platform.book.engine import take_log_lock
from portfolio_platform.book.instants import instant_text
from portfolio_platform.book.read_models import Change, write
from portfolio_platform.errors import WrongUse

STREAM = "monitor"
FINISHED = "monitor_run_finished"


@dataclass(frozen=True)
class MonitorRun:
    """A run that finished; the time is ISO text in UTC."""

    id: str
    what: str
    finished_at: str
    event_seq: int = 0


def finish(connection: Connection, what: str, *, at: datetime) -> MonitorRun:
    """Record that a run finished at a time; the same run recorded twice is one."""
    if not what or not what.isprintable():
        raise WrongUse(f"a run is named by what it was, and {what!r} says nothing")
    made = MonitorRun(f"{what}@{instant_text(at)}", what, instant_text(at))
    take_log_lock(connection)
    if connection.execute(select(schema.monitor_runs.c.id).where(schema.monitor_runs.c.id == made.id)).first() is None:
        write(connection, [Change(schema.monitor_runs, STREAM, FINISHED, [(None, made)])], at=at)
    return made


def last_finished(connection: Connection) -> datetime | None:
    """Return when a run finished last; None where none has."""
    found: str | None = connection.execute(select(func.max(schema.monitor_runs.c.finished_at))).scalar_one()
    return None if found is None else datetime.fromisoformat(found)


def first_recorded(connection: Connection) -> datetime | None:
    """Return when the book's first event was recorded; None where it is empty."""
    found: str | None = connection.execute(select(func.min(schema.events.c.recorded_at))).scalar_one()
    return None if found is None else datetime.fromisoformat(found)
