"""The loop's rules, each by itself: buffer states, look-ahead, execution quality, sectors and buffer afterwards. Pure."""

from dataclasses import dataclass
from typing import Literal

from portfolio_platform.orchestrator.loop_model import Checked, Flag, LoopState, LoopTrade, Progress
from portfolio_platform.orchestrator.profile import Profile, ppm
from portfolio_platform.orchestrator.refresh import MINUTE, RefreshTerms, TradingDays

MILLION = 1_000_000
DAY = 1_440 * MINUTE
BufferState = Literal["healthy", "marginal", "at_risk"]


@dataclass(frozen=True)
class LoopTerms:
    """The loop's numbers, all of them a profile's (`LoopTerms.of`); shares are parts per million, times ns.

    Attributes:
        days: the trading days.
        profile: name of the policy profile.
        healthy: the buffer is healthy from here on (steps 2B, 3C, 6).
        marginal: it is marginal from here on, at risk below (steps 2B, 3C, 6).
        sector_cap: of every sector (step 5).
        sector_caps: of sectors that have their own.
        slippage: adverse, beyond which a fill is flagged (step 4).
        filled: below this part of the order a fill is flagged (step 4).
        no_fill: time without a fill after which it is escalated (step 4).
        look_ahead: whether a marginal buffer looks at the next trade (step 3C).
        routing: who decides escalations.
        sla_minutes: time to an answer.
        report_to: who is sent the report (step 8).
        halted_to: who is told besides where positions were halted (step 8).
        due: what falls due after an execution, by days from its end (step 8).
        refresh: the numbers of step 2C.
    """

    days: TradingDays
    profile: str
    healthy: int
    marginal: int
    sector_cap: int
    sector_caps: tuple[tuple[str, int], ...]
    slippage: int
    filled: int
    no_fill: int
    look_ahead: bool
    routing: str
    sla_minutes: int
    report_to: tuple[str, ...]
    halted_to: tuple[str, ...]
    due: tuple[tuple[str, int], ...]
    refresh: RefreshTerms

    @classmethod
    def of(cls, profile: Profile, days: TradingDays) -> "LoopTerms":
        """Return the terms of a profile, over a calendar's trading days."""
        return cls(
            profile=profile.name,
            healthy=ppm(profile.buffer.healthy_pct),
            marginal=ppm(profile.buffer.floor_pct),
            sector_cap=ppm(profile.limits.sector_cap_pct),
            sector_caps=tuple(sorted((name, ppm(cap)) for name, cap in profile.limits.sector_caps.items())),
            slippage=int(profile.execution.slippage_bps * 100),
            filled=ppm(profile.execution.partial_fill_pct),
            no_fill=profile.execution.no_fill_minutes * MINUTE,
            look_ahead=profile.sequence.look_ahead,
            routing=profile.escalation.routing,
            sla_minutes=profile.escalation.sla_minutes,
            report_to=profile.due.report_to,
            halted_to=profile.due.halted_to,
            due=(
                ("daily_allocation", profile.due.allocation_sessions),
                ("weekly_rebalancing", profile.due.rebalancing_days),
                ("stop_tracking", profile.due.stops_sessions),
                ("quarterly_thesis", round(profile.due.thesis_months * 365 / 12)),
            ),
            refresh=RefreshTerms.of(profile),
            days=days,
        )

    def cap_of(self, sector: str) -> int:
        """Return the cap of a sector."""
        return dict(self.sector_caps).get(sector, self.sector_cap)


def share_of(amount: int, value: int) -> int:
    """Return an amount as parts per million of the portfolio's value, rounded down: a limit is never met by rounding."""
    return amount * MILLION // value


def buffer_state(cash: int, value: int, terms: LoopTerms) -> BufferState:
    """Return the state of a cash buffer; at each limit it is the better one. Compared exactly, without a rounded share."""
    if cash * MILLION >= terms.healthy * value:
        return "healthy"
    return "marginal" if cash * MILLION >= terms.marginal * value else "at_risk"


def cost_of(trade: LoopTrade) -> int:
    """Return what a trade takes from the cash: its approved size, and less than nothing for a sale."""
    return trade.size if trade.side == "buy" else -trade.size


def pending_cash(state: LoopState) -> int:
    """Return the cash after all trades that are still to be placed (step 2B)."""
    return state.cash - sum(cost_of(one.trade) for one in state.remaining)


def next_would_breach(state: LoopState, terms: LoopTerms) -> bool:
    """Say whether the next trade would leave less than a marginal buffer (step 3C's look-ahead)."""
    following = state.remaining[:1]
    return bool(following) and buffer_state(state.cash - cost_of(following[0].trade), state.figures.value, terms) == "at_risk"


def slippage_of(progress: Progress, price: int) -> int:
    """Return the slippage of an execution against the last known price at submission; positive is adverse, on either side."""
    sign = 1 if progress.trade.side == "buy" else -1
    return sign * (price - progress.reference) * MILLION // progress.reference if progress.reference else 0


def quality(progress: Progress, price: int, at: int, terms: LoopTerms) -> tuple[Flag, ...]:
    """Return what step 4 flags of a trade that is over: slippage beyond the limit, less than the limit filled."""
    found: list[Flag] = []
    trade = progress.trade
    slipped = slippage_of(progress, price)
    if progress.filled and slipped > terms.slippage:
        text = f"slippage of {slipped / 100:.1f} bps, more than {terms.slippage / 100:.0f}"
        found.append(Flag(at, "slippage", trade.trade_id, text, terms.slippage, slipped))
    part = progress.filled * MILLION // trade.quantity
    if progress.filled * MILLION < terms.filled * trade.quantity:
        text = f"{part / 10_000:.1f} % of the order was filled, less than {terms.filled / 10_000:.0f} %"
        found.append(Flag(at, "partial_fill", trade.trade_id, text, terms.filled, part))
    return tuple(found)


def sector_weights(state: LoopState) -> dict[str, int]:
    """Return each sector's weight now: that of the figures, and the fills after them."""
    weights = dict(state.figures.sectors)
    moved: dict[str, int] = {}
    for one in state.booked:
        if one.at > state.figures.at:
            moved[one.sector] = moved.get(one.sector, 0) + one.value
    for sector, value in moved.items():
        # rounded up: a cap is never kept by rounding
        weights[sector] = weights.get(sector, 0) - (-value * MILLION // state.figures.value)
    return weights


def expected_weights(state: LoopState) -> dict[str, int]:
    """Return each sector's weight at approval with the execution's own fills that the figures hold: what moved beyond them shifted."""
    weights = dict(state.approved)
    for one in state.booked:
        if one.at <= state.figures.at:
            weights[one.sector] = weights.get(one.sector, 0) + one.value * MILLION // state.figures.value
    return weights


def verify_sectors(state: LoopState, terms: LoopTerms) -> tuple[Checked, ...]:
    """Return step 5's verification of each sector, by name: a weight at the cap passes."""
    found = sorted(sector_weights(state).items())
    return tuple(Checked(name, terms.cap_of(name), weight, "pass" if weight <= terms.cap_of(name) else "fail") for name, weight in found)


def verify_buffer(state: LoopState, terms: LoopTerms) -> Checked:
    """Return step 6's verification of the buffer."""
    result = {"healthy": "pass", "marginal": "caution", "at_risk": "fail"}[buffer_state(state.cash, state.figures.value, terms)]
    return Checked("", terms.healthy, share_of(state.cash, state.figures.value), result)
