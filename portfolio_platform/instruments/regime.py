"""signatures first; see regime_terms"""

from collections.abc import Sequence
from typing import Literal, NamedTuple

from portfolio_platform.broker.model import Bar

Trend = Literal["up", "down", "sideways"]
Volatility = Literal["low", "mid", "high", "extreme"]
Structure = Literal["compression", "expansion", "mean_reverting", "breakout_active", "breakdown_active", "neutral"]
ReasonCode = Literal[
    "warming_up", "first", "within_exit", "below_enter", "no_change", "anchored", "dwell", "cooldown", "transition", "volatility_shock"
]


class RegimeTerms(NamedTuple):
    """All numbers; defaults for every one (fields to come)."""

    enter: int = 250_000
    exit: int = 150_000
    dwell: int = 10
    cooldown: int = 20


class Regime(NamedTuple):
    """What a regime is called, on its three axes."""

    trend: Trend
    volatility: Volatility
    structure: Structure


class RegimeState(NamedTuple):
    """Regime in force; ``RegimeState()`` is that of a detector that has seen too few bars (``since`` is 0)."""

    trend: Trend = "sideways"
    volatility: Volatility = "mid"
    structure: Structure = "neutral"
    since: int = 0
    evaluated: int = 0
    dwell: int = 0
    cooldown: int = 0
    left: Regime | None = None
    departed: bool = False
    anchor: tuple[int, ...] = ()


class Evaluation(NamedTuple):
    """What an evaluation saw and said, fired or not."""

    at: int
    fired: bool
    distance: int
    threshold: int
    contributions: tuple[tuple[str, int], ...]
    reason_code: ReasonCode
    before: Regime
    after: Regime
    values: tuple[tuple[str, int], ...]


def evaluate(terms: RegimeTerms, state: RegimeState, bars: Sequence[Bar], at: int) -> tuple[RegimeState, Evaluation]:
    """Return the state after an evaluation, and the record of it; bars of the EXECUTION timeframe, evaluated when a bar of the
    timeframe above closes, and at once where `shocked`.
    """
    raise NotImplementedError


def shocked(terms: RegimeTerms, state: RegimeState, bars: Sequence[Bar]) -> bool:
    """Return whether a volatility shock asks for an evaluation between two closes of the higher timeframe (cheap; each candle)."""
    raise NotImplementedError


def label_of(state: RegimeState) -> str:
    """Return ``bull_low``, ``range_mid`` ... as in the playbooks' expectations; empty before there were enough bars."""
    raise NotImplementedError


LABELS = tuple(f"{trend}_{volatility}" for trend in ("bull", "bear", "range") for volatility in ("low", "mid", "high"))
"""The labels of the playbooks' expectations."""
