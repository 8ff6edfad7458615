"""How fresh the portfolio's figures are, and what a refresh of them comes to: step 2C of `v8.0.3`, as functions of the injected clock.

What belongs here: the classes of age, the life of one refresh, and which sectors moved. When a refresh is wanted between two trades is
the loop's matter. Weights are parts per million of the portfolio's value, times nanoseconds UTC.
"""

from bisect import bisect_right
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import NamedTuple, Protocol

from portfolio_platform.clock import Clock
from portfolio_platform.days import NANOSECONDS_PER_SECOND, day_number, format_timestamp, nanoseconds
from portfolio_platform.errors import DataProblem
from portfolio_platform.orchestrator.profile import Profile, ppm

MINUTE = 60 * NANOSECONDS_PER_SECOND
HOUR = 60 * MINUTE
MAY_HAVE_SHIFTED = "sector allocation may have shifted"


class TradingDays(Protocol):
    """Counts trading days."""

    def elapsed(self, since: int, until: int) -> int:
        """Return how many trading days began after the day of ``since``, up to and including the day of ``until``."""
        ...


@dataclass(frozen=True)
class SessionDays:
    """Trading days as day numbers, ascending: those of `ledger.calendars.sessions`."""

    days: tuple[int, ...]

    @classmethod
    def of(cls, days: Iterable[int]) -> "SessionDays":
        """Return the calendar of some day numbers."""
        return cls(tuple(sorted({int(day) for day in days})))

    def elapsed(self, since: int, until: int) -> int:
        """Return how many of the days lie after the day of ``since``, up to and including that of ``until``."""
        return bisect_right(self.days, day_number(until)) - bisect_right(self.days, day_number(since))


@dataclass(frozen=True)
class RefreshTerms:
    """The numbers of step 2C, all of them a profile's (`RefreshTerms.of`).

    Attributes:
        trading_days: how old the figures may be before they are too stale.
        current: up to this age they are used as they are, ns.
        target: how long a quick refresh takes at best, ns; said, and nothing hangs on it.
        quick_timeout: up to here a quick refresh is waited for, ns.
        escalate: a delay beyond this is escalated, ns.
        full_timeout: up to here a full refresh is waited for, ns.
        shifted: how far a sector's weight moves to count as shifted, parts per million.
        ahead: how far figures may lie ahead of the clock, ns.
    """

    trading_days: int
    current: int
    target: int
    quick_timeout: int
    escalate: int
    full_timeout: int
    shifted: int
    ahead: int

    @classmethod
    def of(cls, profile: Profile) -> "RefreshTerms":
        """Return the terms of a profile; a full refresh is waited for as long as it takes to escalate a delay."""
        fresh, refresh = profile.freshness, profile.refresh
        return cls(
            trading_days=fresh.portfolio_trading_days,
            current=fresh.portfolio_hours * HOUR,
            target=refresh.target_minimum_minutes * MINUTE,
            quick_timeout=refresh.timeout_minutes * MINUTE,
            escalate=refresh.escalate_minutes * MINUTE,
            full_timeout=refresh.escalate_minutes * MINUTE,
            shifted=ppm(refresh.sector_shift_points),
            ahead=fresh.future_minutes * MINUTE,
        )


class DataState(StrEnum):
    """The class of age of the portfolio's figures."""

    CURRENT = "current"
    STALE_WITHIN_DAY = "stale_within_day"
    TOO_STALE = "too_stale"


class RefreshKind(StrEnum):
    """What is refreshed: the target account or the cash alone, or everything."""

    QUICK = "quick_refresh"
    FULL = "full_refresh"


class Verdict(StrEnum):
    """What the execution may do now."""

    PROCEED = "proceed"
    WAIT = "wait"
    PROCEED_WITH_CAVEAT = "proceed_with_caveat"
    ESCALATE = "escalate"


class Freshness(NamedTuple):
    """How old the figures are.

    Attributes:
        state: the class.
        trading_days: begun since the figures' day.
        age: ns, at least 0.
        refresh: what is to be refreshed; None where nothing is.
    """

    state: DataState
    trading_days: int
    age: int
    refresh: RefreshKind | None


class RefreshRequest(NamedTuple):
    """A refresh that was asked for: of which portfolio, in which scope (an account, ``cash_only`` or ``all``), when."""

    request_id: str
    portfolio: str
    kind: RefreshKind
    scope: str
    asked_at: int


class Figures(NamedTuple):
    """A portfolio's figures.

    Attributes:
        at: when they were taken.
        value: of the whole portfolio, minor units.
        cash: minor units.
        sectors: weight by sector, parts per million, sorted by name.
    """

    at: int
    value: int
    cash: int
    sectors: tuple[tuple[str, int], ...] = ()

    def weight(self, sector: str) -> int:
        """Return the weight of a sector in parts per million; 0 where it is not held."""
        return dict(self.sectors).get(sector, 0)


class RefreshAnswer(NamedTuple):
    """What came back of a refresh: new figures and when they came, or why there are none."""

    request_id: str
    at: int
    figures: Figures | None
    failure: str = ""


class Refreshing(NamedTuple):
    """The life of one refresh: what was asked, and what came back."""

    request: RefreshRequest
    answer: RefreshAnswer | None = None


class Refresher(Protocol):
    """Fetches new figures beside the execution; it answers when it is asked again."""

    def begin(self, request: RefreshRequest) -> None:
        """Start a refresh; the same request again starts nothing."""
        ...

    def poll(self, request: RefreshRequest) -> RefreshAnswer | None:
        """Return what came back, None while it is under way."""
        ...


class Shift(NamedTuple):
    """A sector whose weight moved since approval: parts per million then and now, and whether it grew."""

    sector: str
    approved: int
    live: int

    @property
    def increased(self) -> bool:
        """Say whether it grew, which is what eats headroom."""
        return self.live > self.approved


def assess(taken_at: int, now: int, days: TradingDays, terms: RefreshTerms) -> Freshness:
    """Return how fresh figures are.

    Up to ``trading_days`` the hours decide, and beyond them nothing else does. Hours are those of the clock: a close of the day before
    is more than two hours old and asks for a quick refresh, as the specification's formula says.

    Raises:
        DataProblem: they lie further ahead of the clock than the terms allow.
    """
    if taken_at - now > terms.ahead:
        raise DataProblem(
            f"the portfolio's figures are of {format_timestamp(taken_at)}, after now ({format_timestamp(now)}); "
            "correct the clock or the document's time, or give a later --as-of"
        )
    age = max(0, now - taken_at)
    elapsed = days.elapsed(min(taken_at, now), now)
    if elapsed > terms.trading_days:
        return Freshness(DataState.TOO_STALE, elapsed, age, RefreshKind.FULL)
    if age <= terms.current:
        return Freshness(DataState.CURRENT, elapsed, age, None)
    return Freshness(DataState.STALE_WITHIN_DAY, elapsed, age, RefreshKind.QUICK)


def verdict(refreshing: Refreshing, now: int, terms: RefreshTerms) -> Verdict:
    """Return what the execution may do while, or after, a refresh is under way.

    Quick: waited for up to its timeout (an answer in that very instant counts), then go on with the caveat, and beyond the limit
    escalate. Full: waited for up to its timeout, then escalate; it never goes on with a caveat of its own. One that failed is
    escalated at once, for waiting brings nothing. An answer proceeds whenever it comes.
    """
    answer = refreshing.answer
    if answer is not None:
        return Verdict.ESCALATE if answer.figures is None else Verdict.PROCEED
    waited = now - refreshing.request.asked_at
    if refreshing.request.kind is RefreshKind.FULL:
        return Verdict.WAIT if waited <= terms.full_timeout else Verdict.ESCALATE
    if waited <= terms.quick_timeout:
        return Verdict.WAIT
    return Verdict.PROCEED_WITH_CAVEAT if waited <= terms.escalate else Verdict.ESCALATE


def caveats(terms: RefreshTerms) -> tuple[str, str]:
    """Return what is noted of an execution that goes on while its refresh is pending, in the specification's words."""
    return (f"Portfolio data >{terms.current // HOUR} hours old", MAY_HAVE_SHIFTED)


def shifts(approved: Mapping[str, int], live: Mapping[str, int], terms: RefreshTerms) -> tuple[Shift, ...]:
    """Return the sectors that moved by the terms' points or more since approval, up or down, by name; one not held weighs nothing."""
    pairs = ((name, approved.get(name, 0), live.get(name, 0)) for name in sorted({*approved, *live}))
    return tuple(Shift(*one) for one in pairs if abs(one[2] - one[1]) >= terms.shifted)


class RefreshRun:
    """One refresh on the injected clock: begun once, looked at as often as wanted."""

    def __init__(self, refresher: Refresher, clock: Clock, terms: RefreshTerms, request: RefreshRequest) -> None:
        """Begin a refresh."""
        self.refresher, self.clock, self.terms = refresher, clock, terms
        self.refreshing = Refreshing(request)
        refresher.begin(request)

    def look(self) -> Verdict:
        """Ask for an answer where there is none yet, and say what the execution may do now."""
        if self.refreshing.answer is None:
            answer = self.refresher.poll(self.refreshing.request)
            if answer is not None:
                self.refreshing = self.refreshing._replace(answer=answer)
        return verdict(self.refreshing, nanoseconds(self.clock.now()), self.terms)
