"""D6: what entries slipped and how trades went, against what their playbooks expect of themselves.

Each observation has a day, a playbook, a regime and a value; windows are the last ones of a playbook up to a day.
"""

from functools import lru_cache

import numpy as np
import pandas as pd
from scipy.stats import binom
from statsmodels.stats.proportion import proportion_confint

from tests.peers.second_look.book import Book

EXPECTED = {
    "slippage": "slippage_bps_p50",
    "holding_time": "hold_bars_p50",
    "mae": "mae_r_p50",
    "mfe": "mfe_r_p50",
    "win_rate": "win_rate",
}
WINDOWS = {"slippage": 20, "holding_time": 30, "mae": 30, "mfe": 30, "win_rate": 30}
WORSE = {"slippage": 1, "holding_time": 1, "mae": 1, "mfe": -1, "win_rate": -1}


def _regimes(book: Book) -> dict[str, str]:
    rows = book.raw.signals
    return dict(zip(rows["signal_id"], rows["regime"], strict=True))


def entry_orders(book: Book) -> pd.DataFrame:
    """Return each order that opened or added, with its adverse slippage weighted by the quantity that did."""
    entering = {line: units for trip in _all_trips(book) for line, units, entered in trip if entered}
    rows = book.fills.loc[sorted(entering)].copy()
    rows["units"] = [entering[line] for line in rows.index]
    sign = np.where(rows["side"] == "buy", 1.0, -1.0)
    rows["bps"] = sign * (rows["price"] - rows["decision_price"]) / rows["decision_price"] * 1e4 * rows["units"]
    regimes, found = _regimes(book), []
    for _, part in rows.groupby("order_id", sort=False):
        first = part.iloc[0]
        part = part.dropna(subset="bps")
        value = part["bps"].sum() / part["units"].sum() if len(part) else np.nan
        found.append((first["day"], first["playbook"], regimes[first["signal_id"]], value))
    return pd.DataFrame(found, columns=["day", "playbook", "regime", "value"]).dropna(subset="value")


def _all_trips(book: Book) -> list[tuple[tuple[int, float, bool], ...]]:
    """Return the parts of all trips, those that are still open included."""
    return [*(trip.parts for trip in book.trips), *book.open_trips]


def trips(book: Book, measure: str) -> pd.DataFrame:
    """Return closed trades with one measure of each; those that it cannot be told of are left out."""
    return _trips(book).rename(columns={measure: "value"}).dropna(subset="value")


@lru_cache(maxsize=2)
def _trips(book: Book) -> pd.DataFrame:
    """Return each closed trade's holding time in bars, excursions and result in units of initial risk."""
    regimes, found, price = _regimes(book), [], book.fills["price"].to_numpy()
    bars_of = dict(list(book.raw.bars.groupby("symbol")))
    times = book.fills["time"]
    # of trades that close at one time the shorter name comes first, as everywhere in the ledger: a window has to end somewhere
    for trip in sorted(book.trips, key=lambda trip: (times[trip.last], len(book.trip_name(trip)), book.trip_name(trip))):
        first, bars = book.fills.loc[trip.first], bars_of[trip.symbol]
        inside = bars[(bars["time"] > first["time"]) & (bars["time"] <= times[trip.last])]
        sign = 1.0 if trip.side == "long" else -1.0
        entry, leaving = (
            sum(part * price[line] for line, part, kind in trip.parts if kind is entered)
            / sum(part for _, part, kind in trip.parts if kind is entered)
            for entered in (True, False)
        )
        highest, lowest = max(inside["high"].max(), entry, leaving), min(inside["low"].min(), entry, leaving)
        good, bad = (highest, lowest) if sign > 0 else (lowest, highest)
        risk = abs(entry - first["stop_price"]) if len(inside) else np.nan
        found.append(
            {
                **{"day": book.fills["day"][trip.last], "playbook": first["playbook"], "regime": regimes[first["signal_id"]]},
                **{"holding_time": float(len(inside)), "win_rate": float(sign * (leaving - entry) > 0)},
                **{"mae": sign * (entry - bad) / risk, "mfe": sign * (good - entry) / risk},
            }
        )
    return pd.DataFrame(found)


def expectations(book: Book, measure: str, rows: pd.DataFrame) -> np.ndarray:
    """Return what the playbook of each observation expects in its regime, over all regimes where it says nothing of that one."""
    table = book.raw.expectations.set_index(["playbook", "regime"])[EXPECTED[measure]]
    found = []
    for playbook, regime in zip(rows["playbook"], rows["regime"], strict=True):
        said = table.get((playbook, regime), np.nan)
        found.append(said if not np.isnan(said) else table.get((playbook, "all"), np.nan))
    return np.array(found, float)


def median_interval(values: np.ndarray, confidence: float = 0.95) -> tuple[float, float]:
    """Return the narrowest pair of order statistics, equally far from both ends, that covers the median often enough."""
    ordered, size = np.sort(values), len(values)
    cut = max((k for k in range(1, size // 2 + 1) if binom.cdf(k - 1, size, 0.5) <= (1 - confidence) / 2), default=0)
    return (float(ordered[cut - 1]), float(ordered[size - cut])) if cut else (np.nan, np.nan)


def profile(book: Book, measure: str, playbook: str, day: pd.Timestamp, rows: pd.DataFrame) -> dict[str, float]:
    """Return the profile of a playbook (or of all) after a day."""
    mine = rows[(rows["day"] <= day) & ((rows["playbook"] == playbook) | (playbook == "all"))]
    window = mine.tail(WINDOWS[measure])
    values = window["value"].to_numpy()
    expected = expectations(book, measure, window)
    found = {"n": len(window), "seen": len(mine), "expected": float(np.mean(expected))}
    if playbook == "all" and measure != "win_rate":
        found["expected"] = float(np.median(expected))  # medians of unlike playbooks: the mean of them is far from the median of all
    if measure == "win_rate":
        found["realised"] = values.mean()
        found["low"], found["high"] = proportion_confint(values.sum(), len(values), method="wilson")
    else:
        found["realised"] = float(np.median(values))
        found["low"], found["high"] = median_interval(values)
        # 36 observations bound it at 95 %: of so many it is where the window has fewer
        wider = mine.tail(max(WINDOWS[measure], 36))["value"].to_numpy()
        found["p90"] = float(np.quantile(wider, 0.9)) if len(wider) >= 36 else np.nan
        found |= cusum(WORSE[measure] * mine["value"].to_numpy())
    above, below = found["low"] - found["expected"], found["expected"] - found["high"]
    beyond = max(above, below) if measure == "holding_time" else above if WORSE[measure] > 0 else below
    found["drift"] = max(0.0, beyond) if not np.isnan(beyond) else np.nan
    return found


def cusum(values: np.ndarray, baseline: int = 20, k: float = 0.5, h: float = 5.0) -> dict[str, float]:
    """Return Page's sum over each observation in deviations of those before it: at most 3 a step, at most 2 h in all."""
    total, signal = 0.0, False
    for n in range(baseline, len(values)):
        before = values[:n]
        spread = np.std(before, ddof=1)
        step = min(3.0, (values[n] - before.mean()) / spread) if spread > 1e-12 else 0.0
        total = min(2 * h, max(0.0, total + step - k))
        signal = total > h or (signal and total > 0)
    return {"cusum": total if len(values) > baseline else np.nan, "cusum_signal": float(signal)}
