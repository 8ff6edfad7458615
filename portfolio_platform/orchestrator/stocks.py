"""Step 2.5: a stock recommendation against the six criteria of v8.1.1, and the JSON that the specification shows."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any, Literal

from pydantic import Field

from portfolio_platform.orchestrator.amounts import below, exceeds, of_whole, part, percent
from portfolio_platform.orchestrator.inputs import skips_alignment
from portfolio_platform.orchestrator.model import Restriction, SectorRankings, Snapshot, StockRecommendation, Typed
from portfolio_platform.orchestrator.profile import Profile, ppm

UNRANKED = 999
"""Rank of a sector that the rankings do not name (v8.1.1 STEP 2.5)."""


class Criterion(Typed):
    """One of the six criteria with its numbers."""

    name: str
    passed: bool
    text: str = Field(description="what was seen and what is asked")


class StockValidation(Typed):
    """The answer to a stock recommendation."""

    status: Literal["APPROVED_FOR_PO", "REJECTED"]
    ticker: str
    conviction: int
    criteria: tuple[Criterion, ...]
    skipped: str = Field("", description="why the alignment with the sector rankings was not checked")

    @property
    def checks(self) -> dict[str, bool]:
        """Return each criterion's outcome by its name."""
        return {criterion.name: criterion.passed for criterion in self.criteria}

    @property
    def reasons(self) -> tuple[str, ...]:
        """Return the criteria that are not met."""
        return tuple(criterion.name for criterion in self.criteria if not criterion.passed)

    @property
    def message(self) -> str:
        """Return the specification's sentence, and after it what was not checked."""
        said = ", ".join(self.reasons) or "All criteria pass"
        return f"Stock-Analyst {self.ticker} {self.status}: {said}" + (
            f"; regime_alignment skipped: {self.skipped}" if self.skipped else ""
        )

    def document(self) -> dict[str, Any]:
        """Return the JSON of v8.1.1 STEP 2.5, with its keys in its order."""
        return {
            "status": self.status,
            "ticker": self.ticker,
            "conviction": self.conviction,
            "checks": self.checks,
            "reasons": list(self.reasons),
            "message": self.message,
        }


def validate_stock(
    recommendation: StockRecommendation,
    snapshot: Snapshot,
    rankings: SectorRankings | None,
    barred: Mapping[str, Restriction],
    profile: Profile,
    at: datetime,
) -> StockValidation:
    """Return whether a recommendation meets all six criteria.

    The trade is the proposed share of the portfolio's value; the sector is the ledger's where it knows the stock, else the
    recommendation's. Cash and sector after the trade are shares of the value before it, as the specification calculates them.
    """
    equity = snapshot.equity_minor
    proposed = ppm(recommendation.proposed_allocation_pct)
    amount = of_whole(proposed, equity)
    known = snapshot.by_ticker.get(recommendation.ticker)
    sector = recommendation.sector if known is None else known.sector
    in_sector, cash = snapshot.sectors_minor.get(sector, 0) + amount, snapshot.cash_minor - amount
    cap, floor, size = ppm(profile.limits.cap_of(sector)), ppm(profile.buffer.floor_pct), ppm(profile.limits.position_pct)
    skipped = skips_alignment(rankings, at, profile)
    ranking = None if rankings is None else rankings.by_sector.get(sector)
    rank = UNRANKED if ranking is None else ranking.rank
    least, worst_rank = profile.stocks.conviction_minimum, profile.stocks.sector_rank_max
    restriction = barred.get(recommendation.ticker)
    criteria = (
        Criterion(
            name="conviction",
            passed=recommendation.conviction_score >= least,
            text=f"conviction {recommendation.conviction_score} of at least {least}",
        ),
        Criterion(name="position_size", passed=proposed <= size, text=f"{percent(proposed)} % proposed of at most {percent(size)} %"),
        Criterion(
            name="sector_cap",
            passed=not exceeds(in_sector, cap, equity),
            text=f"{sector} at {percent(part(in_sector, equity))} % after it, of at most {percent(cap)} %",
        ),
        Criterion(
            name="cash_buffer",
            passed=not below(cash, floor, equity),
            text=f"cash at {percent(part(cash, equity))} % after it, of at least {percent(floor)} %",
        ),
        Criterion(
            name="restriction_list",
            passed=restriction is None,
            text="not restricted" if restriction is None else f"restricted: {restriction.reason}",
        ),
        Criterion(
            name="regime_alignment",
            passed=bool(skipped) or rank <= worst_rank,
            text=f"not checked: {skipped}" if skipped else f"{sector} has rank {rank} of at most {worst_rank}",
        ),
    )
    return StockValidation(
        status="APPROVED_FOR_PO" if all(criterion.passed for criterion in criteria) else "REJECTED",
        ticker=recommendation.ticker,
        conviction=recommendation.conviction_score,
        criteria=criteria,
        skipped=skipped,
    )
