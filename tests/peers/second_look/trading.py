"""D5: turnover, churn, flips, costs, and the exact tail of a rate."""

import numpy as np
import pandas as pd
from scipy.stats import binom

from tests.peers.second_look.book import Book

WINDOW, BASELINE, FEWEST = 20, 250, 20


def tail(seen: int, before: int, sessions: int, sessions_before: int) -> float:
    """Return the chance of so many events or more in the window, all that were seen in both given."""
    if before < FEWEST:
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


def figures(book: Book, session: int) -> dict[str, float]:
    """Return the figures of a session."""
    rows = book.fills.assign(
        n=book.sessions.searchsorted(book.fills["day"]), value=book.fills["amount"] * book.fills["price"], flip=_flipped(book)
    )
    closed = np.array([book.at[book.fills["day"][trip.last]] for trip in book.trips])
    middle = mean_equity(book)

    def within(first: int, last: int) -> pd.DataFrame:
        return rows[(rows["n"] >= first) & (rows["n"] <= last)]

    today, window, base = within(session, session), within(session - 19, session), within(session - 269, session - 20)
    found = {"traded": today["value"].abs().sum(), "fills": len(today)}
    found["turnover_two_sided"] = found["traded"] / middle[session]
    found["turnover_one_sided"] = min(today["value"].clip(lower=0).sum(), -today["value"].clip(upper=0).sum()) / middle[session]
    ratios = pd.Series([within(n, n)["value"].abs().sum() / middle[n] for n in range(max(0, session - 269), session + 1)])
    before = max(0, min(BASELINE, session - 19))
    length = min(WINDOW, session + 1)
    found["turnover_20"] = ratios[-length:].sum()
    found["turnover_baseline"] = WINDOW * ratios[:-length].mean() if before else np.nan
    counts = {
        "fills": [len(part) for part in (today, window, base)],
        "trades": [part.groupby(["order_id", "symbol", "n"]).ngroups for part in (today, window, base)],
        "trips": [int(((closed >= a) & (closed <= b)).sum()) for a, b in ((session, session), (session - 19, session), (session - 269, session - 20))],
    }
    for name, (now, lately, earlier) in counts.items():
        found |= {name: now, f"{name}_20": lately, f"{name}_baseline": earlier, f"{name}_tail": tail(lately, earlier, length, before)}
    traded = window["value"].abs().sum()
    found["baseline_sessions"] = before
    found["churn_20"] = 1 - window.groupby("symbol")["value"].sum().abs().sum() / traded if traded else np.nan
    found["flip_rate"] = window["flip"].mean() if len(window) else np.nan
    found["cost_bps"] = 1e4 * window["fee"].sum() / traded if traded else np.nan
    found["cost_drag_bps"] = 1e4 * window["fee"].sum() / book.equity[max(0, session - 19) : session + 1].mean()
    return found


def churn(book: Book, session: int) -> dict[str, dict[str, float]]:
    """Return the churn of each symbol traded in the last 20 sessions."""
    rows = book.fills.assign(value=book.fills["amount"] * book.fills["price"], flip=_flipped(book))
    rows = rows[(rows["day"] >= book.sessions[max(0, session - 19)]) & (rows["day"] <= book.sessions[session])]
    return {
        symbol: {
            "churn": 1 - abs(part["value"].sum()) / part["value"].abs().sum(),
            "trades": part["order_id"].nunique(),
            "flips": part["flip"].sum(),
            "traded": part["value"].abs().sum(),
            "fees": part["fee"].sum(),
        }
        for symbol, part in rows.groupby("symbol")
    }
