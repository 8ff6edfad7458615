"""Periods of reflections: weeks from Monday to Sunday (UTC), and calendar months."""

from dataclasses import dataclass
from datetime import date, timedelta
from typing import Literal

from portfolio_platform.errors import WrongUse
from portfolio_platform.policy.alerts import ReflectionPolicy

Kind = Literal["weekly", "monthly"]
KINDS: tuple[Kind, ...] = ("weekly", "monthly")
NOUNS: dict[Kind, str] = {"weekly": "week", "monthly": "month"}


@dataclass(frozen=True)
class Period:
    """A week or month, both ends included."""

    kind: Kind
    start: date
    end: date

    @property
    def noun(self) -> str:
        """Return what it is called."""
        return NOUNS[self.kind]

    def window(self, policy: ReflectionPolicy) -> int:
        """Return how many sessions up to its end are judged."""
        return policy.weekly_window if self.kind == "weekly" else policy.monthly_window


def period_of(kind: Kind, day: date) -> Period:
    """Return the period that a day lies in."""
    if kind == "weekly":
        start = day - timedelta(days=day.weekday())
        return Period(kind, start, start + timedelta(days=6))
    start = day.replace(day=1)
    return Period(kind, start, (start + timedelta(days=31)).replace(day=1) - timedelta(days=1))


def period_from(kind: Kind, start: date) -> Period:
    """Return the period that begins on a day. Raises `WrongUse` where none does."""
    found = period_of(kind, start)
    if found.start != start:
        raise WrongUse(f"no {found.noun} begins on {start}; the one that holds it begins on {found.start}")
    return found
