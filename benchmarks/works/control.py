"""The control plane: decisions in memory, durably one by one and in batches, by several writers; replay, verification, fan-out."""

import multiprocessing
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from random import Random

from benchmarks.registry import Bench, Row, benchmark
from portfolio_platform.book.chain import verify_chain
from portfolio_platform.book.location import sqlite_url
from portfolio_platform.book.store import Book
from portfolio_platform.clock import FixedClock
from portfolio_platform.control.audit import audit
from portfolio_platform.control.events import (
    AllocationDecided,
    FactsStated,
    InstrumentsStated,
    PolicyAdopted,
    PortfolioOpened,
    ReservationEnded,
)
from portfolio_platform.control.log import events_after
from portfolio_platform.control.model import PortfolioIntent
from portfolio_platform.control.plane import ControlPlane
from portfolio_platform.control.reduce import apply, replay
from portfolio_platform.control.rules import decide
from portfolio_platform.control.state import ControlState, Instrument
from portfolio_platform.control.terms import Facts, Limits, Order
from portfolio_platform.days import nanoseconds
from portfolio_platform.policy.load import default_policy

NOW = datetime(2026, 1, 5, 12, tzinfo=UTC)
AT = nanoseconds(NOW)
SYMBOLS = {f"S{number:03}": Instrument(f"cohort {number % 20}", f"sector {number % 10}") for number in range(200)}
FACTS = FactsStated(
    0, Facts(equity=10**9, at=AT, session=1, day="2026-01-05"), (), tuple((name, f"b{int(name[1:]) % 30}") for name in SYMBOLS)
)
LIMITS = replace(Limits.of(default_policy()), positions=1_000, new_positions=10**6, minimum_ticket=0)
MEMORY, SINGLE, BATCHES, BATCH, WRITERS, FAN = 50_000, 800, 100, 100, 4, 1_000


def intents(count: int, seed: int = 7, prefix: str = "i") -> list[PortfolioIntent]:
    """Draw intents that are granted, clipped and refused."""
    draw = Random(seed)
    names = sorted(SYMBOLS)
    return [
        PortfolioIntent(
            f"{prefix}{number}",
            "p",
            f"strategy {draw.randrange(5)}",
            draw.choice(names),
            "long",
            draw.randrange(10_000, 1_000_000),
            AT,
            10**7,
            f"template {draw.randrange(5)}",
            f"playbook {draw.randrange(8)}",
        )
        for number in range(count)
    ]


def begun(plane: ControlPlane) -> ControlPlane:
    """Put a portfolio under control, with instruments and facts."""
    plane.open_portfolio("p", LIMITS)
    plane.state_instruments("p", SYMBOLS)
    plane.state_facts("p", [FACTS])
    return plane


def decided_in_memory() -> float:
    """Return decisions a second, each applied, most reservations given back."""
    opened = (PortfolioOpened(AT, AT, "USD", 2, False), InstrumentsStated(AT, tuple(SYMBOLS.items())), PolicyAdopted(AT, LIMITS), FACTS)
    state, asked = replay(ControlState("p"), opened), intents(MEMORY)
    start = time.perf_counter()
    for number, one in enumerate(asked):
        decision = decide(state, one, AT)
        state = apply(state, AllocationDecided(decision.at, one, decision))
        if decision.approved_risk and number % 10:
            state = apply(state, ReservationEnded(AT, one.intent_id, False, "bench", "filled elsewhere"))
    return MEMORY / (time.perf_counter() - start)


@contextmanager
def books() -> Iterator[list[tuple[str, str]]]:
    """Hand out the URLs of a SQLite book and, where there is one, of a book in Postgres."""
    with tempfile.TemporaryDirectory() as folder:
        found = [("SQLite, synchronous FULL", sqlite_url(Path(folder) / "book.sqlite"))]
        try:
            import pgserver
        except ModuleNotFoundError:
            yield found
            return
        server = pgserver.get_server(Path(folder) / "pg", cleanup_mode="stop")
        try:
            yield [*found, ("Postgres", server.get_uri().replace("postgresql://", "postgresql+psycopg2://"))]
        finally:
            server.cleanup()


def singles(book: Book, count: int, prefix: str) -> tuple[float, float]:
    """Return durable decisions a second from one writer, and the 99th percentile in milliseconds."""
    plane, took = ControlPlane(book, FixedClock(NOW)), []
    plane.get_portfolio_state("p")
    start = time.perf_counter()
    for one in intents(count, prefix=prefix):
        before = time.perf_counter()
        plane.request_allocation(one)
        took.append(time.perf_counter() - before)
    return count / (time.perf_counter() - start), sorted(took)[int(len(took) * 0.99)] * 1_000


def _writer(url: str, number: int, count: int) -> None:
    with Book(url) as book:
        singles(book, count, f"w{number}-")


def several(url: str, book: Book) -> tuple[float, int]:
    """Return decisions a second of several writers at once, and how many of theirs are missing from the log."""
    count = SINGLE // WRITERS
    context = multiprocessing.get_context("spawn")
    workers = [context.Process(target=_writer, args=(url, number, count)) for number in range(WRITERS)]
    start = time.perf_counter()
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    took = time.perf_counter() - start
    with book.reading() as connection:
        names = {
            one.event.intent.intent_id for one in events_after(connection, "p", brief=True) if isinstance(one.event, AllocationDecided)
        }
    wanted = {f"w{number}-{index}" for number in range(WRITERS) for index in range(count)}
    return WRITERS * count / took, len(wanted - names)


def batched(book: Book) -> float:
    """Return durable decisions a second in batches."""
    plane, asked = ControlPlane(book, FixedClock(NOW)), intents(BATCHES * BATCH, prefix="b")
    plane.get_portfolio_state("p")
    start = time.perf_counter()
    for place in range(0, len(asked), BATCH):
        plane.request_allocations(asked[place : place + BATCH])
    return len(asked) / (time.perf_counter() - start)


def read_back(book: Book) -> tuple[float, float, float]:
    """Return events a second of: folding the stream into a state, verifying the chain, deciding all of it again."""
    with book.reading() as connection:
        start = time.perf_counter()
        state = replay(ControlState("p"), (one.event for one in events_after(connection, "p", brief=True)))
        folded = state.version / (time.perf_counter() - start)
        start = time.perf_counter()
        verified = verify_chain(connection)
        chained = verified.events / (time.perf_counter() - start)
        start = time.perf_counter()
        audited = audit("p", events_after(connection, "p"), every=10**9)
        again = audited.events / (time.perf_counter() - start)
    if not verified.ok or audited.fault is not None:
        raise AssertionError("the log of the benchmark does not hold together")
    return folded, chained, again


def fan_out(book: Book) -> float:
    """Return the milliseconds from an order to envelopes for many symbols, in the book."""
    plane = ControlPlane(book, FixedClock(NOW))
    plane.enlist("p", [f"F{number}" for number in range(FAN)])
    order = Order("halt", "mode", "operator", "bench", "measured", AT, AT + 10**15, mode="risk_off")
    start = time.perf_counter()
    told = plane.give_order("p", [order])
    took = (time.perf_counter() - start) * 1_000
    if len(told) < FAN:
        raise AssertionError(f"{len(told)} symbols were told")
    return took


def _rate(work: str, rate: float, goal: float, note: str = "", *, judged: bool = True) -> Row:
    met = rate >= goal if judged else None
    return Row(work, f"{rate:,.0f}/s", "goal", f"{goal:,.0f}/s", rate / goal, f">= {goal:,.0f}/s" if judged else "", met, note)


@benchmark("control", order=60)
def control(_bench: Bench, _size: str) -> Iterator[Row]:
    """Measure the control plane."""
    yield _rate("decide and apply, one process", max(decided_in_memory() for _ in range(3)), 50_000)
    with books() as urls:
        for name, url in urls:
            with Book(url) as book:
                book.create()
                begun(ControlPlane(book, FixedClock(NOW)))
                judged = name.startswith("SQLite")
                rate, slowest = singles(book, SINGLE, "s")
                yield _rate(f"{name}: single decisions, one writer", rate, 300, f"p99 {slowest:.1f} ms, goal 20", judged=judged)
                rate, missing = several(url, book)
                yield _rate(
                    f"{name}: single decisions, {WRITERS} writers", rate, 300, f"{missing} missing; processes' start included", judged=False
                )
                yield _rate(f"{name}: decisions in batches of {BATCH}", batched(book), 10_000, judged=judged)
                folded, chained, again = read_back(book)
                yield _rate(f"{name}: events folded into a state", folded, 100_000, judged=judged)
                yield _rate(f"{name}: events verified in the chain", chained, 100_000, judged=judged)
                yield _rate(f"{name}: decisions worked out again and compared", again, 100_000, "no goal of its own", judged=False)
                took = fan_out(book)
                yield Row(
                    f"{name}: envelopes to {FAN:,} symbols",
                    f"{took:.0f} ms",
                    "goal",
                    "100 ms",
                    took / 100,
                    "<= 100 ms",
                    took <= 100 if judged else None,
                )
