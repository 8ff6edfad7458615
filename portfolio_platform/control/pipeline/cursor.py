"""How far the feed is, kept in the book beside what it fed: a book restored from a backup goes on from where that one was."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from urllib.parse import quote

from sqlalchemy import Connection, select

from portfolio_platform.book import schema
from portfolio_platform.book.events import NewEvent, append, stream_version
from portfolio_platform.home import Home

FED = "control_fed"
"""The type of the events in the stream `control-feed/<portfolio>`."""


@dataclass(frozen=True)
class Cursor:
    """What of the lake was fed: fills up to an import, sessions of these builds. It is written last, so it is never ahead."""

    import_seq: int = 0
    generations: Mapping[str, int] = field(default_factory=dict)


def stream(portfolio: str) -> str:
    """Return the stream of a portfolio's feed."""
    return f"control-feed/{quote(portfolio, safe='')}"


def read_cursor(connection: Connection, portfolio: str, newest_import: int) -> Cursor:
    """Return how far a portfolio was fed; from the beginning where the lake has fewer imports than that, for it is another one."""
    log = schema.events.c
    query = select(log.content).where(log.stream == stream(portfolio)).order_by(log.version.desc()).limit(1)
    content = connection.execute(query).scalar_one_or_none()
    if content is None:
        return Cursor()
    data: dict[str, Any] = json.loads(content)["data"]
    return Cursor() if data["import_seq"] > newest_import else Cursor(data["import_seq"], data["generations"])


def write_cursor(home: Home, portfolio: str, cursor: Cursor, at: datetime) -> None:
    """Note how far a portfolio was fed."""
    with home.book.writing() as connection:
        place = stream_version(connection, stream(portfolio)) + 1
        data = {"import_seq": cursor.import_seq, "generations": dict(cursor.generations)}
        append(connection, [NewEvent(stream(portfolio), FED, data, f"{stream(portfolio)}#{place}")], recorded_at=at)
