"""`step(terms, state, event) -> (state, commands)`: the workflow of one instrument. Pure; the same events give the same bytes.

For whoever drives it: keep the event under `encoding.event_key`, call `step`, keep the state (`encoding.state_bytes`), do the commands
(`encoding.command_key` is the identity of each, so that doing one twice is harmless). An `EmitSignal` may come a second time with the
same ``signal_id`` and another ``disposition`` once what became of it is known; the later one is the one to keep. Within one instant the
fills of a bar are told before its candle, and answers before the next candle; any other order is harmless and only less exact.

What is late, early, missing or there twice: a candle at or before the newest is ignored and counted (the first of a time wins, a
corrected one is noted); candles that are missing are not made up, bars are counted as they come; a fill, an order of a person or a
request to end is known again by its identity; an envelope counts by its version, the judge's and the screener's words by their time; an
answer or a plan that nobody waits for is given back or ignored. Nothing raises for what an event says.
"""

from collections.abc import Iterable

from portfolio_platform.instruments.bars import advance
from portfolio_platform.instruments.entry import activate, answered, withdraw
from portfolio_platform.instruments.flow import Flow
from portfolio_platform.instruments.holding import filled, held, leave, order_ended, overdue
from portfolio_platform.instruments.model import (
    SCREENER,
    AllocationDecided,
    CandleClosed,
    EnvelopeIssued,
    FillReported,
    InstrumentCommand,
    InstrumentEvent,
    JudgeFeedback,
    OperatorCommand,
    OrderEnded,
    PlanProvided,
    ScreenerUpdate,
    Started,
    StopRequested,
)
from portfolio_platform.instruments.policy import rested
from portfolio_platform.instruments.regime import evaluate, label_of, shocked
from portfolio_platform.instruments.state import InstrumentState, InstrumentView, Setup, WorkflowTerms
from portfolio_platform.instruments.told import (
    enveloped,
    judged,
    ordered,
    plan_provided,
    screened,
    started,
    stop_requested,
    waits_for,
)
from portfolio_platform.instruments.triggers import boundary, fired

Answer = tuple[InstrumentState, tuple[InstrumentCommand, ...]]
SETUP, SETUP_BARS = InstrumentState._fields.index("setup"), Setup._fields.index("bars")
"""Where a state has its setup, and a setup its bars."""


def step(terms: WorkflowTerms, state: InstrumentState, event: InstrumentEvent) -> Answer:
    """Return the state after an event, and what is to be done. Never raises for what an event says."""
    if isinstance(event, CandleClosed):
        return _candle(terms, state, event)
    flow = Flow(terms, state, event.at)
    if isinstance(event, Started):
        started(flow, event)
    elif state.config is None:
        return state, ()
    elif isinstance(event, FillReported):
        filled(flow, event)
    elif isinstance(event, OrderEnded):
        order_ended(flow, event)
    elif isinstance(event, AllocationDecided):
        answered(flow, event)
    elif isinstance(event, EnvelopeIssued):
        enveloped(flow, event)
    elif isinstance(event, OperatorCommand):
        ordered(flow, event)
    elif isinstance(event, StopRequested):
        if state.phase != "stopped":
            stop_requested(flow, event)
        elif event.by != SCREENER:
            flow.state = state._replace(stopping=f"{event.by}: {event.reason}")
    elif isinstance(event, PlanProvided):
        plan_provided(flow, event)
    elif isinstance(event, JudgeFeedback):
        judged(flow, event)
    elif isinstance(event, ScreenerUpdate):
        screened(flow, event)
    else:
        raise TypeError(f"{type(event).__name__} is no event of an instrument's workflow")
    return flow.state, tuple(flow.commands)


def replay(terms: WorkflowTerms, events: Iterable[InstrumentEvent], state: InstrumentState | None = None) -> InstrumentState:
    """Return the state after all events."""
    current = InstrumentState() if state is None else state
    for event in events:
        current = step(terms, current, event)[0]
    return current


def kept_out(state: InstrumentState) -> bool:
    """Say whether a person ended the workflow, so that no screener starts it again before a person allows it (``unblock``)."""
    return bool(state.stopping) and not state.stopping.startswith(f"{SCREENER}: ")


def query(state: InstrumentState) -> InstrumentView:
    """Return what `get_instrument_state` answers."""
    return InstrumentView(
        symbol=state.config.symbol if state.config is not None else "",
        phase=state.phase,
        waits_for=waits_for(state),
        template=state.template,
        next_template=state.hint.template if state.hint is not None else "",
        plan=state.plan,
        plan_reason=state.plan_reason,
        declined=state.declined,
        setup=state.setup,
        setup_count=state.totals.theses,
        position=state.position,
        orders=state.orders,
        envelope=state.envelope,
        regime_label=label_of(state.regime),
        evaluation=state.evaluation,
        judgement=state.judgement,
        blocked_until=state.blocked_until,
        asks=state.asks,
        totals=state.totals,
        outcomes=state.outcomes,
        notices=state.notices,
    )


def _candle(terms: WorkflowTerms, state: InstrumentState, event: CandleClosed) -> Answer:
    """Take a candle: the windows grow, then what the phase looks at is looked at. Most candles end after the windows."""
    config = state.config
    if config is None or state.phase == "stopped":
        return state, ()
    windows, closed = advance(state.windows, event)
    if not closed:
        return _ignored(terms, state, event), ()
    now, candles = max(event.at, state.now), state.candles + 1
    regime, evaluation, bars = state.regime, state.evaluation, windows[0].bars
    if len(closed) > 1 or len(windows) == 1 or shocked(terms.regime, regime, bars):
        regime, evaluation = evaluate(terms.regime, regime, bars, event.bar.ts)
    phase, setup = state.phase, state.setup
    if phase == "thesis_armed" and setup is not None:
        setup = tuple.__new__(Setup, (*setup[:SETUP_BARS], setup.bars + 1, *setup[SETUP_BARS + 1 :]))
    # what a named tuple is made by, without its keywords: this runs at every candle
    fields = (config, phase, now, candles, windows, regime, evaluation, *state[7:SETUP], setup, *state[SETUP + 1 :])
    state = tuple.__new__(InstrumentState, fields)
    if phase in ("idle", "cooldown", "invalidated"):
        if event.bar.ts < state.begun or not boundary(state.plan, config, closed):
            return state, ()
        flow = Flow(terms, state, event.at)
        rested(flow, closed)
        return flow.state, tuple(flow.commands)
    if phase == "thesis_armed":
        return _armed(terms, state, event.at, closed)
    flow = Flow(terms, state, event.at)
    if phase == "position_open":
        held(flow, state.plan)
    else:
        _flattening(flow)
    return flow.state, tuple(flow.commands)


def _ignored(terms: WorkflowTerms, state: InstrumentState, event: CandleClosed) -> InstrumentState:
    """Count a candle that changes nothing, and note one that says something else of the newest bar than was said first."""
    flow = Flow(terms, state, event.at)
    flow.count(ignored_candles=1)
    bars = state.windows[0].bars
    if bars and bars[-1].ts == event.bar.ts and bars[-1] != event.bar:
        flow.note("corrected_candle", f"another candle of {event.bar.ts} came; the first one stays")
    return flow.state


def _armed(terms: WorkflowTerms, state: InstrumentState, at: int, closed: tuple[str, ...]) -> Answer:
    """Look at what an armed thesis waits for: its end first, then its activation, then its time. Most candles bring none of them."""
    setup, plan, windows = state.setup, state.plan, state.windows
    assert setup is not None
    if setup.ordered:
        flow = Flow(terms, state, at)
        overdue(flow)
        return flow.state, tuple(flow.commands)
    assert plan is not None
    if fired(plan.invalidation, windows, closed, setup.direction) is not None:
        flow = Flow(terms, state, at)
        flow.count(invalidations=1)
        withdraw(flow, "invalidated", "the thesis was invalidated")
    elif not setup.asked and fired(plan.activation, windows, closed, setup.direction) is not None:
        flow = Flow(terms, state, at)
        activate(flow, plan)
    elif setup.bars >= plan.timeout_bars:
        flow = Flow(terms, state, at)
        flow.count(timeouts=1)
        withdraw(flow, "timed_out", "no answer in time")
    else:
        return state, ()
    return flow.state, tuple(flow.commands)


def _flattening(flow: Flow) -> None:
    """Go on leaving: orders that did nothing are replaced by others."""
    position = flow.state.position
    if position is not None:
        flow.state = flow.state._replace(position=position._replace(bars=position.bars + 1))
    overdue(flow)
    leave(flow)
