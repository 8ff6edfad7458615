"""D3: rolling correlations against `np.corrcoef` day by day, the stack ratio without a matrix against with one, and D3 as a whole.

All from closes and exposures in memory. Where two sides compute the same, their results are compared first.
"""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq

from benchmarks.generate import PORTFOLIOS
from benchmarks.measure import alternate, seconds
from benchmarks.platform_run import parquet_to_results, read_facts
from benchmarks.registry import Bench, Row, benchmark
from portfolio_platform.diagnostics.correlation import analysis, matrices, stacking
from portfolio_platform.diagnostics.correlation.returns import Book, Closes, Observed, Stretch, stretches
from portfolio_platform.diagnostics.correlation.tables import cohorts, read_closes
from portfolio_platform.diagnostics.session_keys import day_numbers
from portfolio_platform.ledger.inputs import read_actions
from portfolio_platform.policy.diagnostics import CorrelationPolicy

FASTER_PAIRS, FASTER_RATIO, WHOLE_GOAL = 10.0, 30.0, 0.6
TOLERANCE = 1e-9
L_SYMBOLS, L_DAYS = 1_000, 2_500


def generated(folder: Path) -> tuple[Closes, Book]:
    """Return closes, and what the portfolios of generated facts hold in each session."""
    facts, found = read_facts(folder), parquet_to_results(folder)
    symbols = found.exposures.names[0]
    none = read_actions(facts.corporate_actions, after_ts=-1, until_ts=-1)
    closes = read_closes(facts.bars, none, symbols)
    cohort = cohorts(pq.read_table(folder / "instruments.parquet", columns=["symbol", "cohort"]), symbols)
    equity = found.step.equity.sort_by([("portfolio", "ascending"), ("day", "ascending")])
    names = equity["portfolio"].to_pylist()
    cell = found.exposures.session * len(symbols) + found.exposures.group[:, 0]
    order = np.argsort(cell, kind="stable")
    first = np.flatnonzero(np.diff(cell[order], prepend=-1))
    held, net = cell[order][first], np.add.reduceat(found.exposures.value[order], first)
    risk = np.abs(net) * 0.03
    book = Book(
        portfolio=np.array([PORTFOLIOS.index(name) for name in names]),
        day=day_numbers(equity["day"]),
        equity=found.equity,
        status=np.zeros(len(names), np.int64),
        start=np.searchsorted(held, np.arange(len(names) + 1) * len(symbols)),
        symbol=held % len(symbols),
        net=net,
        long_risk=np.where(net > 0.0, risk, 0.0),
        short_risk=np.where(net < 0.0, risk, 0.0),
        cohort=cohort,
    )
    return closes, book


def _windows(closes: Closes, book: Book, policy: CorrelationPolicy) -> Iterator[Stretch]:
    observed = Observed(np.zeros(book.sessions, np.int64), np.full(book.sessions, -1, np.int64))
    for block in stretches(closes, book, policy.window, policy.window, np.diff(book.start) > 1, observed):
        yield from block


def _day_by_day(closes: Closes, book: Book, policy: CorrelationPolicy) -> None:
    """Take `np.corrcoef` of each session's window, the returns being there already."""
    for stretch in _windows(closes, book, policy):
        for session, window in zip(stretch.members.tolist(), stretch.window.tolist(), strict=True):
            last, count = stretch.ends[window], stretch.count[window]
            place = np.searchsorted(stretch.symbols, book.held(session))
            if count >= policy.minimum:
                np.corrcoef(stretch.returns[last - count + 1 : last + 1][:, place], rowvar=False)


def _all_pairs(closes: Closes, book: Book, policy: CorrelationPolicy) -> None:
    scratch = analysis.Scratch()
    for stretch in _windows(closes, book, policy):
        scratch.next_block()
        analysis.correlate(stretch, policy.window, len(closes.symbols), scratch)


def _apart(closes: Closes, book: Book, policy: CorrelationPolicy, every: int = 37) -> float:
    """Return the largest difference from `np.corrcoef` over every 37th session."""
    most = 0.0
    for stretch in _windows(closes, book, policy):
        found = analysis.correlate(stretch, policy.window, len(closes.symbols), analysis.Scratch())
        size = stretch.symbols.size
        for place in range(0, stretch.members.size, every):
            window = int(stretch.window[place])
            last, count = stretch.ends[window], stretch.count[window]
            if count < policy.minimum:
                continue
            held = np.searchsorted(stretch.symbols, book.held(int(stretch.members[place])))
            first, second = np.triu_indices(held.size, 1)
            theirs = np.corrcoef(stretch.returns[last - count + 1 : last + 1][:, held], rowvar=False)[first, second]
            i, j = held[first], held[second]
            most = max(most, float(np.abs(found.table[window, i * (2 * size - i - 1) // 2 + j - i - 1] - theirs).max()))
    return most


@benchmark("correlation", sizes=("M",), order=60)
def correlation(bench: Bench, size: str) -> Iterator[Row]:
    """Measure correlations, then all of D3, on generated books."""
    closes, book = generated(bench.facts(size))
    policy = CorrelationPolicy()
    held = np.diff(book.start)
    apart = _apart(closes, book, policy)
    analysis.correlation_stacking(closes, book, policy)  # compiles
    fast, slow = alternate(lambda: _all_pairs(closes, book, policy), lambda: _day_by_day(closes, book, policy), runs=5)
    what = f"{book.sessions:,} sessions, {int(held.min())} to {int(held.max())} symbols held"
    same = apart <= TOLERANCE
    yield Row(
        f"every pairwise correlation of 60 sessions, {size}",
        seconds(fast),
        "np.corrcoef of each session",
        seconds(slow),
        slow / fast,
        f"faster {FASTER_PAIRS:g} times" if size != "S" else "",
        (same and slow >= FASTER_PAIRS * fast) if size != "S" else None,
        f"{what}; equal to {apart:.0e}",
    )
    core, whole = alternate(
        lambda: analysis.correlation_stacking(closes, book, policy, with_context=False),
        lambda: analysis.correlation_stacking(closes, book, policy),
        runs=3,
    )
    goal, met = (f"below {WHOLE_GOAL:g} s", core < WHOLE_GOAL) if size != "S" else ("", None)
    yield Row(f"score, ratio with interval, heat and buckets, {size}", seconds(core), goal=goal, met=met, note=what)
    yield Row("  with absorption ratio and turbulence", seconds(whole))
    yield _one_more(closes, book, policy, core)


def _one_more(closes: Closes, book: Book, policy: CorrelationPolicy, whole: float) -> Row:
    """Measure the newest session of each portfolio alone."""
    last = np.flatnonzero(np.diff(book.portfolio, append=-1) != 0)
    rows = np.concatenate([np.arange(book.start[k], book.start[k + 1]) for k in last])
    sizes = book.start[last + 1] - book.start[last]
    named = {name: getattr(book, name)[last] for name in ("portfolio", "day", "equity", "status")}
    by_row = {name: getattr(book, name)[rows] for name in ("symbol", "net", "long_risk", "short_risk")}
    alone = replace(book, start=np.concatenate(([0], np.cumsum(sizes))), **named, **by_row)
    (one,) = alternate(lambda: analysis.correlation_stacking(closes, alone, policy, with_context=False), runs=3)
    return Row("  the newest session alone", seconds(one), "all sessions", seconds(whole), one / whole)


@benchmark("stack_ratio", order=61)
def stack_ratio(bench: Bench, size: str) -> Iterator[Row]:
    """Measure the sample's stack ratio at 1,000 symbols and 2,500 days, with the matrix and without."""
    rng = np.random.default_rng(7)
    values = 0.01 * (0.5 * rng.standard_normal((L_DAYS + 60, 1)) + rng.standard_normal((L_DAYS + 60, L_SYMBOLS)))
    weight = rng.standard_normal(L_SYMBOLS)
    ends = np.arange(60, L_DAYS + 60)
    count, window = np.full(ends.size, 60), np.arange(ends.size)

    def without() -> np.ndarray:
        mean, scale = np.empty((ends.size, L_SYMBOLS)), np.empty((ends.size, L_SYMBOLS))
        matrices.moments(values, ends, count, mean, scale)
        out = np.empty(ends.size)
        # as the platform does: a block of sessions at a time
        for low in range(0, ends.size, 20):
            part = slice(low, min(low + 20, ends.size))
            rows = values[ends[part][0] - 59 : ends[part][-1] + 1]
            signed = weight * scale[part] / np.abs(weight * scale[part]).sum(axis=1)[:, None]
            coefficient = signed / (scale[part] / np.sqrt(60.0))
            squares, own = stacking.weighted_paths(
                rows, ends[part] - ends[part][0] + 59, np.arange(signed.shape[0]), mean[part], coefficient, 60
            )
            out[part] = squares.mean(axis=1) / own.mean(axis=1)
        return out

    def with_matrix() -> np.ndarray:
        out = np.empty(ends.size)
        for k in window.tolist():
            part = values[ends[k] - 59 : ends[k] + 1]
            signed = weight * part.std(axis=0)
            signed /= np.abs(signed).sum()
            out[k] = signed @ np.corrcoef(part, rowvar=False) @ signed / (signed @ signed)
        return out

    ours, theirs = without(), with_matrix()
    apart = float(np.abs(ours / theirs - 1.0).max())
    fast, slow = alternate(without, with_matrix, runs=2)
    yield Row(
        f"stack ratio of {L_SYMBOLS:,} symbols, {L_DAYS:,} days",
        seconds(fast),
        "with np.corrcoef's matrix",
        seconds(slow),
        slow / fast,
        f"faster {FASTER_RATIO:g} times",
        apart <= TOLERANCE and slow >= FASTER_RATIO * fast,
        f"equal to {apart:.0e}",
    )
