"""D5 Turnover and churn: how much a portfolio trades, what that costs, and whether trades come faster than they used to.

Turnover is two-sided (``sum |trade| / mean equity``) and one-sided (``min(buys, sells) / mean equity``), with the mean of
the session's equity and that of the one before; the first session has no other, and its own stands alone. Churn is ``1 -
|sum q p| / sum |q p| = 2 min(buys, sells) / (buys + sells)``: the second form loses no digit where all went one way.
A rate breach is the exact conditional test of two Poisson rates (`evidence.intervals.rate_tail`).

A window is the sessions that there are, where a portfolio is younger than it; the baseline is those before the window.
Every sum is taken over its window anew, oldest first, so that a session has the same digits alone and in a long range.
"""

from dataclasses import dataclass, fields, replace

import numpy as np
import numpy.typing as npt
from numba import njit

from portfolio_platform.diagnostics.turnover_cells import add, cells_of, shared
from portfolio_platform.evidence.intervals import rate_tail
from portfolio_platform.ledger.inputs import factorize

Int64 = npt.NDArray[np.int64]
Float64 = npt.NDArray[np.float64]
Flags = npt.NDArray[np.bool_]

OK, NO_TRADES, SHORT_BASELINE, NOT_POSITIVE, MISSING_RATE = range(5)
REASONS = ("", "no_trades", "short_baseline", "equity_not_positive", "missing_fx_rate")
BPS = 1e4


@dataclass(frozen=True)
class Fills:
    """Fills of one portfolio, by time: ``session`` and ``symbol`` are numbers, ``order`` is equal for fills of one order, -1 without.

    ``value`` is price times quantity times multiplier in base currency, negative for a sale, NaN where a rate is missing;
    so is ``fee``. ``flip`` says whether the fill turned its position's side.
    """

    session: Int64
    symbol: Int64
    order: Int64
    value: Float64
    fee: Float64
    flip: Flags


@dataclass(frozen=True)
class Cells:
    """Fills added up by (symbol, session), sorted so. ``later`` and ``earlier`` are pairs of cells that one order filled in turn."""

    symbol: Int64
    session: Int64
    bought: Float64
    sold: Float64
    fees: Float64
    fills: Int64
    flips: Int64
    trades: Int64
    later: Int64
    earlier: Int64


@dataclass(frozen=True)
class Daily:
    """What each session of a portfolio adds up to, and the equity at its end; (sessions,) each, NaN where a rate is missing.

    ``trades`` are orders that were filled in the session, ``trips`` round trips that closed in it. ``status`` says why a
    session's turnover is null.
    """

    equity: Float64
    bought: Float64
    sold: Float64
    fees: Float64
    fills: Int64
    trades: Int64
    flips: Int64
    trips: Int64
    two_sided: Float64
    one_sided: Float64
    status: Int64


@dataclass(frozen=True)
class Turnover:
    """Figures of each session; NaN is null, ``status`` says why. ``daily`` are the sessions themselves."""

    daily: Daily
    turnover: Float64
    baseline: Float64
    fills: Int64
    fills_baseline: Int64
    fills_tail: Float64
    trades: Int64
    trades_baseline: Int64
    trades_tail: Float64
    trips: Int64
    trips_baseline: Int64
    trips_tail: Float64
    baseline_sessions: Int64
    churn: Float64
    flip_rate: Float64
    cost_bps: Float64
    cost_drag_bps: Float64
    status: Int64


@dataclass(frozen=True)
class Churn:
    """A row for each session and symbol that traded in its window, by session and symbol; NaN where a rate is missing."""

    session: Int64
    symbol: Int64
    churn: Float64
    trades: Int64
    flips: Int64
    traded: Float64
    fees: Float64

    def later(self, sessions: int) -> "Churn":
        """Return the same rows where so many sessions come before the first."""
        return replace(self, session=self.session + sessions)


def joined(first: Daily, second: Daily) -> Daily:
    """Return the sessions of a portfolio end to end."""
    return Daily(*(np.concatenate((getattr(first, field.name), getattr(second, field.name))) for field in fields(Daily)))


def add_up(fills: Fills) -> Cells:
    """Add fills up by symbol and session; fills of one order in one cell are one trade."""
    cell, first = cells_of(fills.symbol, fills.session)
    symbol, session, size = fills.symbol[first], fills.session[first], first.size
    amounts, counts = np.zeros((3, size)), np.zeros((2, size), np.int64)
    add(cell, fills.value, fills.fee, fills.flip, amounts, counts)
    split = np.empty(fills.order.size, np.bool_)
    # most orders are filled at once: only the others need looking at
    shared(fills.order, np.zeros(int(fills.order.max(initial=-1)) + 1, np.int8), split)
    _, pairs = factorize(fills.order[split] * max(size, 1) + cell[split])
    order, place = np.divmod(np.sort(pairs), max(size, 1))
    follows = np.flatnonzero((order[1:] == order[:-1]) & (symbol[place[1:]] == symbol[place[:-1]])) + 1
    follows = follows[np.argsort(place[follows], kind="stable")]
    return Cells(
        symbol=symbol,
        session=session,
        bought=amounts[0],
        sold=amounts[1],
        fees=amounts[2],
        fills=counts[0],
        flips=counts[1],
        trades=np.bincount(cell[~split], minlength=size) + np.bincount(place, minlength=size),
        later=place[follows],
        earlier=place[follows - 1],
    )


def by_session(cells: Cells, trips: Int64, equity: Float64, before: float | None) -> Daily:
    """Return what each session adds up to.

    ``trips`` counts round trips by session; ``equity`` is that of each session, NaN where not known; ``before`` that of
    the session before the first one, None where there is none.
    """
    size = equity.size

    def total(amount: Float64) -> Float64:
        return np.bincount(cells.session, amount, minlength=size).astype(np.float64)

    def count(number: Int64) -> Int64:
        return total(number.astype(np.float64)).astype(np.int64)

    bought, sold = total(cells.bought), total(cells.sold)
    earlier = np.concatenate(([equity[0] if before is None else before], equity[:-1])) if size else equity
    mean = 0.5 * (earlier + equity)
    missing = np.isnan(mean) | np.isnan(bought + sold)
    # NaN compares false, so what is missing never counts as sound
    sound = (equity > 0.0) & (mean > 0.0) & ~missing
    base = np.where(sound, mean, np.nan)
    return Daily(
        equity=equity,
        bought=bought,
        sold=sold,
        fees=total(cells.fees),
        fills=count(cells.fills),
        trades=count(cells.trades),
        flips=count(cells.flips),
        trips=trips,
        two_sided=(bought + sold) / base,
        one_sided=np.minimum(bought, sold) / base,
        status=np.where(missing, MISSING_RATE, np.where(sound, OK, NOT_POSITIVE)),
    )


@njit(cache=True)
def _sums(values: Float64, first: Int64, last: Int64, out: Float64, known: Int64) -> None:  # pragma: no cover - compiled
    """Add up ``values[first:last]`` of each row, oldest first; ``known`` counts those that are not NaN, ``out`` adds only them."""
    for row in range(first.size):
        total = 0.0
        for k in range(first[row], last[row]):
            if not np.isnan(values[k]):
                total += values[k]
                known[row] += 1
        out[row] = total


def _window(values: Float64, first: Int64, last: Int64) -> tuple[Float64, Int64]:
    """Return sums of what is known in each window, and how many values that is."""
    out, known = np.empty(first.size), np.zeros(first.size, np.int64)
    _sums(np.ascontiguousarray(values, np.float64), first, last, out, known)
    return out, known


def _whole(values: Float64, first: Int64, last: Int64) -> Float64:
    """Return sums of each window, NaN where one of its values is."""
    total, known = _window(values, first, last)
    return np.where(known == last - first, total, np.nan)


def _counts(values: Int64, first: Int64, last: Int64) -> Int64:
    """Return sums of counts: whole numbers, so differences of running sums are exact."""
    running = np.concatenate(([0], np.cumsum(values)))
    return np.asarray(running[last] - running[first], np.int64)


def turnover(daily: Daily, churned: Churn, window: int, baseline: int) -> Turnover:
    """Return the figures of every session of a portfolio, over ``window`` sessions and the ``baseline`` before them.

    ``daily`` begins with the portfolio's first session, or ``window + baseline`` sessions before the first that is wanted;
    ``churned`` are its symbols. The portfolio's churn is theirs, weighted by what each traded: to sell one symbol and buy
    another is no churn.
    """
    end = np.arange(1, daily.equity.size + 1)
    start = np.maximum(end - window, 0)
    before = np.maximum(start - baseline, 0)
    length, past = end - start, start - before

    def tail(counts: Int64) -> tuple[Int64, Int64, Float64]:
        now, then = _counts(counts, start, end), _counts(counts, before, start)
        return now, then, rate_tail(now, length, then, past)

    (fills, fills_baseline, fills_tail), (trades, trades_baseline, trades_tail) = tail(daily.fills), tail(daily.trades)
    trips, trips_baseline, trips_tail = tail(daily.trips)
    gross, fees = _whole(daily.bought + daily.sold, start, end), _whole(daily.fees, start, end)
    capital = _whole(daily.equity, start, end) / length
    before_sum, before_known = _window(daily.two_sided, before, start)
    any_fill, known = fills > 0, before_known > 0
    traded = np.where(any_fill, gross, np.nan)
    there_and_back = np.bincount(churned.session, churned.churn * churned.traded, minlength=end.size)
    status = np.where(known, np.where(any_fill, OK, NO_TRADES), SHORT_BASELINE)
    for graver in (NOT_POSITIVE, MISSING_RATE):
        status = np.where(_counts((daily.status == graver).astype(np.int64), start, end) > 0, graver, status)
    return Turnover(
        daily=daily,
        turnover=_whole(daily.two_sided, start, end),
        baseline=np.where(known, before_sum / np.maximum(before_known, 1) * window, np.nan),
        fills=fills,
        fills_baseline=fills_baseline,
        fills_tail=fills_tail,
        trades=trades,
        trades_baseline=trades_baseline,
        trades_tail=trades_tail,
        trips=trips,
        trips_baseline=trips_baseline,
        trips_tail=trips_tail,
        baseline_sessions=past,
        churn=there_and_back / traded,
        flip_rate=np.where(any_fill, _counts(daily.flips, start, end) / np.maximum(fills, 1), np.nan),
        cost_bps=fees / traded * BPS,
        cost_drag_bps=fees / np.where((capital > 0.0) & (daily.equity > 0.0), capital, np.nan) * BPS,
        status=status,
    )


@njit(cache=True)
def _rows_of(cell: int, symbol: Int64, session: Int64, window: int, first: int, size: int) -> tuple[int, int]:  # pragma: no cover
    """Return the sessions, first and one past the last, whose newest cell of the symbol is this one and still in the window."""
    last = min(session[cell] + window, size)
    if cell + 1 < symbol.size and symbol[cell + 1] == symbol[cell]:
        last = min(last, session[cell + 1])
    return max(session[cell], first), last


@njit(cache=True)
def _count_rows(symbol: Int64, session: Int64, window: int, first: int, at: Int64) -> None:  # pragma: no cover - compiled
    """Count the rows of each session into ``at``, one place on, and add them up: where each session's rows begin."""
    size = at.size - 1
    for cell in range(symbol.size):
        begin, end = _rows_of(cell, symbol, session, window, first, size)
        for s in range(begin, end):
            at[s + 1] += 1
    for s in range(size):
        at[s + 1] += at[s]


@njit(cache=True)
def _walk(
    symbol: Int64,
    session: Int64,
    bought: Float64,
    sold: Float64,
    paid: Float64,
    counts: Int64,
    later: Int64,
    earlier: Int64,
    window: int,
    first: int,
    at: Int64,
    out: Int64,
    amounts: Float64,
) -> None:  # pragma: no cover - compiled
    """Fill rows (session, symbol, trades, flips) and (bought, sold, fees); symbols ascend, and so they do in each session."""
    oldest, link = 0, 0
    for cell in range(symbol.size):
        if symbol[oldest] != symbol[cell]:
            oldest = cell
        while link < later.size and later[link] < oldest:
            link += 1
        begin, end = _rows_of(cell, symbol, session, window, first, at.size - 1)
        for s in range(begin, end):
            while session[oldest] <= s - window:
                oldest += 1
            row = at[s]
            at[s] += 1
            trades, flips, buys, sales, fees = 0, 0, 0.0, 0.0, 0.0
            for k in range(oldest, cell + 1):
                trades += counts[k, 0]
                flips += counts[k, 1]
                buys += bought[k]
                sales += sold[k]
                fees += paid[k]
            # an order that was filled in two cells of the window is one trade
            pair = link
            while pair < later.size and later[pair] <= cell:
                if earlier[pair] >= oldest:
                    trades -= 1
                pair += 1
            out[row, 0], out[row, 1], out[row, 2], out[row, 3] = s, symbol[cell], trades, flips
            amounts[row, 0], amounts[row, 1], amounts[row, 2] = buys, sales, fees


def churn(cells: Cells, sessions: int, window: int, first: int = 0) -> Churn:
    """Return churn of each symbol in each window that it traded in, for the sessions from ``first`` on, out of ``sessions``."""
    at = np.zeros(sessions + 1, np.int64)
    _count_rows(cells.symbol, cells.session, window, first, at)
    rows = int(at[-1])
    out, amounts = np.empty((rows, 4), np.int64), np.empty((rows, 3))
    counts = np.stack((cells.trades, cells.flips), axis=1)
    money = (cells.bought, cells.sold, cells.fees)
    _walk(cells.symbol, cells.session, *money, counts, cells.later, cells.earlier, window, first, at, out, amounts)
    bought, sold, fees = amounts.T
    return Churn(out[:, 0], out[:, 1], 2.0 * np.minimum(bought, sold) / (bought + sold), out[:, 2], out[:, 3], bought + sold, fees)
