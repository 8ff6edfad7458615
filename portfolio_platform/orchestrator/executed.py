"""What a person did of a plan: reported fills, orders placed, orders given up, and how far each trade is. Pure.

A fill has a deterministic id: that of the execution, the trade and the number of the fill in it. Reported again it is the same
fill; a correction is a higher revision of it.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from decimal import Decimal
from functools import cached_property
from typing import Annotated, Literal

from pydantic import Field

from portfolio_platform.orchestrator.amounts import EXACT, Minor, Price, Shares, cost_of, plain, proceeds_of, total
from portfolio_platform.orchestrator.model import At, Name, Side, Text, Ticker, Typed
from portfolio_platform.orchestrator.planned import Plan, Trade

TradeStatus = Literal["open", "waiting", "placed", "partial", "filled", "given_up"]


class BookedTo(Typed):
    """How much of a fill is booked to a strategy."""

    strategy: Annotated[str, Field(min_length=1, max_length=200)]
    quantity: Shares


class ReportedFill(Typed):
    """A fill as it was reported, in one revision.

    ``trade_id`` is empty for a fill that belongs to no trade of the plan. A fill that is withdrawn never happened.
    """

    fill_id: Annotated[str, Field(min_length=1, max_length=400)]
    number: Annotated[int, Field(ge=1, le=100_000)]
    revision: Annotated[int, Field(ge=0, le=1_000_000)] = 0
    trade_id: str = ""
    ticker: Ticker
    side: Side
    account: Name
    quantity: Shares
    price: Price
    fee_minor: Minor = 0
    at: At
    placed_at: At | None = Field(None, description="when the order was given, where that was said")
    stop_price: Price | None = None
    profit_targets: tuple[Price, ...] = ()
    note: Text = ""
    withdrawn: bool = False
    booked: tuple[BookedTo, ...] = Field((), description="which strategies' positions it opens or closes in the ledger")
    unbooked: tuple[str, ...] = Field((), description="strategies that an earlier revision was booked to")

    @property
    def said(self) -> tuple[object, ...]:
        """Return what makes two reports of a fill equal: everything that a person says of it."""
        return (
            self.trade_id, self.ticker, self.side, self.account, self.quantity, self.price, self.fee_minor, self.at, self.placed_at,
            self.stop_price, self.profit_targets, self.note, self.withdrawn,
        )  # fmt: skip

    def amount_minor(self, digits: int) -> int:
        """Return its proceeds rounded down, or its cost rounded up, without the fee: as a plan rounds."""
        return proceeds_of(self.quantity, self.price, digits) if self.side == "sell" else cost_of(self.quantity, self.price, digits)

    def cash_minor(self, digits: int) -> int:
        """Return how it changes its account's cash."""
        amount = self.amount_minor(digits)
        return amount - self.fee_minor if self.side == "sell" else -amount - self.fee_minor


class Placing(Typed):
    """An order was given to the broker."""

    trade_id: str
    at: At


class GivenUp(Typed):
    """What is left of a trade is not going to be done."""

    trade_id: str
    at: At
    reason: Text = ""


class Protection(Typed):
    """The stop and the profit targets that belong to a trade."""

    trade_id: str
    stop_price: Price | None = None
    profit_targets: tuple[Price, ...] = ()


@dataclass(frozen=True)
class TradeProgress:
    """How far a trade is.

    Attributes:
        trade: as planned.
        fills: what was reported of it, in the order of their numbers.
        placed_at: when its order was given; None where that was not said.
        given_up: why the rest is not done; None where it may still be.
        waits_for: sells of its cash account that are not confirmed yet.
        since: from when the time without a fill counts; None while it waits for sells.
    """

    trade: Trade
    fills: tuple[ReportedFill, ...]
    digits: int
    placed_at: datetime | None = None
    given_up: GivenUp | None = None
    waits_for: tuple[str, ...] = ()
    since: datetime | None = None

    @cached_property
    def filled(self) -> Decimal:
        """Return the shares that were filled on the trade's own side."""
        return total(fill.quantity for fill in self.fills if fill.side == self.trade.side and fill.ticker == self.trade.ticker)

    @property
    def left(self) -> Decimal:
        """Return the shares that are still to be done: nothing where the rest was given up."""
        if self.given_up is not None:
            return Decimal(0)
        return plain(max(Decimal(0), EXACT.subtract(self.trade.quantity, self.filled)))

    @cached_property
    def price(self) -> Decimal | None:
        """Return the average price, of ten decimals, halves to even; None without a fill."""
        own = [fill for fill in self.fills if fill.side == self.trade.side and fill.ticker == self.trade.ticker]
        if not own:
            return None
        paid = total(EXACT.multiply(fill.quantity, fill.price) for fill in own)
        return plain(round(EXACT.divide(paid, self.filled), 10))

    @property
    def fee_minor(self) -> int:
        """Return the fees of its fills."""
        return sum(fill.fee_minor for fill in self.fills)

    @property
    def cash_minor(self) -> int:
        """Return how its fills changed the cash."""
        return sum(fill.cash_minor(self.digits) for fill in self.fills)

    @property
    def status(self) -> TradeStatus:
        """Return ``filled``, ``given_up``, ``partial``, ``placed``, ``waiting`` (for sells) or ``open``."""
        if self.filled >= self.trade.quantity:
            return "filled"
        if self.given_up is not None:
            return "given_up"
        if self.filled:
            return "partial"
        if self.placed_at is not None:
            return "placed"
        return "waiting" if self.waits_for else "open"


@dataclass(frozen=True)
class Executed:
    """Everything that was reported of an approved plan.

    Attributes:
        execution_id: of the plan.
        plan: as approved.
        approved_at: when.
        until: the end of the approval: it has to begin before it.
        fills: by id, in their highest revision; withdrawn ones too.
        placings: the first order given for each trade.
        given_up: by trade.
        protections: stops and targets that were recommended, by trade.
    """

    execution_id: str
    plan: Plan
    approved_at: datetime
    until: datetime
    fills: Mapping[str, ReportedFill] = field(default_factory=dict)
    placings: Mapping[str, datetime] = field(default_factory=dict)
    given_up: Mapping[str, GivenUp] = field(default_factory=dict)
    protections: Mapping[str, Protection] = field(default_factory=dict)

    @cached_property
    def in_force(self) -> tuple[ReportedFill, ...]:
        """Return the fills that happened, by time and id."""
        return tuple(sorted((one for one in self.fills.values() if not one.withdrawn), key=lambda one: (one.at, one.fill_id)))

    @cached_property
    def by_trade(self) -> dict[str, Trade]:
        """Return the plan's trades by id."""
        return {trade.trade_id: trade for trade in self.plan.trades}

    @cached_property
    def beyond(self) -> tuple[ReportedFill, ...]:
        """Return the fills that belong to no trade of the plan."""
        return tuple(fill for fill in self.in_force if not fill.trade_id)

    @cached_property
    def trades(self) -> tuple[TradeProgress, ...]:
        """Return how far each trade is, in the order of execution."""
        found: dict[str, TradeProgress] = {}
        waits = {step.trade_id: step.waits_for for step in self.plan.path}
        for trade in self.plan.trades:
            own = tuple(sorted((fill for fill in self.in_force if fill.trade_id == trade.trade_id), key=lambda fill: fill.number))
            found[trade.trade_id] = TradeProgress(
                trade=trade,
                fills=own,
                digits=self.plan.digits,
                placed_at=self._placed(trade.trade_id, own),
                given_up=self.given_up.get(trade.trade_id),
            )
        return tuple(self._waiting(one, waits.get(one.trade.trade_id, ()), found) for one in found.values())

    @property
    def complete(self) -> bool:
        """Say whether nothing is left to be done."""
        return all(one.status in ("filled", "given_up") for one in self.trades)

    @property
    def begun(self) -> bool:
        """Say whether anything was reported."""
        return bool(self.fills or self.placings or self.given_up)

    def _placed(self, trade_id: str, own: Sequence[ReportedFill]) -> datetime | None:
        said = [fill.placed_at for fill in own if fill.placed_at is not None]
        given = self.placings.get(trade_id)
        return min([*said, given] if given is not None else said, default=None)

    def _waiting(self, one: TradeProgress, waits: Sequence[str], found: Mapping[str, TradeProgress]) -> TradeProgress:
        """Add what a trade waits for, and from when its time counts: its order, else the approval or the last sell that pays for it."""
        sells = [found[name] for name in waits if name in found]
        pending = tuple(sell.trade.trade_id for sell in sells if sell.status not in ("filled", "given_up"))
        since = one.placed_at
        if since is None and not pending:
            confirmed = [fill.at for sell in sells for fill in sell.fills] + [sell.given_up.at for sell in sells if sell.given_up]
            since = max([self.approved_at, *confirmed])
        return TradeProgress(one.trade, one.fills, one.digits, one.placed_at, one.given_up, pending, since)


@dataclass(frozen=True)
class NotFilled:
    """A trade whose time without any fill is over."""

    trade_id: str
    ticker: str
    since: datetime
    waited: timedelta


def not_filled(executed: Executed, now: datetime, minutes: int) -> tuple[NotFilled, ...]:
    """Return the trades that have no fill after so many minutes, and were not given up (v8.0.3 STEP 4).

    The time counts from when the order was given, where that was said; else from the approval, or, for a buy that waits for sells,
    from the last of them. Of an execution that nobody began it counts up to the end of the approval, for after it nothing may begin.
    """
    until = now if executed.begun else min(now, executed.until)
    found = []
    for one in executed.trades:
        if one.filled or one.given_up is not None or one.since is None:
            continue
        if until - one.since >= timedelta(minutes=minutes):
            found.append(NotFilled(one.trade.trade_id, one.trade.ticker, one.since, now - one.since))
    return tuple(found)
