"""Logs that a disk tore or flipped a bit in: each is refused, found out, or still says just what it said.

A copy of a SQLite book is damaged at a random place and opened as anybody would. A log that is shorter and whole in itself
is found out by the signed checkpoint beside it.
"""

import random
import shutil
from collections import Counter
from pathlib import Path

from portfolio_platform.book.chain import verify_chain
from portfolio_platform.book.events import ChainHead, chain_head, read_rows
from portfolio_platform.book.location import sqlite_url
from portfolio_platform.book.store import Book
from portfolio_platform.clock import FixedClock
from portfolio_platform.control.audit import audit
from portfolio_platform.control.log import events_after
from portfolio_platform.control.plane import ControlPlane
from portfolio_platform.errors import PortfolioError
from tests.simulation.kills import NOW, begun, command


def whole_book(folder: Path, commands: int = 40) -> tuple[Path, list[tuple], ChainHead]:
    """Make a book with some decisions; return its file, its events, and the end of the log."""
    path = folder / "book.sqlite"
    with Book(sqlite_url(path)) as book:
        book.create()
        begun(book)
        plane = ControlPlane(book, FixedClock(NOW))
        for number in range(commands):
            command(plane, number)
        with book.reading() as connection:
            return path, [tuple(row) for row in read_rows(connection)], chain_head(connection)


def damaged(content: bytes, draw: random.Random) -> tuple[str, bytes]:
    """Return a kind of damage, and the content with it."""
    kind = draw.choice(["bit", "bit", "bit", "byte", "cut", "zeroed page", "old page"])
    place = draw.randrange(len(content))
    if kind == "bit":
        return kind, content[:place] + bytes([content[place] ^ (1 << draw.randrange(8))]) + content[place + 1 :]
    if kind == "byte":
        return kind, content[:place] + bytes([draw.randrange(256)]) + content[place + 1 :]
    if kind == "cut":
        return kind, content[:place]
    page, other = (draw.randrange(len(content) // 4096) * 4096 for _ in range(2))
    filling = bytes(4096) if kind == "zeroed page" else content[other : other + 4096]
    return kind, content[:page] + filling + content[page + 4096 :]


def outcome(path: Path, events: list[tuple], anchor: ChainHead) -> str:
    """Open a book and say what came of it: refused, found out, equal; anything else is silent damage, and raises."""
    try:
        with Book(sqlite_url(path), wait_seconds=1.0) as book, book.reading() as connection:
            verdict = verify_chain(connection, anchor)
            if not verdict.ok:
                return "found out"
            rows = [tuple(row) for row in read_rows(connection)]
            assert rows == events, "the chain was called whole, and the events are others"
            found = audit("p", events_after(connection, "p"))
            mine = sum(row[1] == "control/p" for row in events)
            return "equal" if found.fault is None and found.events == mine else "found out"
    except PortfolioError:
        return "refused"


def tear(folder: Path, count: int, seed: int) -> Counter[str]:
    """Damage a book many times; return what came of it."""
    path, events, anchor = whole_book(folder)
    content, draw = path.read_bytes(), random.Random(seed)
    found: Counter[str] = Counter()
    for number in range(count):
        kind, torn = damaged(content, draw)
        victim = folder / "torn" / "book.sqlite"
        shutil.rmtree(victim.parent, ignore_errors=True)
        victim.parent.mkdir()
        victim.write_bytes(torn)
        try:
            found[outcome(victim, events, anchor)] += 1
        except AssertionError as error:
            raise AssertionError(f"seed {seed}, damage {number} ({kind}): {error}") from error
    return found
