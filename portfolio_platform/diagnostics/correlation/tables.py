"""From derived tables and bars to the arrays of the analysis, and from its results to rows."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from portfolio_platform.days import day_number
from portfolio_platform.diagnostics.correlation import analysis, context, stacking
from portfolio_platform.diagnostics.correlation.analysis import Stacked
from portfolio_platform.diagnostics.correlation.returns import Book, Closes
from portfolio_platform.diagnostics.session_keys import codes_in, day_numbers, in_order, key_order
from portfolio_platform.lake import derived
from portfolio_platform.lake.arrays import assemble, day_column, month_column, named, number_column
from portfolio_platform.lake.facts import UNCLASSIFIED
from portfolio_platform.ledger.fixed_point import to_floats
from portfolio_platform.ledger.inputs import Actions, encode
from portfolio_platform.ledger.marks import split_factors

Int64 = npt.NDArray[np.int64]
Float64 = npt.NDArray[np.float64]

METHODS = ("", "rolling; interval: moving-block bootstrap of the unshrunk ratio, scaled to the shrunk one", "taxonomy")
BUCKET_METHODS = ("", "rolling", "taxonomy")
OFFSET = 1e-9  # of a symbol's gross exposure: a smaller net is what rounding left of two positions that cancel


def read_closes(bars: pa.Table, splits: Actions, symbols: tuple[str, ...]) -> Closes:
    """Return the closes of symbols from bars (symbol, ts, close); the last bar of a day counts, in shares after all splits before it."""
    code = codes_in(bars["symbol"], list(symbols))
    mine = np.flatnonzero(code >= 0)
    if mine.size == 0:
        return Closes(symbols, 0, np.full((0, len(symbols)), np.nan))
    code, ts, close = code[mine], bars["ts"].to_numpy()[mine], to_floats(bars["close"])[mine]
    value = np.log(close)
    for symbol in sorted(set(splits.symbol.tolist()) & set(symbols)):
        rows = code == symbols.index(symbol)
        value[rows] += np.log(split_factors(ts[rows], symbol, splits))
    order = np.argsort(ts, kind="stable")
    day = day_number(ts[order])
    out = np.full((int(day[-1] - day[0]) + 1, len(symbols)), np.nan)
    out[day - day[0], code[order]] = value[order]
    return Closes(symbols, int(day[0]), out)


def cohorts(instruments: pa.Table, symbols: tuple[str, ...]) -> Int64:
    """Return each symbol's cohort as a code, -1 where it has none."""
    names = dict(zip(instruments["symbol"].to_pylist(), instruments["cohort"].to_pylist(), strict=True))
    known = [names.get(symbol) or UNCLASSIFIED for symbol in symbols]
    rank = {name: place for place, name in enumerate(sorted(set(known) - {UNCLASSIFIED}))}
    return np.array([rank.get(name, -1) for name in known], np.int64)


def read_book(sessions: pa.Table, lots: pa.Table, risks: pa.Table, symbols: tuple[str, ...], cohort: Int64) -> Book:
    """Return the net exposure and the risk of each symbol in each session.

    ``sessions`` has portfolio, day, equity, stale_positions, sorted by portfolio and day; ``lots`` are rows of
    `lot_exposures`, ``risks`` of `position_risk`. Sums are taken in key order.
    """
    count, width = len(sessions), max(len(symbols), 1)
    lots, session = in_order(lots, sessions, ("symbol", "strategy", "currency", "template", "playbook"))
    value = lots["market_value_base"].to_numpy().astype(np.float64)
    cell = session * width + codes_in(lots["symbol"], list(symbols))
    first = np.flatnonzero(np.diff(cell, prepend=-1))
    net, gross = (np.add.reduceat(part, first) if first.size else np.empty(0) for part in (value, np.abs(value)))
    net = np.where(np.abs(net) <= OFFSET * gross, 0.0, net)
    held = cell[first]
    equity = sessions["equity"].to_numpy().astype(np.float64)
    status = np.zeros(count, np.int64)
    status[sessions["stale_positions"].fill_null(0).to_numpy() > 0] = analysis.STALE_MARK
    status[session[lots["stale"].to_numpy().astype(bool)]] = analysis.STALE_MARK
    status[np.isnan(equity)] = analysis.MISSING_RATE
    status[session[np.isnan(value)]] = analysis.MISSING_RATE
    long_risk, short_risk = _risks(risks, sessions, symbols, held)
    return Book(
        portfolio=encode(sessions["portfolio"])[0],
        day=day_numbers(sessions["day"]),
        equity=equity,
        status=status,
        start=np.searchsorted(held, np.arange(count + 1) * width),
        symbol=held % width,
        net=net,
        long_risk=long_risk,
        short_risk=short_risk,
        cohort=cohort,
    )


def _risks(risks: pa.Table, sessions: pa.Table, symbols: tuple[str, ...], held: Int64) -> tuple[Float64, Float64]:
    """Return the risk of the long and of the short positions in each held symbol, NaN where none is known."""
    risks, session = in_order(risks, sessions, ("symbol", "strategy", "currency"))
    risk = risks["risk"].to_numpy().astype(np.float64)
    code = codes_in(risks["symbol"], list(symbols))
    cell = session * max(len(symbols), 1) + code
    place = np.minimum(np.searchsorted(held, cell), max(held.size - 1, 0))
    known = np.flatnonzero((code >= 0) & (held[place] == cell)) if held.size else np.empty(0, np.int64)
    is_long = np.asarray(pc.equal(risks["direction"], "long").to_numpy(), bool)
    out = np.full((2, held.size), np.nan)
    out[:, place[known]] = 0.0
    for side, on_it in enumerate((is_long, ~is_long)):
        np.add.at(out[side], place[known[on_it[known]]], risk[known[on_it[known]]])
    return out[0], out[1]


@dataclass(frozen=True)
class Buckets:
    """The buckets of all sessions, sorted by session and name: shapes (buckets,), members (buckets + 1,) delimits ``rows``."""

    session: Int64
    first: Int64
    members: Int64
    rows: Int64
    long: Float64
    short: Float64
    tightness: Float64

    @classmethod
    def of(cls, book: Book, out: Stacked, symbols: int) -> "Buckets":
        """Collect the rows of a book by session and bucket."""
        session = np.repeat(np.arange(book.sessions), np.diff(book.start))
        some = np.flatnonzero(out.bucket >= 0)
        key = session[some] * max(symbols, 1) + out.bucket[some]
        order = some[np.argsort(key, kind="stable")]
        key = np.sort(key)
        begin = np.flatnonzero(np.diff(key, prepend=-1))
        head, net = order[begin], book.net[order]
        long, short = (np.add.reduceat(np.maximum(part, 0.0), begin) if begin.size else np.empty(0) for part in (net, -net))
        return cls(session[head], out.bucket[head], np.append(begin, order.size), order, long, short, out.tightness[head])

    @property
    def size(self) -> Int64:
        """Return how many symbols each bucket has."""
        return np.diff(self.members)


def _over(values: Float64, equity: Float64) -> Float64:
    """Return values over equity, NaN where equity is not positive."""
    return values / np.where(equity > 0.0, equity, np.nan)


def bucket_rows(found: Buckets, book: Book, out: Stacked, portfolios: list[str], symbols: tuple[str, ...]) -> pa.Table:
    """Return `correlation_buckets`, sorted by key."""
    day = book.day[found.session]
    order = key_order([(day, 1 << 24), (book.portfolio[found.session], max(len(portfolios), 1)), (found.first, max(len(symbols), 1))])
    names = pa.ListArray.from_arrays(pa.array(found.members, pa.int32()), named(symbols, book.symbol[found.rows]))
    session, day = found.session[order], day[order]
    columns = {
        "day": day_column(day),
        "portfolio": named(portfolios, book.portfolio[session]),
        "bucket": named(symbols, found.first[order]),
        "symbols": pc.binary_join(names, ", ").take(pa.array(order)),
        "size": pa.array(found.size[order]),
        "long_exposure": number_column(found.long[order]),
        "short_exposure": number_column(found.short[order]),
        "same_direction_pct": number_column(_over(np.maximum(found.long, found.short)[order], book.equity[session])),
        "tightness": number_column(found.tightness[order]),
        "method": named(BUCKET_METHODS, out.method[session]),
        "month": month_column(day),
    }
    return assemble(derived.CORRELATION_BUCKETS, columns)


def _largest(found: Buckets, sessions: int) -> tuple[Int64, Float64, Int64]:
    """Return each session's bucket with most exposure in one direction (-1 for none), that exposure, and its buckets of two or more."""
    exposure = np.maximum(found.long, found.short)
    order = np.lexsort((found.first, -exposure, found.session))
    head = order[np.flatnonzero(np.diff(found.session[order], prepend=-1))]
    first, most = np.full(sessions, -1, np.int64), np.full(sessions, np.nan)
    first[found.session[head]], most[found.session[head]] = found.first[head], exposure[head]
    return first, most, np.bincount(found.session[found.size > 1], minlength=sessions)


def _context_reasons(out: Stacked, book: Book) -> pa.Array:
    """Return why each figure of the context is null, as one text."""
    flat = out.method == analysis.NOTHING
    absorption = np.select([flat | ~np.isnan(out.absorption), out.method == analysis.TAXONOMY, np.diff(book.start) < 2], [0, 1, 2], 3)
    turbulence = np.where(flat, 0, out.turbulence_code)
    heat = np.where(flat | ~np.isnan(out.figures[:, stacking.HEAT]), 0, 1)
    codes, place = np.unique(np.stack((absorption, turbulence, heat)), axis=1, return_inverse=True)
    texts = []
    for a, t, h in codes.T.tolist():
        parts = [
            ("absorption_ratio", ("", "short_sample", "one_symbol", "no_variance")[a]),
            ("turbulence", context.TURBULENCE_REASONS[t]),
            ("correlated_heat", ("", "no_position_risk")[h]),
        ]
        texts.append("; ".join(f"{name}: {reason}" for name, reason in parts if reason))
    return named(texts, place.ravel())


def stacking_rows(
    found: Buckets, book: Book, out: Stacked, sessions: pa.Table, portfolios: list[str], symbols: tuple[str, ...]
) -> pa.Table:
    """Return `correlation_stacking`: a row for each session, sorted by key. ``sessions`` has gross_exposure_pct too."""
    order = key_order([(book.day, 1 << 24), (book.portfolio, max(len(portfolios), 1))])
    figures, taken = out.figures[order], pa.array(order)
    first, most, many = _largest(found, book.sessions)
    ratio = figures[:, stacking.RATIO]
    with np.errstate(divide="ignore", invalid="ignore"):
        bets = np.where(ratio >= 1.0, 1.0 / figures[:, stacking.VARIANCE], np.nan)
        heat = np.sqrt(figures[:, stacking.HEAT])
    # no bucket is a null name: the extra entry at the end
    largest = named([*symbols, None], np.where(first < 0, len(symbols), first)).take(taken)
    begun = out.observed.start
    window_start = pc.if_else(pa.array(begun >= 0), day_column(np.maximum(begun, 0)), pa.scalar(None, pa.date32()))
    columns = {
        "day": day_column(book.day[order]),
        "portfolio": named(portfolios, book.portfolio[order]),
        "score": number_column(figures[:, stacking.SCORE]),
        "stack_ratio": number_column(ratio),
        "stack_ratio_low": number_column(out.low[order]),
        "stack_ratio_high": number_column(out.high[order]),
        "effective_bets": number_column(bets),
        "mean_correlation": number_column(figures[:, stacking.MEAN]),
        "shrinkage": number_column(figures[:, stacking.SHRINKAGE]),
        "observations": pa.array(out.observed.count[order]),
        "symbols": pa.array(np.diff(book.start)[order]),
        "window_start": window_start.take(taken),
        "method": named(METHODS, out.method[order]),
        "absorption_ratio": number_column(out.absorption[order]),
        "turbulence": number_column(np.where(out.method == analysis.NOTHING, np.nan, out.turbulence)[order]),
        "correlated_heat": number_column(_over(heat, book.equity[order])),
        "buckets": pa.array(many[order]),
        "largest_bucket": largest,
        "largest_bucket_pct": number_column(_over(most, book.equity)[order]),
        "gross_exposure_pct": sessions["gross_exposure_pct"].combine_chunks().take(taken),
        "bets_reason": named(("", "hedged"), (ratio < 1.0).astype(np.int64)),
        "context_reason": _context_reasons(out, book).take(taken),
        "reason": named(analysis.REASONS, out.reason[order]),
        "month": month_column(book.day[order]),
    }
    return assemble(derived.CORRELATION_STACKING, columns)
