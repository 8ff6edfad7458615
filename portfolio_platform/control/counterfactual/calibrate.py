"""Calibration: thresholds are chosen on one window and judged on the next, which the choice never sees. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np

from portfolio_platform.canonical import canonical_bytes, content_hash
from portfolio_platform.control.counterfactual.compare import counterfactual
from portfolio_platform.control.counterfactual.model import CAVEAT, Counterfactual
from portfolio_platform.control.counterfactual.record import Float64, Record, Window
from portfolio_platform.control.counterfactual.replay import Assumptions, Prepared
from portfolio_platform.control.counterfactual.thresholds import AS_IT_IS, Candidate, candidates
from portfolio_platform.errors import WrongUse
from portfolio_platform.policy.model import Policy

YEARS = 2
RULE = (
    "the best P&L among those whose maximum drawdown is at most the policy's risk_off_drawdown; where none is, the smallest maximum "
    "drawdown; of equals the one with the fewest changes"
)


class Point(NamedTuple):
    """One candidate over one window: where it lies on the trade-off.

    Attributes:
        name: what it changes.
        max_drawdown: deepest fall from a high inside the window, a fraction.
        pnl: profit and loss, base currency.
        forgone: recorded P&L less this one, base currency.
        risk_refused: share of the requested risk that was not granted.
        risk_off_sessions: sessions that ended in risk-off.
        trades: trades that were made.
    """

    name: str
    max_drawdown: float
    pnl: float
    forgone: float
    risk_refused: float
    risk_off_sessions: int
    trades: int


class Judged(NamedTuple):
    """A window and all candidates over it; the first is the policy as it is. ``then`` is what was recorded."""

    first: date
    last: date
    then: Point
    points: tuple[Point, ...]

    def of(self, name: str) -> Point:
        """Return the point of a candidate by its name."""
        return next(point for point in self.points if point.name == name)


@dataclass(frozen=True)
class Choice:
    """What was chosen on the choosing window, with nothing later in sight.

    Attributes:
        seen: the candidates over that window.
        chosen: the name of the one that was chosen.
        changes: its changes of the policy.
        policy_hash: the hash of its policy, which no later look can change.
        is_met: whether its drawdown is within the ceiling.
    """

    seen: Judged
    chosen: str
    changes: tuple[tuple[str, float | int], ...]
    policy_hash: str
    is_met: bool


@dataclass(frozen=True)
class Calibration:
    """A choice and how it did afterwards.

    ``rank_drawdown`` and ``rank_pnl`` are Spearman's correlations of the candidates' places in the two windows: how much the
    choosing window told of the judging one; None where all candidates are alike.
    """

    portfolio: str
    currency: str
    policy: str
    policy_hash: str
    rule: str
    caveat: str
    ceiling: float
    choice: Choice
    judged: Judged
    rank_drawdown: float | None
    rank_pnl: float | None

    def document(self) -> dict[str, Any]:
        """Return it as plain content."""
        return {
            "portfolio": self.portfolio,
            "currency": self.currency,
            "policy": self.policy,
            "policy_hash": self.policy_hash,
            "rule": self.rule,
            "caveat": self.caveat,
            "ceiling": self.ceiling,
            "chosen": self.choice.chosen,
            "changes": dict(self.choice.changes),
            "chosen_policy_hash": self.choice.policy_hash,
            "is_met": self.choice.is_met,
            "choosing": _judged(self.choice.seen),
            "judging": _judged(self.judged),
            "rank_drawdown": self.rank_drawdown,
            "rank_pnl": self.rank_pnl,
        }

    @cached_property
    def content(self) -> bytes:
        """Return its canonical bytes."""
        return canonical_bytes(self.document())

    @cached_property
    def hash(self) -> str:
        """Return the SHA-256 of its canonical bytes."""
        return content_hash(self.content)


def _judged(window: Judged) -> dict[str, Any]:
    return {**window._asdict(), "then": window.then._asdict(), "points": [point._asdict() for point in window.points]}


def choose(past: Record, tried: Sequence[Candidate], ceiling: float, assumptions: Assumptions | None = None) -> Choice:
    """Choose thresholds on a record that ends with the choosing window; what came later is not in it.

    Args:
        past: the record, cut by `Record.until` at the window's last day.
        tried: the candidates.
        ceiling: the maximum drawdown that the chosen one should keep, a fraction.
        assumptions: of the replays.
    """
    seen = over(Prepared.of(past), tried, past.window(None, None), assumptions)
    within = [point for point in seen.points if point.max_drawdown <= ceiling]
    best = max(within, key=lambda point: point.pnl) if within else min(seen.points, key=lambda point: point.max_drawdown)
    candidate = next(one for one in tried if one.name == best.name)
    return Choice(seen, best.name, tuple((change.key, change.value) for change in candidate.changes), candidate.policy.hash, bool(within))


def over(prepared: Prepared, tried: Sequence[Candidate], window: Window, assumptions: Assumptions | None = None) -> Judged:
    """Return every candidate over one window."""
    points, found = [], None
    for one in tried:
        found = counterfactual(prepared, one.policy, window, assumptions)
        points.append(_point(one.name, found))
    assert found is not None
    then = Point("recorded", found.then.max_drawdown, found.then.pnl, 0.0, 0.0, found.then.risk_off_sessions, found.then.trades)
    return Judged(found.first, found.last, then, tuple(points))


def _point(name: str, found: Counterfactual) -> Point:
    now = found.now
    return Point(name, now.max_drawdown, now.pnl, found.then.pnl - now.pnl, found.refusals.share, now.risk_off_sessions, now.trades)


def calibrate(
    record: Record,
    policy: Policy,
    *,
    split: date | None = None,
    last: date | None = None,
    tried: Sequence[Candidate] | None = None,
    assumptions: Assumptions | None = None,
) -> Calibration:
    """Choose thresholds on the sessions up to a day, and report how they did on those after it.

    Args:
        record: the portfolio's past.
        policy: what is varied; its ``risk_off_drawdown`` is the ceiling.
        split: last day of the choosing window; two years from the first session where None.
        last: last day of the judging window; two years after ``split``, or the record's end, where None.
        tried: the candidates, the policy as it is among them; `candidates` where None.
        assumptions: of the replays.

    Raises:
        WrongUse: one of the windows has no session.
    """
    if not record.sessions:
        raise WrongUse(f"{record.portfolio} has no sessions to calibrate on")
    end = split or _years_on(record.day(0), YEARS)
    tried = candidates(policy) if tried is None else tried
    if AS_IT_IS not in {one.name for one in tried}:
        raise WrongUse("the candidates lack the policy as it is, which the others are compared with")
    ceiling = policy.drawdown.regime.risk_off_drawdown
    choice = choose(record.until(end), tried, ceiling, assumptions)
    window = record.window(end + timedelta(days=1), last or _years_on(end + timedelta(days=1), YEARS))
    judged = over(Prepared.of(record), tried, window, assumptions)
    return Calibration(
        portfolio=record.portfolio,
        currency=record.currency,
        policy=f"{policy.name} v{policy.version}",
        policy_hash=policy.hash,
        rule=RULE,
        caveat=CAVEAT,
        ceiling=ceiling,
        choice=choice,
        judged=judged,
        rank_drawdown=rank_correlation([one.max_drawdown for one in choice.seen.points], [one.max_drawdown for one in judged.points]),
        rank_pnl=rank_correlation([one.pnl for one in choice.seen.points], [one.pnl for one in judged.points]),
    )


def rank_correlation(one: Sequence[float], other: Sequence[float]) -> float | None:
    """Return Spearman's rank correlation, ties at their mean rank; None where either does not vary."""
    first, second = _ranks(one), _ranks(other)
    if np.ptp(first) == 0.0 or np.ptp(second) == 0.0:
        return None
    return float(np.corrcoef(first, second)[0, 1])


def _ranks(values: Sequence[float]) -> Float64:
    """Return mean ranks; values that are equal to 9 digits are equal."""
    rounded = np.array([float(f"{value:.9g}") for value in values], dtype=np.float64)
    distinct, place, count = np.unique(rounded, return_inverse=True, return_counts=True)
    ends = np.cumsum(count)
    means: Float64 = (ends - (count - 1) / 2.0).astype(np.float64)
    return means[place] if distinct.size else rounded


def _years_on(day: date, years: int) -> date:
    """Return the day before the same date some years later."""
    later = day.year + years
    same = date(later, 3, 1) if (day.month, day.day) == (2, 29) else day.replace(year=later)
    return same - timedelta(days=1)
