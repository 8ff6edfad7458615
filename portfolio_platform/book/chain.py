"""Verifies the event log: nothing changed, removed, inserted or put in another order since it was written.

The chain alone cannot show that its newest events were cut off, or that all of it was written anew: for that, keep a
`ChainHead` (`events.chain_head`) somewhere else, and give it as the anchor.
"""

import json
from dataclasses import dataclass

from sqlalchemy import Connection

from portfolio_platform.book.events import GENESIS_HASH, ChainHead, StoredEvent, chain_hash, read

_BEFORE_ALL = -(2**63)  # an event smuggled in before the first one has to be seen too


@dataclass(frozen=True)
class ChainVerdict:
    """What verifying the log found.

    Attributes:
        ok: the whole log is as it was written.
        events: how many events were found good, from the first on.
        broken_at_seq: the number of the first event that is wrong or missing; None where all is well.
        reason: what is wrong with it; None where all is well.
        head: the end of the good part.
    """

    ok: bool
    events: int
    broken_at_seq: int | None
    reason: str | None
    head: ChainHead


def verify_chain(connection: Connection, anchor: ChainHead | None = None) -> ChainVerdict:
    """Recompute every hash of the log, and look for gaps and for columns that differ from the content.

    Args:
        connection: any transaction; all of the log is read, a piece at a time.
        anchor: an end of the log noted earlier, which must still be in it.
    """
    head = ChainHead(0, GENESIS_HASH)
    versions: dict[str, int] = {}
    for event in read(connection, after_seq=_BEFORE_ALL):
        reason = _fault(event, head, versions.get(event.stream, 0))
        if reason is None and anchor is not None and anchor.seq == event.seq and anchor.hash != event.hash:
            reason = "the hash is not the one that was noted: the log was written anew"
        if reason is not None:
            return ChainVerdict(False, head.seq, head.seq + 1, reason, head)
        versions[event.stream] = event.version
        head = ChainHead(event.seq, event.hash)
    if anchor is not None and anchor.seq > head.seq:
        reason = f"the log ends at {head.seq}, and event {anchor.seq} was noted: the end was cut off"
        return ChainVerdict(False, head.seq, head.seq + 1, reason, head)
    return ChainVerdict(True, head.seq, None, None, head)


def _fault(event: StoredEvent, head: ChainHead, stream_version: int) -> str | None:
    if event.seq != head.seq + 1:
        return f"event {head.seq + 1} is missing; the next is {event.seq}"
    if event.previous_hash != head.hash:
        return "the previous hash is not the hash of the event before"
    if not isinstance(event.content, bytes):  # SQLite keeps text in a BLOB column where it is told to
        return "the content is not bytes"
    if event.hash != chain_hash(event.previous_hash, event.content):
        return "the content does not have the hash that was recorded"
    return _column_fault(event, stream_version)


def _column_fault(event: StoredEvent, stream_version: int) -> str | None:
    try:
        content = json.loads(event.content)
        columns = {
            "stream": (event.stream, content["stream"]),
            "version": (event.version, content["version"]),
            "type": (event.type, content["type"]),
            "idempotency_key": (event.idempotency_key, content["key"]),
            "recorded_at": (event.recorded_at, content["recorded_at"]),
        }
    except (ValueError, KeyError, TypeError):
        return "the content is not that of an event"
    for name, (in_column, in_content) in columns.items():
        if in_column != in_content:
            return f"the column {name} says {in_column!r}, the content {in_content!r}"
    if event.version != stream_version + 1:
        return f"version {event.version} of stream {event.stream!r} follows version {stream_version}"
    return None
