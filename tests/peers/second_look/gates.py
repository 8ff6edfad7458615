"""The capital and the skill gate: the record of resolved signals, and the probabilistic Sharpe ratio on effective observations."""

import numpy as np
import pandas as pd
from scipy.stats import kurtosis, norm, skew

from tests.peers.second_look.book import Book

PSR = 0.95


def skill(returns: np.ndarray) -> dict[str, float]:
    """Return the probability that the Sharpe ratio exceeds 0, and the track record that would show it; raw kurtosis."""
    ratio = returns.mean() / returns.std()
    away = returns - returns.mean()
    rho = (away[1:] * away[:-1]).sum() / (away**2).sum()
    effective = min(len(returns), len(returns) * (1 - rho) / (1 + rho))
    radicand = 1 - skew(returns) * ratio + (kurtosis(returns, fisher=False) - 1) / 4 * ratio**2
    needed = 1 + radicand * (norm.ppf(PSR) / ratio) ** 2 if ratio > 0 else np.inf
    probability = norm.cdf(ratio * np.sqrt(effective - 1) / np.sqrt(radicand))
    return {"value": probability, "sample_size": np.floor(effective), "required": np.ceil(needed) if np.isfinite(needed) else np.nan}


def capital(book: Book, outcomes: pd.DataFrame, drawdowns: np.ndarray, session: int) -> dict[str, float]:
    """Return resolved qualified signals, their mean R, median slippage and the drawdown; ``outcomes`` are those of the portfolio."""
    known = outcomes[outcomes["qualified"] & (outcomes["outcome_day"] <= book.sessions[session])]
    return {
        "capital_gate": len(known),
        "capital_mean_r": known["r_achieved"].mean(),
        "capital_slippage": known["slippage_at_outcome_bps"].median(),
        "capital_drawdown": drawdowns[session],
    }
