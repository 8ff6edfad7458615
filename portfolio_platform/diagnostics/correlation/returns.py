"""Daily log returns between common sessions: complete cases of exactly the symbols that are held.

A common session is a day on which every held symbol has a close, so that a crypto weekend is compounded into Monday's
return where a stock is held beside it. Windows are cut in blocks of calendar days that do not depend on where a range
begins: a day of a long range is computed from the same numbers in the same order as that day alone.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Int64 = npt.NDArray[np.int64]
Float64 = npt.NDArray[np.float64]
Flags = npt.NDArray[np.bool_]

BLOCK_DAYS = 30


@dataclass(frozen=True)
class Closes:
    """Logarithms of closes, adjusted for splits: shape (days, symbols), NaN without a close. ``first`` is row 0's day number."""

    symbols: tuple[str, ...]
    first: int
    log_close: Float64


@dataclass(frozen=True)
class Book:
    """What each portfolio holds in each of its sessions, sorted by portfolio and day.

    Shapes: portfolio, day (number), equity, status (sessions,); start (sessions + 1,) delimits a session's rows, sorted by
    symbol; symbol (code into `Closes.symbols`), net (signed exposure, base currency), long_risk, short_risk (rows,), NaN
    where no risk is known; cohort (symbols,), -1 where unclassified. A session whose status is not 0 is not judged.
    """

    portfolio: Int64
    day: Int64
    equity: Float64
    status: Int64
    start: Int64
    symbol: Int64
    net: Float64
    long_risk: Float64
    short_risk: Float64
    cohort: Int64

    @property
    def sessions(self) -> int:
        """Return the number of sessions."""
        return int(self.day.size)

    def held(self, session: int) -> Int64:
        """Return the codes of the symbols held in a session, ascending."""
        return self.symbol[self.start[session] : self.start[session + 1]]


@dataclass(frozen=True)
class Stretch:
    """Sessions of one block whose windows are cut from the same common sessions.

    Attributes:
        members: sessions of the book, ascending.
        symbols: codes of all symbols that any of them holds, ascending.
        days: day number of each row of ``returns``, -1 for the rows of zeros in front of the first return.
        returns: (rows, symbols).
        anchor: the row at which the block begins; windows end at it or later.
        ends: last row of each distinct window, ascending.
        window: place in ``ends`` of each member.
        count: complete cases in each distinct window.
        common: rows of `Closes` that are common sessions, up to the end of the block.
    """

    members: Int64
    symbols: Int64
    days: Int64
    returns: Float64
    anchor: int
    ends: Int64
    window: Int64
    count: Int64
    common: Int64


@dataclass(frozen=True)
class Observed:
    """How many complete cases each session's window has, and the day of its first return (-1 without one)."""

    count: Int64
    start: Int64


def _alike(rows: Flags) -> tuple[Int64, Int64]:
    """Return the first of each kind of rows, and the kind of each row."""
    packed = np.packbits(rows, axis=1)
    # as one item a row, which sorts several times as fast as rows of bytes
    _, first, kind = np.unique(packed.view(f"V{packed.shape[1]}").ravel(), return_index=True, return_inverse=True)
    return first, kind.ravel()


class Calendars:
    """Which days are common sessions of which symbols. Symbols with the same days are one class."""

    def __init__(self, closes: Closes, book: Book) -> None:
        """Classify the symbols by their days, and the sessions by the classes that they hold."""
        has = ~np.isnan(closes.log_close)
        first, of_symbol = _alike(np.ascontiguousarray(has.T))
        self.days = has[:, first]
        self.holds = np.zeros((book.sessions, len(closes.symbols)), bool)
        session = np.repeat(np.arange(book.sessions), np.diff(book.start))
        self.holds.reshape(-1)[session * len(closes.symbols) + book.symbol] = True
        held = np.stack([self.holds[:, of_symbol == one].any(axis=1) for one in range(first.size)], axis=1)
        first, self.set_of = _alike(held)
        self.sets = held[first]

    def common(self, which: int, until: int) -> Int64:
        """Return the rows, up to and including ``until``, on which all classes of a set have a close."""
        return np.flatnonzero(self.days[: until + 1, self.sets[which]].all(axis=1))


def stretches(closes: Closes, book: Book, window: int, reach: int, chosen: Flags, observed: Observed) -> Iterator[list[Stretch]]:
    """Return block after block of the chosen sessions, and note in ``observed`` how long each session's window is.

    ``window`` is the number of returns in a window; sessions share a stretch where their last ``reach`` common sessions are
    the same. Sessions without any return belong to no stretch.
    """
    if not chosen.any() or closes.log_close.size == 0:
        return
    calendars = Calendars(closes, book)
    sessions = np.flatnonzero(chosen)
    block_of = book.day[sessions] // BLOCK_DAYS
    for block in np.unique(block_of).tolist():
        mine = sessions[block_of == block]
        yield list(_of_block(closes, book, (window, reach), mine, int(block), calendars, observed))


def _of_block(
    closes: Closes, book: Book, spans: tuple[int, int], mine: Int64, block: int, calendars: Calendars, observed: Observed
) -> Iterator[Stretch]:
    begin = block * BLOCK_DAYS - closes.first
    until = min(begin + BLOCK_DAYS - 1, closes.log_close.shape[0] - 1)
    by_days: dict[bytes, tuple[Int64, list[Int64]]] = {}
    for which in np.unique(calendars.set_of[mine]).tolist():
        common = calendars.common(which, until)
        # what came before the longest reach says nothing: sets that differ there alone share their windows
        tail = common[max(0, int(np.searchsorted(common, begin)) - max(spans) - 1) :]
        by_days.setdefault(tail.tobytes(), (common, []))[1].append(mine[calendars.set_of[mine] == which])
    for common, parts in by_days.values():
        stretch = _stretch(closes, book, spans[0], np.sort(np.concatenate(parts)), begin, common, calendars, observed)
        if stretch is not None:
            yield stretch


def _stretch(
    closes: Closes, book: Book, window: int, members: Int64, begin: int, common: Int64, calendars: Calendars, observed: Observed
) -> Stretch | None:
    """Cut the returns of a block: those of the block itself, and as many before it as a window reaches back."""
    # return k goes from common session k to k + 1 and belongs to the later day
    last = np.searchsorted(common, book.day[members] - closes.first, side="right") - 2
    observed.count[members] = np.clip(last + 1, 0, window)
    ok = last >= 0
    if not ok.any():
        return None
    members, last = members[ok], last[ok]
    observed.start[members] = closes.first + common[np.maximum(last - window + 1, 0) + 1]
    anchor = max(int(np.searchsorted(common, begin)) - 1, 0)
    low = anchor - window
    kept = common[max(low, 0) : int(last.max()) + 2]
    distinct = np.flatnonzero(calendars.holds[members].any(axis=0))
    values = closes.log_close.take(kept, axis=0).take(distinct, axis=1)
    front = max(-low, 0)
    returns = np.zeros((front + kept.size - 1, distinct.size))
    np.subtract(values[1:], values[:-1], out=returns[front:])
    days = np.full(returns.shape[0], -1, np.int64)
    days[front:] = closes.first + kept[1:]
    ends, place_of = np.unique(last - low, return_inverse=True)
    return Stretch(members, distinct, days, returns, window, ends, place_of.ravel(), np.minimum(ends - front + 1, window), common)
