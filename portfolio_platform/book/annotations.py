"""Remarks of people on anything that has an id: an alert, a report, a recommendation, a number. They change nothing."""

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection, func, select

from portfolio_platform.book import schema
from portfolio_platform.book.engine import take_log_lock
from portfolio_platform.book.instants import instant_text
from portfolio_platform.book.read_models import Change, load, require_name, write
from portfolio_platform.errors import WrongUse

STREAM = "annotations"
ANNOTATED = "annotated"


@dataclass(frozen=True)
class Annotation:
    """A remark: on what, by whom, when (ISO text in UTC)."""

    id: str
    about: str
    by: str
    text: str
    at: str
    event_seq: int = 0


def annotate(connection: Connection, about: str, *, by: str, text: str, at: datetime) -> Annotation:
    """Write a remark. Raises `WrongUse` where it has no text, no author, or is on nothing."""
    by = require_name(by)
    if not about.strip() or not about.isprintable():
        raise WrongUse(f"a remark is on something that has an id, and {about!r} is none")
    if not text.strip():
        raise WrongUse("the remark is empty; say something")
    take_log_lock(connection)
    number = int(connection.execute(select(func.count()).select_from(schema.annotations)).scalar_one()) + 1
    made = Annotation(f"annotation:{number}", about.strip(), by, text.strip(), instant_text(at))
    write(connection, [Change(schema.annotations, STREAM, ANNOTATED, [(None, made)])], at=at)
    return made


def about(connection: Connection, identity: str) -> list[Annotation]:
    """Return the remarks on something, the oldest first."""
    table = schema.annotations.c
    return load(connection, Annotation, select(schema.annotations).where(table.about == identity).order_by(table.event_seq))
