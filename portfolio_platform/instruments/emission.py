"""A setup as a signal: an observation without a size, and what became of it."""

from typing import NamedTuple

from portfolio_platform.broker.model import Bar
from portfolio_platform.canonical import content_hash
from portfolio_platform.codec import to_bytes
from portfolio_platform.instruments.bars import PERIODS
from portfolio_platform.instruments.flow import Flow
from portfolio_platform.instruments.model import EmitSignal, Expectation, Plan
from portfolio_platform.instruments.playbook import ALL
from portfolio_platform.instruments.regime import Evaluation
from portfolio_platform.instruments.state import Contract, InstrumentState, Setup
from portfolio_platform.instruments.triggers import bars_of

SPACED = 20
"""Bars over which the time between two closes is taken, for the end of a signal's validity."""


class Basis(NamedTuple):
    """What an activation rested on: the plan, the regime's last evaluation, the bar at whose close it was decided."""

    plan_id: str
    evaluation: Evaluation | None
    bar: Bar


def snapshot_of(state: InstrumentState, plan: Plan, bar: Bar) -> str:
    """Return the hash of what an activation rests on."""
    return content_hash(to_bytes(Basis(plan.plan_id, state.evaluation, bar), Basis))


def emit(flow: Flow, contract: Contract, disposition: str, reason: str = "") -> None:
    """Emit the signal of the setup, or what became of it.

    Args:
        flow: with an activated setup.
        contract: its exit contract; where none could be made, prices of 0 stand for what is missing.
        disposition: ``requested`` first; then ``taken``, ``rejected`` or ``blocked``; or ``not_qualified``.
        reason: why it was not taken.
    """
    state, setup, plan, config = flow.state, flow.setup, flow.state.plan, flow.config
    if plan is None:
        return
    expected = expectation(plan, setup.regime_at_activation)
    flow.say(
        EmitSignal(
            at=setup.activated_at,
            signal_id=setup.signal_id,
            setup_id=setup.setup_id,
            direction=setup.direction,
            timeframe=config.timeframes[0],
            template=plan.template,
            playbook=plan.playbook,
            entry_price=contract.price,
            stop_price=contract.stop,
            target_price=contract.target,
            expected_hold_bars=expected.hold_p50 if expected is not None else contract.bars,
            valid_until=setup.activated_at + contract.bars * spacing(state),
            confidence_ppm=expected.win_rate if expected is not None and expected.n else 0,
            regime=setup.regime_at_activation,
            qualified=disposition != "not_qualified",
            disposition=disposition,
            block_reason=reason,
            thesis=thesis_of(setup, plan),
            trigger_id=trigger_id(setup, plan),
            screener_rank=state.rank,
            snapshot_hash=setup.snapshot,
        )
    )


def trigger_id(setup: Setup, plan: Plan) -> str:
    """Return the name of the trigger that opens a setup's position."""
    return f"{plan.playbook}:{plan.version}:{setup.direction}"


def thesis_of(setup: Setup, plan: Plan) -> str:
    """Return the thesis in words."""
    regime = setup.regime or "an unknown regime"
    return f"{setup.direction} {plan.template} by {plan.playbook} {plan.version}, armed at a close of {setup.timeframe} in {regime}"


def expectation(plan: Plan, regime: str) -> Expectation | None:
    """Return what a plan expects in a regime; over all regimes where it says nothing of that one."""
    over_all = None
    for one in plan.expectations:
        if one.regime == regime:
            return one
        if one.regime == ALL:
            over_all = one
    return over_all


def spacing(state: InstrumentState) -> int:
    """Return the mean time between the closes of the last execution bars, weekends and all, ns; the bar's length before there are two."""
    assert state.config is not None
    bars = bars_of(state.windows, state.config.timeframes[0])[-SPACED - 1 :]
    if len(bars) < 2:
        return PERIODS[state.config.timeframes[0]]
    return (bars[-1].ts - bars[0].ts) // (len(bars) - 1)
