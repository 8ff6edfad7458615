"""Step 0.5: what a plan rests on, how old it is, and whether it may be used: the manifest.

An input is ``current``; ``aged`` (usable, and a condition of the plan); ``stale``, ``missing`` or ``pending`` (no plan is released);
or ``skipped`` (the step that needs it is left out, and the report says so).
"""

from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
from typing import Literal

from portfolio_platform.canonical import content_hash
from portfolio_platform.days import day_number, nanoseconds
from portfolio_platform.ledger.calendars import sessions
from portfolio_platform.orchestrator.amounts import percent
from portfolio_platform.orchestrator.model import ApprovedQueue, Finding, RestrictionList, SectorRankings, Snapshot, StockRecommendation
from portfolio_platform.orchestrator.planned import Manifest, ManifestEntry
from portfolio_platform.orchestrator.profile import Profile, ppm

PortfolioState = Literal["CURRENT", "STALE_WITHIN_DAY", "TOO_STALE"]
Status = Literal["current", "aged", "stale", "missing", "pending", "skipped"]


@dataclass(frozen=True)
class Inputs:
    """The documents that a plan is made from, and the time it is made at."""

    snapshot: Snapshot
    restrictions: RestrictionList
    profile: Profile
    at: datetime
    rankings: SectorRankings | None = None
    document: str = ""
    document_source: str = ""
    queue: ApprovedQueue | None = None
    recommendation: StockRecommendation | None = None


def trading_days_between(calendar: str, earlier: datetime, later: datetime) -> int:
    """Return how many sessions have begun after the day of one time, up to the day of another; 0 on the same day.

    Raises `DataProblem` for a calendar that is not known.
    """
    return _sessions_between(calendar, day_number(nanoseconds(earlier)), day_number(nanoseconds(later)))


@lru_cache(maxsize=256)
def _sessions_between(calendar: str, first: int, last: int) -> int:
    return 0 if last <= first else len(sessions(calendar, first + 1, last))


def minutes_between(earlier: datetime, later: datetime) -> int:
    """Return the whole minutes between two times, rounded down."""
    return int((later - earlier).total_seconds() // 60)


def portfolio_state(as_of: datetime, at: datetime, profile: Profile) -> PortfolioState:
    """Return how fresh a portfolio is (v8.0.3 STEP 2C): the hours count only while the trading days do not settle it."""
    freshness = profile.freshness
    if trading_days_between(freshness.calendar, as_of, at) > freshness.portfolio_trading_days:
        return "TOO_STALE"
    return "CURRENT" if (at - as_of).total_seconds() <= freshness.portfolio_hours * 3600 else "STALE_WITHIN_DAY"


def skips_alignment(rankings: SectorRankings | None, at: datetime, profile: Profile) -> str:
    """Say why the alignment with the sector rankings is not checked; empty where it is (context, freshness)."""
    if rankings is None:
        return "there are no sector rankings"
    age, most = minutes_between(rankings.as_of, at), profile.freshness.rankings_days
    if age > most * 24 * 60:
        return f"the sector rankings are {age // (24 * 60)} days old, and may be {most}"
    if rankings.regime_confidence_pct < profile.freshness.regime_confidence_pct:
        confidence, least = percent(ppm(rankings.regime_confidence_pct)), percent(ppm(profile.freshness.regime_confidence_pct))
        return f"the regime's confidence is {confidence} %, and has to be {least} %"
    return ""


def verify(inputs: Inputs, *, needs_rankings: bool | None) -> Manifest:
    """Return the manifest of a plan's inputs.

    Args:
        inputs: the documents and the time.
        needs_rankings: whether trades are bought by them; where they only check an alignment, old ones are skipped; None where the
            plan has no use for them.
    """
    entries = [_portfolio(inputs), _prices(inputs)]
    if needs_rankings is not None:
        entries.append(_rankings(inputs, needs_rankings))
    entries.append(_restrictions(inputs))
    if inputs.queue is not None:
        entries.append(_dated(inputs, "approved_queue", inputs.queue.source, inputs.queue.as_of, inputs.queue.hash))
    if inputs.recommendation is not None:
        found = inputs.recommendation
        entries.append(_dated(inputs, "stock_recommendation", found.source, found.issued_at, found.hash))
    if inputs.document:
        entries.append(
            _entry(
                inputs, "directives", inputs.document_source, None, "current", "as it is read now", content_hash(inputs.document.encode())
            )
        )
    entries += [
        _entry(inputs, f"pending: {name}", inputs.snapshot.source, None, "pending", f"{name} is under way; wait for it, then plan again")
        for name in inputs.snapshot.pending
    ]
    return Manifest(at=inputs.at, entries=tuple(entries))


def findings_of(manifest: Manifest) -> list[Finding]:
    """Return what the manifest asks of a plan: what is not there or too old blocks, what has aged is a condition."""
    found = []
    for entry in manifest.entries:
        if entry.status in ("stale", "missing", "pending"):
            found.append(Finding(code=f"input_{entry.status}", severity="error", subject=entry.name, message=entry.detail))
        elif entry.status in ("aged", "skipped"):
            found.append(Finding(code=f"input_{entry.status}", severity="warning", subject=entry.name, message=entry.detail))
    return found


def _portfolio(inputs: Inputs) -> ManifestEntry:
    snapshot, freshness = inputs.snapshot, inputs.profile.freshness
    state = portfolio_state(snapshot.as_of, inputs.at, inputs.profile)
    days = trading_days_between(freshness.calendar, snapshot.as_of, inputs.at)
    status: Status = {"CURRENT": "current", "STALE_WITHIN_DAY": "aged", "TOO_STALE": "stale"}[state]  # type: ignore[assignment]
    detail = {
        "CURRENT": "the portfolio is current",
        "STALE_WITHIN_DAY": f"the portfolio is more than {freshness.portfolio_hours} h old; refresh it, or check cash and positions first",
        "TOO_STALE": f"the portfolio is {days} trading days old, and may be {freshness.portfolio_trading_days}; refresh it in full",
    }[state]
    return _guarded(inputs, "portfolio", snapshot.source, snapshot.as_of, status, detail, snapshot.hash)


def _prices(inputs: Inputs) -> ManifestEntry:
    snapshot, freshness = inputs.snapshot, inputs.profile.freshness
    if not snapshot.instruments:
        return _entry(inputs, "prices", snapshot.source, None, "missing", "there are no prices; add instruments to the snapshot")
    oldest = min(snapshot.instruments, key=lambda instrument: (instrument.priced_at, instrument.ticker))
    days = trading_days_between(freshness.calendar, oldest.priced_at, inputs.at)
    fresh = days <= freshness.prices_trading_days
    detail = (
        f"the oldest price is that of {oldest.ticker}"
        if fresh
        else f"the price of {oldest.ticker} is {days} trading days old, and may be {freshness.prices_trading_days}; bring a newer one"
    )
    newest = max(instrument.priced_at for instrument in snapshot.instruments)
    guarded = _guarded(inputs, "prices", snapshot.source, newest, "current", "", "")
    if guarded.status == "stale":
        return guarded
    return _entry(inputs, "prices", snapshot.source, oldest.priced_at, "current" if fresh else "stale", detail, snapshot.hash)


def _rankings(inputs: Inputs, needed: bool) -> ManifestEntry:
    rankings = inputs.rankings
    if rankings is None:
        detail = "there are no sector rankings, which buys are made by; add them" if needed else "there are no sector rankings: not checked"
        return _entry(inputs, "sector_rankings", "", None, "missing" if needed else "skipped", detail)
    why = skips_alignment(rankings, inputs.at, inputs.profile)
    # an unsure regime says nothing against the picks of a ranking; its age does
    stale = needed and minutes_between(rankings.as_of, inputs.at) > inputs.profile.freshness.rankings_days * 24 * 60
    status: Status = "current" if not why else "stale" if stale else "skipped"
    remedy = "bring newer ones" if stale else "the alignment with them is not checked"
    detail = f"{why}; {remedy}" if why else f"regime {rankings.regime}"
    return _guarded(inputs, "sector_rankings", rankings.source, rankings.as_of, status, detail, rankings.hash)


def _restrictions(inputs: Inputs) -> ManifestEntry:
    listed = inputs.restrictions
    detail = f"{len(listed.in_force(inputs.at.date()))} names are restricted"
    return _guarded(inputs, "restriction_list", listed.source, listed.as_of, "current", detail, listed.hash)


def _dated(inputs: Inputs, name: str, source: str, as_of: datetime, content: str) -> ManifestEntry:
    return _guarded(inputs, name, source, as_of, "current", "", content)


def _guarded(inputs: Inputs, name: str, source: str, as_of: datetime, status: Status, detail: str, content: str) -> ManifestEntry:
    """Return an entry, stale where its time lies ahead of the clock: what comes from the future has a wrong time."""
    ahead = -minutes_between(as_of, inputs.at)
    if ahead > inputs.profile.freshness.future_minutes:
        status, detail = "stale", f"{name} is dated {ahead} minutes ahead of the clock; put its time right"
    return _entry(inputs, name, source, as_of, status, detail, content)


def _entry(inputs: Inputs, name: str, source: str, as_of: datetime | None, status: Status, detail: str, content: str = "") -> ManifestEntry:
    calendar = inputs.profile.freshness.calendar
    return ManifestEntry(
        name=name,
        source=source,
        as_of=as_of,
        age_minutes=None if as_of is None else max(0, minutes_between(as_of, inputs.at)),
        age_trading_days=None if as_of is None else trading_days_between(calendar, as_of, inputs.at),
        status=status,
        detail=detail,
        content=content,
    )
