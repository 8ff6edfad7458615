"""What became of signals bar by bar, and where the profit of a session came from."""

from collections import defaultdict

import numpy as np
import pandas as pd

from tests.peers.second_look.book import Book, raw


def outcome(signal: pd.Series) -> dict[str, float | str]:
    """Return what became of a signal by decision 0009: stop before target, expiry after the expected bars or valid_until if later."""
    bars = raw().bars
    bars = bars[(bars["symbol"] == signal["symbol"]) & (bars["time"] > signal["time"])]
    sign = 1.0 if signal["direction"] == "long" else -1.0
    entry, stop, target = signal["entry_price"], signal["stop_price"], signal["target_price"]
    risk = sign * (entry - stop)
    until = pd.to_datetime(signal["valid_until"], utc=True)
    best = worst = 0.0
    for count, bar in enumerate(bars.itertuples(), start=1):
        if count > signal["expected_hold_bars"] and bar.time > until:
            return _expired(bars.iloc[count - 2], until, sign, entry, risk, best, worst, count - 1)
        high, low = (bar.high, bar.low) if sign > 0 else (bar.low, bar.high)
        best, worst = max(best, sign * (high - entry)), max(worst, sign * (entry - low))
        row = {"mfe_r": best / risk, "mae_r": worst / risk, "bars_held": count, "outcome_day": bar.day}
        if sign * (low - stop) <= 0:
            price = bar.open if sign * (bar.open - stop) < 0 else stop
            return row | {"outcome": "stop_hit", "r_achieved": sign * (price - entry) / risk}
        if not np.isnan(target) and sign * (high - target) >= 0:
            return row | {"outcome": "target_hit", "r_achieved": sign * (target - entry) / risk}
        if count >= signal["expected_hold_bars"] and bar.time >= until:
            return row | {"outcome": "expired", "r_achieved": sign * (bar.close - entry) / risk}
    return {"outcome": "open"}


def _expired(bar: pd.Series, until: pd.Timestamp, sign: float, entry: float, risk: float, best: float, worst: float, count: int) -> dict:
    """Return an expiry between two bars, at the last close before it."""
    day = (until - pd.Timedelta(1, "ns")).tz_localize(None).normalize()
    result = {"outcome": "expired", "r_achieved": sign * (bar["close"] - entry) / risk, "outcome_day": day}
    return result | {"mfe_r": best / risk, "mae_r": worst / risk, "bars_held": count}


def attribution(book: Book, session: int) -> dict[tuple[str, str], dict[str, float]]:
    """Return each position's realised, unrealised and fees of a session, and the change of its value less what was paid for it."""
    day = book.sessions[session]
    before = book.states[session - 1] if session else {}
    found: dict[tuple[str, str], dict[str, float]] = defaultdict(dict)
    for key, now in book.states[session].items():
        old = before.get(key)
        mark, each = book.mark(key[1], day)[0], book.multiplier(key[1])
        open_now = each * now.quantity * (mark - now.cost) if now.quantity else 0.0
        open_then = each * old.quantity * (book.mark(key[1], book.sessions[session - 1])[0] - old.cost) if old and old.quantity else 0.0
        found[key] = {
            "realised": each * (now.realised - (old.realised if old else 0.0)),
            "unrealised": open_now - open_then,
            "fees": now.fees - (old.fees if old else 0.0),
        }
        found[key]["total"] = found[key]["realised"] + found[key]["unrealised"] - found[key]["fees"]
    return dict(found)
