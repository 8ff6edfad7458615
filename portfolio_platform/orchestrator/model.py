"""The documents that the orchestrator reads, as typed frozen models; `loading` reads them from files.

Money is an integer of minor units in fields that end in ``_minor``; shares and prices are exact decimals; percentages that
people state are decimals of at most four places. Times have a zone and are kept in UTC. The content of a model has one
spelling, so equal documents have equal bytes and hashes.
"""

from collections import defaultdict
from datetime import UTC, date, datetime
from decimal import Decimal
from functools import cached_property
from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, AwareDatetime, BaseModel, ConfigDict, Field, StringConstraints, model_validator

from portfolio_platform.canonical import canonical_bytes, content_hash
from portfolio_platform.control.money import digits_of
from portfolio_platform.orchestrator.amounts import Cost, Minor, Money, Percentage, Ppm, Price, Shares, total, worth

Side = Literal["sell", "buy"]
Severity = Literal["error", "warning", "info"]
CASH_SECTOR = "cash"
"""What no sector may be called, however it is written: the tables show the accounts' money under it."""


def _printable(text: str) -> str:
    if not text.isprintable():
        raise ValueError("it holds a character that cannot be printed; take it out")
    return text


def _utc(at: datetime) -> datetime:
    return at.astimezone(UTC)


Name = Annotated[str, StringConstraints(min_length=1, max_length=100, strip_whitespace=True), AfterValidator(_printable)]
Ticker = Annotated[str, StringConstraints(pattern=r"^[A-Z0-9][A-Z0-9.\-]{0,19}$")]
Text = Annotated[str, StringConstraints(max_length=4000)]
At = Annotated[AwareDatetime, AfterValidator(_utc)]
Score = Annotated[int, Field(ge=0, le=100, strict=True)]


class Typed(BaseModel):
    """A document or a part of one: immutable, and a field that it does not know is refused."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    def canonical(self) -> bytes:
        """Return the canonical bytes: equal for equal content."""
        return canonical_bytes(self.model_dump(mode="python"), floats=False)

    @cached_property
    def hash(self) -> str:
        """Return the SHA-256 of the canonical bytes."""
        return content_hash(self.canonical())


class Finding(Typed):
    """Something that a person has to know: an error blocks, a warning becomes a condition, an info is only shown."""

    code: str
    severity: Severity
    subject: str = Field("", description="sector, ticker, account or document that it is about")
    message: str
    remedy: str = ""
    line: int | None = Field(None, description="line of the document, counted from 1")


class TaxLot(Typed):
    """Shares that were bought together."""

    lot_id: Name
    quantity: Shares
    cost: Cost = Field(description="paid for a share")
    acquired: date


class Holding(Typed):
    """What an account holds of one instrument: long only, at least one lot."""

    ticker: Ticker
    lots: tuple[TaxLot, ...] = Field(min_length=1)

    @cached_property
    def quantity(self) -> Decimal:
        """Return the shares of all lots."""
        return total(lot.quantity for lot in self.lots)


class Account(Typed):
    """An account: its cash and its holdings.

    A ``cash`` account buys only with money that it has, so a buy waits until the sells that pay for it are confirmed; a
    ``margin`` account need not wait. No plan takes the cash of either below zero.
    """

    account: Name
    kind: Literal["cash", "margin"]
    fractional: bool = Field(description="whether it takes parts of a share")
    cash_minor: Minor
    holdings: tuple[Holding, ...] = ()


class Instrument(Typed):
    """An instrument with the price that is planned with; for what is held and for what may be bought."""

    ticker: Ticker
    sector: Name
    price: Price
    priced_at: At
    lot_size: Annotated[int, Field(ge=1, le=1_000_000)] = 1
    daily_value_minor: Money | None = Field(None, description="what is traded of it in a day, for the order of sells")


class Snapshot(Typed):
    """A portfolio at one time: accounts, holdings, prices."""

    portfolio: Name
    currency: Annotated[str, StringConstraints(pattern=r"^[A-Z]{3}$")]
    as_of: At
    source: Name
    accounts: tuple[Account, ...] = Field(min_length=1)
    instruments: tuple[Instrument, ...] = ()
    pending: tuple[Name, ...] = Field((), description="orders and refreshes under way; with any, no plan is released")

    @model_validator(mode="after")
    def _hangs_together(self) -> Self:
        _unique("accounts", (account.account for account in self.accounts))
        _unique("instruments", (instrument.ticker for instrument in self.instruments))
        named = next((one for one in self.instruments if one.sector.casefold() == CASH_SECTOR), None)
        if named is not None:
            raise ValueError(
                f"the sector of {named.ticker} is {named.sector!r}, which means the money of the accounts; "
                "give it another name, such as Money Market, in the rankings too"
            )
        for account in self.accounts:
            _unique(f"account {account.account!r}: holdings", (holding.ticker for holding in account.holdings))
            for holding in account.holdings:
                _unique(f"account {account.account!r}, {holding.ticker}: lots", (lot.lot_id for lot in holding.lots))
                if holding.ticker not in self.by_ticker:
                    raise ValueError(f"account {account.account!r} holds {holding.ticker}, which has no price; add it to instruments")
        if self.equity_minor <= 0:
            raise ValueError(f"the portfolio is worth {self.equity_minor} minor units; a plan needs a value above 0")
        return self

    @cached_property
    def state_hash(self) -> str:
        """Return the hash of cash and holdings: what an approval binds. Prices are not in it; a plan's expiry stands for them."""
        parts = {"portfolio": self.portfolio, "currency": self.currency, "accounts": [item.model_dump() for item in self.accounts]}
        return content_hash(canonical_bytes(parts, floats=False))

    @cached_property
    def digits(self) -> int:
        """Return the decimals of the currency."""
        return digits_of(self.currency)

    @cached_property
    def by_ticker(self) -> dict[str, Instrument]:
        """Return the instruments by ticker."""
        return {instrument.ticker: instrument for instrument in self.instruments}

    @cached_property
    def by_account(self) -> dict[str, Account]:
        """Return the accounts by name."""
        return {account.account: account for account in self.accounts}

    @cached_property
    def cash_minor(self) -> int:
        """Return the cash of all accounts."""
        return sum(account.cash_minor for account in self.accounts)

    @cached_property
    def quantities(self) -> dict[tuple[str, str], Decimal]:
        """Return the shares by account and ticker."""
        return {(account.account, holding.ticker): holding.quantity for account in self.accounts for holding in account.holdings}

    @cached_property
    def positions_minor(self) -> dict[str, int]:
        """Return what is held of each ticker over all accounts, in minor units; each holding is rounded by itself."""
        return self.valued(self.quantities)

    @cached_property
    def sectors_minor(self) -> dict[str, int]:
        """Return what is held of each sector, in minor units."""
        return self.by_sector(self.positions_minor)

    @cached_property
    def equity_minor(self) -> int:
        """Return cash and holdings, in minor units."""
        return self.cash_minor + sum(self.positions_minor.values())

    def valued(self, quantities: dict[tuple[str, str], Decimal]) -> dict[str, int]:
        """Return what shares by account and ticker are worth at these prices, by ticker."""
        found: dict[str, int] = defaultdict(int)
        for (_, ticker), quantity in quantities.items():
            found[ticker] += worth(quantity, self.by_ticker[ticker].price, self.digits)
        return dict(found)

    def by_sector(self, positions: dict[str, int]) -> dict[str, int]:
        """Return amounts by ticker summed by sector."""
        found: dict[str, int] = defaultdict(int)
        for ticker, amount in positions.items():
            found[self.by_ticker[ticker].sector] += amount
        return dict(found)


class Pick(Typed):
    """An instrument that a sector's ranking names, best first."""

    ticker: Ticker
    conviction: Score | None = None


class SectorRanking(Typed):
    """A sector's place, and its picks in order."""

    sector: Name
    rank: Annotated[int, Field(ge=1, le=1000, strict=True)]
    picks: tuple[Pick, ...] = ()


class SectorRankings(Typed):
    """The sectors in order, with the regime that the order was made for."""

    as_of: At
    source: Name
    regime: Name
    regime_confidence_pct: Percentage
    sectors: tuple[SectorRanking, ...] = Field(min_length=1)

    @model_validator(mode="after")
    def _hangs_together(self) -> Self:
        _unique("sectors", (sector.sector for sector in self.sectors))
        _unique("ranks", (str(sector.rank) for sector in self.sectors))
        _unique("picks", (pick.ticker for sector in self.sectors for pick in sector.picks))
        return self

    @cached_property
    def by_sector(self) -> dict[str, SectorRanking]:
        """Return the rankings by sector."""
        return {sector.sector: sector for sector in self.sectors}


class Restriction(Typed):
    """An instrument that must not be traded, until a day (included) or for good."""

    ticker: Ticker
    reason: Name
    until: date | None = None


class RestrictionList(Typed):
    """What must not be traded."""

    as_of: At
    source: Name
    entries: tuple[Restriction, ...] = ()

    def in_force(self, day: date) -> dict[str, Restriction]:
        """Return the restrictions of a day by ticker; of several, the one that was listed last."""
        return {entry.ticker: entry for entry in self.entries if entry.until is None or day <= entry.until}


class StockRecommendation(Typed):
    """What a stock analyst recommends to buy."""

    ticker: Ticker
    sector: Name
    conviction_score: Score
    thesis: Text
    proposed_allocation_pct: Percentage
    issued_at: At
    source: Name
    account: Name | None = Field(None, description="where to buy; none: the accounts with the most cash")
    trigger_price: Price | None = Field(None, description="price that the recommendation quotes")
    stop_price: Price | None = None
    profit_targets: tuple[Price, ...] = ()


class ApprovedTrade(Typed):
    """A trade that was approved, waiting for its execution."""

    trade_id: Name
    ticker: Ticker
    sector: Name
    side: Side = "buy"
    account: Name
    size_minor: Annotated[Money, Field(gt=0)]
    conviction: Score | None = None
    approved_at: At
    stop_price: Price | None = None
    profit_targets: tuple[Price, ...] = ()


class ApprovedQueue(Typed):
    """The approved trades in the order of their approval, and the sectors as they were when they were approved."""

    as_of: At
    source: Name
    portfolio: Name
    trades: tuple[ApprovedTrade, ...] = Field(min_length=1)
    approved_allocations: dict[Name, Ppm] = Field(description="weight of each sector at the approval, parts per million")

    @model_validator(mode="after")
    def _hangs_together(self) -> Self:
        _unique("trades", (trade.trade_id for trade in self.trades))
        for before, after in zip(self.trades, self.trades[1:], strict=False):
            if after.approved_at < before.approved_at:
                raise ValueError(
                    f"trade {after.trade_id!r} was approved before {before.trade_id!r} and stands behind it; order them by approved_at"
                )
        return self


def _unique(what: str, names: Any) -> None:
    seen: set[str] = set()
    for name in names:
        if name in seen:
            raise ValueError(f"{what}: {name!r} is there twice; keep one")
        seen.add(name)
