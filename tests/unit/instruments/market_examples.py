"""Bars by hand and by a seed, for the tests of windows, features, regimes and the screener."""

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from random import Random

from portfolio_platform.broker.model import UNIT, Bar
from portfolio_platform.days import NANOSECONDS_PER_DAY, nanoseconds
from portfolio_platform.instruments.bars import HOUR
from portfolio_platform.instruments.model import CandleClosed

DAY = NANOSECONDS_PER_DAY
MONDAY = nanoseconds(datetime(2010, 1, 4, tzinfo=UTC))
"""00:00Z on a Monday."""


def at(text: str) -> int:
    """Return a time written in ISO-8601, UTC where it says nothing else."""
    found = datetime.fromisoformat(text)
    return nanoseconds(found if found.tzinfo else found.replace(tzinfo=UTC))


def px(price: float) -> int:
    return round(price * 10**6) * 10**12


def bar(ts: int, open_: float, high: float, low: float, close: float, volume: int | None = 100, length: int = DAY) -> Bar:
    return Bar("ABC", ts - length, ts, px(open_), px(high), px(low), px(close), None if volume is None else volume * UNIT)


def daily(
    closes: Iterable[float], symbol: str = "ABC", start: int = MONDAY, spread: float = 0.01, volume: int | None = 100
) -> tuple[Bar, ...]:
    """Return a bar a day from Monday on, each opening at the close before, with a range of a share of its close on both sides."""
    found: list[Bar] = []
    before: float | None = None
    for number, close in enumerate(closes):
        opened = close if before is None else before
        high, low = max(opened, close) * (1 + spread), min(opened, close) * (1 - spread)
        ts = start + (number + 1) * DAY
        amount = None if volume is None else volume * UNIT
        found.append(Bar(symbol, ts - DAY, ts, px(opened), px(high), px(low), px(close), amount))
        before = close
    return tuple(found)


def walk(seed: int, count: int, *, step: float = 0.01, drift: float = 0.0, symbol: str = "ABC", start: int = MONDAY) -> tuple[Bar, ...]:
    """Return daily bars of a seeded random walk with uneven ranges and volumes."""
    random = Random(seed)
    close, found = 100.0, []
    for number in range(count):
        opened = close * (1 + random.uniform(-step, step) / 3)
        close = max(1.0, opened * (1 + drift + random.uniform(-step, step)))
        high = max(opened, close) * (1 + random.uniform(0, step))
        low = min(opened, close) * (1 - random.uniform(0, step))
        ts = start + (number + 1) * DAY
        found.append(Bar(symbol, ts - DAY, ts, px(opened), px(high), px(low), px(close), random.randrange(1_000, 9_000) * UNIT))
    return tuple(found)


def candle(one: Bar, *closes: str) -> CandleClosed:
    return CandleClosed(one.ts, one, closes)


def hourly(count: int, start: int = MONDAY) -> tuple[Bar, ...]:
    """Return hourly bars round the clock, the k-th (from 1) with open 100 + k, high open + 2, low open - 3, close open + 1, volume k."""
    return tuple(bar(start + k * HOUR, 100 + k, 102 + k, 97 + k, 101 + k, volume=k, length=HOUR) for k in range(1, count + 1))


def prices(bars: Sequence[Bar]) -> list[tuple[float, float, float, float]]:
    return [(one.open / UNIT, one.high / UNIT, one.low / UNIT, one.close / UNIT) for one in bars]
