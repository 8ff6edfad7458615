"""D3: how many bets the held symbols are, with numpy's correlations and scipy's complete linkage."""

from collections import defaultdict
from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy.cluster.hierarchy import fcluster, linkage
from scipy.spatial.distance import squareform

from tests.peers.second_look import risk
from tests.peers.second_look.book import Book

WINDOW, JOIN, LEAVE = 60, 0.70, 0.60


@dataclass(frozen=True)
class Stack:
    """The figures of a session, and what they rest on."""

    figures: dict[str, float]
    symbols: list[str]
    exposures: np.ndarray
    shrunk: np.ndarray


def by_symbol(book: Book, session: int) -> dict[str, float]:
    """Return the net exposure of each symbol held; strategies that oppose each other are netted."""
    nets: dict[str, float] = defaultdict(float)
    for (_, symbol), exposure in book.values(session).items():
        nets[symbol] += exposure
    return dict(sorted(nets.items()))


def common_returns(book: Book, symbols: list[str], day: pd.Timestamp, last: int = WINDOW) -> pd.DataFrame:
    """Return log returns between consecutive days on which every symbol has a bar: the last ones up to a day."""
    closes = pd.concat([book.raw.closes[symbol] for symbol in symbols], axis=1, join="inner", keys=symbols).sort_index()
    return np.log(closes[closes.index <= day]).diff().dropna().tail(last)


def shrink(sample: np.ndarray, observations: int) -> tuple[np.ndarray, float, float]:
    """Return the matrix shrunk toward its mean correlation, the intensity and that mean."""
    pairs = sample[~np.eye(len(sample), dtype=bool)]
    mean = float(pairs.mean())
    noise, spread = ((1 - pairs**2) ** 2).sum() / (observations - 1), ((pairs - mean) ** 2).sum()
    intensity = 1.0 if spread < 1e-15 else min(1.0, noise / spread)
    shrunk = (1 - intensity) * sample + intensity * mean
    np.fill_diagonal(shrunk, 1.0)
    return shrunk, intensity, mean


def stack(book: Book, session: int) -> Stack | None:
    """Return the stacking of a session; None below two symbols."""
    nets = by_symbol(book, session)
    if len(nets) < 2:
        return None
    symbols, exposures = list(nets), np.array(list(nets.values()))
    returns = common_returns(book, symbols, book.sessions[session])
    sample = np.corrcoef(returns.to_numpy(), rowvar=False)
    shrunk, intensity, mean = shrink(sample, len(returns))
    weights = np.abs(exposures) * returns.std(ddof=1).to_numpy()
    weights = weights / weights.sum()
    signed = np.outer(np.sign(exposures), np.sign(exposures)) * shrunk
    products = np.outer(weights, weights)
    off = ~np.eye(len(symbols), dtype=bool)
    variance = (products * signed).sum()
    ratio = variance / (weights**2).sum()
    values = np.linalg.eigvalsh(np.cov(returns.to_numpy(), rowvar=False))[::-1]
    top = max(1, round(0.2 * len(values)))
    figures = {
        "score": (products * np.maximum(0, signed))[off].sum() / products[off].sum(),
        "stack_ratio": ratio,
        "effective_bets": 1 / variance if ratio >= 1 else np.nan,
        "mean_correlation": mean,
        "shrinkage": intensity,
        "observations": len(returns),
        "symbols": len(symbols),
        "absorption_ratio": values[:top].sum() / values.sum(),
        "gross_exposure_pct": sum(map(abs, book.values(session).values())) / book.equity[session],
        "correlated_heat": correlated_heat(book, session, symbols, shrunk),
    }
    return Stack(figures, symbols, exposures, shrunk)


def correlated_heat(book: Book, session: int, symbols: list[str], shrunk: np.ndarray) -> float:
    """Return the heat of positions whose risks offset or add up as their symbols' returns do."""
    rows = risk.risks(book, session)
    total = 0.0
    for first, one in rows.items():
        for second, other in rows.items():
            together = shrunk[symbols.index(first[1]), symbols.index(second[1])]
            total += one["risk"] * other["risk"] * max(0.0, np.sign(one["exposure"] * other["exposure"]) * together)
    return float(np.sqrt(total) / book.equity[session])


def buckets(found: Stack, cut: float) -> list[tuple[str, ...]]:
    """Return scipy's complete linkage, cut at a correlation."""
    distances = np.sqrt(np.maximum(0.0, 0.5 * (1 - found.shrunk)))
    np.fill_diagonal(distances, 0.0)
    labels = fcluster(linkage(squareform(distances, checks=False), "complete"), np.sqrt(0.5 * (1 - cut)) + 1e-12, "distance")
    groups: dict[int, list[str]] = defaultdict(list)
    for symbol, label in zip(found.symbols, labels, strict=True):
        groups[label].append(symbol)
    return sorted(tuple(sorted(group)) for group in groups.values())


def memory_cannot_matter(found: Stack) -> bool:
    """Say whether no pair lies between leaving and joining, and who is linked to whom leaves one partition only."""
    pairs = found.shrunk[np.triu_indices(len(found.symbols), 1)]
    linked = found.shrunk >= JOIN
    cliques = all((linked[i] == linked[j]).all() for i in range(len(linked)) for j in range(len(linked)) if linked[i, j])
    return cliques and not ((pairs >= LEAVE) & (pairs < JOIN)).any()


def turbulence(book: Book, session: int, window: int = 250) -> float:
    """Return the Mahalanobis distance of the day's returns over its expectation, moments of the returns before it.

    The expectation is that of Hotelling's statistic with a mean and covariance estimated from T sessions; null on a
    day on which not every symbol has a bar.
    """
    symbols = list(by_symbol(book, session))
    common = common_returns(book, symbols, book.sessions[session], window + 1)
    if common.index[-1] != book.sessions[session]:
        return np.nan
    before, today = common.to_numpy()[:-1], common.to_numpy()[-1]
    away = today - before.mean(axis=0)
    distance = away @ np.linalg.solve(np.atleast_2d(np.cov(before, rowvar=False)), away)
    size, count = len(symbols), len(before)
    return float(distance / (size * (count + 1) * (count - 1) / (count * (count - size - 2))))
