"""What a workflow is told beside candles and fills: plans, the judge, the screener, envelopes, people."""

from portfolio_platform.instruments.bars import start
from portfolio_platform.instruments.entry import withdraw
from portfolio_platform.instruments.exits import MILLION
from portfolio_platform.instruments.features import FEATURES
from portfolio_platform.instruments.flow import Flow
from portfolio_platform.instruments.holding import emergency
from portfolio_platform.instruments.model import (
    EnvelopeIssued,
    InstrumentConfig,
    JudgeFeedback,
    OperatorCommand,
    Plan,
    PlanProvided,
    ScreenerUpdate,
    Started,
    StopRequested,
)
from portfolio_platform.instruments.policy import request_plan, take_hint, thesis
from portfolio_platform.instruments.settling import stop
from portfolio_platform.instruments.state import Hint, InstrumentState, Judgement

FOREVER = 1 << 62
"""The end of a block that has none."""


def started(flow: Flow, event: Started) -> None:
    """Begin, or begin again after a stop: bars, record, envelope and a person's block stay, setups count on."""
    state = flow.state
    if not flow.is_new(f"started:{event.at}") or (state.config is not None and state.phase != "stopped"):
        return
    windows = state.windows
    if state.config is None or state.config.timeframes != event.config.timeframes:
        windows = start(event.config.timeframes)
    if state.config is not None:
        flow.move("started")
    flow.state = flow.state._replace(
        config=event.config, template=event.config.template, rank=0, windows=windows, begun=event.at, stopping="", flattening="", orders=()
    )
    flow.enlist(True)
    request_plan(flow, ())


def plan_provided(flow: Flow, event: PlanProvided) -> None:
    """Take the plan that was asked for; where a policy boundary waited for it, look at its thesis."""
    wanted = flow.state.wanted
    if wanted is None or wanted.request_id != event.request_id or flow.state.setup is not None:
        return
    fault = "" if event.plan is None else fault_of(event.plan, flow.config)
    if fault:
        flow.note("unusable_plan", fault)
    plan, reason = (None, fault) if fault else (event.plan, event.reason)
    flow.state = flow.state._replace(wanted=None, plan=plan, plan_day=wanted.day, plan_reason=reason)
    if wanted.closed and flow.state.phase == "idle":
        thesis(flow, wanted.closed)


def fault_of(plan: Plan, config: InstrumentConfig) -> str:
    """Say why a workflow cannot go by a plan; empty where it can."""
    if plan.symbol != config.symbol:
        return f"plan {plan.plan_id} is for {plan.symbol}, not for {config.symbol}"
    for _, trigger in (*plan.thesis, *plan.activation, *plan.invalidation):
        if trigger.timeframe not in config.timeframes:
            return f"plan {plan.plan_id} looks at {trigger.timeframe}, and there are {', '.join(config.timeframes)}"
        for condition in trigger.conditions:
            if condition.feature not in FEATURES:
                return f"plan {plan.plan_id} asks for {condition.feature!r}, which is no feature"
    return ""


def judged(flow: Flow, event: JudgeFeedback) -> None:
    """Take the judge's word for the next thesis; an older word than the one at hand changes nothing."""
    if event.at < flow.state.judgement.at or event.feedback_id == flow.state.judgement.feedback_id:
        return
    size = max(0, min(event.size_ppm, MILLION))
    judgement = Judgement(event.feedback_id, event.at, event.stance, size, event.blocked_until, event.reasons)
    flow.state = flow.state._replace(judgement=judgement)


def screened(flow: Flow, event: ScreenerUpdate) -> None:
    """Take the screener's word: at once where idle, else when it is idle next."""
    if event.at < flow.state.screened_at or flow.state.stopping:
        return
    flow.state = flow.state._replace(screened_at=event.at, hint=Hint(event.template, event.at, event.pass_id, event.rank))
    if flow.state.phase == "idle":
        take_hint(flow)


def enveloped(flow: Flow, event: EnvelopeIssued) -> None:
    """Take a newer envelope; where it allows reducing only, flatten; where it allows nothing new, take back what is unfilled."""
    envelope, before = event.envelope, flow.state.envelope
    if before is not None and envelope.version <= before.version:
        return
    flow.state = flow.state._replace(envelope=envelope)
    if envelope.force_flatten_only:
        flatten(flow, "the envelope allows reducing only")
    elif envelope.portfolio_mode == "risk_off":
        _take_back(flow, "risk_off")


def ordered(flow: Flow, event: OperatorCommand) -> None:
    """Do what a person orders, once."""
    if not flow.is_new(f"operator:{event.command_id}"):
        return
    flow.note(f"operator_{event.command}", f"{event.by}: {event.reason}")
    if event.command == "flatten":
        flatten(flow, f"ordered by {event.by}: {event.reason}")
    elif event.command == "block":
        flow.state = flow.state._replace(blocked_until=event.until or FOREVER)
        _take_back(flow, "operator_block")
    elif event.command == "unblock":
        # a workflow that a person ended may be started again from now on
        ended = flow.state.phase == "stopped"
        flow.state = flow.state._replace(blocked_until=0, stopping="" if ended else flow.state.stopping)
    else:
        flow.state = flow.state._replace(replan=True)


def stop_requested(flow: Flow, event: StopRequested) -> None:
    """End: flatten what is held, wait for the ledger, stop; at once where nothing is held and no order rests."""
    if not flow.is_new(f"stop:{event.request_id}") or flow.state.stopping:
        return
    flow.state = flow.state._replace(stopping=f"{event.by}: {event.reason}")
    reason = "it was asked to end"
    emergency(flow, reason)
    if flow.state.phase == "flattening":
        return
    setup = flow.state.setup
    if setup is not None and setup.asked:
        flow.release(setup.intent_id, reason)
        flow.became(setup.intent_id, reason)
    stop(flow)


def flatten(flow: Flow, why: str) -> None:
    """Leave what is held and drop what is armed."""
    emergency(flow, why)
    if flow.state.phase == "thesis_armed":
        withdraw(flow, "withdrawn", why)


def _take_back(flow: Flow, reason: str) -> None:
    """Take back what was asked for and what is unfilled of an entry; what is held stays under its contract."""
    flow.cancel_entries(reason)
    setup = flow.state.setup
    if flow.state.phase == "thesis_armed" and setup is not None and setup.asked:
        withdraw(flow, "withdrawn", reason)


def waits_for(state: InstrumentState) -> str:
    """Say what happens next, in words."""
    if state.config is None:
        return "its start"
    if state.phase == "stopped":
        return "nothing: it has stopped"
    if state.phase == "flattening":
        return f"the ledger to say flat ({state.flattening})"
    if state.phase == "position_open" and state.position is not None:
        return _position_waits(state)
    setup = state.setup
    if setup is not None:
        if setup.ordered:
            return "a fill of its entry"
        if setup.asked:
            return "the control plane's answer"
        left = state.plan.timeout_bars - setup.bars if state.plan is not None else 0
        return f"activation of the {setup.direction} thesis, within {left} closes, or its invalidation"
    if state.phase == "cooldown" and state.candles < state.cooldown_until:
        return f"{state.cooldown_until - state.candles} closes of cooldown, then the next policy boundary"
    if state.phase in ("cooldown", "invalidated"):
        return "the next policy boundary"
    if state.wanted is not None:
        return f"a plan for {state.wanted.template}"
    if not state.template:
        return "a template of the screener"
    if state.plan is None or not state.plan.thesis:
        return f"another template: {state.plan_reason or 'its plan never arms'}"
    return f"a thesis at a close of {state.plan.thesis[0][1].timeframe}" + (f" (last: {state.declined})" if state.declined else "")


def _position_waits(state: InstrumentState) -> str:
    position = state.position
    assert position is not None
    if position.closing or position.contract is None:
        return f"the fill of its exit ({position.closing})"
    left = position.contract.bars - position.bars
    return f"stop {position.stop}, target {position.contract.target or 'none'}, or {left} closes"
