"""The state of one instrument's workflow: an immutable value with canonical bytes, and the terms it runs under.

Whoever drives the machine calls `portfolio_platform.instruments.workflow.step(terms, state, event) -> (state, commands)` with the state
of before (`InstrumentState()` for the first event), keeps the event, and does the commands. Everything here is integers, text and flags.
"""

from typing import Literal, NamedTuple

from portfolio_platform.control.model import Envelope
from portfolio_platform.instruments.bars import Window
from portfolio_platform.instruments.model import Direction, InstrumentConfig, Outcome, Phase, Plan
from portfolio_platform.instruments.regime import Evaluation, RegimeState, RegimeTerms

Purpose = Literal["entry", "stop", "target", "exit"]
Closing = Literal["", "time", "stop", "flatten"]
"""Why a position is being closed at the market; empty where its contract rests."""
KEPT = 50
"""How many outcomes and asks a state holds; the log has all of them."""
REMEMBERED = 64
"""How many identities of fills and orders by people a state knows again; the keys of the log know all of them."""
NOTED = 20
"""How many notices a state holds."""


class WorkflowTerms(NamedTuple):
    """What all workflows of a portfolio run under; not part of the state.

    Attributes:
        regime: of the symbol's own regime detector.
        requires_envelope: whether nothing may be opened without an envelope in force.
        equity: minor units, for sizes where no envelope says it (and none is required).
        entry_bars: closes after which what is unfilled of an entry is cancelled.
        exit_bars: closes after which an exit at the market that did nothing is cancelled and placed anew.
        resecure: how often lost stops and targets are placed again; where no stop stands after that, the position is closed.
        tick: stops and targets are multiples of this, rounded to the worse; units of 1e-18.
    """

    regime: RegimeTerms = RegimeTerms()
    requires_envelope: bool = True
    equity: int = 0
    entry_bars: int = 3
    exit_bars: int = 2
    resecure: int = 2
    tick: int = 10**14


class Contract(NamedTuple):
    """The exit contract, worked out before anything is asked for; prices in units of 1e-18, target 0 for none.

    Attributes:
        price: at which it was decided.
        stop: protective stop.
        target: profit target.
        bars: execution bars after which the position is closed.
        reward_ppm: reward for a unit of risk; 0 without a target.
    """

    price: int
    stop: int
    target: int
    bars: int
    reward_ppm: int


class Setup(NamedTuple):
    """An armed thesis and what was asked on it.

    Attributes:
        setup_id: ``portfolio:symbol:number``; the ids of its signal, intent and orders begin with it.
        direction: of the thesis.
        timeframe: at whose close it was armed.
        armed_at: when.
        regime: label then.
        structure: the regime's structure then.
        low: lowest price of the bar that armed it.
        high: highest price of it.
        size_ppm: the judge's share of the usual size then.
        bars: execution bars since.
        contract: once activated.
        activated_at: when; 0 before.
        snapshot: hash of what activation rested on.
        regime_at_activation: label then.
        asked: whether the control plane was asked and has not answered.
        ordered: whether its entry was placed.
    """

    setup_id: str
    direction: Direction
    timeframe: str
    armed_at: int
    regime: str
    structure: str
    low: int
    high: int
    size_ppm: int
    bars: int = 0
    contract: Contract | None = None
    activated_at: int = 0
    snapshot: str = ""
    regime_at_activation: str = ""
    asked: bool = False
    ordered: bool = False

    @property
    def signal_id(self) -> str:
        """Return the id of its signal."""
        return f"{self.setup_id}:signal"

    @property
    def intent_id(self) -> str:
        """Return the id of its intent."""
        return f"{self.setup_id}:intent"

    @property
    def entry_id(self) -> str:
        """Return the id of its entry."""
        return f"{self.setup_id}:entry"


class Resting(NamedTuple):
    """An order of the workflow, or an exit that the broker placed for it, as far as it is known not to have ended.

    Attributes:
        order_id: its id.
        purpose: what for.
        sign: 1 for a purchase, -1 for a sale.
        quantity: of the whole order.
        filled: of it.
        price: of a stop or target; 0 at the market.
        candle: number of the candle after which it was placed.
        cancelled: whether its cancelling was asked.
    """

    order_id: str
    purpose: Purpose
    sign: int
    quantity: int
    filled: int = 0
    price: int = 0
    candle: int = 0
    cancelled: bool = False

    @property
    def left(self) -> int:
        """Return what is unfilled."""
        return self.quantity - self.filled


class Position(NamedTuple):
    """What is held, by the fills that were reported, and under which contract.

    Attributes:
        trade_id: that of its setup; of its own for what came unasked.
        direction: of the first fill.
        contract: stop, target and time; None for what came unasked, which is closed at once.
        stop: the protective stop in force, which only ever tightens.
        quantity: signed, held now.
        entered: quantity of all fills that enlarged it.
        entry_value: sum of their price times quantity.
        left: quantity of all fills that reduced it.
        exit_value: sum of their price times quantity.
        fees: of all fills, minor units.
        opened_at: time of the first fill.
        bars: execution bars since.
        closing: why it is being closed at the market.
        last_exit: purpose of the newest fill that reduced it.
        attempts: exits placed by the workflow itself; numbers their ids.
        resecured: how often a lost stop or target was placed again.
    """

    trade_id: str
    direction: Direction
    contract: Contract | None
    stop: int
    quantity: int = 0
    entered: int = 0
    entry_value: int = 0
    left: int = 0
    exit_value: int = 0
    fees: int = 0
    opened_at: int = 0
    bars: int = 0
    closing: Closing = ""
    last_exit: str = ""
    attempts: int = 0
    resecured: int = 0


class Asked(NamedTuple):
    """What was asked of the control plane and what it gave; money in minor units.

    Attributes:
        intent_id: the intent.
        at: when.
        wanted_risk: what plan, judge and equity came to.
        requested_risk: what was asked, within envelope and limits.
        requested_notional: with it.
        bounds: the limits that made it less than what was wanted.
        envelope_version: in force then; 0 for none.
        code: the answer; empty while there is none.
        got_risk: granted.
        got_notional: granted; None where it was not said.
        answered_at: when; 0 while it is not.
        reasons: of the control plane.
        became: what the workflow made of it: ``ordered``, ``rejected``, ``too_small``, ``late`` ...
    """

    intent_id: str
    at: int
    wanted_risk: int
    requested_risk: int
    requested_notional: int
    bounds: tuple[str, ...]
    envelope_version: int
    code: str = ""
    got_risk: int = 0
    got_notional: int | None = None
    answered_at: int = 0
    reasons: tuple[str, ...] = ()
    became: str = ""


class Totals(NamedTuple):
    """Counts since the start; money in minor units."""

    ignored_candles: int = 0
    theses: int = 0
    activations: int = 0
    unqualified: int = 0
    blocked: int = 0
    timeouts: int = 0
    invalidations: int = 0
    asked: int = 0
    asked_risk: int = 0
    answered: int = 0
    clipped: int = 0
    rejected: int = 0
    got_risk: int = 0
    entries: int = 0
    trades: int = 0
    unexpected_fills: int = 0
    plan_requests: int = 0
    enlistments: int = 0


class Judgement(NamedTuple):
    """The judge's newest word; it takes effect at the next thesis."""

    feedback_id: str = ""
    at: int = 0
    stance: str = "neutral"
    size_ppm: int = 1_000_000
    blocked_until: int = 0
    reasons: tuple[str, ...] = ()


class Hint(NamedTuple):
    """The screener's newest word."""

    template: str
    at: int = 0
    pass_id: str = ""
    rank: int = 0


class Wanted(NamedTuple):
    """A plan that was asked for and has not come; ``closed`` names the timeframes that closed at the policy boundary that waits for it."""

    request_id: str
    template: str
    day: str
    closed: tuple[str, ...] = ()


class Notice(NamedTuple):
    """Something that should not have happened, or that a person should know: when, what kind, and in words."""

    at: int
    kind: str
    text: str


class InstrumentState(NamedTuple):
    """Everything that a workflow's next answer depends on, beside its terms.

    Attributes:
        config: what it was started with; None before.
        phase: one of `PHASES`.
        now: the latest time of any event.
        candles: execution bars taken.
        windows: the bars it sees, of each timeframe, the execution timeframe first; a higher bar only once it is closed.
        regime: its own regime detector.
        evaluation: its last evaluation, fired or not, with its reason code.
        begun: when it was started; candles from before only fill the windows.
        template: in force.
        rank: the screener's, of the template in force.
        hint: a template that waits until the workflow is idle.
        screened_at: time of the newest word of the screener.
        plan: in force.
        plan_day: of the newest answer of the plan provider, with a plan or without.
        plan_reason: what it said.
        declined: why the newest policy boundary armed nothing.
        wanted: the plan that was asked for.
        envelope: the newest.
        judgement: the judge's newest word.
        blocked_until: an operator's block; 0 for none.
        replan: an operator asked for a plan at the next policy boundary.
        setups: how many theses were armed, and unasked positions taken in.
        setup: the armed thesis, or that of the position.
        position: what is held.
        orders: not ended, as far as is known.
        cooldown_until: number of the candle from which the next policy boundary ends a cooldown.
        stopping: who asked to end and why; empty where nobody did.
        flattening: why it is flattening.
        asks: the newest asks.
        totals: counts.
        outcomes: the newest closed trades.
        seen: identities of fills and of what people asked, to know a second one.
        notices: the newest.
    """

    config: InstrumentConfig | None = None
    phase: Phase = "idle"
    now: int = 0
    candles: int = 0
    windows: tuple[Window, ...] = ()
    regime: RegimeState = RegimeState()
    evaluation: Evaluation | None = None
    begun: int = 0
    template: str = ""
    rank: int = 0
    hint: Hint | None = None
    screened_at: int = 0
    plan: Plan | None = None
    plan_day: str = ""
    plan_reason: str = ""
    declined: str = ""
    wanted: Wanted | None = None
    envelope: Envelope | None = None
    judgement: Judgement = Judgement()
    blocked_until: int = 0
    replan: bool = False
    setups: int = 0
    setup: Setup | None = None
    position: Position | None = None
    orders: tuple[Resting, ...] = ()
    cooldown_until: int = 0
    stopping: str = ""
    flattening: str = ""
    asks: tuple[Asked, ...] = ()
    totals: Totals = Totals()
    outcomes: tuple[Outcome, ...] = ()
    seen: tuple[str, ...] = ()
    notices: tuple[Notice, ...] = ()


class InstrumentView(NamedTuple):
    """What `get_instrument_state` answers: a state as a person or a page wants it. Fields that a state has too mean the same.

    Attributes:
        waits_for: what happens next, in words.
        next_template: what waits until the workflow is idle; empty for none.
        setup_count: theses armed so far.
        regime_label: of the regime in force, as the expectations have it; empty before there were enough bars.
    """

    symbol: str
    phase: Phase
    waits_for: str
    template: str
    next_template: str
    plan: Plan | None
    plan_reason: str
    declined: str
    setup: Setup | None
    setup_count: int
    position: Position | None
    orders: tuple[Resting, ...]
    envelope: Envelope | None
    regime_label: str
    evaluation: Evaluation | None
    judgement: Judgement
    blocked_until: int
    asks: tuple[Asked, ...]
    totals: Totals
    outcomes: tuple[Outcome, ...]
    notices: tuple[Notice, ...]
