"""Intervals of figures that are counted in an estimated sigma: a drawdown's speed."""

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import numpy.typing as npt

from portfolio_platform.evidence.gates import confidence_of
from portfolio_platform.evidence.observations import Observed, Sessions
from portfolio_platform.policy.model import DrawdownPolicy, Policy

Float64 = npt.NDArray[np.float64]


def sigma_freedom(returns_seen: Float64, policy: DrawdownPolicy) -> Float64:
    """Return how many independent returns an EWMA variance is worth: 1 over the sum of its squared weights.

    It begins as the mean of ``ewma_seed`` squares and grows toward (1 + lambda) / (1 - lambda), 32.3 at 0.94. NaN before the seed.
    """
    seed, decay = policy.ewma_seed, policy.ewma_lambda
    since = returns_seen - seed
    kept = decay ** (2.0 * np.maximum(since, 0.0))
    squares = kept / seed + (1.0 - decay) ** 2 * (1.0 - kept) / (1.0 - decay**2)
    return np.where(since >= 0.0, 1.0 / squares, np.nan)


def scaled_ends(value: Float64, freedom: Float64, confidence: float) -> tuple[Float64, Float64]:
    """Return the bounds of ``x / sigma`` where the variance is estimated with so many degrees of freedom, each one-sided.

    ``value * sqrt(chi2_q / freedom)``: exact for independent normal returns, else approximate.
    """
    from scipy.special import chdtri

    ends = [value * np.sqrt(chdtri(freedom, tail) / freedom) for tail in (confidence, 1.0 - confidence)]
    return np.minimum(*ends), np.maximum(*ends)


def with_sigma_interval(item: Observed, sessions: Sessions, policy_of: Callable[[str], Policy]) -> Observed:
    """Return the evidence of a metric whose sigma is the drawdown's EWMA from before the metric's window, with its interval."""
    low, high = item.low.copy(), item.high.copy()
    assert isinstance(item.metric.window, int)
    for place, portfolio in enumerate(sessions.portfolios):
        policy, mine = policy_of(portfolio), sessions.portfolio[item.session] == place
        # the window's first session is the one that sigma is of
        freedom = sigma_freedom(item.sample[mine] - (item.metric.window - 1), policy.drawdown)
        low[mine], high[mine] = scaled_ends(item.value[mine], freedom, confidence_of(policy, item.metric.name))
    return replace(item, low=low, high=high)
