"""A pass of the screener over a large universe, against the same features one symbol at a time; equal values first."""

from collections.abc import Iterator

import numpy as np

from benchmarks.measure import alternate, seconds
from benchmarks.registry import Bench, Row, benchmark
from portfolio_platform.broker.model import UNIT, Bar
from portfolio_platform.days import NANOSECONDS_PER_DAY
from portfolio_platform.instruments.bars import advance, start
from portfolio_platform.instruments.features import value
from portfolio_platform.instruments.model import CandleClosed
from portfolio_platform.instruments.regime import RegimeState, RegimeTerms, evaluate
from portfolio_platform.instruments.screener import SCORED, ScreenerPass, ScreenerTerms, screen
from portfolio_platform.instruments.universe import UniverseBars

SYMBOLS, BARS, GOAL = 1_000, 500, 0.5
CANDLES, CANDLES_GOAL = 10_000, 0.2
MILLION = 1_000_000


def drawn(symbols: int = SYMBOLS, count: int = BARS) -> dict[str, tuple[Bar, ...]]:
    """Return daily bars of random walks with volumes, by symbol."""
    rng = np.random.default_rng(11)
    close = 100.0 * np.cumprod(1.0 + rng.normal(0.0, 0.012, (symbols, count)), axis=1)
    opened = close * (1.0 + rng.normal(0.0, 0.004, close.shape))
    high = np.maximum(opened, close) * (1.0 + rng.random(close.shape) * 0.006)
    low = np.minimum(opened, close) * (1.0 - rng.random(close.shape) * 0.006)
    volume = rng.integers(1_000, 90_000, close.shape)
    found = {}
    for row in range(symbols):
        name = f"S{row:04d}"
        columns = [np.rint(one[row] * 1e6).astype(np.int64).tolist() for one in (opened, high, low, close)]
        days = range(14_000, 14_000 + count)
        found[name] = tuple(
            Bar(name, day * NANOSECONDS_PER_DAY, (day + 1) * NANOSECONDS_PER_DAY, *(price * 10**12 for price in prices), amount * UNIT)
            for day, prices, amount in zip(days, zip(*columns, strict=True), volume[row].tolist(), strict=True)
        )
    return found


def apart(found: ScreenerPass, bars: dict[str, tuple[Bar, ...]]) -> int:
    """Return the largest difference between the pass's features and the plain ones, in parts per million."""
    most = 0
    for row in found.rows:
        for name, number in row.features:
            if name in SCORED:
                plain = value(name, bars[row.symbol])
                most = max(most, abs((plain or 0) - (number or 0)), MILLION * ((plain is None) != (number is None)))
    return most


@benchmark("screener", order=62)
def screener(_bench: Bench, _size: str) -> Iterator[Row]:
    """Measure a pass, the windows of one symbol over many candles, and an evaluation of its regime."""
    bars = drawn()
    universe, terms = UniverseBars.of(bars), ScreenerTerms()
    at = int(universe.ts[0, -1])
    most = apart(screen(universe, at, terms), bars)
    fast, slow = alternate(
        lambda: screen(universe, at, terms), lambda: [value(name, held) for held in bars.values() for name in SCORED], runs=3
    )
    yield Row(
        f"a pass of the screener over {SYMBOLS:,} symbols of {BARS} bars",
        seconds(fast),
        "its four scored features one symbol at a time",
        seconds(slow),
        slow / fast,
        f"below {GOAL:g} s",
        fast < GOAL and most <= 1,
        f"equal to {most} part per million",
    )
    (one,) = drawn(1, CANDLES).values()
    candles = [CandleClosed(bar.ts, bar) for bar in one]

    def replayed() -> None:
        windows = start(("1d", "1w"))
        for candle in candles:
            windows, _ = advance(windows, candle)

    def evaluated() -> None:
        state = RegimeState()
        for end in range(300, 1_300, 5):
            state, _ = evaluate(RegimeTerms(), state, one[end - 280 : end], one[end - 1].ts)

    took, judged = alternate(replayed, evaluated, runs=3)
    yield Row(
        f"windows of a day and a week over {CANDLES:,} candles", seconds(took), goal=f"below {CANDLES_GOAL:g} s", met=took < CANDLES_GOAL
    )
    yield Row("  an evaluation of the regime", seconds(judged / 200))
