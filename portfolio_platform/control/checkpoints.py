"""Signed checkpoints of the log: they show that its end was cut off, or that it was written anew.

A hash chain proves what comes before each event, not that nothing came after, nor that all of it was not made again. A
checkpoint notes number and hash of the last event under a signature, in the book and in a file beside it; whoever takes
events away or changes one then has to change every copy of that file, and to sign anew.

What it cannot show: anything that happened after the last checkpoint; and nothing at all against one who holds the home with
its key and every copy of the file, for they can make all of it again. So name a further file on another machine (`also`), keep
the ids of the keys you trust elsewhere (`trusted`), or sign with an operator's key that is not on this machine. Times are those
of the platform's clock: no one else vouches for them.
"""

import json
import os
from collections.abc import Collection, Iterable, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

from portfolio_platform.book import checkpoints as book
from portfolio_platform.book.chain import ChainVerdict, verify_chain
from portfolio_platform.book.checkpoints import Checkpoint
from portfolio_platform.book.engine import take_log_lock
from portfolio_platform.book.events import chain_head, read
from portfolio_platform.book.instants import instant_text
from portfolio_platform.control.signing import SigningKey, make_key, read_key, write_key
from portfolio_platform.errors import StoreProblem
from portfolio_platform.home import Home

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sqlalchemy import Connection

KEY_FILE, FILE, LOCK_FILE = "checkpoint.key", "checkpoints.jsonl", "checkpoints.lock"
LOCK_SECONDS = 30.0
_SAME = ("seq", "hash", "at", "key_id", "signature")


@dataclass(frozen=True)
class CheckpointFault:
    """Something that does not fit: the event it is about, where it was seen, and what is wrong."""

    seq: int
    where: str
    reason: str


@dataclass(frozen=True)
class CheckpointVerdict:
    """What verifying log and checkpoints found.

    Attributes:
        ok: everything fits.
        checkpoints: how many different ones were looked at.
        covered: the last event that a good checkpoint covers; 0 where there is none.
        first_bad_seq: the number of the first event that does not fit; None where all do.
        reason: what is wrong with it; empty where nothing is.
        faults: everything that does not fit, by event.
        chain: what verifying the chain alone found, with the good checkpoints as anchors.
    """

    ok: bool
    checkpoints: int
    covered: int
    first_bad_seq: int | None
    reason: str
    faults: tuple[CheckpointFault, ...]
    chain: ChainVerdict


@dataclass(frozen=True)
class _Line:
    """A checkpoint as a file has it."""

    checkpoint: Checkpoint
    public_key: str


def platform_key(home: Home) -> SigningKey:
    """Return the platform's own key for checkpoints, made on first use. Raises `StoreProblem` where it cannot be read."""
    path = home.root / KEY_FILE
    if not path.exists():
        write_key(make_key(), path)
    return read_key(path)


def write_checkpoint(home: Home, *, key: SigningKey | None = None, at: datetime | None = None, also: Sequence[Path] = ()) -> Checkpoint:
    """Sign the end of the log; record it in the book, and append it to the file in the home and to further ones.

    A file that lacks the newest checkpoints of the book, after a crash between the two or because it is new, gets them too.
    Where nothing but the last checkpoint was recorded since, that one is returned and none is made.

    Args:
        home: the home.
        key: an operator's key; None for the platform's own.
        at: the time; None for the home's clock.
        also: further files, best on other machines.

    Raises:
        StoreProblem: a file knows of a later or another log than the book has: verify before going on.
    """
    now = at or home.clock.now()
    with alone(home):
        signing = key or platform_key(home)
        files = [home.root / FILE, *also]
        with home.book.writing() as connection:
            take_log_lock(connection)
            for path in files:
                _require_known(connection, path)
            if key is None:
                book.record_key(connection, signing.public_key, at=now)
            elif signing.key_id not in book.known_keys(connection):
                raise StoreProblem(f"the key {signing.key_id} is not in the book; add its operator first")
            made = _made(connection, signing, now)
            all_of_them, keys = book.listed(connection), book.known_keys(connection)
        for path in files:
            _append(path, all_of_them, keys)
        return made


def verify_checkpoints(home: Home, *, also: Sequence[Path] = (), trusted: Collection[str] = ()) -> CheckpointVerdict:
    """Hold the log against its checkpoints: in the book, in the file of the home, and in copies of it.

    Args:
        home: the home.
        also: copies of the file.
        trusted: ids of the keys that may have signed; empty for those that the book knows.
    """
    files = [home.root / FILE, *also]
    with home.book.reading() as connection:
        told, rows, keys = list(book.told(connection)), book.listed(connection), book.known_keys(connection)
        faults = list(_row_faults(told, rows))
        good = {one.head for one in told if not _signature_fault(one, keys, trusted)}
        faults += [CheckpointFault(one.seq, "the book", why) for one in told if (why := _signature_fault(one, keys, trusted))]
        for path in files:
            lines, broken = _lines(path)
            faults += broken
            faults += _line_faults(path, lines, told)
            for line in lines:
                why = _signature_fault(line.checkpoint, keys, trusted)
                if why:
                    faults.append(CheckpointFault(line.checkpoint.seq, str(path), why))
                if line.checkpoint.is_signed_by(line.public_key) and (not trusted or line.checkpoint.key_id in trusted):
                    # also by a key that the book does not know: a book that was made anew would know only its own
                    good.add(line.checkpoint.head)
        chain = verify_chain(connection, anchors=good)
    if chain.broken_at_seq is not None:
        faults.append(CheckpointFault(chain.broken_at_seq, "the log", chain.reason or ""))
    ordered = tuple(sorted(set(faults), key=lambda fault: (fault.seq, fault.where != "the log", fault.where, fault.reason)))
    first = ordered[0] if ordered else None
    return CheckpointVerdict(
        ok=first is None,
        checkpoints=len(good),
        covered=max((head.seq for head in good if head.seq <= chain.head.seq), default=0),
        first_bad_seq=None if first is None else first.seq,
        reason="" if first is None else f"{first.where}: {first.reason}",
        faults=ordered,
        chain=chain,
    )


def _made(connection: "Connection", key: SigningKey, now: datetime) -> Checkpoint:
    head = chain_head(connection)
    last = max(book.listed(connection), key=lambda one: one.seq, default=None)
    if last is not None and last.event_seq == head.seq:
        return last
    at = instant_text(now)
    signature = key.sign(book.statement(head, at, key.key_id)).hex()
    return book.record(connection, Checkpoint(f"checkpoint:{head.seq}", head.seq, head.hash, at, key.key_id, signature), at=now)


def _require_known(connection: "Connection", path: Path) -> None:
    """Refuse to go on over a log that is not the one that a file was written about."""
    lines, _ = _lines(path)
    last = max((line.checkpoint for line in lines), key=lambda one: one.seq, default=None)
    if last is None:
        return
    event = next(read(connection, after_seq=last.seq - 1, limit=1), None)
    if event is None or (event.seq, event.hash) != (last.seq, last.hash):
        raise StoreProblem(f"{path} notes event {last.seq} with another hash than the book has, or none: verify the log before going on")


def _signature_fault(one: Checkpoint, keys: dict[str, str], trusted: Collection[str]) -> str:
    if trusted and one.key_id not in trusted:
        return f"the checkpoint was signed by {one.key_id}, which is not trusted"
    if one.key_id not in keys:
        return f"the checkpoint is forged, or the book was made anew: the book does not know the key {one.key_id}"
    return "" if one.is_signed_by(keys[one.key_id]) else f"the checkpoint is forged: {one.key_id} did not sign it"


def _row_faults(told: Sequence[Checkpoint], rows: Sequence[Checkpoint]) -> "Iterator[CheckpointFault]":
    by_event, by_row = {one.id: one for one in told}, {one.id: one for one in rows}
    for identity in sorted(by_event.keys() | by_row.keys()):
        event, row = by_event.get(identity), by_row.get(identity)
        if event is None and row is not None:
            yield CheckpointFault(row.seq, "the book", "the table has a checkpoint that the log has no event for")
        elif row is None and event is not None:
            yield CheckpointFault(event.seq, "the book", "the checkpoint is missing in the table")
        elif event != row and event is not None:
            yield CheckpointFault(event.seq, "the book", "the table says otherwise of the checkpoint than the log")


def _line_faults(path: Path, lines: Sequence[_Line], told: Sequence[Checkpoint]) -> "Iterator[CheckpointFault]":
    in_book, in_file = {one.seq: one for one in told}, {line.checkpoint.seq: line.checkpoint for line in lines}
    for seq, one in in_file.items():
        other = in_book.get(seq)
        if other is None:
            yield CheckpointFault(seq + 1, str(path), "the book does not have this checkpoint: its end was cut off, or it was made anew")
        elif any(getattr(one, name) != getattr(other, name) for name in _SAME):
            yield CheckpointFault(seq, str(path), "the checkpoint is another one than in the book")
    for seq in sorted(in_book.keys() - in_file.keys()):
        yield CheckpointFault(seq, str(path), "the checkpoint is missing in the file; bring a copy, or write a checkpoint where it is new")


def _lines(path: Path) -> tuple[list[_Line], list[CheckpointFault]]:
    """Return the checkpoints of a file, and what cannot be read in it; a last line that a crash cut short is left out."""
    try:
        content = path.read_bytes()
    except FileNotFoundError:
        return [], []
    except OSError as error:
        raise StoreProblem(f"the checkpoints cannot be read from {path}: {error.strerror}") from error
    found: list[_Line] = []
    broken: list[CheckpointFault] = []
    for number, line in enumerate(content.split(b"\n")[:-1], start=1):
        said = _json(line)
        made = book.of_columns(f"checkpoint:{said.get('seq')}", said)
        if made is None:
            after = found[-1].checkpoint.seq + 1 if found else 1
            broken.append(CheckpointFault(after, str(path), f"line {number} is no checkpoint"))
        else:
            found.append(_Line(made, str(said.get("public_key"))))
    return found, broken


def _json(line: bytes) -> dict[str, object]:
    try:
        said = json.loads(line)
    except ValueError:
        return {}
    return said if isinstance(said, dict) else {}


def _append(path: Path, checkpoints: Iterable[Checkpoint], keys: dict[str, str]) -> None:
    """Append the checkpoints that are newer than the file's last one, and see to it that they are on the disk."""
    lines, _ = _lines(path)
    last = max((line.checkpoint.seq for line in lines), default=0)
    told = [{**{name: asdict(one)[name] for name in _SAME}, "public_key": keys[one.key_id]} for one in checkpoints if one.seq > last]
    if not told:
        return
    try:
        with path.open("ab+") as file:
            size = file.seek(0, os.SEEK_END)
            if size:
                file.seek(0)
                file.truncate(file.read().rfind(b"\n") + 1)  # what a crash left of a line; the book has it whole
            file.seek(0, os.SEEK_END)
            file.write(b"".join(json.dumps(one, sort_keys=True).encode() + b"\n" for one in told))
            file.flush()
            os.fsync(file.fileno())
    except OSError as error:
        raise StoreProblem(
            f"the checkpoint is in the book, and cannot be written to {path}: {error.strerror}; write another one once it can"
        ) from error


@contextmanager
def alone(home: Home) -> "Iterator[None]":
    """Hold the right to write checkpoints: two at once would write a file twice, and a backup would copy half of one.

    Raises:
        StoreProblem: another process has had it for too long.
    """
    from filelock import FileLock, Timeout

    try:
        with FileLock(home.root / LOCK_FILE, timeout=LOCK_SECONDS):
            yield
    except Timeout as error:
        raise StoreProblem(f"another process is writing checkpoints of {home.root}; try again when it is done") from error
