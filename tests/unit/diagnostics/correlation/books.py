"""Closes and books for the tests of D3."""

from dataclasses import replace

import numpy as np

from portfolio_platform.diagnostics.correlation.returns import Book, Closes

Held = dict[str, float]
FIRST = 14_000  # a Thursday: 2008-05-01


def closes_of(returns: np.ndarray, names: tuple[str, ...] | None = None, first: int = FIRST) -> Closes:
    """Return closes whose log returns these are: shape (days, symbols); one close more than returns."""
    names = names or tuple(f"S{k:02d}" for k in range(returns.shape[1]))
    return Closes(names, first, np.vstack((np.zeros(returns.shape[1]), np.cumsum(returns, axis=0))) + 4.0)


def book_of(closes: Closes, days: list[tuple[int, Held]], *, cohort: dict[str, int] | None = None, equity: float = 1000.0) -> Book:
    """Return a book of one portfolio: what it holds net by day number."""
    return books_of(closes, {0: days}, cohort=cohort, equity=equity)


def books_of(
    closes: Closes, portfolios: dict[int, list[tuple[int, Held]]], *, cohort: dict[str, int] | None = None, equity: float = 1000.0
) -> Book:
    """Return a book of several portfolios. The risk is a tenth of the net exposure."""
    listed = [(code, day, held) for code, days in sorted(portfolios.items()) for day, held in days]
    rows = [sorted((closes.symbols.index(name), value) for name, value in held.items()) for _, _, held in listed]
    flat = [row for session in rows for row in session]
    net = np.array([value for _, value in flat], np.float64)
    return Book(
        portfolio=np.array([code for code, _, _ in listed], np.int64),
        day=np.array([day for _, day, _ in listed], np.int64),
        equity=np.full(len(listed), equity),
        status=np.zeros(len(listed), np.int64),
        start=np.cumsum([0, *(len(session) for session in rows)]),
        symbol=np.array([code for code, _ in flat], np.int64),
        net=net,
        long_risk=np.maximum(net, 0.0) / 10.0,
        short_risk=np.maximum(-net, 0.0) / 10.0,
        cohort=np.array([(cohort or {}).get(name, -1) for name in closes.symbols], np.int64),
    )


def alone(book: Book, place: int) -> Book:
    """Return a book with one of its sessions."""
    rows = slice(book.start[place], book.start[place + 1])
    one = slice(place, place + 1)
    return replace(
        book,
        portfolio=np.zeros(1, np.int64),
        day=book.day[one],
        equity=book.equity[one],
        status=book.status[one],
        start=np.array([0, rows.stop - rows.start]),
        symbol=book.symbol[rows],
        net=book.net[rows],
        long_risk=book.long_risk[rows],
        short_risk=book.short_risk[rows],
    )


def factor(rng: np.random.Generator, days: int, symbols: int, share: float = 0.5) -> np.ndarray:
    """Return returns with a common factor whose share of the variance is given."""
    common = rng.standard_normal((days, 1))
    return 0.01 * (np.sqrt(share) * common + np.sqrt(1.0 - share) * rng.standard_normal((days, symbols)))
