"""Step 3 (v8.0.3 STEP 2): single trades, all pending trades together, and what has changed since they were approved."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Literal

from pydantic import Field

from portfolio_platform.orchestrator.amounts import EXACT, exceeds, moved, part, percent
from portfolio_platform.orchestrator.model import ApprovedQueue, Finding, Restriction, Snapshot, Typed
from portfolio_platform.orchestrator.planned import Trade
from portfolio_platform.orchestrator.profile import Profile, ppm
from portfolio_platform.orchestrator.sequence import buffer_state

FLAGS = {"HEALTHY": "", "MARGINAL": "Buffer approaching minimum", "AT_RISK": "Buffer would breach if all pending execute"}
"""The flags of v8.0.3 STEP 2B, in its words."""


class AggregatePending(Typed):
    """What all pending trades together would do to the cash (v8.0.3 STEP 2B)."""

    trades: int
    total_pending_minor: int = Field(description="buys less sells")
    cash_current_minor: int
    cash_after_minor: int
    buffer_ppm: int
    buffer_status: Literal["HEALTHY", "MARGINAL", "AT_RISK"]
    flag: str


class SectorChange(Typed):
    """A sector now, against when the trades were approved (v8.0.3 STEP 2A)."""

    sector: str
    approved_ppm: int
    live_ppm: int
    shift_ppm: int = Field(description="live less approved")
    shifted: bool = Field(description="whether it moved by the profile's points or more, up or down")
    pending_minor: int
    after_pending_ppm: int
    over_cap: bool
    flag: str


def validate_trade(
    trade: Trade,
    snapshot: Snapshot,
    barred: Mapping[str, Restriction],
    profile: Profile,
    trigger_price: Decimal | None = None,
) -> list[Finding]:
    """Return what stands against one trade by itself, on the portfolio as it is: each an error with its numbers.

    Args:
        trade: the trade.
        snapshot: the portfolio.
        barred: the restrictions in force, by ticker.
        profile: the limits.
        trigger_price: the price that its recommendation quotes; too far from the market it is refused.
    """
    found: list[Finding] = []
    equity, name = snapshot.equity_minor, f"{trade.side} {trade.ticker}"
    if trade.ticker in barred:
        found.append(_error("restricted", trade, f"{name}: it is restricted ({barred[trade.ticker].reason})", "take the trade out"))
    if trigger_price is not None and _far(trigger_price, trade.price, profile):
        most = percent(ppm(profile.stocks.trigger_distance_pct))
        text = f"{name}: the quoted price {trigger_price:f} is more than {most} % from the market's {trade.price:f}"
        found.append(_error("trigger_price", trade, text, "ask for a new recommendation at today's price"))
    held = snapshot.quantities.get((trade.account, trade.ticker), Decimal(0))
    if trade.side == "sell":
        if trade.quantity > held:
            text = f"{name}: {trade.quantity:f} are to be sold, and {trade.account} holds {held:f}"
            found.append(_error("holdings", trade, text, "sell what is held"))
        return found
    found += _bought(trade, snapshot, profile, equity, name)
    return found


def _bought(trade: Trade, snapshot: Snapshot, profile: Profile, equity: int, name: str) -> list[Finding]:
    found: list[Finding] = []
    position = snapshot.positions_minor.get(trade.ticker, 0) + trade.amount_minor
    limit = ppm(profile.limits.position_pct)
    if exceeds(position, limit, equity):
        text = f"{name}: the position would be {percent(part(position, equity))} % of at most {percent(limit)} %"
        found.append(_error("position_size", trade, text, "buy less"))
    sector, cap = snapshot.sectors_minor.get(trade.sector, 0) + trade.amount_minor, ppm(profile.limits.cap_of(trade.sector))
    if exceeds(sector, cap, equity):
        text = f"{name}: {trade.sector} would be {percent(part(sector, equity))} % of at most {percent(cap)} %"
        found.append(_error("sector_cap", trade, text, "buy less, or ask for an exception"))
    cash = snapshot.cash_minor + trade.cash_minor
    if buffer_state(cash, equity, profile) == "at_risk":
        text = f"{name}: cash would be {percent(part(cash, equity))} % of at least {percent(ppm(profile.buffer.floor_pct))} %"
        found.append(_error("cash_buffer", trade, text, "buy less, or sell first"))
    account = snapshot.by_account[trade.account].cash_minor + trade.cash_minor
    if account < 0:
        found.append(_error("account_cash", trade, f"{name}: {trade.account} would be overdrawn", "buy less, or in another account"))
    return found


def _error(code: str, trade: Trade, message: str, remedy: str) -> Finding:
    return Finding(code=code, severity="error", subject=trade.ticker, message=message, remedy=remedy)


def _far(quoted: Decimal, market: Decimal, profile: Profile) -> bool:
    bps = EXACT.multiply(profile.stocks.trigger_distance_pct, Decimal(100))
    return quoted > moved(market, bps, up=True) or quoted < moved(market, bps, up=False)


def aggregate_pending(trades: Sequence[Trade], snapshot: Snapshot, profile: Profile) -> AggregatePending:
    """Return what all pending trades together would leave as a buffer."""
    pending = -sum(trade.cash_minor for trade in trades)
    cash = snapshot.cash_minor - pending
    state = buffer_state(cash, snapshot.equity_minor, profile)
    status: Literal["HEALTHY", "MARGINAL", "AT_RISK"] = (
        "HEALTHY" if state == "healthy" else "MARGINAL" if state == "marginal" else "AT_RISK"
    )
    return AggregatePending(
        trades=len(trades),
        total_pending_minor=pending,
        cash_current_minor=snapshot.cash_minor,
        cash_after_minor=cash,
        buffer_ppm=part(cash, snapshot.equity_minor),
        buffer_status=status,
        flag=FLAGS[status],
    )


def allocation_changes(queue: ApprovedQueue, trades: Sequence[Trade], snapshot: Snapshot, profile: Profile) -> tuple[SectorChange, ...]:
    """Return every sector now against its approval, and with the pending trades; a sector that was not named then had nothing."""
    pending: dict[str, int] = defaultdict(int)
    for trade in trades:
        pending[trade.sector] += trade.amount_minor if trade.side == "buy" else -trade.amount_minor
    equity, points = snapshot.equity_minor, ppm(profile.refresh.sector_shift_points)
    found = []
    for sector in sorted({*queue.approved_allocations, *snapshot.sectors_minor, *pending}):
        live, approved = snapshot.sectors_minor.get(sector, 0), queue.approved_allocations.get(sector, 0)
        after, cap = live + pending[sector], ppm(profile.limits.cap_of(sector))
        # exact: |live / equity - approved| >= points
        shifted = abs(live * 1_000_000 - approved * equity) >= points * equity
        up = live * 1_000_000 > approved * equity
        over = pending[sector] > 0 and exceeds(after, cap, equity)
        flag = ""
        if shifted:
            flag = f"Sector allocation {'increased' if up else 'decreased'} since approval"
        found.append(
            SectorChange(
                sector=sector,
                approved_ppm=approved,
                live_ppm=part(live, equity),
                shift_ppm=part(live, equity) - approved,
                shifted=shifted,
                pending_minor=pending[sector],
                after_pending_ppm=part(after, equity),
                over_cap=over,
                flag=flag,
            )
        )
    return tuple(found)


def findings_of_queue(pending: AggregatePending, changes: Sequence[SectorChange], profile: Profile) -> list[Finding]:
    """Return what pending trades and changes since their approval ask: Escalations #2 and #3 of v8.0.3 are conditions, breaches errors."""
    found = []
    if pending.flag:
        text = (
            f"{pending.flag}: all {pending.trades} pending trades leave cash at {percent(pending.buffer_ppm)} %; healthy is "
            f"{percent(ppm(profile.buffer.healthy_pct))} %, the floor {percent(ppm(profile.buffer.floor_pct))} %"
        )
        severity: Literal["error", "warning"] = "error" if pending.buffer_status == "AT_RISK" else "warning"
        remedy = f"{profile.escalation.routing} approves with a caveat, or the queue is changed"
        found.append(Finding(code="buffer_would_breach", severity=severity, subject="Cash", message=text, remedy=remedy))
    for change in changes:
        remedy = f"{profile.escalation.routing} decides: proceed, adjust the position, or defer"
        now = f"{change.sector} was {percent(change.approved_ppm)} % at the approval and is {percent(change.live_ppm)} %"
        if change.over_cap:
            cap = percent(ppm(profile.limits.cap_of(change.sector)))
            text = f"{now}; with what is pending it would be {percent(change.after_pending_ppm)} % of at most {cap} %"
            found.append(Finding(code="sector_cap", severity="error", subject=change.sector, message=text, remedy=remedy))
        elif change.shifted:
            text = f"{change.flag}: {now}"
            found.append(Finding(code="sector_shifted", severity="warning", subject=change.sector, message=text, remedy=remedy))
    return found
