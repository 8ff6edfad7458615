"""Portfolios and documents for the tests of the orchestrator: the samples, small ones by hand, and random ones."""

from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

from hypothesis import strategies as st

from portfolio_platform.orchestrator.directive import Directive, Directives
from portfolio_platform.orchestrator.inputs import Inputs
from portfolio_platform.orchestrator.loading import SAMPLES, load_rankings, load_restrictions, load_snapshot
from portfolio_platform.orchestrator.model import (
    Account,
    Holding,
    Instrument,
    Pick,
    Restriction,
    RestrictionList,
    SectorRanking,
    SectorRankings,
    Snapshot,
    TaxLot,
)
from portfolio_platform.orchestrator.profile import Profile, shipped_profile

AT = datetime(2026, 1, 5, 15, 0, tzinfo=UTC)
NO_RESTRICTIONS = RestrictionList(as_of=AT, source="test")


def sample_inputs(portfolio: str = "portfolio.json", profile: str = "v8.1.1", **changes: Any) -> Inputs:
    """Return the sample's inputs."""
    given: dict[str, Any] = {
        "snapshot": load_snapshot(SAMPLES / portfolio),
        "restrictions": load_restrictions(SAMPLES / "restriction_list.json"),
        "rankings": load_rankings(SAMPLES / "sector_rankings.json"),
        "profile": shipped_profile(profile),
        "at": AT,
    }
    return Inputs(**{**given, **changes})


def instrument(ticker: str, sector: str, price: str, **more: Any) -> Instrument:
    return Instrument(ticker=ticker, sector=sector, price=Decimal(price), priced_at=AT, **more)


def lot(lot_id: str, quantity: str, cost: str, acquired: date = date(2024, 1, 2)) -> TaxLot:
    return TaxLot(lot_id=lot_id, quantity=Decimal(quantity), cost=Decimal(cost), acquired=acquired)


def holding(ticker: str, quantity: str, cost: str) -> Holding:
    return Holding(ticker=ticker, lots=(lot(f"{ticker}-1", quantity, cost),))


def account(name: str, cash: str, *holdings: Holding, kind: str = "margin", fractional: bool = False) -> Account:
    return Account(account=name, kind=kind, fractional=fractional, cash_minor=int(Decimal(cash) * 100), holdings=holdings)  # type: ignore[arg-type]


def snapshot(accounts: tuple[Account, ...], instruments: tuple[Instrument, ...], **more: Any) -> Snapshot:
    given = {"portfolio": "test", "currency": "USD", "as_of": AT, "source": "test", **more}
    return Snapshot(accounts=accounts, instruments=instruments, **given)


def rankings(picks: dict[str, list[str]], **more: Any) -> SectorRankings:
    sectors = tuple(
        SectorRanking(sector=sector, rank=rank, picks=tuple(Pick(ticker=one, conviction=90 - place) for place, one in enumerate(tickers)))
        for rank, (sector, tickers) in enumerate(picks.items(), 1)
    )
    given = {"as_of": AT, "source": "test", "regime": "expansion", "regime_confidence_pct": Decimal(70), "sectors": sectors, **more}
    return SectorRankings(**given)


def asked(*directives: Directive) -> Directives:
    return Directives(directives=directives)


def to(sector: str, percent: str | int, kind: str = "set") -> Directive:
    return Directive(kind=kind, sector=sector, target_pct=Decimal(percent))  # type: ignore[arg-type]


def with_rules(profile: Profile, section: str, **changes: Any) -> Profile:
    """Return a profile whose section says something else."""
    content = profile.model_dump()
    content[section].update(changes)
    return Profile.model_validate(content)


SECTORS = ("Alpha", "Beta", "Gamma", "Delta")


@st.composite
def portfolios(draw: st.DrawFn) -> tuple[Snapshot, SectorRankings, RestrictionList]:
    """Draw a portfolio of a few accounts, with its rankings and restrictions."""
    instruments = []
    for number in range(draw(st.integers(2, 8))):
        price = draw(st.decimals("0.01", "2000", places=draw(st.sampled_from([0, 2, 4]))).filter(lambda value: value > 0))
        instruments.append(
            instrument(
                f"T{number}",
                draw(st.sampled_from(SECTORS)),
                str(price),
                lot_size=draw(st.sampled_from([1, 1, 10])),
                daily_value_minor=draw(st.none() | st.integers(0, 10**12)),
            )
        )
    accounts = []
    for number in range(draw(st.integers(1, 3))):
        fractional = draw(st.booleans())
        held = []
        for one in draw(st.lists(st.sampled_from(instruments), unique_by=lambda item: item.ticker, max_size=5)):
            quantities = draw(st.lists(st.decimals("0.5", "900", places=4 if fractional else 0), min_size=1, max_size=3))
            costs = draw(st.lists(st.decimals("0", "2000", places=2), min_size=3, max_size=3))
            lots = tuple(
                TaxLot(lot_id=f"L{place}", quantity=max(quantity, Decimal(1)), cost=cost, acquired=date(2020 + place, 1, 2))
                for place, (quantity, cost) in enumerate(zip(quantities, costs, strict=False))
            )
            held.append(Holding(ticker=one.ticker, lots=lots))
        accounts.append(
            Account(
                account=f"A{number}",
                kind=draw(st.sampled_from(["cash", "margin"])),
                fractional=fractional,
                cash_minor=draw(st.integers(1 if number == 0 else 0, 10**8)),
                holdings=tuple(held),
            )
        )
    made = snapshot(tuple(accounts), tuple(instruments))
    picks: dict[str, list[str]] = {sector: [] for sector in SECTORS}
    for one in instruments:
        picks[one.sector].append(one.ticker)
    barred = draw(st.lists(st.sampled_from([one.ticker for one in instruments]), unique=True, max_size=2))
    listed = RestrictionList(as_of=AT, source="test", entries=tuple(Restriction(ticker=ticker, reason="test") for ticker in barred))
    return made, rankings(picks), listed


@st.composite
def directive_sets(draw: st.DrawFn) -> Directives:
    """Draw directives for some of the sectors, and perhaps for cash."""
    found = [to(sector, draw(st.integers(0, 60))) for sector in draw(st.lists(st.sampled_from(SECTORS), unique=True, min_size=1))]
    if draw(st.booleans()):
        found.append(Directive(kind="cash", target_pct=Decimal(draw(st.integers(0, 40)))))
    return asked(*found)
