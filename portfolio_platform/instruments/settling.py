"""How a trade ends once the ledger says flat, and how a workflow stops: the outcome, the judge, rest."""

from typing import Literal

from portfolio_platform.instruments.exits import MILLION
from portfolio_platform.instruments.flow import Flow
from portfolio_platform.instruments.model import AskJudge, Outcome
from portfolio_platform.instruments.sizing import CUBE, value_of
from portfolio_platform.instruments.state import KEPT, Position


def settle(flow: Flow, cause: str) -> None:
    """Go on after an entry's end: a trade that is flat is over, a setup without a fill is spent."""
    state = flow.state
    if state.position is not None:
        if not state.position.quantity and not flow.of_purpose("entry"):
            finish(flow)
    elif state.phase == "thesis_armed" and not flow.of_purpose("entry"):
        flow.spend(cause)
    elif state.phase == "flattening" and not flow.of_purpose("entry"):
        rest(flow)


def finish(flow: Flow) -> None:
    """End a trade that is flat: cancel what rests, record the outcome, ask the judge."""
    position, state = flow.position, flow.state
    for one in state.orders:
        flow.cancel(one, "the position is flat")
    flow.state = flow.state._replace(orders=())
    if position.contract is not None and position.entered and state.setup is not None:
        outcome = outcome_of(flow, position)
        outcomes = (*state.outcomes, outcome)[-KEPT:]
        flow.state = flow.state._replace(outcomes=outcomes)
        flow.count(trades=1)
        flow.say(AskJudge(flow.at, f"{position.trade_id}:judge", outcomes))
    rest(flow)


def rest(flow: Flow) -> None:
    """Go to rest with nothing held: cooldown, or the end where that was asked for."""
    if flow.state.stopping:
        stop(flow)
    else:
        flow.spend("closed")


def stop(flow: Flow) -> None:
    """Stop: nothing is held, no entry rests."""
    flow.move("stopped")
    flow.state = flow.state._replace(
        setup=None, position=None, flattening="", wanted=None, hint=None, plan=None, plan_day="", declined="", cooldown_until=0
    )
    flow.enlist(False)


def outcome_of(flow: Flow, position: Position) -> Outcome:
    """Return the outcome of a trade that is flat: its result after fees, over the risk to its first stop at the price it was decided at."""
    contract, setup, plan, config = position.contract, flow.setup, flow.state.plan, flow.config
    assert contract is not None
    gain = position.exit_value - position.entry_value if position.direction == "long" else position.entry_value - position.exit_value
    pnl = gain * config.multiplier * 10**config.digits // CUBE - position.fees
    risk = value_of(config, abs(contract.price - contract.stop), position.entered)
    return Outcome(
        trade_id=position.trade_id,
        template=plan.template if plan is not None else "",
        playbook=plan.playbook if plan is not None else "",
        regime=setup.regime_at_activation,
        direction=position.direction,
        opened_at=position.opened_at,
        closed_at=flow.at,
        bars=position.bars,
        r_ppm=pnl * MILLION // risk if risk else 0,
        pnl_minor=pnl,
        exit=_why(flow, position),
    )


def _why(flow: Flow, position: Position) -> Literal["target", "stop", "time", "invalidation", "flatten"]:
    if position.last_exit == "target":
        return "target"
    if position.last_exit == "stop" or (position.closing == "stop" and flow.state.phase != "flattening"):
        return "stop"
    return "time" if position.closing == "time" and flow.state.phase != "flattening" else "flatten"
