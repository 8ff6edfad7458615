"""What happens at policy boundaries: templates and plans change, theses are armed."""

from portfolio_platform.days import day_number, to_date
from portfolio_platform.instruments.flow import Flow
from portfolio_platform.instruments.model import RequestPlan
from portfolio_platform.instruments.regime import label_of
from portfolio_platform.instruments.state import Setup, Wanted
from portfolio_platform.instruments.triggers import bars_of, fired


def plan_day(at: int) -> str:
    """Return the plan date of a time, ISO."""
    return to_date(day_number(at)).isoformat()


def request_plan(flow: Flow, closed: tuple[str, ...]) -> None:
    """Ask for the plan of the template in force for today, where a template is known.

    Args:
        flow: at work.
        closed: the timeframes that closed at a policy boundary that waits for the plan; none where none does.
    """
    state, config = flow.state, flow.config
    if not state.template:
        return
    number = state.totals.plan_requests + 1
    flow.count(plan_requests=1)
    day = plan_day(flow.at)
    request_id = f"{config.portfolio}:{config.symbol}:plan-{number}"
    flow.state = flow.state._replace(wanted=Wanted(request_id, state.template, day, closed), replan=False)
    flow.say(RequestPlan(flow.at, request_id, config.symbol, state.template, day, label_of(state.regime)))


def take_hint(flow: Flow) -> None:
    """Take the screener's template that waited; another template needs another plan."""
    state, hint = flow.state, flow.state.hint
    if hint is None:
        return
    flow.state = state._replace(hint=None, rank=hint.rank)
    if hint.template != state.template:
        flow.state = flow.state._replace(template=hint.template, plan=None, plan_day="", plan_reason="", wanted=None)
        request_plan(flow, ())


def rested(flow: Flow, closed: tuple[str, ...]) -> None:
    """Go on at a policy boundary where nothing is armed or held: end a rest, change template and plan, look for a thesis."""
    state = flow.state
    if state.phase == "invalidated" or (state.phase == "cooldown" and state.candles >= state.cooldown_until):
        flow.move("boundary")
    if flow.state.phase != "idle":
        return
    take_hint(flow)
    state = flow.state
    if not state.template:
        return
    if state.replan or state.plan_day != plan_day(flow.at):
        if state.wanted is not None and state.wanted.day == plan_day(flow.at):
            flow.state = state._replace(wanted=state.wanted._replace(closed=closed))
        else:
            request_plan(flow, closed)
        return
    thesis(flow, closed)


def thesis(flow: Flow, closed: tuple[str, ...]) -> None:
    """Look at a policy boundary whether a thesis may be armed, and say why where not."""
    state, plan = flow.state, flow.state.plan
    if plan is None or not plan.thesis:
        flow.state = state._replace(declined=state.plan_reason or "the plan never arms")
        return
    reason = _forbidden(flow)
    label = label_of(state.regime)
    if not reason and plan.regimes and label not in plan.regimes:
        reason = f"regime {label or 'unknown'} is not eligible"
    found = None if reason else fired(plan.thesis, state.windows, closed)
    if found is None or (found[0] == "short" and not flow.config.shorts):
        flow.state = state._replace(declined=reason or "the thesis does not hold")
        return
    direction, trigger = found
    bar = bars_of(state.windows, trigger.timeframe)[-1]
    flow.count(theses=1)
    setup = Setup(
        setup_id=flow.next_id(),
        direction=direction,
        timeframe=trigger.timeframe,
        armed_at=flow.at,
        regime=label,
        structure=state.regime.structure,
        low=bar.low,
        high=bar.high,
        size_ppm=state.judgement.size_ppm,
    )
    flow.state = flow.state._replace(setup=setup, declined="")
    flow.move("thesis")


def _forbidden(flow: Flow) -> str:
    state = flow.state
    if flow.at < state.blocked_until:
        return "an operator's block"
    judgement = state.judgement
    if flow.at < judgement.blocked_until or (judgement.stance == "block" and not judgement.blocked_until):
        return "the judge's block"
    return "the judge leaves no size" if not judgement.size_ppm else ""
