"""A pass over a universe: every symbol is scored from its bars, the best are candidates, and a rule suggests a template for each.

Four features say how quiet or how lively a symbol is: the rank of its Bollinger bandwidth, the growth of its true range, the growth of
its five-bar range, and its last volume. Each gives a share of quiet and a share of liveliness (`ScreenerTerms`); their weighted means are
the compression and the expansion score, in [0, 1]; the composite is the mean of both by the weights of the terms. A symbol that is neither
quiet nor lively has a low composite, and there is nothing to do in it.
"""

from typing import Literal, NamedTuple, TypeVar

import numpy as np
import numpy.typing as npt

from portfolio_platform.canonical import canonical_bytes, content_hash
from portfolio_platform.codec import encode
from portfolio_platform.days import NANOSECONDS_PER_DAY, format_timestamp
from portfolio_platform.errors import WrongUse
from portfolio_platform.instruments import vectorised
from portfolio_platform.instruments.bars import PERIODS, SHIFTS
from portfolio_platform.instruments.universe import Floats, Times, UniverseBars

Flags = npt.NDArray[np.bool_]
MILLION = 1_000_000
NONE = np.iinfo(np.int64).min
Values = TypeVar("Values", Floats, Times)
COLUMNS = 60
LOOK_BACK = 260
"""Bars of each symbol that a pass looks at."""
SCORED = ("bandwidth_rank_20", "atr_expansion", "range_expansion", "volume_z_20")
"""What the scores are made of."""
TREND = ("close_vs_sma_50", "sma_20_vs_50", "higher_close_vs_sma_10")
"""What the trends are read from; the last one on closed bars of the higher timeframe."""
ScreenerTrend = Literal["up", "down", "unclear", ""]
TRENDS: tuple[ScreenerTrend, ...] = ("down", "unclear", "up")


class Scale(NamedTuple):
    """How a feature becomes shares of quiet and of liveliness; parts per million.

    Attributes:
        feature: its name.
        quiet: at or below it, it is wholly quiet (1).
        neutral: here it is neither.
        lively: at or above it, it is wholly lively (1).
        weight: in both scores, against the other features' that have a value.
    """

    feature: str
    quiet: int
    neutral: int
    lively: int
    weight: int


SCALES = (
    Scale("bandwidth_rank_20", 200_000, 500_000, 800_000, 400_000),
    Scale("atr_expansion", 800_000, 970_000, 1_150_000, 250_000),
    Scale("range_expansion", 650_000, 950_000, 1_250_000, 200_000),
    Scale("volume_z_20", -1_000_000, -100_000, 1_000_000, 150_000),
)
"""In the order of `SCORED`. Neutral is about the median of daily bars, quiet and lively about their quartiles (the sample's, rounded)."""


class ScreenerTerms(NamedTuple):
    """The numbers of the screener; scores and shares are parts per million.

    Attributes:
        top: so many symbols at most are candidates.
        minimum_score: a candidate has at least this composite; below it a symbol is outside, however few there are.
        compression_weight: of the compression score in the composite.
        expansion_weight: of the expansion score in the composite.
        compression_above: above it the template is ``compression_breakout``.
        expansion_above: above it the template follows the trend.
        wait_below: below this composite the template is ``uncertain_wait``.
        passes_outside: a workflow is asked to stop after so many passes in a row in which its symbol was no candidate.
        trend_band: a close nearer than this to its mean is in no trend.
        higher_timeframe: of which the agreement is asked.
        minimum_bars: a symbol with fewer is not scored.
        stale: nanoseconds; a symbol whose newest bar is older is not scored.
        scales: how each feature counts.
    """

    top: int = 8
    minimum_score: int = 200_000
    compression_weight: int = 500_000
    expansion_weight: int = 500_000
    compression_above: int = 600_000
    expansion_above: int = 550_000
    wait_below: int = 300_000
    passes_outside: int = 3
    trend_band: int = 10_000
    higher_timeframe: str = "1w"
    minimum_bars: int = 60
    stale: int = 7 * NANOSECONDS_PER_DAY
    scales: tuple[Scale, ...] = SCALES


class ScreenerRow(NamedTuple):
    """What a pass says of a symbol.

    Attributes:
        symbol: of what.
        rank: 1 is the highest composite; ties by symbol. 0 where it is not scored.
        candidate: among the best, and good enough.
        template: suggested; empty for none.
        trend: of its closes: ``up``, ``down``, ``unclear``; empty where it is not scored.
        higher_trend: of the closed bars of the higher timeframe.
        compression: how quiet it is, 0 to 1,000,000.
        expansion: how lively it is, 0 to 1,000,000.
        composite: both by the weights.
        features: what it was made from, parts per million; None where there is no value, and then it counts in no score.
        why: in words; for a symbol that is not scored, the reason.
    """

    symbol: str
    rank: int
    candidate: bool
    template: str
    trend: ScreenerTrend
    higher_trend: ScreenerTrend
    compression: int
    expansion: int
    composite: int
    features: tuple[tuple[str, int | None], ...]
    why: str


class ScreenerPass(NamedTuple):
    """A pass of the screener.

    Attributes:
        pass_id: by content: equal passes have equal ids.
        at: the time; nothing later was looked at.
        compression_weight: as used.
        expansion_weight: as used.
        rows: by rank; those not scored last, by symbol.
    """

    pass_id: str
    at: int
    compression_weight: int
    expansion_weight: int
    rows: tuple[ScreenerRow, ...]

    @property
    def candidates(self) -> tuple[ScreenerRow, ...]:
        """Return the rows of the candidates, by rank."""
        return tuple(row for row in self.rows if row.candidate)


def screen(universe: UniverseBars, at: int, terms: ScreenerTerms) -> ScreenerPass:
    """Score each symbol from its bars up to ``at``; later ones are not looked at.

    Raises:
        WrongUse: the terms contradict themselves.
    """
    _check(terms)
    cut = universe.until(at, LOOK_BACK)
    features = _features(cut, at, terms)
    compression, expansion = _scores(features, terms)
    weights = terms.compression_weight + terms.expansion_weight
    composite = (terms.compression_weight * compression + terms.expansion_weight * expansion) // weights
    trend, higher = _trends(features, terms)
    known = _known(cut, at, terms, features)
    order = np.lexsort((np.arange(len(cut.symbols)), -composite, ~known))
    columns = {name: found.tolist() for name, found in features.items()}
    names = tuple(columns)
    by_symbol = list(zip(*columns.values(), strict=True))
    scores = list(zip(compression.tolist(), expansion.tolist(), composite.tolist(), trend.tolist(), higher.tolist(), strict=True))
    scored = int(np.count_nonzero(known))
    rows = []
    for place, index in enumerate(order.tolist()):
        symbol = cut.symbols[index]
        values = tuple([(name, None if one == NONE else one) for name, one in zip(names, by_symbol[index], strict=True)])
        if place >= scored:
            why = _unscored(cut, index, at, terms)
            rows.append(ScreenerRow(symbol, 0, False, "", "", "", 0, 0, 0, values, why))
            continue
        quiet, lively, both, own, above = scores[index]
        template, rule = template_for(quiet, lively, both, TRENDS[own + 1], TRENDS[above + 1], terms)
        inside = place < terms.top and both >= terms.minimum_score
        why = rule if inside else f"{rule}; {_outside(place + 1, both, terms)}"
        rows.append(ScreenerRow(symbol, place + 1, inside, template, TRENDS[own + 1], TRENDS[above + 1], quiet, lively, both, values, why))
    return _named(at, terms, tuple(rows))


def template_for(
    compression: int, expansion: int, composite: int, trend: ScreenerTrend, higher_trend: ScreenerTrend, terms: ScreenerTerms
) -> tuple[str, str]:
    """Return the template that the rule suggests, empty for none, and the rule in words; the first that holds decides."""
    if compression > terms.compression_above:
        return "compression_breakout", f"compression {_share(compression)} is above {_share(terms.compression_above)}"
    if expansion > terms.expansion_above:
        said = f"expansion {_share(expansion)} is above {_share(terms.expansion_above)}, the trend is {trend}"
        if trend == "down":
            return "bear_defensive", said
        if trend == "up" and higher_trend == "up":
            return "bull_trending", f"{said}, and so is that of the {terms.higher_timeframe} bars"
        return "volatile_breakout", said
    if composite < terms.wait_below:
        return "uncertain_wait", f"composite {_share(composite)} is below {_share(terms.wait_below)}"
    return "", f"composite {_share(composite)}: neither quiet nor lively enough for a template"


def _check(terms: ScreenerTerms) -> None:
    if tuple(scale.feature for scale in terms.scales) != SCORED:
        raise WrongUse(
            f"scales are of {', '.join(scale.feature for scale in terms.scales)}; give those of {', '.join(SCORED)}, in this order"
        )
    for scale in terms.scales:
        if not scale.quiet < scale.neutral < scale.lively or scale.weight < 0:
            raise WrongUse(f"scale of {scale.feature}: quiet, neutral and lively want to ascend, and a weight of 0 or more")
    if min(terms.compression_weight, terms.expansion_weight) < 0 or terms.compression_weight + terms.expansion_weight == 0:
        raise WrongUse("weights of compression and expansion: neither below 0, not both 0")
    if terms.higher_timeframe not in PERIODS:
        raise WrongUse(f"higher timeframe {terms.higher_timeframe!r}; use one of {', '.join(PERIODS)}")


def _features(cut: UniverseBars, at: int, terms: ScreenerTerms) -> dict[str, Times]:
    """Return the features of all symbols in parts per million, `NONE` where there is no value; (symbols,) each."""
    high, low, close, volume = (_at_least(values, np.nan) for values in (cut.high, cut.low, cut.close, cut.volume))
    period, shift = PERIODS[terms.higher_timeframe], SHIFTS[terms.higher_timeframe]
    higher = vectorised.higher_closes(_at_least(cut.ts, 0), close, at, period, shift, 10)
    found = {
        "bandwidth_rank_20": vectorised.bandwidth_rank(close),
        "atr_expansion": vectorised.atr_expansion(high, low, close),
        "range_expansion": vectorised.range_expansion(high, low),
        "volume_z_20": vectorised.volume_z(volume),
        "close_vs_sma_50": vectorised.close_vs_mean(close, 50),
        "sma_20_vs_50": vectorised.mean_against(close, 20, 50),
        "higher_close_vs_sma_10": vectorised.close_vs_mean(higher, 10),
    }
    return {name: vectorised.parts(values) for name, values in found.items()}


def _at_least(values: Values, missing: float) -> Values:
    """Return an array with at least `COLUMNS` columns, what is missing on the left: as many as the features look at."""
    wanting = COLUMNS - values.shape[1]
    return values if wanting <= 0 else np.pad(values, ((0, 0), (wanting, 0)), constant_values=missing)


def _scores(features: dict[str, Times], terms: ScreenerTerms) -> tuple[Times, Times]:
    """Return the compression and the expansion score of each symbol: integers, so that a score is the same on any machine."""
    size = features[SCORED[0]].size
    quiet, lively, weight = np.zeros(size, np.int64), np.zeros(size, np.int64), np.zeros(size, np.int64)
    for scale in terms.scales:
        values = features[scale.feature]
        there = values != NONE
        held = np.clip(values, scale.quiet, scale.lively)
        below = np.maximum(scale.neutral - held, 0) * MILLION // (scale.neutral - scale.quiet)
        above = np.maximum(held - scale.neutral, 0) * MILLION // (scale.lively - scale.neutral)
        quiet += np.where(there, below * scale.weight, 0)
        lively += np.where(there, above * scale.weight, 0)
        weight += np.where(there, scale.weight, 0)
    whole = np.maximum(weight, 1)
    return quiet // whole, lively // whole


def _trends(features: dict[str, Times], terms: ScreenerTerms) -> tuple[Times, Times]:
    """Return 1 for up, -1 for down and 0 for unclear, of the symbol's own bars and of the higher ones."""
    close, means, higher = (features[name] for name in TREND)
    band = terms.trend_band
    down = (close < -band) & (means < 0) & (close != NONE) & (means != NONE)
    own = ((close > band) & (means > 0)).astype(np.int64) - down.astype(np.int64)
    above = (higher > band).astype(np.int64) - ((higher < -band) & (higher != NONE)).astype(np.int64)
    return own, above


def _known(cut: UniverseBars, at: int, terms: ScreenerTerms, features: dict[str, Times]) -> Flags:
    newest = cut.ts[:, -1] if cut.ts.shape[1] else np.zeros(len(cut.symbols), np.int64)
    fresh = (cut.counts >= terms.minimum_bars) & (at - newest <= terms.stale)
    return np.asarray(fresh & np.logical_or.reduce([features[name] != NONE for name in SCORED]), np.bool_)


def _unscored(cut: UniverseBars, index: int, at: int, terms: ScreenerTerms) -> str:
    count = int(cut.counts[index])
    if count < terms.minimum_bars:
        return f"not scored: {count} bars, and {terms.minimum_bars} are needed"
    newest = int(cut.ts[index, -1])
    if at - newest > terms.stale:
        return f"not scored: its newest bar is of {format_timestamp(newest)}, more than {terms.stale // NANOSECONDS_PER_DAY} days old"
    return "not scored: no feature has a value in its bars"


def _outside(rank: int, composite: int, terms: ScreenerTerms) -> str:
    if composite < terms.minimum_score:
        return f"no candidate: composite {_share(composite)} is below {_share(terms.minimum_score)}"
    return f"no candidate: rank {rank} is outside the top {terms.top}"


def _share(parts: int) -> str:
    return f"{parts / MILLION:.2f}"


def _named(at: int, terms: ScreenerTerms, rows: tuple[ScreenerRow, ...]) -> ScreenerPass:
    said = ScreenerPass("", at, terms.compression_weight, terms.expansion_weight, rows)
    content = canonical_bytes([encode(said, ScreenerPass), encode(terms, ScreenerTerms)], floats=False, plain=True)
    return said._replace(pass_id=f"SCR-{content_hash(content)[:20]}")
