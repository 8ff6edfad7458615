"""Processes that are killed at any moment, and what they acknowledged: all of it has to be in the log, once.

A child makes decisions and records fills through the real control plane on a real book, and says on a pipe what it was
answered, after it was answered. The parent kills it (SIGKILL), starts another, and has it do the last few again. What this
cannot show is a machine that loses power: the disk's own promise is not tested.
"""

import hashlib
import os
import random
import select
import signal
import time
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from portfolio_platform.book.chain import verify_chain
from portfolio_platform.book.store import Book
from portfolio_platform.clock import FixedClock
from portfolio_platform.control.audit import audit
from portfolio_platform.control.events import AllocationDecided, FactsStated, FillRecorded
from portfolio_platform.control.log import envelopes_of, events_after
from portfolio_platform.control.plane import ControlPlane
from portfolio_platform.control.terms import Facts
from portfolio_platform.days import nanoseconds
from tests.simulation.world import INSTRUMENTS, LIMITS

NOW = datetime(2026, 1, 5, 12, tzinfo=UTC)
AT = nanoseconds(NOW)
AGAIN = 3
"""How many of the last commands are sent again after a kill, acknowledged or not."""


@dataclass(frozen=True)
class Survived:
    """What rounds of killing showed: rounds, commands acknowledged, sent again, decisions in the log, its events."""

    rounds: int
    acknowledged: int
    again: int
    decisions: int
    events: int


def begun(book: Book) -> None:
    plane = ControlPlane(book, FixedClock(NOW))
    plane.open_portfolio("p", LIMITS)
    plane.state_instruments("p", INSTRUMENTS)
    plane.state_facts("p", [FactsStated(0, Facts(equity=10**12, at=AT, session=1, day="2026-01-05"), (), ())])


def command(plane: ControlPlane, number: int) -> str:
    """Do the command of a number, always the same; return what was answered."""
    draw = random.Random(number)
    symbol = draw.choice(sorted(INSTRUMENTS))
    if number % 5 == 4:
        given = {
            "execution_id": f"x{number}",
            "ts": NOW,
            "strategy": "s",
            "symbol": symbol,
            "side": draw.choice(["buy", "sell"]),
            "quantity": 3,
        }
        plane.on_fill({**given, "price": 10, "stop_price": 8, "intent_id": f"i{number - 1}"}, "p")
        return "fill"
    wanted = [
        {
            "intent_id": f"i{number}" if part == 0 else f"i{number}-{part}",
            "strategy": "s",
            "symbol": symbol,
            "side": "long",
            "requested_risk": draw.randrange(1, 4_000_000),
            "ts": NOW,
        }
        for part in range(1 + 7 * (number % 3 == 0))
    ]
    answers = plane.request_allocations(wanted, "p")
    return hashlib.sha256(repr([one.decision for one in answers]).encode()).hexdigest()[:16]


def child(url: str, first: int, pipe: int) -> None:
    with Book(url) as book:
        plane = ControlPlane(book, FixedClock(NOW + timedelta(seconds=first)))
        number = first
        while True:
            said = command(plane, number)
            os.write(pipe, f"{number} {said}\n".encode())
            number += 1


def one_round(url: str, first: int, delay: float, *, after_first: bool) -> list[tuple[int, str]]:
    """Let a child work and kill it, a delay after its start or after its first acknowledgement; return what it acknowledged."""
    reading, writing = os.pipe()
    pid = os.fork()
    if pid == 0:
        os.close(reading)
        try:
            child(url, first, writing)
        finally:
            os._exit(1)
    os.close(writing)
    heard = b""
    end = time.monotonic() + (10.0 if after_first else delay)
    while (left := end - time.monotonic()) > 0:
        if select.select([reading], [], [], left)[0]:
            got = os.read(reading, 65536)
            if not got:
                break
            end = end if heard or not after_first else time.monotonic() + delay
            heard += got
    os.kill(pid, signal.SIGKILL)
    os.waitpid(pid, 0)
    while got := os.read(reading, 65536):
        heard += got
    os.close(reading)
    lines = [line.split() for line in heard.decode().split("\n")[:-1]]
    return [(int(number), said) for number, said in lines]


def survive(url: str, rounds: int, seed: int, longest: float = 0.04, *, least: int = 0) -> Survived:
    """Kill a worker many times on one book; raise where an acknowledged answer is missing, changed, or there twice.

    A busy machine acknowledges less before it is killed: it goes on, up to ten times as many rounds, until ``least`` are acknowledged.
    """
    draw = random.Random(seed)
    with Book(url) as book:
        book.create()
        begun(book)
    acknowledged: dict[int, str] = {}
    again, first, turns = 0, 0, 0
    while turns < rounds or (len(acknowledged) < least and turns < 10 * rounds):
        turns += 1
        heard = one_round(url, first, draw.uniform(0.0, longest), after_first=draw.random() < 0.8)
        for number, said in heard:
            if number in acknowledged:
                again += 1
                assert acknowledged[number] == said, f"command {number} was answered {acknowledged[number]}, and then {said}"
            acknowledged[number] = said
        first = max(0, max(acknowledged, default=-1) + 1 - AGAIN)
    return _looked_at(url, turns, acknowledged, again)


def _looked_at(url: str, rounds: int, acknowledged: dict[int, str], again: int) -> Survived:
    with Book(url) as book, book.reading() as connection:
        chain = verify_chain(connection)
        assert chain.ok, f"the chain broke at {chain.broken_at_seq}: {chain.reason}"
        found = audit("p", events_after(connection, "p"), envelopes_of(connection, "p"))
        assert found.fault is None, f"replayed, it differs: {found.fault}"
        events = [one.event for one in events_after(connection, "p")]
    decided = [one for one in events if isinstance(one, AllocationDecided)]
    names = [one.intent.intent_id for one in decided]
    assert len(names) == len(set(names)), "an intent was decided twice"
    by_name = {one.intent.intent_id: one.decision for one in decided}
    fills = {one.fill.execution_id for one in events if isinstance(one, FillRecorded)}
    for number, said in acknowledged.items():
        if said == "fill":
            assert f"x{number}" in fills, f"the acknowledged fill x{number} is lost"
            continue
        parts = [f"i{number}" if part == 0 else f"i{number}-{part}" for part in range(1 + 7 * (number % 3 == 0))]
        assert all(name in by_name for name in parts), f"an acknowledged decision of command {number} is lost"
        digest = hashlib.sha256(repr([by_name[name] for name in parts]).encode()).hexdigest()[:16]
        assert digest == said, f"the decision of command {number} is not the one that was acknowledged"
    return Survived(rounds, len(acknowledged), again, len(decided), found.events)
