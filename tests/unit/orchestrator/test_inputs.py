"""Step 0.5: what is fresh, by trading days, and what keeps a plan from being released."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest

from portfolio_platform.orchestrator.inputs import Inputs, findings_of, portfolio_state, trading_days_between, verify
from portfolio_platform.orchestrator.loading import SAMPLES, load_directives
from portfolio_platform.orchestrator.model import SectorRankings, Snapshot
from portfolio_platform.orchestrator.plan import rebalancing_plan
from portfolio_platform.orchestrator.profile import shipped_profile
from tests.unit.orchestrator.examples import AT, sample_inputs


def status(inputs: Inputs, name: str, *, needs_rankings: bool = True) -> str:
    return next(entry.status for entry in verify(inputs, needs_rankings=needs_rankings).entries if entry.name == name)


def moved(inputs: Inputs, at: datetime) -> Snapshot:
    """Return the sample's portfolio as of another time, with prices of that time."""
    instruments = tuple(one.model_copy(update={"priced_at": at}) for one in inputs.snapshot.instruments)
    return inputs.snapshot.model_copy(update={"as_of": at, "instruments": instruments})


def day(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


@pytest.mark.parametrize(
    ("earlier", "later", "days"),
    [
        ("2026-01-05T14:00", "2026-01-05T20:00", 0),
        ("2026-01-02T21:30", "2026-01-05T14:00", 1),  # Friday to Monday
        ("2026-01-02T21:30", "2026-01-06T14:00", 2),
        ("2025-12-31T20:00", "2026-01-02T15:00", 1),  # New Year's Day is no session
        ("2026-01-03T12:00", "2026-01-04T12:00", 0),  # a weekend
        ("2026-01-06T00:00", "2026-01-06T00:00:01", 1),  # midnight belongs to the day that ends
        ("2026-01-06T15:00", "2026-01-05T15:00", 0),
    ],
)
def test_trading_days_are_sessions_begun_since(earlier: str, later: str, days: int) -> None:
    assert trading_days_between("XNYS", day(earlier), day(later)) == days


@pytest.mark.parametrize(
    ("as_of", "at", "state"),
    [
        ("2026-01-05T14:00", "2026-01-05T16:00", "CURRENT"),
        ("2026-01-05T14:00", "2026-01-05T16:00:01", "STALE_WITHIN_DAY"),
        ("2026-01-02T20:00", "2026-01-05T14:00", "STALE_WITHIN_DAY"),
        ("2026-01-02T20:00", "2026-01-06T00:30", "TOO_STALE"),
        ("2026-01-05T23:30", "2026-01-06T00:30", "CURRENT"),
    ],
)
def test_hours_count_while_the_trading_days_do_not_settle_it(as_of: str, at: str, state: str) -> None:
    assert portfolio_state(day(as_of), day(at), shipped_profile("v8.0.3")) == state


def test_the_manifest_names_every_input_with_age_source_and_status() -> None:
    inputs = sample_inputs(document="text", document_source="portfolio_document.md")
    entries = {entry.name: entry for entry in verify(inputs, needs_rankings=True).entries}
    assert list(entries) == ["portfolio", "prices", "sector_rankings", "restriction_list", "directives"]
    assert entries["portfolio"].age_minutes == 30
    assert entries["portfolio"].age_trading_days == 0
    assert entries["sector_rankings"].source == "market-analyst 2026-01-02"
    assert entries["sector_rankings"].age_trading_days == 1
    assert all(entry.status == "current" for entry in entries.values())
    assert all(entry.content for name, entry in entries.items())
    assert verify(inputs, needs_rankings=True).released


def test_an_aged_portfolio_is_a_condition_and_a_stale_one_blocks() -> None:
    inputs = sample_inputs()
    aged = sample_inputs(snapshot=moved(inputs, AT - timedelta(hours=3)))
    assert status(aged, "portfolio") == "aged"
    directives = load_directives(SAMPLES / "portfolio_document.md")
    assert any("more than 2 h old" in condition for condition in rebalancing_plan(aged, directives).conditions)
    stale = sample_inputs(snapshot=moved(inputs, AT - timedelta(days=5)))
    assert (status(stale, "portfolio"), status(stale, "prices")) == ("stale", "stale")
    plan = rebalancing_plan(stale, directives)
    assert plan.verdict == "BLOCKED"
    assert not plan.manifest.released
    assert any("the portfolio is 2 trading days old, and may be 1" in reason for reason in plan.reasons)


def test_one_old_price_is_enough_and_is_named() -> None:
    inputs = sample_inputs()
    old = inputs.snapshot.instruments[3].model_copy(update={"priced_at": AT - timedelta(days=6)})
    instruments = (*inputs.snapshot.instruments[:3], old, *inputs.snapshot.instruments[4:])
    found = sample_inputs(snapshot=inputs.snapshot.model_copy(update={"instruments": instruments}))
    entry = next(one for one in verify(found, needs_rankings=True).entries if one.name == "prices")
    assert (entry.status, entry.age_trading_days) == ("stale", 3)
    assert "the price of CF is 3 trading days old" in entry.detail


def test_anything_pending_releases_no_plan() -> None:
    inputs = sample_inputs()
    waiting = sample_inputs(snapshot=inputs.snapshot.model_copy(update={"pending": ("quick refresh of brokerage",)}))
    assert not verify(waiting, needs_rankings=True).released
    plan = rebalancing_plan(waiting, load_directives(SAMPLES / "portfolio_document.md"))
    assert plan.verdict == "BLOCKED"
    assert plan.reasons == ("quick refresh of brokerage is under way; wait for it, then plan again",)


def ranked(**changes: object) -> SectorRankings:
    found = sample_inputs().rankings
    assert found is not None
    return found.model_copy(update=changes)


@pytest.mark.parametrize(
    ("rankings", "needed", "expected"),
    [
        (ranked(as_of=AT - timedelta(days=7)), True, "current"),
        (ranked(as_of=AT - timedelta(days=7, minutes=1)), True, "stale"),
        (ranked(as_of=AT - timedelta(days=7, minutes=1)), False, "skipped"),
        (ranked(regime_confidence_pct=Decimal(49)), True, "skipped"),
        (ranked(regime_confidence_pct=Decimal(50)), True, "current"),
        (None, True, "missing"),
        (None, False, "skipped"),
        (ranked(as_of=AT + timedelta(minutes=6)), True, "stale"),
        (ranked(as_of=AT + timedelta(minutes=5)), True, "current"),
    ],
)
def test_rankings_that_are_bought_by_have_to_be_fresh_and_else_the_check_is_skipped(
    rankings: SectorRankings | None, needed: bool, expected: str
) -> None:
    found = sample_inputs(rankings=rankings)
    assert status(found, "sector_rankings", needs_rankings=needed) == expected
    severities = {finding.severity for finding in findings_of(verify(found, needs_rankings=needed))}
    assert severities == ({"current": set(), "skipped": {"warning"}}.get(expected, {"error"}))
