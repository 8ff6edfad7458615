"""A pass over a universe: every symbol is scored from its bars, the best are candidates, and a rule suggests a template for each."""

from typing import Literal, NamedTuple

from portfolio_platform.instruments.universe import UniverseBars


class ScreenerTerms(NamedTuple):
    """All numbers; a default for every one (more fields to come). Shares in parts per million."""

    top: int = 8
    minimum_score: int = 0
    compression_weight: int = 500_000
    expansion_weight: int = 500_000
    compression_above: int = 600_000
    expansion_above: int = 550_000
    wait_below: int = 300_000
    passes_outside: int = 3


class ScreenerRow(NamedTuple):
    """What a pass says of a symbol. Rank 0: not scored, and ``why`` says the reason; template may be empty (none)."""

    symbol: str
    rank: int
    candidate: bool
    template: str
    trend: Literal["up", "down", "unclear", ""]
    higher_trend: Literal["up", "down", "unclear", ""]
    compression: int
    expansion: int
    composite: int
    features: tuple[tuple[str, int | None], ...]
    why: str


class ScreenerPass(NamedTuple):
    """A pass: rows by rank, those not scored last, by symbol. ``pass_id`` is by content."""

    pass_id: str
    at: int
    compression_weight: int
    expansion_weight: int
    rows: tuple[ScreenerRow, ...]


def screen(universe: UniverseBars, at: int, terms: ScreenerTerms) -> ScreenerPass:
    """Score each symbol from its bars up to ``at`` (later ones are not looked at)."""
    raise NotImplementedError
