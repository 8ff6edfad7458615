"""Workflows in the book: candle closes of many instruments in one durable step, and one instrument's long history come back."""

import tempfile
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from random import Random

from benchmarks.registry import Bench, Row, benchmark
from portfolio_platform.book.location import sqlite_url
from portfolio_platform.book.store import Book
from portfolio_platform.broker.model import Bar
from portfolio_platform.days import NANOSECONDS_PER_DAY
from portfolio_platform.instruments.bars import closes_of
from portfolio_platform.instruments.model import CandleClosed, InstrumentConfig, PlanProvided, RequestPlan, Started
from portfolio_platform.instruments.planning import PlaybookPlans
from portfolio_platform.instruments.playbook_loading import shipped
from portfolio_platform.instruments.store import InstrumentLog, verify_snapshots

AT = datetime(2026, 1, 5, tzinfo=UTC)
SYMBOLS, WARM, CLOSES, HISTORY, CALLS = 500, 60, 5, 10_000, 200
TIMEFRAMES = ("1d", "1w")
TEMPLATES = ("trend_continuation", "mean_reversion", "compression_breakout", "bull_trending")


def candles(symbol: str, count: int, seed: int) -> list[CandleClosed]:
    """Draw a walk of daily candles, Mondays to Fridays and weekends alike."""
    draw, price, found = Random(seed), 100 * 10**18, []
    for place in range(1, count + 1):
        first, price = price, max(10**18, price + draw.randrange(-2 * 10**18, 2 * 10**18 + 1) * price // (100 * 10**18))
        high, low = max(first, price) * 1_005 // 1_000, min(first, price) * 995 // 1_000
        bar = Bar(symbol, (place - 1) * NANOSECONDS_PER_DAY, place * NANOSECONDS_PER_DAY, first, high, low, price, 10**24)
        found.append(CandleClosed(bar.ts, bar, closes_of("24x7", TIMEFRAMES, bar)))
    return found


def carried_out(log: InstrumentLog, book: Book, symbols: list[str], asked: dict[str, tuple[object, ...]]) -> None:
    """Provide the plans that were asked for, which is all that a workflow without an envelope asks for, and note it."""
    provider = PlaybookPlans(shipped())
    plans: dict[str, list[PlanProvided]] = {}
    for symbol, commands in asked.items():
        for one in commands:
            if isinstance(one, RequestPlan):
                plans.setdefault(symbol, []).append(provider.provide(one, InstrumentConfig("p", symbol)))
    if plans:
        log.advance("p", plans, at=AT)
    with book.writing() as connection:
        log.carried_out(connection, "p", symbols)


def fan_out(book: Book) -> tuple[float, float]:
    """Return the least and the most of several times that a close of every instrument took, in seconds, durably."""
    log, symbols = InstrumentLog(book), [f"S{place:03}" for place in range(SYMBOLS)]
    series = {symbol: candles(symbol, WARM + CLOSES, seed) for seed, symbol in enumerate(symbols)}
    started = {
        symbol: [Started(1, InstrumentConfig("p", symbol, TIMEFRAMES, TEMPLATES[place % 4])), *series[symbol][:WARM]]
        for place, symbol in enumerate(symbols)
    }
    carried_out(log, book, symbols, log.advance("p", started, at=AT))
    took = []
    for place in range(WARM, WARM + CLOSES):
        begun = time.perf_counter()
        asked = log.advance("p", {symbol: [series[symbol][place]] for symbol in symbols}, at=AT)
        took.append(time.perf_counter() - begun)
        carried_out(log, book, symbols, asked)
    return min(took), max(took)


def come_back(book: Book) -> tuple[float, float, int]:
    """Return seconds to have one instrument's state after many events: from its kept state, and from its first event; faults of it."""
    log, series = InstrumentLog(book), candles("LONG", HISTORY - 1, 7)
    log.advance("p", {"LONG": [Started(1, InstrumentConfig("p", "LONG", TIMEFRAMES))]}, at=AT)
    for begin in range(0, len(series), CALLS):
        carried_out(log, book, ["LONG"], log.advance("p", {"LONG": series[begin : begin + CALLS]}, at=AT))
    with book.reading() as connection:
        begun = time.perf_counter()
        version = InstrumentLog(book).load(connection, "p", ["LONG"])["LONG"].version
        kept = time.perf_counter() - begun
        assert version == HISTORY
        begun = time.perf_counter()
        faults = len([one for one in verify_snapshots(connection) if one.stream.endswith("/LONG")])
        return kept, time.perf_counter() - begun, faults


@benchmark("instruments", order=62)
def instruments(_bench: Bench, _size: str) -> Iterator[Row]:
    """Measure workflows in the book."""
    with tempfile.TemporaryDirectory() as folder, Book(sqlite_url(Path(folder) / "book.sqlite")) as book:
        book.create()
        kept, whole, faults = come_back(book)
        note = f"of {HISTORY:,} events, from the state that was kept; {faults} faults"
        yield Row("one instrument's state comes back", f"{kept * 1e3:.0f} ms", "goal", "200 ms", kept / 0.2, "<= 200 ms", kept <= 0.2, note)
        yield Row("the same, every event replayed", f"{whole * 1e3:.0f} ms", note="what `verify_snapshots` does; no goal of its own")
        least, most = fan_out(book)
        note = f"one candle close of {SYMBOLS} instruments in one transaction; the slowest of {CLOSES} {most * 1e3:.0f} ms"
        yield Row("candle closes, durably", f"{least * 1e3:.0f} ms", "goal", "1,000 ms", least, "<= 1 s", least <= 1.0, note)
