"""When a policy cycle is due, and when the tables are behind what was decided: what a sensor looks at, and what it remembers.

The looks read little and write nothing. What is asked for, and how often, are pure rules over what was seen and a cursor.
"""

from collections.abc import Mapping
from datetime import UTC, date, datetime, timedelta

from pydantic import BaseModel, ConfigDict, ValidationError
from sqlalchemy import Connection

from portfolio_platform.book import recommendations as book
from portfolio_platform.book.events import stream_version
from portfolio_platform.canonical import canonical_bytes, content_hash
from portfolio_platform.control.envelopes import due
from portfolio_platform.control.events import stream_of
from portfolio_platform.control.log import driven_by_bars, opened_portfolios
from portfolio_platform.control.pipeline.feed import is_fed
from portfolio_platform.control.pipeline.fills import newest_fills
from portfolio_platform.control.pipeline.publish import newest_published_import
from portfolio_platform.control.pipeline.sessions import built
from portfolio_platform.control.plane import ControlPlane
from portfolio_platform.control.state import ControlState
from portfolio_platform.days import end_of_day_ns, nanoseconds
from portfolio_platform.home import Home
from portfolio_platform.lake.progress import read_progress

FACTS, APPROVED, CLOCK = "facts", "approved", "clock"
REASONS = {FACTS: "newer facts", APPROVED: "approved recommendations, or some that are over", CLOCK: "something is over on the clock"}
AGAIN = timedelta(hours=1)
"""After how long the same thing is asked for again: its run failed, or could do nothing about it."""
READS_DECISIONS = "idle"
"""The build that reads decisions as facts; the others that do come after it."""


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Asked(_Part):
    """Something that a run was asked for: what it was, when it was asked last, and how many times."""

    what: str
    at: datetime
    times: int


class CycleCursor(_Part):
    """What is remembered between looks, as JSON: by reason, what a cycle was asked for."""

    version: int = 1
    asked: dict[str, Asked] = {}

    @classmethod
    def from_text(cls, text: str | None) -> "CycleCursor":
        """Return the cursor behind a stored text; one that cannot be read is forgotten, which costs a run at most."""
        try:
            found = cls.model_validate_json(text) if text else cls()
        except ValidationError:
            return cls()
        return found if found.version == 1 else cls()

    def to_text(self) -> str:
        """Return the cursor as text."""
        return self.model_dump_json()


def cycle_wanted(cursor: CycleCursor, seen: Mapping[str, str], now: datetime) -> tuple[dict[str, Asked], CycleCursor]:
    """Return what a cycle is to be asked for now, by reason, and the next cursor. Pure.

    The same thing is asked for once, and again only where it is still there after `AGAIN`; what is no longer there is forgotten.

    Args:
        cursor: what was asked for before.
        seen: by reason, what is due, as a hash of it.
        now: the time.
    """
    kept, wanted = {}, {}
    for reason, what in seen.items():
        before = cursor.asked.get(reason)
        same = before is not None and before.what == what
        if same and before is not None and now < before.at + AGAIN:
            kept[reason] = before
            continue
        wanted[reason] = Asked(what=what, at=now, times=before.times + 1 if same and before is not None else 1)
    return wanted, CycleCursor(asked=kept | wanted)


def run_key(wanted: Mapping[str, Asked]) -> str:
    """Return what names a run that is asked for: what for, and for the how-manieth time."""
    said = {reason: [one.what, one.times] for reason, one in wanted.items()}
    return f"control_cycle:{content_hash(canonical_bytes(said))[:32]}"


def seen_by(home: Home, plane: ControlPlane) -> dict[str, str]:
    """Return what a cycle is due for, by reason, each as a hash of it; nothing where none is.

    Args:
        home: whose lake and book are looked at.
        plane: keeps the states between looks, so that each reads what is new in the log.
    """
    now = nanoseconds(home.clock.now())
    with home.book.reading() as connection:
        opened = opened_portfolios(connection)
        others = driven_by_bars(connection, opened)
    states = [plane.get_portfolio_state(portfolio) for portfolio in opened if portfolio not in others]
    with home.book.reading() as connection:
        approved = [
            f"{one.id} {one.decided_at}"
            for one in book.listed(connection, states=("approved",))
            if end_of_day_ns(date.fromisoformat(one.expires)) > now and one.portfolio not in others
        ]
        approved += [name for state in states for name in _over(connection, state)]
    found = {FACTS: _unfed(home), APPROVED: approved, CLOCK: [name for state in states for name in _ended(state, now)]}
    return {reason: content_hash(canonical_bytes(sorted(what)))[:32] for reason, what in found.items() if what}


def knows_log(home: Home, plane: ControlPlane) -> bool:
    """Say whether what a plane keeps can be of this log: no stream ends before what it has read of it."""
    with home.book.reading() as connection:
        return all(stream_version(connection, stream_of(name)) >= version for name, version in plane.versions.items())


def _unfed(home: Home) -> list[str]:
    ready = built(home)
    if ready is None or is_fed(home):
        return []
    return [f"fills {newest_fills(home)}", *(f"{name} {generation}" for name, generation in ready.generations.items())]


def _over(connection: Connection, state: ControlState) -> list[str]:
    """Return the orders in force whose recommendation is over."""
    orders = [order for order in state.terms.orders.values() if order.source == "recommendation"]
    return [order.order_id for order in orders if book.by_id(connection, order.recommendation).state in book.OVER]


def _ended(state: ControlState, now: int) -> list[str]:
    """Return what is over on the clock in a state: reservations, orders, envelopes that are due."""
    over = [f"reservation {name}" for name, one in state.reservations.items() if one.expires_at <= now]
    over += [f"order {name}" for name, order in state.terms.orders.items() if order.until <= now]
    versions = {symbol: state.issued[symbol].version if symbol in state.issued else 0 for symbol in due(state, now)}
    over += [f"envelope {symbol} {version}" for symbol, version in versions.items()]
    return [f"{state.portfolio} {one}" for one in over]


class RefreshCursor(_Part):
    """What is remembered between looks, as JSON: up to which import of decisions a refresh was asked for, and when."""

    version: int = 1
    import_seq: int = 0
    at: datetime = datetime(1970, 1, 1, tzinfo=UTC)

    @classmethod
    def from_text(cls, text: str | None) -> "RefreshCursor":
        """Return the cursor behind a stored text; one that cannot be read is forgotten, which costs a run at most."""
        try:
            found = cls.model_validate_json(text) if text else cls()
        except ValidationError:
            return cls()
        return found if found.version == 1 else cls()

    def to_text(self) -> str:
        """Return the cursor as text."""
        return self.model_dump_json()


def refresh_wanted(cursor: RefreshCursor, published: int, reached: int, now: datetime, pause: timedelta) -> tuple[bool, RefreshCursor]:
    """Say whether to refresh now for what was decided, and return the next cursor. Pure.

    Once for the same decisions, and no oftener than the pause allows; what is decided meanwhile waits.

    Args:
        cursor: what was asked for before.
        published: number of the newest import of decisions.
        reached: number of the newest import that the tables rest on.
        now: the time.
        pause: the least time between two.
    """
    asked = RefreshCursor() if cursor.import_seq > published else cursor  # another lake has fewer imports
    if published <= max(reached, asked.import_seq) or now < asked.at + pause:
        return False, asked
    return True, RefreshCursor(import_seq=published, at=now)


def decisions_behind(home: Home) -> tuple[int, int]:
    """Return the newest import of decisions, and the newest import that the tables which read them rest on."""
    progress = read_progress(home.lake, READS_DECISIONS)
    return newest_published_import(home.lake), 0 if progress is None else progress.import_seq
