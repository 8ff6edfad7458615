"""What is flagged of reported fills: v8.0.3 STEP 4, and everything beyond the plan. Pure; compared exactly, without floats."""

from datetime import datetime
from decimal import Decimal

from pydantic import Field

from portfolio_platform.orchestrator.amounts import EXACT, money, plain
from portfolio_platform.orchestrator.executed import Executed, ReportedFill, TradeProgress, not_filled
from portfolio_platform.orchestrator.model import At, Typed
from portfolio_platform.orchestrator.planned import Trade
from portfolio_platform.orchestrator.profile import Profile


class ExecutionFlag(Typed):
    """Something about an execution that is logged and shown: its code, the trade and the fill, in words, its limit and what was found."""

    code: str = Field(
        description="slippage, beyond_limit, partial_fill, late_fill, no_fill, fee, more_than_planned, wrong_side, other_symbol, "
        "other_account, unplanned, before_approval, after_expiry, before_its_sells, restricted"
    )
    trade_id: str
    fill_id: str = ""
    text: str
    limit: str = ""
    found: str = ""
    at: At

    @property
    def key(self) -> str:
        """Return its identity: the same thing is logged once."""
        return f"{self.code}|{self.fill_id or self.trade_id}|{self.found}"


def flags_of(executed: Executed, profile: Profile, now: datetime) -> tuple[ExecutionFlag, ...]:
    """Return every flag of an execution as it stands, in the order of the plan; what is beyond the plan comes last."""
    found: list[ExecutionFlag] = []
    late = {one.trade_id: one for one in not_filled(executed, now, profile.execution.no_fill_minutes)}
    for one in executed.trades:
        for fill in one.fills:
            found += _of_fill(fill, one, executed, profile)
        found += _of_trade(one, profile, now)
        if one.trade.trade_id in late:
            limit = profile.execution.no_fill_minutes
            text = f"{_name(one.trade)}: no fill after {limit} minutes (since {one.since:%H:%M} UTC)"
            found.append(_flag("no_fill", one.trade, None, text, f"{limit} min", f"since {one.since:%Y-%m-%dT%H:%M}Z", now))
    for fill in executed.beyond:
        text = f"{fill.side} of {fill.quantity:f} {fill.ticker} in {fill.account} is in no trade of the plan"
        found.append(ExecutionFlag(code="unplanned", trade_id="", fill_id=fill.fill_id, text=text, found=f"{fill.quantity:f}", at=fill.at))
    return tuple(found)


def slippage_bps(side: str, planned: Decimal, price: Decimal) -> Decimal:
    """Return by how many basis points a price is worse than planned, of two decimals; below zero it is better."""
    worse = EXACT.subtract(price, planned) if side == "buy" else EXACT.subtract(planned, price)
    return plain(round(EXACT.divide(EXACT.multiply(worse, Decimal(10_000)), planned), 2))


def _of_fill(fill: ReportedFill, one: TradeProgress, executed: Executed, profile: Profile) -> list[ExecutionFlag]:
    trade, found = one.trade, []
    name = _name(trade)

    def flag(code: str, text: str, limit: str = "", seen: str = "") -> None:
        found.append(_flag(code, trade, fill, f"{name}: {text}", limit, seen, fill.at))

    if fill.ticker != trade.ticker:
        flag("other_symbol", f"{fill.ticker} was traded instead of {trade.ticker}", trade.ticker, fill.ticker)
    if fill.side != trade.side:
        flag("wrong_side", f"reported as a {fill.side}, planned as a {trade.side}", trade.side, fill.side)
    if fill.account != trade.account:
        flag("other_account", f"traded in {fill.account}, planned in {trade.account}", trade.account, fill.account)
    if fill.ticker == trade.ticker and fill.side == trade.side:
        worse = EXACT.subtract(fill.price, trade.price) if trade.side == "buy" else EXACT.subtract(trade.price, fill.price)
        limit = profile.execution.slippage_bps
        if EXACT.multiply(worse, Decimal(10_000)) > EXACT.multiply(limit, trade.price):
            bps = slippage_bps(trade.side, trade.price, fill.price)
            flag("slippage", f"{bps:f} basis points worse than planned, more than {limit:f}", f"{limit:f} bps", f"{bps:f} bps")
        if fill.price > trade.limit_price if trade.side == "buy" else fill.price < trade.limit_price:
            way = "above" if trade.side == "buy" else "below"
            text = f"the price {fill.price:f} is {way} the limit {trade.limit_price:f}"
            flag("beyond_limit", text, f"{trade.limit_price:f}", f"{fill.price:f}")
    if fill.at < executed.approved_at:
        flag("before_approval", f"filled at {fill.at:%Y-%m-%d %H:%M} UTC, before the plan was approved", "", f"{fill.at:%H:%M:%S}")
    if fill.at >= executed.until:
        flag(
            "after_expiry",
            f"filled at {fill.at:%Y-%m-%d %H:%M} UTC, after the approval had ended",
            f"{executed.until:%H:%M:%S}",
            f"{fill.at:%H:%M:%S}",
        )
    if fill.placed_at is not None and (fill.at - fill.placed_at).total_seconds() >= 60 * profile.execution.no_fill_minutes:
        minutes = int((fill.at - fill.placed_at).total_seconds() // 60)
        most = profile.execution.no_fill_minutes
        flag("late_fill", f"filled {minutes} minutes after its order was given; {most} are waited", f"{most} min", f"{minutes} min")
    if one.trade.side == "buy":
        found += _before_its_sells(fill, one, executed)
    return found


def _before_its_sells(fill: ReportedFill, one: TradeProgress, executed: Executed) -> list[ExecutionFlag]:
    """Flag a buy of a cash account that was filled before the sells that pay for it were confirmed."""
    waits = next((step.waits_for for step in executed.plan.path if step.trade_id == one.trade.trade_id), ())
    early = [
        sell.trade.trade_id
        for sell in executed.trades
        if sell.trade.trade_id in waits and sell.given_up is None and (sell.left > 0 or any(own.at > fill.at for own in sell.fills))
    ]
    if not early:
        return []
    text = f"{_name(one.trade)}: bought before {', '.join(early)} was confirmed, which pays for it in {one.trade.account}"
    return [_flag("before_its_sells", one.trade, fill, text, ", ".join(early), f"{fill.at:%H:%M:%S}", fill.at)]


def _of_trade(one: TradeProgress, profile: Profile, now: datetime) -> list[ExecutionFlag]:
    trade, found = one.trade, []
    if not one.fills:
        return []
    at = max(fill.at for fill in one.fills)
    least = profile.execution.partial_fill_pct
    share = EXACT.divide(EXACT.multiply(one.filled, Decimal(100)), trade.quantity)
    if EXACT.multiply(one.filled, Decimal(100)) < EXACT.multiply(least, trade.quantity):
        seen = f"{plain(round(share, 2)):f} %"
        text = f"{_name(trade)}: {one.filled:f} of {trade.quantity:f} filled ({seen}), less than {least:f} %"
        found.append(_flag("partial_fill", trade, None, text, f"{least:f} %", seen, at))
    if one.filled > trade.quantity:
        text = f"{_name(trade)}: {one.filled:f} filled, {trade.quantity:f} planned"
        found.append(_flag("more_than_planned", trade, None, text, f"{trade.quantity:f}", f"{one.filled:f}", at))
    if one.fee_minor > trade.fee_minor:
        paid, planned = money(one.fee_minor, one.digits), money(trade.fee_minor, one.digits)
        beyond = one.fee_minor > trade.worst_fee_minor
        worst = f", and more than the worst case of {money(trade.worst_fee_minor, one.digits)}" if beyond else ""
        found.append(_flag("fee", trade, None, f"{_name(trade)}: fees of {paid}, planned {planned}{worst}", planned, paid, at))
    return found


def _flag(code: str, trade: Trade, fill: ReportedFill | None, text: str, limit: str, found: str, at: datetime) -> ExecutionFlag:
    fill_id = "" if fill is None else fill.fill_id
    return ExecutionFlag(code=code, trade_id=trade.trade_id, fill_id=fill_id, text=text, limit=limit, found=found, at=at)


def _name(trade: Trade) -> str:
    return f"{trade.trade_id} {trade.side} {trade.ticker}"
