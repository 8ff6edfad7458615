"""Delivery of the outbox: each message once to each channel that takes it, tried again where a channel fails.

A message is leased, sent outside of any transaction, and settled. Who dies in between leaves a lease that runs out, and the
message is sent again: at least once, and exactly once where nobody dies. A channel that has a message never gets it again.
"""

import hashlib
import os
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from portfolio_platform.alerts.channels import Channel, load_channels, wanted
from portfolio_platform.alerts.message import Message
from portfolio_platform.alerts.notifiers import TIMEOUT_SECONDS, Everywhere, Notifier, NotSent
from portfolio_platform.book import notifications as book
from portfolio_platform.book.instants import instant_text
from portfolio_platform.book.notifications import Notification
from portfolio_platform.canonical import canonical_bytes
from portfolio_platform.clock import SystemClock
from portfolio_platform.home import Home

ATTEMPTS = 8
"""Attempts before a message is a dead letter: with the pauses between, some two hours."""
FIRST_PAUSE, LONGEST_PAUSE = timedelta(seconds=30), timedelta(hours=1)
LEASE_MARGIN = timedelta(seconds=60)


@dataclass(frozen=True)
class Delivered:
    """What became of the messages that were due: ids by status, and of each what each channel said in this attempt."""

    sent: tuple[str, ...] = ()
    partial: tuple[str, ...] = ()
    pending: tuple[str, ...] = ()
    dead: tuple[str, ...] = ()
    said: Mapping[str, Mapping[str, str]] | None = None

    @property
    def tried(self) -> int:
        """Return how many messages were tried."""
        return len(self.sent) + len(self.partial) + len(self.pending) + len(self.dead)


def deliver(
    home: Home,
    now: datetime | None = None,
    limit: int = 50,
    *,
    notifier: Notifier | None = None,
    channels: Sequence[Channel] | None = None,
    attempts: int = ATTEMPTS,
    seed: int = 0,
) -> Delivered:
    """Send what is due, the oldest first; safe beside other deliverers.

    Args:
        home: whose outbox.
        now: the time; the machine's where not given, also in a home whose clock is pinned: pauses are real ones.
        limit: messages at most.
        notifier: who sends, where not the home's; for tests.
        channels: where to, where not the home's; for tests.
        attempts: attempts before a message is given up.
        seed: of the jitter of the pauses.

    Raises:
        WrongUse: the channels cannot be read.
    """
    at = now or SystemClock().now()
    configured = load_channels(home) if channels is None else tuple(channels)
    sender, holder = notifier or Everywhere(home), f"{os.getpid()}-{uuid.uuid4().hex}"
    until = at + LEASE_MARGIN + (len(configured) + 1) * timedelta(seconds=TIMEOUT_SECONDS)
    statuses: dict[str, list[str]] = {"sent": [], "partial": [], "pending": [], "dead": []}
    said: dict[str, Mapping[str, str]] = {}
    passed: list[str] = []
    while len(passed) < limit:
        with home.book.writing() as connection:
            taken = book.lease(connection, holder=holder, now=at, until=until, passed=passed)
        if taken is None:
            break
        passed.append(taken.id)
        outcome = _send(taken, configured, sender)
        settled = _after(taken, outcome, at, attempts, seed)
        with home.book.writing() as connection:
            settled = book.settle(connection, settled, holder=holder, at=at)
        statuses[settled.status].append(settled.id)
        said[settled.id] = {name: error or "sent" for name, error in outcome.items()}
    done = {status: tuple(found) for status, found in statuses.items()}
    return Delivered(done["sent"], done["partial"], done["pending"], done["dead"], said)


def revive(home: Home, now: datetime | None = None) -> int:
    """Make the dead letters of a home due again; return how many there were."""
    with home.book.writing() as connection:
        return len(book.revive(connection, at=now or SystemClock().now()))


def send_now(message: Message, channels: Sequence[Channel], notifier: Notifier) -> dict[str, str]:
    """Send a message to channels without the outbox; return what each said, empty where it was sent."""
    return {channel.name: _error(channel, message, notifier) for channel in channels}


def pause(identity: str, attempt: int, seed: int = 0) -> timedelta:
    """Return how long to wait after an attempt (1 is the first): doubled each time, and half of it to one and a half by chance.

    Chance is a hash of seed, message and attempt: deterministic, and different for messages that failed together.
    """
    doubled: timedelta = min(FIRST_PAUSE * 2 ** min(attempt - 1, 20), LONGEST_PAUSE)
    digest = hashlib.sha256(f"{seed}|{identity}|{attempt}".encode()).digest()
    return doubled * (0.5 + int.from_bytes(digest[:8], "big") / 2**64)


def _send(message: Notification, configured: Sequence[Channel], notifier: Notifier) -> dict[str, str]:
    """Send to every channel that takes the message and does not have it; return what each said, empty where it was sent."""
    said = Message.stored(message.body)
    open_channels = [channel for channel in wanted(configured, message.portfolio, message.severity) if channel.name not in message.sent_to]
    return send_now(said, open_channels, notifier)


def _error(channel: Channel, message: Message, notifier: Notifier) -> str:
    try:
        notifier.send(channel, message)
    except NotSent as error:
        return str(error)
    except Exception as error:  # any service, any library: the others still get the message, and the text may hold a secret
        return f"it failed with {type(error).__name__}"
    return ""


def _after(before: Notification, outcome: Mapping[str, str], at: datetime, attempts: int, seed: int) -> Notification:
    """Return a message after an attempt."""
    number, now = before.attempts + 1, instant_text(at)
    results = dict(before.results)
    for name, error in outcome.items():
        results[name] = {"status": "failed", "at": now, "error": error} if error else {"status": "sent", "at": now}
    failed = {name: error for name, error in outcome.items() if error}
    after = replace(before, attempts=number, channels=canonical_bytes(results))
    if not failed:
        return replace(after, status="sent", last_error="")
    told = "; ".join(f"{name}: {error}" for name, error in sorted(failed.items()))
    reached = len(failed) < len(outcome) or bool(before.sent_to)
    status: book.Status = "dead" if number >= attempts else "partial" if reached else "pending"
    due = instant_text(at + pause(before.id, number, seed)) if status != "dead" else before.due_at
    return replace(after, status=status, last_error=told, due_at=due)
