"""Steps 3F and 7: the execution as one document, for the log, the terminal and the page. What it looks like is decided elsewhere. Pure."""

from collections.abc import Mapping, Sequence
from datetime import date, datetime
from decimal import Decimal
from typing import Literal

from pydantic import Field

from portfolio_platform.orchestrator.amounts import part
from portfolio_platform.orchestrator.executed import Executed, GivenUp, Placing, ReportedFill, TradeProgress, TradeStatus
from portfolio_platform.orchestrator.execution_flags import ExecutionFlag, slippage_bps
from portfolio_platform.orchestrator.execution_rows import BadRow
from portfolio_platform.orchestrator.exits import ExitWatch, Touch, distances
from portfolio_platform.orchestrator.guide import guide_of
from portfolio_platform.orchestrator.model import Typed
from portfolio_platform.orchestrator.planned import Verdict
from portfolio_platform.orchestrator.profile import Profile
from portfolio_platform.orchestrator.sequence import buffer_state
from portfolio_platform.orchestrator.verification import Verification


class Report(Typed):
    """One report of a person, as the log keeps it: what it brought that was new, and what was set aside."""

    number: int = Field(description="of the reports of the execution, from 1")
    at: datetime
    by: str
    source: str = Field(description="name of the file, or how it came")
    fills: tuple[ReportedFill, ...] = ()
    placings: tuple[Placing, ...] = ()
    given_up: tuple[GivenUp, ...] = ()
    set_aside: tuple[BadRow, ...] = ()
    flags: tuple[ExecutionFlag, ...] = Field((), description="flags that this report raised")

    @property
    def says_something(self) -> bool:
        """Say whether it is worth keeping."""
        return bool(self.fills or self.placings or self.given_up or self.set_aside)


class TradeRow(Typed):
    """A trade: planned, done, left."""

    sequence: int
    trade_id: str
    side: str
    ticker: str
    account: str
    sector: str
    conviction: int | None
    planned_quantity: Decimal
    planned_price: Decimal
    limit_price: Decimal
    status: TradeStatus
    filled: Decimal
    left: Decimal
    price: Decimal | None
    slippage_bps: Decimal | None = Field(None, description="of the average price; above zero it is worse than planned")
    cash_minor: int
    fee_minor: int
    waits_for: tuple[str, ...] = ()
    stop_price: Decimal | None = None
    profit_targets: tuple[Decimal, ...] = ()
    given_up: str = ""


class LogRow(Typed):
    """A line of the execution log: the fields of v8.0.3 STEP 3F, for a fill in its latest revision."""

    at: datetime
    fill_id: str
    revision: int
    trade_id: str
    ticker: str
    side: str
    account: str
    sector: str
    conviction: int | None
    price: Decimal
    quantity: Decimal
    fee_minor: int
    stop_price: Decimal | None
    profit_targets: tuple[Decimal, ...]
    cash_after_minor: int = Field(description="of the portfolio, after it")
    buffer_ppm: int
    buffer_state: str
    note: str = ""


class ExitRow(Typed):
    """A stop or a target that is watched: how far it is from the newest price, or when it was touched."""

    trade_id: str
    ticker: str
    kind: str
    level: Decimal
    newest_price: Decimal | None = None
    distance_pct: Decimal | None = None
    touched_at: datetime | None = None


class EscalationRow(Typed):
    """An escalation of the execution."""

    escalation_id: str
    trigger: str
    status: str
    request: str
    routing: str
    due_at: datetime


class DueRow(Typed):
    """An item that falls due."""

    item_id: str
    kind: str
    title: str
    due_on: date
    is_due: bool


class ExecutionReport(Typed):
    """What step 7 lists, and what a trader wants to know at once: what is done, what is left, does it still hold."""

    execution_id: str
    portfolio: str
    profile: str
    kind: str
    currency: str
    digits: int
    made_at: datetime
    verdict: Verdict
    status: str
    approved_by: str
    approved_at: datetime
    approved_until: datetime
    conditions: tuple[str, ...] = ()
    trades: tuple[TradeRow, ...]
    beyond: tuple[LogRow, ...] = ()
    log: tuple[LogRow, ...]
    halted: tuple[str, ...] = Field((), description="trades that were given up")
    flags: tuple[ExecutionFlag, ...]
    set_aside: tuple[BadRow, ...] = ()
    verification: Verification | None = None
    must_hold: tuple[str, ...] = Field((), description="what the guide says must hold afterwards")
    exits: tuple[ExitRow, ...] = ()
    escalations: tuple[EscalationRow, ...] = ()
    due: tuple[DueRow, ...] = ()
    next_review: date | None = None
    reports: int = 0
    document_revision: int = 0
    routed_to: tuple[str, ...] = ()

    @property
    def left(self) -> tuple[TradeRow, ...]:
        """Return the trades with something left to do."""
        return tuple(row for row in self.trades if row.left)


def trade_rows(executed: Executed) -> tuple[TradeRow, ...]:
    """Return the trades as rows, in the order of execution."""
    return tuple(_trade_row(number, one, executed) for number, one in enumerate(executed.trades, 1))


def _trade_row(number: int, one: TradeProgress, executed: Executed) -> TradeRow:
    trade = one.trade
    protection = executed.protections.get(trade.trade_id)
    newest = max(one.fills, key=lambda fill: (fill.at, fill.number), default=None)
    stop = newest.stop_price if newest is not None else protection.stop_price if protection is not None else None
    targets = newest.profit_targets if newest is not None else protection.profit_targets if protection is not None else ()
    return TradeRow(
        sequence=number,
        trade_id=trade.trade_id,
        side=trade.side,
        ticker=trade.ticker,
        account=trade.account,
        sector=trade.sector,
        conviction=trade.conviction,
        planned_quantity=trade.quantity,
        planned_price=trade.price,
        limit_price=trade.limit_price,
        status=one.status,
        filled=one.filled,
        left=one.left,
        price=one.price,
        slippage_bps=None if one.price is None else slippage_bps(trade.side, trade.price, one.price),
        cash_minor=one.cash_minor,
        fee_minor=one.fee_minor,
        waits_for=one.waits_for,
        stop_price=stop,
        profit_targets=targets,
        given_up="" if one.given_up is None else one.given_up.reason or "given up",
    )


def log_rows(executed: Executed, cash_minor: int, equity_minor: int, profile: Profile) -> tuple[LogRow, ...]:
    """Return the execution log: every fill by time, with the buffer after it.

    Args:
        executed: what was reported.
        cash_minor: of the portfolio before the plan.
        equity_minor: value of the portfolio before the plan, which the buffer is a share of (v8.0.3 STEP 3C).
        profile: for the states of the buffer.
    """
    found, cash = [], cash_minor
    for fill in executed.in_force:
        cash += fill.cash_minor(executed.plan.digits)
        trade = executed.by_trade.get(fill.trade_id)
        found.append(
            LogRow(
                at=fill.at,
                fill_id=fill.fill_id,
                revision=fill.revision,
                trade_id=fill.trade_id,
                ticker=fill.ticker,
                side=fill.side,
                account=fill.account,
                sector="" if trade is None or trade.ticker != fill.ticker else trade.sector,
                conviction=None if trade is None else trade.conviction,
                price=fill.price,
                quantity=fill.quantity,
                fee_minor=fill.fee_minor,
                stop_price=fill.stop_price,
                profit_targets=fill.profit_targets,
                cash_after_minor=cash,
                buffer_ppm=part(cash, equity_minor),
                buffer_state=buffer_state(cash, equity_minor, profile),
                note=fill.note,
            )
        )
    return tuple(found)


def exit_rows(watches: Sequence[ExitWatch], touched: Sequence[Touch], prices: Mapping[str, Decimal]) -> tuple[ExitRow, ...]:
    """Return stops and targets with their distance from the newest prices, or when they were touched."""
    when = {(one.trade_id, one.kind, one.level): one.at for one in touched}
    found = []
    for watch in watches:
        price = prices.get(watch.ticker)
        away = {(one.kind, one.level): one.percent for one in distances(watch, price)} if price is not None else {}
        levels: list[tuple[Literal["stop", "target"], Decimal]] = [("stop", watch.stop)] if watch.stop is not None else []
        levels += [("target", level) for level in watch.targets]
        for kind, level in levels:
            found.append(
                ExitRow(
                    trade_id=watch.trade_id,
                    ticker=watch.ticker,
                    kind=kind,
                    level=level,
                    newest_price=price,
                    distance_pct=away.get((kind, level)),
                    touched_at=when.get((watch.trade_id, kind, level)),
                )
            )
    return tuple(found)


def must_hold(executed: Executed, profile: Profile) -> tuple[str, ...]:
    """Return what must hold after the execution: the check list of the plan's guide."""
    return guide_of(executed.plan, profile).afterwards
