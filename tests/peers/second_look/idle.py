"""D7: capital that lies idle, what could have used it, and what the allocator refused."""

import numpy as np
import pandas as pd
from statsmodels.stats.proportion import proportion_confint

from tests.peers.second_look import drawdown, risk
from tests.peers.second_look.book import Book

WINDOW, TRADES, EXPOSURE, REJECTIONS, REJECTIONS_BEFORE, BUFFER, CAP = 20, 60, 10, 30, 120, 0.05, 0.06
BASELINE_MINIMUM = 6
CAPACITY = ("rejected_heat", "rejected_cohort", "rejected_position_count", "rejected_symbol", "insufficient_capital")
PENDING, NOT_TAKEN, BLOCKED, MISSED, FILLED = range(5)


def _level(signal: pd.Series, day: pd.Timestamp, fills: pd.DataFrame, intents: pd.DataFrame) -> int:
    """Return what is known of a signal at the end of a day."""
    mine = fills[(fills["signal_id"] == signal["signal_id"]) & (fills["time"] <= signal["ends"])]
    if len(mine) and mine["day"].min() <= day:
        return FILLED
    said = {str(signal["block_reason"]), str(signal["disposition"])}
    side = "buy" if signal["direction"] == "long" else "sell"
    answers = intents[
        (intents["strategy"] == signal["strategy"])
        & (intents["symbol"] == signal["symbol"])
        & (intents["side"] == side)
        & (intents["time"] >= signal["time"])
        & (intents["time"] < signal["next"])
        & (intents["time"] <= signal["ends"])
        & (intents["day"] <= day)
    ]
    said |= set(answers["decision_code"].tail(1))
    if any(text.startswith(CAPACITY) for text in said):
        return MISSED
    if any(text.startswith(("rejected", "blocked")) for text in said) or isinstance(signal["block_reason"], str):
        return BLOCKED
    return NOT_TAKEN if signal["ends_day"] <= day else PENDING


def _signals(book: Book) -> pd.DataFrame:
    """Return the portfolio's signals, with the end of each one's validity and the time of the next of its kind."""
    rows = book.raw.signals[book.raw.signals["portfolio"] == book.name].sort_values(["time", "signal_id"]).copy()
    rows["ends"] = pd.to_datetime(rows["valid_until"], utc=True, format="ISO8601")
    rows["ends_day"] = (rows["ends"] - pd.Timedelta(1, "ns")).dt.tz_localize(None).dt.normalize()
    later = rows.groupby(["strategy", "symbol", "direction"])["time"].shift(-1)
    rows["next"] = later.fillna(pd.Timestamp("2100-01-01", tz="UTC"))
    return rows


class Idle:
    """A portfolio's figures by session; what does not depend on the session is found once."""

    def __init__(self, book: Book) -> None:
        """Gather heat, the sessions that have a budget, signals and intents."""
        self.book = book
        self.signals = _signals(book)
        self.intents = book.raw.intents[book.raw.intents["portfolio"] == book.name].sort_values(["time", "intent_id"])
        self.allowed = drawdown.figures(book)["size_multiplier"].to_numpy() > 0

    def figures(self, session: int) -> dict[str, float]:
        """Return the figures of a session."""
        book, day = self.book, self.book.sessions[session]
        lately = [n for n in range(max(0, session - WINDOW + 1), session + 1) if self.allowed[n]]
        exposures = list(book.values(session).values())
        short, equity = -sum(min(0.0, value) for value in exposures), book.equity[session]
        found = {
            "sessions": len(lately),
            "idle_cash_pct": max(0.0, book.cash[session] - BUFFER * equity - short) / equity,
            "mean_gross_exposure": np.mean([self._gross(n) for n in range(session - EXPOSURE + 1, session + 1)])
            if session + 1 >= EXPOSURE
            else np.nan,
        }
        found |= self._refusals(session) | self._trades(session)
        levels = self._setups(lately, day)
        count, missed = len(levels), levels.count(MISSED)
        found |= {"setups": count, "missed": missed, "blocked": levels.count(BLOCKED), "not_taken": levels.count(NOT_TAKEN)}
        low, high = proportion_confint(missed, count, method="wilson") if count else (np.nan, np.nan)
        found |= {"missed_rate": missed / count if count else np.nan, "missed_low": low, "missed_high": high}
        if not lately:
            return found | {"idle": np.nan, "opportunity_rate": np.nan, "feasible_use": np.nan}
        found["idle"] = np.mean([max(0.0, 1 - risk.heat(book, n)["heat"] / CAP) for n in lately])
        found["opportunity_rate"] = count / len(lately)
        budget = np.mean([CAP * book.equity[n] for n in lately])
        use = found["opportunity_rate"] * found["mean_hold"] * found["mean_risk"] / budget if count else 0.0
        return found | {"feasible_use": min(1.0, use) if not np.isnan(use) else np.nan}

    def _gross(self, session: int) -> float:
        return sum(map(abs, self.book.values(session).values())) / self.book.equity[session]

    def _setups(self, sessions: list[int], day: pd.Timestamp) -> list[int]:
        """Return the highest level of each distinct qualified setup that came in sessions with a budget."""
        days = {self.book.sessions[n] for n in sessions}
        # a signal on a day without a session counts in the session that follows
        counted = self.book.sessions[np.minimum(self.book.sessions.searchsorted(self.signals["day"]), len(self.book.sessions) - 1)]
        rows = self.signals[self.signals["qualified"] & counted.isin(days)]
        best: dict[str, int] = {}
        for _, signal in rows.iterrows():
            level = _level(signal, day, self.book.fills, self.intents)
            best[signal["setup_id"]] = max(level, best.get(signal["setup_id"], PENDING))
        return list(best.values())

    def _refusals(self, session: int) -> dict[str, float]:
        """Return rejections of 30 sessions against those of the 120 before them."""
        at = self.book.sessions.searchsorted(self.intents["day"])
        rejected = self.intents["decision_code"].str.startswith("rejected").to_numpy()
        now = (at > session - REJECTIONS) & (at <= session)
        before = (at > session - REJECTIONS - REJECTIONS_BEFORE) & (at <= session - REJECTIONS)
        n, k, n_before, k_before = now.sum(), rejected[now].sum(), before.sum(), rejected[before].sum()
        low, high = proportion_confint(k, n, method="wilson") if n else (np.nan, np.nan)
        usual = k_before / n_before if n_before else np.nan
        return {
            "recent_intents": n,
            "recent_rejected": k,
            "rejection_rate": k / n if n else np.nan,
            "rejection_low": low,
            "rejection_high": high,
            "intents_baseline": n_before,
            "rejection_baseline": usual,
            "rejection_excess": low - usual if n_before >= BASELINE_MINIMUM else np.nan,
        }

    def _trades(self, session: int) -> dict[str, float]:
        """Return the closes that trades were held over, closed in 60 sessions or open now, and the mean risk granted in them."""
        fills, held = self.book.fills, []
        for parts, done in [*((trip.parts, True) for trip in self.book.trips), *((parts, False) for parts in self.book.open_trips)]:
            opened = self.book.at[fills["day"][parts[0][0]]]
            closed = self.book.at[fills["day"][parts[-1][0]]] if done else len(self.book.sessions)
            if opened <= session < closed:
                held.append(session - opened + 1)
            elif session - TRADES < closed <= session:
                held.append(closed - opened)
        at = self.book.sessions.searchsorted(self.intents["day"])
        granted = self.intents[(at > session - TRADES) & (at <= session) & ~self.intents["decision_code"].str.startswith("rejected")]
        granted = granted[granted["approved_risk"] > 0]["approved_risk"]
        return {"mean_hold": np.mean(held) if held else np.nan, "mean_risk": granted.mean() if len(granted) else np.nan}
