"""D4: drawdown, its speed, its severity, and the regime by the table of transitions, session after session."""

import numpy as np
import pandas as pd

from tests.peers.second_look.book import Book

DECAY, SEED, WINDOW = 0.94, 20, 252


def ewma(returns: np.ndarray) -> np.ndarray:
    """Return the variance after each session: the mean square of the first 20 returns, then the exponential mean."""
    found = np.full(len(returns), np.nan)
    for n in range(len(returns)):
        if n + 1 == SEED:
            found[n] = np.mean(returns[:SEED] ** 2)
        elif n + 1 > SEED:
            found[n] = DECAY * found[n - 1] + (1 - DECAY) * returns[n] ** 2
    return found


def changes(drawdown: np.ndarray, variance: np.ndarray) -> pd.DataFrame:
    """Return velocities over 1, 5 and 20 sessions, acceleration, and the change over 5 in sigmas from before them."""
    levels = pd.Series(drawdown)
    found = pd.DataFrame({f"velocity_{k}": levels.diff(k) / k for k in (1, 5, 20)})
    found["z_5"] = levels.diff(5) / (np.sqrt(pd.Series(variance).shift(5)) * np.sqrt(5))
    found["acceleration"] = found["velocity_5"] - found["velocity_20"]
    return found


def cdar(drawdown: np.ndarray) -> float:
    """Return the mean of the worst 5 %, the boundary observation counting by its fraction."""
    tail = 0.05 * len(drawdown)
    worst = np.sort(drawdown)[::-1]
    whole = int(np.floor(tail))
    return float((worst[:whole].sum() + (tail - whole) * worst[whole]) / tail)


def severity(units: np.ndarray, returns: np.ndarray) -> float:
    """Return the maximum drawdown of a window over what a driftless walk of its deviation expects."""
    fall = np.max(1 - units / np.maximum.accumulate(units))
    return float(fall / (np.sqrt(np.pi / 2) * np.std(returns, ddof=1) * np.sqrt(len(returns))))


def figures(book: Book) -> pd.DataFrame:
    """Return the figures of every session."""
    units, returns = book.units, book.returns
    marks = np.maximum.accumulate(np.concatenate([[1.0], units]))[1:]
    drawdown = 1 - units / marks
    variance = ewma(returns)
    found = changes(drawdown, variance)
    found["drawdown"], found["high_water_mark"], found["ewma_variance"] = drawdown, marks, variance
    found["cdar_95"] = [cdar(drawdown[max(0, n - WINDOW + 1) : n + 1]) if n + 1 >= 100 else np.nan for n in range(len(units))]
    path = np.concatenate([[1.0], units])
    found["mdd_severity"] = [
        severity(path[max(0, n + 1 - WINDOW) : n + 2], returns[max(0, n - WINDOW + 1) : n + 1]) if n + 1 >= 60 else np.nan
        for n in range(len(units))
    ]
    return pd.concat([found, regimes(units, marks, found["z_5"].to_numpy())], axis=1)


def regimes(units: np.ndarray, marks: np.ndarray, z: np.ndarray) -> pd.DataFrame:
    """Return the regime after each session: the table of transitions, one a session."""
    size = {"normal": 1.0, "defensive": 0.5, "risk_off": 0.0, "probation": 0.25}
    now, stayed, control, rows = "normal", 0, np.nan, []
    for n, unit in enumerate(units):
        if n and marks[n] > marks[n - 1]:
            control = np.nan  # a new reported high ends the control mark
        control = max(control, unit) if not np.isnan(control) else control
        level = 1 - unit / (marks[n] if np.isnan(control) else control)
        after, stayed = _next(now, level, z[n], stayed + 1), stayed + 1
        if after != now:
            now, stayed = after, 0
            if now == "probation":
                control = unit / (1 - 0.05)
                level = 0.05
        rows.append((now, stayed, size[now], level))
    return pd.DataFrame(rows, columns=["regime", "sessions_in_regime", "size_multiplier", "control_drawdown"])


def _next(now: str, level: float, z: float, stayed: int) -> str:
    """Return the regime that the table of transitions says comes next."""
    if now == "risk_off":
        return "probation" if stayed >= 20 else now
    if now == "probation":
        if level >= 0.10:
            return "risk_off"
        return "defensive" if level < 0.03 and stayed >= 20 else now
    if level >= 0.10 or (z >= 3.5 and level >= 0.05):
        return "risk_off"
    if now == "normal":
        return "defensive" if level >= 0.06 or z >= 2.5 else now
    return "normal" if level < 0.03 and stayed >= 5 else now
