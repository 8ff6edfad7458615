"""D3 of every session of a book in one pass: blocks of common sessions, correlations once for all portfolios, then each session."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from portfolio_platform.diagnostics.correlation import buckets, context, interval, matrices, stacking, taxonomy
from portfolio_platform.diagnostics.correlation.returns import Book, Closes, Observed, Stretch, stretches
from portfolio_platform.policy.diagnostics import CorrelationPolicy

Int64 = npt.NDArray[np.int64]
Float64 = npt.NDArray[np.float64]

NOTHING, ROLLING, TAXONOMY = range(3)
OK, FLAT, STALE_MARK, MISSING_RATE, ONE_SYMBOL, NO_VARIANCE, NO_EQUITY, SHORT = range(8)
REASONS = ("", "flat", "stale_mark", "missing_fx_rate", "one_symbol", "no_variance", "equity_not_positive", "short_sample")


@dataclass(frozen=True)
class Stacked:
    """Figures of each session, NaN for null, and the bucket of each row of the book.

    Shapes: figures (sessions, 7), see `stacking`; low, high, absorption, turbulence, turbulence_code, method, reason
    (sessions,); bucket (rows,) the code of the first symbol of the row's bucket, -1 for none; tightness (rows,) at that
    first symbol's row. ``observed`` has the windows.
    """

    figures: Float64
    low: Float64
    high: Float64
    absorption: Float64
    turbulence: Float64
    turbulence_code: Int64
    method: Int64
    reason: Int64
    observed: Observed
    bucket: Int64
    tightness: Float64

    @classmethod
    def empty(cls, book: Book) -> "Stacked":
        """Return nothing yet for every session of a book."""
        size = book.sessions
        low, high, absorption, turbulence = (np.full(size, np.nan) for _ in range(4))
        code, method, reason = (np.zeros(size, np.int64) for _ in range(3))
        observed = Observed(np.zeros(size, np.int64), np.full(size, -1, np.int64))
        figures = np.full((size, stacking.FIGURES), np.nan)
        bucket, tightness = np.full(book.symbol.size, -1, np.int64), np.full(book.symbol.size, np.nan)
        return cls(figures, low, high, absorption, turbulence, code, method, reason, observed, bucket, tightness)


@dataclass(frozen=True)
class Memory:
    """Yesterday's buckets: the bucket of each symbol by portfolio (portfolios, symbols), -1 for none, and the session that left them."""

    bucket: Int64
    session: Int64

    @classmethod
    def of(cls, book: Book, symbols: int, bucket: Int64 | None = None) -> "Memory":
        """Return the memory before a book's first sessions; without ``bucket`` nothing is remembered."""
        portfolios = int(book.portfolio.max(initial=-1)) + 1
        kept = np.full((portfolios, symbols), -1, np.int64) if bucket is None else bucket.copy()
        return cls(kept, np.searchsorted(book.portfolio, np.arange(portfolios)) - 1)


@dataclass(frozen=True)
class Correlated:
    """A stretch with the packed correlations of its windows, and the places of its symbols."""

    stretch: Stretch
    mean: Float64
    scale: Float64
    table: Float64
    place_of: Int64


class Scratch:
    """Memory for the packed correlations of a block: taken again block after block, since fresh pages cost more than the sums."""

    def __init__(self) -> None:
        """Hold nothing yet."""
        self._parts: list[Float64] = []
        self._used = 0

    def next_block(self) -> None:
        """Give back all that was taken."""
        self._used = 0

    def take(self, rows: int, columns: int) -> Float64:
        """Return an array (rows, columns) of whatever was there before."""
        if self._used == len(self._parts):
            self._parts.append(np.empty(0))
        if self._parts[self._used].size < rows * columns:
            self._parts[self._used] = np.empty(rows * columns)
        self._used += 1
        return self._parts[self._used - 1][: rows * columns].reshape(rows, columns)


def correlate(stretch: Stretch, window: int, symbols: int, scratch: Scratch) -> Correlated:
    """Return means, deviations (windows, symbols) and correlations (windows, pairs) of a stretch."""
    shape = (stretch.ends.size, stretch.symbols.size)
    mean, scale = np.empty(shape), np.empty(shape)
    matrices.moments(stretch.returns, stretch.ends, stretch.count, mean, scale)
    table = scratch.take(shape[0], shape[1] * (shape[1] - 1) // 2)
    matrices.correlations(stretch.returns, stretch.anchor, stretch.ends, stretch.count, window, mean, scale, table)
    place_of = np.full(symbols, -1, np.int64)
    place_of[stretch.symbols] = np.arange(stretch.symbols.size)
    return Correlated(stretch, mean, scale, table, place_of)


def correlation_stacking(
    closes: Closes,
    book: Book,
    policy: CorrelationPolicy,
    remembered: Int64 | None = None,
    *,
    with_context: bool = True,
    confidence: float = 0.95,
) -> Stacked:
    """Return score, ratio, interval, buckets and context of every session of a book.

    ``remembered`` (portfolios, symbols) is the bucket of each symbol on the session before each portfolio's first one.
    Absorption ratio and turbulence, which take longer than all the rest, may be left out. ``confidence`` is that of each end of
    the interval, one-sided.
    """
    out = Stacked.empty(book)
    chosen = (book.status == OK) & (np.diff(book.start) > 0)
    memory = Memory.of(book, len(closes.symbols), remembered)
    paths: dict[int, list[tuple[Int64, Float64, Float64]]] = {}
    scratch = Scratch()
    reach = max(policy.window, policy.turbulence_window)
    for block in stretches(closes, book, policy.window, reach, chosen, out.observed):
        scratch.next_block()
        found = [correlate(stretch, policy.window, len(closes.symbols), scratch) for stretch in block]
        for correlated in found:
            _stack(correlated, book, policy, out, paths)
            if with_context:
                _context(closes, correlated, book, policy, out)
        _bucket(found, book, policy, memory, out)
    _intervals(paths, policy, confidence, out)
    _without_sample(book, chosen & (out.observed.count < policy.minimum), out)
    _reasons(book, out)
    return out


def _stack(
    found: Correlated, book: Book, policy: CorrelationPolicy, out: Stacked, paths: dict[int, list[tuple[Int64, Float64, Float64]]]
) -> None:
    """Fill the figures of a stretch's sessions, and put down the paths of their ratio for the bootstrap."""
    stretch = found.stretch
    enough = stretch.count[stretch.window] >= policy.minimum
    members, window = stretch.members[enough], stretch.window[enough]
    figures = np.full((members.size, stacking.FIGURES), np.nan)
    coefficient = np.zeros((members.size, stretch.symbols.size))
    stacking.stack_sessions(
        members,
        book.start,
        book.symbol,
        found.place_of,
        book.net,
        book.long_risk,
        book.short_risk,
        window,
        stretch.count,
        found.scale,
        found.table,
        figures,
        coefficient,
    )
    out.figures[members] = figures
    out.method[members] = ROLLING
    defined = ~np.isnan(figures[:, stacking.RATIO])
    counts = stretch.count[window]
    for length in np.unique(counts[defined]).tolist():
        these = np.flatnonzero(defined & (counts == length))
        squares, own = stacking.weighted_paths(stretch.returns, stretch.ends, window[these], found.mean, coefficient[these], length)
        paths.setdefault(length, []).append((members[these], squares, own))


def _context(closes: Closes, found: Correlated, book: Book, policy: CorrelationPolicy, out: Stacked) -> None:
    stretch = found.stretch
    ratio = context.absorption_ratios(stretch, book, found.place_of, found.mean, found.scale, policy.absorption_share)
    enough = stretch.count[stretch.window] >= policy.minimum
    out.absorption[stretch.members] = np.where(enough, ratio, np.nan)
    value, code = context.turbulences(closes, stretch, book, policy.turbulence_window, policy.turbulence_minimum)
    out.turbulence[stretch.members], out.turbulence_code[stretch.members] = value, code


def _bucket(found: list[Correlated], book: Book, policy: CorrelationPolicy, memory: Memory, out: Stacked) -> None:
    """Fill the buckets of a block's sessions, each portfolio's in order of time, whatever stretch they are in."""
    session = np.concatenate([np.empty(0, np.int64), *(one.stretch.members for one in found)])
    which = np.repeat(np.arange(len(found)), [one.stretch.members.size for one in found])
    window = np.concatenate([np.empty(0, np.int64), *(one.stretch.window for one in found)])
    keep = np.flatnonzero(out.method[session] == ROLLING)
    keep = keep[np.argsort(session[keep], kind="stable")]
    session, which, window = session[keep], which[keep], window[keep]
    owner = book.portfolio[session]
    breaks = np.flatnonzero((np.diff(session) != 1) | (np.diff(which) != 0) | (np.diff(owner) != 0)) + 1
    for run in np.split(np.arange(session.size), breaks) if session.size else []:
        members, portfolio = session[run], int(owner[run[0]])
        if memory.session[portfolio] != members[0] - 1:
            memory.bucket[portfolio] = -1  # the session before was not judged: what was together then is not known
        memory.session[portfolio] = members[-1]
        one = found[which[run[0]]]
        buckets.bucket_sessions(
            members,
            book.start,
            book.symbol,
            one.place_of,
            window[run],
            one.scale,
            one.table,
            np.nan_to_num(out.figures[members, stacking.SHRINKAGE]),
            np.nan_to_num(out.figures[members, stacking.MEAN]),
            (policy.join, min(policy.leave, policy.join)),
            memory.bucket[portfolio],
            out.bucket,
            out.tightness,
        )


def _intervals(paths: dict[int, list[tuple[Int64, Float64, Float64]]], policy: CorrelationPolicy, confidence: float, out: Stacked) -> None:
    for length, parts in paths.items():
        sessions = np.concatenate([part[0] for part in parts])
        squares, own = (np.concatenate([part[k] for part in parts]) for k in (1, 2))
        drawn = interval.weights(length, policy.bootstrap, policy.block, policy.seed)
        widening = interval.exponent(length, policy.block, confidence)
        ratio, most = out.figures[sessions, stacking.RATIO], 1.0 / out.figures[sessions, stacking.SQUARES]
        out.low[sessions], out.high[sessions] = interval.bootstrap(squares, own, ratio, most, drawn, widening, confidence)


def _without_sample(book: Book, short: npt.NDArray[np.bool_], out: Stacked) -> None:
    """Fill the sessions whose sample is too short: cohorts stand in."""
    out.method[short] = TAXONOMY
    for session in np.flatnonzero(short).tolist():
        rows = slice(book.start[session], book.start[session + 1])
        cohort, net = book.cohort[book.symbol[rows]], book.net[rows]
        matrix, first = taxonomy.cohort_matrix(cohort), taxonomy.cohort_buckets(cohort)
        out.bucket[rows] = book.symbol[rows][first]
        sizes = np.bincount(first, minlength=first.size)
        out.tightness[rows] = np.where(sizes > 1, 1.0, np.nan)
        out.figures[session, stacking.HEAT] = taxonomy.heat_of(matrix, book.long_risk[rows], book.short_risk[rows])
        if np.count_nonzero(net) > 1:
            found = taxonomy.figures_of(matrix, net / np.abs(net).sum())
            out.figures[session, [stacking.SCORE, stacking.VARIANCE, stacking.SQUARES]] = found
            out.figures[session, stacking.RATIO] = found[1] / found[2]


def _reasons(book: Book, out: Stacked) -> None:
    """Fill why figures of a session are null; the gravest reason alone."""
    exposed = np.zeros(book.sessions, np.int64)
    np.add.at(exposed, np.repeat(np.arange(book.sessions), np.diff(book.start)), book.net != 0.0)
    undefined = np.isnan(out.figures[:, stacking.RATIO])
    out.reason[:] = np.select(
        [
            book.status != OK,
            exposed == 0,
            exposed == 1,
            undefined,
            ~(book.equity > 0.0),
            out.method == TAXONOMY,
        ],
        [book.status, FLAT, ONE_SYMBOL, NO_VARIANCE, NO_EQUITY, SHORT],
        OK,
    )
