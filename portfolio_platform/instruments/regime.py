"""The regime of a symbol: what it is called, and when it is called something else.

It is read from the closed bars of the execution timeframe, whenever a bar of the timeframe above closes. Six features, each brought to
[0, 1], are held against the anchor: the same features when the regime began. Their weighted distances add up to the distance, so that it
is in [0, 1] and says of itself what it is made of. A regime is left

- where the distance has reached the enter threshold and has not come back to the exit threshold since, and the bars are called something
  else now; or where they have been called the same other thing for long (`RegimeTerms.persistence`), however slowly they came there;
- not before it has held for the minimum dwell, and not for what was left a short while ago (the cool-down);
- at once, whatever those say, in a volatility shock: bars that have grown far beyond what they were.

Every evaluation is recorded, fired or not, with the code of its reason. Nothing here looks at a bar that is not closed.
"""

from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType
from typing import Literal, NamedTuple

from portfolio_platform.broker.model import Bar
from portfolio_platform.errors import WrongUse
from portfolio_platform.instruments.features import MILLION, divided, highest, lowest, value
from portfolio_platform.instruments.rolling import sum_of
from portfolio_platform.instruments.shock import grown

Trend = Literal["up", "down", "sideways"]
Volatility = Literal["low", "mid", "high", "extreme"]
Structure = Literal["compression", "expansion", "mean_reverting", "breakout_active", "breakdown_active", "neutral"]
ReasonCode = Literal[
    "warming_up",
    "first",
    "no_change",
    "anchored",
    "within_exit",
    "below_enter",
    "dwell",
    "cooldown",
    "transition",
    "persisted",
    "volatility_shock",
]
REASONS: Mapping[ReasonCode, str] = MappingProxyType(
    {
        "warming_up": "there are too few bars for a regime",
        "first": "there are enough bars for the first time: the regime begins",
        "no_change": "the bars are called what they were",
        "anchored": "far from where the regime began, and still called the same: distance is measured from here on",
        "within_exit": "the bars are called something else, no farther from the anchor than the exit threshold",
        "below_enter": "the bars are called something else; the distance has not reached the enter threshold",
        "dwell": "far enough, but the regime has not held for its minimum dwell",
        "cooldown": "far enough, but this is what was left a short while ago",
        "transition": "far enough from the anchor: another regime begins",
        "persisted": "of the same other trend or volatility for long: another regime begins, near as it is",
        "volatility_shock": "bars have grown far beyond what they were: volatility is extreme at once",
    }
)
SLOW, FAST, LEAST = 100, 20, 60
"""Bars of the slow mean (fewer at the beginning, at least `LEAST`) and of the fast one."""
TRENDS: Mapping[Trend, str] = MappingProxyType({"up": "bull", "down": "bear", "sideways": "range"})
LABELS = tuple(f"{trend}_vol_{volatility}" for trend in TRENDS.values() for volatility in ("low", "mid", "high"))
"""The labels of the playbooks' expectations."""


class Axis(NamedTuple):
    """A feature of the distance: at or below ``low`` it is 0, at or above ``high`` it is 1, and its weight; parts per million."""

    name: str
    low: int
    high: int
    weight: int


AXES = (
    Axis("trend_gap", -100_000, 100_000, 250_000),
    Axis("trend_means", -80_000, 80_000, 150_000),
    Axis("volatility_rank_20", 0, 1_000_000, 250_000),
    Axis("bandwidth_rank_20", 0, 1_000_000, 150_000),
    Axis("channel_position_20", 0, 1_000_000, 100_000),
    Axis("efficiency_20", 0, 1_000_000, 100_000),
)


class RegimeTerms(NamedTuple):
    """The numbers of the detector; shares are parts per million, bars are those that it is given.

    Attributes:
        enter: a distance from which on the regime is departed from.
        exit: a departure ends where the distance is back at this; below ``enter``.
        dwell: bars that a regime holds at least, but for a shock.
        cooldown: bars after a transition in which trend and volatility do not go back to what they were.
        persistence: bars after which another trend or volatility that has not changed is believed, however small the distance.
        trend_band: a close nearer than this to its slow mean is in no trend.
        low_below: volatility is ``low`` below this rank.
        high_from: volatility is ``high`` from this rank on.
        extreme_from: volatility is ``extreme`` from this rank on.
        compression_at: structure is ``compression`` at or below this rank of the bandwidth.
        expansion_from: structure is ``expansion`` from this rank of the bandwidth on.
        reverting_at: structure is ``mean_reverting`` at or below this efficiency.
        breakout_lag: bars since when a close beyond the 20-bar channel counts as an active breakout or breakdown.
        shock_bar: a shock is a bar of so many times the mean true range of the 20 before it.
        shock_atr: so is a mean true range of 5 bars of so many times that of 20.
        axes: the features of the distance; weights add up to 1,000,000.
    """

    enter: int = 200_000
    exit: int = 100_000
    dwell: int = 10
    cooldown: int = 15
    persistence: int = 10
    trend_band: int = 10_000
    low_below: int = 333_333
    high_from: int = 666_667
    extreme_from: int = 970_000
    compression_at: int = 200_000
    expansion_from: int = 800_000
    reverting_at: int = 150_000
    breakout_lag: int = 5
    shock_bar: int = 4_000_000
    shock_atr: int = 2_000_000
    axes: tuple[Axis, ...] = AXES


class Regime(NamedTuple):
    """What a regime is called, on its three axes."""

    trend: Trend = "sideways"
    volatility: Volatility = "mid"
    structure: Structure = "neutral"


class RegimeState(NamedTuple):
    """The regime in force, and what its end depends on; as it is made, that of a detector that has seen nothing.

    Attributes:
        trend: in force.
        volatility: in force.
        structure: in force.
        since: when it began; 0 before there were enough bars.
        evaluated: time of the last evaluation.
        dwell: bars for which it has held.
        cooldown: bars left in which what was left is not gone back to.
        left: the regime before it.
        departed: the distance reached the enter threshold and has not come back to the exit threshold.
        candidate: what the bars were called last.
        held: bars for which its trend and volatility have been those.
        anchor: the normalised features when it began, in the order of the terms' axes.
    """

    trend: Trend = "sideways"
    volatility: Volatility = "mid"
    structure: Structure = "neutral"
    since: int = 0
    evaluated: int = 0
    dwell: int = 0
    cooldown: int = 0
    left: Regime | None = None
    departed: bool = False
    candidate: Regime | None = None
    held: int = 0
    anchor: tuple[int, ...] = ()

    @property
    def regime(self) -> Regime:
        """Return the regime in force."""
        return Regime(self.trend, self.volatility, self.structure)


class Evaluation(NamedTuple):
    """What an evaluation saw and said, fired or not.

    Attributes:
        at: when.
        fired: another regime is in force from now on.
        distance: from the anchor, 0 to 1,000,000.
        threshold: that it was held against: the exit threshold where the regime is departed from, else the enter threshold.
        contributions: of each feature to the distance; they add up to it.
        reason_code: why; `REASONS` has the sentences.
        before: the regime before.
        after: the regime after.
        candidate: what the bars are called now.
        values: the features as they are, parts per million; empty while there are too few bars.
    """

    at: int
    fired: bool
    distance: int
    threshold: int
    contributions: tuple[tuple[str, int], ...]
    reason_code: ReasonCode
    before: Regime
    after: Regime
    candidate: Regime
    values: tuple[tuple[str, int], ...]


def evaluate(terms: RegimeTerms, state: RegimeState, bars: Sequence[Bar], at: int) -> tuple[RegimeState, Evaluation]:
    """Return the state after an evaluation, and the record of it.

    Args:
        terms: the numbers.
        state: as it was.
        bars: closed ones of the execution timeframe, newest last; call it when a bar of the timeframe above closes, and where `shocked`.
        at: the time, that of the newest bar.
    """
    seen = observe(terms, bars)
    if seen is None:
        regime = state.regime
        return state, Evaluation(at, False, 0, terms.enter, (), "warming_up", regime, regime, regime, ())
    return conclude(terms, state, seen, at, passed=_passed(state, bars), shock=shocked(terms, state, bars))


def conclude(
    terms: RegimeTerms, state: RegimeState, seen: Mapping[str, int], at: int, *, passed: int, shock: bool
) -> tuple[RegimeState, Evaluation]:
    """Return what follows from features (`observe`) that are there: the rules of a transition, without the bars.

    Args:
        terms: the numbers.
        state: as it was.
        seen: the features.
        at: the time.
        passed: bars that closed since the last evaluation.
        shock: whether this is a volatility shock.
    """
    before, now, candidate, values = state.regime, normalised(terms, seen), classify(terms, seen), tuple(seen.items())
    if not state.since:
        begun = _begun(candidate, at, now, candidate, 0, None)
        return begun, Evaluation(at, True, 0, terms.enter, (), "first", before, candidate, candidate, values)
    contributions = distance_from(terms, state.anchor, now)
    distance = sum([one for _, one in contributions])
    departed = distance >= terms.enter or (state.departed and distance > terms.exit)
    state = _aged(state, at, passed, candidate, departed)
    threshold = terms.exit if state.departed else terms.enter
    reason: ReasonCode = "volatility_shock" if shock else _reason(terms, state, candidate, distance)
    after = before
    if reason == "volatility_shock":
        after = candidate._replace(volatility="extreme")
    elif reason in ("transition", "persisted"):
        after = candidate
    said = Evaluation(at, after != before, distance, threshold, contributions, reason, before, after, candidate, values)
    if after != before:
        return _begun(after, at, now, candidate, terms.cooldown, before), said
    if reason == "anchored":
        return state._replace(anchor=now, departed=False), said
    return state, said


def shocked(terms: RegimeTerms, state: RegimeState, bars: Sequence[Bar]) -> bool:
    """Return whether a volatility shock asks for an evaluation at once; cheap enough for every candle. Not while it is extreme already."""
    return bool(state.since) and state.volatility != "extreme" and grown(bars, terms.shock_bar, terms.shock_atr)


def label_of(state: RegimeState) -> str:
    """Return ``bull_vol_low``, ``range_vol_mid`` ... as the playbooks' expectations have them; empty before there were enough bars."""
    return label(state.regime) if state.since else ""


def label(regime: Regime) -> str:
    """Return the label of a regime; the expectations know no ``extreme``, it is ``high`` there."""
    return f"{TRENDS[regime.trend]}_vol_{'high' if regime.volatility == 'extreme' else regime.volatility}"


def observe(terms: RegimeTerms, bars: Sequence[Bar]) -> dict[str, int] | None:
    """Return the features that a regime is called by, parts per million; None where there are too few bars."""
    if len(bars) < LEAST:
        return None
    count, lag, close = min(SLOW, len(bars)), terms.breakout_lag or 1, bars[-1].close
    slow = divided(sum_of(bars, count), count)
    before = bars[-lag - FAST : -lag]
    top, bottom = highest(before, FAST), lowest(before, FAST)
    if slow <= 0 or top <= 0 or bottom <= 0:
        return None
    rank, width, position, efficiency = [value(name, bars) for name in OBSERVED]
    if rank is None or width is None or position is None or efficiency is None:
        return None
    return {
        "trend_gap": (close - slow) * MILLION // slow,
        "trend_means": (divided(sum_of(bars, FAST), FAST) - slow) * MILLION // slow,
        "beyond_high": (close - top) * MILLION // top,
        "beyond_low": (bottom - close) * MILLION // bottom,
        "volatility_rank_20": rank,
        "bandwidth_rank_20": width,
        "channel_position_20": position,
        "efficiency_20": efficiency,
    }


OBSERVED = ("volatility_rank_20", "bandwidth_rank_20", "channel_position_20", "efficiency_20")


def classify(terms: RegimeTerms, seen: Mapping[str, int]) -> Regime:
    """Return what features are called, without any memory.

    Trend and volatility are those of the playbooks' expectations: the close against its slow mean and the fast mean against the slow one,
    and the rank of the volatility. Of structures the first that holds: an active breakout or breakdown, compression, expansion,
    mean reversion.
    """
    gap, means, rank = seen["trend_gap"], seen["trend_means"], seen["volatility_rank_20"]
    trend: Trend = "up" if gap > terms.trend_band and means > 0 else "down" if gap < -terms.trend_band and means < 0 else "sideways"
    volatility: Volatility = (
        "extreme" if rank >= terms.extreme_from else "high" if rank >= terms.high_from else "low" if rank < terms.low_below else "mid"
    )
    for structure, holds in STRUCTURES:
        if holds(terms, seen):
            return Regime(trend, volatility, structure)
    return Regime(trend, volatility, "neutral")


STRUCTURES: tuple[tuple[Structure, Callable[[RegimeTerms, Mapping[str, int]], bool]], ...] = (
    ("breakout_active", lambda terms, seen: seen["beyond_high"] > 0),
    ("breakdown_active", lambda terms, seen: seen["beyond_low"] > 0),
    ("compression", lambda terms, seen: seen["bandwidth_rank_20"] <= terms.compression_at),
    ("expansion", lambda terms, seen: seen["bandwidth_rank_20"] >= terms.expansion_from),
    ("mean_reverting", lambda terms, seen: seen["efficiency_20"] <= terms.reverting_at),
)


def normalised(terms: RegimeTerms, seen: Mapping[str, int]) -> tuple[int, ...]:
    """Return the features of the distance, each in 0 to 1,000,000."""
    found = []
    for name, low, high, _ in terms.axes:
        one = seen[name]
        found.append(0 if one <= low else MILLION if one >= high else (one - low) * MILLION // (high - low))
    return tuple(found)


def distance_from(terms: RegimeTerms, anchor: Sequence[int], now: Sequence[int]) -> tuple[tuple[str, int], ...]:
    """Return what each feature contributes to the distance: its weight times how far it is from the anchor. The distance is their sum."""
    return tuple(
        [(name, weight * abs(here - there) // MILLION) for (name, _, _, weight), here, there in zip(terms.axes, now, anchor, strict=True)]
    )


def checked(terms: RegimeTerms) -> RegimeTerms:
    """Return the terms where they do not contradict themselves.

    Raises:
        WrongUse: they do.
    """
    if not 0 < terms.exit < terms.enter <= MILLION:
        raise WrongUse(f"exit {terms.exit} and enter {terms.enter}: 0 < exit < enter <= {MILLION}, else a regime flaps at its threshold")
    if sum([axis.weight for axis in terms.axes]) != MILLION or min([axis.weight for axis in terms.axes]) < 0:
        raise WrongUse(f"weights of the axes: none below 0, and together {MILLION}, else the distance is not in [0, 1]")
    known = {"trend_gap", "trend_means", "beyond_high", "beyond_low", *OBSERVED}
    for axis in terms.axes:
        if axis.name not in known or axis.low >= axis.high:
            raise WrongUse(f"axis {axis.name!r} from {axis.low} to {axis.high}: one of {', '.join(sorted(known))}, and ascending")
    if min(terms.dwell, terms.cooldown, terms.persistence, terms.breakout_lag) < 0:
        raise WrongUse("dwell, cooldown, persistence and breakout_lag are numbers of bars, none below 0")
    return terms


def _begun(regime: Regime, at: int, now: tuple[int, ...], candidate: Regime, cooldown: int, left: Regime | None) -> RegimeState:
    return RegimeState(*regime, at, at, 0, cooldown, left, False, candidate, 0, now)


def _passed(state: RegimeState, bars: Sequence[Bar]) -> int:
    """Return how many bars closed since the last evaluation."""
    count = 0
    for bar in reversed(bars):
        if bar.ts <= state.evaluated:
            break
        count += 1
    return count


def _aged(state: RegimeState, at: int, passed: int, candidate: Regime, departed: bool) -> RegimeState:
    trend, volatility, structure, since, _, dwell, cooldown, left, _, before, held, anchor = state
    same = before is not None and candidate[:2] == before[:2]
    cooldown, held = max(0, cooldown - passed), held + passed if same else 0
    return RegimeState(trend, volatility, structure, since, at, dwell + passed, cooldown, left, departed, candidate, held, anchor)


def _reason(terms: RegimeTerms, state: RegimeState, candidate: Regime, distance: int) -> ReasonCode:
    if candidate == state.regime:
        return "anchored" if state.departed else "no_change"
    persisted = state.held >= terms.persistence and candidate[:2] != state.regime[:2]
    if not state.departed and not persisted:
        return "within_exit" if distance <= terms.exit else "below_enter"
    if state.dwell < terms.dwell:
        return "dwell"
    if state.cooldown and state.left is not None and candidate[:2] == state.left[:2]:
        return "cooldown"
    return "transition" if state.departed else "persisted"
