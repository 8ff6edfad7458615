"""D1, D2 and crowding: what can be lost at the stops, and how it is shared out."""

from collections import defaultdict
from functools import cache

import numpy as np
import pandas as pd

from tests.peers.second_look.book import Book

EXIT_BPS, SIGMAS, SIGMA_WINDOW, SIGMA_MINIMUM, CAP = 5.0, 3.0, 60, 20, 0.06


def volatility(book: Book, symbol: str, day: pd.Timestamp) -> float:
    """Return the deviation of the last 60 daily log returns of a symbol up to a day."""
    closes = book.raw.closes[symbol]
    returns = np.diff(np.log(closes[closes.index <= day].to_numpy()))[-SIGMA_WINDOW:]
    return float(np.std(returns, ddof=1)) if len(returns) >= SIGMA_MINIMUM else np.nan


def expected_hold(book: Book, playbook: str) -> float:
    """Return the median holding time that a playbook expects of itself, over all regimes."""
    rows = book.raw.expectations
    found = rows[(rows["playbook"] == playbook) & (rows["regime"] == "all")]["hold_bars_p50"]
    return float(found.iloc[0])


@cache
def risks(book: Book, session: int) -> dict[tuple[str, str], dict[str, float]]:
    """Return what each open position can lose: from its mark to its stop, imputed where it is beyond the stop."""
    found = {}
    for key, exposure in book.values(session).items():
        position, day = book.states[session][key], book.sessions[session]
        mark, sign, units = book.mark(key[1], day)[0], np.sign(exposure), abs(position.quantity) * book.multiplier(key[1])
        leaving = EXIT_BPS / 1e4 * abs(exposure)
        room = sign * (mark - position.stop)
        row = {"exposure": exposure, "exit_cost": leaving, "imputed": 0.0, "sigma": np.nan}
        if not room >= 0:  # without a stop, or beyond it
            sigma = volatility(book, key[1], day)
            reach = SIGMAS * sigma * np.sqrt(expected_hold(book, position.lots[0].playbook))
            # the stop is treated as absent, in the capital's heat too
            reach = 1.0 if np.isnan(reach) else reach
            row |= {"risk": abs(exposure) * min(1.0, reach), "imputed": 1.0, "sigma": sigma}
            row["capital_risk"] = row["risk"]
        else:
            row["risk"] = room * units + leaving
            row["capital_risk"] = max(0.0, sign * (position.cost - position.stop)) * units
        found[key] = row
    return found


def heat(book: Book, session: int) -> dict[str, float]:
    """Return active risk over equity and how much of the cap it uses."""
    rows, equity = risks(book, session), book.equity[session]
    active = sum(row["risk"] for row in rows.values())
    imputed = sum(row["risk"] for row in rows.values() if row["imputed"])
    return {
        "active_risk": active,
        "active_heat": active / equity,
        "heat": active / equity,
        "use": active / equity / CAP,
        "capital_heat": sum(row["capital_risk"] for row in rows.values()) / equity,
        "imputed_share": imputed / active if active else 0.0,
        "positions": len(rows),
        "imputed_positions": sum(row["imputed"] for row in rows.values()),
    }


@cache
def shares(book: Book, session: int, dimension: str, basis: str) -> dict[str, tuple[float, float]]:
    """Return the amount of each group, gross and net, in exposure or in risk; lots say the template and playbook, positions the rest."""
    amounts: dict[str, float] = defaultdict(float)
    nets: dict[str, float] = defaultdict(float)
    rows = risks(book, session)
    for key, exposure in book.values(session).items():
        whole = abs(exposure) if basis == "gross" else rows[key]["risk"]
        held = book.states[session][key]
        for lot in held.lots:
            part = lot.quantity / held.quantity
            if dimension in ("template", "playbook"):
                group = getattr(lot, dimension)
            elif dimension in ("cohort", "sector"):
                group = book.raw.instruments.loc[key[1], dimension]
            else:
                group = key[1] if dimension == "symbol" else key[0]
            amounts[group] += whole * part
            nets[group] += np.sign(exposure) * whole * part
    return {group: (amounts[group], nets[group]) for group in sorted(amounts)}


def concentration(book: Book, session: int, dimension: str, basis: str) -> dict[str, float | str]:
    """Return the concentration of a dimension."""
    amounts = {group: pair[0] for group, pair in shares(book, session, dimension, basis).items()}
    total, number = sum(amounts.values()), sum(amount > 0 for amount in amounts.values())
    if not total:
        return {"groups": 0, "hhi": np.nan, "hhi_normalised": np.nan, "effective_n": np.nan, "cr1": np.nan, "cr3": np.nan}
    parts = np.sort(np.array(list(amounts.values())) / total)[::-1]
    hhi = float((parts**2).sum())
    top = min(amounts, key=lambda group: (-float(f"{amounts[group]:.12g}"), group))  # equals by name
    return {
        "groups": number,
        "hhi": hhi,
        "hhi_normalised": (hhi - 1 / number) / (1 - 1 / number) if number > 1 else 1.0,
        "effective_n": 1 / hhi,
        "cr1": parts[0],
        "cr3": parts[:3].sum(),
        "top_group": top,
        "top_share": parts[0],
        "top_exposure_pct": amounts[top] / book.equity[session],
    }


def drift(book: Book, session: int, dimension: str, group: str) -> dict[str, float]:
    """Return a group's mean share of 20 sessions and of the 250 before them, sessions with exposure counted."""

    def mean(first: int, last: int) -> tuple[float, int]:
        seen = [shares(book, n, dimension, "gross") for n in range(max(0, first), last + 1)]
        parts = [rows.get(group, (0.0, 0.0))[0] / sum(pair[0] for pair in rows.values()) for rows in seen if rows]
        return (float(np.mean(parts)) if parts else np.nan), len(parts)

    share, sessions = mean(session - 19, session)
    baseline, before = mean(session - 269, session - 20)
    return {"share": share, "sessions": sessions, "baseline": baseline, "baseline_sessions": before, "drift": share - baseline}


def crowding(book: Book, session: int) -> dict[tuple[str, str, str], tuple[str, float]]:
    """Return symbols and templates with two or more strategies on one side: their names and their exposure."""
    found: dict[tuple[str, str, str], dict[str, float]] = defaultdict(lambda: defaultdict(float))
    for (strategy, symbol), exposure in book.values(session).items():
        side, held = "long" if exposure > 0 else "short", book.states[session][strategy, symbol]
        found["symbol", symbol, side][strategy] += abs(exposure)
        for lot in held.lots:
            found["template", lot.template, side][strategy] += abs(exposure) * lot.quantity / held.quantity
    return {key: (", ".join(sorted(names)), sum(names.values())) for key, names in found.items() if len(names) > 1}
