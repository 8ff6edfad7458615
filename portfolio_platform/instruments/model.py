"""The contracts of one instrument's workflow: what it is started with, what it is told, what it asks for, and its plan.

Prices and quantities are integers in units of 1e-18, money is an integer of minor units, time is nanoseconds UTC, shares and features
are parts per million. No float is in any of these, so that the log has one spelling of each.
"""

from typing import Literal, NamedTuple, TypeAlias

from portfolio_platform.broker.model import Bar, Order
from portfolio_platform.control.model import Envelope, PortfolioIntent

Phase = Literal["idle", "thesis_armed", "position_open", "cooldown", "invalidated", "flattening", "stopped"]
PHASES: tuple[Phase, ...] = ("idle", "thesis_armed", "position_open", "cooldown", "invalidated", "flattening", "stopped")
Direction = Literal["long", "short"]
TEMPLATES = (
    "compression_breakout",
    "volatile_breakout",
    "bull_trending",
    "bear_defensive",
    "mean_reversion",
    "trend_continuation",
    "uncertain_wait",
)
"""The templates that a screener may suggest and a playbook may bear."""
Timeframe = Literal["1h", "4h", "1d", "1w"]
SCREENER = "screener"
"""Who asks a workflow to stop that has left the candidates."""


class RiskLimits(NamedTuple):
    """The workflow's own limits, beside those of its envelope; the narrower of both holds.

    Attributes:
        risk_ppm: share of equity that a trade may lose at its stop.
        notional_ppm: share of equity that a position may be worth.
        minimum_r_ppm: the least reward for a unit of risk; the playbook's own where that is higher.
    """

    risk_ppm: int = 5_000
    notional_ppm: int = 500_000
    minimum_r_ppm: int = 1_000_000


class InstrumentConfig(NamedTuple):
    """What a workflow is started with.

    Attributes:
        portfolio: whose.
        symbol: of what.
        timeframes: that of its candles first, then those aggregated from them, ascending.
        template: first hint of the screener; empty for none.
        screener_run_id: the pass of the screener that found it.
        parent_run_id: the run it belongs to, for the audit.
        strategy: under which its fills are booked; one position for each strategy and symbol.
        account: at the broker.
        limits: its own.
        lot: quantities are multiples of this, units of 1e-18.
        multiplier: notional of one unit at price 1, units of 1e-18.
        currency: of its prices.
        digits: decimals of the currency's minor unit.
        shorts: whether it may sell short.
        engine_version: of whom its signals are.
    """

    portfolio: str
    symbol: str
    timeframes: tuple[str, ...] = ("1d", "1w")
    template: str = ""
    screener_run_id: str = ""
    parent_run_id: str = ""
    strategy: str = "instruments"
    account: str = "paper"
    limits: RiskLimits = RiskLimits()
    lot: int = 10**18
    multiplier: int = 10**18
    currency: str = "USD"
    digits: int = 2
    shorts: bool = True
    engine_version: str = "instruments-1"


class Condition(NamedTuple):
    """A feature of a timeframe's closed bars held against a number, in parts per million."""

    feature: str
    relation: Literal["below", "above", "at_most", "at_least"]
    value: int


class Trigger(NamedTuple):
    """Conditions of one timeframe that must all hold."""

    timeframe: str
    conditions: tuple[Condition, ...]


class ExitRule(NamedTuple):
    """How a stop or a target is found.

    Attributes:
        kind: ``atr`` (a multiple of the average true range from the entry), ``range`` (beyond the extreme of the last bars, a multiple of
            the range as margin), ``r`` (a multiple of the risk to the stop), ``mean`` (the mean of the last bars), ``none``.
        multiple: parts per million.
        bars: of the execution timeframe.
    """

    kind: Literal["atr", "range", "r", "mean", "none"]
    multiple: int = 0
    bars: int = 0


class Expectation(NamedTuple):
    """What a playbook expects in a regime (or ``all``), with its sample size; shares and R in parts per million."""

    regime: str
    n: int
    win_rate: int
    mean_r: int
    hold_p50: int
    hold_p90: int
    mae_p50: int = 0
    mfe_p50: int = 0


class Plan(NamedTuple):
    """How a symbol is traded until it is planned anew: a playbook made concrete for a day.

    Attributes:
        plan_id: by content; equal plans have equal ids.
        symbol: of what.
        template: the screener's word.
        playbook: its name.
        version: of the playbook.
        day: for which it was made, ISO.
        regimes: regime labels (``bull_vol_low`` ...) in which a thesis may be armed; empty for all.
        thesis: by direction, what qualifies it, at closes of its timeframe.
        activation: by direction, what opens the position, at closes of the execution timeframe.
        invalidation: by direction, what ends an armed thesis (any one of them).
        timeout_bars: an armed thesis ends after so many execution bars without activation.
        stop: how the protective stop is found.
        target: how the target is found; kind ``none`` for none.
        time_exit_bars: a position is closed after so many execution bars.
        minimum_r_ppm: the least structural reward for a unit of risk; below it there is no trade.
        trail: tightening of the stop while a position is held (kind ``none`` for none); it only ever tightens.
        cooldown_bars: execution bars after a trade or a timeout.
        risk_ppm: share of equity at risk in a trade of full size.
        expectations: by regime.
    """

    plan_id: str
    symbol: str
    template: str
    playbook: str
    version: str
    day: str
    regimes: tuple[str, ...]
    thesis: tuple[tuple[Direction, Trigger], ...]
    activation: tuple[tuple[Direction, Trigger], ...]
    invalidation: tuple[tuple[Direction, Trigger], ...]
    timeout_bars: int
    stop: ExitRule
    target: ExitRule
    time_exit_bars: int
    minimum_r_ppm: int
    trail: ExitRule
    cooldown_bars: int
    risk_ppm: int
    expectations: tuple[Expectation, ...] = ()


# --- events: what a workflow is told; each has a time and an identity, and coming twice changes nothing the second time


class Started(NamedTuple):
    """The workflow begins."""

    at: int
    config: InstrumentConfig


class CandleClosed(NamedTuple):
    """A bar of the execution timeframe closed.

    ``closes`` names the higher timeframes whose bar it completes by the trading calendar; where it names none, a higher bar is complete
    with the first candle at or after its end.
    """

    at: int
    bar: Bar
    closes: tuple[str, ...] = ()


class PlanProvided(NamedTuple):
    """The plan that was asked for; None where there is none for the template, and why."""

    at: int
    request_id: str
    plan: Plan | None
    reason: str = ""


class JudgeFeedback(NamedTuple):
    """What the judge of this symbol's own outcomes says.

    Attributes:
        at: when.
        feedback_id: its id.
        stance: ``neutral``, ``favourable``, ``cautious`` or ``block``.
        size_ppm: share of the usual size, at most 1,000,000.
        blocked_until: no new thesis before this; 0 for no block.
        reasons: in words.
    """

    at: int
    feedback_id: str
    stance: Literal["neutral", "favourable", "cautious", "block"]
    size_ppm: int = 1_000_000
    blocked_until: int = 0
    reasons: tuple[str, ...] = ()


class ScreenerUpdate(NamedTuple):
    """The screener suggests a template; it takes effect when the workflow is idle."""

    at: int
    pass_id: str
    template: str
    rank: int = 0
    score_ppm: int = 0


class EnvelopeIssued(NamedTuple):
    """The control plane told the symbol its limits."""

    at: int
    envelope: Envelope


class AllocationDecided(NamedTuple):
    """The control plane answered an intent: its code, what it grants and until when, and the numbers that bound it in words."""

    at: int
    intent_id: str
    code: str
    approved_risk: int
    approved_notional: int | None
    expires_at: int
    reasons: tuple[str, ...] = ()


class FillReported(NamedTuple):
    """The ledger has a fill of one of the workflow's orders; ``left`` is what is unfilled of the order."""

    at: int
    execution_id: str
    order_id: str
    side: Literal["buy", "sell"]
    quantity: int
    price: int
    fee: int
    left: int
    ambiguous: bool = False


class OrderEnded(NamedTuple):
    """An order ended without being filled whole: rejected, cancelled, expired, or the broker could not be reached."""

    at: int
    order_id: str
    outcome: Literal["rejected", "cancelled", "expired", "failed"]
    reason: str = ""


class StopRequested(NamedTuple):
    """The workflow shall end: it flattens what it holds, waits for the ledger, and stops."""

    at: int
    request_id: str
    by: str
    reason: str


class OperatorCommand(NamedTuple):
    """A person's order to one symbol: flatten, block until a time, unblock, or start the policy anew at the next boundary."""

    at: int
    command_id: str
    command: Literal["flatten", "block", "unblock", "replan"]
    by: str
    reason: str
    until: int = 0


InstrumentEvent: TypeAlias = (
    Started
    | CandleClosed
    | PlanProvided
    | JudgeFeedback
    | ScreenerUpdate
    | EnvelopeIssued
    | AllocationDecided
    | FillReported
    | OrderEnded
    | StopRequested
    | OperatorCommand
)


# --- commands: what a workflow asks for; each has an identity that is the same in every replay, so that doing it twice is harmless


class RequestPlan(NamedTuple):
    """Ask the plan provider; ``day`` is the plan's date, ISO, and with symbol and template the key under which it is kept."""

    at: int
    request_id: str
    symbol: str
    template: str
    day: str
    regime: str


class RequestAllocation(NamedTuple):
    """Ask the control plane for risk."""

    at: int
    intent: PortfolioIntent


class ReleaseAllocation(NamedTuple):
    """Give a reservation up that will not be used."""

    at: int
    intent_id: str
    reason: str


class PlaceOrder(NamedTuple):
    """Place an order at the broker; entries carry their exit contract with them."""

    at: int
    order: Order


class CancelOrder(NamedTuple):
    """Cancel what is unfilled of an order."""

    at: int
    order_id: str
    reason: str


class ReplaceOrder(NamedTuple):
    """Move a resting exit to a tighter price."""

    at: int
    order_id: str
    price: int


class EmitSignal(NamedTuple):
    """A signal for the ledger: an observation, without a size; its fields are those of the fact `signals`."""

    at: int
    signal_id: str
    setup_id: str
    direction: Direction
    timeframe: str
    template: str
    playbook: str
    entry_price: int
    stop_price: int
    target_price: int
    expected_hold_bars: int
    valid_until: int
    confidence_ppm: int
    regime: str
    qualified: bool
    disposition: str
    block_reason: str
    thesis: str
    trigger_id: str
    screener_rank: int
    snapshot_hash: str


class AskJudge(NamedTuple):
    """Ask the judge after a trade was closed, with this symbol's own outcomes."""

    at: int
    request_id: str
    outcomes: tuple["Outcome", ...]


class Enlist(NamedTuple):
    """Want envelopes from the control plane from now on, or no more; ``number`` counts these wishes of a workflow."""

    at: int
    active: bool
    number: int = 0


InstrumentCommand: TypeAlias = (
    RequestPlan | RequestAllocation | ReleaseAllocation | PlaceOrder | CancelOrder | ReplaceOrder | EmitSignal | AskJudge | Enlist
)


class Outcome(NamedTuple):
    """A closed trade of this symbol: result in R (parts per million of the risk at entry), bars held, and why it ended."""

    trade_id: str
    template: str
    playbook: str
    regime: str
    direction: Direction
    opened_at: int
    closed_at: int
    bars: int
    r_ppm: int
    pnl_minor: int
    exit: Literal["target", "stop", "time", "invalidation", "flatten"]
