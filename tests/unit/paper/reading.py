"""What a run left in a book, in a form that can be compared."""

from datetime import datetime

from sqlalchemy import select

from portfolio_platform.book import schema
from portfolio_platform.book.events import ChainHead, chain_head
from portfolio_platform.days import nanoseconds
from portfolio_platform.home import Home


def left(home: Home) -> tuple[ChainHead, list[tuple[object, ...]], list[tuple[object, ...]]]:
    """Return the end of the log, which proves all before it; the kept states; the recommendations."""
    with home.book.reading() as connection:
        head = chain_head(connection)
        kept = [tuple(row) for row in connection.execute(select(schema.snapshots).order_by(schema.snapshots.c.stream))]
        asked = [tuple(row) for row in connection.execute(select(schema.recommendations).order_by(schema.recommendations.c.id))]
    return head, kept, asked


def contents(home: Home, prefix: str, until: int = 2**62) -> list[tuple[str, int, str, bytes]]:
    """Return the events of the streams that begin with a text, by stream and version, up to a time of recording; without their hashes."""
    log = schema.events.c
    query = select(log.stream, log.version, log.type, log.content, log.recorded_at).where(log.stream.startswith(prefix, autoescape=True))
    with home.book.reading() as connection:
        rows = connection.execute(query.order_by(log.stream, log.version)).all()
    return [tuple(row[:4]) for row in rows if nanoseconds(datetime.fromisoformat(row.recorded_at)) <= until]
