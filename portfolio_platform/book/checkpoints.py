"""Checkpoints in the book: signed notes of how far the log went and what its hash was. `control.checkpoints` makes them."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection, select

from portfolio_platform.book import operators, schema
from portfolio_platform.book.events import ChainHead, Json, NewEvent, StoredEvent, append, by_keys, read
from portfolio_platform.book.read_models import Change, load, write
from portfolio_platform.book.signatures import is_signed, key_id
from portfolio_platform.canonical import canonical_bytes

STREAM = "checkpoints"
WRITTEN, KEY_MADE = "checkpoint_written", "checkpoint_key_made"
PURPOSE = "checkpoint"
"""What the signed bytes say they are, so that no other bytes that a key signs can be taken for a checkpoint."""


@dataclass(frozen=True)
class Checkpoint:
    """A signed note of the log's end.

    Attributes:
        id: `checkpoint:<seq>`.
        seq, hash: the last event that it covers, and its hash; the event that records the checkpoint comes after it.
        at: when, ISO text.
        key_id: the key that signed: the platform's, or an operator's.
        signature: hexadecimal.
    """

    id: str
    seq: int
    hash: str
    at: str
    key_id: str
    signature: str
    event_seq: int = 0

    @property
    def head(self) -> ChainHead:
        """Return the end of the log that it notes."""
        return ChainHead(self.seq, self.hash)

    @property
    def content(self) -> bytes:
        """Return the bytes that were signed."""
        return statement(self.head, self.at, self.key_id)

    def is_signed_by(self, public_key: str) -> bool:
        """Say whether this key signed it."""
        try:
            return key_id(public_key) == self.key_id and is_signed(public_key, self.content, bytes.fromhex(self.signature))
        except ValueError:
            return False


def statement(head: ChainHead, at: str, key: str) -> bytes:
    """Return the canonical bytes of a checkpoint, to be signed."""
    return canonical_bytes({"purpose": PURPOSE, "seq": head.seq, "hash": head.hash, "at": at, "key_id": key}, floats=False)


def record(connection: Connection, made: Checkpoint, *, at: datetime) -> Checkpoint:
    """Write a checkpoint: an event and its row."""
    (event,) = write(connection, [Change(schema.checkpoints, STREAM, WRITTEN, [(None, made)], key=made.id)], at=at)
    return Checkpoint(**{**vars(made), "event_seq": event.seq})


def record_key(connection: Connection, public_key: str, *, at: datetime) -> None:
    """Record the public part of a key that the platform made for itself; known ones are not recorded again."""
    identity = key_id(public_key)
    key = f"checkpoint-key:{identity}"
    if not by_keys(connection, [key]):
        append(connection, [NewEvent(STREAM, KEY_MADE, {"key_id": identity, "public_key": public_key}, key)], recorded_at=at)


def known_keys(connection: Connection) -> dict[str, str]:
    """Return every public key that may sign checkpoints, by id: the platform's own, and those that operators have or had."""
    found = {one.id: one.public_key for one in operators.listed(connection)}
    for event in read(connection, STREAM):
        if event.type == KEY_MADE:
            said = _data(event)
            found[str(said.get("key_id"))] = str(said.get("public_key"))
    return found


def told(connection: Connection) -> Iterable[Checkpoint]:
    """Yield the checkpoints as the events tell them, in their order; events that cannot be read are the chain's to find."""
    for event in read(connection, STREAM):
        rows = _data(event).get("rows")
        if event.type == WRITTEN and isinstance(rows, dict):
            for identity, row in rows.items():
                made = of_columns(identity, row, event.seq)
                if made is not None:
                    yield made


def of_columns(identity: str, row: object, event_seq: int = 0) -> Checkpoint | None:
    """Return the checkpoint with these columns; None where they are not those of one."""
    texts = ("hash", "at", "key_id", "signature")
    if not isinstance(row, dict) or type(row.get("seq")) is not int or not all(isinstance(row.get(name), str) for name in texts):
        return None
    return Checkpoint(identity, row["seq"], row["hash"], row["at"], row["key_id"], row["signature"], event_seq)


def _data(event: StoredEvent) -> dict[str, Json]:
    try:
        return event.data
    except (ValueError, KeyError, TypeError):
        return {}


def listed(connection: Connection) -> list[Checkpoint]:
    """Return the checkpoints, the oldest first."""
    return load(connection, Checkpoint, select(schema.checkpoints).order_by(schema.checkpoints.c.seq))
