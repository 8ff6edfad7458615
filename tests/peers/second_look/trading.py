"""D5: turnover, churn, flips, costs, and the exact tail of a rate."""

from functools import lru_cache

import numpy as np
import pandas as pd
from scipy.stats import binom

from tests.peers.second_look.book import Book

WINDOW, BASELINE = 20, 250


def tail(seen: int, before: int, sessions: int, sessions_before: int) -> float:
    """Return the chance of so many events or more in the window, given all that were seen in both.

    Below 20 events in the baseline the platform publishes it too; its gate, not the figure, keeps it from being acted on.
    """
    if not sessions_before:
        return np.nan
    return float(binom.sf(seen - 1, seen + before, sessions / (sessions + sessions_before)))


def _flipped(book: Book) -> pd.Series:
    """Say of each fill whether it turned the side of its strategy's position."""
    held: dict[tuple[str, str], float] = {}
    turned = []
    for strategy, symbol, amount in book.fills[["strategy", "symbol", "amount"]].itertuples(index=False):
        before = held.get((strategy, symbol), 0.0)
        after = round(before + amount, 10)
        turned.append(before * after < 0)
        held[strategy, symbol] = after
    return pd.Series(turned, index=book.fills.index)


def mean_equity(book: Book) -> np.ndarray:
    """Return the mean of each session's equity and that of the session before; the first has its own alone."""
    before = np.concatenate([book.equity[:1], book.equity[:-1]])
    return (before + book.equity) / 2


@lru_cache(maxsize=2)
def _rows(book: Book) -> pd.DataFrame:
    """Return the fills with their session, value, and whether they turned a side."""
    return book.fills.assign(n=book.sessions.searchsorted(book.fills["day"]), size=book.fills["value"].abs(), flip=_flipped(book))


def figures(book: Book, session: int) -> dict[str, float]:
    """Return the figures of a session; the baseline is the 250 sessions before the window's 20, or those that there are."""
    rows, middle = _rows(book), mean_equity(book)
    before, length = max(0, min(BASELINE, session - 19)), min(WINDOW, session + 1)
    spans = {"": (session, session), "_20": (session - 19, session), "_baseline": (session - 269, session - 20)}
    part = {name: rows[rows["n"].between(*span)] for name, span in spans.items()}
    today, window = part[""], part["_20"]
    ratios = (rows.groupby("n")["size"].sum().reindex(range(len(middle)), fill_value=0.0) / middle).to_numpy()
    traded = window["size"].sum()
    found = {
        "traded": today["size"].sum(),
        "turnover_two_sided": today["size"].sum() / middle[session],
        "turnover_one_sided": min(today["value"].clip(lower=0).sum(), -today["value"].clip(upper=0).sum()) / middle[session],
        "turnover_20": ratios[max(0, session - 19) : session + 1].sum(),
        "turnover_baseline": WINDOW * ratios[session - 19 - before : session - 19].mean() if before else np.nan,
        "baseline_sessions": before,
        "churn_20": 1 - window.groupby("symbol")["value"].sum().abs().sum() / traded if traded else np.nan,
        "flip_rate": window["flip"].mean() if len(window) else np.nan,
        "cost_bps": 1e4 * window["fee"].sum() / traded if traded else np.nan,
        "cost_drag_bps": 1e4 * window["fee"].sum() / book.equity[max(0, session - 19) : session + 1].mean(),
    }
    closed = pd.Series([book.at[book.fills["day"][trip.last]] for trip in book.trips])
    for name, span in spans.items():
        found[f"fills{name}"] = len(part[name])
        found[f"trades{name}"] = part[name].groupby(["order_id", "symbol", "n"]).ngroups
        found[f"trips{name}"] = int(closed.between(*span).sum())
    for kind in ("fills", "trades", "trips"):
        found[f"{kind}_tail"] = tail(found[f"{kind}_20"], found[f"{kind}_baseline"], length, before)
    return found


def churn(book: Book, session: int) -> dict[str, dict[str, float]]:
    """Return the churn of each symbol traded in the last 20 sessions."""
    rows = _rows(book)
    return {
        symbol: {
            "churn": 1 - abs(part["value"].sum()) / part["size"].sum(),
            "trades": part["order_id"].nunique(),
            "flips": part["flip"].sum(),
            "traded": part["size"].sum(),
            "fees": part["fee"].sum(),
        }
        for symbol, part in rows[rows["n"].between(session - 19, session)].groupby("symbol")
    }
