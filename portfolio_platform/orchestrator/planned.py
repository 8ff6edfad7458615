"""What the steps make: targets, trades, the cash path, the dry run, the manifest, the plan. Typed, frozen, without floats."""

from datetime import date, datetime
from decimal import Decimal
from functools import cached_property
from typing import Literal

from pydantic import Field

from portfolio_platform.canonical import canonical_bytes, content_hash
from portfolio_platform.orchestrator.model import Finding, Side, Typed

CASH = "Cash"
Action = Literal["SELL", "BUY", "HOLD"]
BufferState = Literal["healthy", "marginal", "at_risk"]
Verdict = Literal["SAFE", "CONDITIONAL", "BLOCKED"]


class SectorTarget(Typed):
    """A directive held against the portfolio: where a sector is, where it shall be, and what that is in money."""

    sector: str
    action: Action
    current_ppm: int
    target_ppm: int
    current_minor: int
    target_minor: int
    amount_minor: int = Field(description="to raise by selling or to deploy by buying; 0 for HOLD")
    line: int | None = None


class LotSale(Typed):
    """What is sold of one tax lot."""

    lot_id: str
    quantity: Decimal
    cost: Decimal
    acquired: date
    gain_minor: int = Field(description="realised at the planned price, before fees")


class Trade(Typed):
    """One trade of a plan, at the price that is planned with."""

    trade_id: str
    side: Side
    account: str
    ticker: str
    sector: str
    quantity: Decimal
    price: Decimal
    limit_price: Decimal = Field(description="sell no lower, buy no higher")
    amount_minor: int = Field(description="proceeds rounded down, or cost rounded up; without the fee")
    fee_minor: int
    worst_amount_minor: int = Field(description="the same at the slippage of the worst case")
    worst_fee_minor: int
    residue_minor: int = Field(0, description="part of the directive's money that whole steps could not take up; stays cash")
    gain_ppm: int | None = Field(None, description="unrealised gain of the holding, of its cost; None where it cost nothing, or for a buy")
    lots: tuple[LotSale, ...] = ()
    pick: int | None = Field(None, description="place among the sector's usable picks, from 1")
    conviction: int | None = None
    daily_value_minor: int | None = None
    approved_at: datetime | None = None
    why: str = ""

    @property
    def cash_minor(self) -> int:
        """Return how the trade changes the account's cash."""
        return self.amount_minor - self.fee_minor if self.side == "sell" else -self.amount_minor - self.fee_minor

    @property
    def worst_cash_minor(self) -> int:
        """Return the same in the worst case."""
        return self.worst_amount_minor - self.worst_fee_minor if self.side == "sell" else -self.worst_amount_minor - self.worst_fee_minor


class CashStep(Typed):
    """The cash after one trade of the sequence."""

    sequence: int = Field(description="place in the sequence, from 1")
    trade_id: str
    phase: Literal[1, 2] = Field(description="1 sells, 2 buys")
    cash_before_minor: int
    cash_after_minor: int = Field(description="of the portfolio")
    account_after_minor: int = Field(description="of the trade's account")
    worst_cash_after_minor: int
    worst_account_after_minor: int
    buffer_ppm: int = Field(description="cash as a share of the portfolio's value before the plan")
    state: BufferState
    holds: bool = Field(description="whether the trade leaves cash above zero and above the floor, or raises it")
    worst_holds: bool
    waits_for: tuple[str, ...] = Field((), description="sells that have to be confirmed before this buy")


class SectorRow(Typed):
    """A sector before and after the plan."""

    sector: str
    before_minor: int
    before_ppm: int
    after_minor: int
    after_ppm: int
    target_ppm: int | None
    cap_ppm: int | None


class PositionRow(Typed):
    """A position, over all accounts, before and after the plan."""

    ticker: str
    sector: str
    before_minor: int
    before_ppm: int
    after_minor: int
    after_ppm: int


class Observed(Typed):
    """What a constraint saw of one sector, position, trade or name."""

    subject: str
    value_ppm: int | None
    limit_ppm: int | None
    passed: bool
    text: str


class Check(Typed):
    """One of the six constraints, with its numbers, as planned and in the worst case."""

    number: int
    name: str
    limit: str
    passed: bool
    worst_passed: bool
    worst_observed: tuple[Observed, ...] = Field(description="what comes nearest to the limit or violates it, worst first, as planned")
    worst_case: tuple[Observed, ...] = Field((), description="what violates it in the worst case")


class DryRun(Typed):
    """The portfolio before and after all trades, at the prices that are planned with and in the worst case."""

    equity_before_minor: int
    equity_after_minor: int
    cash_before_minor: int
    cash_after_minor: int
    worst_cash_after_minor: int
    worst_equity_after_minor: int
    lowest_cash_minor: int = Field(description="lowest cash after any trade; the cash at the start where there is none")
    sells_minor: int
    buys_minor: int
    fees_minor: int
    rounding_minor: int = Field(description="change of value that neither fees nor prices explain: parts of minor units")
    sectors: tuple[SectorRow, ...]
    positions: tuple[PositionRow, ...] = Field(description="positions that the plan changes")
    checks: tuple[Check, ...]

    @property
    def passed(self) -> bool:
        """Say whether all constraints hold at the planned prices."""
        return all(check.passed for check in self.checks)


class ManifestEntry(Typed):
    """One input of a plan."""

    name: str
    source: str
    as_of: datetime | None
    age_minutes: int | None
    age_trading_days: int | None
    status: Literal["current", "aged", "stale", "missing", "pending", "skipped"]
    detail: str
    content: str = Field("", description="hash of the content")


class Manifest(Typed):
    """Every input of a plan with its age, source and status."""

    at: datetime
    entries: tuple[ManifestEntry, ...]

    @property
    def released(self) -> bool:
        """Say whether a plan may be released: nothing is stale, missing or pending."""
        return all(entry.status in ("current", "aged", "skipped") for entry in self.entries)


class Plan(Typed):
    """A plan that a person can execute, with everything that it rests on."""

    kind: Literal["rebalancing", "stock", "queue"]
    profile: str
    profile_hash: str
    portfolio: str
    portfolio_hash: str
    currency: str
    digits: int
    made_at: datetime
    expires_at: datetime
    verdict: Verdict
    conditions: tuple[str, ...]
    reasons: tuple[str, ...]
    targets: tuple[SectorTarget, ...]
    trades: tuple[Trade, ...] = Field(description="in the order of execution")
    path: tuple[CashStep, ...]
    dry_run: DryRun
    manifest: Manifest
    findings: tuple[Finding, ...]

    @cached_property
    def hash(self) -> str:
        """Return the SHA-256 of the canonical bytes: what an approval binds."""
        return content_hash(canonical_bytes(self.model_dump(mode="python"), floats=False))

    @property
    def execution_id(self) -> str:
        """Return the id under which the plan is executed: the portfolio and the beginning of the hash."""
        return f"{self.portfolio}-{self.made_at:%Y%m%dT%H%M%SZ}-{self.hash[:12]}"

    @property
    def residue_minor(self) -> int:
        """Return the money that rounding and minimum tickets left in cash."""
        return sum(trade.residue_minor for trade in self.trades)
