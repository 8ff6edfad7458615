"""D8: failures that come back, from labels and closed trades; scipy's binomial tail, statsmodels' Wilson and Benjamini-Hochberg."""

import numpy as np
import pandas as pd
from scipy.stats import binomtest
from statsmodels.stats.multitest import multipletests
from statsmodels.stats.proportion import proportion_confint

from tests.peers.second_look.book import Book

WINDOW = 60
KEY, STRATUM = ["failure_mode", "template", "regime", "side"], ["template", "regime", "side"]


def closed(book: Book) -> pd.DataFrame:
    """Return closed trades: session of the close, template and regime of the opening fill, side, net result."""
    regimes = dict(zip(book.raw.signals["signal_id"], book.raw.signals["regime"], strict=True))
    fills, rows = book.fills, []
    for trip in book.trips:
        units = {entered: sum(part for _, part, kind in trip.parts if kind is entered) for entered in (True, False)}
        sign = 1.0 if trip.side == "long" else -1.0
        gross = sum((-sign if entered else sign) * part * fills["price"][line] for line, part, entered in trip.parts)
        gross *= book.multiplier(trip.symbol)
        fees = sum(part / fills["quantity"][line] * fills["fee"][line] for line, part, _ in trip.parts)
        assert abs(units[True] - units[False]) < 1e-8
        first = fills.loc[trip.first]
        session = book.at[fills["day"][trip.last]]
        rows.append((session, trip.symbol, first["template"], regimes[first["signal_id"]], trip.side, gross - fees, book.trip_name(trip)))
    return pd.DataFrame(rows, columns=["session", "symbol", *STRATUM, "net", "round_trip_id"])


def recurrences(trades: pd.DataFrame, session: int) -> dict[tuple[str, ...], dict[str, float | bool]]:
    """Return the figures of each key with a case in the last 60 sessions; ``trades`` have their ``failure_mode``."""
    window = trades[(trades["session"] > session - WINDOW) & (trades["session"] <= session)]
    before = trades[trades["session"] <= session - WINDOW]
    losing, found = window[window["net"] < 0], {}
    for key, cases in window[window["failure_mode"].notna() & (window["failure_mode"] != "unlabelled")].groupby(KEY):
        mode, *stratum = key
        alike, earlier = (part[(part[STRATUM] == stratum).all(axis=1)] for part in (window, before))
        n, k = len(alike), len(cases)
        n_before, k_before = len(earlier), int((earlier["failure_mode"] == mode).sum())
        low, high = proportion_confint(k, n, method="wilson")
        tail = binomtest(k, n, (k_before + 1) / (n_before + 2), alternative="greater").pvalue if n_before else np.nan
        found[key] = {
            "cases": k,
            "trades": n,
            "share": k / n,
            "share_low": low,
            "share_high": high,
            "baseline_cases": k_before,
            "baseline_trades": n_before,
            "baseline_share": k_before / n_before if n_before else np.nan,
            "p_value": tail,
            "loss_share": cases["net"].sum() / losing["net"].sum(),
            "symbols": cases["symbol"].nunique(),
        }
    tested = [key for key, row in found.items() if not np.isnan(row["p_value"])]
    adjusted = (
        dict(zip(tested, multipletests([found[key]["p_value"] for key in tested], method="fdr_bh")[1], strict=True)) if tested else {}
    )
    for key, row in found.items():
        row["p_adjusted"] = adjusted.get(key, np.nan)
        broad = row["symbols"] >= 2 or row["loss_share"] >= 0.25
        row["recurring"] = float(row["p_adjusted"] <= 0.10 and row["cases"] >= 3 and broad)
    return found
